// One computation in the forms in which it can be written: range, prange, statement; elements and
// Vars; strict and fast. Values come from plain C++ loops.
#include "tests/forms.h"
#include "tests/catch.h"
#include "tests/dice.h"

#include <cmath>
#include <cstring>
#include <vector>

using namespace kiln;
using forms::Loop;

namespace {

std::vector<double> numbers(std::int64_t n, std::uint64_t seed) {
    std::vector<double> x(static_cast<std::size_t>(n));
    test::Dice dice(seed);
    for (double& v : x) v = dice.unit() - 0.5;
    return x;
}
Array array(const std::vector<double>& x, const Shape& shape) {
    return Array::copy_of(std::span(x), shape);
}
bool same_bits(const Array& a, const Array& b) {
    return a.shape() == b.shape() && a.dtype() == b.dtype() &&
           std::memcmp(a.data(), b.data(),
                       static_cast<std::size_t>(a.size()) * size_of(a.dtype())) == 0;
}
bool close(const Array& a, const std::vector<double>& expected, double bound) {
    const auto* x = reinterpret_cast<const double*>(a.data());
    for (std::size_t i = 0; i < expected.size(); ++i)
        if (!(std::abs(x[i] - expected[i]) <= bound)) return false;
    return a.size() == static_cast<std::int64_t>(expected.size());
}
/// c = a b, of n x n.
std::vector<double> product(const double* a, const double* b, std::size_t n) {
    std::vector<double> c(n * n, 0.0);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t k = 0; k < n; ++k)
            for (std::size_t j = 0; j < n; ++j) c[i * n + j] += a[i * n + k] * b[k * n + j];
    return c;
}

constexpr JitOptions parallel{.parallel = true};

}  // namespace

TEST_CASE("forms: range, prange and statement give the same bits", "[jit][forms]") {
    const auto serial = forms::map_loop(Loop::serial), loop = forms::map_loop(Loop::parallel),
               threads = forms::map_loop(Loop::parallel, parallel),
               statement = forms::map_statement();
    for (const DType t : {i8, i16, i32, i64, u8, u16, u32, u64, f16, bf16, f32, f64, c64, c128})
        for (const std::int64_t n : {0, 1, 7, 63, 64, 65, 200, 1000}) {
            INFO(name(t) << " " << n);
            const auto x = numbers(n, 1), y = numbers(n, 2);
            Array a = array(x, {n}), b = array(y, {n});
            const auto scale = vectorize([](Value v) { return v * 60.0; });
            a = scale(a).astype(t);
            b = scale(b).astype(t);
            const Array expected = zeros({n}, t);
            serial(a, b, expected);
            for (const auto* kernel : {&loop, &threads, &statement}) {
                const Array u = zeros({n}, t);
                (*kernel)(a, b, u);
                CHECK(same_bits(u, expected));
            }
        }
}

TEST_CASE("forms: a prange across memory", "[jit][forms]") {
    const auto serial = forms::transposed(Loop::serial);
    const auto make = [](const JitOptions& options) {
        return forms::transposed(Loop::parallel, 1, options);
    };
    const auto loop = make({}), threads = make(parallel), checked = make({.checked = true});
    for (const std::int64_t n : {1, 2, 17, 127, 128, 129, 300, 2500})
        for (const std::int64_t m : {0, 1, 5, 40}) {
            INFO(n << " " << m);
            const Array a = array(numbers(m * n, 1), {m, n}), y = array(numbers(m, 2), {m});
            const auto start = numbers(n, 3);
            const Array expected = array(start, {n});
            serial(a, y, expected);
            reinterpret_cast<double*>(expected.data())[0] = start[0];
            for (const auto* kernel : {&loop, &threads, &checked}) {
                const Array x = array(start, {n});
                (*kernel)(a, y, x);
                CHECK(same_bits(x, expected));
            }
        }
}

TEST_CASE("forms: products, by elements and by Vars, strict and fast", "[jit][forms]") {
    const auto solve = [](Fastmath fast) {  // in place: rows of a triangle
        return jit(
            [](In a, InOut b) {
                for (Index i : range(b.extent(0)))
                    for (Index j : range(b.extent(1)))
                        for (Index k : range(i + 1, b.extent(0))) b(i, j) += a(k, i) * b(k, j);
            },
            {.fastmath = fast});
    };
    for (const std::int64_t n : {1, 3, 4, 5, 16, 33, 70}) {
        INFO(n);
        const auto x = numbers(n * n, 1), y = numbers(n * n, 2);
        const auto expected = product(x.data(), y.data(), static_cast<std::size_t>(n));
        const double bound = 1e-14 * static_cast<double>(n);
        const Array a = array(x, {n, n}), b = array(y, {n, n});
        for (const bool fast : {false, true}) {
            for (const auto& kernel :
                 {forms::product_of_elements(fast), forms::product_of_vars(fast)}) {
                const Array c = zeros({n, n});
                kernel(a, b, c);
                CHECK(close(c, expected, bound));
            }
            auto rows = y;
            for (std::int64_t i = 0; i < n; ++i)
                for (std::int64_t j = 0; j < n; ++j)
                    for (std::int64_t k = i + 1; k < n; ++k)
                        rows[static_cast<std::size_t>(i * n + j)] +=
                            x[static_cast<std::size_t>(k * n + i)] *
                            rows[static_cast<std::size_t>(k * n + j)];
            const Array c = array(y, {n, n});
            solve(fast)(a, c);
            CHECK(close(c, rows, bound));
        }
    }
}

TEST_CASE("forms: reductions to arrays in a prange", "[jit][forms]") {
    const auto make = [](const JitOptions& options) {
        return jit(
            [](In x, In y, Out o, Out centred, Out scaled) {
                for (Index b : prange(x.extent(0))) {
                    o.slice(b) = dot(dot(x.slice(b), y), y);
                    centred.slice(b) = x.slice(b) - mean(x.slice(b), {.axis = 0});
                    scaled.slice(b) = x.slice(b) * exp(y.slice(0)) /
                                      new_axis(sum(exp(x.slice(b)), {.axis = 1}), 1);
                }
            },
            options);
    };
    const auto loop = make({}), threads = make(parallel);
    for (const std::int64_t n : {1, 2, 5, 16, 17, 40}) {
        INFO(n);
        const auto size = static_cast<std::size_t>(n);
        constexpr std::int64_t batch = 3;
        const auto x = numbers(batch * n * n, 1), y = numbers(n * n, 2);
        std::vector<double> o, centred(x), scaled(x);
        for (std::size_t b = 0; b < batch; ++b) {
            const double* const xb = x.data() + b * size * size;
            const auto once = product(xb, y.data(), size);
            const auto twice = product(once.data(), y.data(), size);
            o.insert(o.end(), twice.begin(), twice.end());
            for (std::size_t j = 0; j < size; ++j) {
                double total = 0;
                for (std::size_t i = 0; i < size; ++i) total += xb[i * size + j];
                for (std::size_t i = 0; i < size; ++i)
                    centred[(b * size + i) * size + j] -= total / static_cast<double>(n);
            }
            for (std::size_t i = 0; i < size; ++i) {
                double total = 0;
                for (std::size_t j = 0; j < size; ++j) total += std::exp(xb[i * size + j]);
                for (std::size_t j = 0; j < size; ++j)
                    scaled[(b * size + i) * size + j] *= std::exp(y[j]) / total;
            }
        }
        const Array ax = array(x, {batch, n, n}), ay = array(y, {n, n});
        std::vector<Array> results;
        for (const auto* kernel : {&loop, &threads}) {
            const Array ao = zeros({batch, n, n}), ac = zeros({batch, n, n}),
                        as = zeros({batch, n, n});
            (*kernel)(ax, ay, ao, ac, as);
            const double bound = 1e-14 * static_cast<double>(n * n);
            CHECK(close(ao, o, bound));
            CHECK(close(ac, centred, bound));
            CHECK(close(as, scaled, bound));
            for (const Array& a : {ao, ac, as}) results.push_back(a);
        }
        for (std::size_t i = 0; i < 3; ++i) CHECK(same_bits(results[i], results[i + 3]));
    }
}
