#include "tests/jit/cuda/emulated.h"

#include "jit/compile/backend.h"
#include "tests/catch.h"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>

#include <dlfcn.h>
#include <fmt/format.h>

namespace kiln::test {

namespace {

using Wrapped = void (*)(void**);

/// Host memory, and functions of a library.
class HostDevice final : public engine::LaunchDevice {
  public:
    HostDevice(void* library, std::vector<Wrapped> functions, bool backwards)
        : functions_(std::move(functions)), backwards_(backwards) {
        *reinterpret_cast<void**>(&launch_) = dlsym(library, "kiln_launch");
        REQUIRE(launch_ != nullptr);
    }
    ~HostDevice() override { CHECK(blocks_ == 0); }
    HostDevice(const HostDevice&) = delete;
    HostDevice& operator=(const HostDevice&) = delete;

    std::byte* allocate(std::size_t bytes) override {
        ++blocks_;
        auto* const memory = static_cast<std::byte*>(std::malloc(bytes));
        std::memset(memory, 0xa5, bytes);  // so that what is not written shows
        return memory;
    }
    void deallocate(std::byte* memory) noexcept override {
        --blocks_;
        std::free(memory);
    }
    void write(std::byte* to, const void* from, std::size_t bytes) override {
        std::memcpy(to, from, bytes);
    }
    void read(void* to, const std::byte* from, std::size_t bytes) override {
        std::memcpy(to, from, bytes);
    }
    void launch(std::size_t function, unsigned blocks, unsigned threads,
                void** parameters) override {
        const char* const wrong =
            launch_(functions_[function], parameters, blocks, threads, backwards_);
        if (wrong != nullptr) FAIL(wrong);
    }

  private:
    std::vector<Wrapped> functions_;
    bool backwards_;
    const char* (*launch_)(Wrapped, void**, unsigned, unsigned, bool) = nullptr;
    int blocks_ = 0;
};

std::string without_linkage(std::string text) {
    constexpr std::string_view linkage = "extern \"C\" ";
    for (std::size_t at = text.find(linkage); at != text.npos; at = text.find(linkage, at))
        text.erase(at, linkage.size());
    return text;
}

// --- programs as machine code ---

/// What a program calls, on one thread.
struct Runtime {
    std::span<engine::DeviceArgument> arguments;
    const ir::Kernel* kernel = nullptr;
    std::vector<std::unique_ptr<std::byte[]>> made;
};
thread_local Runtime* current = nullptr;

std::int64_t bytes_of(const ir::Param& p, const std::int64_t* extents) {
    auto bytes = static_cast<std::int64_t>(size_of(p.dtype));
    for (std::size_t d = 0; d < p.rank; ++d) bytes *= extents[d];
    return bytes;
}

const abi::ProgramRuntime runtime{
    [](const abi::ProgramFrame* frame, abi::PieceFunction piece, const void* context,
       std::int64_t trip, std::int64_t unit, std::int64_t) {
        if (unit == 0) return piece(frame, context, 0, trip);
        for (std::int64_t first = 0; first < trip; first += unit)
            piece(frame, context, first, std::min(trip, first + unit));
    },
    [](const abi::ProgramFrame*, std::int64_t, std::int64_t, std::int64_t, const std::int64_t*) {},
    [](const abi::ProgramFrame* frame, std::int64_t param, const std::int64_t* extents) {
        const auto at = static_cast<std::size_t>(param);
        const ir::Param& p = current->kernel->params[at];
        const std::int64_t bytes = bytes_of(p, extents);
        current->made.push_back(std::make_unique<std::byte[]>(static_cast<std::size_t>(bytes) + 1));
        auto* words = reinterpret_cast<std::int64_t*>(const_cast<abi::ProgramFrame*>(frame) + 1) +
                      abi::program_word::offset(*current->kernel, at);
        const std::byte* data = current->made.back().get();
        std::memcpy(words, &data, sizeof data);
        auto stride = static_cast<std::int64_t>(size_of(p.dtype));
        for (unsigned d = p.rank; d-- > 0;) {
            words[abi::program_word::extent(d)] = extents[d];
            words[abi::program_word::stride(d, p.rank)] = stride;
            stride *= extents[d];
        }
        return true;
    },
    [](const abi::ProgramFrame*, std::int64_t bytes) {
        return static_cast<std::byte*>(
            std::aligned_alloc(64, (static_cast<std::size_t>(bytes) + 63) / 64 * 64));
    },
    [](const abi::ProgramFrame*, std::byte* memory, std::int64_t) { std::free(memory); },
    [](const abi::ProgramFrame*, std::int64_t, const std::int64_t*, abi::ProgramBlock*) {
        return false;
    },
};

}  // namespace

EmulatedModules::~EmulatedModules() {
    if (handle_ != nullptr) dlclose(handle_);
}

std::size_t EmulatedModules::add(const ir::Kernel& program) {
    codegen::CudaModule made = codegen::emit_cuda_module(program);
    const std::size_t index = modules_.size();
    source_ += fmt::format("namespace m{} {{\n{}}}\n", index, without_linkage(made.text));
    for (const codegen::CudaFunction& f : made.functions)
        source_ += fmt::format(
            "extern \"C\" void m{0}_{1}(void** p) {{ kiln_device::unpack(m{0}::{1}, p); }}\n",
            index, f.name);
    kernels_.push_back(program);
    modules_.push_back(std::move(made));
    return index;
}

bool EmulatedModules::build() {
    if (std::system("c++ --version > /dev/null 2>&1") != 0) {
        WARN("skipped: no c++ here to compile CUDA text for the host");
        return false;
    }
    const std::filesystem::path& folder = folder_.path;
    std::ofstream(folder / "k.cpp") << "#include \"" KILN_TESTS_DIR "/cuda/device.h\"\n" << source_;
    const std::string command = fmt::format(
        "cd '{}' && c++ -std=c++17 -O1 -ffp-contract=off -w -fPIC -shared k.cpp -o k.so",
        folder.string());
    REQUIRE(std::system(command.c_str()) == 0);
    handle_ = dlopen((folder / "k.so").c_str(), RTLD_NOW | RTLD_LOCAL);
    REQUIRE(handle_ != nullptr);
    return true;
}

std::optional<engine::DeviceFault> EmulatedModules::run(
    std::size_t index, const engine::Geometry& geometry, bool backwards,
    std::span<engine::DeviceArgument> arguments) const {
    std::vector<Wrapped> functions;
    for (const codegen::CudaFunction& f : modules_[index].functions) {
        void* const symbol = dlsym(handle_, fmt::format("m{}_{}", index, f.name).c_str());
        REQUIRE(symbol != nullptr);
        functions.push_back(reinterpret_cast<Wrapped>(symbol));
    }
    HostDevice device(handle_, std::move(functions), backwards);
    return engine::run_host_program(kernels_[index], modules_[index], device, geometry, arguments);
}

void run_on_cpu(const ir::Kernel& program, std::span<engine::DeviceArgument> arguments) {
    const auto code =
        engine::backend(BackendTarget::cpu).compile(program, {.noalias = true}, "kiln_kernel");
    std::vector<std::int64_t> words(abi::program_word::params +
                                    abi::program_word::offset(program, program.params.size()));
    auto* const frame = reinterpret_cast<abi::ProgramFrame*>(words.data());
    abi::ProgramHost host;
    frame->runtime = &runtime;
    frame->host = &host;
    for (std::size_t p = 0; p < program.params.size(); ++p) {
        const ir::Param& param = program.params[p];
        std::int64_t* const at =
            words.data() + abi::program_word::params + abi::program_word::offset(program, p);
        if (param.access == ir::Access::value) {
            std::memcpy(at, arguments[p].scalar.bytes.data(), 16);
            continue;
        }
        std::memcpy(at, &arguments[p].data, sizeof(std::byte*));
        for (unsigned d = 0; d < param.rank && d < arguments[p].extents.size(); ++d) {
            at[abi::program_word::extent(d)] = arguments[p].extents[d];
            at[abi::program_word::stride(d, param.rank)] = arguments[p].strides[d];
        }
    }
    Runtime here{arguments, &program, {}};
    current = &here;
    code->program_entry()(frame);
    current = nullptr;
}

}  // namespace kiln::test
