// How many parallel loops remain of known programs, and that these compute what they should. The
// numbers are those of Numba's own tests for programs of the same meaning (fewer where legal).
#include "tests/jit/support.h"

#include <cmath>

#include <fmt/format.h>

using namespace kiln;

namespace {

struct Loops {
    unsigned found, left;
    bool operator==(const Loops&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Loops& loops) {
    return out << loops.found << " found, " << loops.left << " left";
}

/// Of the variant that was compiled last.
Loops loops(const JitKernel& f) {
    const std::string text = f.parallel_diagnostics(0);
    return {static_cast<unsigned>(std::stoul(text.substr(text.find(": ") + 2))),
            static_cast<unsigned>(std::stoul(text.substr(text.find("found, ") + 7)))};
}

bool removes_temporary(const JitKernel& f) {
    return f.parallel_diagnostics().find("removed: the temporary array") != std::string::npos;
}

Array ramp(std::int64_t n, double first, double step) {
    const Array a = zeros({n});
    for (std::int64_t i = 0; i < n; ++i)
        a.view<double, 1>()(i) = first + static_cast<double>(i) * step;
    return a;
}

TEST_CASE("fusion counts: pi by Monte Carlo is one loop without arrays", "[codegen][fuse]") {
    const auto pi = jit("pi",
                        [](Value n) -> Value {
                            Scratch x(f64, {n}), y(f64, {n});
                            for (Index i : prange(n))
                                x(i) = 2.0 * random::uniform<double>(7, 0, i) - 1.0;
                            for (Index i : prange(n))
                                y(i) = 2.0 * random::uniform<double>(7, 1, i) - 1.0;
                            return 4.0 * sum(x * x + y * y < 1.0) / n;
                        },
                        {.parallel = true});
    const double got = pi(std::int64_t(200000)).get<double>();
    CHECK(std::abs(got - 3.14159265) < 0.02);  // its standard deviation is 0.0037
    CHECK(loops(pi) == Loops{3, 1});
    const std::string text = pi.parallel_diagnostics();
    std::size_t removed = 0;
    for (std::size_t at = 0; (at = text.find("removed: the temporary array", at)) < text.size();
         ++at)
        ++removed;
    CHECK(removed >= 1);  // x and y are made by one line: their remarks are one
    const std::string ir = pi.inspect(Artifact::passes, {i64});
    CHECK(ir.substr(ir.rfind("; after ")).find("allocate") == std::string::npos);
}

TEST_CASE("fusion counts: Black-Scholes is one loop", "[codegen][fuse]") {
    const auto prices = jit(
        "black_scholes",
        [](In s, In k, In r, In v, In t, Out call, Out put) {
            Scratch log_term = log(s / k), half = 0.5 * v * v, den = v * sqrt(t);
            Scratch d1 = (((r + half) * t) + log_term) / den, d2 = d1 - den;
            Scratch n1 = 0.5 * erfc(-d1 * std::sqrt(0.5)), n2 = 0.5 * erfc(-d2 * std::sqrt(0.5));
            Scratch future = k * exp(-r * t);
            call = s * n1 - future * n2;
            put = call - s + future;
        },
        {.parallel = true});
    constexpr std::int64_t n = 1000;
    const Array s = ramp(n, 40, 0.02), k = ramp(n, 35, 0.03), r = ramp(n, 0.01, 1e-5),
                v = ramp(n, 0.1, 1e-4), t = ramp(n, 0.5, 1e-3), call = zeros({n}), put = zeros({n});
    prices(s, k, r, v, t, call, put);
    CHECK(loops(prices) == Loops{10, 1});
    CHECK(removes_temporary(prices));
    const auto cdf = [](double x) { return 0.5 * std::erfc(-x * std::sqrt(0.5)); };
    for (const std::int64_t i : {0, 500, 999}) {
        const auto at = [i](const Array& a) { return a.view<double, 1>()(i); };
        const double d1 = (std::log(at(s) / at(k)) + (at(r) + 0.5 * at(v) * at(v)) * at(t)) /
                          (at(v) * std::sqrt(at(t)));
        const double d2 = d1 - at(v) * std::sqrt(at(t)), d = at(k) * std::exp(-at(r) * at(t));
        CHECK(at(call) == Approx(at(s) * cdf(d1) - d * cdf(d2)).epsilon(1e-11));
        CHECK(at(put) == Approx(d * cdf(-d2) - at(s) * cdf(-d1)).epsilon(1e-9));
    }
}

/// The array is made, an extreme or its position is found, and it is summed.
template <class Extreme>
auto sum_and(Extreme extreme, bool sum_first, DType dtype, Fastmath fastmath) {
    return jit("both",
               [=](Value n) -> Value {
                   Scratch a(dtype, {n});
                   a = 1;
                   if (sum_first) {
                       const Value total = sum(a);
                       return total + extreme(a, n);
                   }
                   const Value first = extreme(a, n);
                   return sum(a) + first;
               },
               {.fastmath = fastmath, .parallel = true});
}
template <class Extreme>
void check_sum_and(Extreme extreme, double expected, DType dtype, Fastmath fastmath = {}) {
    for (const bool sum_first : {false, true}) {
        const auto f = sum_and(extreme, sum_first, dtype, fastmath);
        CHECK(f(std::int64_t(256)).cast(f64).template get<double>() == 256 + expected);
        CHECK(loops(f) == Loops{3, 1});
        CHECK(removes_temporary(f));
    }
}

TEST_CASE("fusion counts: a sum with min, max, argmin or argmax is one loop", "[codegen][fuse]") {
    const auto least = [](const Scratch& a, const Value&) { return min(a); };
    const auto most = [](const Scratch& a, const Value&) { return max(a); };
    const auto least_at = [](const Scratch& a, const Value& n) -> Value {
        Var v(a.dtype(), a(0)), at(i64, 0);
        for (Index i : prange(n)) reduce_argmin(v, at, a(i), i);
        return at;
    };
    const auto most_at = [](const Scratch& a, const Value& n) -> Value {
        Var v(a.dtype(), cast(a.dtype(), -1)), at(i64, -1);
        for (Index i : prange(n)) reduce_argmax(v, at, a(i), i);
        return at;
    };
    check_sum_and(least, 1, f64);
    check_sum_and(most, 1, f64);
    check_sum_and(least, 1, i32);
    check_sum_and(most_at, 0, i64);
    check_sum_and(most_at, 0, f64);
    check_sum_and(most_at, 0, f64, Fastmath::reassoc);
    // An element that is read before the loop keeps the array.
    const auto from_first = sum_and(least_at, false, i64, {});
    CHECK(from_first(std::int64_t(256)).get<std::int64_t>() == 256);
    CHECK(loops(from_first) == Loops{3, 2});
}

TEST_CASE("fusion counts: a mean is one loop, var and std are two", "[codegen][fuse]") {
    constexpr std::int64_t n = 1000;
    const Array x = ramp(n, 3, 0.5);
    const auto average = jit([](In a) -> Value { return a.mean(); }, {.parallel = true});
    CHECK(average(x).get<double>() == Approx(3 + 0.25 * (n - 1)).epsilon(1e-14));
    CHECK(loops(average) == Loops{1, 1});
    const auto variance =
        jit([](In a) -> Value { return mean(square(a - mean(a))); }, {.parallel = true});
    const double exact = 0.25 * (double(n) * n - 1) / 12;  // of equal steps of 0.5
    CHECK(variance(x).get<double>() == Approx(exact).epsilon(1e-13));
    CHECK(loops(variance) == Loops{2, 2});
    const auto deviation = jit(
        [](In a) -> Value {
            Scratch d = a - mean(a);
            return sqrt(mean(d * d));
        },
        {.parallel = true});
    CHECK(deviation(x).get<double>() == Approx(std::sqrt(exact)).epsilon(1e-13));
    CHECK(loops(deviation) == Loops{3, 2});
    CHECK(average(x.reshape({10, 100})).get<double>() == Approx(3 + 0.25 * (n - 1)));
    CHECK(loops(average) == Loops{1, 1});
}

TEST_CASE("fusion counts: sums of arrays that are made for them are one loop", "[codegen][fuse]") {
    const auto f = jit(
        [](Value n, Value m) -> Value {
            Scratch x(f64, {n, m}), y(f64, {n, m});
            x = 1.0;
            y = 0.5;
            return sum(x + y);
        },
        {.parallel = true});
    CHECK(f(std::int64_t(10), std::int64_t(12)).get<double>() == 180);
    CHECK(loops(f) == Loops{3, 1});
}

TEST_CASE("fusion counts: three chained pranges are one loop", "[codegen][fuse]") {
    const auto f = jit(
        [](In a, InOut b, InOut c, Out d) {
            const Value n = a.extent(0);
            for (Index i : prange(n)) b(i) = a(i) + 1.0;
            for (Index i : prange(n)) c(i) = b(i) * 2.0;
            for (Index i : prange(n)) d(i) = c(i) - b(i);
        },
        {.parallel = true});
    const Array a = ramp(100, 0, 1), b = zeros({100}), c = zeros({100}), d = zeros({100});
    f(a, b, c, d);
    CHECK(loops(f) == Loops{3, 1});
    CHECK(d.view<double, 1>()(99) == 100);
}

TEST_CASE("fusion counts: A - min(A) is two loops", "[codegen][fuse]") {
    const auto f = jit([](In a, Out b) { b = a - min(a); }, {.parallel = true});
    const Array a = ramp(211, 5, 2), b = zeros({211});
    f(a, b);
    CHECK(loops(f) == Loops{2, 2});
    CHECK(b.view<double, 1>()(210) == 420);
}

TEST_CASE("fusion counts: elements that other iterations store are read by a second loop",
          "[codegen][fuse]") {
    const Array x = ramp(30 * 30, 0, 1).reshape({30, 30}), y = zeros({30, 30}), z = zeros({30, 30});
    const auto p = x.view<double, 2>(), r = z.view<double, 2>();
    SECTION("store [i, j], then read of [i + 1, j]") {
        const auto f = jit(
            [](In a, InOut b, Out c) {
                const Value n = a.extent(0) - 1, m = a.extent(1);
                for (Index i : prange(n))
                    for (Index j : range(m)) b(i, j) = a(i, j);
                for (Index i : prange(n))
                    for (Index j : range(m)) c(i, j) = b(i + 1, j);
            },
            {.parallel = true});
        f(x, y, z);
        CHECK(loops(f) == Loops{2, 2});
        CHECK(r(3, 4) == p(4, 4));
        CHECK(r(28, 4) == 0);
    }
    SECTION("store a[i], then read of a[5]") {
        const auto f = jit(
            [](In a, InOut b, Out c) {
                const Value n = a.extent(0);
                for (Index i : prange(n)) b(i) = a(i);
                for (Index i : prange(n)) c(i) = b(5);
            },
            {.parallel = true});
        const Array b = zeros({30}), c = zeros({30});
        f(ramp(30, 1, 1), b, c);
        CHECK(loops(f) == Loops{2, 2});
        test::check_values(c, std::vector<double>(30, 6));
    }
    SECTION("read b[i, j], then store b[j, i]") {
        const auto f = jit(
            [](In a, InOut b, Out c) {
                const Value n = a.extent(0);
                for (Index i : prange(n))
                    for (Index j : range(n)) c(i, j) = b(i, j);
                for (Index i : prange(n))
                    for (Index j : range(n)) b(j, i) = a(i, j);
            },
            {.parallel = true});
        y.fill(7.0);
        f(x, y, z);
        CHECK(loops(f) == Loops{2, 2});
        test::check_values(z, std::vector<double>(900, 7));
        CHECK(y.view<double, 2>()(2, 5) == p(5, 2));
    }
    SECTION("an atomic operation on what the other loop uses") {
        const auto f = jit(
            [](In a, InOut total, Out c) {
                const Value n = a.extent(0);
                for (Index i : prange(n)) atomic_add(total(0), a(i));
                for (Index i : prange(n)) c(i) = total(0);
            },
            {.parallel = true});
        const Array total = zeros({1}), c = zeros({30});
        f(ramp(30, 1, 1), total, c);
        CHECK(loops(f) == Loops{2, 2});
        test::check_values(c, std::vector<double>(30, 465));
    }
}

TEST_CASE("fusion counts: mixed slices are two loops", "[codegen][fuse]") {
    // Two slices of one extent, and the whole: a loop each.
    const auto f = jit(
        [](Value n, Value m) {
            Scratch a(f64, {n, m}), b(f64, {n, m});
            a.slice({1, {}}) = 10.0;
            b.slice({{}, -1}) = 10.0;
            a.slice(0) = 1.0;
            b.slice(-1) = 0.0;
            return Scratch(a * b);
        },
        {.parallel = true});
    const Array c = f(std::int64_t(10), std::int64_t(3));
    const auto p = c.view<double, 2>();
    CHECK(p(0, 1) == 10);
    CHECK(p(1, 0) == 100);
    CHECK(p(8, 2) == 100);
    CHECK(p(9, 2) == 0);
    // Rows of one array: over n - 1, over m, over n.
    CHECK(loops(f) == Loops{5, 3});

    const auto g = jit(
        [](InOut a, InOut b, Out c) {
            const Value n = a.extent(0);
            for (Index i : prange(n - 1)) a(i + 1) = 10.0;
            for (Index i : prange(n - 1)) b(i) = 10.0;
            c = a * b;
        },
        {.parallel = true});
    const Array a = ones({10}), b = zeros({10}), d = zeros({10});
    g(a, b, d);
    CHECK(loops(g) == Loops{3, 2});
    test::check_values(d, {10, 100, 100, 100, 100, 100, 100, 100, 100, 0});
}

TEST_CASE("fusion counts: one loop with fusion, six without", "[codegen][fuse]") {
    const auto build = [](bool fuse) {
        return jit("options",
                   [](In a) -> Value {
                       const Value n = a.extent(0);
                       Scratch b(f64, {n}), c(i64, {n});
                       b = 1.0;
                       for (Index i : prange(n)) c(i) = i;
                       Scratch t = a + b * c;
                       b.slice({{}, n}) = t;
                       for (Index i : prange(n)) c(i) = cast<std::int64_t>(b(i) * a(i));
                       return sum(c);
                   },
                   {.parallel = true, .fuse = fuse});
    };
    const auto fused = build(true), plain = build(false);
    const Array a = ones({10});
    CHECK(fused(a).get<std::int64_t>() == 55);  // 1 + 2 + ... + 10
    CHECK(plain(a).get<std::int64_t>() == 55);
    CHECK(loops(fused) == Loops{6, 1});
    CHECK(removes_temporary(fused));
    CHECK(loops(plain) == Loops{6, 6});
}

}  // namespace
