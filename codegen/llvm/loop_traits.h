// Internal to codegen/llvm. What of a program decides which of LLVM's passes its functions need.
#pragma once
#include "dsl/ir/ir.h"

#include <vector>

namespace kiln::codegen {

struct LoopTraits {
    /// Per node: the innermost loop around it, or none.
    std::vector<ir::Id> loop_of;
    /// Per node that is a loop: its own iterations store elements of an array that they also read
    /// at other positions, so that one may read what an earlier one stored.
    std::vector<bool> carries;
    /// A subscript of the program depends on an element of an array.
    bool loads_subscripts = false;

    /// Whether a branch's condition is the same in all iterations of the loop around it.
    bool is_invariant_branch(const ir::Kernel& kernel, ir::Id branch) const;

    /// Whether a store is one of the few iterations, whose number is a constant, of a loop that
    /// updates the same elements in each iteration of the serial loop around it: they can stay in
    /// registers, if that loop is known to run at all.
    bool is_repeated_update(const ir::Kernel& kernel, ir::Id store) const;
};

LoopTraits find_loop_traits(const ir::Kernel& kernel);

}  // namespace kiln::codegen
