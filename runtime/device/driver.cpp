#include "runtime/device/driver.h"

#include "runtime/process.h"

#include <bit>
#include <cstdlib>
#include <map>
#include <unordered_map>

#include <dlfcn.h>
#include <fmt/format.h>

namespace kiln::device {

namespace {

/// Numbers of the driver's interface.
constexpr int success = 0, out_of_memory = 2;
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
    function(driver.allocate, "cuMemAlloc_v2");
    function(driver.free, "cuMemFree_v2");
    function(driver.memory_info, "cuMemGetInfo_v2");
    function(driver.to_device, "cuMemcpyHtoD_v2");
    function(driver.to_host, "cuMemcpyDtoH_v2");
    function(driver.load_module, "cuModuleLoadData");
    function(driver.unload_module, "cuModuleUnload");
    function(driver.get_function, "cuModuleGetFunction");
    function(driver.launch, "cuLaunchKernel");
    function(driver.synchronize, "cuCtxSynchronize");
    function(driver.error_name, "cuGetErrorName");
    function(driver.error_string, "cuGetErrorString");
    return driver;
}

/// Blocks of the device's memory that are in use, and those that are kept, by their sizes: powers of
/// two and three quarters of them.
struct Pool {
    std::map<std::size_t, std::vector<Driver::Address>> kept;
    std::unordered_map<Driver::Address, std::size_t> used;
    PoolUse use;
};
Pool& pool() {
    static constinit kiln::detail::Lazy<Pool> made;
    return made.get([] { return std::make_unique<Pool>(); });
}
kiln::detail::Mutex& pool_mutex() {
    static constinit kiln::detail::Lazy<kiln::detail::Mutex> made;
    return made.get([] { return std::make_unique<kiln::detail::Mutex>(); });
}

std::size_t size_class(std::size_t bytes) {
    constexpr std::size_t least = 256;
    if (bytes <= least) return least;
    const std::size_t next = std::bit_ceil(bytes);
    return bytes <= next / 4 * 3 ? next / 4 * 3 : next;
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

Device& Device::get() {
    static constinit kiln::detail::Lazy<Device> opened;
    const kiln::detail::Busy busy;
    return opened.get([] { return std::unique_ptr<Device>(new Device); });
}

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

void Device::require(Driver::Result result, const char* what) const {
    if (result == success) return;
    const char *name = nullptr, *text = nullptr;
    driver_.error_name(result, &name);
    driver_.error_string(result, &text);
    // From 700 on the context is of no more use, as the driver documents.
    const bool lost = result >= 700 && result < 800;
    throw Error(
        ErrorKind::device,
        fmt::format("{}: {} ({})", what, name == nullptr ? "unknown error" : name,
                    text == nullptr ? "" : text),
        {}, lost ? "the device's context is lost: this process can use the device no more" : "");
}

void Device::enter() const { require(driver_.set_current(context_), "cuCtxSetCurrent"); }

std::byte* Device::allocate(std::size_t bytes) {
    const std::size_t size = size_class(bytes);
    const std::lock_guard lock(pool_mutex());
    Pool& blocks = device::pool();
    Driver::Address memory = 0;
    if (auto& kept = blocks.kept[size]; !kept.empty()) {
        memory = kept.back();
        kept.pop_back();
        blocks.use.cached -= static_cast<std::int64_t>(size);
    } else {
        Driver::Result result = driver_.allocate(&memory, size);
        if (result == out_of_memory) {
            for (auto& [cached, list] : blocks.kept) {
                for (const Driver::Address block : list) driver_.free(block);
                list.clear();
            }
            blocks.use.cached = 0;
            result = driver_.allocate(&memory, size);
        }
        if (result == out_of_memory)
            throw Error(ErrorKind::device,
                        fmt::format("the device is out of memory: {} bytes are wanted, {} in use "
                                    "by kiln",
                                    bytes, blocks.use.used));
        require(result, "cuMemAlloc");
    }
    blocks.used.emplace(memory, size);
    blocks.use.used += static_cast<std::int64_t>(size);
    return std::bit_cast<std::byte*>(memory);
}

void Device::deallocate(std::byte* memory) noexcept {
    const std::lock_guard lock(pool_mutex());
    Pool& blocks = device::pool();
    const auto at = blocks.used.find(std::bit_cast<Driver::Address>(memory));
    if (at == blocks.used.end()) return;
    const auto size = static_cast<std::int64_t>(at->second);
    blocks.kept[at->second].push_back(at->first);
    blocks.used.erase(at);
    blocks.use.used -= size;
    blocks.use.cached += size;
}

PoolUse Device::pool() const {
    const std::lock_guard lock(pool_mutex());
    return device::pool().use;
}

void Device::free_cached() {
    const std::lock_guard lock(pool_mutex());
    Pool& blocks = device::pool();
    for (auto& [size, list] : blocks.kept) {
        for (const Driver::Address block : list) driver_.free(block);
        list.clear();
    }
    blocks.use.cached = 0;
}

void Device::write(std::byte* to, const void* from, std::size_t bytes) {
    require(driver_.to_device(std::bit_cast<Driver::Address>(to), from, bytes),
            "copying to the device");
}
void Device::read(void* to, const std::byte* from, std::size_t bytes) {
    require(driver_.to_host(to, std::bit_cast<Driver::Address>(from), bytes),
            "copying from the device");
}

Driver::Handle Device::load(const std::string& image) {
    Driver::Handle module = nullptr;
    require(driver_.load_module(&module, image.c_str()), "cuModuleLoadData");
    return module;
}
Driver::Handle Device::function(Driver::Handle module, const std::string& name) {
    Driver::Handle function = nullptr;
    require(driver_.get_function(&function, module, name.c_str()), name.c_str());
    return function;
}
void Device::unload(Driver::Handle module) noexcept { driver_.unload_module(module); }

void Device::launch(Driver::Handle function, unsigned blocks, unsigned threads, void** parameters) {
    require(driver_.launch(function, blocks, 1, 1, threads, 1, 1, 0, nullptr, parameters, nullptr),
            "launching a kernel");
}

}  // namespace kiln::device
