// Machine code by content: one compile for each kernel, target and set of options in the process.
#pragma once
#include "jit/backend.h"

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace kiln::engine {

/// A kernel and its machine code.
struct CompiledKernel {
    ir::Kernel kernel;  ///< as it was compiled; locations of faults refer to it
    std::unique_ptr<Program> program;
};

/// What a program depends on, as text: target, options, canonical kernel; with the source lines
/// where the kernel has checks, since its code then refers to them.
std::string content_key(const ir::Kernel& kernel, const CompileOptions& options,
                        std::string_view target_id);

/// Programs by key. Callers that want one key at a time wait for a single compile of it; compiles
/// of different keys run in parallel. A compile that throws throws to all that wait for it, and is
/// forgotten. Programs are kept as long as the cache.
class ProgramCache {
  public:
    using Compile = std::function<std::unique_ptr<CompiledKernel>()>;
    struct Found {
        std::shared_ptr<const CompiledKernel> program;
        bool compiled;  ///< by this call
    };
    Found get(const std::string& key, const Compile& compile);
    std::size_t size() const;

    /// That of the process.
    static ProgramCache& instance();

  private:
    struct Slot;
    mutable std::mutex mutex_;
    std::unordered_map<std::string, std::shared_ptr<Slot>> slots_;
};

}  // namespace kiln::engine
