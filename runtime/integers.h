// Integers that are not negative, in whole steps.
#pragma once
#include <concepts>
#include <type_traits>

namespace kiln::detail {

template <std::integral T> constexpr T ceil_div(T n, std::type_identity_t<T> step) {
    return (n + step - 1) / step;
}
/// The least multiple of `step` that is not below n.
template <std::integral T> constexpr T round_up(T n, std::type_identity_t<T> step) {
    return ceil_div(n, step) * step;
}

}  // namespace kiln::detail
