// What of a kernel nothing depends on.
#pragma once
#include "dsl/ir/ir.h"

namespace kiln::codegen {

/// The kernel without it. `checked`: accesses that may be outside of their array stay.
ir::Kernel without_dead_code(const ir::Kernel& kernel, bool checked = false);

}  // namespace kiln::codegen
