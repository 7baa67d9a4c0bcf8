// The one way from a traced kernel to machine code and to texts, for every kind of kernel: passes,
// target, content key, cache, times, remarks.
#pragma once
#include "codegen/passes/pass.h"
#include "jit/compile/cache.h"
#include "jit/compile/ledger.h"
#include "jit/compile/lowered.h"

#include <kiln/backend_target.h>

#include <atomic>
#include <functional>
#include <string>

namespace kiln::engine {

/// Whether the verifier looks at every kernel of the process after each pass. Off in release
/// builds, where the tests switch it on.
extern std::atomic<bool> verify_passes;

/// What the user made: what errors call it, and the line where it was made.
enum class KernelKind : std::uint8_t {
#define KILN_KERNEL_KIND(id, name) id,
#include "jit/compile/kernel_kinds.def"
#undef KILN_KERNEL_KIND
};
/// "a loop kernel".
std::string_view name(KernelKind kind);

struct KernelOwner {
    const std::string& name;
    KernelKind kind;
    Location where;
    BackendTarget target = BackendTarget::cpu;  ///< of its calls
};

/// A traced kernel that is to be compiled.
struct Job {
    ir::Kernel kernel;  ///< with the layouts of the call
    codegen::PassOptions passes = {};
    CompileOptions code = {};  ///< flags_of_data: where the kernel allows it
};

/// What came of it. Its stats are those of this compile alone: none where equal code was there.
struct Compiled {
    std::shared_ptr<const CompiledKernel> kernel;
    bool drops_flags = true;  ///< exception flags that the code raises tell nothing of its data
    Stats stats = {};
    std::shared_ptr<const PassReport> report = {};
};

/// Runs the passes and compiles, or finds what became of an equal kernel, or equal code, in the
/// caches of the process. Errors have the
/// owner's line where they know none; unsupported, naming the owner and its kind, where the target
/// does not compile such kernels.
Compiled compile(Job job, BackendTarget target, const KernelOwner& owner);

/// A kernel after its passes, for a CPU with this vector unit, and how code is made of it.
struct Passed {
    ir::Kernel kernel;
    CompileOptions options;
};
Passed passed_for(codegen::VectorIsa isa, Job job, const KernelOwner& owner);

/// How an artifact of one kernel is made.
struct Inspection {
    std::function<Job()> job;
    /// The code that a call of these types runs, compiled as such a call does it.
    std::function<const CompiledCode&()> code;
    /// What was decided outside of the kernel, for the last loop of its plan.
    std::vector<codegen::Decision> decisions = {};
};
/// The text of an artifact.
std::string inspect(Artifact artifact, const KernelOwner& owner, Ledger& ledger,
                    const Inspection& of);

/// What its functions take of a device of the architecture that KILN_CUDA_ARCH names. Errors: those of a
/// compile for CUDA; device (no NVRTC).
std::vector<KernelAttributes> attributes(const KernelOwner& owner, Ledger& ledger,
                                         const Inspection& of);

}  // namespace kiln::engine
