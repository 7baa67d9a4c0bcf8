// What NVRTC makes of CUDA text. ctest shows the file as skipped where NVRTC is not installed.
#include "jit/compile/backend.h"
#include "tests/catch.h"
#include "tests/codegen/kernels.h"
#include "tests/jit/cuda/backend.h"
#include "tests/jit/cuda/programs.h"
#include "tests/jit/cuda/variable.h"

#include <kiln/kiln.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

using namespace kiln;
using Catch::Matchers::Contains;
using test::make;
using test::saxpy;

namespace {

/// Whether NVRTC is there; says so where it is not, since the test then proves nothing.
bool have_nvrtc() {
    try {
        make()->compile(saxpy(), {})->text(Artifact::ptx);
        return true;
    } catch (const Error& e) {
        WARN("skipped: " << e.what());
        return false;
    }
}

constexpr const char* architectures[] = {"sm_75", "sm_80", "sm_90", "sm_100"};

}  // namespace

TEST_CASE("NVRTC gives PTX, and machine code for each architecture", "[jit][cuda][nvrtc]") {
    if (!have_nvrtc()) return;
    for (const char* arch : architectures) {
        INFO(arch);
        const test::Variable use("KILN_CUDA_ARCH", arch);
        const auto code = make()->compile(saxpy(), {});
        CHECK_THAT(code->text(Artifact::ptx), Contains(".visible .entry kiln_k("));
        CHECK(code->times().codegen_ms > 0);
        const std::vector<std::byte> binary = code->binary();
        const std::string_view elf(reinterpret_cast<const char*>(binary.data()), binary.size());
        CHECK(
            elf.starts_with("\x7f"
                            "ELF"));
        CHECK(elf.find(".text.kiln_k") != elf.npos);
        // Of ELF files of CUDA, the second byte of the flags is the architecture, or the first is.
        const auto number = static_cast<unsigned>(std::stoi(std::string(arch).substr(3)));
        CHECK((static_cast<unsigned char>(elf[0x30]) == number ||
               static_cast<unsigned char>(elf[0x31]) == number));
    }
}

TEST_CASE("what NVRTC takes is in the counters of the kernel, once", "[jit][cuda][nvrtc]") {
    if (!have_nvrtc()) return;
    const auto kernel = jit(
        [](In x, Out y) {
            for (Index i : prange(x.extent(0))) y(i) = x(i) + 1.5;
        },
        {.target = BackendTarget::cuda});
    const std::vector<ArgType> types{{DType::f64, 1}, {DType::f64, 1}};
    static_cast<void>(kernel.inspect(Artifact::cuda, types));
    CHECK(kernel.stats().codegen_ms == 0);
    static_cast<void>(kernel.inspect(Artifact::ptx, types));
    const double once = kernel.stats().codegen_ms;
    CHECK(once > 0);
    static_cast<void>(kernel.inspect(Artifact::ptx, types));
    CHECK(kernel.stats().codegen_ms == once);
}

TEST_CASE("products are contracted only where the flag allows it", "[jit][cuda][nvrtc]") {
    if (!have_nvrtc()) return;
    const auto ptx = [](const std::string& flag) {
        const auto k = test::kernel(
            test::map_text("x: in f32[1] unit, y: out f32[1] unit",
                           "    %0 = load f32 x[i0]\n    %1 = mul f32 %0, %0" + flag +
                               "\n    %2 = add f32 %1, %0" + flag + "\n    store y[i0], %2\n"));
        return make()->compile(k, {})->text(Artifact::ptx);
    };
    CHECK_THAT(ptx(""), !Contains("fma.rn.f32"));
    CHECK_THAT(ptx(" fast(contract)"), Contains("fma.rn.f32"));
}

TEST_CASE("NVRTC compiles every operation on every dtype", "[jit][cuda][nvrtc]") {
    if (!have_nvrtc()) return;
    for (const char* arch : architectures) {
        const test::Variable use("KILN_CUDA_ARCH", arch);
        for (std::size_t i = 0; i < dtype_count; ++i) {
            const auto t = static_cast<DType>(i);
            INFO(arch << " " << name(t));
            const ir::Kernel k = test::all_passes(test::every_operation(t), t == DType::i32);
            const auto code = make()->compile(k, {});
            CHECK_THAT(code->text(Artifact::ptx),
                       Contains(".visible .entry kiln_all_" + std::string(name(t))) &&
                           Contains(".target " + std::string(arch)));
        }
    }
}

TEST_CASE("NVRTC compiles programs of all forms", "[jit][cuda][nvrtc]") {
    if (!have_nvrtc()) return;
    const std::vector<test::Program> all = test::device_programs();
    for (const char* arch : architectures) {
        const test::Variable use("KILN_CUDA_ARCH", arch);
        std::string last;
        for (const test::Program& p : all) {
            if (p.name == last) continue;  // the same text, but for types
            last = p.name;
            INFO(arch << " " << p.name);
            CHECK_THAT(make()->compile(p.device, {})->text(Artifact::ptx),
                       Contains(".visible .entry kiln_" + p.name + "_0"));
        }
    }
}

TEST_CASE("NVRTC says what explicit kernels take of a device", "[jit][cuda][nvrtc]") {
    if (!have_nvrtc()) return;
    const auto kernel = [](LaunchBounds bounds) {
        return cuda::kernel("leaves",
                            [](In x, Out y) {
                                auto part = cuda::shared<float>(256);
                                const Value t = cuda::thread_idx();
                                part(t) = x(t);
                                cuda::sync_threads();
                                Local some(f64, 50);
                                for (Index i : range(50)) some(i) = part(i);
                                y(t) = some(cast<std::int64_t>(part(0)));
                            },
                            {.bounds = bounds});
    };
    for (const char* arch : architectures) {
        const test::Variable use("KILN_CUDA_ARCH", arch);
        INFO(arch);
        const KernelAttributes free = kernel({}).attributes({f32[1], f64[1]});
        CHECK(free.function == "kiln_leaves");
        CHECK(free.architecture == arch);
        CHECK(free.shared == 256 * 4);
        CHECK(free.local >= 50 * 8);
        CHECK(free.registers >= 8);
        CHECK(free.registers <= 255);
        const KernelAttributes bound =
            kernel({.threads = 128, .blocks = 8}).attributes({f32[1], f64[1]});
        CHECK(bound.registers <= 65536 / (128 * 8));
        CHECK(bound.most_threads == 128);
    }
}

TEST_CASE("NVRTC says what each function of a kernel takes", "[jit][cuda][nvrtc]") {
    if (!have_nvrtc()) return;
    const auto total = jit("total", [](In x) -> Value { return sum(sqrt(x)); });
    const std::string text = total.inspect(Artifact::resources, {ArgType{DType::f64, 1}});
    INFO(text);
    std::size_t functions = 0;
    const std::string cuda = total.inspect(Artifact::cuda, {ArgType{DType::f64, 1}});
    constexpr std::string_view head = "__global__ void ";
    for (std::size_t at = cuda.find(head); at != cuda.npos; at = cuda.find(head, at + 1)) {
        const std::size_t begin = at + head.size();
        const std::string name = cuda.substr(begin, cuda.find('(', begin) - begin);
        CHECK_THAT(text, Contains(name + " on sm_80: "));
        ++functions;
    }
    CHECK(functions == 2);
}

TEST_CASE("NVRTC compiles text of the user's", "[jit][cuda][nvrtc][raw]") {
    if (!have_nvrtc()) return;
    const std::string text =
        "extern \"C\" __global__ void saxpy(float a, const float* x, float* y) {\n"
        "    y[threadIdx.x] += a * x[threadIdx.x];\n"
        "}\n";
    const std::vector<ArgType> types{f32, f32[1], f32[1]};
    const auto strict = cuda::raw(text, "saxpy", types);
    CHECK_THAT(strict.inspect(Artifact::ptx),
               Contains(".visible .entry saxpy(") && !Contains("fma.rn.f32"));
    CHECK_THAT(
        cuda::raw(text, "saxpy", types, {.fastmath = Fastmath::contract}).inspect(Artifact::ptx),
        Contains("fma.rn.f32"));
    CHECK(strict.attributes().function == "saxpy");
    CHECK_THAT(strict.inspect(Artifact::resources), Contains("saxpy on sm_80: "));
    const auto wrong = cuda::raw("extern \"C\" __global__ void f() {\n    int x = ;\n}", "f", {});
    CHECK_THROWS_WITH(wrong.inspect(Artifact::ptx),
                      Contains("the text of f does not compile: ") && Contains("f.cu(2): error"));
}

TEST_CASE("NVRTC compiles element-wise text of the user's", "[jit][cuda][nvrtc][raw]") {
    if (!have_nvrtc()) return;
    const auto product = cuda::raw_elementwise("T x, T y", "T z", "T t = x * y; z = t", "product");
    for (const char* arch : architectures) {
        const test::Variable use("KILN_CUDA_ARCH", arch);
        CHECK_THAT(product.inspect(Artifact::ptx, {f32, f32}),
                   Contains(".visible .entry product(") && Contains("mul.rn.f32"));
        CHECK_THAT(product.inspect(Artifact::ptx, {f64, f64}), Contains("mul.rn.f64"));
    }
}
