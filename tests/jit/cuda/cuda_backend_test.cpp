#include "jit/compile/backend.h"
#include "jit/compile/target.h"
#include "tests/catch.h"
#include "tests/codegen/kernels.h"
#include "tests/jit/cuda/variable.h"

#include <memory>

extern "C" kiln::engine::Backend* kiln_make_cuda_backend();

using namespace kiln;
using Catch::Matchers::Contains;

namespace {

std::unique_ptr<engine::Backend> make() {
    return std::unique_ptr<engine::Backend>(kiln_make_cuda_backend());
}

ir::Kernel saxpy() {
    return test::kernel(
        test::map_text("a: in f32[1] uniform, x: in f32[1] unit, y: out f32[1] unit",
                       "    %0 = load f32 a[i0]\n    %1 = load f32 x[i0]\n    %2 = mul f32 %0, %1\n"
                       "    store y[i0], %2\n"));
}

}  // namespace

TEST_CASE("the CUDA target has a name without NVRTC", "[jit][cuda]") {
    {
        const test::Variable none("KILN_CUDA_ARCH", nullptr);
        CHECK_THAT(engine::target_id(BackendTarget::cuda), Contains("sm_80/kiln-"));
    }
    const test::Variable arch("KILN_CUDA_ARCH", "sm_90");
    CHECK_THAT(engine::target_id(BackendTarget::cuda), Contains("sm_90/kiln-"));
}

TEST_CASE("an unknown architecture is a usage error", "[jit][cuda]") {
    const test::Variable arch("KILN_CUDA_ARCH", "hopper");
    try {
        make()->compile(saxpy(), {});
        FAIL("no error");
    } catch (const Error& e) {
        CHECK(e.kind() == ErrorKind::usage);
        CHECK(std::string(e.what()) ==
              "error: KILN_CUDA_ARCH is hopper, not an architecture such as sm_90");
    }
}

TEST_CASE("CUDA code gives its texts and no host entry", "[jit][cuda]") {
    const auto code = make()->compile(saxpy(), {});
    CHECK(code->map_entry() == nullptr);
    CHECK_THAT(code->text(Artifact::cuda), Contains("extern \"C\" __global__ void kiln_k("));
    CHECK_THROWS_WITH(code->text(Artifact::llvm), Contains("the CUDA backend has no such text"));
}
