#include "jit/cuda/loaded_module.h"

#include "jit/device/host_program.h"
#include "runtime/device/arrays.h"
#include "runtime/device/memory.h"

#include <mutex>
#include <utility>

#include <fmt/format.h>

namespace kiln::engine {

LoadedModule::LoadedModule(const codegen::CudaModule& module, const std::string& image)
    : module_(image) {
    for (const codegen::CudaFunction& f : module.functions)
        functions_.push_back({module_.function(f.name), static_cast<std::size_t>(f.shared)});
    allowed_.resize(functions_.size());
}

void LoadedModule::allow_dynamic_shared(std::size_t index, std::size_t bytes) const {
    const std::lock_guard lock(mutex_);
    if (bytes <= allowed_[index]) return;
    device::Device::get().allow_dynamic_shared(functions_[index].handle, bytes);
    allowed_[index] = bytes;
}

namespace {

/// The device, for the functions of one module.
class ModuleDevice final : public LaunchDevice {
  public:
    explicit ModuleDevice(const LoadedModule& module)
        : module_(module), device_(device::Device::get()) {}
    Geometry geometry() const {
        constexpr std::int64_t blocks_of_a_multiprocessor = 16;
        Geometry made;
        made.most_blocks = device_.multiprocessors() * blocks_of_a_multiprocessor;
        return made;
    }
    std::byte* allocate(std::size_t bytes) override { return device::allocate(bytes); }
    void deallocate(std::byte* memory) noexcept override { device::deallocate(memory); }
    void write(std::byte* to, const void* from, std::size_t bytes) override {
        device_.write(to, from, bytes);
    }
    void read(void* to, const std::byte* from, std::size_t bytes) override {
        device_.read(to, from, bytes);
    }
    void launch(std::size_t function, const LaunchShape& shape, void** parameters) override {
        constexpr std::size_t unasked = 48 * 1024;
        const auto& [handle, own] = module_.function(function);
        if (shape.shared + own > unasked) module_.allow_dynamic_shared(function, shape.shared);
        device_.launch(handle, shape.blocks, shape.threads, shape.shared, parameters);
    }

  private:
    const LoadedModule& module_;
    device::Device& device_;
};

/// An array of the device, as a kernel sees it.
DeviceArgument argument_of(const Array& array) {
    DeviceArgument made;
    made.data = array.address();
    for (int d = 0; d < array.rank(); ++d) {
        made.extents.push_back(array.extent(d));
        made.strides.push_back(array.stride(d));
    }
    return made;
}

// Errors below get their line from the call (device::at_line), so that these give none.

/// Back into an array of the host.
void take_back(const Array& to, const Array& from) {
    to.assign(to.is_contiguous() ? from : from.to_host({}), Casting::unsafe, {});
}

/// Arrays that a program made and gives back.
class Made {
  public:
    Made(LaunchDevice& device, const ir::Kernel& kernel, std::span<DeviceArgument> arguments)
        : device_(device), kernel_(kernel), arguments_(arguments) {}
    ~Made() {
        for (std::size_t p = 0; p < arguments_.size(); ++p)
            if (is_result(p)) device_.deallocate(arguments_[p].data);
    }
    Made(const Made&) = delete;
    Made& operator=(const Made&) = delete;

    void take(std::span<DeviceOperand> operands, Place place) {
        for (std::size_t p = 0; p < arguments_.size(); ++p) {
            if (!is_result(p)) continue;
            std::byte* const block = std::exchange(arguments_[p].data, nullptr);
            operands[p].array =
                device::array_over(block,
                                   Shape(std::span<const std::int64_t>(arguments_[p].extents)),
                                   kernel_.params[p].dtype, {})
                    .to(place, {});
        }
    }

  private:
    bool is_result(std::size_t p) const {
        return kernel_.params[p].access == ir::Access::result && arguments_[p].data != nullptr;
    }
    LaunchDevice& device_;
    const ir::Kernel& kernel_;
    std::span<DeviceArgument> arguments_;
};

/// Where the arrays of a call are, all of them.
Place place_of(const ir::Kernel& kernel, std::span<const DeviceOperand> operands) {
    for (std::size_t p = 0; p < operands.size(); ++p)
        if (kernel.params[p].access != ir::Access::value && !operands[p].array.place().is_host())
            return operands[p].array.place();
    return cpu();
}

}  // namespace

void run_map(const ir::Kernel& kernel, const codegen::CudaModule& module,
             const LoadedModule& loaded, const MapFrame* frame) {
    ModuleDevice device(loaded);
    run_map(module, kernel, device, device.geometry(), frame);
}

namespace {

/// Whether a kernel writes elements of the array that it gets.
bool is_written(const ir::Kernel& kernel, std::size_t p) {
    const ir::Access access = kernel.params[p].access;
    return access == ir::Access::out || access == ir::Access::inout;
}

/// Arrays of a call on the device, those of the host as copies: one for all operands that are the
/// same elements.
struct There {
    std::vector<Array> arrays;
    std::vector<DeviceArgument> arguments;

    There(const ir::Kernel& kernel, std::span<const DeviceOperand> operands)
        : arrays(operands.size()), arguments(operands.size()) {
        for (std::size_t p = 0; p < operands.size(); ++p) {
            const ir::Access access = kernel.params[p].access;
            arguments[p].scalar = operands[p].scalar;
            if (access == ir::Access::value || ir::is_made_by_kernel(access)) continue;
            arrays[p] = copy_of_before(kernel, operands, p).to(cuda(), {});
            device::note_use(static_cast<const std::byte*>(arrays[p].owner().get()));
            arguments[p] = argument_of(arrays[p]);
        }
    }
    /// What was written of copies, back to the host.
    void take_back(const ir::Kernel& kernel, std::span<const DeviceOperand> operands) const {
        for (std::size_t p = 0; p < operands.size(); ++p)
            if (is_written(kernel, p) && operands[p].array.place().is_host())
                engine::take_back(operands[p].array, arrays[p]);
    }

  private:
    /// The operand, or its copy on the device where one before it is the same. Errors: unsupported (it
    /// has elements in common with another, and their copies would not).
    Array copy_of_before(const ir::Kernel& kernel, std::span<const DeviceOperand> operands,
                         std::size_t p) const {
        const Array& mine = operands[p].array;
        if (!mine.place().is_host()) return mine;
        for (std::size_t q = 0; q < p; ++q) {
            const Array& other = operands[q].array;
            const ir::Access access = kernel.params[q].access;
            if (access == ir::Access::value || ir::is_made_by_kernel(access) ||
                !other.place().is_host() || !(is_written(kernel, p) || is_written(kernel, q)) ||
                !may_share_memory(mine, other))
                continue;
            if (exactly_same(mine, other)) return arrays[q];
            throw Error(ErrorKind::unsupported,
                        fmt::format("{} and {} of {} have elements in common, some of which it "
                                    "writes, and are copied to the device",
                                    kernel.params[q].name, kernel.params[p].name, kernel.name),
                        {}, "copy one of them: x.copy()");
        }
        return mine;
    }
};

}  // namespace

std::optional<DeviceFault> run_program(const ir::Kernel& kernel, const codegen::CudaModule& module,
                                       const LoadedModule& loaded,
                                       std::span<DeviceOperand> operands) {
    ModuleDevice device(loaded);
    const Place place = place_of(kernel, operands);
    There there(kernel, operands);
    Made made(device, kernel, there.arguments);
    const auto fault = run_host_program(kernel, module, device, device.geometry(), there.arguments);
    there.take_back(kernel, operands);
    if (!fault) made.take(operands, place);
    return fault;
}

void launch_threads(const ir::Kernel& kernel, const codegen::CudaModule& module,
                    const LoadedModule& loaded, std::span<DeviceOperand> operands,
                    const LaunchShape& shape) {
    ModuleDevice device(loaded);
    const There there(kernel, operands);
    launch_threads(module, device, shape, there.arguments);
    there.take_back(kernel, operands);
}

}  // namespace kiln::engine
