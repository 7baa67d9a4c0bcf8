// What loops do to variables that they only accumulate into.
#pragma once
#include "dsl/ir/ir.h"

#include <optional>
#include <string>
#include <vector>

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

/// Variables of floats from outside of a loop, of any kind, to which its body only adds, in an
/// order that is free, and which are promised to be as accurate as a tree: totals of parallel loops
/// and of whole-array statements. (What fastmath frees in other loops stays as fast as it can be.)
std::vector<std::uint32_t> tree_sums(const ir::Kernel& kernel, ir::Id loop);

/// Whether a slot is a total whose order is free though no loop declares it: of a whole-array
/// statement, or of a parallel loop inside of another. Slot `number` is one by this name.
bool is_total(const ir::Slot& slot);
std::string total_name(std::size_t number);

}  // namespace kiln::codegen
