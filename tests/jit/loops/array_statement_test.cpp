// Whole-array statements in loop kernels, against plain loops.
#include "tests/jit/support.h"

#include <algorithm>
#include <cmath>
#include <random>

using namespace kiln;

namespace {

/// 0, step, 2 * step ...
Array ramp(std::initializer_list<std::int64_t> shape, double step = 1) {
    std::int64_t n = 1;
    for (const std::int64_t e : shape) n *= e;
    const Array a = arange(n, DType::f64);
    for (std::int64_t i = 0; i < n; ++i) a.view<double, 1>()(i) = static_cast<double>(i) * step;
    return a.reshape(Shape(std::span(shape.begin(), shape.size())));
}

TEST_CASE("arrays: element-wise statements of one shape", "[jit][arrays]") {
    for (const bool parallel : {false, true}) {
        const auto f = jit(
            [](In a, In b, Out c, InOut d) {
                c = a + 2 * b - 1;
                d += sqrt(c * c) * select(a > 3, a, 0);
                d *= 2;
            },
            {.parallel = parallel});
        for (const std::int64_t n : {0, 1, 7, 1000, 40000}) {
            const Array a = ramp({n}), b = ramp({n}, 0.5), c = zeros({n}), d = ramp({n}, 3);
            f(a, b, c, d);
            bool equal = true;
            for (std::int64_t i = 0; i < n; ++i) {
                const auto x = static_cast<double>(i), y = 0.5 * x;
                const double z = x + 2 * y - 1;
                equal = equal && c.view<double, 1>()(i) == z &&
                        d.view<double, 1>()(i) == (3 * x + std::abs(z) * (x > 3 ? x : 0)) * 2;
            }
            CHECK(equal);
        }
    }
}

TEST_CASE("arrays: broadcasting, dtypes and whole arrays as values", "[jit][arrays]") {
    const auto f = jit([](In a, In row, In column, Value s, Out c) {
        const Value sum = a + row;
        c = sum * column + s;
    });
    const Array a = ramp({3, 4}), row = ramp({4}, 10), column = ramp({3, 1}, 100),
                c = zeros({3, 4});
    f(a, row, column, 0.5, c);
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 4; ++j)
            CHECK(c.view<double, 2>()(i, j) == (4.0 * i + j + 10 * j) * 100 * i + 0.5);
    // A row and a column of one element, and integers: other kernels.
    f(a, ramp({1}, 1), ramp({3, 1}), 1.0, c);
    CHECK(c.view<double, 2>()(2, 3) == 11 * 2 + 1);
    const Array small = zeros({4});
    f(arange(4, DType::i32), arange(4, DType::i8), arange(1, DType::i16), 1.0, small);
    CHECK(small.view<double, 1>()(3) == 1);
}

TEST_CASE("arrays: shapes that do not meet are errors", "[jit][arrays]") {
    const auto f = jit("shapes", [](In a, In b, Out c) { c = a + b; });
    const std::uint_least32_t line = __LINE__ - 1;
    try {
        f(ramp({3, 4}), ramp({5}), zeros({3, 4}));
        FAIL("no error");
    } catch (const Error& e) {
        CHECK(e.kind() == ErrorKind::shape);
        CHECK(e.line() == line);
        CHECK(std::string(e.what()).find("cannot broadcast (3,4) with (5,)") != std::string::npos);
    }
    // A target is not repeated.
    CHECK_THROWS_WITH(f(ramp({3, 4}), ramp({3, 4}), zeros({1, 4})),
                      Catch::Contains("cannot broadcast (1,4) with (3,4)"));
    CHECK_THROWS_WITH(f(ramp({3, 4}), ramp({3, 4}), zeros({4})),
                      Catch::Contains("cannot broadcast (4,) with (3,4)"));
    const auto one = jit([](In a, Out c) {
        c(0) = 1.0;
        c.slice(0) = a;
    });
    CHECK_THROWS_WITH(one(ramp({3}), zeros({2})),
                      Catch::Contains("a value of 1 dimensions is assigned to p1 of 0"));
}

TEST_CASE("arrays: leading axes of extent 1 do not count in an assignment", "[jit][arrays]") {
    const auto copy = jit([](In a, InOut c) { c = a; });
    const auto add = jit([](In a, InOut c) { c += a; });
    const auto rows = jit(
        [](In a, InOut c) {
            for (Index i : prange(c.extent(0))) c.slice(i) = a * 2.0 + c.slice(i);
        },
        {.parallel = true});
    const auto made = jit([](In a, InOut c) { c = new_axis(a, 0) + 1.0; });
    for (const std::int64_t n : {1, 3, 50}) {
        const Array row = ramp({1, n}), deep = ramp({1, 1, n}).copy();
        Array c = ramp({n}).copy();
        copy(row, c);
        CHECK(test::values(c) == test::values(row));
        add(deep, c);
        CHECK(test::values(c) ==
              test::values(kiln::linspace(0, 2.0 * static_cast<double>(n - 1), n)));
        made(c, c);
        CHECK(test::at(c, n - 1) == 2.0 * static_cast<double>(n - 1) + 1);
        copy(c.expand_dims(0).flip(), c);  // the same elements, in another order
        CHECK(test::at(c, 0) == 2.0 * static_cast<double>(n - 1) + 1);
        Array m = ones({4, n});
        rows(row, m);
        for (std::int64_t i = 0; i < 4; ++i)
            CHECK(test::at(m, i * n + n - 1) == 2.0 * static_cast<double>(n - 1) + 1);
    }
    CHECK_THROWS_WITH(copy(ramp({2, 3}), zeros({3})),
                      Catch::Contains("cannot broadcast (3,) with (2,3)"));
    CHECK_THROWS_WITH(copy(ramp({1, 4}), zeros({3})),
                      Catch::Contains("cannot broadcast (3,) with (1,4)"));
}

TEST_CASE("arrays: dot names itself where shapes do not match", "[jit][arrays]") {
    const auto f = jit("product", [](In a, In b) -> Value { return sum(dot(a, b)); });
    const std::uint_least32_t line = __LINE__ - 1;
    const auto message = [&](const Array& a, const Array& b) {
        try {
            f(a, b);
        } catch (const Error& e) {
            CHECK(e.kind() == ErrorKind::shape);
            CHECK(e.line() == line);
            CHECK(e.hint() == "dot sums over these two axes, which must be equally long");
            return e.message();
        }
        return std::string("no error");
    };
    CHECK(message(ones({2, 3}), ones({4, 5})) ==
          "dot of (2,3) and (4,5): 3 elements along the last axis of the first, 4 along the first "
          "axis of the second");
    CHECK(
        message(ones({2}), ones({3})) ==
        "dot of (2,) and (3,): 2 elements along the last axis of the first, 3 along the first axis "
        "of the second");
    CHECK(message(ones({2, 3}), ones({2})) ==
          "dot of (2,3) and (2,): 3 elements along the last axis of the first, 2 along the first "
          "axis of the second");
    // Extents of 1 are not repeated, as in NumPy.
    CHECK(message(ones({2, 1}), ones({3})) ==
          "dot of (2,1) and (3,): 1 elements along the last axis of the first, 3 along the first "
          "axis of the second");
    CHECK(message(ones({3}), ones({1, 5})) ==
          "dot of (3,) and (1,5): 3 elements along the last axis of the first, 1 along the first "
          "axis of the second");
    CHECK(message(ones({2, 3}), ones({3, 5})) == "no error");
    CHECK(f(ones({2, 1}), ones({1, 5})).get<double>() == 10);
    const auto loop = jit([](In a, In b, Out c) {
        for (Index i : prange(a.extent(0))) c(i) = dot(a.slice(i), b);
    });
    CHECK_THROWS_WITH(loop(ones({2, 3}), ones({4}), zeros({2})),
                      Catch::Contains("dot of (3,) and (4,)"));
    // Of values that are computed.
    const auto sums = jit([](In a, In b) -> Value { return sum(dot(a + 1.0, 2.0 * b)); });
    CHECK_THROWS_WITH(sums(ones({2, 3}), ones({4})), Catch::Contains("dot of (2,3) and (4,)"));
}

TEST_CASE("arrays: slices are NumPy's", "[jit][arrays]") {
    const auto one = [](auto slice, std::int64_t n) {
        const auto f = jit([slice](In a, Out count, Out c) {
            const ArraySlice part = slice(a);
            count(0) = part.extent(0);
            c.slice({{}, part.extent(0)}) = part;
        });
        const Array count = zeros({1}, DType::i64), c = zeros({20});
        f(ramp({n}), count, c);
        std::vector<double> result;
        for (std::int64_t i = 0; i < count.view<std::int64_t, 1>()(0); ++i)
            result.push_back(c.view<double, 1>()(i));
        return result;
    };
    using V = std::vector<double>;
    CHECK(one([](In a) { return a.slice({1, -1}); }, 5) == V{1, 2, 3});
    CHECK(one([](In a) { return a.slice({1, -1}); }, 1).empty());
    CHECK(one([](In a) { return a.slice({{}, 3}); }, 5) == V{0, 1, 2});
    CHECK(one([](In a) { return a.slice({{}, 9}); }, 2) == V{0, 1});
    CHECK(one([](In a) { return a.slice({-2, {}}); }, 5) == V{3, 4});
    CHECK(one([](In a) { return a.slice({-9, {}}); }, 3) == V{0, 1, 2});
    CHECK(one([](In a) { return a.slice({7, {}}); }, 3).empty());
    CHECK(one([](In a) { return a.slice({1, {}, 3}); }, 9) == V{1, 4, 7});
    CHECK(one([](In a) { return a.slice({{}, {}, -1}); }, 4) == V{3, 2, 1, 0});
    CHECK(one([](In a) { return a.slice({-2, 0, -2}); }, 7) == V{5, 3, 1});
    CHECK(one([](In a) { return a.slice({9, {}, -4}); }, 7) == V{6, 2});
    CHECK(one([](In a) { return a.slice({2, 1, -1}); }, 7) == V{2});
    CHECK(one([](In a) { return a.slice({a.extent(0) - 2, a.extent(0)}); }, 7) == V{5, 6});
    CHECK(one([](In a) { return a.slice({Value(std::int64_t(-3)), Value(std::int64_t(99))}); },
              7) == V{4, 5, 6});
}

TEST_CASE("arrays: slices of any bounds and steps, constant and not", "[jit][arrays][random]") {
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    __extension__ using Wide = __int128;
    const auto draw = [&](bool step) {
        const std::int64_t ends[] = {INT64_MAX, INT64_MIN, INT64_MIN + 1,
                                     static_cast<std::int64_t>(random()), 0};
        const auto near = static_cast<std::int64_t>(random() % 25) - 12;
        const std::int64_t drawn = random() % 3 == 0 ? ends[random() % 5] : near;
        return step && drawn == 0 ? 1 : drawn;
    };
    for (int round = 0; round < 60; ++round) {
        const auto n = static_cast<std::int64_t>(random() % 9);
        const std::int64_t start = draw(false), stop = draw(false), step = draw(true);
        // Python's rule, in integers that hold everything.
        const Wide low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
        const auto place = [&](Wide at) { return std::clamp(at < 0 ? at + n : at, low, high); };
        std::vector<double> expected;
        for (Wide i = place(start); step > 0 ? i < place(stop) : i > place(stop); i += step)
            expected.push_back(static_cast<double>(i));
        INFO("n " << n << " start " << start << " stop " << stop << " step " << step);
        const auto constants = jit([&](In a, Out count, Out c) {
            const ArraySlice part = a.slice({start, stop, step});
            count(0) = part.extent(0);
            c.slice({{}, part.extent(0)}) = part;
        });
        const auto values = jit([&](In a, Value from, Value to, Out count, Out c) {
            const ArraySlice part = a.slice({from, to, step});
            count(0) = part.extent(0);
            c.slice({{}, part.extent(0)}) = part;
        });
        for (const bool constant : {true, false}) {
            const Array count = zeros({1}, i64), c = zeros({20});
            if (constant)
                constants(ramp({n}), count, c);
            else
                values(ramp({n}), start, stop, count, c);
            REQUIRE(count.item<std::int64_t>() == static_cast<std::int64_t>(expected.size()));
            CHECK(test::values(c.slice(0, {0, static_cast<std::int64_t>(expected.size())})) ==
                  expected);
        }
    }
}

TEST_CASE("arrays: slices in several dimensions, assigned and left out", "[jit][arrays]") {
    const auto f = jit([](In a, InOut b) {
        b.slice({1, -1}, {1, -1}) = 0.25 * (a.slice({{}, -2}, {1, -1}) + a.slice({2, {}}, {1, -1}) +
                                            a.slice({1, -1}, {{}, -2}) + a.slice({1, -1}, {2, {}}));
        b.slice(0) = a.slice({}, -1);
        b.slice({}, 0) += 1;
    });
    const Array a = ramp({5, 5}), b = zeros({5, 5});
    f(a, b);
    const auto x = a.view<double, 2>();
    const auto y = b.view<double, 2>();
    CHECK(y(2, 3) == 0.25 * (x(1, 3) + x(3, 3) + x(2, 2) + x(2, 4)));
    CHECK(y(0, 3) == x(3, 4));
    CHECK(y(0, 0) == x(0, 4) + 1);
    CHECK(y(4, 0) == 1);
    CHECK(y(4, 4) == 0);
}

TEST_CASE("arrays: the right side comes before the assignment", "[jit][arrays]") {
    const auto f = jit([](InOut a) {
        a.slice({1, {}}) = a.slice({{}, -1});
        a = a.slice({{}, {}, -1});
    });
    const Array a = ramp({6});
    f(a);
    const double expected[] = {4, 3, 2, 1, 0, 0};
    for (int i = 0; i < 6; ++i) CHECK(a.view<double, 1>()(i) == expected[i]);
    // A transpose onto itself; a value from before a store.
    const auto g = jit([](InOut m, Out old) {
        const Value before = m;
        m = transpose(m);
        old = before;
    });
    const Array m = ramp({3, 3}), old = zeros({3, 3});
    g(m, old);
    CHECK(m.view<double, 2>()(0, 2) == 6);
    CHECK(m.view<double, 2>()(2, 0) == 2);
    CHECK(old.view<double, 2>()(0, 2) == 2);
    // Arguments that overlap.
    const auto h = jit([](In x, Out y) { y = x + 1; });
    const Array z = ramp({6});
    h(z.slice(0, {0, 5}), z.slice(0, {1, 6}));
    for (int i = 1; i < 6; ++i) CHECK(z.view<double, 1>()(i) == i);
}

TEST_CASE("arrays: reductions over all and some axes", "[jit][arrays]") {
    for (const bool parallel : {false, true}) {
        const auto f = jit(
            [](In a, Out rows, Out columns, Out kept) {
                rows = sum(a, {.axis = 1});
                columns = max(a * 2, {.axis = 0});
                kept = a - mean(a, {.axis = -1, .keepdims = true});
                return std::tuple(a.sum(), min(a), mean(a), all(a >= 0), any(a > 1e9));
            },
            {.parallel = parallel});
        const Array a = ramp({30, 50}), rows = zeros({30}), columns = zeros({50}),
                    kept = zeros({30, 50});
        const auto [s, least, average, every, some] = f(a, rows, columns, kept);
        CHECK(s.get<double>() == 1500.0 * 1499 / 2);
        CHECK(least.get<double>() == 0);
        CHECK(average.get<double>() == 1499.0 / 2);
        CHECK(every.get<bool>());
        CHECK_FALSE(some.get<bool>());
        for (int i = 0; i < 30; ++i)
            CHECK(rows.view<double, 1>()(i) == 50.0 * 50 * i + 50.0 * 49 / 2);
        for (int j = 0; j < 50; ++j) CHECK(columns.view<double, 1>()(j) == 2 * (29.0 * 50 + j));
        CHECK(kept.view<double, 2>()(7, 3) == 3 - 24.5);
    }
    // Three axes, of which the middle or the outer ones are reduced; integers are summed as i64.
    const auto g = jit([](In a) {
        Scratch middle = sum(a, {.axis = 1}), outer = sum(a, {.axis = {0, 2}});
        return std::pair(middle, outer);
    });
    const Array a = zeros({2, 3, 4}, DType::i8);
    for (int i = 0; i < 24; ++i)
        a.view<std::int8_t, 3>()(i / 12, i / 4 % 3, i % 4) = std::int8_t(i + 100);
    const auto [middle, outer] = g(a);
    CHECK(middle.dtype() == DType::i64);
    CHECK(middle.shape() == Shape{2, 4});
    CHECK(middle.view<std::int64_t, 2>()(1, 2) == 3 * 100 + (12 + 2) + (16 + 2) + (20 + 2));
    CHECK(outer.view<std::int64_t, 1>()(1) == 8 * 100 + 4 + 5 + 6 + 7 + 16 + 17 + 18 + 19);
}

TEST_CASE("arrays: reductions of nothing", "[jit][arrays]") {
    const auto f = jit([](In a) { return std::tuple(sum(a), prod(a), all(a), any(a)); });
    const auto [s, p, every, some] = f(ramp({0}));
    CHECK(s.get<double>() == 0);
    CHECK(p.get<double>() == 1);
    CHECK(every.get<bool>());
    CHECK_FALSE(some.get<bool>());
    const auto g = jit([](In a) -> Value { return max(a); });
    CHECK_THROWS_WITH(g(ramp({0})), Catch::Contains("has no identity"));
    const auto h = jit([](In a, Out b) { b = min(a, {.axis = 1}); });
    CHECK_THROWS_WITH(h(ramp({3, 0}), zeros({3})), Catch::Contains("has no identity"));
    h(ramp({0, 3}), zeros({0}));
}

TEST_CASE("arrays: dot of one and two dimensions", "[jit][arrays]") {
    const auto f = jit([](In a, In b, In x, In y, Out ab, Out ax, Out yb) -> Value {
        ab = dot(a, b);
        ax = dot(a, x);
        yb = dot(y, b);
        return dot(x, x);
    });
    const Array a = ramp({3, 4}), b = ramp({4, 2}, 2), x = ramp({4}, 3), y = ramp({4}, -1);
    const Array ab = zeros({3, 2}), ax = zeros({3}), yb = zeros({2});
    CHECK(f(a, b, x, y, ab, ax, yb).get<double>() == 9.0 * (0 + 1 + 4 + 9));
    for (int i = 0; i < 3; ++i) {
        double row = 0;
        for (int k = 0; k < 4; ++k) row += (4.0 * i + k) * 3 * k;
        CHECK(ax.view<double, 1>()(i) == row);
        for (int j = 0; j < 2; ++j) {
            double sum = 0;
            for (int k = 0; k < 4; ++k) sum += (4.0 * i + k) * 2 * (2 * k + j);
            CHECK(ab.view<double, 2>()(i, j) == sum);
        }
    }
    CHECK(yb.view<double, 1>()(1) == -2.0 * (0 * 1 + 1 * 3 + 2 * 5 + 3 * 7));
    CHECK_THROWS_WITH(f(a, b, ramp({5}), y, ab, ax, yb), Catch::Contains("dot of (3,4) and (5,)"));
}

TEST_CASE("arrays: statements in loops and in parallel loops", "[jit][arrays]") {
    const auto f = jit(
        [](In a, Out sums, InOut b) {
            for (Index i : prange(a.extent(0))) {
                sums(i) = sum(a.slice(i) * a.slice(i));
                b.slice(i) = a.slice(i) / sums(i);
            }
            for (Index k : range(3)) b += k;
        },
        {.parallel = true});
    const Array a = ramp({20, 6}), sums = zeros({20}), b = zeros({20, 6});
    f(a, sums, b);
    double expected = 0;
    for (int j = 0; j < 6; ++j) expected += (6.0 * 4 + j) * (6 * 4 + j);
    CHECK(sums.view<double, 1>()(4) == expected);
    CHECK(b.view<double, 2>()(4, 2) == Approx(26 / expected + 3));
    const Array m = ramp({3, 3});
    jit([](InOut m) {
        for (Index i : prange(m.extent(0))) m.slice(i, {1, {}}) = m.slice(i, {{}, -1});
    })(m);
    const double expected_rows[] = {0, 0, 1, 3, 3, 4, 6, 6, 7};
    CHECK(std::equal(expected_rows, expected_rows + 9, m.view<double, 2>().data()));
}

TEST_CASE("arrays: where one element is needed, an array is an error", "[jit][arrays]") {
    const Array a = ramp({3});
    CHECK_THROWS_WITH(jit([](In x) -> Value {
                          Var v = x;
                          return v;
                      })(a),
                      Catch::Contains("an array is used where one element is needed"));
    CHECK_THROWS_WITH(jit([](In x) { if_(x > 0, [] {}); })(a),
                      Catch::Contains("an array is used where one element is needed"));
    CHECK_THROWS_WITH(jit([](In x, Out y) { y(0) = x; })(a, a.copy()),
                      Catch::Contains("an array is used where one element is needed"));
    CHECK_THROWS_WITH(jit([](In x) -> Value { return x + 1; })(a),
                      Catch::Contains("an array is used where one element is needed: kernel "
                                      "returns it as a Value"));
    CHECK_THROWS_WITH(jit([](In x) { return Scratch(sum(x, {.axis = 1})); })(a),
                      Catch::Contains("axis 1 of an array value of 1 dimension"));
}

TEST_CASE("arrays: Black-Scholes by statements", "[jit][arrays]") {
    const auto price = jit(
        [](In s, In k, In t, Value r, Value v, Out call) {
            const Value d1 = (log(s / k) + (r + 0.5 * v * v) * t) / (v * sqrt(t));
            const Value d2 = d1 - v * sqrt(t);
            const auto cdf = [](const Value& x) { return 0.5 * erfc(-x * std::sqrt(0.5)); };
            call = s * cdf(d1) - k * exp(-r * t) * cdf(d2);
        },
        {.parallel = true});
    const Array s = ramp({1000}, 0.1), k = ramp({1000}, 0.09), t = ramp({1000}, 0.01),
                call = zeros({1000});
    price(s, k, t, 0.02, 0.3, call);
    const double x = 50.0, strike = 45.0, time = 5.0;
    const double d1 = (std::log(x / strike) + (0.02 + 0.045) * time) / (0.3 * std::sqrt(time));
    const double d2 = d1 - 0.3 * std::sqrt(time);
    const auto cdf = [](double z) { return 0.5 * std::erfc(-z * std::sqrt(0.5)); };
    CHECK(call.view<double, 1>()(500) ==
          Approx(x * cdf(d1) - strike * std::exp(-0.02 * time) * cdf(d2)).epsilon(1e-12));
}

}  // namespace
