// Internal to verify(): that a kernel is what its form says.
#pragma once
#include "dsl/ir/ir.h"

#include <string>

namespace kiln::ir {

/// The first violation; empty where there is none.
std::string wrong_form(const Kernel& kernel);

/// Whether a reduction of this operation gives the dtype that it takes.
bool reduces_into(Reduction r, DType t);

}  // namespace kiln::ir
