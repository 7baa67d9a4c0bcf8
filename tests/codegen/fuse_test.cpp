// Fusion of parallel loops: what is fused, what is refused and why, and that results stay.
#include "tests/catch.h"

#include <kiln/kiln.h>

#include <cstring>
#include <random>

#include <fmt/format.h>

using namespace kiln;

namespace {

Array noise(const Shape& shape, unsigned seed, DType dtype = DType::f64) {
    std::mt19937 random(seed);
    std::int64_t n = 1;
    for (const std::int64_t e : shape) n *= e;
    const Array a = zeros({n});
    for (std::int64_t i = 0; i < n; ++i)
        a.view<double, 1>()(i) = static_cast<double>(random()) / 4294967296.0 - 0.25;
    return a.astype(dtype).reshape(shape);
}

unsigned loops_left(const JitKernel& f) {
    const std::string text = f.parallel_diagnostics(0);
    return static_cast<unsigned>(std::stoul(text.substr(text.find("found, ") + 7)));
}
unsigned loops_found(const JitKernel& f) {
    const std::string text = f.parallel_diagnostics(0);
    return static_cast<unsigned>(std::stoul(text.substr(text.find(": ") + 2)));
}

bool same_bits(const Array& a, const Array& b) {
    const Array x = a.copy(), y = b.copy();
    return x.shape() == y.shape() &&
           std::memcmp(x.data(), y.data(),
                       static_cast<std::size_t>(x.size()) * size_of(x.dtype())) == 0;
}

TEST_CASE("fuse: chained statements and pranges are one loop", "[codegen][fuse]") {
    const auto build = [](bool fuse) {
        return jit("chain",
                   [](In a, In b, Out c, Out d) {
                       Scratch t = a * 2 + b;
                       c = t - b;
                       for (Index i : prange(a.extent(0))) d(i) = c(i) * t(i);
                   },
                   {.parallel = true, .fuse = fuse});
    };
    const auto fused = build(true), plain = build(false);
    const Array a = noise({5000}, 1), b = noise({5000}, 2);
    const Array c = zeros({5000}), d = zeros({5000}), c2 = zeros({5000}), d2 = zeros({5000});
    fused(a, b, c, d);
    plain(a, b, c2, d2);
    CHECK(loops_found(fused) == 3);
    CHECK(loops_left(fused) == 1);
    CHECK(same_bits(c, c2));
    CHECK(same_bits(d, d2));
    const std::string text = fused.parallel_diagnostics();
    CHECK(text.find("fused: loop at fuse_test.cpp:") != std::string::npos);
    CHECK(text.find("removed: the temporary array at fuse_test.cpp:") != std::string::npos);
    const std::string json = fused.parallel_diagnostics(1, DiagnosticsFormat::json);
    CHECK(json.starts_with(R"({"kernel": "chain", "found": 3, "left": 1, "remarks": [{"file": )"));
}

/// The diagnostics of a kernel after a call.
template <class F, class... A> std::string reports(F&& f, const A&... args) {
    const auto kernel = jit("k", std::forward<F>(f), {.parallel = true});
    kernel(args...);
    return kernel.parallel_diagnostics();
}

TEST_CASE("fuse: what is refused, with the reason", "[codegen][fuse]") {
    using Catch::Contains;
    const Array a = noise({100}, 3), b = zeros({100}), c = zeros({100});
    SECTION("a shifted read") {
        const auto text = reports(
            [](In x, InOut y, Out z) {
                y = x * 2;
                z.slice({{}, -1}) = y.slice({1, {}});
                for (Index i : prange(x.extent(0))) y(i) = x(i);
                for (Index i : prange(x.extent(0))) z(i) = y((i + 1) % 7);
            },
            a, b, c);
        CHECK_THAT(text, Contains("run over different extents"));
        const int line = __LINE__ - 4;
        CHECK_THAT(
            text,
            Contains(fmt::format("not fused: loop at fuse_test.cpp:{} reads y((i+1)%7)", line)) ||
                Contains(fmt::format("not fused: loop at fuse_test.cpp:{} reads p1(", line)));
        CHECK_THAT(text, Contains(fmt::format("which fuse_test.cpp:{} writes as p1(i)", line - 1)));
    }
    SECTION("a neighbour") {
        const auto text = reports(
            [](In x, InOut y, Out z) {
                const Value n = x.extent(0) - 1;
                for (Index i : prange(n)) y(i) = x(i);
                for (Index i : prange(n)) z(i) = y(i + 1);
            },
            a, b, c);
        const int line = __LINE__ - 3;
        CHECK_THAT(text, Contains(fmt::format("not fused: loop at fuse_test.cpp:{} reads p1(i+1), "
                                              "which fuse_test.cpp:{} writes as p1(i)",
                                              line, line - 1)));
    }
    SECTION("an anti-dependence") {
        const auto text = reports(
            [](InOut x, Out z) {
                const Value n = x.extent(0) - 1;
                for (Index i : prange(n)) z(i) = x(i + 1);
                for (Index i : prange(n)) x(i) = 0;
            },
            b, c);
        CHECK_THAT(text, Contains("writes p0(i), which fuse_test.cpp:"));
        CHECK_THAT(text, Contains("reads as p0(i+1)"));
    }
    SECTION("an element of the first loop") {
        const auto text = reports(
            [](In x, InOut y, Out z) {
                const Value n = x.extent(0);
                for (Index i : prange(n)) y(i) = x(i);
                for (Index i : prange(n)) z(i) = y(5);
            },
            a, b, c);
        CHECK_THAT(text, Contains("reads p1(5), which fuse_test.cpp:"));
    }
    SECTION("a reduction's consumer: A / A.max()") {
        const auto text = reports([](In x, Out z) { z = x / x.max(); }, a, b);
        CHECK_THAT(text, Contains("k: 2 parallel loops found, 2 left"));
        CHECK_THAT(text, Contains("reads the max that the loop at fuse_test.cpp:"));
    }
    SECTION("different extents") {
        const auto text = reports(
            [](In x, Out y, Out z) {
                y = x;
                for (Index i : prange(x.extent(0) - 1)) z(i) = x(i);
            },
            a, b, c);
        CHECK_THAT(text, Contains("run over different extents"));
    }
    SECTION("fast-math flags") {
        const auto text = reports(
            [](In x, Out y, Out z) {
                y = x + 1;
                fast(Fastmath::contract, [&] { z = x * x + 1; });
            },
            a, b, c);
        CHECK_THAT(text, Contains("have different fast-math flags"));
    }
    SECTION("schedules") {
        const auto text = reports(
            [](In x, Out y, Out z) {
                for (Index i : prange(x.extent(0), {.schedule = Schedule::static_})) y(i) = x(i);
                for (Index i : prange(x.extent(0))) z(i) = x(i);
            },
            a, b, c);
        CHECK_THAT(text, Contains("have different schedules"));
    }
}

TEST_CASE("fuse: views that overlap run unfused", "[codegen][fuse]") {
    const auto f = jit(
        [](In a, Out b, Out c) {
            b = a + 1;
            c = a + b;
        },
        {.parallel = true});
    const Array x = noise({50}, 5), y = x.copy(), b = zeros({49});
    f(y.slice(0, {0, 49}), b, y.slice(0, {1, 50}));
    for (int i = 0; i < 49; ++i) {
        const double v = x.view<double, 1>()(i);
        CHECK(y.view<double, 1>()(i + 1) == v + (v + 1));
    }
    CHECK(loops_found(f) == 0);
}

TEST_CASE("fuse: a temporary keeps its rounding", "[codegen][fuse]") {
    const auto f = jit([](In a, Out b) {
        Scratch t(DType::f32, {a.extent(0)});
        t = cast<float>(a);
        b = t * 1.0;
    });
    const Array a = noise({100}, 7), b = zeros({100});
    f(a, b);
    CHECK(loops_left(f) == 1);
    bool equal = true;
    for (int i = 0; i < 100; ++i)
        equal = equal && b.view<double, 1>()(i) ==
                             static_cast<double>(static_cast<float>(a.view<double, 1>()(i)));
    CHECK(equal);
}

TEST_CASE("fuse: masks stay those of each body", "[codegen][fuse]") {
    const auto f = jit([](In a, InOut b, InOut c) {
        for (Index i : prange(a.extent(0))) if_(a(i) > 0, [&] { b(i) = a(i); });
        for (Index i : prange(a.extent(0))) if_(a(i) < 0.25, [&] { c(i) = b(i) + 1; });
    });
    const Array a = noise({100}, 9), b = zeros({100}), c = zeros({100});
    f(a, b, c);
    CHECK(loops_left(f) == 1);
    bool equal = true;
    for (int i = 0; i < 100; ++i) {
        const double x = a.view<double, 1>()(i);
        equal = equal && b.view<double, 1>()(i) == (x > 0 ? x : 0) &&
                c.view<double, 1>()(i) == (x < 0.25 ? (x > 0 ? x : 0) + 1 : 0);
    }
    CHECK(equal);
}

TEST_CASE("fuse: loops that remain are those of the field, or fewer", "[codegen][fuse]") {
    const Array a = noise({300}, 11), m = noise({30, 40}, 13), out = zeros({300}),
                n = zeros({30, 40});
    const auto left = [](auto f, const auto&... args) {
        const auto k = jit(f, {.parallel = true});
        k(args...);
        return loops_left(k);
    };
    CHECK(left([](In x) -> Value { return mean(x); }, a) == 1);
    CHECK(left([](In x) -> Value { return mean(square(x - mean(x))); }, a) == 2);
    CHECK(left([](In x) { return std::tuple(sum(x), min(x), max(x)); }, a) == 1);
    CHECK(left([](In x, Out y) { y = x - min(x); }, a, out) == 2);
    CHECK(left(
              [](InOut x) {
                  for (Index i : prange(x.extent(0))) x(i) += 1;
                  for (Index i : prange(x.extent(0))) x(i) *= 2;
                  for (Index i : prange(x.extent(0))) x(i) -= 3;
              },
              out) == 1);
    CHECK(left(
              [](In x, InOut y, Out z) {
                  for (Index i : prange(x.extent(0) - 1))
                      for (Index j : range(x.extent(1))) y(i, j) = x(i, j);
                  for (Index i : prange(x.extent(0) - 1))
                      for (Index j : range(x.extent(1))) z(i, j) = y(i + 1, j);
              },
              m, n, zeros({30, 40})) == 2);
}

TEST_CASE("fuse: logistic regression reads its data once an iteration", "[codegen][fuse]") {
    const auto build = [](bool fuse) {
        return jit(
            [](In Y, In X, InOut w, Value iterations) {
                for (Index it : range(iterations))
                    w -= dot((1.0 / (1.0 + exp(-Y * dot(X, w))) - 1.0) * Y, X);
            },
            {.parallel = true, .fuse = fuse});
    };
    const Array X = noise({3000, 10}, 17), Y = noise({3000}, 19);
    const Array w = zeros({10}), w2 = zeros({10});
    const auto f = build(true), g = build(false);
    f(Y, X, w, 5);
    g(Y, X, w2, 5);
    CHECK(same_bits(w, w2));
    CHECK(loops_left(f) == 2);  // over the rows, and over the ten weights
    std::vector<double> v(10, 0);
    const auto x = X.view<double, 2>();
    for (int it = 0; it < 5; ++it) {
        std::vector<double> gradient(10, 0);
        for (int i = 0; i < 3000; ++i) {
            double z = 0;
            for (int j = 0; j < 10; ++j) z += x(i, j) * v[static_cast<std::size_t>(j)];
            const double y = Y.view<double, 1>()(i);
            const double t = (1 / (1 + std::exp(-y * z)) - 1) * y;
            for (int j = 0; j < 10; ++j) gradient[static_cast<std::size_t>(j)] += t * x(i, j);
        }
        for (std::size_t j = 0; j < 10; ++j) v[j] -= gradient[j];
    }
    for (int j = 0; j < 10; ++j)
        CHECK(w.view<double, 1>()(j) == Approx(v[static_cast<std::size_t>(j)]).epsilon(1e-9));
}

/// A random program of statements on five arrays, two of them of the kernel.
void random_statements(unsigned seed, const std::vector<const KernelArray*>& in,
                       const std::vector<const InOut*>& out) {
    std::mt19937 random(seed);
    const auto pick = [&](std::size_t n) { return random() % n; };
    const auto operand = [&]() -> Value {
        const std::size_t k = pick(in.size() + out.size());
        return k < in.size() ? Value(*in[k]) : Value(*out[k - in.size()]);
    };
    for (int s = 0; s < 6; ++s) {
        const InOut& target = *out[pick(out.size())];
        const Value x = operand(), y = operand();
        switch (pick(7)) {
            case 0: target = x * y + 0.5; break;
            case 1: target = select(x > y, x, -y); break;
            case 2: target += sqrt(abs(x)) - y; break;
            case 3: target.slice({1, {}}) = target.slice({{}, -1}) * 0.5; break;
            case 4: target = x - max(y); break;
            case 5: target = x / (1.0 + y * y); break;
            default: target.slice({{}, {}, -1}) = x; break;
        }
    }
}

TEST_CASE("fuse: fused equals unfused on random programs", "[codegen][fuse]") {
    for (unsigned seed = 1; seed <= 25; ++seed) {
        const auto build = [seed](bool fuse) {
            return jit([seed](In a, In b, InOut c, InOut d,
                              InOut e) { random_statements(seed, {&a, &b}, {&c, &d, &e}); },
                       {.parallel = true, .fuse = fuse});
        };
        const Array a = noise({777}, seed), b = noise({777}, seed + 100);
        std::vector<Array> first, second;
        for (unsigned i = 0; i < 3; ++i) {
            first.push_back(noise({777}, seed + i + 200));
            second.push_back(first.back().copy());
        }
        build(true)(a, b, first[0], first[1], first[2]);
        build(false)(a, b, second[0], second[1], second[2]);
        INFO("seed " << seed);
        for (std::size_t i = 0; i < 3; ++i) CHECK(same_bits(first[i], second[i]));
    }
}

}  // namespace
