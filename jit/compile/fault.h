// Checks that failed while a kernel ran, as errors.
#pragma once
#include "jit/call/plan.h"
#include "jit/compile/cache.h"

#include <string_view>

namespace kiln::engine {

struct FaultText {
    ErrorKind kind;
    std::string_view text, hint;
};
/// What a check says that needs to know nothing but that it failed.
FaultText fault_text(ir::Check check);

/// Throws what a fault of an element-wise kernel means, with the user's line (where the kernel
/// knows none: `where`), and the index of the element of `shape` that it is about.
[[noreturn]] void throw_fault(const CompiledKernel& kernel, const CallFault& fault,
                              const Shape& shape, Location where);

}  // namespace kiln::engine
