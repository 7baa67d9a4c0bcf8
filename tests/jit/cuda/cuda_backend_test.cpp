#include "jit/compile/backend.h"
#include "jit/compile/target.h"
#include "tests/catch.h"
#include "tests/codegen/kernels.h"

#include <cstdlib>
#include <map>
#include <memory>
#include <optional>

extern "C" kiln::engine::Backend* kiln_make_cuda_backend();

using namespace kiln;
using Catch::Matchers::Contains;

namespace {

std::unique_ptr<engine::Backend> make() {
    return std::unique_ptr<engine::Backend>(kiln_make_cuda_backend());
}

/// Sets an environment variable for a scope; null unsets it.
class Environment {
  public:
    Environment(const char* name, const char* value) : name_(name) {
        if (const char* before = std::getenv(name)) before_ = before;
        set(value);
    }
    ~Environment() { set(before_ ? before_->c_str() : nullptr); }

  private:
    void set(const char* value) {
        if (value == nullptr)
            unsetenv(name_);
        else
            setenv(name_, value, 1);
    }
    const char* name_;
    std::optional<std::string> before_;
};

ir::Kernel saxpy() {
    return test::kernel(
        test::map_text("a: in f32[1] uniform, x: in f32[1] unit, y: out f32[1] unit",
                       "    %0 = load f32 a[i0]\n    %1 = load f32 x[i0]\n    %2 = mul f32 %0, %1\n"
                       "    store y[i0], %2\n"));
}

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

}  // namespace

TEST_CASE("the CUDA target has a name without NVRTC", "[jit][cuda]") {
    {
        const Environment none("KILN_CUDA_ARCH", nullptr);
        CHECK_THAT(engine::target_id(BackendTarget::cuda), Contains("sm_80/kiln-"));
    }
    const Environment arch("KILN_CUDA_ARCH", "sm_90");
    CHECK_THAT(engine::target_id(BackendTarget::cuda), Contains("sm_90/kiln-"));
}

TEST_CASE("an unknown architecture is a usage error", "[jit][cuda]") {
    const Environment arch("KILN_CUDA_ARCH", "hopper");
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
    if (!have_nvrtc()) return;
    const std::string ptx = code->text(Artifact::ptx);
    CHECK_THAT(ptx, Contains(".visible .entry kiln_k("));
    CHECK(code->binary().size() == ptx.size());
    CHECK(code->times().codegen_ms > 0);
}

TEST_CASE("products are contracted only where the flag allows it", "[jit][cuda]") {
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
    for (const char* arch : {"sm_80", "sm_90"}) {
        const Environment use("KILN_CUDA_ARCH", arch);
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
