// Four iterations of a loop at once: what the passes jam and unroll_jam have in common.
//
//     for %i = a to b {                     for %i = a to a + (b - a) / 4 * 4 step 4 {
//       write s, e                            write s0, e; ... write s3, e
//       for %j ... { F }             ->       for %j ... { F; ... F }
//       store y[%i], s                        store y[%i], s0; ... store y[%i + 3], s3
//     }                                     }
//                                           for %i = a + (b - a) / 4 * 4 to b remainder { as before }
//
// Which loops it is legal and worth it for, each of the passes says in its own file.
#pragma once
#include "dsl/ir/ir.h"

#include <map>
#include <set>
#include <vector>

namespace kiln::codegen {

/// How a loop, of step 1, is taken four iterations at once.
struct FourAtOnce {
    /// Inner loops that run once for all four, each directly inside of the loop: their bounds are
    /// the same in all iterations. Whatever else the loop holds is there four times.
    std::set<ir::Id> in_step;
    /// Operations that could be reassociated, and are not (ordered_flags).
    std::set<ir::Id> ordered;
    /// Variables that each iteration writes first. The iterations have copies of their own; what
    /// comes after the loop may need what the fourth one leaves only if `last_leaves`.
    std::vector<std::uint32_t> own;
    bool last_leaves = false;
    /// Arrays to one element of which all four add, in loops in step: it is loaded and stored once.
    std::set<std::uint32_t> summed;
    /// Between loops in step, all nodes of an iteration come before those of the next one. Else
    /// those that are the same for the four stand together.
    bool one_by_one = false;
    /// Loops in step in which so do the nodes of their bodies: what an iteration only needs for
    /// itself, as a mask, takes one register then instead of four.
    std::set<ir::Id> in_turn = {};
};

struct FourAtOncePlan {
    std::map<ir::Id, FourAtOnce> loops;  ///< none in another one
    std::set<ir::Id> ordered;            ///< of other loops
    /// Parallel loops of fewer iterations keep these one by one.
    std::int64_t enough_for_threads = 0;

    bool changes() const { return !loops.empty() || !ordered.empty(); }
};

ir::Kernel take_four_at_once(const ir::Kernel& kernel, const FourAtOncePlan& plan);

}  // namespace kiln::codegen
