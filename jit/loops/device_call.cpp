#include "jit/loops/device_call.h"

#include "jit/compile/fault.h"
#include "jit/loops/run_loop_kernel.h"
#include "runtime/device/at_line.h"

#include <cstring>

namespace kiln::engine {

static std::vector<DeviceOperand> operands_of(const ir::Kernel& kernel,
                                              std::span<const OperandView> views) {
    std::vector<DeviceOperand> operands(kernel.params.size());
    for (std::size_t p = 0; p < operands.size(); ++p) {
        const ir::Param& param = kernel.params[p];
        if (param.access == ir::Access::value) {
            operands[p].scalar.dtype = param.dtype;
            std::memcpy(operands[p].scalar.bytes.data(), views[p].data, size_of(param.dtype));
            if (is_bool(param.dtype))  // an element of an array: any byte but 0 is true
                operands[p].scalar = Scalar::of(views[p].data[0] != std::byte(0));
        } else if (p < views.size()) {
            operands[p].array = views[p].handle();
        } else if (!ir::is_made_by_kernel(param.access)) {
            operands[p].array = zeros({}, param.dtype);
        }
    }
    return operands;
}

void launch_on_device(const LoopKernelVariant& variant, std::span<const OperandView> views,
                      const LaunchShape& shape, const std::source_location& where) {
    std::vector<DeviceOperand> operands = operands_of(variant.kernel->kernel, views);
    device::at_line(where, [&] { variant.kernel->code->launch_threads(operands, shape); });
}

void run_on_device(const LoopKernelVariant& variant, std::span<const OperandView> views,
                   std::vector<kiln::detail::JitValue>* results,
                   const std::source_location& where) {
    const ir::Kernel& kernel = variant.kernel->kernel;
    std::vector<DeviceOperand> operands = operands_of(kernel, views);
    const std::optional<DeviceFault> fault =
        device::at_line(where, [&] { return variant.kernel->code->run_on_device(operands); });
    if (fault) {
        Location at = kernel.location(fault->site.location);
        if (at.line == 0) at = where;
        if (fault->site.check == ir::Check::shapes) throw_shapes(fault->first, fault->second, at);
        const FaultText text = fault_text(fault->site.check);
        throw Error(text.kind, std::string(text.text), at, std::string(text.hint));
    }
    if (results == nullptr) return;
    for (const std::uint32_t p : variant.results) {
        if (ir::is_made_by_kernel(kernel.params[p].access))
            results->emplace_back(std::move(operands[p].array));
        else
            results->emplace_back(operands[p].array.item());
    }
}

}  // namespace kiln::engine
