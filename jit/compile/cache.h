// Machine code by content: one compile for each kernel, target and set of options in the process.
#pragma once
#include "jit/compile/backend.h"

#include <functional>
#include <memory>
#include <string>

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
/// forgotten. A program lives as long as someone has it; those that nobody has any more are kept
/// for a while, the last ones of them, since programs make the same kernels again.
class ProgramCache {
  public:
    using Compile = std::function<std::unique_ptr<CompiledKernel>()>;
    struct Found {
        std::shared_ptr<const CompiledKernel> program;
        bool compiled;  ///< by this call
    };
    /// How much of what nobody has is kept.
    struct Limits {
        std::size_t programs = 256;
        std::size_t bytes = std::size_t(16) << 20;
    };

    explicit ProgramCache(Limits limits);
    ProgramCache() : ProgramCache(Limits()) {}
    ProgramCache(const ProgramCache&) = delete;
    ProgramCache& operator=(const ProgramCache&) = delete;

    Found get(const std::string& key, const Compile& compile);
    /// Programs that are in use, being compiled, or kept.
    std::size_t size() const;

    /// That of the process.
    static ProgramCache& instance();

  private:
    struct Slot;
    struct Table;
    static std::shared_ptr<const CompiledKernel> use(std::shared_ptr<Table> table,
                                                     std::shared_ptr<Slot> slot);

    const std::shared_ptr<Table> table_;  // programs that are in use may outlive the cache
};

}  // namespace kiln::engine
