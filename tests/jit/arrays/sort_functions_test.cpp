// sort, argsort, median, quantile, percentile: NumPy's rules along any axis.
#include "tests/jit/support.h"
#include "tests/runtime/check_error.h"
#include "tests/threads.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <random>

using namespace kiln;
using kiln::test::Threads;
using test::check_values;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
const double not_a_number = std::nan("");

Array numbers(const Shape& shape, DType dtype = f64) {
    std::mt19937 random(3);
    std::vector<double> values;
    for (std::int64_t i = 0; i < element_count(shape); ++i)
        values.push_back(static_cast<double>(random() % 1000));
    return Array(std::move(values)).reshape(shape).astype(dtype);
}

/// The elements along the last axis of x, for each index of the others.
std::vector<std::vector<double>> rows(const Array& x) {
    const std::vector<double> all = test::values(x);
    const auto n = static_cast<std::size_t>(x.extent(x.rank() - 1));
    std::vector<std::vector<double>> result;
    for (std::size_t i = 0; i < all.size(); i += n)
        result.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(i),
                            all.begin() + static_cast<std::ptrdiff_t>(i + n));
    return result;
}

}  // namespace

TEST_CASE("sort and argsort", "[jit][sort]") {
    const Array m = Array::of({{3, 1, 2}, {6, 5, 4}});
    check_values(sort(m), {1, 2, 3, 4, 5, 6});
    CHECK(sort(m).shape() == Shape{2, 3});
    check_values(sort(m, {.axis = 0}), {3, 1, 2, 6, 5, 4});
    check_values(sort(m.flip(0), {.axis = 0}), {3, 1, 2, 6, 5, 4});
    check_values(sort(m, {.axis = std::nullopt}), {1, 2, 3, 4, 5, 6});
    CHECK(sort(m, {.axis = std::nullopt}).shape() == Shape(6));
    check_values(m, {3, 1, 2, 6, 5, 4});
    check_values(argsort(m), {1, 2, 0, 2, 1, 0});
    CHECK(argsort(m).dtype() == i64);
    check_values(argsort(Array::of({2, 1, 2, 1})), {1, 3, 0, 2});
    check_values(argsort(m, {.axis = 0}), {0, 0, 0, 1, 1, 1});
    check_values(sort(Array::of({true, false, true})), {0, 1, 1});
    const Array x = sort(Array::of({1.0, not_a_number, -inf, inf}));
    check_values(x(Slice{0, 3, 1}), {-inf, 1, inf});
    CHECK(std::isnan(x.at<double>({3})));
    CHECK(sort(zeros({0})).shape() == Shape(0));
    CHECK(sort(zeros({3, 0}), {.axis = 0}).shape() == Shape{3, 0});

    const Array in_place = Array::of({3, 1, 2});
    sort(in_place, {.out = in_place});
    check_values(in_place, {1, 2, 3});
    sort(in_place, {.out = in_place.flip()});
    check_values(in_place, {3, 2, 1});

    const Array cube = numbers({5, 6, 7}), middle = sort(cube.transpose({2, 1, 0}), {.axis = 1}),
                order = argsort(cube, {.axis = 1});
    const auto before = rows(cube.transpose({2, 0, 1})), after = rows(middle.transpose({0, 2, 1}));
    REQUIRE(before.size() == after.size());
    for (std::size_t r = 0; r < before.size(); ++r) {
        std::vector<double> sorted = before[r];
        std::sort(sorted.begin(), sorted.end());
        CHECK(after[r] == sorted);
        const auto by = rows(order.transpose({2, 0, 1}))[r];
        for (std::size_t i = 0; i < by.size(); ++i)
            CHECK(before[r][static_cast<std::size_t>(by[i])] == sorted[i]);
    }
}

TEST_CASE("sort: the same for any number of threads", "[jit][sort]") {
    for (const Array& x : {numbers({200'000}, f32), numbers({300, 500}, i32)}) {
        std::vector<double> first, order;
        for (const int threads : {1, 2, 3, 8}) {
            const Threads scope(threads);
            const Array sorted = sort(x), by = argsort(x);
            if (first.empty()) {
                first = test::values(sorted);
                order = test::values(by);
            }
            CHECK(test::values(sorted) == first);
            CHECK(test::values(by) == order);
            CHECK(test::values(argsort(x, {.parallel = false})) == order);
        }
    }
}

TEST_CASE("median", "[jit][sort]") {
    const Array m = Array::of({{10, 7, 4}, {3, 2, 1}});
    check_values(median(m), {3.5});
    check_values(median(m, {.axis = 0}), {6.5, 4.5, 2.5});
    check_values(median(m, {.axis = 1}), {7, 2});
    CHECK(median(m, {.axis = 1, .keepdims = true}).shape() == Shape{2, 1});
    CHECK(median(m).dtype() == f64);
    CHECK(median(m.astype(f32)).dtype() == f32);
    CHECK(median(m.astype(f16)).dtype() == f16);
    check_values(median(Array::of({inf, inf})), {inf});
    check_values(median(Array::of({-inf, 5.0, inf})), {5});
    CHECK(std::isnan(median(Array::of({1.0, not_a_number})).item<double>()));
    CHECK(std::isnan(median(zeros({0})).item<double>()));
    CHECK(median(zeros({0, 3}), {.axis = 1}).shape() == Shape(0));
    check_values(m, {10, 7, 4, 3, 2, 1});
    const Array x = numbers({9, 8, 101});
    const auto all = rows(x.transpose({1, 0, 2}).copy().reshape({8, 909}));
    const std::vector<double> medians = test::values(median(x, {.axis = {0, 2}}));
    for (std::size_t r = 0; r < 8; ++r) {
        std::vector<double> sorted = all[r];
        std::sort(sorted.begin(), sorted.end());
        CHECK(medians[r] == sorted[454]);
    }
}

TEST_CASE("quantile and percentile", "[jit][sort]") {
    const Array m = Array::of({{10, 7, 4}, {3, 2, 1}});
    check_values(percentile(m, 50), {3.5});
    check_values(percentile(m, 50, {.axis = 0}), {6.5, 4.5, 2.5});
    check_values(quantile(m, {0.0, 0.5, 1.0}, {.axis = 1}), {4, 1, 7, 2, 10, 3});
    CHECK(quantile(m, {0.0, 0.5, 1.0}, {.axis = 1}).shape() == Shape{3, 2});
    CHECK(quantile(m, std::vector<double>{0.25}, {.axis = 1, .keepdims = true}).shape() ==
          Shape{1, 2, 1});
    check_values(quantile(Array::of({0.0, 10.0}), 0.1), {1});
    check_values(quantile(Array::of({0.0, 1.0, 4.0, 9.0}), 0.75), {5.25});
    check_values(quantile(Array::of({5}), 0.3), {5});
    CHECK(std::isnan(quantile(Array::of({5.0, not_a_number}), 0.0).item<double>()));
    const Array out = zeros({2}, f32);
    percentile(m, 100, {.axis = 1, .out = out});
    check_values(out, {10, 3});
    KILN_CHECK_ERROR(quantile(m, 1.5), usage, "quantile 1.5 is not in [0, 1]");
    KILN_CHECK_ERROR(percentile(m, {50.0, -1.0}), usage, "percentile -1 is not in [0, 100]");
    KILN_CHECK_ERROR(quantile(m, not_a_number), usage, "quantile nan is not in [0, 1]");
}

TEST_CASE("quantiles between the ends of the numbers", "[jit][sort]") {
    const double large = 1.7e308;
    check_values(quantile(Array::of({-large, large}), 0.5), {0});
    check_values(percentile(Array::of({-large, large}), {0, 25, 75, 100}),
                 {-large, -large / 2, large / 2, large});
    check_values(median(Array::of({-large, large})), {0});
    check_values(median(Array::of({0x1.8p1023, 0x1.fp1023})), {0x1.b8p1023});
    check_values(quantile(Array::of({-0x1.8p127F, 0x1.8p127F}), 0.5), {0});
    check_values(median(Array::of({0x1.8p127F, 0x1.fp127F})), {0x1.b8p127F});
    check_values(quantile(Array::of({-65504.0, 65504.0}).astype(f16), {0.25, 0.5}), {-32752, 0});
    check_values(quantile(Array::of({-3e38, 3e38}).astype(bf16), 0.5), {0});
    // Anywhere between a number and infinity is infinity.
    check_values(quantile(Array::of({1.0, 2.0, inf}), {0.5, 0.6, 0.75, 0.9, 1.0}),
                 {2, inf, inf, inf, inf});
    check_values(quantile(Array::of({-inf, 1.0}), {0.0, 0.25, 0.5, 0.75, 1.0}),
                 {-inf, -inf, -inf, -inf, 1});
    check_values(quantile(Array::of({1.0, inf, inf}), {0.25, 0.75}), {inf, inf});
    check_values(median(Array::of({1.0F, std::numeric_limits<float>::infinity()})), {inf});
    CHECK(std::isnan(quantile(Array::of({-inf, inf}), 0.25).item<double>()));
    CHECK(std::isnan(median(Array::of({-inf, inf})).item<double>()));
    // Integers beyond 2^53.
    check_values(median(Array::of({INT64_MIN, INT64_MAX})), {-0.5});
    check_values(quantile(Array::of({INT64_MIN, INT64_MAX, std::int64_t(3)}), {0.0, 0.5, 1.0}),
                 {-0x1p63, 3, 0x1p63});
    check_values(median(Array::of({(std::int64_t(1) << 53) + 1, (std::int64_t(1) << 53) + 3})),
                 {0x1p53 + 2});
    check_values(quantile(Array::of({std::uint64_t(0), UINT64_MAX}), {0.25, 0.5}),
                 {0x1p62, 0x1p63});
    check_values(quantile(Array::of({true, false}), 0.5), {0.5});
}

namespace {

/// Element q * (n - 1) of sorted numbers; what lies between two is theirs in long double.
long double exact_quantile(const std::vector<long double>& sorted, double q) {
    const double at = q * static_cast<double>(sorted.size() - 1);
    const auto low = static_cast<std::size_t>(at);
    const long double a = sorted[low], share = at - static_cast<double>(low);
    if (share == 0) return a;
    const long double b = sorted[low + 1];
    if (std::isinf(a) && std::isinf(b)) return a == b ? a : std::nanl("");
    return std::isinf(a) ? a : std::isinf(b) ? b : a + (b - a) * share;
}

template <class T> void check_random_quantiles(std::mt19937_64& random) {
    constexpr bool whole = std::is_integral_v<T>;
    const std::size_t n = random() % 7 + 1;
    std::vector<T> elements;
    std::vector<long double> sorted;
    for (std::size_t i = 0; i < n; ++i) {
        T x{};
        if constexpr (whole) {
            const T ends[] = {std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), T(0),
                              static_cast<T>(std::uint64_t(1) << 53)};
            const T away = static_cast<T>(random() >> (random() % 64));
            x = static_cast<T>(static_cast<std::uint64_t>(ends[random() % 4]) +
                               static_cast<std::uint64_t>(away));
        } else {
            const T ends[] = {std::numeric_limits<T>::max(), -std::numeric_limits<T>::max(),
                              std::numeric_limits<T>::infinity(), T(1)};
            const T share = static_cast<T>(static_cast<double>(random()) * 0x1p-64);
            x = random() % 8 == 0 ? -std::numeric_limits<T>::infinity()
                                  : ends[random() % 4] * share;
        }
        elements.push_back(x);
        sorted.push_back(static_cast<long double>(x));
    }
    if (std::ranges::any_of(sorted, [](long double x) { return std::isnan(x); })) return;
    std::ranges::sort(sorted);
    const double q = random() % 4 == 0 ? 0.5 : static_cast<double>(random()) * 0x1p-64;
    using R = std::conditional_t<whole, double, T>;
    const Array x = Array(elements);
    const Array results[] = {quantile(x, q), q == 0.5 ? median(x) : quantile(x.flip(), q)};
    for (const Array& got : results) {
        CHECK(got.dtype() == dtype_of<R>);
        const long double value = static_cast<long double>(got.item<R>());
        const long double exact = exact_quantile(sorted, q);
        INFO("q " << q << " of " << n << " got " << static_cast<double>(value) << " exact "
                  << static_cast<double>(exact));
        if (std::isnan(exact)) {
            CHECK(std::isnan(value));
        } else if (std::isinf(exact)) {
            CHECK(value == exact);
        } else {
            long double scale = std::abs(exact);
            for (const long double e : sorted)
                if (!std::isinf(e)) scale = std::max(scale, std::abs(e));
            CHECK(std::abs(value - exact) <=
                  4 * static_cast<long double>(std::numeric_limits<R>::epsilon()) * scale);
        }
    }
}

}  // namespace

TEST_CASE("random quantiles, against long double", "[jit][sort][random]") {
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    for (int round = 0; round < 200; ++round) {
        check_random_quantiles<double>(random);
        check_random_quantiles<float>(random);
        check_random_quantiles<std::int64_t>(random);
        check_random_quantiles<std::uint64_t>(random);
        check_random_quantiles<std::int32_t>(random);
        check_random_quantiles<std::uint8_t>(random);
    }
}

TEST_CASE("sort and quantiles: errors", "[jit][sort]") {
    const Array m = ones({2, 3});
    KILN_CHECK_ERROR(sort(m, {.axis = 2}), bounds,
                     "axis 2 of sort is out of bounds for an array of rank 2");
    KILN_CHECK_ERROR(argsort(m, {.axis = -3}), bounds,
                     "axis -3 of argsort is out of bounds for an array of rank 2");
    KILN_CHECK_ERROR(sort(m, {.out = zeros({3, 2})}), shape,
                     "the output of sort has shape (3,2), its result (2,3)");
    KILN_CHECK_ERROR(argsort(m, {.out = zeros({2, 3}, u8)}), type,
                     "cannot cast output of argsort from i64 to u8 under same_kind");
    KILN_CHECK_ERROR(median(m, {.axis = 5}), bounds,
                     "axis 5 of median is out of bounds for an array of rank 2");
    KILN_CHECK_ERROR(quantile(m.astype(c64), 0.5), type,
                     "quantile of c64: complex numbers have no order");
}

TEST_CASE("median of complex numbers: the middle by real parts, then by imaginary ones",
          "[jit][arrays]") {
    using Z = std::complex<double>;
    const auto is = [](const Array& got, std::initializer_list<Z> want) {
        REQUIRE(got.size() == static_cast<std::int64_t>(want.size()));
        CHECK(all(got.reshape({got.size()}) == Array::of(want)).item<bool>());
    };
    const Array x = Array::of({{Z(3, 0), Z(1, 2), Z(1, -4)}, {Z(0, 8), Z(2, 2), Z(2, 6)}});
    for (const DType t : {c64, c128}) {
        is(median(x.astype(t)), {Z(1.5, 2)});  // of (1, 2) and (2, 2)
        is(median(x.astype(t), {.axis = 1}), {Z(1, 2), Z(2, 2)});
        is(median(x.astype(t), {.axis = 0, .keepdims = true}), {Z(1.5, 4), Z(1.5, 2), Z(1.5, 1)});
        CHECK(median(x.astype(t)).dtype() == t);
    }
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const Array bad = median(Array::of({Z(1, 0), Z(2, nan), Z(3, 0)}));
    CHECK(std::isnan(bad.item<Z>().imag()));
    const Array none = zeros({0}, c128);
    CHECK(std::isnan(median(none).item<Z>().real()));
    CHECK(std::isnan(median(none).item<Z>().imag()));
}
