#include "dsl/ir/slots.h"

#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

namespace kiln::ir {

SlotOwners::SlotOwners(const Kernel& kernel)
    : owner_(kernel.slots.size(), unseen),
      parent_(kernel.blocks.size(), none),
      depth_(kernel.blocks.size(), 0) {
    walk(kernel, [&](Id id, const Around& around) {
        const Node& n = kernel.nodes[id];
        for (const Id inner : blocks_of(n)) {
            parent_[inner] = around.block;
            depth_[inner] = depth_[around.block] + 1;
        }
        if (n.kind == NodeKind::launch || n.kind == NodeKind::loop) {
            for (const SlotUse& use : slots_of(kernel, n)) add(use.slot, around.block);
        } else if (const Effects e = effects_of(n); e.slot != none) {
            add(e.slot, around.block);
        }
    });
    for (const Stage& stage : kernel.stages)
        for (const StageReduction& r : stage.reductions) owner_[r.target] = none;
    for (Id& owner : owner_)
        if (owner == unseen) owner = none;
}

void SlotOwners::add(std::uint32_t slot, Id block) {
    Id& owner = owner_[slot];
    if (owner == unseen) {
        owner = block;
        return;
    }
    while (owner != block && owner != none && block != none) {
        Id& deeper = depth_[owner] > depth_[block] ? owner : block;
        if (depth_[owner] == depth_[block]) owner = parent_[owner];
        deeper = parent_[deeper];
    }
    if (block == none) owner = none;
}

bool SlotOwners::belongs_to(std::uint32_t slot, Id block) const {
    for (Id b = owner_[slot]; b != none; b = parent_[b])
        if (b == block) return true;
    return false;
}

}  // namespace kiln::ir
