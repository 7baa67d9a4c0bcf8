// Square roots in the fast tier, without the square root unit. Internal to codegen/llvm.
#pragma once
#include "dsl/ir/ir.h"

#include <llvm/IR/IRBuilder.h>

namespace kiln::codegen {

/// sqrt(x), and 1/sqrt(x) with `reciprocal`, of f32 or f64, any number of lanes, within 2 ULP: from
/// AVX-512's estimate by Newton's steps. Zeros, infinities (but for sqrt with the flags nnan and
/// ninf in `fast`), NaN and subnormal numbers are as they should be. With the flag contract, the
/// last multiplication may join an addition. The same operations for any number of lanes.
llvm::Value* estimated_root(llvm::IRBuilder<>& b, llvm::Value* x, bool reciprocal,
                            std::uint8_t fast);

/// Whether a kernel's time is that of the unit that divides and takes roots, which is not
/// pipelined, rather than of the multipliers, so that the latter should do its work.
bool roots_are_the_limit(const ir::Kernel& kernel, DType t);

}  // namespace kiln::codegen
