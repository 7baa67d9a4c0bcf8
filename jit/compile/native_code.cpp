#include "jit/compile/native_code.h"

#include "jit/compile/debugging.h"
#include "jit/compile/object_loader.h"
#include "jit/compile/stopwatch.h"
#include "runtime/process.h"

#include <optional>
#include <utility>

namespace kiln::engine {
namespace {

/// Never destroyed: kernels may run while static objects are.
CodeSpace& code_space() {
    static constinit kiln::detail::Lazy<CodeSpace> space;
    return space.get();
}

class NativeCode final : public CompiledCode {
  public:
    NativeCode(ir::Kernel kernel, const CompileOptions& options, std::string symbol,
               std::vector<std::byte> object, Stats times, Backend* maker)
        : kernel_(std::move(kernel)),
          options_(options),
          symbol_(std::move(symbol)),
          object_(std::move(object)),
          times_(times),
          maker_(maker) {
        const Stopwatch loading;
        std::vector<std::byte> placed;
        code_ = load_object(object_, symbol_, code_space(),
                            debugging() == Debugging::off ? nullptr : &placed);
        times_.link_ms = loading.ms();
        switch (debugging()) {
            case Debugging::off: break;
            case Debugging::profiler: tell_profiler(compiler().functions(placed)); break;
            case Debugging::debugger: debugger_.emplace(std::move(placed)); break;
        }
    }

    MapFunction map_entry() const override {
        return kernel_.is_program() ? nullptr : reinterpret_cast<MapFunction>(code_.entry);
    }
    ProgramFunction program_entry() const override {
        return kernel_.is_program() ? reinterpret_cast<ProgramFunction>(code_.entry) : nullptr;
    }
    std::string text(Artifact artifact) const override {
        return compiler().text(artifact, kernel_, options_, symbol_);
    }
    std::vector<std::byte> binary() const override { return object_; }
    Stats times() const override { return times_; }

  private:
    Backend& compiler() const { return maker_ != nullptr ? *maker_ : backend(BackendTarget::cpu); }

    const ir::Kernel kernel_;
    const CompileOptions options_;
    const std::string symbol_;
    const std::vector<std::byte> object_;
    Stats times_;
    Backend* const maker_;  // these are never destroyed
    LoadedCode code_;
    std::optional<DebuggerEntry> debugger_;  // goes before the code
};

}  // namespace

std::unique_ptr<CompiledCode> load_native(ir::Kernel kernel, const CompileOptions& options,
                                          std::string symbol, std::vector<std::byte> object,
                                          Stats times, Backend* maker) {
    return std::make_unique<NativeCode>(std::move(kernel), options, std::move(symbol),
                                        std::move(object), times, maker);
}

}  // namespace kiln::engine
