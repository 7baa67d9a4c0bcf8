// Variables that belong to one iteration of a loop.
#pragma once
#include "dsl/ir/ir.h"

#include <optional>
#include <vector>

namespace kiln::codegen {

/// The slots that the loop's body writes, if all of them are private to an iteration: scalars that
/// nothing outside of the loop uses, and that each iteration writes, unconditionally, before
/// anything else touches them. Otherwise nothing.
std::optional<std::vector<std::uint32_t>> private_slots(const ir::Kernel& kernel, ir::Id loop);

}  // namespace kiln::codegen
