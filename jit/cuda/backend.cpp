// The CUDA backend: emits CUDA C++ and compiles it to PTX with NVRTC, which needs neither a GPU nor
// its driver. NVRTC is opened when the first PTX is asked for that is not in the disk cache.
#include "jit/compile/backend.h"
#include "codegen/cuda/emit.h"
#include "codegen/cuda/lines.h"
#include "jit/compile/counters.h"
#include "jit/compile/disk_cache.h"
#include "jit/compile/target.h"
#include "jit/cuda/loaded_module.h"
#include "jit/cuda/nvrtc.h"
#include "runtime/process.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>

#include <fmt/format.h>

namespace kiln::engine {
namespace {

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

    void launch_threads(std::span<DeviceOperand> operands,
                        const LaunchShape& shape) const override {
        engine::launch_threads(kernel_, module_, loaded(), operands, shape);
    }

    void run_map_on_device(const MapFrame* frame) const override {
        run_map(kernel_, module_, loaded(), frame);
    }

    std::vector<std::byte> binary() const override {
        const std::string& text = ptx();
        const auto* first = reinterpret_cast<const std::byte*>(text.data());
        return {first, first + text.size()};
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
        return late_;
    }

  private:
    /// Compiled when first asked for: whoever only reads the CUDA text needs no NVRTC.
    const std::string& ptx() const {
        const std::lock_guard lock(mutex_);
        if (ptx_.empty()) {
            ptx_ = make_ptx();
            has_late_ = true;
        }
        return ptx_;
    }

    /// From the disk cache, or compiled and put there. The caller has the lock.
    std::string make_ptx() const {
        const kiln::detail::BeforeExit running(name_ +
                                               " cannot be compiled: the program is ending");
        auto start = std::chrono::steady_clock::now();
        DiskCache& disk = DiskCache::instance();
        const std::string key =
            fmt::format("cuda/{}/{}/{}|{}|{}", target_id(BackendTarget::cuda), arch_,
                        nvrtc_build(disk), contract_ ? "contract" : "", module_.text);
        if (const auto found = disk.find(key)) {
            late_.disk_ms = milliseconds_since(start);
            late_.loads = 1;
            return {reinterpret_cast<const char*>(found->data()), found->size()};
        }
        open_nvrtc();
        late_.load_ms = milliseconds_since(start);
        start = std::chrono::steady_clock::now();
        std::string made = compile_to_ptx(codegen::cuda_with_lines(module_.text, name_ + ".cu"),
                                          name_, contract_, arch_);
        late_.codegen_ms = milliseconds_since(start);
        const auto* const first = reinterpret_cast<const std::byte*>(made.data());
        disk.insert(key, {first, made.size()});
        return made;
    }

    /// On the device, from the first run on.
    const LoadedModule& loaded() const {
        if (const LoadedModule* const ready = ready_.load(std::memory_order_acquire)) return *ready;
        const std::string& image = ptx();
        const std::lock_guard lock(mutex_);
        if (loaded_ == nullptr) loaded_ = std::make_unique<LoadedModule>(module_, image);
        ready_.store(loaded_.get(), std::memory_order_release);
        return *loaded_;
    }

    ir::Kernel kernel_;
    std::string name_;
    codegen::CudaModule module_;
    bool contract_;
    std::string arch_;
    mutable kiln::detail::Mutex mutex_;
    mutable std::string ptx_;  // never changes once it is there
    Stats times_;
    mutable Stats late_;  // of the PTX
    mutable std::atomic<bool> has_late_{false};
    mutable std::unique_ptr<LoadedModule> loaded_;
    mutable std::atomic<const LoadedModule*> ready_{nullptr};
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
