// Values whose NaN and infinities must be right whatever fast-math flags say.
#pragma once
#include "dsl/ir/ir.h"

#include <vector>

namespace kiln::codegen {

/// Per node: whether it is one of `wanted`, or a value that one of them is computed from, through
/// slots too.
std::vector<bool> strict_values(const ir::Kernel& kernel, std::vector<bool> wanted);

}  // namespace kiln::codegen
