// CUDA text: golden files for its form; for its meaning, the text as code of the simulator, where a
// grid of one thread runs it, against the interpreter.
#include "codegen/cuda/emit.h"
#include "jit/sim/blocks.h"
#include "jit/sim/compiler.h"
#include "tests/catch.h"
#include "tests/codegen/kernels.h"
#include "tests/oracle/random_kernel.h"

#include <algorithm>
#include <bit>
#include <fstream>
#include <memory>
#include <sstream>

#include <fmt/format.h>

using namespace kiln;
using Catch::Matchers::Contains;

namespace {

std::string golden(const std::string& name) {
    std::ifstream in(KILN_TESTS_DIR "/golden/cuda/" + name);
    if (!in.good()) return "no file " + name;
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

std::string emitted(const std::string& text) {
    return codegen::emit_cuda(test::all_passes(test::kernel(text)));
}

/// Kernels as code of the simulator, whose memory nobody watches.
class HostLibrary {
  public:
    void add(const ir::Kernel& kernel) {
        codes_.push_back(
            sim::compile(codegen::emit_cuda(kernel), {codegen::cuda_entry_name(kernel)}));
    }

    /// Runs kernel number `index`, on one thread; gives the fault word.
    unsigned long long run(unsigned index, const ir::Kernel& kernel,
                           std::span<const oracle::Argument> arguments) {
        std::vector<Scalar> values(1);
        long long n = 0;
        const auto address = [](const void* at) {
            return Scalar::of(std::bit_cast<std::int64_t>(at));
        };
        for (std::size_t i = 0; i < arguments.size(); ++i) {
            const ir::Param& p = kernel.params[i];
            if (p.access == ir::Access::value) {
                values.push_back(arguments[i].scalar);
                continue;
            }
            values.push_back(address(arguments[i].buffer.data));
            if (p.layout == ir::Layout::strided)
                values.push_back(Scalar::of(arguments[i].buffer.strides[0]));
            n = std::max<long long>(n, arguments[i].buffer.shape[0]);
        }
        unsigned long long fault = ~0ULL;
        values.push_back(address(&fault));
        values[0] = Scalar::of(static_cast<std::int64_t>(n));
        std::vector<void*> parameters;
        for (Scalar& v : values) parameters.push_back(v.bytes.data());
        sim::Finding found;
        REQUIRE(sim::run({codes_[index]->function(0), parameters.data()}, found));
        return fault;
    }

  private:
    std::vector<std::unique_ptr<sim::Code>> codes_;
};

}  // namespace

TEST_CASE("CUDA text reads like the user's loop", "[codegen][cuda]") {
    ir::Builder b("saxpy");
    const auto a = b.add_param({"a", DType::f32, 1, ir::Access::in, ir::Layout::uniform, false});
    const auto x = b.add_param({"x", DType::f32, 1, ir::Access::in, ir::Layout::unit, false});
    const auto y = b.add_param({"y", DType::f32, 1, ir::Access::in, ir::Layout::strided, false});
    const auto z = b.add_param({"z", DType::f32, 1, ir::Access::out, ir::Layout::unit, false});
    const ir::Id extents[] = {b.extent(z, 0)}, i = b.index(0);
    b.set_location(Location("/home/user/saxpy.cpp", 12));
    b.begin_stage(extents, true);
    const ir::Id product = b.apply(ir::Op::mul, {b.load(a, {i}), b.load(x, {i})});
    b.set_location(Location("/home/user/saxpy.cpp", 13));
    b.store(z, {i}, b.apply(ir::Op::add, {product, b.load(y, {i})}));
    b.end();
    CHECK(codegen::emit_cuda(test::all_passes(b.finish())) == golden("saxpy.cu"));
}

TEST_CASE("CUDA text of control flow, slots and checks", "[codegen][cuda]") {
    CHECK(emitted(
              "kernel steps(x: in f64[1] unit, o: out i32[1]) {\n  slot count: i32\n  slot value: "
              "f64\n"
              "  stage [extent(o, 0)] {\n    %0 = load f64 x[i0]\n    %1 = lt bool %0, f64(0)\n    "
              "if %1 {\n"
              "      store o[i0], i32(-1)\n      return\n    }\n    write count, i32(0)\n    write "
              "value, %0\n"
              "    while {\n      %2 = read f64 value\n      %3 = gt bool %2, f64(1)\n    } %3 {\n"
              "      %4 = read f64 value\n      %5 = mul f64 %4, f64(0.5)\n      write value, %5\n"
              "      %6 = read i32 count\n      %7 = add i32 %6, i32(1)\n      write count, %7\n"
              "      %8 = ge bool %7, i32(1000)\n      if %8 {\n        return\n      }\n    }\n"
              "    for %9 = i64(0) to i64(3) step i64(1) {\n      %10 = read i32 count\n"
              "      %11 = cast i32 %9\n      %12 = eq bool %11, i32(2)\n      if %12 {\n        "
              "break\n"
              "      } else {\n        %13 = ne bool %11, i32(0)\n        check division_by_zero, "
              "%13\n"
              "        %14 = div i32 %10, %11\n        write count, %14\n      }\n    }\n"
              "    %15 = read i32 count\n    store o[i0], %15\n  }\n}\n") ==
          golden("control_flow.cu"));
}

TEST_CASE("CUDA text of 16-bit floats, complex numbers and awkward names", "[codegen][cuda]") {
    CHECK(emitted("kernel \"two words\"(p0 \"int\": in f16[1] unit, z: in c64[1] unit, n: out "
                  "f16[1] unit, "
                  "w: out c64[1] unit) {\n  stage [extent(n, 0)] {\n    %0 = load f16 p0[i0]\n"
                  "    %1 = mul f16 %0, f16(2)\n    store n[i0], %1\n    %2 = load c64 z[i0]\n"
                  "    %3 = mul c64 %2, %2\n    store w[i0], %3\n  }\n}\n") == golden("types.cu"));
}

TEST_CASE("CUDA text loads and stores adjacent elements at once where results stay",
          "[codegen][cuda]") {
    const auto map = [](const std::string& params, const std::string& body) {
        return emitted(test::map_text(params, body));
    };
    const std::string two = "x: in f32[1] unit, y: out f32[1] unit";
    const std::string load = "    %0 = load f32 x[i0]\n", store = "    store y[i0], %0\n";
    CHECK_THAT(map(two, load + store), Contains("kiln_vector<float, 4> y_4"));
    CHECK_THAT(map("x: in f64[1] unit, y: out f32[1] unit",
                   "    %0 = load f64 x[i0]\n    %1 = cast f32 %0\n    store y[i0], %1\n"),
               Contains("kiln_vector<double, 2> x_2") && Contains("kiln_vector<float, 2> y_2"));
    CHECK_THAT(map("x: in c128[1] unit, y: out c128[1] unit",
                   "    %0 = load c128 x[i0]\n    store y[i0], %0\n"),
               !Contains("kiln_vector"));
    // Not where a load may be of what was stored, ...
    const std::string three = two + ", z: inout f32[1] unit";
    CHECK_THAT(map(three, load + store + "    %1 = load f32 z[i0]\n    store z[i0], %1\n"),
               !Contains("kiln_vector"));
    CHECK_THAT(map(three, load + "    %1 = load f32 z[i0]\n" + store + "    store z[i0], %1\n"),
               Contains("const kiln_vector<float, 4> x_4") &&
                   Contains("        kiln_vector<float, 4> z_4 = "));
    // ... nor of elements that not every iteration touches, or that are others; the rest is.
    const std::string positive = load + "    %1 = gt bool %0, f32(0)\n    if %1 {\n  ";
    CHECK_THAT(map(two, positive + store + "    }\n"), !Contains("kiln_vector"));
    CHECK_THAT(map(two, positive + "    return\n    }\n" + store), !Contains("kiln_vector"));
    CHECK_THAT(map("x: in f32[1] unit, z: in f32[1] unit, y: out f32[1] unit",
                   "    %0 = load f32 x[i0]\n    %1 = rem i64 i0, i64(2)\n    %2 = load f32 z[%1]\n"
                   "    %3 = add f32 %0, %2\n    store y[i0], %3\n"),
               Contains("kiln_vector<float, 4> x_4") && !Contains("z_4") && Contains("= z[v"));
    // Copies of long bodies take more registers than threads have.
    std::string sines = load;
    for (int k = 1; k <= 9; ++k) sines += fmt::format("    %{} = sin f32 %{}\n", k, k - 1);
    CHECK_THAT(map(two, sines + "    store y[i0], %9\n"), !Contains("kiln_vector"));
}

TEST_CASE("CUDA: parameters never hide functions or words of C++", "[codegen][cuda]") {
    const std::string text = emitted(
        "kernel k(sin: in f32[1] unit, kiln_div: in f32[1] unit, v0: in f32[1] unit, while_: out "
        "f32[1] "
        "unit) {\n  stage [extent(v0, 0)] {\n    %0 = load f32 sin[i0]\n    %1 = load f32 "
        "kiln_div[i0]\n    %2 = load f32 v0[i0]\n    %3 = sin f32 %0\n    %4 = div f32 %1, %2\n    "
        "%5 = "
        "add f32 %3, %4\n    store while_[i0], %5\n  }\n}\n");
    CHECK(text.substr(text.find("extern")) == golden("names.cu"));
}

TEST_CASE("CUDA: what no form is is refused with the user's line", "[codegen][cuda]") {
    ir::Builder b("k");
    const auto o = b.add_param({"o", DType::f32, 2, ir::Access::out, ir::Layout::unit, false});
    const ir::Id extents[] = {b.extent(o, 0)};
    b.set_location(Location("user.cpp", 4));
    b.begin_stage(extents, false);
    b.end();
    CHECK_THROWS_WITH(codegen::emit_cuda(b.finish()),
                      "user.cpp:4: error: the CUDA backend does not compile arrays of rank 2 "
                      "(see codegen/README.md for what it takes)");
}

TEST_CASE("CUDA: a function for each kernel that a program launches", "[codegen][cuda][outline]") {
    const auto text_of = [](const std::string& body) {
        const ir::Kernel program = test::kernel(
            "kernel f(x: in f64[2] unit, y: out f64[2] unit, a: value f64) program {\n  slot s: "
            "f64\n  stage [] {\n" +
            body + "  }\n}\n");
        codegen::PassContext context;
        context.options = {.target = codegen::PassTarget::gpu, .noalias = true, .verify = true};
        return codegen::emit_cuda(codegen::run_passes(program, context));
    };
    const auto loop = [](const std::string& body) {
        return "    for %0 = i64(1) to extent(x, 1) step i64(1) parallel automatic 0 {  ; "
               "a.cpp:3\n" +
               body + "    }\n";
    };
    CHECK(text_of(loop("      %1 = load f64 x[i64(0), %0]\n      %2 = mul f64 %1, a\n"
                       "      store y[%0, i64(0)], %2\n")) ==
          "// the loop of a.cpp:3\n"
          "extern \"C\" __global__ void kiln_f_0(long long n, double outer, const double* x, "
          "double* y,\n"
          "                                    long long y_stride)\n"
          "{\n"
          "    const long long step = (long long)gridDim.x * blockDim.x;\n"
          "    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += "
          "step) {\n"
          "        const double v0 = x[i];\n"
          "        const double v1 = v0 * outer;\n"
          "        *(double*)((char*)y + i * y_stride) = v1;\n"
          "    }\n"
          "}\n");
    CHECK(text_of("    store y[i64(0), i64(0)], a  ; a.cpp:3\n") == "// The host runs all of f.\n");
}

TEST_CASE("CUDA text computes what the interpreter computes", "[codegen][cuda][random]") {
    std::vector<ir::Kernel> before, after;
    HostLibrary library;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        oracle::RandomOptions options;
        options.inexact = false;
        options.checks = seed % 2 == 0;
        before.push_back(oracle::random_kernel(seed, options));
        after.push_back(test::all_passes(before.back()));
        library.add(after.back());
    }
    for (unsigned k = 0; k < before.size(); ++k) {
        const oracle::RandomArguments arguments(before[k], k, 33);
        oracle::RandomArguments expected = arguments, got = arguments;
        const auto fault = oracle::interpret(before[k], expected.arguments());
        const unsigned long long word = library.run(k, after[k], got.arguments());
        INFO("seed " << k << "\n" << ir::print(before[k]) << codegen::emit_cuda(after[k]));
        CHECK(expected.difference(got) == "");
        REQUIRE(fault.has_value() == (word != ~0ULL));
        if (!fault) continue;
        CHECK(static_cast<std::int64_t>(word >> 16) == fault->iteration[0]);
        CHECK((codegen::cuda_check_sites(after[k])[word & 0xffff] & 0xff) ==
              static_cast<int>(fault->check));
    }
}

TEST_CASE("CUDA spellings of all of ops.def compute what the interpreter computes",
          "[codegen][cuda]") {
    std::vector<ir::Kernel> before, after;
    HostLibrary library;
    for (std::size_t i = 0; i < dtype_count; ++i) {
        const auto t = static_cast<DType>(i);
        before.push_back(
            test::every_operation(t, i % 2 == 0 ? ir::Layout::unit : ir::Layout::strided));
        after.push_back(test::all_passes(before.back()));
        library.add(after.back());
    }
    for (unsigned k = 0; k < before.size(); ++k) {
        const auto t = static_cast<DType>(k);
        if (is_complex(t)) continue;  // its formulas are compared in lower_complex_test
        INFO(name(t));
        const oracle::RandomArguments arguments(before[k], k, 500);
        oracle::RandomArguments expected = arguments, got = arguments;
        oracle::interpret(before[k], expected.arguments());
        library.run(k, after[k], got.arguments());
        // Exact operations are compared to the bit through random kernels above; here the host's
        // libm stands in for CUDA's functions: glibc documents at most 9 ULP (tgamma).
        CHECK(expected.difference(got, 9) == "");
    }
}

TEST_CASE("CUDA's integer operations agree on all pairs of i8", "[codegen][cuda]") {
    const ir::Kernel before = test::every_operation(DType::i8), after = test::all_passes(before);
    HostLibrary library;
    library.add(after);
    constexpr std::int64_t count = 65536;
    std::vector<std::vector<std::byte>> storage[2];
    std::vector<oracle::Argument> arguments[2];
    for (int side = 0; side < 2; ++side) {
        for (std::size_t p = 0; p < before.params.size(); ++p) {
            const DType t = before.params[p].dtype;
            std::vector<std::byte> bytes(count * size_of(t));
            if (p < 2)
                for (std::size_t i = 0; i < count; ++i)
                    bytes[i] = static_cast<std::byte>(p == 0 ? i : i >> 8);
            storage[side].push_back(std::move(bytes));
            arguments[side].push_back(
                oracle::Argument::array(storage[side].back().data(), t, {count}));
        }
    }
    oracle::interpret(before, arguments[0]);
    library.run(0, after, arguments[1]);
    for (std::size_t p = 0; p < before.params.size(); ++p) {
        if (is_real(before.params[p].dtype) && before.params[p].name != "o_true_divide") continue;
        if (is_complex(before.params[p].dtype)) continue;
        INFO(before.params[p].name);
        CHECK((before.params[p].name == "o_true_divide" || storage[0][p] == storage[1][p]));
    }
}
