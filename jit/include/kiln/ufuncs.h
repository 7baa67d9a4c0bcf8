// Ready ufuncs: NumPy's, and all functions of the DSL, on arrays.
//
//     Array y = exp(-x * x);                               // functions and operators, as in kernels
//     Array m = ufunc::maximum.reduce(x, {.axis = 1});     // the ufuncs themselves, by NumPy's names
//     ufunc::add.at(counts, bins, 1);
//     using ufunc::logaddexp;
//     Array total = logaddexp.reduce(log_weights);
//
// Each is what vectorize makes of that one operation, with `.parallel`: the first call with given
// dtypes compiles. Nothing is made before that. The functions and operators are found by their
// arguments, so they get in the way of no other names; those of namespace kiln::ufunc are objects.
// All of them are stamped from ops.def, where each says what it does.
#pragma once
#include <kiln/vectorize.h>

#include <source_location>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace kiln {

namespace detail {

enum class Ready : std::uint8_t {
#define KILN_NAMED(id, arity, rule, cuda, doc) id,
#define KILN_FUNCTION(id, arity, rule, fold, sleef, cuda, ulp, fast_ulp, doc) id,
#define KILN_COMPOSITE(id, arity, results, doc) id,
#define KILN_UFUNC(id, arity, expression, doc) id,
#include <kiln/ops.def>
};

/// Makes it where it is not there yet.
const Ufunc& ready_ufunc(Ready which);
/// In a kernel. Errors: type.
Value trace_ready(Ready which, std::initializer_list<Operand> operands);

template <class T> inline constexpr bool is_array = std::is_base_of_v<Array, T>;
template <class T, std::size_t N> inline constexpr bool is_array<std::span<T, N>> = true;
template <class T, class A> inline constexpr bool is_array<std::vector<T, A>> = true;
/// Arguments of a call on arrays: one is an array, and each may be an argument.
template <class... A>
concept ArrayCall = (is_array<A> || ...) && (std::is_convertible_v<const A&, Arg> && ...);
/// Arguments of a call in a kernel.
template <class... A>
concept TracedCall = (std::is_base_of_v<Operand, A> || ...) &&
                     (std::is_constructible_v<Operand, const A&, std::source_location> && ...);

/// An operand of an operator on Arrays, with the line of the operator.
class ArrayOperand {
  public:
    using Where = std::source_location;  ///< the user's line
    template <class T>
        requires(std::is_convertible_v<const T&, Arg>)
    ArrayOperand(const T& operand, Where where = Where::current()) : arg(operand), where(where) {}

    Arg arg;
    Where where;
};

/// A handle on a ready ufunc. -> leads to all that a Ufunc has: ufunc::exp->resolve({x}).
class ReadyUfunc {
  public:
    using Where = std::source_location;  ///< the user's line
    constexpr explicit ReadyUfunc(Ready which) : which_(which) {}
    operator const Ufunc&() const { return ready_ufunc(which_); }
    const Ufunc* operator->() const { return &ready_ufunc(which_); }

  protected:
    const Ufunc& get() const { return ready_ufunc(which_); }
    Ready which_;
};
using TwoArrays = std::pair<Array, Array>;
inline TwoArrays as_pair(std::vector<Array>&& results) {
    return {std::move(results[0]), std::move(results[1])};
}

/// A ready ufunc of N arguments with R results.
template <int N, int R> class ReadyCall;

template <> class ReadyCall<1, 1> : public ReadyUfunc {
  public:
    using ReadyUfunc::ReadyUfunc;
    Array operator()(const Arg& a, const CallOptions& options = {},
                     Where where = Where::current()) const {
        return get()(a, options, where);
    }
    template <TracedCall A> Value operator()(const A& a, Where where = Where::current()) const {
        return trace_ready(which_, {Operand(a, where)});
    }
    /// See Ufunc::at.
    void at(const OutArg& x, const Indices& indices, Where where = Where::current()) const {
        get().at(x, indices, where);
    }
};

template <> class ReadyCall<1, 2> : public ReadyUfunc {
  public:
    using ReadyUfunc::ReadyUfunc;
    TwoArrays operator()(const Arg& a, const CallOptions& options = {},
                         Where where = Where::current()) const {
        return as_pair(get().all(a, options, where));
    }
};

template <> class ReadyCall<2, 2> : public ReadyUfunc {
  public:
    using ReadyUfunc::ReadyUfunc;
    TwoArrays operator()(const Arg& a, const Arg& b, const CallOptions& options = {},
                         Where where = Where::current()) const {
        return as_pair(get().all(a, b, options, where));
    }
};

template <> class ReadyCall<3, 1> : public ReadyUfunc {
  public:
    using ReadyUfunc::ReadyUfunc;
    Array operator()(const Arg& a, const Arg& b, const Arg& c, const CallOptions& options = {},
                     Where where = Where::current()) const {
        return get()(a, b, c, options, where);
    }
    template <class A, class B, class C>
        requires TracedCall<A, B, C>
    Value operator()(const A& a, const B& b, const C& c, Where where = Where::current()) const {
        return trace_ready(which_, {Operand(a, where), Operand(b, where), Operand(c, where)});
    }
};

template <> class ReadyCall<2, 1> : public ReadyUfunc {
  public:
    using ReadyUfunc::ReadyUfunc;
    Array operator()(const Arg& a, const Arg& b, const CallOptions& options = {},
                     Where where = Where::current()) const {
        return get()(a, b, options, where);
    }
    template <class A, class B>
        requires TracedCall<A, B>
    Value operator()(const A& a, const B& b, Where where = Where::current()) const {
        return trace_ready(which_, {Operand(a, where), Operand(b, where)});
    }
    /// See the methods of Ufunc.
    Array reduce(const Arg& x, const ReduceOptions& options = {},
                 Where where = Where::current()) const {
        return get().reduce(x, options, where);
    }
    Array accumulate(const Arg& x, const AccumulateOptions& options = {},
                     Where where = Where::current()) const {
        return get().accumulate(x, options, where);
    }
    Array reduceat(const Arg& x, const Arg& indices, const ReduceAtOptions& options = {},
                   Where where = Where::current()) const {
        return get().reduceat(x, indices, options, where);
    }
    Array outer(const Arg& a, const Arg& b, const CallOptions& options = {},
                Where where = Where::current()) const {
        return get().outer(a, b, options, where);
    }
    void at(const OutArg& x, const Indices& indices, const Arg& values,
            Where where = Where::current()) const {
        get().at(x, indices, values, where);
    }
};

}  // namespace detail

/// The ready ufuncs as objects, by the names of ops.def and NumPy's.
namespace ufunc {
#define KILN_READY(id, arity, results, of) \
    inline constexpr detail::ReadyCall<arity, results> id{detail::Ready::of};
#define KILN_NAMED(id, arity, rule, cuda, doc) KILN_READY(id, arity, 1, id)
#define KILN_FUNCTION(id, arity, rule, fold, sleef, cuda, ulp, fast_ulp, doc) \
    KILN_READY(id, arity, 1, id)
#define KILN_COMPOSITE(id, arity, results, doc) KILN_READY(id, arity, results, id)
#define KILN_UFUNC(id, arity, expression, doc) KILN_READY(id, arity, 1, id)
#define KILN_UFUNC_ALIAS(id, arity, of) KILN_READY(id, arity, 1, of)
#include <kiln/ops.def>
#undef KILN_READY
}  // namespace ufunc

// The functions of the DSL on arrays. One argument is an Array, a span or a vector; options and
// errors are those of calls of a Ufunc.
#define KILN_READY_1(id, result)                                              \
    template <detail::ArrayCall A>                                            \
    result id(const A& a, const CallOptions& options = {},                    \
              std::source_location where = std::source_location::current()) { \
        return ufunc::id(a, options, where);                                  \
    }
#define KILN_READY_2(id, result)                                              \
    template <class A, class B>                                               \
        requires detail::ArrayCall<A, B>                                      \
    result id(const A& a, const B& b, const CallOptions& options = {},        \
              std::source_location where = std::source_location::current()) { \
        return ufunc::id(a, b, options, where);                               \
    }
#define KILN_READY_3(id, result)                                                   \
    template <class A, class B, class C>                                           \
        requires detail::ArrayCall<A, B, C>                                        \
    result id(const A& a, const B& b, const C& c, const CallOptions& options = {}, \
              std::source_location where = std::source_location::current()) {      \
        return ufunc::id(a, b, c, options, where);                                 \
    }
#define KILN_READY_RESULTS_1 Array
#define KILN_READY_RESULTS_2 detail::TwoArrays
#define KILN_NAMED(id, arity, rule, cuda, doc) KILN_READY_##arity(id, Array)
#define KILN_FUNCTION(id, arity, rule, fold, sleef, cuda, ulp, fast_ulp, doc) \
    KILN_READY_##arity(id, Array)
#define KILN_COMPOSITE(id, arity, results, doc) KILN_READY_##arity(id, KILN_READY_RESULTS_##results)
#include <kiln/ops.def>
#undef KILN_READY_1
#undef KILN_READY_2
#undef KILN_READY_3
#undef KILN_READY_RESULTS_1
#undef KILN_READY_RESULTS_2

}  // namespace kiln
