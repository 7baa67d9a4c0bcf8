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
    std::unique_ptr<CompiledCode> code;
};

/// What code depends on, as text: target, options, canonical kernel; with the source lines
/// where the kernel has checks, since its code then refers to them.
std::string content_key(const ir::Kernel& kernel, const CompileOptions& options,
                        std::string_view target_id);

/// The same for what outlives the process: it says which checks have a source line in common, but
/// not which line that is. For equal keys of this kind machine code is equal. `key` is the
/// content_key of all that, which it is itself where the code refers to no lines.
std::string portable_key(const std::string& key, const ir::Kernel& kernel,
                         const CompileOptions& options, std::string_view target_id);

/// What an object calls the kernel of this content: the same in every process.
std::string content_symbol(std::string_view key);

/// Compiled kernels by key. Callers that want one key at a time wait for a single compile of it; compiles
/// of different keys run in parallel. A compile that throws throws to all that wait for it, and is
/// forgotten. A kernel lives as long as someone has it; those that nobody has any more are kept
/// for a while, the last ones of them, since programs make the same kernels again.
class CodeCache {
  public:
    using Compile = std::function<std::unique_ptr<CompiledKernel>()>;
    struct Found {
        std::shared_ptr<const CompiledKernel> kernel;
        bool compiled;  ///< by this call
    };
    /// How much of what nobody has is kept.
    struct Limits {
        std::size_t kernels = 256;
        std::size_t bytes = std::size_t(16) << 20;
    };

    explicit CodeCache(Limits limits);
    CodeCache() : CodeCache(Limits()) {}
    CodeCache(const CodeCache&) = delete;
    CodeCache& operator=(const CodeCache&) = delete;

    Found get(const std::string& key, const Compile& compile);
    /// Kernels that are in use, being compiled, or kept.
    std::size_t size() const;

    /// That of the process.
    static CodeCache& instance();

  private:
    struct Slot;
    struct Table;
    static std::shared_ptr<const CompiledKernel> use(std::shared_ptr<Table> table,
                                                     std::shared_ptr<Slot> slot);

    const std::shared_ptr<Table> table_;  // kernels that are in use may outlive the cache
};

}  // namespace kiln::engine
