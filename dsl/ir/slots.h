// Which block a slot belongs to.
//
// That is no field of Slot: the text says it already, by where the slot is touched. Passes that move,
// fuse, cut or repeat nodes change it without meaning to (about all that touch loops do), so that a field
// would be a second truth, to be mended in each of them; and a verifier could hold it only against
// what is computed here, in one walk. What can be wrong is another thing, and is verified behind each
// pass: that iterations which run at the same time have what they write for themselves.
#pragma once
#include "dsl/ir/ir.h"

#include <optional>
#include <string>
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

/// Empty where each parallel loop, of outlined kernels too, writes only slots that belong to its
/// body, or that it reduces into (but for those with `unsafe_races`); else which one does not. That is so from the pass `reductions` on,
/// which refuses the user's variables that are shared.
std::string verify_slots(const Kernel& kernel);

}  // namespace kiln::ir
