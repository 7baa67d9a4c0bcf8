#include "tests/jit/cuda/emulated.h"

#include "jit/compile/backend.h"
#include "jit/sim/memory.h"
#include "tests/catch.h"

#include <cstdlib>
#include <cstring>
#include <memory>

namespace kiln::test {

namespace {

/// Host memory, and what the threads of launches do in it.
class HostDevice final : public engine::LaunchDevice {
  public:
    HostDevice(const sim::Code& code, bool backwards,
               std::span<const engine::DeviceArgument> arguments)
        : code_(code), backwards_(backwards) {
        for (const sim::SharedVariable& s : code.shared()) memory_.add(s.at, s.bytes, s.name, true);
        for (const engine::DeviceArgument& a : arguments) {
            if (a.data == nullptr) continue;
            std::int64_t reach = 16;  // of the last element
            for (std::size_t d = 0; d < a.extents.size(); ++d)
                reach = std::max(reach, a.extents[d] * a.strides[d]);
            memory_.add(a.data, static_cast<std::size_t>(reach), "an argument");
        }
    }
    ~HostDevice() override { CHECK(blocks_ == 0); }
    HostDevice(const HostDevice&) = delete;
    HostDevice& operator=(const HostDevice&) = delete;

    std::byte* allocate(std::size_t bytes) override {
        ++blocks_;
        auto* const memory = static_cast<std::byte*>(std::malloc(bytes));
        std::memset(memory, 0xa5, bytes);  // so that what is not written shows
        memory_.add(memory, bytes, "a temporary");
        return memory;
    }
    void deallocate(std::byte* memory) noexcept override {
        --blocks_;
        memory_.remove(memory);
        std::free(memory);
    }
    void write(std::byte* to, const void* from, std::size_t bytes) override {
        std::memcpy(to, from, bytes);
    }
    void read(void* to, const std::byte* from, std::size_t bytes) override {
        std::memcpy(to, from, bytes);
    }
    void launch(std::size_t function, const engine::LaunchShape& shape,
                void** parameters) override {
        sim::Finding found;
        if (!sim::run({code_.function(function), parameters, shape.blocks, shape.threads,
                       backwards_, &memory_},
                      found))
            FAIL(found.text);
    }

  private:
    const sim::Code& code_;
    bool backwards_;
    sim::Memory memory_;
    int blocks_ = 0;
};

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

std::size_t EmulatedModules::add(const ir::Kernel& program) {
    codegen::CudaModule made = codegen::emit_cuda_module(program);
    std::vector<std::string> names;
    for (const codegen::CudaFunction& f : made.functions) names.push_back(f.name);
    codes_.push_back(sim::compile(made.text, names));
    kernels_.push_back(program);
    modules_.push_back(std::move(made));
    return modules_.size() - 1;
}

std::optional<engine::DeviceFault> EmulatedModules::run(
    std::size_t index, const engine::Geometry& geometry, bool backwards,
    std::span<engine::DeviceArgument> arguments) const {
    HostDevice device(*codes_[index], backwards, arguments);
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
