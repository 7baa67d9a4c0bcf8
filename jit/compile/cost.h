// What kernels cost, as far as that decides on threads.
#pragma once
#include "dsl/ir/ir.h"

namespace kiln::engine {

/// Estimated time of one iteration of a kernel that went through the passes, in nanoseconds.
double estimate_cost(const ir::Kernel& kernel);

}  // namespace kiln::engine
