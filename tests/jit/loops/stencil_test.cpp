// Stencils, against plain loops and the facts of Numba and scipy.ndimage.
#include "tests/jit/support.h"

#include <array>
#include <cmath>
#include <complex>
#include <functional>
#include <limits>
#include <random>

#include <fmt/format.h>

using namespace kiln;

namespace {

/// Where a row of n elements is read for index i, by the pictures in kiln/stencil.h.
std::int64_t folded(std::int64_t i, std::int64_t n, Boundary boundary) {
    std::vector<std::int64_t> row;  // what is read at -3 n .. 4 n
    for (std::int64_t k = -3 * n - 8; k < 4 * n + 8; ++k) {
        std::int64_t at = k;
        if (boundary == Boundary::nearest) at = std::min(std::max<std::int64_t>(k, 0), n - 1);
        if (boundary == Boundary::wrap)
            while (at < 0 || at >= n) at += at < 0 ? n : -n;
        if (boundary == Boundary::reflect)
            while (at < 0 || at >= n) at = at < 0 ? -1 - at : 2 * n - 1 - at;
        if (boundary == Boundary::mirror)
            while (at < 0 || at >= n) at = n == 1 ? 0 : at < 0 ? -at : 2 * (n - 1) - at;
        if (k == i) return at;
    }
    return 0;
}

TEST_CASE("stencil: four neighbours", "[jit][stencil]") {
    for (const bool parallel : {false, true}) {
        const auto mean = stencil(
            [](Neighbors a) -> Value { return 0.25 * (a(0, 1) + a(1, 0) + a(0, -1) + a(-1, 0)); },
            {.parallel = parallel});
        const Array x = arange(10000, DType::f64).reshape({100, 100});
        const Array y = mean(x);
        REQUIRE(y.shape() == x.shape());
        const auto in = x.view<double, 2>();
        const auto out = y.view<double, 2>();
        for (int i = 0; i < 100; ++i)
            for (int j = 0; j < 100; ++j) {
                const bool border = i == 0 || j == 0 || i == 99 || j == 99;
                const double expected =
                    border ? 0 : 0.25 * (in(i, j + 1) + in(i + 1, j) + in(i, j - 1) + in(i - 1, j));
                REQUIRE(out(i, j) == expected);
            }
    }
}

TEST_CASE("stencil: the border of a one-sided kernel is cval", "[jit][stencil]") {
    const auto far = stencil([](Neighbors a) { return a(-2, 2); }, {.cval = Scalar::of(1, true)});
    const Array y = far(arange(25, DType::f64).reshape({5, 5}));
    const auto p = y.view<double, 2>();
    CHECK(p(0, 0) == 1);
    CHECK(p(4, 4) == 1);
    CHECK(p(2, 2) == 4);  // x[0, 4]
    CHECK(p(4, 0) == 12);

    const auto down =
        stencil([](Neighbors a) { return a(0, 0) - a(1, 0); }, {.cval = Scalar::of(7, true)});
    const Array z = down(arange(12, DType::i64).reshape({3, 4}));
    REQUIRE(z.dtype() == DType::i64);
    const auto q = z.view<std::int64_t, 2>();
    for (int j = 0; j < 4; ++j) {
        CHECK(q(0, j) == -4);
        CHECK(q(1, j) == -4);
        CHECK(q(2, j) == 7);
    }
}

TEST_CASE("stencil: cval may be NaN or infinite", "[jit][stencil]") {
    for (const double cval : {std::nan(""), std::numeric_limits<double>::infinity(),
                              -std::numeric_limits<double>::infinity()})
        for (const DType dtype : {f64, f32}) {
            const auto f =
                stencil([](Neighbors a) { return a(-1) + a(1); }, {.cval = Scalar::of(cval, true)});
            const Array y = f(arange(5, dtype));
            CHECK(y.dtype() == dtype);
            for (const std::int64_t border : {0, 4}) {
                const double v = y.scalar_at({border}).cast(f64).get<double>();
                CHECK((std::isnan(cval) ? std::isnan(v) : v == cval));
            }
            for (const std::int64_t i : {1, 2, 3})
                CHECK(y.scalar_at({i}).cast(f64).get<double>() == 2.0 * static_cast<double>(i));
        }
}

TEST_CASE("stencil: interior and border are separate loops", "[jit][stencil]") {
    for (const Boundary boundary : {Boundary::constant, Boundary::nearest, Boundary::wrap,
                                    Boundary::reflect, Boundary::mirror}) {
        const auto f = stencil([](Neighbors a) { return a(-1) + a(2); }, {.boundary = boundary});
        std::string all = f.inspect(Artifact::passes, {f64[1]});
        // From these on loops are launches of kernels.
        for (const char* pass : {"; after outline", "; after programs"})
            all = all.substr(0, all.find(pass));
        const std::string text = all.substr(all.rfind("; after "));
        std::vector<std::string> loops;  // texts, to the ends of their bodies
        for (std::size_t at = text.find("\n    for %"); at != std::string::npos;) {
            const std::size_t end = text.find("\n    }\n", at);
            loops.push_back(text.substr(at, end - at));
            at = text.find("\n    for %", end);
        }
        REQUIRE(loops.size() == 3);
        // The interior reads its neighbours where they are; the others fold indices, or read none.
        const auto folds = [](const std::string& loop) {
            for (const char* op : {" mod ", " minimum ", " maximum ", " select "})
                if (loop.find(op) != std::string::npos) return true;
            return false;
        };
        CHECK_FALSE(folds(loops[0]));
        CHECK(loops[0].find("load") != std::string::npos);
        for (const std::size_t border : {1U, 2U}) {
            const bool loads = loops[border].find("load") != std::string::npos;
            CHECK(loads == (boundary != Boundary::constant));
            CHECK(folds(loops[border]) == (boundary != Boundary::constant));
        }
    }
}

TEST_CASE("stencil: boundaries that read", "[jit][stencil]") {
    for (const Boundary boundary :
         {Boundary::nearest, Boundary::wrap, Boundary::reflect, Boundary::mirror})
        for (const std::int64_t n : {1, 2, 3, 4, 9})
            for (const std::int64_t m : {1, 2, 5}) {
                const auto f = stencil(
                    [](Neighbors a) { return a(-3, 1) * 100.0 + a(2, -2) * 10.0 + a(0, 0); },
                    {.boundary = boundary});
                const Array x = arange(n * m, DType::f64).reshape({n, m});
                const Array y = f(x);
                const auto in = x.view<double, 2>();
                const auto out = y.view<double, 2>();
                const auto at = [&](std::int64_t i, std::int64_t j) {
                    return in(folded(i, n, boundary), folded(j, m, boundary));
                };
                for (std::int64_t i = 0; i < n; ++i)
                    for (std::int64_t j = 0; j < m; ++j)
                        CHECK(out(i, j) ==
                              at(i - 3, j + 1) * 100.0 + at(i + 2, j - 2) * 10.0 + at(i, j));
            }
}

TEST_CASE("stencil: a window of 30, scalars, absolute arrays", "[jit][stencil]") {
    const auto moving = stencil(
        [](Neighbors a, In weights, Value scale) -> Value {
            Var sum(DType::f64, 0.0);
            for (Index k : range(-29, 1)) sum += a(k) * weights(k + 29);
            return sum * scale;
        },
        {.neighborhood = {{-29, 0}}});
    const Array x = arange(100, DType::f64), w = ones({30});
    const Array y = moving(x, w, 0.5);
    const auto out = y.view<double, 1>();
    for (int i = 0; i < 100; ++i) {
        double expected = 0;
        for (int k = -29; k <= 0 && i >= 29; ++k) expected += i + k;
        CHECK(out(i) == 0.5 * expected);
    }
}

TEST_CASE("stencil: into arrays, overlapping ones too", "[jit][stencil]") {
    const auto sum3 =
        stencil([](Neighbors a) { return a(-1) + a(0) + a(1); }, {.boundary = Boundary::nearest});
    const Array x = Array::of({1.0, 2.0, 4.0, 8.0});
    const Array out = zeros({4}, DType::f32);
    sum3.into(out, x);
    CHECK(out.scalar_at({1}).get<float>() == 7);
    sum3.into(x, x);
    CHECK(x.scalar_at({0}).get<double>() == 4);
    CHECK(x.scalar_at({1}).get<double>() == 7);
    CHECK(x.scalar_at({2}).get<double>() == 14);
    CHECK(x.scalar_at({3}).get<double>() == 20);
    CHECK(sum3(zeros({0})).shape() == Shape{0});
}

TEST_CASE("stencil: three dimensions", "[jit][stencil]") {
    const auto heat = stencil([](Neighbors a) -> Value {
        return a(1, 0, 0) + a(-1, 0, 0) + a(0, 1, 0) + a(0, -1, 0) + a(0, 0, 1) + a(0, 0, -1) -
               6 * a(0, 0, 0);
    });
    const Array x = arange(5 * 6 * 7, DType::f64).reshape({5, 6, 7}), squares = empty_like(x);
    squares.assign(x);
    const auto p = squares.view<double, 3>();
    for (int i = 0; i < 5; ++i)
        for (int j = 0; j < 6; ++j)
            for (int k = 0; k < 7; ++k) p(i, j, k) = i * i + 2 * j * j + 3 * k * k;
    const Array y = heat(squares);
    const auto q = y.view<double, 3>();
    for (int i = 0; i < 5; ++i)
        for (int j = 0; j < 6; ++j)
            for (int k = 0; k < 7; ++k) {
                const bool border = i % 4 == 0 || j % 5 == 0 || k % 6 == 0;
                CHECK(q(i, j, k) == (border ? 0 : 12));  // 2 + 4 + 6
            }
}

std::string error_of(const std::function<void()>& f, ErrorKind kind) {
    try {
        f();
    } catch (const Error& e) {
        CHECK(e.kind() == kind);
        return e.message();
    }
    return "no error";
}

TEST_CASE("stencil: errors", "[jit][stencil]") {
    const Array x = zeros({4, 5}), row = zeros({5});
    CHECK(error_of([] { stencil([](In a) { return a(0); }); }, ErrorKind::usage) ==
          "stencil has no Neighbors parameter");
    CHECK(error_of([&] { stencil([](Neighbors a) { return a(1); })(x); }, ErrorKind::shape) ==
          "1 offset is given for an array of rank 2, in a stencil over 2 dimensions");
    CHECK(error_of([&] { stencil([](Neighbors, Value k) { return k; })(x, 1.0); },
                   ErrorKind::usage) == "stencil reads no neighbour");
    CHECK(error_of(
              [&] {
                  stencil([](Neighbors a, Neighbors b) { return a(0, 0) + b(0, 0); })(
                      x, zeros({4, 4}));
              },
              ErrorKind::shape) ==
          "argument 2 of stencil has shape (4,4), smaller than (4,5) of the first");
    CHECK(error_of([&] { stencil([](Neighbors a, Value k) { return a(k); })(row, 1); },
                   ErrorKind::usage) == "an offset of a stencil is not a constant");
    CHECK(error_of(
              [&] { stencil([](Neighbors a) { return a(3); }, {.neighborhood = {{-1, 1}}})(row); },
              ErrorKind::bounds) ==
          "offset 3 of dimension 0 is outside of the declared neighborhood (-1, 1)");
    CHECK(error_of(
              [&] { stencil([](Neighbors a) { return a(0, 0); }, {.neighborhood = {{-1, 1}}})(x); },
              ErrorKind::shape) == "the neighborhood of stencil has 1 dimensions, its array 2");
    CHECK(error_of(
              [&] {
                  stencil([](Neighbors a) { return a(1); },
                          {.cval = Scalar::of(std::complex<double>(0, 1))})(row);
              },
              ErrorKind::type) == "cval of stencil is c128, which does not fit f64");
    CHECK(error_of([&] { stencil([](Neighbors a) { return a(1); })(row, row); },
                   ErrorKind::usage) == "stencil takes 1 argument, 2 given");
    CHECK(error_of([&] { stencil([](Neighbors a) { return a(1); }).into(zeros({4}), row); },
                   ErrorKind::shape) == "the output of stencil has shape (4,), its result (5,)");
}

TEST_CASE("stencil: an offset outside of the neighborhood in eight dimensions", "[jit][stencil]") {
    const auto f =
        stencil([](Neighbors a, In far) -> Value { return a(0, 0, 0, 0, 0, 0, far(0), far(1)); },
                {.boundary = Boundary::wrap,
                 .neighborhood = {{0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}, {-1, 2}, {-3, 1}},
                 .checked = true});
    const Array a = arange(36, DType::i64).reshape({1, 1, 1, 1, 1, 1, 6, 6});
    CHECK(f(a, Array::of<std::int64_t>({1, -2})).span<std::int64_t>()[0] == 10);
    CHECK(test::error_of([&] { f(a, Array::of<std::int64_t>({2, -4})); }).message() ==
          "offset -4 of dimension 7 of p0 is outside of the declared neighborhood (-3, 1) at "
          "element (0,0,0,0,0,0,1,3)");
}

TEST_CASE("stencil: random computed offsets, checked, against a plain loop",
          "[jit][stencil][bounds][random]") {
    const std::uint64_t seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const auto between = [&](std::int64_t low, std::int64_t high) {
        return low +
               static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(high - low + 1));
    };
    unsigned faults = 0;
    for (int trial = 0; trial < 30; ++trial) {
        const auto boundary = static_cast<Boundary>(trial % 5);
        const std::array<std::int64_t, 2> n{between(3, 40), between(3, 20)};
        std::vector<std::pair<std::int64_t, std::int64_t>> reach;
        for (int d = 0; d < 2; ++d) reach.emplace_back(between(-2, 0), between(0, 2));
        const unsigned line = __LINE__ + 3;
        const auto f = stencil(
            [](Neighbors a, In by) -> Value {
                return a(by(a.index(0), a.index(1), 0), by(a.index(0), a.index(1), 1));
            },
            {.boundary = boundary,
             .cval = Scalar::of(-1, true),
             .neighborhood = reach,
             .parallel = true,
             .checked = true});
        const Array a = arange(n[0] * n[1], DType::i64).reshape({n[0], n[1]});
        std::vector<std::int64_t> by(static_cast<std::size_t>(n[0] * n[1] * 2));
        for (std::size_t k = 0; k < by.size(); ++k)
            by[k] = between(reach[k % 2].first, reach[k % 2].second);
        if (trial % 3 != 0)
            for (int w = 0; w < trial % 3; ++w) {
                const std::size_t k = random() % by.size();
                by[k] = random() % 2 == 0 ? reach[k % 2].second + between(1, 1000)
                                          : reach[k % 2].first - between(1, 1000);
            }
        // The interior comes first, then the slabs of each dimension, rows in order.
        std::vector<std::int64_t> expected(static_cast<std::size_t>(n[0] * n[1]), -1);
        std::string fault;
        using Range = std::pair<std::int64_t, std::int64_t>;
        const auto box = [&](Range rows, Range cols, bool inside) {
            for (std::int64_t i = rows.first; i < rows.second; ++i)
                for (std::int64_t j = cols.first; j < cols.second; ++j) {
                    if (!inside && boundary == Boundary::constant) continue;
                    const std::int64_t at[] = {i, j};
                    std::int64_t to[2];
                    for (std::size_t d = 0; d < 2; ++d) {
                        const std::int64_t o = by[static_cast<std::size_t>((i * n[1] + j) * 2) + d];
                        if (fault.empty() && (o < reach[d].first || o > reach[d].second))
                            fault = fmt::format(
                                "offset {} of dimension {} of p0 is outside of the declared "
                                "neighborhood ({}, {}) at element ({},{})",
                                o, d, reach[d].first, reach[d].second, i, j);
                        to[d] = fault.empty() ? folded(at[d] + o, n[d], boundary) : 0;
                    }
                    expected[static_cast<std::size_t>(i * n[1] + j)] = to[0] * n[1] + to[1];
                }
        };
        const auto inner = [&](std::size_t d) {
            const std::int64_t low = std::min(-reach[d].first, n[d]);
            return Range{low, std::max(n[d] - reach[d].second, low)};
        };
        box(inner(0), inner(1), true);
        box({0, inner(0).first}, {0, n[1]}, false);
        box({inner(0).second, n[0]}, {0, n[1]}, false);
        box(inner(0), {0, inner(1).first}, false);
        box(inner(0), {inner(1).second, n[1]}, false);
        faults += fault.empty() ? 0 : 1;
        const int before = num_threads();
        for (const int threads : {1, 2, 8}) {
            set_num_threads(threads);
            CAPTURE(trial, threads);
            const Array shifts = Array::over(by.data(), {n[0], n[1], 2});
            if (fault.empty()) {
                const Array result = f(a, shifts);
                CHECK(std::equal(expected.begin(), expected.end(),
                                 result.view<std::int64_t, 2>().data()));
            } else {
                const Error error = test::error_of([&] { f(a, shifts); });
                CHECK(error.kind() == ErrorKind::bounds);
                CHECK(error.message() == fault);
                CHECK(error.hint() == "declare a larger one in .neighborhood");
                CHECK(error.line() == line);
            }
        }
        set_num_threads(before);
    }
    CHECK(faults > 5);
}

TEST_CASE("stencil: absolute arrays and indices are checked", "[jit][stencil][bounds]") {
    const unsigned line = __LINE__ + 2;
    const auto f =
        stencil([](Neighbors a, In w, Value k) -> Value { return a(0) * w(k); }, {.checked = true});
    const std::vector<double> x(5, 1.0), w(3, 2.0);
    CHECK(test::values(f(x, w, std::int64_t(2))) == std::vector<double>(5, 2.0));
    const Error error = test::error_of([&] { f(x, w, std::int64_t(3)); });
    CHECK(error.message() == "index (3,) is outside of p1 of shape (3,) in iteration 0");
    CHECK(error.line() == line);
}

}  // namespace
