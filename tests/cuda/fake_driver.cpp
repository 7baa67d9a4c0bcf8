// A CUDA driver and NVRTC over host memory: the entry points that kiln uses, in one library, for tests on
// machines without a device. What NVRTC compiles is made into a library by the host's compiler, behind
// device.h, and "PTX" is the path of that; launches run its blocks of threads.
//
//     KILN_LIBCUDA=libkiln_fake_cuda.so KILN_LIBNVRTC=libkiln_fake_cuda.so program
//
// KILN_FAKE_CUDA_MEMORY says how many bytes the device has. A launch of a kernel whose name has
// "fault" in it fails as a kernel does that touches a wrong address.
#include "tests/scratch_folder.h"

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <string>

#include <dlfcn.h>

namespace {

constexpr int success = 0, invalid_value = 1, out_of_memory = 2, not_found = 500,
              illegal_address = 700;

std::mutex mutex;
std::map<std::uint64_t, std::size_t> blocks;
std::size_t used = 0;
std::atomic<bool> lost{false};

std::size_t capacity() {
    const char* const set = std::getenv("KILN_FAKE_CUDA_MEMORY");
    return set == nullptr ? std::size_t(1) << 30 : std::strtoull(set, nullptr, 10);
}

/// Whether all bytes are in one block.
bool is_memory(std::uint64_t at, std::size_t bytes) {
    const std::lock_guard lock(mutex);
    const auto after = blocks.upper_bound(at);
    if (after == blocks.begin()) return false;
    const auto block = std::prev(after);
    return at + bytes <= block->first + block->second;
}

struct Function {
    void (*code)(void**);
    const char* (*launch)(void (*)(void**), void**, unsigned, unsigned, bool);
    std::string name;
};

/// What nvrtcCreateProgram makes.
struct Program {
    std::string source, log, path;
};

/// The names of the functions that launches may name.
std::string wrappers(const std::string& source) {
    std::string text;
    constexpr const char* head = "extern \"C\" __global__ void ";
    for (std::size_t at = source.find(head); at != std::string::npos;
         at = source.find(head, at + 1)) {
        const std::size_t begin = at + std::strlen(head);
        const std::string name = source.substr(begin, source.find('(', begin) - begin);
        text += "extern \"C\" void wrapped_" + name + "(void** p) { kiln_device::unpack(" + name +
                ", p); }\n";
    }
    return text;
}

std::string slurp(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

extern "C" {

// ------------------------------------------------------------------------------ NVRTC

int nvrtcVersion(int* major, int* minor) {
    *major = 12;
    *minor = 0;
    return success;
}
const char* nvrtcGetErrorString(int) { return "NVRTC_ERROR_COMPILATION"; }
int nvrtcCreateProgram(Program** program, const char* source, const char*, int, const char* const*,
                       const char* const*) {
    *program = new Program{source, {}, {}};
    return success;
}
int nvrtcDestroyProgram(Program** program) {
    delete *program;
    *program = nullptr;
    return success;
}
int nvrtcCompileProgram(Program* program, int, const char* const*) {
    const kiln::test::ScratchFolder scratch;
    const std::string folder = scratch.path.string(), base = folder + "/kernel";
    std::ofstream(base + ".cpp") << "#include \"" KILN_FAKE_DEVICE_HEADER "\"\n"
                                 << program->source << wrappers(program->source);
    const std::string command = "c++ -std=c++17 -O1 -ffp-contract=off -w -fPIC -shared " + base +
                                ".cpp -o " + base + ".so > " + base + ".log 2>&1";
    const int result = std::system(command.c_str());
    program->log = slurp(base + ".log");
    if (result == 0) {
        program->path = folder + ".so";  // beside the folder: cuModuleLoadData removes it
        std::rename((base + ".so").c_str(), program->path.c_str());
    }
    return result == 0 ? success : 6;
}
int nvrtcGetProgramLogSize(Program* program, std::size_t* size) {
    *size = program->log.size() + 1;
    return success;
}
int nvrtcGetProgramLog(Program* program, char* log) {
    std::strcpy(log, program->log.c_str());
    return success;
}
int nvrtcGetPTXSize(Program* program, std::size_t* size) {
    *size = program->path.size() + 1;
    return success;
}
int nvrtcGetPTX(Program* program, char* ptx) {
    std::strcpy(ptx, program->path.c_str());
    return success;
}

// ------------------------------------------------------------------------------ the driver

int cuInit(unsigned) { return success; }
int cuDeviceGetCount(int* count) {
    *count = 1;
    return success;
}
int cuDeviceGet(int* device, int) {
    *device = 0;
    return success;
}
int cuDeviceGetName(char* name, int length, int) {
    std::snprintf(name, static_cast<std::size_t>(length), "host memory");
    return success;
}
int cuDeviceGetAttribute(int* value, int which, int) {
    *value = which == 75 ? 8 : which == 76 ? 0 : which == 16 ? 2 : 0;
    return success;
}
int cuDevicePrimaryCtxRetain(void** context, int) {
    *context = &blocks;
    return success;
}
int cuCtxSetCurrent(void*) { return lost ? illegal_address : success; }
int cuCtxSynchronize() { return lost ? illegal_address : success; }

int cuMemAlloc_v2(std::uint64_t* memory, std::size_t bytes) {
    if (lost) return illegal_address;
    const std::lock_guard lock(mutex);
    if (used + bytes > capacity()) return out_of_memory;
    void* const block = std::malloc(bytes);
    std::memset(block, 0xa5, bytes);
    *memory = reinterpret_cast<std::uint64_t>(block);
    blocks[*memory] = bytes;
    used += bytes;
    return success;
}
int cuMemFree_v2(std::uint64_t memory) {
    const std::lock_guard lock(mutex);
    const auto at = blocks.find(memory);
    if (at == blocks.end()) return invalid_value;
    used -= at->second;
    std::free(reinterpret_cast<void*>(memory));
    blocks.erase(at);
    return success;
}
int cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
    const std::lock_guard lock(mutex);
    *total = capacity();
    *free = *total - used;
    return success;
}
int cuMemcpyHtoD_v2(std::uint64_t to, const void* from, std::size_t bytes) {
    if (lost) return illegal_address;
    if (!is_memory(to, bytes)) return invalid_value;
    std::memcpy(reinterpret_cast<void*>(to), from, bytes);
    return success;
}
int cuMemcpyDtoH_v2(void* to, std::uint64_t from, std::size_t bytes) {
    if (lost) return illegal_address;
    if (!is_memory(from, bytes)) return invalid_value;
    std::memcpy(to, reinterpret_cast<const void*>(from), bytes);
    return success;
}

int cuModuleLoadData(void** module, const void* image) {
    *module = dlopen(static_cast<const char*>(image), RTLD_NOW | RTLD_LOCAL);
    std::remove(static_cast<const char*>(image));
    return *module == nullptr ? invalid_value : success;
}
int cuModuleUnload(void*) { return success; }
int cuModuleGetFunction(void** function, void* module, const char* name) {
    auto* const made = new Function{};
    *reinterpret_cast<void**>(&made->code) =
        dlsym(module, (std::string("wrapped_") + name).c_str());
    *reinterpret_cast<void**>(&made->launch) = dlsym(module, "kiln_launch");
    made->name = name;
    *function = made;
    return made->code == nullptr || made->launch == nullptr ? not_found : success;
}
int cuLaunchKernel(void* function, unsigned grid, unsigned, unsigned, unsigned threads, unsigned,
                   unsigned, unsigned, void*, void** parameters, void**) {
    if (lost) return illegal_address;
    const auto& kernel = *static_cast<const Function*>(function);
    if (grid == 0 || threads == 0 || threads > 1024) return invalid_value;
    if (kernel.name.find("fault") != std::string::npos) lost = true;
    if (lost) return success;  // known when the next call asks
    return kernel.launch(kernel.code, parameters, grid, threads, false) == nullptr ? success : 719;
}

int cuGetErrorName(int result, const char** text) {
    *text = result == out_of_memory     ? "CUDA_ERROR_OUT_OF_MEMORY"
            : result == illegal_address ? "CUDA_ERROR_ILLEGAL_ADDRESS"
                                        : "CUDA_ERROR_UNKNOWN";
    return success;
}
int cuGetErrorString(int result, const char** text) {
    *text = result == illegal_address ? "an illegal memory access was encountered" : "no text";
    return success;
}

}  // extern "C"
