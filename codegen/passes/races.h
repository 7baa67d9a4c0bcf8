// What is known of the elements that the iterations of a loop touch.
#pragma once
#include "dsl/ir/ir.h"

namespace kiln::codegen {

/// Whether no two iterations of the loop touch the same element of an array that one of them stores
/// to, as far as can be proven, and no access is atomic. Arrays are taken to be apart from each
/// other.
bool iterations_are_apart(const ir::Kernel& kernel, ir::Id loop);

}  // namespace kiln::codegen
