// Steps over time that go through the arrays together: for which loops, for which not, and that
// results stay.
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

#include <kiln/kiln.h>

#include <cstring>
#include <utility>
#include <vector>

using namespace kiln;

namespace {

template <class K> bool is_skewed(const K& kernel, std::initializer_list<ArgType> types) {
    return kernel.inspect(Artifact::passes, types).find("; after time_skew\n") != std::string::npos;
}

Array numbers(const Shape& shape) {
    const Array a = empty(shape, DType::f64);
    std::uint32_t state = 11;
    for (double& x : a.span<double>()) {
        state = state * 1664525U + 1013904223U;
        x = static_cast<double>(state >> 8) / 16777216.0 - 0.25;
    }
    return a;
}

bool same_bits(const Array& a, const std::vector<double>& b) {
    return static_cast<std::size_t>(a.size()) == b.size() &&
           (b.empty() || std::memcmp(a.data(), b.data(), 8 * b.size()) == 0);
}
std::vector<double> elements(const Array& a) {
    return {a.span<double>().begin(), a.span<double>().end()};
}

TEST_CASE("time_skew: sweeps in one dimension, in blocks", "[codegen][time_skew]") {
    const auto f = jit("sweeps", [](Value steps, InOut a, InOut b) {
        const auto sweep = [](const InOut& from, const InOut& to) {
            for (Index i : range(1, from.extent(0) - 2))
                to(i) = 0.25 * (from(i - 1) + from(i) + 2.0 * from(i + 2));
        };
        for (Index t : range(steps)) {
            (void)t;
            sweep(a, b);
            sweep(b, a);
        }
    });
    CHECK(is_skewed(f, {i64, f64[1], f64[1]}));
    for (const std::int64_t n : {0, 1, 3, 4, 5, 511, 512, 513, 517, 1500})
        for (const std::int64_t steps : {0, 1, 2, 15, 16, 17, 40}) {
            const Array a = numbers({n}), b = numbers({n});
            std::vector<double> x = elements(a), y = elements(b);
            f(steps, a, b);
            const auto sweep = [&](const std::vector<double>& from, std::vector<double>& to) {
                for (std::size_t i = 1; i + 2 < from.size(); ++i)
                    to[i] = 0.25 * (from[i - 1] + from[i] + 2.0 * from[i + 2]);
            };
            for (std::int64_t t = 0; t < steps; ++t) sweep(x, y), sweep(y, x);
            CHECK(same_bits(a, x));
            CHECK(same_bits(b, y));
        }
}

TEST_CASE("time_skew: sweeps over rows, in place and with time in them", "[codegen][time_skew]") {
    // Extents of the two arrays differ; the second loop reads what the first one wrote two rows on.
    const auto f = jit("rows", [](Value steps, InOut a, InOut b, In source) {
        for (Index t : range(1, steps)) {
            const Value s = source(t % 3);
            for (Index i : prange(1, a.extent(0) - 1))
                for (Index j : range(a.extent(1)))
                    b(i, j) = a(i - 1, j) - a(i + 1, j) + s * cast<double>(t);
            for (Index k : range(b.extent(0) - 3))
                for (Index j : range(a.extent(1))) a(k, j) = 0.5 * (b(k + 2, j) + a(k, j));
        }
    });
    CHECK(is_skewed(f, {i64, f64[2], f64[2], f64[1]}));
    for (const std::int64_t n : {2, 3, 8, 30})
        for (const std::int64_t m : {1, 7, 100})
            for (const std::int64_t steps : {1, 2, 6, 23}) {
                const Array a = numbers({n, m}), b = numbers({n + 3, m}), source = numbers({3});
                std::vector<double> x = elements(a), y = elements(b);
                const auto row = static_cast<std::size_t>(m);
                f(steps, a, b, source);
                for (std::int64_t t = 1; t < steps; ++t) {
                    const double add = source.at<double>({t % 3}) * static_cast<double>(t);
                    for (std::size_t i = 1; i + 1 < static_cast<std::size_t>(n); ++i)
                        for (std::size_t j = 0; j < row; ++j)
                            y[i * row + j] = x[(i - 1) * row + j] - x[(i + 1) * row + j] + add;
                    for (std::size_t k = 0; k < static_cast<std::size_t>(n); ++k)
                        for (std::size_t j = 0; j < row; ++j)
                            x[k * row + j] = 0.5 * (y[(k + 2) * row + j] + x[k * row + j]);
                }
                CHECK(same_bits(a, x));
                CHECK(same_bits(b, y));
            }
}

TEST_CASE("time_skew: a sweep in place follows itself", "[codegen][time_skew]") {
    const auto f = jit("seidel", [](Value steps, InOut a) {
        for (Index t : range(steps)) {
            (void)t;
            for (Index i : range(1, a.extent(0) - 1))
                for (Index j : range(1, a.extent(1) - 1))
                    a(i, j) = 0.25 * (a(i - 1, j) + a(i + 1, j) + a(i, j - 1) + a(i, j + 1));
        }
    });
    CHECK(is_skewed(f, {i64, f64[2]}));
    const std::size_t n = 37, m = 19;
    const Array a = numbers({37, 19});
    std::vector<double> x = elements(a);
    f(std::int64_t(21), a);
    for (int t = 0; t < 21; ++t)
        for (std::size_t i = 1; i + 1 < n; ++i)
            for (std::size_t j = 1; j + 1 < m; ++j)
                x[i * m + j] = 0.25 * (x[(i - 1) * m + j] + x[(i + 1) * m + j] + x[i * m + j - 1] +
                                       x[i * m + j + 1]);
    CHECK(same_bits(a, x));
}

TEST_CASE("time_skew: where it stays as it is", "[codegen][time_skew]") {
    const auto refused = [](auto body, std::initializer_list<ArgType> types,
                            const JitOptions& options = {}) {
        return !is_skewed(jit("refused", body, options), types);
    };
    const std::initializer_list<ArgType> two{i64, f64[1], f64[1]};
    const auto plain = [](Value steps, InOut a, InOut b) {
        for (Index t : range(steps)) {
            (void)t;
            for (Index i : prange(1, a.extent(0) - 1)) b(i) = a(i - 1) + a(i + 1);
            for (Index i : prange(1, a.extent(0) - 1)) a(i) = b(i);
        }
    };
    CHECK(!refused(plain, two));
    CHECK(refused(plain, two, {.parallel = true}));  // loops for threads
    CHECK(refused(plain, two, {.checked = true}));
    // A sum that all of the sweep goes into.
    CHECK(refused(
        [](Value steps, InOut a, InOut b) {
            Var sum(DType::f64, 0.0);
            for (Index t : range(steps)) {
                (void)t;
                for (Index i : range(a.extent(0))) sum += a(i);
                for (Index i : range(a.extent(0))) b(i) = sum + a(i);
            }
        },
        two));
    // One element that all of the sweep reads.
    CHECK(refused(
        [](Value steps, InOut a, InOut b) {
            for (Index t : range(steps)) {
                (void)t;
                for (Index i : range(a.extent(0))) b(i) = a(i) + b(0);
                for (Index i : range(a.extent(0))) a(i) = b(i);
            }
        },
        two));
    // Sweeps in opposite directions; a long way from each other; bounds that time changes.
    CHECK(refused(
        [](Value steps, InOut a, InOut b) {
            for (Index t : range(steps)) {
                (void)t;
                for (Index i : range(a.extent(0))) b(i) = a(i);
                for (Index i : range(a.extent(0) - 1, -1, -1)) a(i) = b(i);
            }
        },
        two));
    CHECK(refused(
        [](Value steps, InOut a, InOut b) {
            for (Index t : range(steps)) {
                (void)t;
                for (Index i : range(a.extent(0) - 50)) b(i) = a(i + 50);
                for (Index i : range(a.extent(0) - 50)) a(i) = b(i + 50);
            }
        },
        two));
    CHECK(refused(
        [](Value steps, InOut a, InOut b) {
            for (Index t : range(steps)) {
                for (Index i : range(t, a.extent(0))) b(i) = a(i);
                for (Index i : range(t, a.extent(0))) a(i) = b(i);
            }
        },
        two));
    // Something between the sweeps.
    CHECK(refused(
        [](Value steps, InOut a, InOut b) {
            for (Index t : range(steps)) {
                (void)t;
                for (Index i : range(1, a.extent(0) - 1)) b(i) = a(i - 1) + a(i + 1);
                b(0) = b(1);
                for (Index i : range(1, a.extent(0) - 1)) a(i) = b(i - 1);
            }
        },
        two));
    // No step meets what another one stored.
    CHECK(refused(
        [](In a, Out c) {
            for (Index i : range(a.extent(0)))
                for (Index j : range(a.extent(1))) c(i, j) = 2.0 * a(i, j);
        },
        {f64[2], f64[2]}));
    // Arrays that overlap run in order.
    const auto f = jit("overlap", plain);
    const Array base = numbers({600});
    std::vector<double> x = elements(base);
    f(std::int64_t(5), base(Slice{.stop = 500}), base(Slice{.start = 100}));
    for (int t = 0; t < 5; ++t) {
        for (std::size_t i = 1; i < 499; ++i) x[i + 100] = x[i - 1] + x[i + 1];
        for (std::size_t i = 1; i < 499; ++i) x[i] = x[i + 100];
    }
    CHECK(same_bits(base, x));
}

/// Two sweeps over time: the heads of the loops, what stands between them, their bodies.
struct Sweeps {
    std::string before = "", time = "for %0 = i64(0) to steps step i64(1) ", between = "",
                first = "for %1 = i64(1) to n step i64(1) ",
                store_b = "%2 = load f64 a[%1]\nstore b[%1], %2\n", middle = "",
                second = "for %5 = i64(1) to n step i64(1) ",
                store_a = "%6 = load f64 b[%5]\nstore a[%5], %6\n";
    std::string text() const {
        return "kernel t(a: inout f64[1] unit, b: inout f64[1] unit, c: in f64[1] unit, e: inout "
               "f64[1] "
               "unit, steps: value i64, n: value i64) program {\n  slot s: f64\n  stage [] "
               "{\nwrite s, "
               "f64(0)\n" +
               before + time + "{\n" + between + first + "{\n" + store_b + "}\n" + middle + second +
               "{\n" + store_a + "}\n}\n%30 = read f64 s\nstore e[n], %30\n}\n}\n";
    }
};

void check_kept(const Sweeps& sweeps, bool threads = true) {
    const ir::Kernel kernel = test::kernel(sweeps.text());
    CHECK(ir::print(test::run(codegen::run_time_skew, kernel,
                              {.noalias = true, .threads = threads})) == ir::print(kernel));
}
void check_skewed(const Sweeps& sweeps) {
    CHECK(test::after(codegen::run_time_skew, sweeps.text()) != test::printed(sweeps.text()));
}

TEST_CASE("time_skew: loops of other kinds stay", "[codegen][time_skew]") {
    check_skewed({});
    check_skewed({.between = "%20 = mul i64 %0, n\n%21 = load f64 c[%0]\n"});
    check_kept({.time = "for %0 = i64(0) to steps step i64(1) parallel automatic 0 "});
    check_kept({.time = "for %0 = i64(0) to steps step i64(2) "});
    check_kept({.time = "for %0 = i64(0) to steps step n "});
    // What another loop left over, of which there are less than four.
    check_kept({.before = "%20 = bit_and i64 steps, i64(-4)\n%21 = add i64 i64(0), %20\n",
                .time = "for %0 = %21 to steps step i64(1) remainder "});
    check_kept({.between = "store e[n], f64(1)\n"});
    check_kept({.middle = "write s, f64(1)\n"});
    check_kept({.middle = "%20 = load f64 a[n]\n"});
    check_kept({.second = "for %5 = i64(1) to n step i64(2) "});
    check_kept({.first = "for %1 = i64(1) to n step i64(1) parallel automatic 0 (sum -> s) "},
               false);
    // Bounds that time changes, of a loop that touches no array of the other one's results.
    check_kept({.first = "for %1 = %0 to n step i64(1) ",
                .store_b = "%2 = load f64 c[%1]\nstore b[%1], %2\n"});
    check_kept({.first = "for %1 = i64(1) to %0 step i64(1) ",
                .store_b = "%2 = load f64 c[%1]\nstore b[%1], %2\n"});
    // So few elements that they are in the cache anyway; loops with inner loops beside others.
    check_kept({.first = "for %1 = i64(1) to i64(300) step i64(1) "});
    const std::string inner = "for %7 = i64(0) to i64(3) step i64(1) ",
                      nested = "{\n%6 = load f64 b[%5]\nstore a[%5], %6\n}\n";
    check_kept({.store_a = inner + nested});
    const std::string of_b = "{\n%2 = load f64 a[%1]\nstore b[%1], %2\n}\n";
    const std::string inner_b = "for %8 = i64(0) to i64(3) step i64(1) ";
    check_skewed({.store_b = inner_b + of_b, .store_a = inner + nested});
    check_kept({.store_b = inner_b + of_b, .store_a = inner + "parallel automatic 0 " + nested});
    check_kept({.store_b = Sweeps().store_b + "%8 = atomic sum f64 e[n], %2\n"});
    check_kept({.store_b = Sweeps().store_b + "%8 = lt bool %2, f64(0)\nif %8 {\nbreak\n}\n"});
}

TEST_CASE("time_skew: lags that add up to too much", "[codegen][time_skew]") {
    const auto ahead = [](const std::string& by) {
        return Sweeps{
            .store_b = "%3 = add i64 %1, i64(" + by + ")\n%2 = load f64 a[%3]\nstore b[%1], %2\n",
            .store_a = "%7 = add i64 %5, i64(" + by + ")\n%6 = load f64 b[%7]\nstore a[%5], %6\n"};
    };
    check_skewed(ahead("4"));
    check_kept(ahead("5"));
}

TEST_CASE("time_skew: subscripts are an index and a constant", "[codegen][time_skew]") {
    const auto at = [](const std::string& place) {
        return Sweeps{.store_b = place + "%2 = load f64 a[%3]\nstore b[%1], %2\n"};
    };
    check_skewed(at("%3 = add i64 i64(1), %1\n"));
    check_skewed(at("%8 = sub i64 %1, i64(2)\n%3 = add i64 %8, i64(1)\n"));
    check_kept(at("%3 = add i64 %1, n\n"));
    check_kept(at("%3 = add i64 %1, %1\n"));
    check_kept(at("%3 = sub i64 n, %1\n"));
    check_kept(at("%8 = mul i64 %1, i64(2)\n%3 = add i64 %8, i64(1)\n"));
}

TEST_CASE("time_skew: what a later sweep overwrites is read before", "[codegen][time_skew]") {
    const auto f = jit("overwrite", [](Value steps, InOut a, InOut b, In c) {
        for (Index t : range(steps)) {
            for (Index i : range(3, a.extent(0))) b(i) = a(i - 3) + b(i);
            for (Index i : range(a.extent(0))) a(i) = c(i) * cast<double>(t);
        }
    });
    CHECK(is_skewed(f, {i64, f64[1], f64[1], f64[1]}));
    const std::size_t n = 1300;
    const Array a = numbers({1300}), b = numbers({1300}), c = numbers({1300});
    std::vector<double> x = elements(a), y = elements(b);
    const std::vector<double> z = elements(c);
    f(std::int64_t(9), a, b, c);
    for (int t = 0; t < 9; ++t) {
        for (std::size_t i = 3; i < n; ++i) y[i] = x[i - 3] + y[i];
        for (std::size_t i = 0; i < n; ++i) x[i] = z[i] * t;
    }
    CHECK(same_bits(a, x));
    CHECK(same_bits(b, y));
}

TEST_CASE("time_skew: arrays that overlap, and checked mode, keep the steps apart",
          "[codegen][time_skew]") {
    CHECK(test::fires("time_skew", Sweeps().text(), {.noalias = true}));
    CHECK(!test::fires("time_skew", Sweeps().text(), {.noalias = false}));
    CHECK(!test::fires("time_skew", Sweeps().text(), {.checked = true, .noalias = true}));
}

}  // namespace
