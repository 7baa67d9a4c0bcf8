// Reductions with a state of their own: how two states of one or several values become one.
//
//     auto moments = reduction("moments", std::tuple(0.0, 0.0, 0.0), [](auto a, auto b) {
//         auto [na, mean_a, squares_a] = a;
//         auto [nb, mean_b, squares_b] = b;
//         Value n = na + nb, d = mean_b - mean_a, share = nb / max(n, 1.0);
//         return std::tuple(n, mean_a + d * share, squares_a + squares_b + d * d * na * share);
//     });
//     ...
//     Accumulator total(moments);                                   // in a kernel
//     for (Index i : prange(x.extent(0))) total.add(1.0, x(i), 0.0);
//     auto [n, mean, squares] = total.values();
//
// States combine in any grouping and order, by a tree that the number of iterations and the kind of
// CPU alone determine: the combination has to be associative and commutative (up to rounding), and
// the identity must change no state. Results have the same bits for any number of threads.
#pragma once
#include <kiln/dsl.h>
#include <kiln/function.h>
#include <kiln/shared.h>

#include <array>
#include <cstddef>
#include <initializer_list>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace kiln {

namespace ir {
struct Kernel;
}

namespace detail {

/// The parts of two states, one after the other, and what gets the parts of the combined one.
using CombineFunction = Function<void(std::span<const Value>, std::vector<Operand>&)>;

/// What a reduction is made of. Its types are those of the identity.
struct StateReduction {
    std::string name;
    std::vector<Scalar> identity;
    CombineFunction combine;
    std::source_location where;
};

inline constexpr std::size_t max_parts = 8;

template <class T>
concept TupleLike = requires { std::tuple_size<T>::value; };
template <class T> consteval std::size_t parts_of() {
    if constexpr (TupleLike<T>)
        return std::tuple_size_v<T>;
    else
        return 1;
}
template <class T> consteval bool is_identity() {
    if constexpr (TupleLike<T>)
        return []<std::size_t... I>(std::index_sequence<I...>) {
            return (Element<std::remove_cvref_t<std::tuple_element_t<I, T>>> && ...);
        }(std::make_index_sequence<std::tuple_size_v<T>>());
    else
        return Element<T>;
}

/// f(part) for each part of a state of N: a Value, a pair, tuple or array, or a struct of N members.
template <std::size_t N, class S, class F> void for_parts(const S& state, F&& f) {
    if constexpr (TupleLike<S>) {
        static_assert(std::tuple_size_v<S> == N,
                      "kiln: this state has not as many values as the reduction's identity");
        std::apply([&](const auto&... part) { (f(part), ...); }, state);
    } else if constexpr (N == 1) {
        f(state);
    } else {
        static_assert(
            std::is_aggregate_v<S>,
            "kiln: a state of several values is a std::tuple, pair or array of Values, or "
            "a struct of them");
        if constexpr (N == 2) {
            const auto& [a, b] = state;
            f(a), f(b);
        } else if constexpr (N == 3) {
            const auto& [a, b, c] = state;
            f(a), f(b), f(c);
        } else if constexpr (N == 4) {
            const auto& [a, b, c, d] = state;
            f(a), f(b), f(c), f(d);
        } else if constexpr (N == 5) {
            const auto& [a, b, c, d, e] = state;
            f(a), f(b), f(c), f(d), f(e);
        } else if constexpr (N == 6) {
            const auto& [a, b, c, d, e, g] = state;
            f(a), f(b), f(c), f(d), f(e), f(g);
        } else if constexpr (N == 7) {
            const auto& [a, b, c, d, e, g, h] = state;
            f(a), f(b), f(c), f(d), f(e), f(g), f(h);
        } else {
            const auto& [a, b, c, d, e, g, h, i] = state;
            f(a), f(b), f(c), f(d), f(e), f(g), f(h), f(i);
        }
    }
}

template <std::size_t N, class S>
void append_parts(const S& state, std::vector<Operand>& parts, std::source_location where) {
    for_parts<N>(state, [&](const auto& part) {
        static_assert(std::is_constructible_v<Operand, decltype(part), std::source_location>,
                      "kiln: what a state holds is no Value");
        parts.push_back(Operand(part, where));
    });
}

template <std::size_t N> std::array<Value, N> array_of(std::span<const Value> x) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
        return std::array<Value, N>{x[I]...};
    }(std::make_index_sequence<N>());
}

// The first parameter of a callable that is neither generic nor overloaded.
template <class R, class C, class A, class... B> A first_parameter(R (C::*)(A, B...));
template <class R, class C, class A, class... B> A first_parameter(R (C::*)(A, B...) const);
template <class R, class A, class... B> A first_parameter(R (*)(A, B...));
template <std::size_t N, class F> struct StateOf {
    using type = std::array<Value, N>;
};
template <std::size_t N, class F>
    requires(requires { first_parameter(&F::operator()); })
struct StateOf<N, F> {
    using type = std::remove_cvref_t<decltype(first_parameter(&F::operator()))>;
};
template <std::size_t N, class F>
    requires(requires(F f) { first_parameter(f); })
struct StateOf<N, F> {
    using type = std::remove_cvref_t<decltype(first_parameter(std::declval<F>()))>;
};

/// A state as a callable of states takes it.
template <std::size_t N, class F> auto make_state(std::span<const Value> x) {
    if constexpr (N == 1) {
        return x[0];
    } else {
        using S = typename StateOf<N, F>::type;
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            if constexpr (TupleLike<S>) {
                static_assert(std::tuple_size_v<S> == N,
                              "kiln: this callable takes a state with not as many values as the "
                              "reduction's identity");
                return S{x[I]...};
            } else {
                static_assert(std::is_constructible_v<S, decltype((void(I), x[0]))...> ||
                                  std::is_aggregate_v<S>,
                              "kiln: a state of several values is a std::tuple, pair or array of "
                              "Values, or a struct of them");
                return S{x[I]...};
            }
        }(std::make_index_sequence<N>());
    }
}

template <std::size_t N, class F>
CombineFunction erase_combine(F combine, std::source_location where) {
    return [combine = std::move(combine), where](std::span<const Value> both,
                                                 std::vector<Operand>& parts) mutable {
        auto a = make_state<N, F>(both.first(N)), b = make_state<N, F>(both.subspan(N));
        static_assert(std::is_invocable_v<F&, decltype(a), decltype(b)>,
                      "kiln: the combine of a reduction takes two states: of one value two Values, "
                      "of several two std::array, tuples or structs of Values (or auto)");
        append_parts<N>(combine(a, b), parts, where);
    };
}

/// An Accumulator without its number of parts.
class AccumulatorBase {
  public:
    AccumulatorBase(const AccumulatorBase&) = delete;
    AccumulatorBase& operator=(const AccumulatorBase&) = delete;

  protected:
    AccumulatorBase(Shared<const StateReduction> reduction, const std::source_location& where);
    ~AccumulatorBase() = default;
    void add(std::span<const Operand> state);
    Value part(std::size_t i, std::source_location where) const;

  private:
    Shared<const StateReduction> reduction_;
    Shared<const ir::Kernel> combine_;
    std::vector<Var> parts_;
};

}  // namespace detail

/// How two states of N values become one, made by reduction(). A handle; copies are the same one.
template <std::size_t N> class Reduction {
  public:
    static constexpr std::size_t parts = N;  ///< values of a state
    explicit Reduction(detail::StateReduction made)
        : made_(share<const detail::StateReduction>(std::move(made))) {}
    const std::string& name() const { return made_->name; }  ///< as errors call it
    /// What it is made of: for kernels, which hold it as long as they are there.
    const Shared<const detail::StateReduction>& state() const { return made_; }

  private:
    Shared<const detail::StateReduction> made_;
};

/// A reduction with the state that `identity` is: a C++ number, or a std::tuple, pair or array of up to
/// 8 of them, whose types are those of the state (f16 and bf16, which would round after every step,
/// are refused where it is used). `combine` takes two states and returns one: Values where there is one
/// value; else std::array<Value, N> where it is generic, or what it declares: arrays, tuples, or
/// structs of N Values. It is run when a kernel that uses it is traced, and computes: it has no
/// Vars, branches (write select), loops, arrays and calls of host functions. Errors, where it is
/// used: usage (the combine does any of these), type (a part of the result is wider than the state).
template <class I, class F>
auto reduction(std::string name, const I& identity, F combine,
               std::source_location where = std::source_location::current()) {
    static_assert(
        detail::is_identity<I>(),
        "kiln: the identity of a reduction is a C++ number, or a std::tuple, pair or array "
        "of them");
    constexpr std::size_t parts = detail::parts_of<I>();
    static_assert(parts >= 1 && parts <= detail::max_parts,
                  "kiln: the state of a reduction has 1 to 8 values");
    std::vector<Scalar> scalars;
    if constexpr (detail::TupleLike<I>)
        std::apply([&](const auto&... x) { (scalars.push_back(Scalar::of(x)), ...); }, identity);
    else
        scalars.push_back(Scalar::of(identity));
    return Reduction<parts>({std::move(name), std::move(scalars),
                             detail::erase_combine<parts>(std::move(combine), where), where});
}
template <class I, class F>
    requires(!std::is_convertible_v<I, std::string_view>)
auto reduction(const I& identity, F combine,
               std::source_location where = std::source_location::current()) {
    return reduction("reduction", identity, std::move(combine), where);
}

/// A state in a kernel, the identity at first. Where it is declared outside of a prange, iterations of
/// that only add to it: what it holds is known after the loop. Elsewhere states are combined in the
/// order that is written.
template <std::size_t N> class Accumulator : private detail::AccumulatorBase {
  public:
    using Where = std::source_location;  ///< the user's line
    explicit Accumulator(const Reduction<N>& reduction, Where where = Where::current())
        : AccumulatorBase(reduction.state(), where) {}

    /// Combines what it holds with a state: of its values, which widen to those of the identity, or
    /// as a whole. Errors: type (a value is wider), usage (a use in a prange besides).
    void add(Operand a)
        requires(N == 1)
    {
        add_all({a});
    }
    void add(Operand a, Operand b)
        requires(N == 2)
    {
        add_all({a, b});
    }
    void add(Operand a, Operand b, Operand c)
        requires(N == 3)
    {
        add_all({a, b, c});
    }
    void add(Operand a, Operand b, Operand c, Operand d)
        requires(N == 4)
    {
        add_all({a, b, c, d});
    }
    void add(Operand a, Operand b, Operand c, Operand d, Operand e)
        requires(N == 5)
    {
        add_all({a, b, c, d, e});
    }
    void add(Operand a, Operand b, Operand c, Operand d, Operand e, Operand f)
        requires(N == 6)
    {
        add_all({a, b, c, d, e, f});
    }
    void add(Operand a, Operand b, Operand c, Operand d, Operand e, Operand f, Operand g)
        requires(N == 7)
    {
        add_all({a, b, c, d, e, f, g});
    }
    void add(Operand a, Operand b, Operand c, Operand d, Operand e, Operand f, Operand g, Operand h)
        requires(N == 8)
    {
        add_all({a, b, c, d, e, f, g, h});
    }
    template <class S>
        requires(N > 1 && !std::is_convertible_v<const S&, Operand>)
    void add(const S& state, Where where = Where::current()) {
        std::vector<Operand> parts;
        detail::append_parts<N>(state, parts, where);
        AccumulatorBase::add(parts);
    }

    /// What it holds.
    std::array<Value, N> values(Where where = Where::current()) const {
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            return std::array<Value, N>{part(I, where)...};
        }(std::make_index_sequence<N>());
    }
    Value value(Where where = Where::current()) const
        requires(N == 1)
    {
        return part(0, where);
    }

  private:
    void add_all(std::initializer_list<Operand> parts) {
        AccumulatorBase::add(std::span(parts.begin(), parts.size()));
    }
};

}  // namespace kiln
