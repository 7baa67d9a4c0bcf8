// The CUDA backend: emits CUDA C++ and compiles it with NVRTC, which needs neither a GPU nor its driver: to
// machine code for the device that runs it, or for the one that KILN_CUDA_ARCH names, and to PTX, which
// people read. NVRTC is opened when the first of these is asked for that is not in the disk cache.
#include "jit/compile/backend.h"
#include "codegen/cuda/emit.h"
#include "codegen/cuda/lines.h"
#include "jit/compile/counters.h"
#include "jit/compile/disk_cache.h"
#include "jit/compile/stopwatch.h"
#include "jit/compile/target.h"
#include "jit/cuda/assembler_log.h"
#include "jit/cuda/loaded_module.h"
#include "jit/cuda/nvrtc.h"
#include "runtime/process.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace kiln::engine {
namespace {

/// A line for each function.
std::string lines_of(const std::vector<KernelAttributes>& all) {
    std::string text;
    for (const KernelAttributes& a : all)
        text += fmt::format(
            "{} on {}: {} registers, up to {} threads a block; {} bytes of shared memory a block; "
            "{} bytes of local memory a thread, {} bytes of stores and {} of loads for registers "
            "that do not fit\n",
            a.function, a.architecture, a.registers, a.most_threads, a.shared, a.local,
            a.spill_stores, a.spill_loads);
    return text.empty() ? "nothing runs on the device\n" : text;
}

/// A text, and what is to be known about it.
struct Text {
    std::string name;
    codegen::CudaModule module;
    bool of_user = false;  ///< it has lines of its own
    bool contract = false;
    int most_threads = 0;  ///< of a block; 0: not said
    double emit_ms = 0;

    static Text of(const ir::Kernel& kernel, const CompileOptions& options) {
        const Stopwatch watch;
        Text made{.name = codegen::cuda_entry_name(kernel),
                  .module = codegen::emit_cuda_module(kernel, options),
                  .contract = codegen::cuda_may_contract(kernel),
                  .most_threads = static_cast<int>(options.most_threads)};
        made.emit_ms = watch.ms();
        return made;
    }
    static Text of(const codegen::CudaModule& module, bool contract) {
        return {.name = module.functions[0].name,
                .module = module,
                .of_user = true,
                .contract = contract};
    }

    /// As NVRTC gets it: with the user's lines.
    std::string source() const {
        return of_user ? fmt::format("#line 1 \"{}.cu\"\n{}", name, module.text)
                       : codegen::cuda_with_lines(module.text, name + ".cu");
    }
};

class CudaCode final : public CompiledCode {
  public:
    CudaCode(const ir::Kernel& kernel, Text text)
        : kernel_(kernel), text_(std::move(text)), arch_(cuda_architecture()) {
        times_.emit_ms = text_.emit_ms;
    }

    /// Never runs on the host.
    MapFunction map_entry() const override { return nullptr; }

    std::string text(Artifact artifact) const override {
        if (artifact == Artifact::cuda) return text_.module.text;
        if (artifact == Artifact::ptx) return ptx();
        if (artifact == Artifact::resources) return lines_of(attributes());
        throw Error(ErrorKind::internal, "the CUDA backend has no such text");
    }

    std::optional<DeviceFault> run_on_device(std::span<DeviceOperand> operands) const override {
        return run_program(kernel_, text_.module, loaded(), operands);
    }

    void launch_threads(std::span<DeviceOperand> operands,
                        const LaunchShape& shape) const override {
        engine::launch_threads(kernel_, text_.module, loaded(), operands, shape);
    }

    void run_map_on_device(const MapFrame* frame) const override {
        run_map(kernel_, text_.module, loaded(), frame);
    }

    std::vector<KernelAttributes> attributes() const override {
        const kiln::detail::BeforeExit running(text_.name +
                                               " cannot be compiled: the program is ending");
        const std::string log = assembler_log(text_.source(), text_.name, text_.contract, arch_);
        std::vector<KernelAttributes> made = attributes_in(log, arch_);
        if (text_.most_threads != 0)
            for (KernelAttributes& a : made)
                a.most_threads = std::min(a.most_threads, text_.most_threads);
        for (const codegen::CudaFunction& f : text_.module.functions)
            if (std::ranges::find(made, f.name, &KernelAttributes::function) == made.end())
                throw Error(ErrorKind::device,
                            fmt::format("NVRTC says nothing of what {} takes: {}", f.name, log));
        return made;
    }

    /// What the first run needs: on the device, or, where there is none, in the disk cache, for the
    /// architecture that KILN_CUDA_ARCH names.
    void prepare() const {
        if (kiln::detail::cuda_is_available())
            loaded();
        else
            static_cast<void>(binary());
    }

    /// Machine code for the architecture that KILN_CUDA_ARCH names.
    std::vector<std::byte> binary() const override {
        const std::lock_guard lock(mutex_);
        const std::string image = cached("image", arch_, compile_for_device);
        const auto* first = reinterpret_cast<const std::byte*>(image.data());
        return {first, first + image.size()};
    }

    Stats times() const override {
        const std::lock_guard lock(mutex_);
        Stats all = times_;
        add(all, late_);
        return all;
    }

    std::optional<Stats> take_late_times() const override {
        if (!has_late_.load(std::memory_order_relaxed) || !has_late_.exchange(false))
            return std::nullopt;
        const std::lock_guard lock(mutex_);
        return std::exchange(untold_, {});
    }

  private:
    /// Compiled when first asked for: whoever only reads the CUDA text needs no NVRTC.
    const std::string& ptx() const {
        const std::lock_guard lock(mutex_);
        if (ptx_.empty()) ptx_ = cached("ptx", arch_, compile_to_ptx);
        return ptx_;
    }

    /// From the disk cache, or compiled and put there. The caller has the lock.
    template <class Compile>
    std::string cached(const char* what, const std::string& arch, const Compile& compile) const {
        const kiln::detail::BeforeExit running(text_.name +
                                               " cannot be compiled: the program is ending");
        Stopwatch watch;
        DiskCache& disk = DiskCache::instance();
        const std::string key =
            fmt::format("cuda/{}/{}/{}/{}|{}|{}", what, build_fingerprint, arch, nvrtc_build(disk),
                        text_.contract ? "contract" : "", text_.module.text);
        Stats now;
        std::string made;
        if (const auto found = disk.find(key)) {
            now.disk_ms = watch.ms();
            now.loads = 1;
            made.assign(reinterpret_cast<const char*>(found->data()), found->size());
        } else {
            open_nvrtc();
            now.load_ms = watch.ms();
            watch = {};
            made = compile(text_.source(), text_.name, text_.contract, arch);
            now.codegen_ms = watch.ms();
            disk.insert(key, {reinterpret_cast<const std::byte*>(made.data()), made.size()});
        }
        add(late_, now);
        add(untold_, now);
        has_late_ = true;
        return made;
    }

    /// On the device, from the first run on: as code of this device, whatever KILN_CUDA_ARCH says.
    const LoadedModule& loaded() const {
        if (const LoadedModule* const ready = ready_.load(std::memory_order_acquire)) return *ready;
        const std::string& arch = device::Device::get().architecture();
        const std::lock_guard lock(mutex_);
        if (loaded_ == nullptr)
            loaded_ = std::make_unique<LoadedModule>(text_.module,
                                                     cached("image", arch, compile_for_device));
        ready_.store(loaded_.get(), std::memory_order_release);
        return *loaded_;
    }

    ir::Kernel kernel_;
    Text text_;
    std::string arch_;
    mutable kiln::detail::Mutex mutex_;
    mutable std::string ptx_;  // never changes once it is there
    Stats times_;
    // Of what NVRTC made: all, and what was not asked for yet.
    mutable Stats late_, untold_;
    mutable std::atomic<bool> has_late_{false};
    mutable std::unique_ptr<LoadedModule> loaded_;
    mutable std::atomic<const LoadedModule*> ready_{nullptr};
};

class CudaBackend final : public Backend {
  public:
    std::unique_ptr<CompiledCode> compile(const ir::Kernel& kernel, const CompileOptions& options,
                                          const std::string&) override {
        return std::make_unique<CudaCode>(kernel, Text::of(kernel, options));
    }
    std::unique_ptr<CompiledCode> compile_text(const ir::Kernel& kernel,
                                               const codegen::CudaModule& module,
                                               bool contract) override {
        auto made = std::make_unique<CudaCode>(kernel, Text::of(module, contract));
        made->prepare();  // which says what is wrong with the text
        return made;
    }
    std::string text(Artifact artifact, const ir::Kernel& kernel, const CompileOptions& options,
                     const std::string&) override {
        return CudaCode(kernel, Text::of(kernel, options)).text(artifact);
    }
};

}  // namespace
}  // namespace kiln::engine

extern "C" kiln::engine::Backend* kiln_make_cuda_backend() { return new kiln::engine::CudaBackend; }
