// The register allocator of long bodies.
#pragma once
#include <llvm/IR/LegacyPassManager.h>

namespace kiln::engine {

/// Adds what allocates the registers of functions that are one long loop: LLVM's basic allocator,
/// and where it would spill what need not be spilled, the greedy one for vectors before it.
void add_allocator_by_pressure(llvm::legacy::PassManager& passes);

}  // namespace kiln::engine
