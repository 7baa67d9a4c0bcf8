// Facts about parallel loops and array reductions that Numba's and NumPy's own tests state, and the
// sizes around blocks: results do not depend on the number of threads.
#include "tests/jit/support.h"
#include "tests/threads.h"

#include <cmath>
#include <cstring>
#include <limits>

using namespace kiln;
using kiln::test::Threads;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

TEST_CASE("prange: the initial value of a reduction counts once", "[jit][program][facts]") {
    const auto f = jit(
        [](Value begin, Value end) {
            Var up(f64, 10.0), twice(f64, 3.0), down(f64, 100.0), half(f64, 10.0);
            for (Index i : prange(begin, end)) {
                up += 2.0;
                twice *= 2.0;
                down -= 2.0;
                half /= 2.0;
            }
            return std::tuple(Value(up), Value(twice), Value(down), Value(half));
        },
        {.parallel = true});
    for (const int threads : {1, 2, 8}) {
        const Threads scope(threads);
        const auto [up, twice, down, half] = f(std::int64_t(0), std::int64_t(10));
        CHECK(up.get<double>() == 10 + 2 * 10);
        CHECK(twice.get<double>() == 3 * 1024);
        CHECK(down.get<double>() == 100 - 2 * 10);
        CHECK(half.get<double>() == 10.0 / 1024);
        // Of an empty range the value before the loop is left.
        for (const std::int64_t begin : {1, 4}) {
            const auto [a, b, c, d] = f(begin, std::int64_t(1));
            CHECK(a.get<double>() == 10);
            CHECK(b.get<double>() == 3);
            CHECK(c.get<double>() == 100);
            CHECK(d.get<double>() == 10);
        }
    }
}

TEST_CASE("prange: conditional + and - in both branches", "[jit][program][facts]") {
    const auto f = jit(
        [](In x) {
            Var balance(i64, 7), ups(i64, 0);
            for (Index i : prange(x.extent(0)))
                if_(x(i) > 0, [&] {
                    balance += 3;
                    ups += 1;
                }).else_([&] { balance -= 2; });
            return std::pair(Value(balance), Value(ups));
        },
        {.parallel = true});
    for (const std::int64_t n : {0, 1, 10, 5000}) {
        std::vector<double> x(static_cast<std::size_t>(n));
        std::int64_t ups = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
            x[i] = i % 3 == 0 ? 1.0 : -1.0;
            ups += i % 3 == 0 ? 1 : 0;
        }
        const auto [balance, counted] = f(x);
        CHECK(balance.get<std::int64_t>() == 7 + 3 * ups - 2 * (n - ups));
        CHECK(counted.get<std::int64_t>() == ups);
    }
}

TEST_CASE("prange: sums of arrays of integers over 100 iterations", "[jit][program][facts]") {
    // Numba accumulates whole arrays in a prange; here the iterations are an axis that is summed.
    const auto f = jit(
        [](In tmp, Value n, InOut sums, InOut products) {
            Scratch rows(i64, {n, 13, 17});
            for (Index i : prange(n)) rows.slice(i) = tmp;
            sums += sum(rows, {.axis = 0});
            products *= prod(rows.slice({{}, 3}), {.axis = 0});
        },
        {.parallel = true});
    const Array tmp = arange(13 * 17).reshape({13, 17}), sums = zeros({13, 17}, i64),
                products = full({13, 17}, std::int64_t(2));
    for (int again = 1; again <= 2; ++again) {
        f(tmp, std::int64_t(100), sums, products);
        for (std::int64_t k = 0; k < 13 * 17; ++k)
            REQUIRE(test::at(sums, k) == 100.0 * static_cast<double>(k) * again);
    }
    CHECK(test::at(products, 3) == 2 * 729);
}

TEST_CASE("prange: an index below 0 does not wrap", "[jit][program][facts]") {
    const auto f = jit(
        [](InOut x) {
            for (Index i : prange(-9, 9)) x(i) = i;
        },
        {.parallel = true, .checked = true, .params = {"x"}});
    const Error error = test::error_of([&] { f(zeros({9})); });
    CHECK(error.line() == __LINE__ - 4);
    CHECK(error.message() == "index (-9,) is outside of x of shape (9,) in iteration 0");
}

TEST_CASE("prange: steps of any sign and size", "[jit][program][facts]") {
    const auto f = jit(
        [](InOut x, Value begin, Value end, Value step) -> Value {
            Var total(i64, 0);
            for (Index i : prange(begin, end, step)) {
                x(i) += 1.0;
                total += i;
            }
            return total;
        },
        {.parallel = true});
    struct Case {
        std::int64_t begin, end, step;
    };
    for (const Case& c : {Case{0, 5000, 1}, Case{0, 5000, 3}, Case{4999, -1, -1},
                          Case{4998, 10, -7}, Case{10, 10, -1}, Case{5, 10, -2}, Case{7, 3, 4}}) {
        std::vector<double> x(5000, 0.0), expected(5000, 0.0);
        std::int64_t total = 0;
        for (std::int64_t i = c.begin; c.step > 0 ? i < c.end : i > c.end; i += c.step) {
            expected[static_cast<std::size_t>(i)] += 1;
            total += i;
        }
        for (const int threads : {1, 3}) {
            const Threads scope(threads);
            std::vector<double> y = x;
            CHECK(f(y, c.begin, c.end, c.step).get<std::int64_t>() == total);
            CHECK(y == expected);
        }
    }
}

TEST_CASE("loops: a kernel ends early, and what follows does not run", "[jit][program][facts]") {
    const auto f = jit(
        [](In x, InOut y) {
            if_(x(0) < 0, [] { return_(); });
            for (Index i : range(x.extent(0))) {
                if_(x(i) > 100, [] { return_(); });
                y(i) = 1.0;
            }
            for (Index i : prange(x.extent(0))) y(i) += 2.0;
        },
        {.parallel = true});
    std::vector<double> y(4, 0.0);
    f(std::vector<double>{-1, 1, 1, 1}, y);
    CHECK(y == std::vector<double>{0, 0, 0, 0});
    f(std::vector<double>{1, 1, 200, 1}, y);
    CHECK(y == std::vector<double>{1, 1, 0, 0});
    f(std::vector<double>{1, 1, 1, 1}, y);
    CHECK(y == std::vector<double>{3, 3, 3, 3});
}

TEST_CASE("prange: perfectly nested ones compute what the outer one does",
          "[jit][program][facts]") {
    for (const bool checked : {false, true}) {
        const auto f = jit(
            [](In x, Out y) -> Value {
                Var total(i64, 0);
                for (Index i : prange(x.extent(0)))
                    for (Index j : prange(x.extent(1))) {
                        y(i, j) = 2.0 * x(i, j);
                        total += i * j;
                    }
                return total;
            },
            {.parallel = true, .checked = checked});
        for (const int threads : {1, 2, 8}) {
            const Threads scope(threads);
            const Array x = arange(3 * 4000, f64).reshape({3, 4000}), y = zeros({3, 4000});
            CHECK(f(x, y).get<std::int64_t>() == 3 * (4000 * 3999 / 2));
            CHECK(test::at(y, 11999) == 2 * 11999);
        }
    }
}

// ------------------------------------------------------------------------- sizes around blocks

/// n numbers, the sums of which round differently in every order.
Array uneven(std::int64_t n, DType dtype) {
    const Array a = zeros({n});
    std::uint64_t state = 12345;
    for (double& v : a.span<double>()) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        v = std::exp(static_cast<double>(state >> 40) / 4e6) - 3.0;
    }
    return a.astype(dtype);
}

std::vector<std::byte> bytes(const Array& a) {
    const Array c = a.copy();
    return {c.data(), c.data() + c.nbytes()};
}
void add_bytes(std::vector<std::byte>& all, const Scalar& s) {
    all.insert(all.end(), s.bytes.data(), s.bytes.data() + size_of(s.dtype));
}
template <class... S> std::vector<std::byte> scalar_bytes(const std::tuple<S...>& scalars) {
    std::vector<std::byte> all;
    std::apply([&](const auto&... s) { (add_bytes(all, s), ...); }, scalars);
    return all;
}

/// The same bytes on 1, 2, 3 and 8 threads.
template <class F> void check_on_threads(F f) {
    const std::vector<std::byte> one = [&] {
        const Threads scope(1);
        return f();
    }();
    for (const int threads : {2, 3, 8}) {
        const Threads scope(threads);
        INFO(threads << " threads");
        CHECK(f() == one);
    }
}

// Around the blocks of scalar code (1024), of lanes (4096 and 64 steps of up to 64 lanes), and the
// units that are dealt out.
const std::int64_t sizes[] = {0,    1,    1023, 1024, 1025,   2047,   2048,   2049,
                              4095, 4096, 4097, 8193, 262143, 262144, 262145, 10'000'000};

TEST_CASE("sizes: reductions of prange, the same bits on 1, 2, 3 and 8 threads",
          "[jit][program][reduce][sizes]") {
    const auto floats = jit(
        [](In x) {
            Var total(x.dtype(), cast(x.dtype(), 0.25)), down(x.dtype(), cast(x.dtype(), 0)),
                product(x.dtype(), cast(x.dtype(), 1)), quotient(x.dtype(), cast(x.dtype(), 1)),
                least(x.dtype(), cast(x.dtype(), infinity)),
                most(x.dtype(), cast(x.dtype(), -infinity));
            for (Index i : prange(x.extent(0))) {
                const Value factor = 1.0 + x(i) * 1e-9;
                total += x(i);
                down -= x(i) * x(i);
                product *= factor;
                quotient /= factor;
                least = min(least, x(i));
                most = max(most, x(i));
            }
            return std::tuple(Value(total), Value(down), Value(product), Value(quotient),
                              Value(least), Value(most));
        },
        {.parallel = true});
    // Subscripts that lanes do not have: these loops are scalar code.
    const auto scalars = jit(
        [](In x) {
            Var total(x.dtype(), cast(x.dtype(), 0)), least(x.dtype(), cast(x.dtype(), infinity));
            Var at(i64, -1), bits(i64, 0), every(i64, -1), some(i64, 0);
            for (Index i : prange(x.extent(0))) {
                const Value v = x(i % x.extent(0));
                total += v * 0.5;
                reduce_argmin(least, at, v, i);
                bits ^= i * 3;
                every &= i | 8;
                some |= i & 5;
            }
            return std::tuple(Value(total), Value(least), Value(at), Value(bits), Value(every),
                              Value(some));
        },
        {.parallel = true});
    for (const DType dtype : {f64, f32})
        for (const std::int64_t n : sizes) {
            INFO(name(dtype) << ", n " << n);
            const Array x = uneven(n, dtype);
            check_on_threads([&] { return scalar_bytes(floats(x)); });
            check_on_threads([&] { return scalar_bytes(scalars(x)); });
            double total = 0.25, least = infinity;
            std::int64_t at = -1;
            for (std::int64_t i = 0; i < n; ++i) {
                const double v = test::at(x, i);
                total += v;
                if (v < least) {
                    least = v;
                    at = i;
                }
            }
            CHECK(std::get<0>(floats(x)).cast(f64).template get<double>() ==
                  Approx(total).epsilon(dtype == f64 ? 1e-12 : 2e-5));
            CHECK(std::get<2>(scalars(x)).template get<std::int64_t>() == at);
        }
}

TEST_CASE("sizes: reductions of whole arrays, the same bits on 1, 2, 3 and 8 threads",
          "[jit][arrays][sizes]") {
    const auto all = jit(
        [](In x) {
            return std::tuple(sum(x), sum(x * x + 1.0), mean(exp(x * 1e-3)), sum(x > 0.0),
                              dot(x, x), prod(1.0 + x * 1e-9));
        },
        {.parallel = true});
    const auto extremes =
        jit([](In x) { return std::pair(min(x), max(x * 2.0)); }, {.parallel = true});
    const auto axes = jit(
        [](In x, Out columns, Out rows, Out middle, In cube) {
            columns = sum(x * 0.5, {.axis = 0});
            rows = sum(x, {.axis = 1});
            middle = sum(cube, {.axis = 1});
        },
        {.parallel = true});
    for (const DType dtype : {f64, f32})
        for (const std::int64_t n : sizes) {
            INFO(name(dtype) << ", n " << n);
            const Array x = uneven(n, dtype);
            check_on_threads([&] { return scalar_bytes(all(x)); });
            if (n > 0) check_on_threads([&] { return scalar_bytes(extremes(x)); });
            if (n > 300'000) continue;
            const Array three = uneven(3 * n, dtype);
            for (const Array& m : {three.reshape({n, 3}), three.reshape({3, n})}) {
                const Array columns = zeros({m.extent(1)}, dtype),
                            rows = zeros({m.extent(0)}, dtype),
                            cube = m.reshape({1, m.extent(0), m.extent(1)}),
                            middle = zeros({1, m.extent(1)}, dtype);
                check_on_threads([&] {
                    axes(m, columns, rows, middle, cube);
                    std::vector<std::byte> result = bytes(columns);
                    for (const Array& more : {rows, middle})
                        for (const std::byte b : bytes(more)) result.push_back(b);
                    return result;
                });
            }
        }
}

TEST_CASE("sizes: scans, the same bits on 1, 2, 3 and 8 threads", "[jit][scan][sizes]") {
    for (const DType dtype : {f64, f32, i32})
        for (const std::int64_t n : sizes) {
            INFO(name(dtype) << ", n " << n);
            const Array x = uneven(n, dtype);
            for (const bool exclusive : {false, true})
                for (const bool reverse : {false, true}) {
                    if (n > 300'000 && exclusive == reverse) continue;
                    INFO("exclusive " << exclusive << ", reverse " << reverse);
                    const ScanOptions options{.exclusive = exclusive, .reverse = reverse};
                    check_on_threads([&] { return bytes(cumsum(x, options)); });
                    if (n < 10'000) {
                        check_on_threads([&] { return bytes(cumprod(x, options)); });
                        check_on_threads([&] { return bytes(cummax(x, options)); });
                    }
                    if (n > 5'000) continue;
                    for (const int axis : {0, 1}) {
                        const ScanOptions along{
                            .axis = axis, .exclusive = exclusive, .reverse = reverse};
                        const Array m = uneven(5 * n, dtype);
                        check_on_threads([&] { return bytes(cumsum(m.reshape({5, n}), along)); });
                        check_on_threads([&] { return bytes(cumsum(m.reshape({n, 5}), along)); });
                    }
                }
        }
}

// ------------------------------------------------------------------------------------- accuracy

TEST_CASE("sums of f32 are as accurate as pairwise ones, along any axis", "[jit][arrays][facts]") {
    // NumPy's pairwise sum of these 10^7 numbers is 10.6 off; one after the other 87937 off.
    constexpr std::int64_t n = 10'000'000;
    const Array x = full({n}, 0.1F);
    const double exact = 0.1F * static_cast<double>(n);
    const auto off = [&](const Array& shaped, auto f, std::int64_t count) {
        const double wanted = 0.1F * static_cast<double>(count);
        return std::abs(test::at(f(shaped), 0) - wanted) / wanted;
    };
    constexpr double pairwise = 10.6 / 1e6;
    const auto along = [](int axis) {
        return jit([=](In a) { return Scratch(sum(a, {.axis = axis})); }, {.parallel = true});
    };
    SECTION("all elements") {
        const auto whole = jit([](In a) -> Value { return sum(a); }, {.parallel = true});
        for (const Shape& s : {Shape{n}, Shape{1, n}, Shape{n, 1}, Shape{10, n / 10},
                               Shape{n / 10, 10}, Shape{100, 1000, 100}})
            CHECK(std::abs(whole(x.reshape(s)).get<float>() - exact) < 10.6);
        const auto loop = jit(
            [](In a) -> Value {
                Var total(f32, 0.0F);
                for (Index i : prange(a.extent(0))) total += a(i);
                return total;
            },
            {.parallel = true});
        CHECK(std::abs(loop(x).get<float>() - exact) < 10.6);
        const auto rows = jit(
            [](In a) -> Value {
                Var total(f32, 0.0F);
                for (Index i : prange(a.extent(0)))
                    for (Index j : range(a.extent(1))) total += a(i, j);
                return total;
            },
            {.parallel = true});
        CHECK(std::abs(rows(x.reshape({1, n})).get<float>() - exact) < 10.6);
        const auto scalar = jit(
            [](In a) -> Value {
                Var total(f32, 0.0F);
                for (Index i : prange(a.extent(0))) total += a(i % a.extent(0));
                return total;
            },
            {.parallel = true});
        CHECK(std::abs(scalar(x).get<float>() - exact) < 10.6);
    }
    SECTION("one axis") {
        CHECK(off(x.reshape({n, 1}), along(0), n) < pairwise);
        CHECK(off(x.reshape({1, n}), along(1), n) < pairwise);
        CHECK(off(x.reshape({n / 4, 4}), along(0), n / 4) < pairwise);
        CHECK(off(x.reshape({4, n / 4}), along(1), n / 4) < pairwise);
        CHECK(off(x.reshape({2, n / 2}), along(1), n / 2) < pairwise);
        CHECK(off(x.reshape({2, n / 4, 2}), along(1), n / 4) < pairwise);
        CHECK(off(x.reshape({2, n / 4, 2}).transpose({1, 0, 2}), along(0), n / 4) < pairwise);
        CHECK(off(x.reshape({n / 100, 100}), along(0), n / 100) < pairwise);
    }
    SECTION("products") {
        const auto product = jit([](In a, In b) { return Scratch(dot(a, b)); }, {.parallel = true});
        const Array one = full({n / 4}, 1.0F);
        CHECK(off(
                  x.reshape({n / 4, 4}), [&](const Array& m) { return product(one, m); }, n / 4) <
              pairwise);
        CHECK(off(
                  x.reshape({4, n / 4}), [&](const Array& m) { return product(m, one); }, n / 4) <
              pairwise);
    }
}

}  // namespace
