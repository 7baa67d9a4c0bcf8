// What is known of a kernel's slots where its iterations run as lanes: which reads give the same
// value in all lanes, and which writes no lane outside of the mask can tell from masked ones.
// Internal to codegen.
#pragma once
#include "dsl/ir/ir.h"

#include <vector>

namespace kiln::codegen {

struct SlotFacts {
    /// Per node: differs from lane to lane among those that execute it.
    std::vector<bool> varying;
    /// Per node, of writes: lanes that are masked off here never read the slot's value again, so
    /// the write may go to all of them.
    std::vector<bool> to_all_lanes;
    /// Per slot: some read gives one value for all lanes; some read gives a value a lane.
    std::vector<bool> read_as_one, read_by_lane;
};
SlotFacts analyse_slots(const ir::Kernel& kernel);

}  // namespace kiln::codegen
