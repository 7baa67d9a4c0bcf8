// Texts, remarks, counters, specialisation.
#include "jit/compile/backend.h"
#include "tests/jit/support.h"

using namespace kiln;
using namespace kiln::test;

TEST_CASE("inspect gives the texts of one specialisation", "[jit][inspect]") {
    const auto f = vectorize("saxpy", [](Value a, Value x, Value y) { return a * x + y; });
    const std::string ir = f.inspect(Artifact::ir, {f32, f32[1], f32[1]});
    CHECK(ir.find("kernel saxpy(x0: in f32[1] uniform, x1: in f32[1] unit") == 0);
    CHECK(ir.find("mul f32") != std::string::npos);
    CHECK(f.stats().compiles == 0);
    CHECK(f.inspect(Artifact::llvm, {f32, f32[1], f32[1]}).find("define") != std::string::npos);
    CHECK(f.inspect(Artifact::llvm_opt, {f32, f32[1], f32[1]}).find("define") != std::string::npos);
    CHECK(f.inspect(Artifact::assembly, {f32, f32[1], f32[1]}).find("ret") != std::string::npos);
    const Stats once = f.stats();
    CHECK(once.misses == 1);
    // The call finds the code that was inspected.
    const Array x = ones({4}, DType::f32);
    f(f32(2.0), x, x);
    CHECK(f.stats().misses == 1);
    CHECK(f.stats().hits == once.hits + 1);

    const Error error = error_of([&] { f.inspect(Artifact::ir, {f32}); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() == "saxpy takes 3 arguments, 1 types given");
    CHECK(error.line() == __LINE__ - 3);
}

TEST_CASE("the kernel after each pass that changed it", "[jit][inspect]") {
    const auto f = vectorize("f", [](Value a) { return a + (Value(1.0) + Value(2.0)); });
    const std::string text = f.inspect(Artifact::passes, {f64[1]});
    CHECK(text.find("; after simplify\nkernel f(") != std::string::npos);
    CHECK(f.stats().compiles == 0);
}

TEST_CASE("a loop kernel ends as a module: what launches, and what is launched", "[jit][inspect]") {
    const auto f = jit("f", [](In x, Out y) {
        for (Index i : prange(x.extent(0))) y(i) = exp(x(i));
    });
    const std::string text = f.inspect(Artifact::passes, {f64[1], f64[1]});
    const std::size_t at = text.find("; after outline\nkernel f(");
    REQUIRE(at != std::string::npos);
    CHECK(text.find("    launch k0 for i64(0) to extent(p0, 0) step i64(1) parallel automatic 0 (",
                    at) != std::string::npos);
    CHECK(text.find("  k0 = kernel f(", at) != std::string::npos);
}

TEST_CASE("loop kernels as CUDA text; what cannot run there names its line",
          "[jit][inspect][cuda]") {
    const int line = __LINE__ + 2;
    const auto f = jit("f", [](In x, Out y, Value a) {
        for (Index i : prange(x.extent(0))) y(i) = x(i) * a;
    });
    const std::string text = f.inspect(Artifact::cuda, {f64[1], f64[1], f64});
    CHECK(text.find("// the loop of inspect_test.cpp:" + std::to_string(line) + "\n") != text.npos);
    CHECK(text.find(
              "extern \"C\" __global__ void kiln_f_0(long long n, double outer, const double*") !=
          std::string::npos);
    CHECK(text.find(" * outer;\n") != std::string::npos);

    const auto total = jit("total", [](In x) -> Value {
        Var sum(f64, 0.0);
        for (Index i : prange(x.extent(0))) sum += x(i);
        return sum;
    });
    const std::string reduction = total.inspect(Artifact::cuda, {f64[1]});
    CHECK(reduction.find("__shared__") != std::string::npos);
    CHECK(reduction.find("__syncthreads();") != std::string::npos);

    const auto half = host_function("half", +[](double v) { return v / 2; });
    const auto halves = jit("halves", [&](In x, Out y) {
        for (Index i : prange(x.extent(0))) y(i) = half(x(i));
    });
    const int called = __LINE__ - 2;
    const Error error = error_of([&] { halves.inspect(Artifact::cuda, {f64[1], f64[1]}); });
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK(error.line() == called);
}

TEST_CASE("flags are where they were asked for", "[jit][fastmath]") {
    const auto strict = vectorize([](Value a, Value b) { return a + b; });
    const auto fast = vectorize([](Value a, Value b) { return a + b; }, {.fastmath = true});
    const auto some = vectorize([](Value a, Value b) { return a + b; },
                                {.fastmath = Fastmath::contract | Fastmath::nsz});
    CHECK(strict.inspect(Artifact::ir, {f32[1], f32[1]}).find("fast") == std::string::npos);
    CHECK(fast.inspect(Artifact::ir, {f32[1], f32[1]}).find("reassoc") != std::string::npos);
    CHECK(some.inspect(Artifact::ir, {f32[1], f32[1]}).find("fast(nsz,contract)") !=
          std::string::npos);
}

TEST_CASE("calls are specialised by types and layouts, not by sizes or values", "[jit][stats]") {
    const auto f = vectorize("f", [](Value a, Value b) { return a * 0.8125 + b; });
    const Array x = ones({8}, DType::f64);
    f(x, x);
    CHECK(f.stats().misses == 1);
    f(ones({3, 5}), ones({3, 5}));
    f(ones({77}), ones({77}));
    CHECK(f.stats().misses == 1);
    CHECK(f.stats().hits == 2);
    f(x, 1.0);
    f(x, 2.0);
    CHECK(f.stats().misses == 2);
    f(x, ones({16})(Slice{{}, {}, 2}));
    CHECK(f.stats().misses == 3);
    Array out = zeros({8});
    f(x, x, {.out = out});  // another key, equal code
    CHECK(f.stats().misses == 4);
    CHECK(f.stats().compiles == 3);
    f(x, x, {.out = out});
    CHECK(f.stats().misses == 4);
    CHECK(f.stats().total_ms() > 0);
}

TEST_CASE("equal ufuncs share code", "[jit][stats]") {
    const auto make = [] { return vectorize("shared", [](Value a) { return a * 0.34375 - 17; }); };
    const auto first = make(), second = make();
    const Array x = ones({4});
    first(x);
    second(x);
    CHECK(first.stats().compiles == 1);
    CHECK(second.stats().compiles == 0);
    CHECK(second.stats().misses == 1);
}

TEST_CASE("the counters of the process have loop kernels in them, also those that are gone",
          "[jit][stats]") {
    const Stats before = stats();
    const std::vector<double> x{1, 2, 3};
    {
        const auto scale = jit([](In a, Out b, Value c) {
            for (Index i : range(a.extent(0))) b(i) = a(i) * c + 0.21875;
        });
        std::vector<double> y(3);
        for (int call = 0; call < 3; ++call) scale(x, y, 2.0);
        CHECK(y[2] == 6.21875);
        const Stats now = stats(), own = scale.stats();
        CHECK(own.compiles == 1);
        CHECK(own.misses == 1);
        CHECK(own.hits == 2);
        CHECK(now.compiles - before.compiles == 1);
        CHECK(now.misses - before.misses == 1);
        CHECK(now.hits - before.hits == 2);
        CHECK(now.trace_ms > before.trace_ms);
        const auto copy = scale;
        CHECK(stats().hits - before.hits == 2);
    }
    CHECK(stats().compiles - before.compiles == 1);
    CHECK(stats().hits - before.hits == 2);

    const auto shift = stencil([](Neighbors a) -> Value { return a(1) - 0.40625 * a(-1); });
    shift(Array::of({1.0, 2.0, 3.0}));
    CHECK(stats().compiles - before.compiles == 2);
}

TEST_CASE("captured values and options keep ufuncs apart", "[jit][stats]") {
    const auto make = [](double c, UfuncOptions options) {
        return vectorize("scaled", [=](Value a) { return a * c; }, std::move(options));
    };
    const Array x = Array::of({2.0});
    check_values(make(3, {})(x), {6});
    check_values(make(4, {})(x), {8});
}

TEST_CASE("a backend is opened once", "[jit][backend]") {
    CHECK(&engine::backend(BackendTarget::cpu) == &engine::backend(BackendTarget::cpu));
}
