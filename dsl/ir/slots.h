// Which block a slot belongs to.
#pragma once
#include "dsl/ir/ir.h"

namespace kiln::ir {

/// The owning block of each slot: the innermost one in which, or inside of which, all accesses to
/// it stand; none for slots of several stages, and for those that stages reduce into. A parallel
/// loop or launch accesses what it reduces into, and a launch its arguments, where it stands. Each iteration of a loop has the slots that
/// belong to its body, or to a block inside of that, for itself, if it writes them first.
class SlotOwners {
  public:
    explicit SlotOwners(const Kernel& kernel);

    Id block(std::uint32_t slot) const { return owner_[slot]; }
    /// Whether nothing outside of the block touches the slot.
    bool belongs_to(std::uint32_t slot, Id block) const;

  private:
    void add(std::uint32_t slot, Id block);

    static constexpr Id unseen = none - 1;
    std::vector<Id> owner_;   // per slot
    std::vector<Id> parent_;  // per block: the one around it
    std::vector<std::uint32_t> depth_;
};

}  // namespace kiln::ir
