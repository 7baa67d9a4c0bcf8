// Which block a slot belongs to.
#pragma once
#include "dsl/ir/ir.h"

#include <optional>
#include <vector>

namespace kiln::ir {

/// The owning block of each slot: the innermost one in which, or inside of which, all accesses to
/// it stand; none for slots of several stages, and for those that stages reduce into. A parallel
/// loop or launch accesses what it reduces into, and a launch its arguments, where it stands. Each iteration of a loop has the slots that
/// belong to its body, or to a block inside of that, for itself, if it writes them first.
/// A pass or backend makes it once for the kernel that it is given; they are looked for when they are
/// first asked for, and the kernel stays as it is.
class SlotOwners {
  public:
    explicit SlotOwners(const Kernel& kernel) : k_(kernel) {}

    Id block(std::uint32_t slot) const;
    /// Whether nothing outside of the block touches the slot.
    bool belongs_to(std::uint32_t slot, Id block) const;

  private:
    struct Found {
        explicit Found(const Kernel& kernel);
        void add(std::uint32_t slot, Id block);
        static constexpr Id unseen = none - 1;
        std::vector<Id> owner;   // per slot
        std::vector<Id> parent;  // per block: the one around it
        std::vector<std::uint32_t> depth;
    };
    const Found& found() const;

    const Kernel& k_;
    mutable std::optional<Found> found_;
};

}  // namespace kiln::ir
