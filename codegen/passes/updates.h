// What loops do to variables that they only accumulate into.
#pragma once
#include "dsl/ir/ir.h"

#include <optional>

namespace kiln::codegen {

/// A write that accumulates: slot = read(slot) op e, or e op read(slot).
struct Update {
    ir::Reduction reduction;
    ir::Id op;     ///< the operation
    ir::Id read;   ///< the read of the slot that is its operand, or `written`
    ir::Id value;  ///< e
    bool inverse;  ///< the slot is decreased by e, or divided by it
};

/// What the write node accumulates into its slot, or nothing if it does anything else. (Integers
/// that are divided, and complex products, are no reductions.) `written`: the value that the slot
/// is known to have before the write, or none.
std::optional<Update> update_of(const ir::Kernel& kernel, ir::Id write, ir::Id written = ir::none);

}  // namespace kiln::codegen
