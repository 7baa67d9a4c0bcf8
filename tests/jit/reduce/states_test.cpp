// Reductions of arrays over axes by states of several values: against plain loops in wider types.
#include "tests/jit/support.h"
#include "tests/threads.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <tuple>
#include <vector>

using namespace kiln;
using kiln::test::at;
using kiln::test::error_of;
using kiln::test::Threads;
using kiln::test::values;

namespace {

auto moments() {
    return reduction("moments", std::tuple(0.0, 0.0, 0.0), [](auto a, auto b) {
        auto [na, mean_a, squares_a] = a;
        auto [nb, mean_b, squares_b] = b;
        const Value n = na + nb, d = mean_b - mean_a, share = nb / max(n, 1);
        return std::tuple(n, mean_a + d * share, squares_a + squares_b + d * d * na * share);
    });
}
MapReduce mean_and_variance(bool parallel = true) {
    return map_reduce(
        "mean_and_variance", [](Value x) { return std::tuple(1, x, 0); }, moments(),
        [](auto s) { return std::tuple(s[1], s[2] / s[0]); }, {.parallel = parallel});
}

Array normal(const Shape& shape, std::uint64_t seed) {
    std::mt19937_64 engine(seed);
    const Array x = empty(shape, f64);
    for (std::int64_t i = 0; i < x.size(); ++i)
        reinterpret_cast<double*>(x.data())[i] = std::normal_distribution<double>(3, 2)(engine);
    return x;
}

bool same_bits(const Array& a, const Array& b) {
    return a.shape() == b.shape() &&
           std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.nbytes())) == 0;
}

/// Against two passes in long double, along one axis of a matrix or along both (-1).
void check_matrix(const Array& x, int axis) {
    const std::int64_t rows = x.extent(0), columns = x.extent(1);
    const MapReduce f = mean_and_variance();
    std::vector<Array> got;
    for (const int threads : {1, 2, 3, 8}) {
        const Threads limit(threads);
        ReduceOptions options;
        if (axis >= 0) options.axis = axis;
        auto now = f.all(x, options);
        if (got.empty()) got = now;
        REQUIRE(now.size() == 2);
        CHECK(same_bits(now[0], got[0]));
        CHECK(same_bits(now[1], got[1]));
    }
    const std::int64_t results = axis < 0 ? 1 : axis == 0 ? columns : rows;
    REQUIRE(got[0].size() == results);
    double worst = 0;
    for (std::int64_t r = 0; r < results; ++r) {
        std::vector<double> cells;
        for (std::int64_t i = 0; i < x.size(); ++i)
            if (axis < 0 || (axis == 0 ? i % columns : i / columns) == r) cells.push_back(at(x, i));
        long double mean = 0, squares = 0;
        for (const double e : cells) mean += e;
        mean /= static_cast<long double>(cells.size());
        for (const double e : cells) squares += (e - mean) * (e - mean);
        squares /= static_cast<long double>(cells.size());
        worst = std::max({worst, std::fabs(at(got[0], r) - static_cast<double>(mean)),
                          std::fabs(at(got[1], r) - static_cast<double>(squares))});
    }
    CHECK(worst < 1e-12);
}

}  // namespace

TEST_CASE("states over axes: mean and variance", "[jit][reduce]") {
    for (const Shape& shape : {Shape{1, 1}, Shape{3, 5}, Shape{40, 33}, Shape{1, 20000},
                               Shape{20000, 1}, Shape{300, 700}}) {
        INFO(to_string(shape));
        const Array x = normal(shape, 3);
        for (const int axis : {-1, 0, 1}) check_matrix(x, axis);
    }
}

TEST_CASE("states over axes: any strides and axes, keepdims", "[jit][reduce]") {
    const Array x = normal({6, 7, 8}, 5);
    const MapReduce f = mean_and_variance();
    const auto mean_of = [&](const Array& a, const ReduceOptions& o) { return f.all(a, o)[0]; };
    const Array all = mean_of(x, {});
    CHECK(all.rank() == 0);
    const Array kept = mean_of(x, {.axis = {0, 2}, .keepdims = true});
    CHECK(kept.shape() == Shape{1, 7, 1});
    const Array moved = mean_of(x.transpose({2, 0, 1}), {.axis = {0, 1}});
    REQUIRE(moved.shape() == Shape{7});
    for (std::int64_t j = 0; j < 7; ++j) {
        long double mean = 0;
        for (std::int64_t i = 0; i < 6; ++i)
            for (std::int64_t k = 0; k < 8; ++k) mean += at(x, (i * 7 + j) * 8 + k);
        CHECK(std::fabs(at(kept, j) - static_cast<double>(mean / 48)) < 1e-13);
        CHECK(std::fabs(at(moved, j) - static_cast<double>(mean / 48)) < 1e-13);
    }
    // Backwards along an axis: the same elements.
    const Array back = mean_of(x.slice(2, {.step = -1}), {.axis = {0, 2}});
    for (std::int64_t j = 0; j < 7; ++j) CHECK(std::fabs(at(back, j) - at(kept, j)) < 1e-13);
}

TEST_CASE("states over axes: where, empty, several inputs, integers", "[jit][reduce]") {
    const std::int64_t low = std::numeric_limits<std::int64_t>::min();
    const auto top = reduction("top_two", std::array{low, low}, [](auto a, auto b) {
        return std::array{max(a[0], b[0]), max(min(a[0], b[0]), max(a[1], b[1]))};
    });
    const MapReduce f = map_reduce(
        "top_product", [=](Value x, Value y) { return std::array{x * y, Value(low)}; }, top);
    const std::vector<std::int64_t> x{5, -2, 7, 7, 1}, y{1, 100, 2, 3, 4};
    auto got = f.all(x, y);
    CHECK(values(got[0]) == std::vector<double>{21});
    CHECK(values(got[1]) == std::vector<double>{14});
    CHECK(got[0].dtype() == i64);
    const Array mask = empty({5}, DType::bool_);
    for (std::int64_t i = 0; i < 5; ++i) reinterpret_cast<bool*>(mask.data())[i] = i != 3;
    got = f.all(x, y, {.where = mask});
    CHECK(values(got[0]) == std::vector<double>{14});
    CHECK(values(got[1]) == std::vector<double>{5});
    got = f.all(std::vector<std::int64_t>{}, std::vector<std::int64_t>{});
    CHECK(got[0].scalar_at({}).get<std::int64_t>() == low);
    CHECK(got[1].scalar_at({}).get<std::int64_t>() == low);
}

TEST_CASE("states over axes: complex products, one result, out", "[jit][reduce]") {
    using Complex = std::complex<double>;
    const MapReduce product = map_reduce(
        "product", [](Value z) { return z; },
        reduction("product", Complex(1), [](Value a, Value b) { return a * b; }));
    const Array z = empty({3, 50}, DType::c128);
    std::vector<std::complex<long double>> want(3, 1);
    for (std::int64_t i = 0; i < 150; ++i) {
        const Complex e = std::polar(1.0, 0.1 * static_cast<double>(i));
        reinterpret_cast<Complex*>(z.data())[i] = e;
        want[static_cast<std::size_t>(i / 50)] *= std::complex<long double>(e);
    }
    const Array out = empty({3}, DType::c128);
    const Array got = product(z, {.axis = 1, .out = out});
    CHECK(got.data() == out.data());
    for (std::size_t r = 0; r < 3; ++r)
        CHECK(std::abs(std::complex<long double>(reinterpret_cast<Complex*>(out.data())[r]) -
                       want[r]) < 1e-14);
}

TEST_CASE("states over axes: errors", "[jit][reduce]") {
    const std::vector<double> x{1, 2, 3};
    const MapReduce f = mean_and_variance(false);
    Error e = error_of([&] { f(x); });
    CHECK(e.message() == "mean_and_variance has 2 results");
    CHECK(e.line() == __LINE__ - 2);
    e = error_of([&] { f.all(x, {.initial = 1.0}); });
    CHECK(
        e.message() ==
        "mean_and_variance takes no initial=: states of moments begin with their identity, in its "
        "types");
    const MapReduce wide = map_reduce(
        "wide", [](Value v) { return std::tuple(1, v, 0); },
        reduction("whole", std::tuple(std::int64_t(0), std::int64_t(0), std::int64_t(0)),
                  [](auto a, auto) { return a; }));
    e = error_of([&] { wide.all(x); });
    CHECK(e.kind() == ErrorKind::type);
    CHECK(e.message() == "f64 is no part of whole, which is i64, without narrowing");
}
