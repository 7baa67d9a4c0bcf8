// Steps over time that go through the arrays together: for which loops, for which not, and that
// results stay.
#include "tests/catch.h"

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

}  // namespace
