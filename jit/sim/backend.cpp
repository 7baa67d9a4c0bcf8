// The simulator: the CUDA text of kernels, run on this CPU with the blocks and threads that a device would
// have, where the arrays of the call are. What threads do wrong to each other is an error.
#include "jit/compile/backend.h"
#include "codegen/cuda/emit.h"
#include "codegen/cuda/lines.h"
#include "jit/compile/cache.h"
#include "jit/compile/stopwatch.h"
#include "jit/device/host_program.h"
#include "jit/sim/compiler.h"
#include "jit/sim/memory.h"
#include "runtime/process.h"

#include <kiln/memory.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <mutex>
#include <unordered_map>

#include <fmt/format.h>

namespace kiln::engine {
namespace {

/// Memory of the host, in which the threads of launches may touch arrays and what the program makes.
class SimDevice final : public LaunchDevice {
  public:
    explicit SimDevice(const sim::Code& code) : code_(code) {
        for (const sim::SharedVariable& s : code.shared()) memory_.add(s.at, s.bytes, s.name, true);
        if (traffic_file() != nullptr) memory_.count_traffic();
    }
    ~SimDevice() override {
        for (const auto& [memory, bytes] : blocks_) kiln::deallocate(memory, bytes);
    }
    SimDevice(const SimDevice&) = delete;
    SimDevice& operator=(const SimDevice&) = delete;

    void add(const Array& array, const std::string& name) {
        const auto [low, high] = byte_extent(array);
        memory_.add(low, static_cast<std::size_t>(high - low), name);
    }
    void add(const std::byte* low, const std::byte* high, const std::string& name) {
        memory_.add(low, static_cast<std::size_t>(high - low), name);
    }

    std::byte* allocate(std::size_t bytes) override {
        auto* const memory = static_cast<std::byte*>(kiln::allocate(bytes));
        std::memset(memory, 0xa5, bytes);  // so that what is not written shows
        blocks_.emplace(memory, bytes);
        memory_.add(memory, bytes, "memory that the kernel made");
        return memory;
    }
    void deallocate(std::byte* memory) noexcept override {
        memory_.remove(memory);
        kiln::deallocate(memory, blocks_.at(memory));
        blocks_.erase(memory);
    }
    /// What a program gives back is its caller's from here on.
    Array take(std::byte* memory, const Shape& shape, DType dtype) {
        const std::size_t bytes = blocks_.at(memory);
        memory_.remove(memory);
        blocks_.erase(memory);
        std::shared_ptr<void> owner(memory, [bytes](void* m) { kiln::deallocate(m, bytes); });
        return Array::from_memory(memory, dtype, shape, Array::c_strides(shape, size_of(dtype)),
                                  std::move(owner));
    }
    void write(std::byte* to, const void* from, std::size_t bytes) override {
        if (bytes != 0) std::memcpy(to, from, bytes);
    }
    void read(void* to, const std::byte* from, std::size_t bytes) override {
        if (bytes != 0) std::memcpy(to, from, bytes);
    }
    void launch(std::size_t function, const LaunchShape& shape, void** parameters) override {
        constexpr auto most_blocks = std::numeric_limits<unsigned>::max();
        if (shape.blocks.count() > most_blocks)
            throw Error(ErrorKind::device,
                        fmt::format("the simulator runs {} blocks at most, not {}", most_blocks,
                                    shape.blocks.count()));
        memory_.add(sim::dynamic_shared(), shape.shared, "dynamic shared memory", true);
        sim::Finding found;
        const sim::Launch launch{
            code_.function(function), parameters, shape.blocks, shape.threads, false, &memory_};
        if (!sim::run(launch, found))
            throw Error(ErrorKind::device, "the simulator found " + found.text,
                        Location(found.at.file == nullptr ? "" : found.at.file, found.at.line));
    }
    /// What its launches made of memory, for the file that KILN_SIM_TRAFFIC names. Errors: usage (no
    /// such file can be).
    void tell_traffic(const std::string& kernel) const {
        if (traffic_file() == nullptr) return;
        std::ofstream file(traffic_file(), std::ios::app);
        file << kernel << '\n' << memory_.traffic();
        if (!file.flush())
            throw Error(
                ErrorKind::usage,
                fmt::format("{} cannot be written: {}", traffic_file(), std::strerror(errno)), {},
                "KILN_SIM_TRAFFIC is to name a file");
    }

  private:
    static const char* traffic_file() {
        const char* const named = std::getenv("KILN_SIM_TRAFFIC");
        return named == nullptr || *named == '\0' ? nullptr : named;
    }

    const sim::Code& code_;
    sim::Memory memory_;
    std::unordered_map<std::byte*, std::size_t> blocks_;
};

/// Few threads a block and few blocks: what a device does by many is the same by these.
constexpr Geometry geometry{.threads = 64, .most_blocks = 8};

/// In the folder that KILN_SIM_TEXTS names, for other compilers; called by its content.
void keep_text(const std::string& name, const std::string& text) {
    const char* const folder = std::getenv("KILN_SIM_TEXTS");
    if (folder == nullptr || *folder == '\0') return;
    const std::string path =
        fmt::format("{}/{}.cu", folder, content_symbol(fmt::format("{}\n{}", name, text)));
    std::ofstream file(path);
    file << "// " << name << '\n' << text;
    if (!file.flush())
        throw Error(ErrorKind::usage,
                    fmt::format("{} cannot be written: {}", path, std::strerror(errno)), {},
                    "KILN_SIM_TEXTS is to name a folder");
}

class SimCode final : public CompiledCode {
  public:
    SimCode(const ir::Kernel& kernel, const CompileOptions& options) : kernel_(kernel) {
        const Stopwatch watch;
        module_ = codegen::emit_cuda_module(kernel, options);
        keep_text(kernel.name, module_.text);
        times_.emit_ms = watch.ms();
        compile(codegen::cuda_with_lines(module_.text, kernel.name + ".cu"));
    }
    /// Of the user's text.
    SimCode(const ir::Kernel& kernel, const codegen::CudaModule& module)
        : kernel_(kernel), module_(module) {
        keep_text(kernel.name, module_.text);
        compile(fmt::format("#line 1 \"{}.cu\"\n{}", kernel.name, module_.text));
    }

    MapFunction map_entry() const override { return nullptr; }
    std::string text(Artifact) const override {
        throw Error(ErrorKind::internal, "the simulator has no texts of its own");
    }
    std::vector<std::byte> binary() const override { return {}; }
    Stats times() const override { return times_; }

    void launch_threads(std::span<DeviceOperand> operands,
                        const LaunchShape& shape) const override {
        SimDevice device(*code_);
        engine::launch_threads(module_, device, shape, arguments_of(operands, device));
        device.tell_traffic(kernel_.name);
    }

    std::optional<DeviceFault> run_on_device(std::span<DeviceOperand> operands) const override {
        SimDevice device(*code_);
        std::vector<DeviceArgument> arguments = arguments_of(operands, device);
        auto fault = run_host_program(kernel_, module_, device, geometry, arguments);
        device.tell_traffic(kernel_.name);
        for (std::size_t p = 0; p < operands.size() && !fault; ++p)
            if (kernel_.params[p].access == ir::Access::result && arguments[p].data != nullptr)
                operands[p].array = device.take(
                    arguments[p].data, Shape(std::span<const std::int64_t>(arguments[p].extents)),
                    kernel_.params[p].dtype);
        return fault;
    }

    void run_map_on_device(const MapFrame* frame) const override {
        SimDevice device(*code_);
        const auto* const operands = reinterpret_cast<const abi::Operand*>(frame + 1);
        for (std::size_t p = 0; p < kernel_.params.size(); ++p) {
            const auto item = static_cast<std::int64_t>(size_of(kernel_.params[p].dtype));
            const std::byte *low = operands[p].data, *high = low;
            const auto reach = [&](std::int64_t bytes) { (bytes < 0 ? low : high) += bytes; };
            const ir::Layout layout = kernel_.params[p].layout;
            const std::int64_t inner = layout == ir::Layout::unit      ? item
                                       : layout == ir::Layout::uniform ? 0
                                                                       : operands[p].inner;
            reach((frame->columns - 1) * inner);
            reach((frame->rows - 1) * operands[p].outer);
            device.add(low, high + item, kernel_.params[p].name);
        }
        run_map(module_, kernel_, device, geometry, frame);
        device.tell_traffic(kernel_.name);
    }

  private:
    void compile(const std::string& source) {
        const Stopwatch watch;
        std::vector<std::string> names;
        for (const codegen::CudaFunction& f : module_.functions) names.push_back(f.name);
        code_ = sim::compile(source, names);
        times_.codegen_ms = watch.ms();
    }
    /// What the program gets for its parameters; threads may touch their elements.
    std::vector<DeviceArgument> arguments_of(std::span<const DeviceOperand> operands,
                                             SimDevice& device) const {
        std::vector<DeviceArgument> arguments(operands.size());
        for (std::size_t p = 0; p < operands.size(); ++p) {
            const ir::Param& param = kernel_.params[p];
            arguments[p].scalar = operands[p].scalar;
            if (param.access == ir::Access::value || ir::is_made_by_kernel(param.access)) continue;
            const Array& array = operands[p].array;
            device.add(array, param.name);
            arguments[p].data = array.data();
            for (int d = 0; d < array.rank(); ++d) {
                arguments[p].extents.push_back(array.extent(d));
                arguments[p].strides.push_back(array.stride(d));
            }
        }
        return arguments;
    }

    ir::Kernel kernel_;
    codegen::CudaModule module_;
    std::unique_ptr<sim::Code> code_;
    Stats times_;
};

class SimBackend final : public Backend {
  public:
    std::unique_ptr<CompiledCode> compile(const ir::Kernel& kernel, const CompileOptions& options,
                                          const std::string&) override {
        return made(kernel, options);
    }
    std::unique_ptr<CompiledCode> compile_text(const ir::Kernel& kernel,
                                               const codegen::CudaModule& module,
                                               bool /*contract*/) override {
        return made(kernel, module);
    }
    std::string text(Artifact, const ir::Kernel&, const CompileOptions&,
                     const std::string&) override {
        throw Error(ErrorKind::internal, "the simulator has no texts of its own");
    }

  private:
    template <class From>
    static std::unique_ptr<CompiledCode> made(const ir::Kernel& kernel, const From& from) {
        const kiln::detail::BeforeExit running(kernel.name +
                                               " cannot be compiled: the program is ending");
        return std::make_unique<SimCode>(kernel, from);
    }
};

}  // namespace
}  // namespace kiln::engine

extern "C" kiln::engine::Backend* kiln_make_sim_backend() { return new kiln::engine::SimBackend; }
