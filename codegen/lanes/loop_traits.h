// What of a program decides which of LLVM's passes its functions need.
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
    /// Per node that is a loop: what its own iterations store goes to positions that they load, and
    /// takes no slow operation: lanes would be taken apart for it.
    std::vector<bool> scatters;
    /// A subscript of the program depends on an element of an array.
    bool loads_subscripts = false;

    /// Whether a branch's condition is the same in all iterations of the loop around it.
    bool is_invariant_branch(const ir::Kernel& kernel, ir::Id branch) const;
};

LoopTraits find_loop_traits(const ir::Kernel& kernel);

}  // namespace kiln::codegen
