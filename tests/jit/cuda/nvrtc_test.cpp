// What NVRTC makes of CUDA text. ctest shows the file as skipped where NVRTC is not installed.
#include "jit/compile/backend.h"
#include "tests/catch.h"
#include "tests/codegen/kernels.h"
#include "tests/jit/cuda/backend.h"
#include "tests/jit/cuda/programs.h"
#include "tests/jit/cuda/variable.h"

#include <kiln/kiln.h>

#include <memory>
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

TEST_CASE("NVRTC gives PTX, which is the binary", "[jit][cuda][nvrtc]") {
    if (!have_nvrtc()) return;
    const auto code = make()->compile(saxpy(), {});
    const std::string ptx = code->text(Artifact::ptx);
    CHECK_THAT(ptx, Contains(".visible .entry kiln_k("));
    CHECK(code->binary().size() == ptx.size());
    CHECK(code->times().codegen_ms > 0);
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
