#include "jit/compile/backend.h"
#include "jit/compile/target.h"
#include "tests/catch.h"
#include "tests/codegen/kernels.h"
#include "tests/jit/cuda/backend.h"
#include "tests/jit/cuda/variable.h"

#include <memory>

using namespace kiln;
using Catch::Matchers::Contains;
using test::make;
using test::saxpy;

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
