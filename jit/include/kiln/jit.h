// Loop kernels: programs over arrays, written as C++ lambdas and compiled for what they meet.
//
//     auto norm = jit([](In x) -> Value {
//         Var sum(f64, 0);
//         for (Index i : prange(x.extent(0))) sum += x(i) * x(i);
//         return sqrt(sum);
//     }, {.parallel = true});
//     double n = norm(array).get<double>();
//
// The lambda runs when a combination of dtypes, ranks and layouts is first met, once or a few times
// for it: what it captures by value is a constant of that code, what it captures by reference is
// read then, and must be alive then. What changes from call to call is an argument.
#pragma once
#include <kiln/arguments.h>
#include <kiln/backend_target.h>
#include <kiln/element_function.h>
#include <kiln/export.h>
#include <kiln/function.h>
#include <kiln/inspect.h>
#include <kiln/kernel.h>
#include <kiln/shared_state.h>
#include <kiln/traced_arg.h>
#include <kiln/variation.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace kiln {

/// The options of a loop kernel, for designated initialisers: {.parallel = true}.
struct JitOptions {
    Fastmath fastmath = {};  ///< none by default
    /// Iterations of prange run on several threads; results do not depend on it.
    bool parallel = false;
    /// Accesses outside of an array, and integer divisions by zero, are errors that name the line
    /// and the index. Iterations go on: of many the lowest is reported, once all are done.
    /// KILN_CHECKED=1 in the environment makes all kernels of the process checked ones.
    bool checked = false;
    /// As of UfuncOptions.
    bool keep_flush_to_zero = false;
    /// Parallel loops next to each other, of statements on whole arrays and prange, become one
    /// where results do not change, to the bit; with Fastmath::reassoc also where only the order of
    /// sums does. Not in checked mode, and not in calls whose arrays overlap.
    bool fuse = true;
    /// After a call, the kernel runs once more, unfused, serial and strict (without any fastmath
    /// flag, also of fast(...)), on copies of the arrays that it writes as they were before; where
    /// the outcomes differ is what JitKernel::differences() tells then. So each call takes several
    /// times as long, and host functions are called twice. The arrays and results of the call are
    /// those of the optimised form.
    bool verify = false;
    /// With verify: a difference of more ULPs is Error usage, once all is written. Not given: no
    /// difference is an error. 0 suits kernels without fastmath and without sums of floats in a
    /// prange, whose order differs between the two forms.
    std::optional<std::uint64_t> verify_ulps = {};
    /// What errors and remarks call the parameters, in order. Empty: p0, p1 ...
    std::vector<std::string> params = {};
    /// Parameters for whose values kernels are compiled: of a Value that it names, the value is a
    /// constant of the code; of an array, its extents are. So loops of a known length unroll, and
    /// conditions are decided. Calls with other values have code of their own, as many as
    /// `specialise_at_most`; with those that come later the code for any values runs, and a remark
    /// says so. Results are those of that code, sums in a different order aside (jit/README.md).
    /// Names are those of .params, or p0, p1 ... Inside of other kernels it does nothing: what
    /// these know of the arguments is known. Complex numbers are refused (type error).
    std::vector<std::string> specialise = {};
    /// How many combinations of values get code of their own.
    std::size_t specialise_at_most = 8;
    /// Where calls run whose arrays are on the host: other targets than the CPU copy them there and
    /// back. Calls with arrays of a device run there, all of them or none (usage error).
    BackendTarget target = BackendTarget::cpu;
};

/// Where the optimised form of a kernel and the unfused, serial, strict one differ: in one array or
/// result.
struct Difference {
    std::string what;  ///< "y"; "result", of several "result 0"; "the shape of ..." if that differs
    Shape index;       ///< the first one that differs, in C order; none for a scalar
    Scalar value;      ///< what the call gave there
    Scalar expected;   ///< what the unfused, serial, strict form gives
    /// How many values of the type lie from the one to the other: the difference of integers, the
    /// larger one of the parts of complex numbers; 2^64 - 1 where one is a NaN and the other is
    /// not. -0 and 0 do not differ, nor do two NaN.
    std::uint64_t ulps = 0;
    std::uint64_t count = 0;      ///< of the elements that differ
    std::uint64_t most_ulps = 0;  ///< of all of them
    /// "y(3, 4) is 1.5, expected 1.4999999999999998 (1 ULP); 17 elements differ, the farthest by 3
    /// ULPs"
    std::string text() const;
};

/// An argument of a loop kernel: an Array, a span or vector (rank 1, not copied), a C++ value or a
/// Scalar, which count with their type. Refers to arrays, spans and vectors only.
class JitArg {
  public:
    JitArg() : none_(true) {}
    template <class T>
        requires(std::is_constructible_v<Arg, T> && !std::is_same_v<std::remove_cvref_t<T>, JitArg>)
    JitArg(T&& value) : arg_(std::forward<T>(value)), none_(false) {}
    /// The elements of a vector that the kernel may write.
    template <Element T, class A>
        requires(!std::is_same_v<T, bool>)
    JitArg(std::vector<T, A>& data) : arg_(std::span<T>(data)), none_(false) {}
    bool is_none() const { return none_; }
    const Arg& arg() const { return arg_; }

  private:
    union {
        Arg arg_;
    };
    bool none_;
};

namespace detail {
class LoopKernelState;

using KernelFunction = Function<std::vector<KernelItem>(std::span<const KernelItem>)>;
enum class KernelParam : std::uint8_t { value, in, out, inout };

template <class T> consteval KernelParam kernel_param() {
    using P = std::remove_cvref_t<T>;
    static_assert(std::is_same_v<P, Value> || std::is_same_v<P, In> || std::is_same_v<P, Out> ||
                      std::is_same_v<P, InOut>,
                  "kiln: the parameters of a loop kernel are In, Out, InOut and Value");
    return std::is_same_v<P, In>      ? KernelParam::in
           : std::is_same_v<P, Out>   ? KernelParam::out
           : std::is_same_v<P, InOut> ? KernelParam::inout
                                      : KernelParam::value;
}
template <class T> decltype(auto) kernel_argument(const KernelItem& item) {
    using P = std::remove_cvref_t<T>;
    if constexpr (std::is_same_v<P, Value>)
        return std::get<Value>(item);
    else
        return P(std::get<KernelArray>(item));
}

/// What calls of a kernel give for what its lambda returns.
template <class R> struct JitResult {
    static_assert(
        std::is_constructible_v<Value, const R&>,
        "kiln: a loop kernel returns nothing, Values, Scratch arrays, or a tuple of them");
    using type = Scalar;
};
template <> struct JitResult<void> {
    using type = void;
};
template <> struct JitResult<Scratch> {
    using type = Array;
};
template <class... R> struct JitResult<std::tuple<R...>> {
    using type = std::tuple<typename JitResult<R>::type...>;
};
template <class A, class B> struct JitResult<std::pair<A, B>> {
    using type = std::tuple<typename JitResult<A>::type, typename JitResult<B>::type>;
};

/// What a call inside of another kernel gives for what calls from outside give.
template <class R> struct TracedResult {
    using type = R;
};
template <> struct TracedResult<Scalar> {
    using type = Value;
};
template <> struct TracedResult<Array> {
    using type = InOut;
};
template <class... R> struct TracedResult<std::tuple<R...>> {
    using type = std::tuple<typename TracedResult<R>::type...>;
};

template <class R> void add_kernel_result(const R& result, std::vector<KernelItem>& into) {
    if constexpr (SeveralValues<R>)
        std::apply([&](const auto&... one) { (add_kernel_result(one, into), ...); }, result);
    else if constexpr (std::is_base_of_v<KernelArray, R>)
        into.emplace_back(static_cast<const KernelArray&>(result));
    else
        into.emplace_back(result_value(result));
}

/// The parameters and the result of a callable that is neither generic nor overloaded.
template <class F> struct KernelTraits {
    static_assert(always_false<F>,
                  "kiln: a loop kernel is a lambda whose parameters have types, not auto, and "
                  "which compiles (functions of Values are kiln's: kiln::sin(x), not std::sin(x))");
};
template <class R, class... P> struct KernelTraits<R(P...)> {
    using Result = R;
    static constexpr std::array<KernelParam, sizeof...(P)> kinds{kernel_param<P>()...};
    static std::vector<KernelParam> params() { return {kinds.begin(), kinds.end()}; }
    template <class F> static KernelFunction erase(F f) {
        return [f = std::move(f)](std::span<const KernelItem> items) mutable {
            std::vector<KernelItem> results;
            [&]<std::size_t... I>(std::index_sequence<I...>) {
                if constexpr (std::is_void_v<R>)
                    f(kernel_argument<P>(items[I])...);
                else
                    add_kernel_result<std::remove_cvref_t<R>>(f(kernel_argument<P>(items[I])...),
                                                              results);
            }(std::index_sequence_for<P...>());
            return results;
        };
    }
};
template <class F>
    requires requires { &F::operator(); }
struct KernelTraits<F> : KernelTraits<decltype(&F::operator())> {};
template <class R, class C, class... P>
struct KernelTraits<R (C::*)(P...) const> : KernelTraits<R(P...)> {};
template <class R, class C, class... P>
struct KernelTraits<R (C::*)(P...)> : KernelTraits<R(P...)> {};
template <class R, class... P> struct KernelTraits<R (*)(P...)> : KernelTraits<R(P...)> {};

/// One result of a call.
using JitValue = std::variant<Scalar, Array>;
}  // namespace detail
/// How parallel_diagnostics says it: for people, or as JSON.
enum class DiagnosticsFormat : std::uint8_t { text, json };

/// What Jit kernels have in common. Copies share their state, which is thread-safe.
class JitKernel {
  public:
    const std::string& name() const;  ///< as errors call it
    /// A text of the kernel for arguments of these types, contiguous, apart from each other, and 24
    /// MB or more together. Errors: usage (the number of types), and those of tracing.
    std::string inspect(Artifact artifact, std::initializer_list<ArgType> types,
                        std::source_location where = std::source_location::current()) const;
    /// The same of types that are found out at run time.
    std::string inspect(Artifact artifact, const std::vector<ArgType>& types,
                        std::source_location where = std::source_location::current()) const;
    /// The same of the code that a call with these arguments runs; with .specialise, that for their
    /// values. Nothing is computed.
    std::string inspect_call(Artifact artifact, std::initializer_list<JitArg> args,
                             std::source_location where = std::source_location::current()) const;
    /// Makes the code that a call with these arguments runs, or takes it from the disk cache; with
    /// .specialise, that for their values. Nothing is computed. Errors: those of a call but of what
    /// it computes.
    void compile_call(std::initializer_list<JitArg> args,
                      std::source_location where = std::source_location::current()) const;
    /// Makes the code that calls with such arguments run, or takes it from the disk cache: arrays that
    /// are contiguous and apart from each other, with no extent of 1, together below 24 MB; with
    /// .specialise, the code for any values. Errors: as of inspect.
    void compile(std::initializer_list<ArgType> types,
                 std::source_location where = std::source_location::current()) const;
    /// The same of types that are found out at run time.
    void compile(const std::vector<ArgType>& types,
                 std::source_location where = std::source_location::current()) const;
    /// Writes an object file with a C function for arguments of these types, and its header: see
    /// <kiln/export.h>. An array of rank r comes as its data, r extents, and r byte strides or null
    /// for C order; elements follow each other along the last axis. Arrays that are written overlap no
    /// others. Results that are Values come last, as pointers. What .specialise names is an argument like
    /// others. Errors: usage (the number of types; a
    /// name that C does not allow; a file that cannot be written), unsupported (kernels that return
    /// arrays, call functions of the program, or call elementary functions of SLEEF; targets but the CPU),
    /// and those of tracing.
    void export_object(std::initializer_list<ArgType> types, const std::string& object,
                       const ExportOptions& options = {},
                       std::source_location where = std::source_location::current()) const;
    /// The same of types that are found out at run time.
    void export_object(const std::vector<ArgType>& types, const std::string& object,
                       const ExportOptions& options = {},
                       std::source_location where = std::source_location::current()) const;
    /// The types of the calls that code was made for (of weak C++ values, what they become beside
    /// the others), the last ones last.
    std::vector<std::vector<ArgType>> specialisations() const;
    /// The same function as a kernel with other options, which compiles for itself.
    JitKernel varied(const Variation& variation) const;
    std::vector<Remark> remarks() const;
    Stats stats() const;
    /// With .verify: what the last call that this thread made of the kernel found, an entry for each
    /// array that the kernel writes and each result that differs, in their order. Empty where none
    /// does.
    std::vector<Difference> differences() const;
    /// What became of the parallel loops: how many there were and are, those that were fused, those
    /// that were not and why, temporary arrays that went. Level 0: the numbers alone; 2: also what
    /// moved out of loops, since each iteration would compute the same. Empty before the first call.
    /// Of a kernel that was compiled for several types and layouts: for each of them, in the order
    /// of their names; as JSON a list.
    std::string parallel_diagnostics(int level = 1,
                                     DiagnosticsFormat format = DiagnosticsFormat::text) const;

  protected:
    JitKernel(std::string name, std::vector<detail::KernelParam> params,
              detail::KernelFunction function, JitOptions options, std::source_location where);
    std::vector<detail::JitValue> call(std::span<const JitArg* const> args,
                                       std::source_location where) const;
    void call_in_place(std::span<const JitArg* const> args, std::source_location where) const;
    std::vector<detail::KernelItem> inline_call(std::span<const detail::KernelItem> args,
                                                std::source_location where) const;

  private:
    explicit JitKernel(Shared<detail::LoopKernelState> state);

    detail::SharedState<detail::LoopKernelState> state_;
};

/// A loop kernel whose calls give R: void, Scalar, Array, or a tuple of the latter two.
template <class R> class Jit : public JitKernel {
  public:
    using Where = std::source_location;                             ///< the user's line
    static constexpr std::size_t max_args = detail::max_arguments;  ///< of a call

    /// Runs the kernel; the first call with given dtypes, ranks and layouts compiles it. Arrays
    /// that the kernel writes must be writeable. Errors: usage (the number of arguments, a scalar
    /// for an array, a read-only array; differences beyond .verify_ulps), those of tracing, and
    /// what checked mode finds.
    R operator()(JitArg a0 = {}, JitArg a1 = {}, JitArg a2 = {}, JitArg a3 = {}, JitArg a4 = {},
                 JitArg a5 = {}, JitArg a6 = {}, JitArg a7 = {}, JitArg a8 = {}, JitArg a9 = {},
                 JitArg a10 = {}, JitArg a11 = {}, JitArg a12 = {}, JitArg a13 = {},
                 JitArg a14 = {}, JitArg a15 = {}, Where where = Where::current()) const {
        const JitArg* const all[] = {&a0, &a1, &a2,  &a3,  &a4,  &a5,  &a6,  &a7,
                                     &a8, &a9, &a10, &a11, &a12, &a13, &a14, &a15};
        return run(all, where);
    }
    // Apart, so that calls with few arguments do not make as many.
    R operator()(JitArg a0, JitArg a1, JitArg a2, JitArg a3, JitArg a4, JitArg a5, JitArg a6,
                 JitArg a7, JitArg a8, JitArg a9, JitArg a10, JitArg a11, JitArg a12, JitArg a13,
                 JitArg a14, JitArg a15, JitArg a16, JitArg a17 = {}, JitArg a18 = {},
                 JitArg a19 = {}, JitArg a20 = {}, JitArg a21 = {}, JitArg a22 = {},
                 JitArg a23 = {}, JitArg a24 = {}, JitArg a25 = {}, JitArg a26 = {},
                 JitArg a27 = {}, JitArg a28 = {}, JitArg a29 = {}, JitArg a30 = {},
                 JitArg a31 = {}, Where where = Where::current()) const {
        const JitArg* const all[] = {&a0,  &a1,  &a2,  &a3,  &a4,  &a5,  &a6,  &a7,
                                     &a8,  &a9,  &a10, &a11, &a12, &a13, &a14, &a15,
                                     &a16, &a17, &a18, &a19, &a20, &a21, &a22, &a23,
                                     &a24, &a25, &a26, &a27, &a28, &a29, &a30, &a31};
        return run(all, where);
    }

    /// The call inside of another kernel: the body becomes a part of that kernel, with the fastmath
    /// flags of its own, checked where the caller is. Scalar results are Values, arrays InOut.
    /// Slices and other array values that the kernel only reads are stored in an array first. Errors:
    /// usage (outside of a kernel; the number and kinds of arguments; an array that the
    /// caller only reads, for one that is written; a kernel that calls itself; return_ in the
    /// body).
    using Traced = typename detail::TracedResult<R>::type;
    template <class... A>
        requires(detail::TracedArguments<A...>)
    Traced operator()(TracedArg a, const A&... more) const {
        return traced({TracedNumber(a), TracedNumber(more, a.where())...});
    }
    /// The same with a C++ value first.
    template <Element T, class... A>
        requires(detail::TracedArguments<A...>)
    Traced operator()(T a, TracedArg b, const A&... more) const {
        return traced(
            {TracedNumber(a, b.where()), TracedNumber(b), TracedNumber(more, b.where())...});
    }

  private:
    R run(std::span<const JitArg* const> all, const Where& where) const {
        std::size_t count = 0;
        while (count < all.size() && !all[count]->is_none()) ++count;
        const std::span<const JitArg* const> args = all.first(count);
        if constexpr (std::is_void_v<R>) {
            call_in_place(args, where);
        } else {
            auto results = call(args, where);
            return take<R>(results);
        }
    }
    Traced traced(std::initializer_list<TracedNumber> args) const {
        auto results = inline_call(detail::items_of(args), args.begin()->where());
        if constexpr (!std::is_void_v<R>) {
            std::size_t next = 0;
            return take_traced<Traced>(results, next);
        }
    }
    template <class T>
    static T take_traced(const std::vector<detail::KernelItem>& results, std::size_t& next) {
        if constexpr (detail::SeveralValues<T>)
            return [&]<std::size_t... I>(std::index_sequence<I...>) {
                return T{take_traced<std::tuple_element_t<I, T>>(results, next)...};
            }(std::make_index_sequence<std::tuple_size_v<T>>());
        else if constexpr (std::is_same_v<T, Value>)
            return std::get<Value>(results[next++]);
        else
            return T(std::get<KernelArray>(results[next++]));
    }
    /// What jit does, of a name, a callable and the line that errors of it have.
    template <class F> friend auto make_jit(std::string, F, JitOptions, std::source_location);
    using JitKernel::JitKernel;

    template <class T> static T take(std::vector<detail::JitValue>& results) {
        if constexpr (detail::SeveralValues<T>)
            return [&]<std::size_t... I>(std::index_sequence<I...>) {
                return T(std::get<std::tuple_element_t<I, T>>(std::move(results[I]))...);
            }(std::make_index_sequence<std::tuple_size_v<T>>());
        else
            return std::get<T>(std::move(results[0]));
    }
};

template <class F>
auto make_jit(std::string name, F function, JitOptions options, std::source_location where) {
    using Traits = detail::KernelTraits<F>;
    using Result = typename detail::JitResult<std::remove_cvref_t<typename Traits::Result>>::type;
    return Jit<Result>(std::move(name), Traits::params(), Traits::erase(std::move(function)),
                       std::move(options), where);
}

/// A kernel of loops over arrays: see kiln/kernel.h for what the lambda is written with. Its
/// parameters are In, Out, InOut (arrays of any rank and dtype) and Value (scalars); what it
/// returns (Values, Scratch arrays) comes back as Scalars and Arrays. Nothing is compiled before
/// the first call. Errors: usage (.params), unsupported (options with .target).
template <class F>
auto jit(std::string name, F function, JitOptions options = {},
         std::source_location where = std::source_location::current()) {
    return make_jit(std::move(name), std::move(function), std::move(options), where);
}
template <class F>
    requires(!std::is_convertible_v<F, std::string>)
auto jit(F function, JitOptions options = {},
         std::source_location where = std::source_location::current()) {
    return make_jit("kernel", std::move(function), std::move(options), where);
}

}  // namespace kiln
