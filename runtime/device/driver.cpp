#include "runtime/device/driver.h"

#include "runtime/device/memory.h"
#include "runtime/process.h"

#include <atomic>
#include <bit>
#include <cstdlib>

#include <dlfcn.h>
#include <fmt/format.h>

namespace kiln::device {

namespace {

/// Numbers of the driver's interface.
constexpr int compute_major = 75, compute_minor = 76, multiprocessor_count = 16;

Driver open_driver() {
    void* const library =
        open_library("the CUDA driver", "KILN_LIBCUDA", {"libcuda.so.1", "libcuda.so"},
                     "install NVIDIA's driver, or set KILN_LIBCUDA to its file");
    Driver driver;
    const auto function = [&](auto& pointer, const char* name) {
        void* const symbol = dlsym(library, name);
        if (symbol == nullptr)
            throw Error(ErrorKind::device, fmt::format("the CUDA driver has no function {}", name));
        pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(symbol);
    };
    function(driver.init, "cuInit");
    function(driver.count, "cuDeviceGetCount");
    function(driver.get, "cuDeviceGet");
    function(driver.name, "cuDeviceGetName");
    function(driver.attribute, "cuDeviceGetAttribute");
    function(driver.retain, "cuDevicePrimaryCtxRetain");
    function(driver.set_current, "cuCtxSetCurrent");
    function(driver.synchronize, "cuCtxSynchronize");
    function(driver.allocate, "cuMemAlloc_v2");
    function(driver.free, "cuMemFree_v2");
    function(driver.allocate_host, "cuMemAllocHost_v2");
    function(driver.free_host, "cuMemFreeHost");
    function(driver.memory_info, "cuMemGetInfo_v2");
    function(driver.to_device, "cuMemcpyHtoD_v2");
    function(driver.to_host, "cuMemcpyDtoH_v2");
    function(driver.to_device_async, "cuMemcpyHtoDAsync_v2");
    function(driver.to_host_async, "cuMemcpyDtoHAsync_v2");
    function(driver.within_device_async, "cuMemcpyDtoDAsync_v2");
    function(driver.load_module, "cuModuleLoadData");
    function(driver.unload_module, "cuModuleUnload");
    function(driver.get_function, "cuModuleGetFunction");
    function(driver.set_function_attribute, "cuFuncSetAttribute");
    function(driver.launch, "cuLaunchKernel");
    function(driver.make_stream, "cuStreamCreate");
    function(driver.destroy_stream, "cuStreamDestroy_v2");
    function(driver.stream_synchronize, "cuStreamSynchronize");
    function(driver.stream_query, "cuStreamQuery");
    function(driver.stream_wait, "cuStreamWaitEvent");
    function(driver.make_event, "cuEventCreate");
    function(driver.destroy_event, "cuEventDestroy_v2");
    function(driver.record_event, "cuEventRecord");
    function(driver.event_synchronize, "cuEventSynchronize");
    function(driver.event_query, "cuEventQuery");
    function(driver.event_elapsed, "cuEventElapsedTime");
    function(driver.error_name, "cuGetErrorName");
    function(driver.error_string, "cuGetErrorString");
    return driver;
}

}  // namespace

void* open_library(const char* what, const char* variable, const std::vector<std::string>& names,
                   const char* hint) {
    const char* const set = std::getenv(variable);
    if (set != nullptr && *set != '\0') {
        if (void* const library = dlopen(set, RTLD_NOW | RTLD_LOCAL)) return library;
        throw Error(ErrorKind::device,
                    fmt::format("{} was not found: {} says {}: {}", what, variable, set, dlerror()),
                    {}, hint);
    }
    std::string looked_for;
    for (const std::string& name : names) {
        if (void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
        looked_for += (looked_for.empty() ? "" : ", ") + name;
    }
    throw Error(
        ErrorKind::device,
        fmt::format("{} was not found: looked for {} where the linker looks", what, looked_for), {},
        hint);
}

namespace {
std::atomic<Device*>& opened_device() {
    static constinit std::atomic<Device*> opened{nullptr};
    return opened;
}
thread_local Driver::Handle stream_of_thread = nullptr;
}  // namespace

Device& Device::get() {
    static constinit kiln::detail::Lazy<Device> made;
    const kiln::detail::Busy busy;
    Device& device = made.get([] { return std::unique_ptr<Device>(new Device); });
    opened_device().store(&device, std::memory_order_release);
    device.enter();
    return device;
}

Device* Device::opened() noexcept { return opened_device().load(std::memory_order_acquire); }

Driver::Handle Device::stream() noexcept { return stream_of_thread; }
void Device::set_stream(Driver::Handle stream) noexcept { stream_of_thread = stream; }

Device::Device() : driver_(open_driver()) {
    require(driver_.init(0), "cuInit");
    int devices = 0, device = 0;
    require(driver_.count(&devices), "cuDeviceGetCount");
    if (devices == 0)
        throw Error(ErrorKind::device, "the CUDA driver shows no device", {},
                    "CUDA_VISIBLE_DEVICES may hide them");
    require(driver_.get(&device, 0), "cuDeviceGet");
    char text[256] = {};
    require(driver_.name(text, sizeof text - 1, device), "cuDeviceGetName");
    name_ = text;
    int major = 0, minor = 0;
    require(driver_.attribute(&major, compute_major, device), "cuDeviceGetAttribute");
    require(driver_.attribute(&minor, compute_minor, device), "cuDeviceGetAttribute");
    require(driver_.attribute(&multiprocessors_, multiprocessor_count, device),
            "cuDeviceGetAttribute");
    architecture_ = fmt::format("sm_{}{}", major, minor);
    require(driver_.retain(&context_, device), "cuDevicePrimaryCtxRetain");
}

std::string Device::text_of(Driver::Result result) const {
    const char *name = nullptr, *text = nullptr;
    driver_.error_name(result, &name);
    driver_.error_string(result, &text);
    return fmt::format("{} ({})", name == nullptr ? "unknown error" : name,
                       text == nullptr ? "" : text);
}

void Device::require(Driver::Result result, const char* what) const {
    if (result == Driver::success) return;
    // From 700 on the context is of no more use, as the driver documents; but a launch that asks for too
    // much does not happen.
    constexpr Driver::Result too_much = 701;
    const bool lost = result >= 700 && result < 800 && result != too_much;
    throw Error(ErrorKind::device, fmt::format("{}: {}", what, text_of(result)), {},
                lost ? "the device's context is lost: this process can use the device no more"
                : result == too_much
                    ? "its threads take more registers than a block has: say .bounds"
                    : "");
}

void Device::enter() const { require(driver_.set_current(context_), "cuCtxSetCurrent"); }

// The stream that all others wait for has nothing that copies could overlap with, so these wait.
void Device::write(std::byte* to, const void* from, std::size_t bytes) {
    if (bytes == 0) return;
    const Driver::Handle stream = Device::stream();
    if (stream != nullptr) return write_through_pinned(*this, to, from, bytes, stream);
    require(driver_.to_device(std::bit_cast<Driver::Address>(to), from, bytes),
            "copying to the device");
}

void Device::read(void* to, const std::byte* from, std::size_t bytes) {
    if (bytes == 0) return;
    const auto address = std::bit_cast<Driver::Address>(from);
    const Driver::Handle stream = Device::stream();
    if (stream == nullptr)
        return require(driver_.to_host(to, address, bytes), "copying from the device");
    require(driver_.to_host_async(to, address, bytes, stream), "copying from the device");
    require(driver_.stream_synchronize(stream), "copying from the device");
}

void Device::copy(std::byte* to, const std::byte* from, std::size_t bytes) {
    if (bytes == 0) return;
    require(driver_.within_device_async(std::bit_cast<Driver::Address>(to),
                                        std::bit_cast<Driver::Address>(from), bytes, stream()),
            "copying within the device");
}

void Device::allow_dynamic_shared(Driver::Handle function, std::size_t bytes) {
    constexpr int most_dynamic_shared = 8;  // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    require(driver_.set_function_attribute(function, most_dynamic_shared, static_cast<int>(bytes)),
            "asking for shared memory of a block");
}

void Device::launch(Driver::Handle function, const Dim3& blocks, const Dim3& threads,
                    std::size_t shared, void** parameters) {
    require(driver_.launch(function, blocks.x, blocks.y, blocks.z, threads.x, threads.y, threads.z,
                           static_cast<unsigned>(shared), stream(), parameters, nullptr),
            "launching a kernel");
}

Module::Module(const std::string& image) {
    const Device& device = Device::get();
    const Driver::Result result = device.driver().load_module(&module_, image.c_str());
    constexpr Driver::Result invalid_image = 200, other_device = 209, invalid_ptx = 218,
                             newer_ptx = 222;
    if (result == invalid_image || result == other_device || result == invalid_ptx ||
        result == newer_ptx)
        throw Error(ErrorKind::device,
                    fmt::format("the code cannot be loaded on {} ({}): {}", device.name(),
                                device.architecture(), device.text_of(result)),
                    {},
                    result == newer_ptx
                        ? "NVRTC is newer than the driver: KILN_LIBNVRTC or CUDA_HOME "
                          "name another"
                        : "KILN_CUDA_ARCH names the architecture that code is for");
    device.require(result, "cuModuleLoadData");
}

// A thread that has not used the device yet may be the one that ends the last kernel.
Module::~Module() {
    try {
        const Driver& driver = Device::get().driver();
        driver.synchronize();  // what went wrong in the work is told by what else waits for it
        driver.unload_module(module_);
    } catch (const Error&) {
        // A context that is lost has taken its modules with it.
    }
}

Driver::Handle Module::function(const std::string& name) const {
    const Device& device = Device::get();
    Driver::Handle function = nullptr;
    device.require(device.driver().get_function(&function, module_, name.c_str()), name.c_str());
    return function;
}

}  // namespace kiln::device
