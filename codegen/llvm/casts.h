// Internal to codegen/llvm: casts that LLVM has no good code for.
#pragma once
#include <llvm/IR/IRBuilder.h>

namespace kiln::codegen {

/// Real numbers as integers, the nearest of these where there is no such one, 0 for NaN: numbers out of range are
/// put into it first, since LLVM would take the lanes of its own conversion apart. Of 32-bit and 64-bit floats.
llvm::Value* saturated(llvm::IRBuilder<>& b, llvm::Value* v, llvm::Type* integer, bool is_signed);

}  // namespace kiln::codegen
