// The CUDA backend: emits CUDA C++ and compiles it to PTX with NVRTC, which needs neither a GPU nor
// its driver. NVRTC is opened when the first PTX is asked for.
#include "jit/compile/backend.h"
#include "codegen/cuda/emit.h"
#include "codegen/cuda/lines.h"
#include "jit/compile/disk_cache.h"
#include "jit/compile/target.h"
#include "jit/cuda/loaded_module.h"
#include "runtime/device/driver.h"
#include "runtime/process.h"

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <mutex>

#include <dlfcn.h>
#include <fmt/format.h>

namespace kiln::engine {
namespace {

// --- NVRTC: the few functions that are used, as its documentation declares them ---

struct NvrtcProgram;  // opaque
using NvrtcResult = int;

struct Nvrtc {
    NvrtcResult (*version)(int* major, int* minor);
    const char* (*error_string)(NvrtcResult);
    NvrtcResult (*create)(NvrtcProgram**, const char* source, const char* name, int headers,
                          const char* const* header_texts, const char* const* header_names);
    NvrtcResult (*destroy)(NvrtcProgram**);
    NvrtcResult (*compile)(NvrtcProgram*, int options, const char* const* texts);
    NvrtcResult (*log_size)(NvrtcProgram*, std::size_t*);
    NvrtcResult (*log)(NvrtcProgram*, char*);
    NvrtcResult (*ptx_size)(NvrtcProgram*, std::size_t*);
    NvrtcResult (*ptx)(NvrtcProgram*, char*);
    int major = 0, minor = 0;
};

/// Folders to look in: "" is the dynamic linker's own search.
std::vector<std::string> search_folders() {
    std::vector<std::string> folders = {""};
    for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
        if (const char* root = std::getenv(variable); root != nullptr && *root != '\0')
            for (const char* sub : {"/lib64/", "/lib/"}) folders.push_back(root + std::string(sub));
    folders.emplace_back("/usr/local/cuda/lib64/");
    return folders;
}

struct OpenedLibrary {
    void* handle = nullptr;
    std::string looked_for;  // names and folders, for the error
};

OpenedLibrary open_nvrtc_library() {
    OpenedLibrary result;
    constexpr const char* variable = "KILN_LIBNVRTC";
    if (const char* set = std::getenv(variable); set != nullptr && *set != '\0') {
        result.handle = device::open_library("NVRTC", variable, {},
                                             "unset it to look where the linker and CUDA_HOME say");
        return result;
    }
    for (const std::string& folder : search_folders()) {
        for (const char* version : {".13", ".12", ""}) {
            const std::string library = folder + "libnvrtc.so" + version;
            // NVRTC opens its built-in functions by name; in a folder that the linker does not
            // search it finds them only if they are already open.
            if (!folder.empty())
                for (const char* builtins : {"libnvrtc-builtins.so.13.0", "libnvrtc-builtins.so"})
                    if (dlopen((folder + builtins).c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr)
                        break;
            result.handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
            if (result.handle != nullptr) return result;
        }
        result.looked_for += (result.looked_for.empty() ? "" : ", ") +
                             (folder.empty() ? "the linker's search path" : folder);
    }
    return result;
}

Nvrtc open_nvrtc() {
    const OpenedLibrary library = open_nvrtc_library();
    if (library.handle == nullptr)
        throw Error(
            ErrorKind::device,
            "NVRTC was not found: looked for libnvrtc.so.13, libnvrtc.so.12 and libnvrtc.so in " +
                library.looked_for,
            {},
            "install the CUDA toolkit, or set CUDA_HOME to its folder or KILN_LIBNVRTC to a file");
    const auto function = [&](auto& pointer, const char* name) {
        void* symbol = dlsym(library.handle, name);
        if (symbol == nullptr)
            throw Error(ErrorKind::device, fmt::format("NVRTC has no function {}", name));
        pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(symbol);
    };
    Nvrtc nvrtc;
    function(nvrtc.version, "nvrtcVersion");
    function(nvrtc.error_string, "nvrtcGetErrorString");
    function(nvrtc.create, "nvrtcCreateProgram");
    function(nvrtc.destroy, "nvrtcDestroyProgram");
    function(nvrtc.compile, "nvrtcCompileProgram");
    function(nvrtc.log_size, "nvrtcGetProgramLogSize");
    function(nvrtc.log, "nvrtcGetProgramLog");
    function(nvrtc.ptx_size, "nvrtcGetPTXSize");
    function(nvrtc.ptx, "nvrtcGetPTX");
    nvrtc.version(&nvrtc.major, &nvrtc.minor);
    return nvrtc;
}

/// The library is opened once in the process and stays open; a failure is tried anew next time.
const Nvrtc& nvrtc() {
    static constinit kiln::detail::Lazy<Nvrtc> opened;
    const kiln::detail::Busy busy;
    return opened.get([] { return std::make_unique<Nvrtc>(open_nvrtc()); });
}

/// The line that a log speaks of first: "prices.cpp(31): error: ...".
Location line_of(const std::string& log) {
    const std::size_t error = log.find("): error");
    if (error == log.npos) return {};
    const std::size_t begin = log.rfind('\n', error) + 1, bracket = log.rfind('(', error);
    if (bracket == log.npos || bracket < begin) return {};
    unsigned line = 0;
    std::from_chars(log.data() + bracket + 1, log.data() + error, line);
    return {log.substr(begin, bracket - begin), line};
}

std::string compile_to_ptx(const std::string& source, const std::string& name, bool contract,
                           const std::string& arch) {
    const Nvrtc& api = nvrtc();
    const auto require = [&](NvrtcResult result, const char* what) {
        if (result != 0)
            throw Error(ErrorKind::internal,
                        fmt::format("NVRTC: {}: {}", what, api.error_string(result)));
    };
    NvrtcProgram* program = nullptr;
    require(api.create(&program, source.c_str(), (name + ".cu").c_str(), 0, nullptr, nullptr),
            "create program");
    struct Destroy {
        const Nvrtc& api;
        NvrtcProgram* program;
        ~Destroy() { api.destroy(&program); }
    } const guard{api, program};

    const std::string gpu = "--gpu-architecture=compute_" + arch.substr(3);
    const char* const options[] = {gpu.c_str(), contract ? "--fmad=true" : "--fmad=false",
                                   "--std=c++17"};
    const NvrtcResult compiled =
        api.compile(program, static_cast<int>(std::size(options)), options);
    if (compiled != 0) {
        std::size_t size = 0;
        require(api.log_size(program, &size), "log size");
        std::string log(size, '\0');
        require(api.log(program, log.data()), "log");
        throw Error(
            ErrorKind::internal,
            fmt::format("NVRTC: {}\n{}\n{}", api.error_string(compiled), log.c_str(), source),
            line_of(log));
    }
    std::size_t size = 0;
    require(api.ptx_size(program, &size), "PTX size");
    std::string ptx(size, '\0');
    require(api.ptx(program, ptx.data()), "PTX");
    ptx.resize(ptx.find_last_not_of('\0') + 1);
    return ptx;
}

double milliseconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
}

class CudaCode final : public CompiledCode {
  public:
    explicit CudaCode(const ir::Kernel& kernel)
        : kernel_(kernel),
          name_(codegen::cuda_entry_name(kernel)),
          contract_(codegen::cuda_may_contract(kernel)),
          arch_(cuda_architecture()) {
        const auto start = std::chrono::steady_clock::now();
        module_ = codegen::emit_cuda_module(kernel);
        times_.emit_ms = milliseconds_since(start);
    }

    /// Never runs on the host.
    MapFunction map_entry() const override { return nullptr; }

    std::string text(Artifact artifact) const override {
        if (artifact == Artifact::cuda) return module_.text;
        if (artifact == Artifact::ptx) return ptx();
        throw Error(ErrorKind::internal, "the CUDA backend has no such text");
    }

    std::optional<DeviceFault> run_on_device(std::span<DeviceOperand> operands) const override {
        return run_program(kernel_, module_, loaded(), operands);
    }

    void run_map_on_device(const MapFrame* frame) const override {
        run_map(kernel_, module_, loaded(), frame);
    }

    std::vector<std::byte> binary() const override {
        const std::string text = ptx();
        const auto* first = reinterpret_cast<const std::byte*>(text.data());
        return {first, first + text.size()};
    }

    Stats times() const override {
        const std::lock_guard lock(mutex_);
        return times_;
    }

  private:
    /// Compiled when first asked for: whoever only reads the CUDA text needs no NVRTC.
    std::string ptx() const {
        const kiln::detail::BeforeExit running(name_ +
                                               " cannot be compiled: the program is ending");
        const std::lock_guard lock(mutex_);
        if (!ptx_.empty()) return ptx_;
        auto start = std::chrono::steady_clock::now();
        // NVRTC's own version is not in it: it takes as long to open as to compile.
        const char* const library = std::getenv("KILN_LIBNVRTC");
        const std::string key = fmt::format("cuda/{}/{}/{}|{}|{}", target_id(BackendTarget::cuda),
                                            arch_, library == nullptr ? "" : library,
                                            contract_ ? "contract" : "", module_.text);
        DiskCache& disk = DiskCache::instance();
        if (const auto found = disk.find(key)) {
            ptx_.assign(reinterpret_cast<const char*>(found->data()), found->size());
            times_.disk_ms = milliseconds_since(start);
            times_.loads = 1;
            return ptx_;
        }
        nvrtc();
        times_.load_ms = milliseconds_since(start);
        start = std::chrono::steady_clock::now();
        ptx_ = compile_to_ptx(codegen::cuda_with_lines(module_.text, name_ + ".cu"), name_,
                              contract_, arch_);
        times_.codegen_ms = milliseconds_since(start);
        const auto* const first = reinterpret_cast<const std::byte*>(ptx_.data());
        disk.insert(key, {first, ptx_.size()});
        return ptx_;
    }

    /// On the device, from the first run on.
    const LoadedModule& loaded() const {
        const std::string image = ptx();
        const std::lock_guard lock(mutex_);
        if (loaded_ == nullptr) loaded_ = std::make_unique<LoadedModule>(module_, image);
        return *loaded_;
    }

    ir::Kernel kernel_;
    std::string name_;
    codegen::CudaModule module_;
    bool contract_;
    std::string arch_;
    mutable kiln::detail::Mutex mutex_;
    mutable std::string ptx_;
    mutable Stats times_;
    mutable std::unique_ptr<LoadedModule> loaded_;
};

class CudaBackend final : public Backend {
  public:
    std::unique_ptr<CompiledCode> compile(const ir::Kernel& kernel, const CompileOptions&,
                                          const std::string&) override {
        return std::make_unique<CudaCode>(kernel);
    }
    std::string text(Artifact artifact, const ir::Kernel& kernel, const CompileOptions&,
                     const std::string&) override {
        return CudaCode(kernel).text(artifact);
    }
};

}  // namespace
}  // namespace kiln::engine

extern "C" kiln::engine::Backend* kiln_make_cuda_backend() { return new kiln::engine::CudaBackend; }
