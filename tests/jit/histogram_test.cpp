// histogram: NumPy's rules of edges, weights, density; a plain loop over the edges; threads.
#include "tests/jit/support.h"
#include "tests/runtime/check_error.h"

#include <cmath>
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
    KILN_CHECK_ERROR(histogram(x, std::vector<double>{1}), usage, "histogram with 1 edges");
    KILN_CHECK_ERROR(histogram(x, {1.0, 3.0, 2.0}), usage, "the edges of histogram do not ascend");
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
