// Running a compiled program of loops.
#pragma once
#include "jit/loops/loop_kernel.h"

namespace kiln::engine {

/// Runs the program on arguments, one view for each of the kernel's arguments, in order. `results`
/// gets what the kernel returns. `environment`: the one in force. Errors: the lowest fault of
/// checked mode (usage, bounds), shape and usage of Scratch arrays.
void run_loop_kernel(const LoopKernelVariant& variant, std::span<const OperandView> views,
                     bool parallel, const kiln::detail::DefaultEnvironment& environment,
                     std::vector<kiln::detail::JitValue>* results,
                     const std::source_location& where);

/// What a failed check of shapes says, of the two that do not broadcast; of `dot`, whose second one
/// ends in -1.
[[noreturn]] void throw_shapes(std::span<const std::int64_t> first,
                               std::span<const std::int64_t> second, const Location& at);

}  // namespace kiln::engine
