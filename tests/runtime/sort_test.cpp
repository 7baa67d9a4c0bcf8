// Sorting elements of any dtype: the order of numbers, NaN, zeros; positions; selection; threads.
#include "runtime/sort.h"

#include <kiln/array.h>
#include <kiln/parallel.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <random>

#include "tests/catch.h"

using namespace kiln;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

template <class T> std::vector<T> random_elements(std::size_t n) {
    std::mt19937_64 random(5);
    std::vector<T> x(n);
    for (T& value : x) {
        if constexpr (std::is_floating_point_v<T>) {
            value = static_cast<T>(static_cast<double>(random() % 2000) / 8 - 125);
        } else {
            value = static_cast<T>(random());
        }
    }
    return x;
}

template <class T> void sort(std::vector<T>& x, bool parallel = false) {
    detail::sort_elements(dtype_of<T>, reinterpret_cast<std::byte*>(x.data()),
                          static_cast<std::int64_t>(x.size()), parallel);
}
template <class T> std::vector<std::int64_t> positions(const std::vector<T>& x,
                                                       bool parallel = false) {
    std::vector<std::int64_t> result(x.size());
    detail::sort_positions(dtype_of<T>, reinterpret_cast<const std::byte*>(x.data()),
                           static_cast<std::int64_t>(x.size()), result.data(), parallel);
    return result;
}

}  // namespace

TEMPLATE_TEST_CASE("elements are sorted as the library sorts them", "[runtime][sort]", std::int8_t,
                   std::uint8_t, std::int16_t, std::uint16_t, std::int32_t, std::uint32_t,
                   std::int64_t, std::uint64_t, float, double) {
    const int before = num_threads();
    for (const std::size_t n : {0U, 1U, 2U, 1000U, 50'000U}) {
        const std::vector<TestType> x = random_elements<TestType>(n);
        std::vector<TestType> expected = x;
        std::sort(expected.begin(), expected.end());
        std::vector<std::int64_t> order(n);
        for (std::size_t i = 0; i < n; ++i) order[i] = static_cast<std::int64_t>(i);
        std::sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
            const TestType p = x[static_cast<std::size_t>(a)], q = x[static_cast<std::size_t>(b)];
            return p < q || (p == q && a < b);
        });
        for (const int threads : {1, 2, 3, 8}) {
            set_num_threads(threads);
            std::vector<TestType> sorted = x;
            sort(sorted, true);
            CHECK(sorted == expected);
            CHECK(positions(x, true) == order);
        }
    }
    set_num_threads(before);
}

TEST_CASE("NaN come last, zeros by sign", "[runtime][sort]") {
    const double nan = std::nan("");
    std::vector<double> x{nan, inf, -0.0, -nan, 0.0, -inf, -1, -0.0, 1};
    CHECK(positions(x) == std::vector<std::int64_t>{5, 6, 2, 4, 7, 8, 1, 0, 3});
    sort(x);
    const std::vector<double> numbers(x.begin(), x.begin() + 7);
    CHECK(numbers == std::vector<double>{-inf, -1, -0.0, -0.0, 0.0, 1, inf});
    CHECK(std::signbit(x[2]));
    CHECK(std::signbit(x[3]));
    CHECK_FALSE(std::signbit(x[4]));
    CHECK(std::isnan(x[7]));
    CHECK(std::isnan(x[8]));

    std::vector<float16> half{float16(2.0F), float16(-3.0F), float16(std::nanf("")), float16(0.5F)};
    CHECK(positions(half) == std::vector<std::int64_t>{1, 3, 0, 2});
    sort(half);
    CHECK(static_cast<float>(half[0]) == -3);
    CHECK(static_cast<float>(half[2]) == 2);
}

TEST_CASE("complex numbers by real, then by imaginary part", "[runtime][sort]") {
    const double nan = std::nan("");
    using C = std::complex<double>;
    std::vector<C> x{{2, 1}, {nan, 0}, {1, 5}, {1, nan}, {1, -5}, {0, 9}};
    CHECK(positions(x) == std::vector<std::int64_t>{5, 4, 2, 0, 3, 1});
    sort(x);
    CHECK(x[0] == C(0, 9));
    CHECK(x[1] == C(1, -5));
    CHECK(x[2] == C(1, 5));
    CHECK(x[3] == C(2, 1));
    CHECK(x[4].real() == 1);
    CHECK(std::isnan(x[5].real()));
}

TEST_CASE("selection puts elements where sorting would", "[runtime][sort]") {
    const std::vector<double> x = random_elements<double>(5000);
    std::vector<double> sorted = x;
    std::sort(sorted.begin(), sorted.end());
    const std::vector<std::int64_t> at{0, 0, 17, 18, 2500, 4999};
    std::vector<double> selected = x;
    detail::select_elements(selected.data(), 5000, at);
    for (const std::int64_t i : at)
        CHECK(selected[static_cast<std::size_t>(i)] == sorted[static_cast<std::size_t>(i)]);
}
