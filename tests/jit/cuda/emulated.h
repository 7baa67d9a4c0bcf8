// CUDA modules that run on the host: their text as code of the simulator, in any number and order of
// threads; and the same modules as code of the CPU backend.
#pragma once
#include "codegen/cuda/emit.h"
#include "jit/device/host_program.h"
#include "jit/sim/compiler.h"

#include <string>
#include <vector>

namespace kiln::test {

class EmulatedModules {
  public:
    /// A program after the passes for devices. Errors: those of emit_cuda_module.
    std::size_t add(const ir::Kernel& program);
    const codegen::CudaModule& module(std::size_t index) const { return modules_[index]; }
    /// `backwards`: threads of a block, and blocks, run in the opposite order.
    std::optional<engine::DeviceFault> run(std::size_t index, const engine::Geometry& geometry,
                                           bool backwards,
                                           std::span<engine::DeviceArgument> arguments) const;

  private:
    std::vector<ir::Kernel> kernels_;
    std::vector<codegen::CudaModule> modules_;
    std::vector<std::unique_ptr<sim::Code>> codes_;
};

/// The same program as machine code: its order of combining is that of its text.
void run_on_cpu(const ir::Kernel& program, std::span<engine::DeviceArgument> arguments);

}  // namespace kiln::test
