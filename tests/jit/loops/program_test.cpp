// Loop kernels: what they compute, against plain C++ loops.
#include "tests/jit/support.h"
#include "tests/threads.h"

#include <kiln/kiln.h>

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace kiln;

namespace {

TEST_CASE("loops: a serial matrix product", "[jit][program]") {
    const auto matmul = jit("matmul", [](In a, In b, Out c) {
        for (Index i : range(c.extent(0)))
            for (Index j : range(c.extent(1))) {
                Var acc(c.dtype(), 0);
                for (Index k : range(a.extent(1))) acc += a(i, k) * b(k, j);
                c(i, j) = acc;
            }
    });
    const Array a = arange(6, DType::f64).reshape({2, 3});
    const Array b = arange(12, DType::f64).reshape({3, 4});
    const Array c = zeros({2, 4});
    matmul(a, b, c);
    const auto x = c.view<double, 2>();
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 4; ++j) {
            double expected = 0;
            for (int k = 0; k < 3; ++k) expected += (3.0 * i + k) * (4.0 * k + j);
            CHECK(x(i, j) == expected);
        }
    // Strided and transposed operands, another dtype: one kernel.
    const Array d = zeros({4, 2}, DType::f32);
    matmul(a.astype(DType::f32), b.astype(DType::f32), d.transpose());
    CHECK(d.view<float, 2>()(3, 1) == static_cast<float>(x(1, 3)));
    CHECK(matmul.stats().compiles == 2);
}

TEST_CASE("loops: a scalar result and a reduction", "[jit][program]") {
    for (const bool parallel : {false, true}) {
        const auto norm2 = jit(
            [](In x) -> Value {
                Var sum(DType::f64, 100.0);
                for (Index i : prange(x.extent(0))) sum += x(i) * x(i);
                return sqrt(sum);
            },
            {.parallel = parallel});
        for (const std::int64_t n : {0, 1, 5, 1023, 1024, 1025, 100000}) {
            const Array x = arange(n, DType::f64);
            double expected = 100;
            for (std::int64_t i = 0; i < n; ++i)
                expected += static_cast<double>(i) * static_cast<double>(i);
            CHECK(norm2(x).get<double>() == Approx(std::sqrt(expected)).epsilon(1e-14));
        }
    }
}

TEST_CASE("loops: steps of any sign, break, continue, while, return", "[jit][program]") {
    const auto f = jit([](Value begin, Value end, Value step, Out out) {
        Var n(DType::i64, 0);
        for (Index i : range(begin, end, step)) {
            if_(i == 7, [] { continue_(); });
            if_(i == 100, [] { break_(); });
            out(n) = i;
            n += 1;
        }
        Var k(DType::i64, n);
        while_([&] { return k < out.extent(0); },
               [&] {
                   out(k) = -1;
                   k += 1;
               });
        if_(n == 0, [] { return_(); });
        out(0) = out(0) + 1000;
    });
    const auto check = [&](std::int64_t begin, std::int64_t end, std::int64_t step) {
        std::vector<std::int64_t> expected, got(40, 5);
        if (step != 0)
            for (std::int64_t i = begin; step > 0 ? i < end : i > end; i += step) {
                if (i == 7) continue;
                if (i == 100) break;
                expected.push_back(i);
            }
        if (!expected.empty()) expected[0] += 1000;
        expected.resize(40, -1);
        f(begin, end, step, got);
        CHECK(got == expected);
    };
    check(0, 10, 1);
    check(3, 30, 4);
    check(10, 0, -1);
    check(10, -8, -3);
    check(0, 10, -1);
    check(5, 5, 1);
    check(5, 9, 0);
    check(90, 120, 2);
}

TEST_CASE("loops: arrays of the kernel", "[jit][program]") {
    const auto f = jit([](In x) {
        Scratch y(x.dtype(), {x.extent(0), 2});
        for (Index i : prange(x.extent(0))) {
            y(i, 0) = x(i);
            y(i, 1) = x(i) * x(i);
        }
        Local window(DType::f64, 3);
        Var sum(DType::f64, 0.0);
        for (Index i : range(x.extent(0))) {
            window(i % 3) = y(i, 1);
            sum += window(0) + window(1) + window(2);
        }
        return std::pair(y, Value(sum));
    });
    const auto [y, sum] = f(arange(5, DType::f64));
    REQUIRE(y.shape() == Shape{5, 2});
    CHECK(y.view<double, 2>()(3, 1) == 9);
    // Sums of up to three last squares: 0, 1, 5, 14, 29.
    CHECK(sum.get<double>() == 49);
}

TEST_CASE("loops: mandelbrot", "[jit][program]") {
    const auto mandelbrot = jit(
        [](Out img, Value limit) {
            for (Index row : prange(img.extent(0)))
                for (Index col : range(img.extent(1))) {
                    const Value cx = cast<double>(col) * (3.0 / 64) - 2.0;
                    const Value cy = cast<double>(row) * (2.0 / 64) - 1.0;
                    Var x(DType::f64, 0.0), y(DType::f64, 0.0);
                    Var i(DType::i64, 0);
                    while_([&] { return i < limit && x * x + y * y <= 4.0; },
                           [&] {
                               const Value t = x * x - y * y + cx;
                               y = 2.0 * x * y + cy;
                               x = t;
                               i += 1;
                           });
                    img(row, col) = i;
                }
        },
        {.parallel = true});
    const Array img = zeros({64, 64}, DType::i64);
    mandelbrot(img, std::int64_t(50));
    const auto p = img.view<std::int64_t, 2>();
    for (int row = 0; row < 64; ++row)
        for (int col = 0; col < 64; ++col) {
            const double cx = col * (3.0 / 64) - 2.0, cy = row * (2.0 / 64) - 1.0;
            double x = 0, y = 0;
            std::int64_t i = 0;
            while (i < 50 && x * x + y * y <= 4.0) {
                const double t = x * x - y * y + cx;
                y = 2.0 * x * y + cy;
                x = t;
                ++i;
            }
            REQUIRE(p(row, col) == i);
        }
}

TEST_CASE("loops: reductions of every kind", "[jit][program]") {
    const auto f = jit(
        [](In x) {
            Var sum(DType::i64, 7), product(DType::f64, 2.0), least(DType::f64, 1e9),
                most(DType::f64, -1e9), bits(DType::i64, 0), odd(DType::i64, 1),
                down(DType::i64, 100);
            for (Index i : prange(x.extent(0))) {
                const Value v = x(i);
                sum += cast<std::int64_t>(v);
                product *= 1.0 + 1.0 / (v + 1.0);
                least = min(least, v);
                most = max(v, most);
                bits |= cast<std::int64_t>(v);
                odd ^= cast<std::int64_t>(v);
                if_(v > 10.0, [&] { down -= 2; });
            }
            return std::tuple(Value(sum), Value(product), Value(least), Value(most), Value(bits),
                              Value(odd), Value(down));
        },
        {.parallel = true});
    for (const std::int64_t n : {0, 1, 100, 5000}) {
        const auto [sum, product, least, most, bits, odd, down] = f(arange(n, DType::f64));
        CHECK(sum.get<std::int64_t>() == 7 + n * (n - 1) / 2);
        // The factors telescope: (2/1)(3/2)(4/3)... = n + 1.
        CHECK(product.get<double>() == Approx(2.0 * static_cast<double>(n + 1)).epsilon(1e-12));
        CHECK(least.get<double>() == (n == 0 ? 1e9 : 0));
        CHECK(most.get<double>() == (n == 0 ? -1e9 : static_cast<double>(n - 1)));
        std::int64_t all = 0, parity = 1;
        for (std::int64_t i = 0; i < n; ++i) all |= i, parity ^= i;
        CHECK(bits.get<std::int64_t>() == all);
        CHECK(odd.get<std::int64_t>() == parity);
        CHECK(down.get<std::int64_t>() == 100 - 2 * std::max<std::int64_t>(0, n - 11));
    }
}

TEST_CASE("loops: the bits of a reduction do not depend on the threads", "[jit][program]") {
    const auto sum = jit(
        [](In x) {
            Var total(x.dtype(), 0);
            for (Index i : prange(x.extent(0))) total += x(i);
            return Value(total);
        },
        {.parallel = true});
    for (const std::int64_t n : {1023, 1024, 1025, 1'000'000}) {
        std::vector<float> x(static_cast<std::size_t>(n));
        for (std::size_t i = 0; i < x.size(); ++i)
            x[i] = static_cast<float>(std::sin(static_cast<double>(i) * 1.7));
        const int before = num_threads();
        set_num_threads(1);
        const float one = sum(x).get<float>();
        for (const int threads : {2, 3, 8}) {
            set_num_threads(threads);
            CHECK(sum(x).get<float>() == one);
        }
        set_num_threads(before);
        double expected = 0;
        for (const float v : x) expected += static_cast<double>(v);
        CHECK(one == Approx(expected).margin(1e-3));
    }
}

TEST_CASE("loops: atomics", "[jit][program]") {
    const auto histogram = jit(
        [](In x, InOut counts, InOut weights, InOut top) {
            for (Index i : prange(x.extent(0))) {
                const Value bin = x(i) % 7;
                atomic_add(counts(bin), 1);
                atomic_add(weights(bin), 0.5);
                atomic_max(top(bin), x(i));
            }
        },
        {.parallel = true});
    std::vector<std::int64_t> x(100000), counts(7, 0), top(7, -1), expected(7, 0), most(7, -1);
    std::vector<double> weights(7, 0);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<std::int64_t>(i * i % 1009);
    for (const std::int64_t v : x) {
        ++expected[static_cast<std::size_t>(v % 7)];
        most[static_cast<std::size_t>(v % 7)] = std::max(most[static_cast<std::size_t>(v % 7)], v);
    }
    histogram(x, counts, weights, top);
    CHECK(counts == expected);
    CHECK(top == most);
    for (std::size_t b = 0; b < 7; ++b) CHECK(weights[b] == 0.5 * static_cast<double>(expected[b]));
}

TEST_CASE("loops: overlapping arrays run in order", "[jit][program]") {
    const auto shift = jit(
        [](In x, Out y) {
            for (Index i : prange(x.extent(0))) y(i) = x(i) + 1;
        },
        {.parallel = true});
    std::vector<std::int64_t> data(1000, 0), expected(1000, 0);
    shift(std::span<const std::int64_t>(data.data(), 999),
          std::span<std::int64_t>(data.data() + 1, 999));
    for (std::size_t i = 0; i < 999; ++i) expected[i + 1] = expected[i] + 1;
    CHECK(data == expected);
}

TEST_CASE("loops: arrays that overlap themselves are written in order", "[jit][program]") {
    constexpr std::int64_t rows = 5000, columns = 3;
    std::vector<double> data(rows + columns - 1), expected(data.size());
    // The array, each row of which begins one element behind the one before; its elements from the last
    // row on, as strides below 0 count.
    const Array windows = Array::over(data.data(), {rows, columns}, {8, 8});
    const Array upwards = Array::over(data.data() + rows - 1, {rows, columns}, {-8, 8});
    const auto plain = [&](auto each) {
        for (std::int64_t i = 0; i < rows; ++i)
            for (std::int64_t j = 0; j < columns; ++j) each(i, j);
    };
    const auto at = [&](std::int64_t i, std::int64_t j) -> double& {
        return expected[static_cast<std::size_t>(i + j)];
    };
    const test::Threads scope(4);
    const auto damp = jit(
        [](InOut w) {
            for (Index i : prange(w.extent(0)))
                for (Index j : range(w.extent(1))) w(i, j) = w(i, j) * 0.5 + cast<double>(i);
        },
        {.parallel = true});
    damp(windows);
    plain([&](std::int64_t i, std::int64_t j) {
        at(i, j) = at(i, j) * 0.5 + static_cast<double>(i);
    });
    CHECK(data == expected);
    damp(upwards);
    plain([&](std::int64_t i, std::int64_t j) {
        double& element = at(rows - 1 - i, j);
        element = element * 0.5 + static_cast<double>(i);
    });
    CHECK(data == expected);
    // Along a row, where each element that is stored is read next by another name.
    jit(
        [](InOut w) {
            for (Index i : range(w.extent(0) - 1))
                for (Index j : range(w.extent(1))) w(i + 1, j) = w(i, j) + 1;
        },
        {.parallel = true})(windows);
    for (std::int64_t i = 0; i + 1 < rows; ++i)
        for (std::int64_t j = 0; j < columns; ++j) at(i + 1, j) = at(i, j) + 1;
    CHECK(data == expected);
    // Statements on whole arrays, and stencils: what is stored last stays.
    const Array x = arange(rows * columns, f64).reshape({rows, columns});
    jit([](In a, Out w) { w = 2 * a; }, {.parallel = true})(x, windows);
    plain([&](std::int64_t i, std::int64_t j) {
        at(i, j) = 2 * static_cast<double>(i * columns + j);
    });
    CHECK(data == expected);
    stencil([](Neighbors a) -> Value { return a(0, 0) + 1; }, {.parallel = true}).into(windows, x);
    plain([&](std::int64_t i, std::int64_t j) {
        at(i, j) = static_cast<double>(i * columns + j + 1);
    });
    CHECK(data == expected);
    // What NumPy's functions write does not overlap itself.
    const auto refusal = [&](auto f) { return test::error_of(f).message(); };
    const std::string several = " has several indices for one element (strides (8,8))";
    CHECK(refusal([&] { ufunc::add(x, 1, {.out = windows}); }) == "the output of add" + several);
    CHECK(refusal([&] { cumsum(x, {.axis = 0, .out = windows}); }) ==
          "the output of cumsum" + several);
    CHECK(data == expected);
}

}  // namespace
