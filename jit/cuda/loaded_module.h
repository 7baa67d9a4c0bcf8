// A CUDA module on the device, and runs of programs that launch its functions.
#pragma once
#include "codegen/cuda/emit.h"
#include "jit/compile/backend.h"
#include "runtime/device/driver.h"
#include "runtime/process.h"

#include <string>
#include <vector>

namespace kiln::engine {

class LoadedModule {
  public:
    /// `image`: PTX or a cubin. Errors: device.
    LoadedModule(const codegen::CudaModule& module, const std::string& image);

    struct Function {
        device::Driver::Handle handle;
        std::size_t shared;  ///< bytes of a block, beside what a launch gives
    };
    const Function& function(std::size_t index) const { return functions_[index]; }
    /// Launches of a function may give blocks so much from now on, besides what they may already:
    /// another thread may be about to.
    void allow_dynamic_shared(std::size_t index, std::size_t bytes) const;

  private:
    device::Module module_;
    std::vector<Function> functions_;
    mutable kiln::detail::Mutex mutex_;
    mutable std::vector<std::size_t> allowed_;  // per function
};

/// See CompiledCode::run_on_device.
std::optional<DeviceFault> run_program(const ir::Kernel& kernel, const codegen::CudaModule& module,
                                       const LoadedModule& loaded,
                                       std::span<DeviceOperand> operands);

/// See CompiledCode::launch_threads.
void launch_threads(const ir::Kernel& kernel, const codegen::CudaModule& module,
                    const LoadedModule& loaded, std::span<DeviceOperand> operands,
                    const LaunchShape& shape);

/// See CompiledCode::run_map_on_device.
void run_map(const ir::Kernel& kernel, const codegen::CudaModule& module,
             const LoadedModule& loaded, const MapFrame* frame);

}  // namespace kiln::engine
