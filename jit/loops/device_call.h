// Calls of loop kernels whose target is a device.
#pragma once
#include "jit/loops/loop_kernel.h"

#include <source_location>

namespace kiln::engine {

/// Launches an explicit kernel. Errors: device, at `where` or at the line that the simulator names.
void launch_on_device(const LoopKernelVariant& variant, std::span<const OperandView> views,
                      const LaunchShape& shape, const std::source_location& where);

/// Runs the kernel on the device, between copies of its arrays there and back. Errors: device, and
/// those of checks that failed.
void run_on_device(const LoopKernelVariant& variant, std::span<const OperandView> views,
                   std::vector<kiln::detail::JitValue>* results, const std::source_location& where);

}  // namespace kiln::engine
