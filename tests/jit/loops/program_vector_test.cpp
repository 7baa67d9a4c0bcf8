// Loops of loop kernels that run as vector code: against the same kernel in checked mode, whose
// code is scalar, and so against each other bit for bit.
#include "tests/catch.h"

#include <kiln/kiln.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>

using namespace kiln;

namespace {

/// f32 numbers between -3 and 3, the same ones for the same seed.
Array numbers(const Shape& shape, DType dtype, unsigned seed = 1) {
    Array a = empty(shape, DType::f64);
    auto* x = reinterpret_cast<double*>(a.data());
    std::uint32_t state = seed;
    for (std::int64_t i = 0; i < a.size(); ++i) {
        state = state * 1664525u + 1013904223u;
        x[i] = static_cast<double>(static_cast<float>(state >> 8) / 16777216.0F * 6 - 3);
    }
    return a.astype(dtype);
}

bool same_bits(const Array& a, const Array& b) {
    const Array x = a.copy(), y = b.copy();
    return x.shape() == y.shape() && x.dtype() == y.dtype() &&
           std::memcmp(x.data(), y.data(),
                       static_cast<std::size_t>(x.size()) * size_of(x.dtype())) == 0;
}

/// Lanes are a function of their own, or part of the only one that runs them.
bool is_vector(const std::string& llvm) {
    return llvm.find("_v0(") != std::string::npos || llvm.find("\nrow.i:") != std::string::npos;
}

/// Runs `f` as vector code and as scalar code for outputs of the given shapes.
template <class F> void compare(F f, std::initializer_list<DType> dtypes,
                                bool expect_vector = true) {
    for (const DType t : dtypes) {
        const auto fast = jit("fast", f), checked = jit("checked", f, {.checked = true});
        CHECK(is_vector(fast.inspect(Artifact::llvm, {{t, 2}, {t, 2}})) == expect_vector);
        CHECK(!is_vector(checked.inspect(Artifact::llvm, {{t, 2}, {t, 2}})));
        for (const std::int64_t n : {0, 1, 3, 16, 17, 40, 131}) {
            const Array x = numbers({3, n}, t);
            const Array a = full({3, n}, Scalar::of(7).cast(t)), b = a.copy();
            fast(x, a);
            checked(x, b);
            CHECK(same_bits(a, b));
            // Columns that are not next to each other.
            const Array wide = numbers({3, 2 * n}, t);
            const Array even = wide({}, Slice{.step = 2});
            const Array c = full({n, 3}, Scalar::of(7).cast(t)), d = c.copy();
            fast(even, c.transpose());
            checked(even, d.transpose());
            CHECK(same_bits(c, d));
        }
    }
}

TEST_CASE("vector loops: elementary functions", "[jit][program][vector]") {
    compare(
        [](In x, Out y) {
            for (Index i : range(x.extent(0)))
                for (Index j : range(x.extent(1)))
                    y(i, j) = exp(x(i, j)) * sin(x(i, j)) + x(i, 0) + cast(x.dtype(), i * j);
        },
        {DType::f32, DType::f64});
}

TEST_CASE("vector loops: pranges, shifted reads, steps", "[jit][program][vector]") {
    compare(
        [](In x, Out y) {
            for (Index i : prange(x.extent(0)))
                for (Index j : range(x.extent(1) - 2, 0, -3))
                    y(i, j) = log(abs(x(i, j - 1)) + 1) + x(i, j + 1);
        },
        {DType::f32, DType::f64});
}

TEST_CASE("vector loops: loops and jumps in the body", "[jit][program][vector]") {
    compare(
        [](In x, Out y) {
            for (Index i : range(x.extent(0)))
                for (Index j : range(x.extent(1))) {
                    const Value v = x(i, j);
                    if_(v > 2.5, [] { continue_(); });
                    Var z(x.dtype(), v);
                    Var n(DType::i32, 0);
                    while_([&] { return n < 50 && z * z < 100.0; },
                           [&] {
                               z = z * 1.5 + 0.25;
                               n += 1;
                               if_(n == 7, [&] {
                                   z = z + 1;
                                   if_(z > 9, [] { break_(); });
                               });
                           });
                    for (Index k : range(3)) z += cast(x.dtype(), k) * v;
                    y(i, j) = z + cast(x.dtype(), n);
                }
        },
        {DType::f32, DType::f64});
}

TEST_CASE("vector loops: what iterations share stays in order", "[jit][program][vector]") {
    // Each element needs the one before it.
    compare(
        [](In x, Out y) {
            for (Index i : range(x.extent(0))) {
                for (Index j : range(x.extent(1))) y(i, j) = x(i, j);
                for (Index j : range(1, x.extent(1))) y(i, j) = exp(-abs(y(i, j - 1))) + x(i, j);
            }
        },
        {DType::f64}, false);
    // So does a variable from outside of the loop.
    compare(
        [](In x, Out y) {
            for (Index i : range(x.extent(0))) {
                Var last(x.dtype(), 0);
                for (Index j : range(x.extent(1))) {
                    y(i, j) = last + x(i, j);
                    last = exp(x(i, j));
                }
            }
        },
        {DType::f64}, false);
    // A strict sum is in the order of the iterations.
    compare(
        [](In x, Out y) {
            for (Index i : range(x.extent(0))) {
                Var sum(x.dtype(), 0);
                for (Index j : range(x.extent(1))) sum += exp(x(i, j));
                for (Index j : range(x.extent(1))) y(i, j) = sum;
            }
        },
        {DType::f64}, false);
}

TEST_CASE("vector loops: loads that not every iteration makes stay behind their condition",
          "[jit][program][vector]") {
    compare(
        [](In x, Out y) {
            for (Index i : range(x.extent(0)))
                for (Index j : range(x.extent(1))) {
                    Var v(x.dtype(), 0);
                    if_(j > 0, [&] { v = x(i, j - 1); });
                    y(i, j) = exp(v);
                }
        },
        {DType::f32}, false);
}

TEST_CASE("vector loops: complex numbers, bools and small integers", "[jit][program][vector]") {
    const auto f = [](In z, In m, In s, Out w, Value k, Value flip) {
        for (Index i : prange(z.extent(0))) {
            const Value v = z(i) * k + cast(DType::f64, s(i));
            w(i) = select(m(i) ^ flip, exp(v), v * v);
        }
    };
    const auto fast = jit("fast", f), checked = jit("checked", f, {.checked = true});
    const std::int64_t n = 77;
    const Array z = numbers({n}, DType::f64).astype(DType::c128);
    const Array m = numbers({n}, DType::f64, 5).astype(DType::i32).astype(DType::bool_);
    const Array s = numbers({n}, DType::f64, 9).astype(DType::i8);
    const Array a = zeros({n}, DType::c128), b = zeros({n}, DType::c128);
    fast(z, m, s, a, std::complex<double>(0.5, -0.25), true);
    checked(z, m, s, b, std::complex<double>(0.5, -0.25), true);
    CHECK(same_bits(a, b));
}

TEST_CASE("vector loops: reductions of parallel loops", "[jit][program][vector]") {
    const auto stats = jit(
        [](In x, Value limit) {
            Var sum(x.dtype(), 0), most(x.dtype(), -1e30), count(DType::i64, 0),
                down(DType::f64, 5.0);
            for (Index i : prange(x.extent(0))) {
                const Value v = sqrt(abs(x(i)));
                sum += v;
                most = max(most, x(i));
                if_(v > limit, [&] { count += 1; });
                down -= cast<double>(i);
            }
            return std::tuple(Value(sum), Value(most), Value(count), Value(down));
        },
        {.parallel = true});
    CHECK(is_vector(stats.inspect(Artifact::llvm, {{DType::f32, 1}, {DType::f64, 0}})));
    for (const DType t : {DType::f32, DType::f64})
        for (const std::int64_t n : {0, 1, 15, 1000, 8191, 8192, 8193, 1'000'000}) {
            const Array x = numbers({n}, t);
            const Array wide = x.astype(DType::f64);
            const auto* p = reinterpret_cast<const double*>(wide.data());
            long double sum = 0;
            double most = -1e30;
            std::int64_t count = 0;
            for (std::int64_t i = 0; i < n; ++i) {
                sum += t == DType::f32 ? std::sqrt(std::abs(static_cast<float>(p[i])))
                                       : std::sqrt(std::abs(p[i]));
                most = std::max(most, p[i]);
            }
            // The comparison is made in the array's precision.
            for (std::int64_t i = 0; i < n; ++i)
                count += t == DType::f32 ? std::sqrt(std::abs(static_cast<float>(p[i]))) > 1.0F
                                         : std::sqrt(std::abs(p[i])) > 1.0;
            const int before = num_threads();
            set_num_threads(1);
            const auto [s, m, c, d] = stats(x, 1.0F);
            for (const int threads : {2, 3, 8}) {
                set_num_threads(threads);
                const auto again = stats(x, 1.0F);
                CHECK(std::get<0>(again).bytes == s.bytes);
                CHECK(std::get<3>(again).bytes == d.bytes);
            }
            set_num_threads(before);
            const double epsilon = t == DType::f32 ? 3e-7 : 1e-15;
            CHECK(s.cast(DType::f64).get<double>() ==
                  Approx(static_cast<double>(sum)).epsilon(epsilon));
            CHECK(m.cast(DType::f64).get<double>() ==
                  (n == 0 ? static_cast<double>(t == DType::f32 ? -1e30F : -1e30) : most));
            CHECK(c.get<std::int64_t>() == count);
            CHECK(d.get<double>() ==
                  Approx(5.0 - 0.5 * static_cast<double>(n) * static_cast<double>(n - 1)));
        }
}

TEST_CASE("vector loops: rows that run backwards", "[jit][program][vector]") {
    // Small integers: sums of them are exact in any order.
    const auto folds = jit("folds", [](In x, In z, Out y) {
        for (Index k : range(x.extent(0) + 1)) {
            y(k, 0) = sum(flip(x.slice({0, k})) * z.slice({0, k}));
            y(k, 1) = sum(flip(x.slice({k, {}})) * flip(z.slice({0, x.extent(0) - k})));
        }
        for (Index k : range(x.extent(0))) {
            y(k, 2) = max(flip(x.slice({k, {}})));
            Local own(x.dtype(), 8);
            for (Index j : range(8)) own(j) = x((k + j) % x.extent(0));
            Var most(y.dtype(), 0);
            for (Index j : prange(8)) most += own(7 - j) * j;
            y(k, 3) = most;
        }
    });
    const auto map = jit("map", [](In x, Out y) {
        for (Index i : range(y.extent(0))) y(i) = exp2(x(x.extent(0) - 1 - i));
    });
    for (const DType t : {DType::f64, DType::f32, DType::f16, DType::i32, DType::u8})
        for (const std::int64_t n : {1, 7, 8, 31, 32, 33, 70, 300}) {
            INFO(name(t) << ", " << n << " elements");
            const Array whole = empty({n}), other = empty({n});
            const auto a = whole.span<double>(), b = other.span<double>();
            for (std::int64_t i = 0; i < n; ++i) {
                a[i] = static_cast<double>(i * 7 % 5);
                b[i] = static_cast<double>(i * 11 % 3);
            }
            const Array x = whole.astype(t, Casting::unsafe), z = other.astype(t, Casting::unsafe),
                        y = zeros({n + 1, 4}), powers = empty({n});
            folds(x, z, y);
            map(x, powers);
            for (std::int64_t k = 0; k <= n; ++k) {
                double first = 0, second = 0, most = 0, weighted = 0;
                for (std::int64_t i = 0; i < k; ++i) first += a[k - 1 - i] * b[i];
                for (std::int64_t i = k; i < n; ++i) {
                    second += a[n - 1 - (i - k)] * b[n - 1 - i];
                    most = std::max(most, a[i]);
                }
                for (std::int64_t j = 0; j < 8; ++j)
                    weighted += a[(k + 7 - j) % n] * static_cast<double>(j);
                REQUIRE(y.at<double>({k, 0}) == first);
                REQUIRE(y.at<double>({k, 1}) == second);
                if (k == n) continue;
                REQUIRE(y.at<double>({k, 2}) == most);
                REQUIRE(y.at<double>({k, 3}) == weighted);
                REQUIRE(powers.span<double>()[k] == std::exp2(a[n - 1 - k]));
            }
        }
    CHECK(folds.inspect(Artifact::llvm, {f64[1], f64[1], f64[2]}).find("masked.gather") ==
          std::string::npos);
}

TEST_CASE("vector loops: a Local of another loop does not matter", "[jit][program][vector]") {
    const auto f = jit([](In x, Out y) -> Value {
        for (Index i : prange(x.extent(0))) {
            Local l(DType::f64, 2);
            l(i % 2) = x(i);
            y(i) = l(0) - l(1);
        }
        Var sum(DType::f64, 0.0);
        for (Index i : prange(x.extent(0))) sum += sqrt(x(i) * x(i));
        return sum;
    });
    std::vector<double> x(100), y(100);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i);
    CHECK(f(x, y).get<double>() == 99 * 50);
    for (std::size_t i = 0; i < x.size(); ++i) CHECK(y[i] == (i % 2 == 0 ? x[i] : -x[i]));
}

}  // namespace
