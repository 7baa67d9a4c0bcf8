// Typed handles of ufuncs: calls that cost a few nanoseconds.
#pragma once
#include <kiln/arguments.h>
#include <kiln/dsl.h>
#include <kiln/environment.h>
#include <kiln/shared_state.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <source_location>
#include <span>
#include <type_traits>
#include <utility>

namespace kiln {

namespace detail {
class UfuncState;

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

}  // namespace kiln
