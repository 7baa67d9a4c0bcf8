// What a compile tells those who asked: the log, the trace, KILN_DUMP.
#pragma once
#include "jit/compile/compile.h"
#include "jit/compile/observe.h"
#include "jit/compile/stopwatch.h"

namespace kiln::engine {

/// A phase that began with the stopwatch and ends now; gives its milliseconds.
double tell_phase(std::string_view phase, const std::string& kernel, const Stopwatch& since);
/// The phases of a backend's compile, which ends now, one behind the other.
void tell_phases(const std::string& kernel, const Stats& times);
/// What a compile came to; `is_new`: by it, not by an earlier one.
void tell_compiled(const Compiled& made, bool is_new, const KernelOwner& owner,
                   const Stopwatch& since);
/// The texts of KILN_DUMP, if there is one. Errors: io.
void dump_texts(const ir::Kernel& traced, codegen::PassOptions passes, const Lowered& lowered,
                const CompiledCode& code, BackendTarget target);

}  // namespace kiln::engine
