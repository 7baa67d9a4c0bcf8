// Fusion of parallel loops: what is fused, what is refused and why, and that results stay.
#include "tests/catch.h"

#include <kiln/kiln.h>

#include <cmath>
#include <cstring>
#include <random>
#include <source_location>

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

TEST_CASE("fuse: diagnostics of several signatures, in whatever order they were compiled",
          "[codegen][fuse]") {
    const auto build = [] {
        return jit("pair", [](In x, Out y) {
            for (Index i : prange(x.extent(0))) y(i) = x(i) + 1;
            for (Index i : prange(x.extent(0))) y(i) = y(i) * 2;
        });
    };
    const auto first = build(), second = build();
    const Array a = zeros({6}), b = zeros({3});
    const Array c = a.astype(f32), d = b.astype(f32);
    first(b, zeros({3}));
    CHECK(first.parallel_diagnostics(0) == "pair: 2 parallel loops found, 1 left\n");
    first(d, zeros({3}, f32));
    first(a.slice(0, {0, 6, 2}), b);
    second(a.slice(0, {0, 6, 2}), b);
    second(d, zeros({3}, f32));
    second(b, zeros({3}));
    CHECK(first.parallel_diagnostics(0) ==
          "pair(f32[1], f32[1]): 2 parallel loops found, 1 left\n"
          "pair(f64[1] strided, f64[1]): 2 parallel loops found, 1 left\n"
          "pair(f64[1], f64[1]): 2 parallel loops found, 1 left\n");
    for (const int level : {0, 1, 2})
        for (const auto format : {DiagnosticsFormat::text, DiagnosticsFormat::json}) {
            std::string one = first.parallel_diagnostics(level, format);
            CHECK(one == second.parallel_diagnostics(level, format));
        }
    CHECK(
        first.parallel_diagnostics(0, DiagnosticsFormat::json) ==
        R"--([{"kernel": "pair(f32[1], f32[1])", "found": 2, "left": 1, "remarks": []}, )--"
        R"--({"kernel": "pair(f64[1] strided, f64[1])", "found": 2, "left": 1, "remarks": []}, )--"
        R"--({"kernel": "pair(f64[1], f64[1])", "found": 2, "left": 1, "remarks": []}])--");
}

/// Calls a kernel of two parallel loops, and checks that they stay apart: with exactly this remark,
/// at this line.
void check_refusal(const JitKernel& kernel, unsigned line, const std::string& text) {
    CHECK(loops_left(kernel) == loops_found(kernel));
    std::vector<std::string> all;
    for (const Remark& r : kernel.remarks()) {
        if (!r.text.starts_with("not fused: ")) continue;
        CHECK(std::string_view(r.file).ends_with("fuse_test.cpp"));
        CHECK(r.line == line);
        all.push_back(r.text);
    }
    CHECK(all == std::vector<std::string>{"not fused: " + text});
}
template <class F, class... A>
void check_apart(const F& f, unsigned line, const std::string& text, const A&... args) {
    const auto kernel = jit("k", f, {.parallel = true});
    kernel(args...);
    check_refusal(kernel, line, text);
}
std::string at(unsigned line) { return fmt::format("at fuse_test.cpp:{}", line); }
std::string in(unsigned line) { return fmt::format("fuse_test.cpp:{}", line); }

TEST_CASE("fuse: domains and schedules that differ are refused", "[codegen][fuse]") {
    const Array a = noise({100}, 3), b = zeros({100}), c = zeros({100});
    SECTION("extents") {
        const unsigned line = __LINE__ + 4;
        check_apart(
            [](In x, Out y, Out z) {
                y = x;
                for (Index i : prange(x.extent(0) - 1)) z(i) = x(i);
            },
            line,
            fmt::format("loop {} and the loop {} run over different extents", at(line),
                        at(line - 1)),
            a, b, c);
    }
    SECTION("steps") {
        const unsigned line = __LINE__ + 4;
        check_apart(
            [](In x, Out y, Out z) {
                for (Index i : prange(0, x.extent(0), 1)) y(i) = x(i);
                for (Index i : prange(0, x.extent(0), 2)) z(i) = x(i);
            },
            line,
            fmt::format("loop {} and the loop {} run over different extents", at(line),
                        at(line - 1)),
            a, b, c);
    }
    for (const PrangeOptions& options :
         {PrangeOptions{.schedule = Schedule::static_}, PrangeOptions{.chunk = 7}}) {
        const unsigned line = __LINE__ + 4;
        check_apart(
            [=](In x, Out y, Out z) {
                for (Index i : prange(x.extent(0), options)) y(i) = x(i);
                for (Index i : prange(x.extent(0))) z(i) = x(i);
            },
            line,
            fmt::format("loop {} and the loop {} have different schedules", at(line), at(line - 1)),
            a, b, c);
    }
    SECTION("iterations that end early") {
        const unsigned line = __LINE__ + 3;
        check_apart(
            [](In x, Out y, Out z) {
                for (Index i : prange(x.extent(0))) {
                    if_(x(i) < 0, [] { continue_(); });
                    y(i) = x(i);
                }
                for (Index i : prange(x.extent(0))) z(i) = x(i);
            },
            line + 4, fmt::format("an iteration of the loop {} ends early", at(line)), a, b, c);
    }
    SECTION("a kernel that may end in between") {
        const unsigned line = __LINE__ + 4;
        check_apart(
            [](In x, Out y, Out z) {
                for (Index i : prange(x.extent(0))) y(i) = x(i);
                if_(x(0) > 100, [] { return_(); });
                for (Index i : prange(x.extent(0))) z(i) = x(i);
            },
            line + 1, fmt::format("the kernel may end before the loop {}", at(line + 1)), a, b, c);
    }
}

TEST_CASE("fuse: dependences across iterations are refused", "[codegen][fuse]") {
    const Array a = noise({100}, 3), b = zeros({100}), c = zeros({100});
    // Both loops on lines of their own: `line` and the one before.
#define CHECK_APART(first, second, text, ...)                                               \
    do {                                                                                    \
        const auto kernel =                                                                 \
            jit("k",                                                                        \
                [](InOut x, [[maybe_unused]] InOut y, InOut z, [[maybe_unused]] In index) { \
                    const Value n = x.extent(0) - 1;                                        \
                    for (Index i : prange(n)) first;                                        \
                    for (Index i : prange(n)) second;                                       \
                },                                                                          \
                {.parallel = true, .params = {"x", "y", "z", "index"}});                    \
        kernel(zeros({100}), zeros({200}), zeros({100}), zeros({100}, i64));                \
        const unsigned line = std::source_location::current().line();                       \
        check_refusal(kernel, line, fmt::format("loop {} " text, at(line), in(line)));      \
        CHECK(kernel.remarks().size() == 1);                                                \
    } while (false)
    SECTION("flow: what the first stores is read elsewhere") {
        CHECK_APART(y(i) = x(i), z(i) = y(i + 1), "reads y(i+1), which {} writes as y(i)");
        CHECK_APART(y(i + 1) = x(i), z(i) = y(i), "reads y(i), which {} writes as y(i+1)");
        CHECK_APART(y(i) = x(i), z(i) = y(5), "reads y(5), which {} writes as y(i)");
        CHECK_APART(y(i) = x(i), z(i) = y((i + 1) % 7),
                    "reads y((i+1)%7), which {} writes as y(i)");
        CHECK_APART(y(i) = x(i), z(i) = y(index(i)), "reads y(index(i)), which {} writes as y(i)");
        CHECK_APART(y(i) = x(i), z(i) = y(n - i),
                    "reads y(x.extent(0)-1-i), which {} writes as y(i)");
        CHECK_APART(y(2 * i) = x(i), z(i) = y(i), "reads y(i), which {} writes as y(2*i)");
    }
    SECTION("a neighbour of a condition") {
        CHECK_APART(y(i) = x(i), if_(y(i + 1) > 0, [&] { z(i) = 1; }),
                    "reads y(i+1), which {} writes as y(i)");
    }
    SECTION("anti: what the first reads is stored elsewhere") {
        CHECK_APART(z(i) = x(i + 1), x(i) = 0, "writes x(i), which {} reads as x(i+1)");
        CHECK_APART(z(i) = x(0), x(i) = 0, "writes x(i), which {} reads as x(0)");
    }
    SECTION("output: both store to one element") {
        CHECK_APART(z(i) = 1, z(i + 1) = 2, "writes z(i+1), which {} writes as z(i)");
    }
    SECTION("atomic operations on what the other loop uses") {
        CHECK_APART(atomic_add(z(0), 1.0), y(i) = z(0), "reads z(0), which {} writes");
    }
#undef CHECK_APART
    SECTION("rows that are columns") {
        const unsigned line = __LINE__ + 6;
        check_apart(
            [](In x, InOut y, Out z) {
                const Value n = x.extent(0);
                for (Index i : prange(n))
                    for (Index j : range(n)) z(i, j) = y(i, j);
                for (Index i : prange(n))
                    for (Index j : range(n)) y(j, i) = x(i, j);
            },
            line,
            fmt::format("loop {} writes p1(j, i), which {} reads as p1(i, j)", at(line),
                        in(line - 1)),
            noise({9, 9}, 4), zeros({9, 9}), zeros({9, 9}));
    }
    SECTION("a shifted slice") {
        const unsigned line = __LINE__ + 4;
        check_apart(
            [](In x, InOut y, Out z) {
                y.slice({{}, -1}) = x.slice({{}, -1}) * 2;
                z.slice({{}, -1}) = y.slice({1, {}});
            },
            line,
            fmt::format("loop {} reads p1(i+1), which {} writes as p1(i)", at(line), in(line - 1)),
            a, b, c);
    }
}

TEST_CASE("fuse: consumers of reductions are refused", "[codegen][fuse]") {
    const Array a = noise({100}, 3), b = zeros({100}), c = zeros({100});
    SECTION("A / A.max() is two passes") {
        const auto f = [](In x, Out z) { z = x / x.max(); };
        const unsigned line = __LINE__ - 1;
        check_apart(
            f, line,
            fmt::format("loop {} reads the max that the loop {} computes", at(line), at(line)), a,
            b);
    }
    SECTION("a sum of a prange") {
        const unsigned line = __LINE__ + 5;
        check_apart(
            [](In x, Out z) {
                Var total(f64, 0.0);
                for (Index i : prange(x.extent(0))) total += x(i);
                for (Index i : prange(x.extent(0))) z(i) = x(i) / total;
            },
            line,
            fmt::format("loop {} reads the sum that the loop {} computes", at(line), at(line - 1)),
            a, b);
    }
    SECTION("through a variable") {
        const unsigned line = __LINE__ + 6;
        check_apart(
            [](In x, Out z) {
                Var most(f64, 0.0), twice(f64, 0.0);
                for (Index i : prange(x.extent(0))) most = max(most, x(i));
                twice = 2.0 * most;
                for (Index i : prange(x.extent(0))) z(i) = x(i) / twice;
            },
            line,
            fmt::format("loop {} depends on the loop {} through {}", at(line), at(line - 2),
                        in(line - 1)),
            a, b);
    }
    SECTION("one Var of two loops") {
        const unsigned line = __LINE__ + 5;
        check_apart(
            [](In x, Out z) {
                Var total(f64, 0.0);
                for (Index i : prange(x.extent(0))) total += x(i);
                for (Index i : prange(x.extent(0))) total += x(i) * x(i);
                z(0) = total;
            },
            line,
            fmt::format("loop {} reads the sum that the loop {} computes", at(line), at(line - 1)),
            a, b);
    }
    SECTION("an element that is read in between") {
        const unsigned line = __LINE__ + 5;
        check_apart(
            [](In x, InOut y, Out z) {
                for (Index i : prange(x.extent(0))) y(i) = x(i);
                const Value first = y(0);
                for (Index i : prange(x.extent(0))) z(i) = x(i) * first;
            },
            line,
            fmt::format("loop {} depends on the loop {} through {}", at(line), at(line - 2),
                        in(line - 1)),
            a, b, c);
    }
    SECTION("a sum over an axis") {
        const auto f = [](In x, Out y) { y = x / sum(x, {.axis = 0}); };
        const unsigned line = __LINE__ - 1;
        check_apart(
            f, line,
            fmt::format("loop {} reads the sum that the loop {} computes", at(line), at(line)),
            noise({100, 3}, 4), zeros({100, 3}));
    }
}

TEST_CASE("fuse: flags that differ, and sums in another order, are refused", "[codegen][fuse]") {
    const Array a = noise({100}, 3), b = zeros({100}), c = zeros({100});
    SECTION("fast-math flags") {
        const unsigned line = __LINE__ + 4;
        check_apart(
            [](In x, Out y, Out z) {
                y = x + 1;
                fast(Fastmath::contract, [&] { z = x * x + 1; });
            },
            line,
            fmt::format("loop {} and the loop {} have different fast-math flags", at(line),
                        at(line - 1)),
            a, b, c);
    }
    const auto order = [](unsigned line) {
        return fmt::format("the order in which the loop {} sums would change", at(line));
    };
    SECTION("a store beside a sum of floats") {
        const unsigned line = __LINE__ + 4;
        check_apart(
            [](In x, Out z) {
                const Value total = sum(x);
                z = x * 2;
                z(0) = total;
            },
            line, order(line - 1), a, b);
    }
    SECTION("sums of iterations that are no lanes") {
        const unsigned line = __LINE__ + 10;
        check_apart(
            [](In x, Out z) {
                Var all(f64, 0.0), most(f64, 0.0);
                const Value n = x.extent(0);
                for (Index i : prange(n)) {
                    Local seen(f64, 3);
                    seen(i % 3) = x(i);
                    all += seen(0) + seen(1);
                }
                for (Index i : prange(n)) {
                    Local seen(f64, 3);
                    seen(i % 3) = x(i);
                    most += seen(1) + seen(2);
                }
                z(0) = all;
                z(1) = most;
            },
            line, order(line - 5), a, b);
    }
    SECTION("functions beside a sum of floats") {
        const unsigned line = __LINE__ + 4;
        check_apart(
            [](In x, Out z) {
                const Value total = sum(x);
                z(0) = total + max(exp(x));
            },
            line, order(line - 1), a, b);
    }
    SECTION("wider elements beside a sum of f32") {
        const unsigned line = __LINE__ + 6;
        check_apart(
            [](In x, In y, Out z) {
                Var total(f32, 0.0F), most(f64, 0.0);
                const Value n = x.extent(0);
                for (Index i : prange(n)) total += x(i);
                for (Index i : prange(n)) most = max(most, y(i));
                z(0) = total + most;
            },
            line, order(line - 1), a.astype(f32), b, c);
    }
    SECTION("what does not run as lanes beside a sum of floats") {
        const unsigned line = __LINE__ + 6;
        check_apart(
            [](In x, In y, Out z) {
                Var total(f64, 0.0), most(f64, 0.0);
                const Value n = x.extent(0);
                for (Index i : prange(n)) total += x(i);
                for (Index i : prange(n)) most = max(most, y(i * 7 % 100));
                z(0) = total + most;
            },
            line, order(line - 1), a, b, c);
    }
    SECTION("a function of what a sum of floats takes") {
        const unsigned line = __LINE__ + 4;
        check_apart(
            [](In x) -> Value {
                Scratch t = exp(x);
                return sum(t);
            },
            line, order(line), a);
    }
    SECTION("a sum into an array beside another one") {
        const auto kernel = jit(
            [](In x, Out y, Out z) {
                z(0) = max(x.slice({}, 0));
                y = sum(x, {.axis = 0});
            },
            {.parallel = true});
        const unsigned line = __LINE__ - 3;
        kernel(noise({100, 3}, 5), zeros({3}), c);
        CHECK_THAT(kernel.parallel_diagnostics(),
                   Catch::Contains(fmt::format("{}: not fused: one of the loops {} and {} sums "
                                               "into an array, the other does not\n",
                                               in(line), at(line), at(line - 1))));
        CHECK(loops_left(kernel) == 3);
    }
}

/// Numbers whose sums round differently in every order.
Array uneven(std::int64_t n, unsigned seed) {
    const Array a = noise({n}, seed);
    for (double& v : a.span<double>()) v = std::exp(20 * v) - 10;
    return a;
}

/// A kernel is fused to one loop, and gives the bits of its unfused form.
template <class F> void check_fused(F f) {
    const auto fused = jit(f, {.parallel = true}),
               plain = jit(f, {.parallel = true, .fuse = false});
    for (unsigned seed = 0; seed < 20; ++seed) {
        const std::int64_t n = 3000 + 111 * seed;
        const Array x = uneven(n, seed), y = uneven(n, seed + 50);
        CHECK(fused(x, y).template get<double>() == plain(x, y).template get<double>());
    }
    CHECK(loops_left(fused) == 1);
    CHECK(loops_left(plain) == loops_found(plain));
}

TEST_CASE("fuse: sums of floats keep their bits", "[codegen][fuse]") {
    check_fused([](In x, In) -> Value { return sum(x) + max(x); });
    check_fused([](In x, In y) -> Value { return sum(x) + 3.0 * sum(x * y); });
    check_fused([](In x, In) -> Value {
        Scratch t = x * 2.0 + 1.0;
        return sum(t) + min(t);
    });
    // The second and third loop become one first, which the first joins then.
    check_fused([](In x, In) -> Value {
        Scratch t = x * 2.0 + 1.0;
        const Value total = sum(t);
        return total + max(t) + min(t * x);
    });
}

/// Two loops over f32 and f64 elements that sum; what the first one loses on the way to code would
/// change its lanes.
template <class F> void check_order(F f, unsigned line, unsigned first) {
    const Array x = uneven(10'007, 7).astype(f32), y = uneven(10'007, 8);
    const auto fused = jit(f, {.parallel = true}),
               plain = jit(f, {.parallel = true, .fuse = false});
    const Array a = zeros({2}, f32), b = zeros({2}, f32);
    fused(x, y, a);
    plain(x, y, b);
    CHECK(same_bits(a, b));
    check_refusal(fused, line,
                  fmt::format("the order in which the loop {} sums would change", at(first)));
}

TEST_CASE("fuse: the order of sums is that of the code, from which operations are gone",
          "[codegen][fuse]") {
    SECTION("casts to a wider type and back") {
        const unsigned line = __LINE__ + 5;
        check_order(
            [](In x, In y, Out z) {
                Var s(f32, 0.0F), t(f32, 0.0F);
                for (Index i : prange(x.extent(0))) s += cast<float>(cast<double>(x(i)));
                for (Index i : prange(x.extent(0))) t += cast<float>(cast<double>(x(i)) * y(i));
                z(0) = s;
                z(1) = t;
            },
            line, line - 1);
    }
    SECTION("a function whose value is not needed") {
        const unsigned line = __LINE__ + 9;
        check_order(
            [](In x, In, Out z) {
                Var s(f32, 0.0F), t(f32, 0.0F);
                for (Index i : prange(x.extent(0))) {
                    Var v = sin(x(i));
                    v = x(i);
                    s += v;
                }
                for (Index i : prange(x.extent(0))) t += sin(x(i));
                z(0) = s;
                z(1) = t;
            },
            line, line - 5);
    }
    SECTION("a power that is a product") {
        const unsigned line = __LINE__ + 5;
        check_order(
            [](In x, In, Out z) {
                Var s(f32, 0.0F), t(f32, 0.0F);
                for (Index i : prange(x.extent(0))) s += pow(x(i), 2.0F);
                for (Index i : prange(x.extent(0))) t += pow(x(i), 1.5F);
                z(0) = s;
                z(1) = t;
            },
            line, line - 1);
    }
    SECTION("a choice between equal values") {
        const unsigned line = __LINE__ + 7;
        check_order(
            [](In x, In y, Out z) {
                Var s(f32, 0.0F), t(f32, 0.0F);
                for (Index i : prange(x.extent(0))) {
                    s += x(i) * cast<float>(select(cast<double>(x(i)) > 7.0, 1.0, 1.0));
                }
                for (Index i : prange(x.extent(0))) t += cast<float>(cast<double>(x(i)) * y(i));
                z(0) = s;
                z(1) = t;
            },
            line, line - 3);
    }
}

TEST_CASE("fuse: views that overlap run unfused", "[codegen][fuse]") {
    const auto f = jit(
        [](In a, Out b, Out c) {
            b = a + 1;
            c = a + b;
        },
        {.parallel = true});
    const int line = __LINE__ - 3;
    const Array x = noise({50}, 5), y = x.copy(), b = zeros({49});
    f(y.slice(0, {0, 49}), b, y.slice(0, {1, 50}));
    for (int i = 0; i < 49; ++i) {
        const double v = x.view<double, 1>()(i);
        CHECK(y.view<double, 1>()(i + 1) == v + (v + 1));
    }
    CHECK(loops_found(f) == loops_left(f));
    CHECK_THAT(f.parallel_diagnostics(),
               Catch::Contains(fmt::format("  fuse_test.cpp:{}: not fused: array arguments of "
                                           "the call overlap\n",
                                           line)));
}

TEST_CASE("fuse: a temporary keeps its rounding", "[codegen][fuse]") {
    const Array a = noise({100}, 7), b = zeros({100});
    for (double& v : a.span<double>()) v *= 300;
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::i8, DType::u16}) {
        const auto f = jit([=](In x, Out y) {
            Scratch t(dtype, {x.extent(0)});
            t = cast(dtype, x);
            y = t * 1.0;
        });
        f(a, b);
        CHECK(loops_left(f) == 1);
        const std::string text = f.parallel_diagnostics();
        CHECK(text.find("removed: the temporary array") != std::string::npos);
        const Array rounded = a.astype(dtype).astype(f64);
        CHECK(same_bits(b, rounded));
        CHECK_FALSE(same_bits(b, a));
    }
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
