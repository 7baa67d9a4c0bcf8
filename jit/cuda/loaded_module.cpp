#include "jit/cuda/loaded_module.h"

#include "jit/cuda/host_program.h"

#include <cstring>

namespace kiln::engine {

LoadedModule::LoadedModule(const codegen::CudaModule& module, const std::string& image) {
    device::Device& device = device::Device::get();
    device.enter();
    module_ = device.load(image);
    for (const codegen::CudaFunction& f : module.functions)
        functions_.push_back(device.function(module_, f.name));
}

LoadedModule::~LoadedModule() { device::Device::get().unload(module_); }

namespace {

/// The device, for the functions of one module.
class ModuleDevice final : public LaunchDevice {
  public:
    explicit ModuleDevice(const LoadedModule& module)
        : module_(module), device_(device::Device::get()) {
        device_.enter();
    }
    Geometry geometry() const {
        constexpr std::int64_t blocks_of_a_multiprocessor = 16;
        Geometry made;
        made.most_blocks = device_.multiprocessors() * blocks_of_a_multiprocessor;
        return made;
    }
    std::byte* allocate(std::size_t bytes) override { return device_.allocate(bytes); }
    void deallocate(std::byte* memory) noexcept override { device_.deallocate(memory); }
    void write(std::byte* to, const void* from, std::size_t bytes) override {
        if (bytes != 0) device_.write(to, from, bytes);
    }
    void read(void* to, const std::byte* from, std::size_t bytes) override {
        if (bytes != 0) device_.read(to, from, bytes);
    }
    void launch(std::size_t function, unsigned blocks, unsigned threads,
                void** parameters) override {
        device_.launch(module_.function(function), blocks, threads, parameters);
    }

  private:
    const LoadedModule& module_;
    device::Device& device_;
};

/// The elements of an array on the device, in C order, for the time of a run.
class Copied {
  public:
    Copied(LaunchDevice& device, const Array& array)
        : device_(device),
          array_(array),
          bytes_(static_cast<std::size_t>(array.nbytes())),
          data_(device.allocate(bytes_ == 0 ? 1 : bytes_)) {
        try {
            device_.write(data_, array.contiguous().data(), bytes_);
        } catch (...) {
            device_.deallocate(data_);
            throw;
        }
    }
    ~Copied() { device_.deallocate(data_); }
    Copied(const Copied&) = delete;
    Copied& operator=(const Copied&) = delete;

    DeviceArgument argument() const {
        DeviceArgument made;
        made.data = data_;
        const Shape strides = Array::c_strides(array_.shape(), array_.item_size());
        for (int d = 0; d < array_.rank(); ++d) {
            made.extents.push_back(array_.extent(d));
            made.strides.push_back(strides[d]);
        }
        return made;
    }
    void take_back() const {
        if (array_.is_contiguous()) return device_.read(array_.data(), data_, bytes_);
        const Array all = empty(array_.shape(), array_.dtype());
        device_.read(all.data(), data_, bytes_);
        array_.assign(all);
    }

  private:
    LaunchDevice& device_;
    Array array_;
    std::size_t bytes_;
    std::byte* data_;
};

/// Arrays that the program made and the caller gets: freed when they are copied, or not.
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

    void take(std::span<DeviceOperand> operands) const {
        for (std::size_t p = 0; p < arguments_.size(); ++p) {
            if (!is_result(p)) continue;
            operands[p].array = empty(Shape(std::span<const std::int64_t>(arguments_[p].extents)),
                                      kernel_.params[p].dtype);
            device_.read(operands[p].array.data(), arguments_[p].data,
                         static_cast<std::size_t>(operands[p].array.nbytes()));
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

}  // namespace

std::optional<DeviceFault> run_program(const ir::Kernel& kernel, const codegen::CudaModule& module,
                                       const LoadedModule& loaded,
                                       std::span<DeviceOperand> operands) {
    ModuleDevice device(loaded);
    std::vector<std::unique_ptr<Copied>> copies(operands.size());
    std::vector<DeviceArgument> arguments(operands.size());
    for (std::size_t p = 0; p < operands.size(); ++p) {
        const ir::Access access = kernel.params[p].access;
        arguments[p].scalar = operands[p].scalar;
        if (access == ir::Access::value || ir::is_made_by_kernel(access)) continue;
        copies[p] = std::make_unique<Copied>(device, operands[p].array);
        arguments[p] = copies[p]->argument();
    }
    const Made made(device, kernel, arguments);
    const auto fault = run_host_program(kernel, module, device, device.geometry(), arguments);
    for (std::size_t p = 0; p < operands.size(); ++p) {
        const ir::Access access = kernel.params[p].access;
        if (access == ir::Access::out || access == ir::Access::inout) copies[p]->take_back();
    }
    if (!fault) made.take(operands);
    return fault;
}

}  // namespace kiln::engine
