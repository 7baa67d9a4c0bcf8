// histogram: NumPy's rules of edges, weights, density; a plain loop over the edges; threads.
#include "tests/jit/support.h"
#include "tests/runtime/check_error.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

using namespace kiln;
using test::check_values;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
const double not_a_number = std::nan("");

Array numbers(std::int64_t n, DType dtype) {
    std::mt19937 random(9);
    std::vector<double> values;
    for (std::int64_t i = 0; i < n; ++i) {
        const double x = static_cast<double>(random()) / 4294967296.0;
        values.push_back(is_real(dtype) ? 10 * x * x : std::floor(100 * x));
    }
    return Array(std::move(values)).astype(dtype);
}

/// Counts by the definition: a comparison with every edge.
std::vector<double> counted(const Array& x, const Array& edges) {
    const std::vector<double> values = test::values(x), limits = test::values(edges);
    std::vector<double> counts(limits.size() - 1);
    for (const double v : values) {
        for (std::size_t b = 0; b < counts.size(); ++b) {
            const bool last = b + 1 == counts.size();
            if (v >= limits[b] && (v < limits[b + 1] || (last && v == limits[b + 1]))) ++counts[b];
        }
    }
    return counts;
}

}  // namespace

TEST_CASE("histogram: NumPy's rules", "[jit][histogram]") {
    const Histogram h = histogram(Array::of({1.0, 2.0, 1.0}), std::vector<double>{0, 1, 2, 3});
    check_values(h.counts, {0, 2, 1});
    CHECK(h.counts.dtype() == i64);
    check_values(h.edges, {0, 1, 2, 3});
    // The last bin is closed on the right, the others are not.
    check_values(histogram(arange(4), {0.0, 1.0, 3.0}).counts, {1, 3});
    check_values(histogram(arange(5), 4).counts, {1, 1, 1, 2});
    check_values(histogram(arange(5), 4).edges, {0, 1, 2, 3, 4});
    CHECK(histogram(arange(5)).counts.size() == 10);
    check_values(histogram(full({3}, 2.0), 2).edges, {1.5, 2, 2.5});
    check_values(histogram(full({3}, 2.0), 2).counts, {0, 3});
    check_values(histogram(zeros({0}), 2).edges, {0, 0.5, 1});
    check_values(histogram(zeros({0}), 2).counts, {0, 0});
    check_values(histogram(arange(10), 2, {.range = {{2, 4}}}).counts, {1, 2});
    check_values(histogram(Array::of({1.0, not_a_number, inf, 2.0}), 2, {.range = {{0, 4}}}).counts,
                 {1, 1});
    check_values(histogram(Array::of({{1, 2}, {3, 4}}), 3).counts, {1, 1, 2});
    check_values(histogram(Array::of({true, false, true}), 2).counts, {1, 2});
    const Array w = Array::of({0.5, 2.0, 4.0});
    check_values(histogram(Array::of({1, 2, 1}), {0.0, 1.5, 3.0}, {.weights = w}).counts, {4.5, 2});
    const Histogram density = histogram(arange(4), {0.0, 1.0, 3.0}, {.density = true});
    check_values(density.counts, {0.25, 0.375});
    CHECK(density.counts.dtype() == f64);
    CHECK(histogram(ones({3}, f32)).edges.dtype() == f32);
    // Bins without width.
    check_values(histogram(Array::of({1.0, 1.0, 2.0}), {0.0, 1.0, 1.0, 2.0}).counts, {0, 0, 3});
}

TEST_CASE("histogram: every element between its edges", "[jit][histogram]") {
    for (const DType dtype : {f64, f32, i32, u8}) {
        const Array x = numbers(20'000, dtype);
        for (const int bins : {1, 3, 10, 100, 257}) {
            const Histogram h = histogram(x, bins);
            CHECK(test::values(h.counts) == counted(x, h.edges));
            const Histogram part = histogram(x, bins, {.range = {{0.1, 0.7}}});
            CHECK(test::values(part.counts) == counted(x, part.edges));
        }
        const Histogram uneven = histogram(x, {0.25, 0.5, 3.0, 3.5, 9.0});
        CHECK(test::values(uneven.counts) == counted(x, uneven.edges));
    }
    // Elements at the edges themselves, where a product rounds to the wrong side.
    for (const int bins : {7, 10, 49, 1000}) {
        const Histogram grid = histogram(linspace(0.1, 0.9, bins + 1), bins);
        std::vector<double> one_each(static_cast<std::size_t>(bins), 1);
        one_each.back() = 2;
        CHECK(test::values(grid.counts) == one_each);
    }
}

TEST_CASE("histogram: constants, and ranges at the ends of the numbers", "[jit][histogram]") {
    const auto all_in = [](const Array& x, int bins, const HistogramOptions& options = {}) {
        const Histogram h = histogram(x, bins, options);
        const std::vector<double> edges = test::values(h.edges);
        for (std::size_t b = 0; b + 1 < edges.size(); ++b) CHECK(edges[b] < edges[b + 1]);
        CHECK(std::isfinite(edges.front()));
        CHECK(std::isfinite(edges.back()));
        CHECK(test::values(h.counts) == counted(x, h.edges));
        CHECK(sum(h.counts).item<std::int64_t>() == x.size());
    };
    constexpr float f_max = std::numeric_limits<float>::max();
    constexpr double d_max = std::numeric_limits<double>::max();
    for (const Array& x : {full({5}, 0x1p24F), full({5}, 1e17), full({5}, std::int64_t(1) << 60),
                           full({5}, UINT64_MAX), full({5}, f_max), full({5}, -f_max),
                           full({5}, d_max), full({5}, -d_max), full({5}, 0.0), full({5}, 5e-324),
                           full({5}, INT64_MIN), full({5}, true), full({3}, f16(65504.0))}) {
        all_in(x, 1);
    }
    all_in(full({5}, 1e17), 2);  // from the number before to the one after
    for (const int bins : {1, 2, 5, 10}) {
        all_in(full({5}, 8388607.0F), bins > 1 ? 2 : 1);
        all_in(Array::of({-d_max, d_max, 0.0, 1.0}), bins);
        all_in(Array::of({1.0, 2.0, -1e308}), bins, {.range = {{-1.7e308, 1.7e308}}});
        all_in(Array::of({INT64_MIN, INT64_MAX, std::int64_t(0)}), bins);
        all_in(Array::of({std::uint64_t(0), UINT64_MAX}), bins);
        all_in(Array::of({-f_max, f_max}), bins);
        all_in(Array::of({0.0, 1e-310}), bins);
    }
    all_in(Array::of({0.0, 5e-324}), 1);
    all_in(Array::of({1e16, 1e16 + 2}), 1);
    // The width of the only bin is over the largest number.
    check_values(
        histogram(Array::of({1.0, 2.0}), 1, {.range = {{-1e308, 1e308}}, .density = true}).counts,
        {0.5e-308});
    check_values(histogram(Array::of({1.0}), std::vector<double>{1}).counts, {});
}

TEST_CASE("histogram: more bins than numbers", "[jit][histogram]") {
    KILN_CHECK_ERROR(
        histogram(Array::of({1e16, 1e16 + 2})), usage,
        "too many bins for the range of histogram: between 1e+16 and "
        "1.0000000000000002e+16 there are not 11 different numbers of f64 for the edges");
    KILN_CHECK_ERROR(
        histogram(full({4}, 0x1p24F), 3), usage,
        "too many bins for the range of histogram: between 16777215 and 16777218 there "
        "are not 4 different numbers of f32 for the edges");
    KILN_CHECK_ERROR(
        histogram(full({4}, std::int64_t(1) << 60)), usage,
        "too many bins for the range of histogram: between 1.1529215046068468e+18 and "
        "1.1529215046068472e+18 there are not 11 different numbers of f64 for the edges");
    KILN_CHECK_ERROR(histogram(ones({3}, f32), 2, {.range = {{0, 1e300}}}), usage,
                     "the range of histogram is [0, 1e+300], which f32 cannot represent");
    KILN_CHECK_ERROR(histogram(ones({3}), 2, {.range = {{not_a_number, 1}}}), usage,
                     "the range of histogram is [nan, 1], which is not finite");
}

TEST_CASE("histogram: random ranges of every size", "[jit][histogram][random]") {
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const auto draw = [&] { return static_cast<double>(random()) * 0x1p-64; };
    for (int round = 0; round < 300; ++round) {
        const bool single = random() % 2 == 0;
        const int most = single ? 127 : 1023;
        const double length = std::ldexp(
            1 + draw(),
            static_cast<int>(random() % 2U != 0 ? random() % 60 : random() % (2U * most)) - most);
        const double away = random() % 3 == 0
                                ? 0
                                : std::ldexp(draw() - 0.5, most - static_cast<int>(random() % 200));
        std::vector<double> elements;
        const std::size_t n = random() % 50 + 1;
        for (std::size_t i = 0; i < n; ++i) {
            const double x = away + (draw() - 0.5) * length;
            if (std::isfinite(x) && (!single || std::abs(x) < 3e38)) elements.push_back(x);
        }
        if (elements.empty()) continue;
        const Array x = Array(elements).astype(single ? f32 : f64);
        const int bins = static_cast<int>(random() % 20) + 1;
        INFO("away " << away << " length " << length << " bins " << bins << " of " << x.size());
        try {
            const Histogram h = histogram(x, bins);
            CHECK(test::values(h.counts) == counted(x, h.edges));
            CHECK(sum(h.counts).item<std::int64_t>() == x.size());
            const std::vector<double> edges = test::values(h.edges);
            CHECK(std::ranges::adjacent_find(edges, std::greater_equal<>()) == edges.end());
        } catch (const Error& e) {
            // Only where a bin is hardly wider than the distance of two numbers.
            const double low = test::at(amin(x), 0), high = test::at(amax(x), 0);
            const double large = std::max(std::abs(low), std::abs(high));
            const double apart =
                single ? double(std::nextafter(static_cast<float>(large), INFINITY)) - large
                       : std::nextafter(large, 0.0) - large;
            CHECK(e.message().starts_with("too many bins for the range of histogram"));
            CHECK((high - low) / bins < 2 * std::abs(apart));
        }
    }
}

TEST_CASE("histogram: the same bits for any number of threads", "[jit][histogram]") {
    const Array x = numbers(1'000'000, f64), weights = numbers(1'000'000, f32);
    std::vector<double> counts, sums;
    const int before = num_threads();
    for (const int threads : {1, 2, 3, 8}) {
        set_num_threads(threads);
        const auto now = test::values(histogram(x, 64).counts),
                   weighted = test::values(histogram(x, 64, {.weights = weights}).counts);
        if (counts.empty()) {
            counts = now;
            sums = weighted;
        }
        CHECK(now == counts);
        CHECK(weighted == sums);
    }
    set_num_threads(before);
    double total = 0;
    for (const double n : counts) total += n;
    CHECK(total == 1'000'000);
}

TEST_CASE("histogram: errors", "[jit][histogram]") {
    const Array x = ones({3});
    KILN_CHECK_ERROR(histogram(x, 0), usage, "histogram of 0 bins");
    KILN_CHECK_ERROR(histogram(x, std::vector<double>{}), usage, "histogram with no edges");
    KILN_CHECK_ERROR(histogram(x, {1.0, 3.0, 2.0}), usage,
                     "the edges of histogram do not ascend: 3 comes before 2");
    KILN_CHECK_ERROR(histogram(x, 2, {.range = {{2, 1}}}), usage,
                     "the range of histogram is from 2 to 1");
    KILN_CHECK_ERROR(histogram(Array::of({1.0, inf})), usage,
                     "the range of histogram is [1, inf], which is not finite");
    KILN_CHECK_ERROR(histogram(Array::of({1.0, not_a_number})), usage,
                     "the range of histogram is [nan, nan], which is not finite");
    KILN_CHECK_ERROR(histogram(x.astype(c64)), type,
                     "histogram of c64: complex numbers have no order");
    KILN_CHECK_ERROR(histogram(x, 2, {.weights = ones({2})}), shape,
                     "weights of histogram have shape (2,), its array (3,)");
}
