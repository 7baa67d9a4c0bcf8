// CUDA modules that run on the host: their text, compiled by the host's compiler behind
// tests/cuda/device.h; and the same modules as code of the CPU backend.
#pragma once
#include "codegen/cuda/emit.h"
#include "jit/cuda/host_program.h"
#include "tests/scratch_folder.h"

#include <string>
#include <vector>

namespace kiln::test {

/// Several modules in one library: the compiler is called once.
class EmulatedModules {
  public:
    EmulatedModules() = default;
    EmulatedModules(const EmulatedModules&) = delete;
    EmulatedModules& operator=(const EmulatedModules&) = delete;
    ~EmulatedModules();

    /// A program after the passes for devices. Errors: those of emit_cuda_module.
    std::size_t add(const ir::Kernel& program);
    const codegen::CudaModule& module(std::size_t index) const { return modules_[index]; }
    /// False, with a warning, where there is no compiler.
    bool build();
    /// `backwards`: threads of a block, and blocks, run in the opposite order.
    std::optional<engine::DeviceFault> run(std::size_t index, const engine::Geometry& geometry,
                                           bool backwards,
                                           std::span<engine::DeviceArgument> arguments) const;

  private:
    std::vector<ir::Kernel> kernels_;
    std::vector<codegen::CudaModule> modules_;
    std::string source_;
    ScratchFolder folder_;
    void* handle_ = nullptr;
};

/// The same program as machine code: its order of combining is that of its text.
void run_on_cpu(const ir::Kernel& program, std::span<engine::DeviceArgument> arguments);

}  // namespace kiln::test
