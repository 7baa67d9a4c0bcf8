// The numbers by which code knows functions of the host.
#pragma once
#include "dsl/ir/ir.h"

namespace kiln::engine {

/// Leaves the functions of the host that a kernel calls, in the order of their names: code knows them by
/// their numbers, so that equal kernels are to have equal ones, whatever calls passes have dropped.
void number_functions(ir::Kernel& kernel);

}  // namespace kiln::engine
