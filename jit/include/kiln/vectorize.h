// Universal functions: element-wise kernels from C++ lambdas, compiled for the dtypes they meet.
//
//     double gain = 2;
//     auto scale = vectorize("scale", [=](Value x) { return gain * x; });
//     Array y = scale(x);
//
// The lambda runs when a combination of dtypes is first met, once for it, and records the kernel.
// What it captures by value ([=]) is a constant of that code from then on. What it captures by
// reference ([&]) is read whenever it runs: it must be alive then, and what it is then, and not
// later, is what that code has. Kernels that outlive a scope capture by value; what changes from
// call to call is an argument. The same holds for map_reduce, jit and stencil.
#pragma once
#include <kiln/array.h>
#include <kiln/dsl.h>
#include <kiln/environment.h>
#include <kiln/inspect.h>
#include <kiln/shared_state.h>

#include <array>
#include <complex>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace kiln {

/// Where a ufunc's kernels run.
enum class BackendTarget : std::uint8_t {
#define KILN_BACKEND(id, library, factory, doc) id,
#include <kiln/backends.def>
#undef KILN_BACKEND
};

namespace detail {
struct CallAccess;
class UfuncState;

/// Elements in a row of memory that is no Array.
struct SpanData {
    std::byte* data;
    std::int64_t size;
    DType dtype;
    bool read_only;
};
template <Element T> SpanData span_data(T* data, std::size_t size) {
    auto* bytes = reinterpret_cast<std::byte*>(const_cast<std::remove_const_t<T>*>(data));
    return {bytes, static_cast<std::int64_t>(size), dtype_of<T>, std::is_const_v<T>};
}

/// C++ values that bring only their kind into a promotion.
template <class T>
concept WeakValue = Element<T> && (std::is_arithmetic_v<T> || IsComplex<T>::value);
template <class T>
concept StorageFloat = is_storage_float<T>;
}  // namespace detail

/// An argument of a ufunc call: an Array, a span or vector (rank 1, not copied), a C++ value (weak)
/// or a Scalar. It only refers to arrays, spans and vectors, so it must not outlive them.
class Arg {
  public:
    Arg(const Array& array) : kind_(Kind::array), array_(&array) {}
    template <detail::WeakValue T> Arg(T value)
        : kind_(Kind::scalar), scalar_(Scalar::of(value, true)) {}
    template <detail::StorageFloat T> Arg(T value)
        : kind_(Kind::scalar), scalar_(Scalar::of(value)) {}
    Arg(const Scalar& value) : kind_(Kind::scalar), scalar_(value) {}
    template <Element T, std::size_t N>
    Arg(std::span<T, N> data)
        : kind_(Kind::span), span_(detail::span_data(data.data(), data.size())) {}
    template <Element T, class A>
        requires(!std::is_same_v<T, bool>)
    Arg(const std::vector<T, A>& data)
        : kind_(Kind::span), span_(detail::span_data(data.data(), data.size())) {}

  private:
    friend struct detail::CallAccess;
    enum class Kind : std::uint8_t { array, scalar, span };
    Kind kind_;
    union {
        const Array* array_;
        Scalar scalar_;
        detail::SpanData span_;
    };
};

/// An output of a ufunc call: an Array, or a span or vector of non-const elements. It only refers
/// to it. Default-constructed: none.
class OutArg {
  public:
    OutArg() = default;
    OutArg(const Array& array) : array_(&array), data_(), size_(), dtype_(), given_() {}
    template <Element T, std::size_t N>
        requires(!std::is_const_v<T>)
    OutArg(std::span<T, N> data) : OutArg(detail::span_data(data.data(), data.size())) {}
    template <Element T, class A>
        requires(!std::is_same_v<T, bool>)
    OutArg(std::vector<T, A>& data) : OutArg(detail::span_data(data.data(), data.size())) {}

    explicit operator bool() const { return array_ != nullptr || given_; }

  private:
    friend struct detail::CallAccess;
    explicit OutArg(const detail::SpanData& span)
        : array_(nullptr), data_(span.data), size_(span.size), dtype_(span.dtype), given_(true) {}
    // Without initialisers, so that an Outs costs a call nothing; `OutArg out = {}` zeroes them.
    const Array* array_;
    std::byte* data_;    // of a span
    std::int64_t size_;  // of a span
    DType dtype_;
    bool given_;  // a span
};

/// The outputs of a call that has several: `.outs = {quotient, remainder}`.
class Outs {
  public:
    static constexpr std::size_t max_size = 4;
    // Not defaulted: that would make `Outs outs = {}` zero all places at every call.
    Outs() {}  // NOLINT(modernize-use-equals-default)
    /// More than max_size is a usage error.
    Outs(std::initializer_list<OutArg> outs,
         std::source_location where = std::source_location::current());
    std::size_t size() const { return size_; }
    const OutArg& operator[](std::size_t i) const { return items_[i]; }

  private:
    std::size_t size_ = 0;
    std::array<OutArg, max_size> items_;  // the first size_ of them
};

/// The options of a ufunc call, for designated initialisers: f(x, y, {.out = z, .where = mask}).
struct CallOptions {
    /// Where the result goes; its shape is the inputs' broadcast shape, or one they broadcast to.
    /// Neither a read-only nor a broadcast array: usage error. May overlap inputs in any way.
    OutArg out = {};
    Outs outs = {};  ///< the same, for kernels with several results
    /// A bool array that broadcasts with the inputs. Elements of the output where it is false are
    /// not written; where there was no output they are zero.
    std::optional<Arg> where = {};
    /// How far the conversion to an output's dtype (and to `dtype`) may go.
    Casting casting = Casting::same_kind;
    /// The dtype to compute in: inputs and results are converted to it. With signatures: selects
    /// the first listed loop that gives it.
    std::optional<DType> dtype = {};
    /// The memory order of results that are allocated.
    Order order = Order::keep;
};

/// Which axes a reduction combines: one, several ({0, 2}), all or none of them. Negative ones count
/// from the last axis. Default-constructed: what the reducing function has as its default.
class Axes {
  public:
    Axes() = default;
    template <std::integral I> Axes(I axis) : kind_(Kind::listed), list_(axis) {}
    Axes(std::initializer_list<int> axes) : kind_(Kind::listed) {
        for (const int axis : axes) list_.push_back(axis);
    }
    static Axes all() { return Axes(Kind::all); }
    /// Every element is reduced by itself.
    static Axes none() { return Axes(Kind::listed); }

    bool is_default() const { return kind_ == Kind::by_default; }
    bool is_all() const { return kind_ == Kind::all; }
    const Shape& list() const { return list_; }  ///< as given, where neither default nor all

  private:
    enum class Kind : std::uint8_t { by_default, all, listed };
    explicit Axes(Kind kind) : kind_(kind) {}
    Kind kind_ = Kind::by_default;
    Shape list_;
};

/// The options of a reduction, for designated initialisers: sum(x, {.axis = 1, .keepdims = true}).
struct ReduceOptions {
    Axes axis = {};
    bool keepdims = false;  ///< reduced axes stay, with extent 1
    /// A scalar that is combined in once, and the result where nothing is reduced.
    std::optional<Arg> initial = {};
    /// A bool array that broadcasts with the inputs: elements where it is false are left out.
    std::optional<Arg> where = {};
    /// The dtype that is accumulated in (f16 and bf16 in f32) and of the result.
    std::optional<DType> dtype = {};
    /// Where the result goes: of exactly its shape. May overlap the inputs in any way.
    OutArg out = {};
    /// The memory order of a result that is allocated: c (also for keep and any) or fortran.
    Order order = Order::c;
};

/// The options of Ufunc::accumulate, for designated initialisers.
struct AccumulateOptions {
    int axis = 0;                     ///< negative ones count from the last axis
    std::optional<DType> dtype = {};  ///< that is accumulated in, and of the result
    OutArg out = {};                  ///< of the array's shape; may be or overlap it
};

/// The options of Ufunc::reduceat, for designated initialisers.
struct ReduceAtOptions {
    int axis = 0;                     ///< negative ones count from the last axis
    std::optional<DType> dtype = {};  ///< that is accumulated in, and of the result
    OutArg out = {};  ///< of exactly the result's shape; may be or overlap the array
};

/// Which elements Ufunc::at changes: indices along axis 0 (one integer or an array of them), or with
/// {i, j} along the first two axes, and so on; they broadcast together. Only refers to arrays.
class Indices {
  public:
    template <class T>
        requires(std::is_convertible_v<const T&, Arg>)
    Indices(const T& along_first) : along_{Arg(along_first)} {}
    Indices(std::initializer_list<Arg> along) : along_(along) {}
    const std::vector<Arg>& along() const { return along_; }

  private:
    std::vector<Arg> along_;
};

/// What a call of a ufunc would do, as Ufunc::resolve tells.
struct Resolution {
    /// What the kernel computes with: the dtypes that the arguments are given to it as, and those
    /// of its results.
    Signature loop;
    std::vector<DType> results;  ///< the dtypes of the arrays that the call gives
};

/// The neutral element of a kernel of two arguments: f(e, x) == x.
struct Identity {
    Scalar value;
    template <detail::WeakValue T> Identity(T value) : value(Scalar::of(value, true)) {}
    Identity(const Scalar& value) : value(value) {}
};

/// The options of a ufunc, for designated initialisers: {.fastmath = true, .parallel = true}.
struct UfuncOptions {
    Fastmath fastmath = {};
    /// Large calls are split over threads; results do not depend on it.
    bool parallel = false;
    /// Integer division by zero is an error that names the line and the index of the element.
    /// KILN_CHECKED=1 in the environment sets it for all kernels of the process.
    bool checked = false;
    /// Kernels flush subnormal numbers to zero where the calling thread does (FTZ and DAZ of
    /// MXCSR), on all threads of a call. Else they keep them, whatever the thread has set.
    bool keep_flush_to_zero = false;
    /// The loops there are. Empty: one is made for the argument types of each call. Else a call
    /// uses the first to which all of its inputs cast safely.
    std::vector<Signature> signatures = {};
    BackendTarget target = BackendTarget::cpu;
    /// What inspected texts and errors call the parameters, in order. Empty: x0, x1 ...
    std::vector<std::string> params = {};
    /// What reduce() gives of no elements, and begins with under a mask. Checked when a reduction
    /// first uses it for a dtype, on some values of that dtype: usage error.
    std::optional<Identity> identity = {};
    /// f(f(x, y), z) means the same as f(x, f(y, z)) in any order of the elements: reductions may
    /// group and reorder them (always in the same way), and take several axes. Else they combine
    /// one element after the other. Kernels of one operation that reductions.def has need not say.
    bool associative = false;
    std::string doc = {};  ///< what doc() tells
};

namespace detail {

/// What a ufunc holds of the user's lambda: Values in, Values out, run once per specialisation.
using ElementFunction = std::function<void(std::span<const Value>, std::vector<Value>&)>;

template <std::size_t> using AsValue = const Value&;
template <class F, std::size_t... I> consteval bool takes_values(std::index_sequence<I...>) {
    return std::is_invocable_v<F&, AsValue<I>...>;
}
inline constexpr std::size_t max_arity = 8;

/// The parameters of a callable that is neither generic nor overloaded, whatever it returns.
template <class... P> struct ElementParams {
    static constexpr std::size_t count = sizeof...(P);
    static_assert((std::is_constructible_v<std::remove_cvref_t<P>, const Value&> && ...),
                  "kiln: an element-wise kernel computes one element from Values: its parameters "
                  "are Value; kernels over whole arrays (In, Out, InOut) are made by jit, those of "
                  "neighbours by stencil");
};
template <class R, class... P> ElementParams<P...> element_params(R (*)(P...));
template <class R, class C, class... P> ElementParams<P...> element_params(R (C::*)(P...));
template <class R, class C, class... P> ElementParams<P...> element_params(R (C::*)(P...) const);
template <class F>
concept PlainCallable = requires { element_params(&F::operator()); };

template <class F> consteval std::size_t generic_arity() {
    constexpr auto works = []<std::size_t... N>(std::index_sequence<N...>) {
        return std::array<bool, max_arity + 1>{takes_values<F>(std::make_index_sequence<N>())...};
    }(std::make_index_sequence<max_arity + 1>());
    std::size_t found = max_arity + 1, count = 0;
    for (std::size_t n = 0; n <= max_arity; ++n) {
        if (works[n]) found = n, ++count;
    }
    return count == 1 ? found : max_arity + 1;
}
/// The number of Values that F takes; max_arity + 1 if none or several work.
template <class F> consteval std::size_t value_arity() {
    if constexpr (PlainCallable<F>)
        return decltype(element_params(&F::operator()))::count;
    else if constexpr (requires(F f) { element_params(f); })
        return decltype(element_params(std::declval<F>()))::count;
    else
        return generic_arity<F>();
}

/// A std::pair, std::tuple or std::array of results.
template <class R>
concept SeveralValues = requires { std::tuple_size<R>::value; };
/// A result as a Value. Reading it belongs to the line of the slice or element, else to the last
/// line of the lambda that is known, which stands for no line.
template <class R> Value result_value(const R& result) {
    if constexpr (std::is_same_v<R, Value>)
        return result;
    else if constexpr (std::is_same_v<R, ArraySlice> || std::is_same_v<R, ElementRef>)
        return Value(result, result.where());
    else if constexpr (std::is_constructible_v<Value, const R&, std::source_location>)
        return Value(result, std::source_location());
    else
        return Value(result);
}
template <class R> void append_results(const R& results, std::vector<Value>& out) {
    if constexpr (SeveralValues<R>) {
        std::apply([&](const auto&... result) { (append_results(result, out), ...); }, results);
    } else {
        static_assert(
            std::is_constructible_v<Value, const R&>,
            "kiln: an element-wise kernel returns a Value, or a pair, tuple or array of Values");
        out.push_back(result_value(results));
    }
}
/// How many Values a result is.
template <class R> consteval std::size_t result_count() {
    if constexpr (SeveralValues<R>) {
        return []<std::size_t... I>(std::index_sequence<I...>) {
            return (std::size_t(0) + ... + result_count<std::tuple_element_t<I, R>>());
        }(std::make_index_sequence<std::tuple_size<R>::value>());
    } else {
        return 1;
    }
}
template <class F, std::size_t... I>
consteval std::size_t results_of(std::index_sequence<I...>) {
    if constexpr (std::is_invocable_v<F&, AsValue<I>...>)
        return result_count<std::remove_cvref_t<std::invoke_result_t<F&, AsValue<I>...>>>();
    else
        return 1;  // refused where it is used
}
template <std::size_t Arity, class F> ElementFunction erase(F f) {
    if constexpr (Arity > max_arity)
        return {};  // refused where it is used
    else
        return [f = std::move(f)](std::span<const Value> x, std::vector<Value>& out) mutable {
            [&]<std::size_t... I>(std::index_sequence<I...>) {
                static_assert(!std::is_void_v<decltype(f(x[I]...))>,
                              "kiln: an element-wise kernel returns a Value");
                append_results(f(x[I]...), out);
            }(std::make_index_sequence<Arity>());
        };
}

/// One parameter of a bound call, as generated code sees it.
struct BoundOperand {
    std::byte* data;
    std::int64_t inner, outer;
};
enum class BoundKind : std::uint8_t { value, span, span_const, reference };
struct BoundParam {
    BoundKind kind;
    DType dtype;
};
struct BoundState;
using BoundFunction = void (*)(const void* frame);
/// The machine code of a bound signature.
struct BoundEntry {
    BoundFunction function = nullptr;
    std::int64_t size_limit = 0;  ///< calls of this many elements and more take the general path
    bool drops_flags = true;      ///< what it raises tells nothing of its data
    SharedState<const BoundState> state;
};
BoundEntry make_bound(const SharedState<UfuncState>& ufunc, std::span<const BoundParam> params,
                      bool returns, Location where);
/// Does any call: sizes that disagree, overlap, threads, streaming, another environment.
[[gnu::cold]] void call_bound(const BoundState& state, std::initializer_list<std::byte*> data,
                              std::initializer_list<std::int64_t> sizes,
                              std::source_location where);
[[noreturn]] void throw_bound_fault(const BoundState& state, std::int64_t code, std::int64_t column,
                                    std::source_location where);

/// What a parameter of a bound signature is.
template <class P> struct BoundTraits {
    static_assert(always_false<P>,
                  "kiln: bind takes values, std::span<const T>, std::span<T> and T&");
};
template <Element T> struct BoundTraits<T> {
    static constexpr BoundParam param{BoundKind::value, dtype_of<T>};
};
template <Element T>
    requires(!std::is_const_v<T>)
struct BoundTraits<T&> {
    static constexpr BoundParam param{BoundKind::reference, dtype_of<T>};
};
template <Element T> struct BoundTraits<std::span<T>> {
    static constexpr BoundParam param{std::is_const_v<T> ? BoundKind::span_const : BoundKind::span,
                                      dtype_of<T>};
};
}  // namespace detail

/// A ufunc bound to C++ types: a call costs a few nanoseconds over a function pointer; it takes no
/// lock and allocates nothing. Inputs first: values are strong scalars, spans are read; then the
/// outputs: spans of non-const elements, or references where there is no span. A result type that
/// is not void stands for the one output of a kernel of values. All spans of a call have one size
/// (else shape error); they may overlap in any way. Copyable; keeps the ufunc alive.
template <class Signature> class Bound;
template <class R, class... P> class Bound<R(P...)> {
  public:
    [[gnu::always_inline]] R operator()(
        P... args, std::source_location where = std::source_location::current()) const {
        if constexpr (std::is_void_v<R>) {
            call(where, args...);
        } else {
            R result;
            call(where, args..., result);
            return result;
        }
    }

  private:
    friend class Ufunc;
    static constexpr bool returns = !std::is_void_v<R>;
    static constexpr std::size_t count = sizeof...(P) + (returns ? 1 : 0);

    static constexpr std::array<detail::BoundParam, count> params() {
        if constexpr (returns) {
            return {detail::BoundTraits<P>::param..., detail::BoundTraits<R&>::param};
        } else {
            return {detail::BoundTraits<P>::param...};
        }
    }
    explicit Bound(detail::BoundEntry entry) : entry_(std::move(entry)) {}

    static constexpr std::array<detail::BoundParam, count> kinds = params();
    static constexpr bool is_span(std::size_t k) {
        return kinds[k].kind == detail::BoundKind::span ||
               kinds[k].kind == detail::BoundKind::span_const;
    }
    /// Whatever may be written counts as an output here.
    static constexpr bool is_output(std::size_t k) {
        return kinds[k].kind == detail::BoundKind::reference ||
               kinds[k].kind == detail::BoundKind::span;
    }
    static constexpr std::size_t first_span() {
        std::size_t k = 0;
        while (k < count && !is_span(k)) ++k;
        return k;
    }
    static constexpr std::uint64_t item(std::size_t k) {
        return static_cast<std::uint64_t>(size_of(kinds[k].dtype));
    }

    /// Whether operands O and K of n elements may be handed to generated code: an output may
    /// coincide with an input element by element; any other overlap takes the general path. So do
    /// empty spans, which meet at every address.
    template <std::size_t O, std::size_t K>
    static bool apart(std::byte* const* data, std::int64_t n) {
        if constexpr (O == K || !is_output(O) || kinds[K].kind == detail::BoundKind::value ||
                      (is_output(K) && K < O)) {
            return true;
        } else {
            // They overlap where -n * item(O) < distance < n * item(K): one unsigned comparison.
            const auto distance = static_cast<std::uint64_t>(data[O] - data[K]);
            const auto size = static_cast<std::uint64_t>(n);
            const bool outside = distance + size * item(O) - 1 >= size * (item(O) + item(K)) - 1;
            if constexpr (!is_output(K) && kinds[K].dtype == kinds[O].dtype) {
                return outside || distance == 0;
            } else {
                return outside;
            }
        }
    }
    template <std::size_t O, std::size_t... K>
    static bool apart_from_all(std::byte* const* data, std::int64_t n, std::index_sequence<K...>) {
        return (apart<O, K>(data, n) && ...);
    }

    template <class... A>
    [[gnu::always_inline]] void call(std::source_location where, A&... args) const {
        call_indexed(std::make_index_sequence<count>(), where, args...);
    }
    // Everything that depends on the signature alone is a constant here: the loops over operands
    // are pack expansions. What a call costs beside the loop is mostly the stores to the stack,
    // which wait behind those of the loop before: so it is all in the caller, where arguments are
    // in registers, and writes only what is read.
    template <std::size_t... K, class... A>
    [[gnu::always_inline]] void call_indexed(std::index_sequence<K...> all,
                                             std::source_location where, A&... args) const {
        // Generated code reads it: MapFrame of codegen/abi.h, followed by the operands.
        struct {
            std::int64_t columns, rows;
            std::int64_t* fault;
            detail::BoundOperand operands[count];
        } frame;
        std::byte* const data[] = {data_of(args)...};
        const std::int64_t sizes[] = {size_of_argument(args)...};
        const std::int64_t n =
            first_span() < count ? sizes[first_span() < count ? first_span() : 0] : 1;
        const bool same_size = ((!is_span(K) || sizes[K] == n) && ...);
        const detail::FloatWord environment = detail::read_float_word();
        const bool usual = (environment & ~detail::float_flags) == detail::float_default;
        if (!(same_size && n < entry_.size_limit && usual &&
              (apart_from_all<K>(data, n, all) && ...))) [[unlikely]] {
            detail::call_bound(*entry_.state, {data[K]...}, {sizes[K]...}, where);
            return;
        }
        std::int64_t fault[3];  // Fault of jit/compile/backend.h; the rest is read only once set
        fault[0] = -1;
        frame.columns = n;
        frame.rows = 1;
        frame.fault = fault;
        // One row, and no layout `strided`: the strides are not read.
        ((frame.operands[K].data = data[K]), ...);
        entry_.function(&frame);
        if (entry_.drops_flags) detail::write_float_word(environment);
        if (fault[0] != -1) [[unlikely]] {
            detail::throw_bound_fault(*entry_.state, fault[0], fault[2], where);
        }
    }
    template <class A> static std::byte* data_of(A& arg) {
        if constexpr (Element<A>) {
            return reinterpret_cast<std::byte*>(const_cast<std::remove_const_t<A>*>(&arg));
        } else {
            return detail::span_data(arg.data(), arg.size()).data;
        }
    }
    template <class A> static std::int64_t size_of_argument(A& arg) {
        if constexpr (Element<A>) {
            return -1;
        } else {
            return static_cast<std::int64_t>(arg.size());
        }
    }
    detail::BoundEntry entry_;
};

/// An element-wise function over arrays of any dtype. The first call with given argument dtypes
/// compiles its loop; later calls run it. A handle: copies share their kernels. Thread-safe.
///
/// Calls: inputs broadcast together, dtypes follow NumPy's promotion with weak C++ values. Errors
/// of a call carry its line: usage (number of arguments, outputs that cannot be written), shape
/// (broadcasting), type (casting, no loop for the arguments, a C++ integer that its operand's dtype
/// cannot represent); errors of the kernel itself carry the kernel's lines. What the lambda throws
/// passes through. On any error before elements are computed, outputs are untouched.
class Ufunc {
  public:
    using Where = std::source_location;

    Ufunc(std::string name, std::size_t arity, std::size_t results,
          detail::ElementFunction function, UfuncOptions options, Location where);

    const std::string& name() const;
    const std::string& doc() const;
    std::size_t arity() const;
    std::size_t nin() const { return arity(); }
    std::size_t nout() const;
    std::size_t nargs() const { return nin() + nout(); }
    /// The signatures it was made with; without any, the loops that calls have used so far.
    std::vector<Signature> types() const;
    /// What reduce() gives of no elements: that of .identity, or that of the operation which the
    /// kernel is; nothing where there is none.
    std::optional<Scalar> identity() const;
    /// The core dimensions: none, "(),()->()".
    std::string signature() const;

    // A call gives the result, which is `out` where that was given. A kernel with several results
    // is called with all(), which gives them in order.
    Array operator()(const CallOptions& options = {}, Where where = Where::current()) const {
        return call({}, options, where);
    }
    Array operator()(const Arg& a, const CallOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const CallOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a, &b}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const CallOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a, &b, &c}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const Arg& d,
                     const CallOptions& options = {}, Where where = Where::current()) const {
        return call({&a, &b, &c, &d}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                     const CallOptions& options = {}, Where where = Where::current()) const {
        return call({&a, &b, &c, &d, &e}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                     const Arg& f, const CallOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a, &b, &c, &d, &e, &f}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                     const Arg& f, const Arg& g, const CallOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a, &b, &c, &d, &e, &f, &g}, options, where);
    }
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                     const Arg& f, const Arg& g, const Arg& h, const CallOptions& options = {},
                     Where where = Where::current()) const {
        return call({&a, &b, &c, &d, &e, &f, &g, &h}, options, where);
    }
    std::vector<Array> all(const CallOptions& options = {}, Where where = Where::current()) const {
        return call_all({}, options, where);
    }
    std::vector<Array> all(const Arg& a, const CallOptions& options = {},
                           Where where = Where::current()) const {
        return call_all({&a}, options, where);
    }
    std::vector<Array> all(const Arg& a, const Arg& b, const CallOptions& options = {},
                           Where where = Where::current()) const {
        return call_all({&a, &b}, options, where);
    }
    std::vector<Array> all(const Arg& a, const Arg& b, const Arg& c,
                           const CallOptions& options = {}, Where where = Where::current()) const {
        return call_all({&a, &b, &c}, options, where);
    }
    std::vector<Array> all(const Arg& a, const Arg& b, const Arg& c, const Arg& d,
                           const CallOptions& options = {}, Where where = Where::current()) const {
        return call_all({&a, &b, &c, &d}, options, where);
    }
    std::vector<Array> all(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                           const CallOptions& options = {}, Where where = Where::current()) const {
        return call_all({&a, &b, &c, &d, &e}, options, where);
    }
    std::vector<Array> all(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                           const Arg& f, const CallOptions& options = {},
                           Where where = Where::current()) const {
        return call_all({&a, &b, &c, &d, &e, &f}, options, where);
    }
    std::vector<Array> all(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                           const Arg& f, const Arg& g, const CallOptions& options = {},
                           Where where = Where::current()) const {
        return call_all({&a, &b, &c, &d, &e, &f, &g}, options, where);
    }
    std::vector<Array> all(const Arg& a, const Arg& b, const Arg& c, const Arg& d, const Arg& e,
                           const Arg& f, const Arg& g, const Arg& h,
                           const CallOptions& options = {}, Where where = Where::current()) const {
        return call_all({&a, &b, &c, &d, &e, &f, &g, &h}, options, where);
    }

    /// Which loop a call with these arguments would take, and the dtypes of its results; traces but
    /// neither compiles nor computes. Errors: as of the call.
    Resolution resolve(std::initializer_list<Arg> args, const CallOptions& options = {},
                       Where where = Where::current()) const;

    // The methods of kernels of two arguments and one result; usage errors for any other.

    /// NumPy's add.reduce: the elements combined along axis 0 (by default). A kernel of one
    /// operation that is a row of reductions.def (add, mul, minimum, maximum, bit_and, bit_or,
    /// bit_xor, logical_and, logical_or) reduces as MapReduce does, over a fixed tree. Any other
    /// begins with the first element (or `initial`) and goes f(result, x) from element to element,
    /// the result in the dtype of f(x, x) or in `dtype`; where it is not declared .associative, a
    /// remark says that it goes in order, and several axes are an error. Other errors are those of
    /// MapReduce. Unsupported: the cuda target.
    Array reduce(const Arg& x, const ReduceOptions& options = {},
                 Where where = Where::current()) const;

    /// The running results of this operation, NumPy's add.accumulate: element 0 along the axis is
    /// x[0], element i is f(result[i - 1], x[i]). Kernels of one operation of reductions.def are
    /// scans (kiln/scan.h tells in which order they combine, and other errors); any other is applied
    /// to one element after the other along the axis. Errors: bounds (no such axis).
    Array accumulate(const Arg& x, const AccumulateOptions& options = {},
                     Where where = Where::current()) const;

    /// NumPy's add.reduceat: element i along the axis is the reduction of x[indices[i]] up to but
    /// not including x[indices[i + 1]] (the end for the last), or x[indices[i]] itself where that
    /// range is empty or backwards. Each segment combines in order. Errors: bounds (no such axis; an
    /// index that is not in [0, extent)), type (indices that are no integers), shape (indices that
    /// are no row).
    Array reduceat(const Arg& x, const Arg& indices, const ReduceAtOptions& options = {},
                   Where where = Where::current()) const;

    /// f of every pair of an element of `a` and one of `b`: the result has the axes of `a`, then
    /// those of `b`. Errors: as of the call; shape (more than 8 axes).
    Array outer(const Arg& a, const Arg& b, const CallOptions& options = {},
                Where where = Where::current()) const;

    /// x[i] = f(x[i], value) for every index in turn, so that repeated ones accumulate, in order;
    /// NumPy's add.at. Values broadcast to the elements that the indices name. Negative indices
    /// count from the end. Errors: bounds (an index that is outside; nothing is changed), type
    /// (indices that are no integers; a result that does not cast to the array's dtype under
    /// same_kind), shape, usage (a read-only or broadcast array).
    void at(const OutArg& x, const Indices& indices, const Arg& values,
            Where where = Where::current()) const;
    /// The same of a kernel of one argument: x[i] = f(x[i]).
    void at(const OutArg& x, const Indices& indices, Where where = Where::current()) const;

    /// A typed handle: add.bind<void(std::span<const float>, std::span<const float>,
    /// std::span<float>)>(). Compiles. Errors: type (the number of parameters; an output that is
    /// const, or to whose dtype the result does not cast under same_kind; references beside spans).
    template <class Signature> Bound<Signature> bind(Where where = Where::current()) const {
        using Handle = Bound<Signature>;
        static constexpr auto params = Handle::params();
        return Handle(detail::make_bound(state_, params, Handle::returns, where));
    }

    /// A generated text for arguments of these types (rank 0: a strong scalar), compiling it where
    /// needed. Errors: as of a call; unsupported (the target has no such text), device.
    std::string inspect(Artifact artifact, std::initializer_list<ArgType> types,
                        Where where = Where::current()) const;
    /// What was or was not done in the kernels compiled so far.
    std::vector<Remark> remarks() const;
    /// Counters of this ufunc. `hits` counts calls, but not those through bind handles.
    Stats stats() const;

  private:
    Array call(std::initializer_list<const Arg*> args, const CallOptions& options,
               const Where& where) const;
    std::vector<Array> call_all(std::initializer_list<const Arg*> args, const CallOptions& options,
                                const Where& where) const;

    detail::SharedState<detail::UfuncState> state_;
};

/// A ufunc from a callable of 0 to 8 Values (generic or not) that returns a Value, or several as a
/// pair, tuple or array. The callable is copied, and run once for each combination of dtypes that
/// the ufunc meets, by one thread at a time (but for kernels whose callables call each other's, when
/// threads meet both at once). `name` is what errors call it. Errors: usage (a signature with
/// another number of inputs).
template <class F>
Ufunc vectorize(std::string name, F function, UfuncOptions options = {},
                std::source_location where = std::source_location::current()) {
    constexpr std::size_t arity = detail::value_arity<F>();
    static_assert(arity <= detail::max_arity,
                  "kiln: vectorize needs a callable that takes a fixed number, 0 to 8, of Values, "
                  "and compiles for them (functions of Values are kiln's: kiln::sin(x), not "
                  "std::sin(x))");
    constexpr std::size_t results =
        detail::results_of<F>(std::make_index_sequence<arity <= detail::max_arity ? arity : 0>());
    return Ufunc(std::move(name), arity, results, detail::erase<arity>(std::move(function)),
                 std::move(options), where);
}
template <class F>
    requires(!std::is_convertible_v<F, std::string_view>)
Ufunc vectorize(F function, UfuncOptions options = {},
                std::source_location where = std::source_location::current()) {
    return vectorize("ufunc", std::move(function), std::move(options), where);
}
/// With the loops there are: vectorize("add", f, {f32(f32, f32), f64(f64, f64)}).
// An array and no initializer_list, which g++ would make of {.signatures = {...}} too.
template <class F, std::size_t N>
Ufunc vectorize(std::string name, F function, const Signature (&signatures)[N],
                UfuncOptions options = {},
                std::source_location where = std::source_location::current()) {
    options.signatures.assign(signatures, signatures + N);
    return vectorize(std::move(name), std::move(function), std::move(options), where);
}
template <class F, std::size_t N>
    requires(!std::is_convertible_v<F, std::string_view>)
Ufunc vectorize(F function, const Signature (&signatures)[N], UfuncOptions options = {},
                std::source_location where = std::source_location::current()) {
    return vectorize("ufunc", std::move(function), signatures, std::move(options), where);
}

}  // namespace kiln
