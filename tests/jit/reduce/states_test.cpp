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

namespace {

/// log(exp(a) + exp(b)) and so on, kept as the greatest and the sum of what is relative to it.
MapReduce log_sum_exp() {
    const double low = -std::numeric_limits<double>::infinity();
    return map_reduce(
        "log_sum_exp", [](Value x) { return std::tuple(x, 1.0); },
        reduction("log_sum_exp", std::tuple(low, 0.0),
                  [](auto a, auto b) {
                      auto [top_a, sum_a] = a;
                      auto [top_b, sum_b] = b;
                      const Value top = max(top_a, top_b);
                      return std::tuple(
                          top, sum_a * exp(min(top_a - top, 0)) + sum_b * exp(min(top_b - top, 0)));
                  }),
        [](auto s) { return s[0] + log(s[1]); }, {.parallel = true});
}

/// The elements along an axis of an array of two dimensions, one list a result.
std::vector<std::vector<double>> lines(const Array& x, int axis) {
    std::vector<std::vector<double>> all(static_cast<std::size_t>(x.extent(1 - axis)));
    for (std::int64_t i = 0; i < x.extent(0); ++i)
        for (std::int64_t j = 0; j < x.extent(1); ++j)
            all[static_cast<std::size_t>(axis == 0 ? j : i)].push_back(x.at<double>({i, j}));
    return all;
}

}  // namespace

TEST_CASE("states along an axis: running mean and variance, any layout, any threads",
          "[jit][reduce]") {
    const Array base = normal({23, 31}, 7);
    for (const Array& x : {base, base.transpose(), base.flip(0), base.slice(1, {.step = 2}),
                           normal({3, 5000}, 8), normal({5000, 3}, 9)}) {
        for (const int axis : {0, 1}) {
            INFO(to_string(x.shape()) << ", axis " << axis);
            const MapReduce f = mean_and_variance();
            std::vector<Array> got;
            for (const int threads : {1, 2, 3, 8}) {
                const Threads limit(threads);
                std::vector<Array> now = f.accumulate_all({x}, {.axis = axis});
                REQUIRE(now.size() == 2);
                REQUIRE(now[0].shape() == x.shape());
                if (got.empty()) got = now;
                CHECK(values(now[0]) == values(got[0]));
                CHECK(values(now[1]) == values(got[1]));
            }
            const auto elements = lines(x, axis), means = lines(got[0], axis),
                       variances = lines(got[1], axis);
            double worst = 0;
            for (std::size_t l = 0; l < elements.size(); ++l) {
                long double sum = 0, squares = 0;
                for (std::size_t i = 0; i < elements[l].size(); ++i) {
                    sum += elements[l][i];
                    squares += static_cast<long double>(elements[l][i]) * elements[l][i];
                    const long double n = static_cast<long double>(i + 1), mean = sum / n;
                    worst = std::max({worst, std::fabs(means[l][i] - static_cast<double>(mean)),
                                      std::fabs(variances[l][i] -
                                                static_cast<double>(squares / n - mean * mean))});
                }
            }
            CHECK(worst < 1e-12);
        }
    }
}

TEST_CASE("states along an axis: log-sum-exp, over axes and running", "[jit][reduce]") {
    const Array x = normal({6, 50}, 11);
    const MapReduce f = log_sum_exp();
    for (const int axis : {0, 1}) {
        const Array all = f(x, {.axis = axis}), running = f.accumulate(x, {.axis = axis});
        const auto elements = lines(x, axis), so_far = lines(running, axis);
        for (std::size_t l = 0; l < elements.size(); ++l) {
            long double sum = 0;
            for (std::size_t i = 0; i < elements[l].size(); ++i) {
                sum += std::exp(static_cast<long double>(elements[l][i]));
                CHECK(std::fabs(so_far[l][i] - static_cast<double>(std::log(sum))) < 1e-13);
            }
            CHECK(std::fabs(at(all, static_cast<std::int64_t>(l)) -
                            static_cast<double>(std::log(sum))) < 1e-13);
        }
    }
}

TEST_CASE("states along an axis: the last of equal minima", "[jit][reduce]") {
    const MapReduce last_least = map_reduce(
        "last_least", [](Value x, Value i) { return std::tuple(x, i); },
        reduction("last_least",
                  std::tuple(std::numeric_limits<double>::infinity(), std::int64_t(-1)),
                  [](auto a, auto b) {
                      auto [x, i] = a;
                      auto [y, j] = b;
                      const Value second = y < x || (y == x && j > i);
                      return std::tuple(select(second, y, x), select(second, j, i));
                  }));
    const Array x = empty({2, 6}, f64);
    x.index(0, 0).assign(Array(std::vector<double>{3, 1, 2, 1, 4, 1}));
    x.index(0, 1).assign(Array(std::vector<double>{0, 5, 0, 5, 5, 7}));
    const Array positions = arange(6);
    const std::vector<Array> got = last_least.all(x, positions, {.axis = 1});
    CHECK(values(got[0]) == std::vector<double>{1, 0});
    CHECK(values(got[1]) == std::vector<double>{5, 2});
    const std::vector<Array> running = last_least.accumulate_all({x, positions}, {.axis = 1});
    CHECK(values(running[1]) == std::vector<double>{0, 1, 1, 3, 3, 5, 0, 0, 2, 2, 2, 2});
}

TEST_CASE("states along an axis: complex products as a ufunc of the combination", "[jit][reduce]") {
    using Complex = std::complex<double>;
    const MapReduce product =
        map_reduce(reduction("product", Complex(1), [](Value a, Value b) { return a * b; }));
    const std::vector<Complex> z{{0, 1}, {2, 0}, {0, -1}, {1, 1}, {3, 0}};
    const Array out = empty({5}, DType::c128);
    const Array running = product.accumulate(z, {.out = out});
    CHECK(running.data() == out.data());
    const std::vector<Complex> want{{0, 1}, {0, 2}, {2, 0}, {2, 2}, {6, 6}};
    for (std::size_t i = 0; i < 5; ++i)
        CHECK(reinterpret_cast<const Complex*>(out.data())[i] == want[i]);
    CHECK(product(z).scalar_at({}).get<Complex>() == Complex(6, 6));
    // numpy.multiply.reduceat(z, [0, 3, 1, 1]): z[0:3], z[3] alone, z[1] alone, z[1:].
    const Array parts = product.reduceat(z, std::vector<std::int64_t>{0, 3, 1, 1});
    const std::vector<Complex> of_parts{{2, 0}, {1, 1}, {2, 0}, {6, -6}};
    REQUIRE(parts.shape() == Shape{4});
    for (std::size_t i = 0; i < 4; ++i)
        CHECK(reinterpret_cast<const Complex*>(parts.data())[i] == of_parts[i]);
}

TEST_CASE("states along an axis: segments", "[jit][reduce]") {
    const Array x = normal({40, 9}, 13);
    const std::vector<std::int64_t> starts{0, 10, 10, 4, 39};
    for (const int axis : {0, 1}) {
        const Array y = axis == 0 ? x : x.transpose();
        const std::vector<Array> got =
            mean_and_variance().reduceat_all({y}, starts, {.axis = axis});
        REQUIRE(got[0].extent(axis) == 5);
        const auto elements = lines(y, axis), means = lines(got[0], axis);
        for (std::size_t l = 0; l < elements.size(); ++l)
            for (std::size_t s = 0; s < starts.size(); ++s) {
                const auto from = static_cast<std::size_t>(starts[s]);
                const std::size_t to = std::max(
                    s + 1 < starts.size() ? static_cast<std::size_t>(starts[s + 1]) : 40, from + 1);
                long double sum = 0;
                for (std::size_t i = from; i < to; ++i) sum += elements[l][i];
                CHECK(std::fabs(means[l][s] - static_cast<double>(sum / static_cast<long double>(
                                                                            to - from))) < 1e-13);
            }
    }
}

TEST_CASE("states along an axis: errors", "[jit][reduce]") {
    const std::vector<double> x{1, 2, 3};
    const MapReduce f = mean_and_variance(false);
    Error e = error_of([&] { f.accumulate(x); });
    CHECK(e.message() == "mean_and_variance.accumulate has 2 results");
    CHECK(e.hint() == "call mean_and_variance.accumulate_all, which gives them in order");
    CHECK(e.line() == __LINE__ - 3);
    e = error_of([&] { f.accumulate_all({x}, {.axis = 1}); });
    CHECK(e.message() ==
          "axis 1 of mean_and_variance.accumulate is out of bounds for an array of rank 1");
    e = error_of([&] { f.accumulate_all({x}, {.dtype = f64}); });
    CHECK(e.message() ==
          "mean_and_variance.accumulate takes no dtype=: states of moments are of the types of "
          "their identity");
    e = error_of([&] { f.reduceat_all({x}, std::vector<std::int64_t>{0, 3}); });
    CHECK(e.kind() == ErrorKind::bounds);
    CHECK(e.message() ==
          "index 3 of mean_and_variance.reduceat is out of bounds for an axis of extent 3");
    const MapReduce plain = map_reduce("total", [](Value v) { return v; }, Reduce::sum);
    e = error_of([&] { plain.accumulate(x); });
    CHECK(e.message() == "total has no state");
    CHECK(e.hint() ==
          "total.accumulate is of reductions with a state; ufuncs have accumulate, too");
}
