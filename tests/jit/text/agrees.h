// Functions of numbers as kernels from text, against the same functions as the compiler of the tests
// compiles them.
#pragma once
#include "tests/catch.h"

#include <kiln/kiln.h>
#include <kiln/text.h>

#include <cmath>
#include <complex>
#include <cstring>
#include <random>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

namespace kiln::test {

template <class T> constexpr bool is_complex_number = false;
template <class T> constexpr bool is_complex_number<std::complex<T>> = true;

/// Small numbers, those that meet, and those at the ends of the type where the function wraps.
template <class T> T number(std::mt19937& random) {
    if constexpr (is_complex_number<T>) {
        using Part = typename T::value_type;
        const auto part = [&] { return static_cast<Part>(static_cast<int>(random() % 401) - 200); };
        const Part re = part() / Part(64);
        return T(re, part() / Part(64));
    } else if constexpr (std::is_floating_point_v<T>) {
        return static_cast<T>(static_cast<int>(random() % 4001) - 2000) / T(64);
    } else {
        return static_cast<T>(static_cast<int>(random() % 41) - (std::is_signed_v<T> ? 20 : 0));
    }
}

template <class T> std::string said(const T& x) {
    if constexpr (is_complex_number<T>)
        return "(" + std::to_string(x.real()) + ", " + std::to_string(x.imag()) + ")";
    else
        return std::to_string(x);
}

template <class T> bool equal_bits(const T& a, const T& b) {
    if (std::memcmp(&a, &b, sizeof(T)) == 0) return true;
    if constexpr (std::is_floating_point_v<T>) return std::isnan(a) && std::isnan(b);
    return false;
}

template <class R, class... A>
void agrees(const text::Source& source, const std::string& name, R (*function)(A...),
            UfuncOptions options = {}) {
    INFO(name);
    std::mt19937 random(1);
    constexpr std::size_t count = 311;
    std::tuple<std::vector<A>...> inputs;
    std::apply(
        [&](auto&... in) {
            const auto fill = [&]<class T>(std::vector<T>& all) {
                for (std::size_t i = 0; i < count; ++i) all.push_back(number<T>(random));
            };
            (fill(in), ...);
        },
        inputs);
    const Ufunc kernel = text::vectorize(source, name, options);
    REQUIRE(kernel.nin() == sizeof...(A));
    const Array result = std::apply([&](const auto&... in) { return kernel(in...); }, inputs);
    REQUIRE(result.dtype() == dtype_of<R>);
    const auto got = result.template view<R, 1>();
    std::size_t different = 0;
    for (std::size_t n = 0; n < count; ++n) {
        const auto i = static_cast<std::int64_t>(n);
        const R expected =
            std::apply([&](const auto&... in) { return function(in[n]...); }, inputs);
        if (equal_bits<R>(expected, got(i)) || ++different > 3) continue;
        std::string arguments;
        std::apply([&](const auto&... in) { ((arguments += said(in[n]) + " "), ...); }, inputs);
        FAIL_CHECK(name << "(" << arguments << ") is " << said<R>(got(i)) << ", natively "
                        << said(expected));
    }
    CHECK(different == 0);
}

}  // namespace kiln::test
