// What kernels hold of a lambda that computes one element: Values in, Values out.
#pragma once
#include <kiln/arguments.h>
#include <kiln/dsl.h>
#include <kiln/function.h>

#include <array>
#include <cstddef>
#include <source_location>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace kiln {

namespace detail {

/// What a ufunc holds of the user's lambda: Values in, Values out, run once per specialisation.
using ElementFunction = Function<void(std::span<const Value>, std::vector<Value>&)>;

template <std::size_t> using AsValue = const Value&;
template <class F, std::size_t... I> consteval bool takes_values(std::index_sequence<I...>) {
    return std::is_invocable_v<F&, AsValue<I>...>;
}
inline constexpr std::size_t max_arity = max_arguments - 1;

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
/// Appends to `out`: here, so that a user's file need not instantiate what a vector grows by.
void append_result(Value result, std::vector<Value>& out);
template <class R> void append_results(const R& results, std::vector<Value>& out) {
    if constexpr (SeveralValues<R>) {
        std::apply([&](const auto&... result) { (append_results(result, out), ...); }, results);
    } else {
        static_assert(
            std::is_constructible_v<Value, const R&>,
            "kiln: an element-wise kernel returns a Value, or a pair, tuple or array of Values");
        append_result(result_value(results), out);
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

}  // namespace detail

}  // namespace kiln
