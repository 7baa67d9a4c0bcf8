#include "dsl/ir/slots.h"

#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <algorithm>

#include <fmt/format.h>

namespace kiln::ir {

SlotOwners::Found::Found(const Kernel& kernel)
    : owner(kernel.slots.size(), unseen),
      parent(kernel.blocks.size(), none),
      depth(kernel.blocks.size(), 0) {
    walk(kernel, [&](Id id, const Around& around) {
        const Node& n = kernel.nodes[id];
        for (const Id inner : blocks_of(n)) {
            parent[inner] = around.block;
            depth[inner] = depth[around.block] + 1;
        }
        if (n.kind == NodeKind::launch || n.kind == NodeKind::loop) {
            for (const SlotUse& use : slots_of(kernel, n)) add(use.slot, around.block);
        } else if (const Effects e = effects_of(n); e.slot != none) {
            add(e.slot, around.block);
        }
    });
    for (const Stage& stage : kernel.stages)
        for (const StageReduction& r : stage.reductions) owner[r.target] = none;
    std::ranges::replace(owner, unseen, none);
}

void SlotOwners::Found::add(std::uint32_t slot, Id block) {
    Id& mine = owner[slot];
    if (mine == unseen) {
        mine = block;
        return;
    }
    while (mine != block && mine != none && block != none) {
        Id& deeper = depth[mine] > depth[block] ? mine : block;
        if (depth[mine] == depth[block]) mine = parent[mine];
        deeper = parent[deeper];
    }
    if (block == none) mine = none;
}

const SlotOwners::Found& SlotOwners::found() const {
    if (!found_) found_.emplace(k_);
    return *found_;
}

Id SlotOwners::block(std::uint32_t slot) const { return found().owner[slot]; }

bool SlotOwners::belongs_to(std::uint32_t slot, Id block) const {
    const Found& all = found();
    for (Id b = all.owner[slot]; b != none; b = all.parent[b])
        if (b == block) return true;
    return false;
}

std::string verify_slots(const Kernel& kernel) {
    const SlotOwners owners(kernel);
    std::string wrong;
    walk(kernel, [&](Id id) {
        const Node& n = kernel.nodes[id];
        if (!effects_of(n).any(effect::in_parallel)) return Walk::on;
        const ParallelLoop& parallel = *kernel.parallel(n);
        if (parallel.unsafe_races) return Walk::on;
        for (const std::uint32_t slot : touched_by(kernel, id).writes) {
            const bool reduced = std::ranges::any_of(
                parallel.reductions, [&](const StageReduction& r) { return r.target == slot; });
            if (reduced || owners.belongs_to(slot, n.aux)) continue;
            wrong = fmt::format("iterations of parallel loop {} share slot {}, {}", id, slot,
                                kernel.slots[slot].name);
            return Walk::stop;
        }
        return Walk::on;
    });
    for (std::size_t i = 0; i < kernel.outlined.size() && wrong.empty(); ++i)
        if (wrong = verify_slots(kernel.outlined[i]); !wrong.empty())
            wrong = fmt::format("k{}: {}", i, wrong);
    return wrong;
}

}  // namespace kiln::ir
