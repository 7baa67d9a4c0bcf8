#include "jit/cuda/nvrtc.h"

#include "runtime/device/driver.h"
#include "runtime/process.h"

#include <kiln/error.h>

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <fmt/format.h>

namespace kiln::engine {
namespace {

// --- the few functions that are used, as the documentation declares them ---

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
    NvrtcResult (*cubin_size)(NvrtcProgram*, std::size_t*);
    NvrtcResult (*cubin)(NvrtcProgram*, char*);
    NvrtcResult (*count_architectures)(int* count);
    NvrtcResult (*architectures)(int* numbers);
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

Nvrtc opened_nvrtc() {
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
    function(nvrtc.cubin_size, "nvrtcGetCUBINSize");
    function(nvrtc.cubin, "nvrtcGetCUBIN");
    function(nvrtc.count_architectures, "nvrtcGetNumSupportedArchs");
    function(nvrtc.architectures, "nvrtcGetSupportedArchs");
    nvrtc.version(&nvrtc.major, &nvrtc.minor);
    return nvrtc;
}

/// The library is opened once in the process and stays open; a failure is tried anew next time.
const Nvrtc& nvrtc() {
    static constinit kiln::detail::Lazy<Nvrtc> opened;
    const kiln::detail::Busy busy;
    return opened.get([] { return std::make_unique<Nvrtc>(opened_nvrtc()); });
}

/// The line that a log speaks of first: "prices.cpp(31): error: ...".
Location line_of(std::string_view log) {
    const std::size_t error = log.find("): error");
    if (error == log.npos) return {};
    const std::size_t begin = log.rfind('\n', error) + 1, bracket = log.rfind('(', error);
    if (bracket == log.npos || bracket < begin) return {};
    unsigned line = 0;
    std::from_chars(log.data() + bracket + 1, log.data() + error, line);
    return {log.substr(begin, bracket - begin), line};
}

/// What the disk cache remembers of the NVRTC that was opened last with the same environment.
struct Record {
    std::string path, state, build;

    static std::string key() {
        std::string all = "nvrtc";
        for (const char* variable :
             {"KILN_LIBNVRTC", "CUDA_HOME", "CUDA_PATH", "LD_LIBRARY_PATH"}) {
            const char* const value = std::getenv(variable);
            all += fmt::format("|{}", value == nullptr ? "" : value);
        }
        return all;
    }
    /// Of a file: its bytes, and when it was written.
    static std::string state_of(const std::string& path) {
        struct stat status{};
        if (::stat(path.c_str(), &status) != 0) return {};
        return fmt::format("{} {}.{:09}", status.st_size, status.st_mtim.tv_sec,
                           status.st_mtim.tv_nsec);
    }
    static Record of(const Nvrtc& nvrtc) {
        Dl_info info{};
        dladdr(reinterpret_cast<void*>(nvrtc.version), &info);
        const std::string path = info.dli_fname == nullptr ? "" : info.dli_fname;
        std::string state = state_of(path);
        std::string build = fmt::format("{}.{}, {}", nvrtc.major, nvrtc.minor, state);
        return {path, std::move(state), std::move(build)};
    }
    static std::optional<Record> stored(DiskCache& disk) {
        const auto found = disk.find(key());
        if (!found) return std::nullopt;
        const std::string text(reinterpret_cast<const char*>(found->data()), found->size());
        const std::size_t first = text.find('\n'), second = text.find('\n', first + 1);
        if (first == text.npos || second == text.npos) return std::nullopt;
        return Record{text.substr(0, first), text.substr(first + 1, second - first - 1),
                      text.substr(second + 1)};
    }
    void store(DiskCache& disk) const {
        const std::string text = path + '\n' + state + '\n' + build;
        disk.insert(key(), {reinterpret_cast<const std::byte*>(text.data()), text.size()});
    }
};

}  // namespace

void open_nvrtc() { nvrtc(); }

std::string nvrtc_build(DiskCache& disk) {
    const std::optional<Record> stored = Record::stored(disk);
    if (stored && !stored->state.empty() && Record::state_of(stored->path) == stored->state)
        return stored->build;
    const Record now = Record::of(nvrtc());
    now.store(disk);
    return now.build;
}

namespace {

/// A text that NVRTC has compiled.
class CompiledText {
  public:
    CompiledText(const std::string& source, const std::string& name, bool contract,
                 std::initializer_list<std::string> options)
        : program_(made(source, name)) {
        std::vector<const char*> texts = {contract ? "--fmad=true" : "--fmad=false", "--std=c++17"};
        for (const std::string& option : options) texts.push_back(option.c_str());
        const NvrtcResult compiled =
            api_.compile(program_.get(), static_cast<int>(texts.size()), texts.data());
        if (compiled == success) return;
        const std::string said = log();
        throw Error(ErrorKind::internal,
                    fmt::format("NVRTC: {}\n{}\n{}", api_.error_string(compiled), said, source),
                    line_of(said));
    }
    std::string log() const {
        std::string made = text(api_.log_size, api_.log, "log");
        made.resize(made.find_last_not_of('\0') + 1);
        return made;
    }
    std::string ptx() const {
        std::string made = text(api_.ptx_size, api_.ptx, "PTX");
        made.resize(made.find_last_not_of('\0') + 1);
        return made;
    }
    std::string cubin() const { return text(api_.cubin_size, api_.cubin, "cubin"); }

  private:
    static constexpr NvrtcResult success = 0;
    struct Destroy {
        void operator()(NvrtcProgram* program) const { nvrtc().destroy(&program); }
    };

    void require(NvrtcResult result, const char* what) const {
        if (result != success)
            throw Error(ErrorKind::internal,
                        fmt::format("NVRTC: {}: {}", what, api_.error_string(result)));
    }
    NvrtcProgram* made(const std::string& source, const std::string& name) const {
        NvrtcProgram* program = nullptr;
        require(api_.create(&program, source.c_str(), (name + ".cu").c_str(), 0, nullptr, nullptr),
                "create program");
        return program;
    }
    std::string text(NvrtcResult (*size_of)(NvrtcProgram*, std::size_t*),
                     NvrtcResult (*get)(NvrtcProgram*, char*), const char* what) const {
        std::size_t size = 0;
        require(size_of(program_.get(), &size), what);
        std::string made(size, '\0');
        require(get(program_.get(), made.data()), what);
        return made;
    }

    const Nvrtc& api_ = nvrtc();
    const std::unique_ptr<NvrtcProgram, Destroy> program_;
};

}  // namespace

std::string compile_to_ptx(const std::string& source, const std::string& name, bool contract,
                           const std::string& arch) {
    return CompiledText(source, name, contract, {"--gpu-architecture=compute_" + arch.substr(3)})
        .ptx();
}

namespace {

/// Numbers such as 90, from the oldest on.
std::vector<int> known_architectures() {
    int count = 0;
    std::vector<int> known;
    if (nvrtc().count_architectures(&count) == 0 && count > 0) {
        known.resize(static_cast<std::size_t>(count));
        if (nvrtc().architectures(known.data()) != 0) known.clear();
    }
    std::ranges::sort(known);
    return known;
}

}  // namespace

std::string compile_for_device(const std::string& source, const std::string& name, bool contract,
                               const std::string& arch) {
    int number = 0;
    std::from_chars(arch.data() + 3, arch.data() + arch.size(), number);
    const std::vector<int> known = known_architectures();
    if (known.empty() || std::ranges::binary_search(known, number))
        return CompiledText(source, name, contract, {"--gpu-architecture=" + arch}).cubin();
    const auto newer = std::ranges::upper_bound(known, number);
    if (newer == known.begin())
        throw Error(ErrorKind::device,
                    fmt::format("NVRTC {}.{} makes no code for {}, but for sm_{} and newer ones",
                                nvrtc().major, nvrtc().minor, arch, known.front()),
                    {}, "KILN_LIBNVRTC or CUDA_HOME name an older NVRTC");
    return compile_to_ptx(source, name, contract, fmt::format("sm_{}", *std::prev(newer)));
}

std::string assembler_log(const std::string& source, const std::string& name, bool contract,
                          const std::string& arch) {
    return CompiledText(source, name, contract,
                        {"--gpu-architecture=" + arch, "--ptxas-options=-v"})
        .log();
}

}  // namespace kiln::engine
