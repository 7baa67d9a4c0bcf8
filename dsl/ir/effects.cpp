#include "dsl/ir/effects.h"

#include "dsl/ir/walk.h"

#include <algorithm>

namespace kiln::ir {

bool meet(const std::set<std::uint32_t>& a, const std::set<std::uint32_t>& b) {
    return std::ranges::any_of(a, [&](std::uint32_t x) { return b.contains(x); });
}

bool Touched::slots_conflict(const Touched& o) const {
    return meet(writes, o.writes) || meet(writes, o.reads) || meet(reads, o.writes);
}

bool Touched::conflicts(const Touched& o) const {
    return slots_conflict(o) || meet(stores, o.stores) || meet(stores, o.loads) ||
           meet(loads, o.stores) ||
           std::ranges::any_of(o.uses, [&](Id x) { return nodes.contains(x); });
}

void Touched::add(const Touched& o) {
    loads.insert(o.loads.begin(), o.loads.end());
    stores.insert(o.stores.begin(), o.stores.end());
    reads.insert(o.reads.begin(), o.reads.end());
    writes.insert(o.writes.begin(), o.writes.end());
    nodes.insert(o.nodes.begin(), o.nodes.end());
    uses.insert(o.uses.begin(), o.uses.end());
    does |= o.does;
    if (o.call != none) call = o.call;
}

Touched touched_by(const Kernel& kernel, Id node, Jumps jumps) {
    Touched t;
    const bool counts = jumps == Jumps::out_of_iteration && is_loop(kernel.node(node).kind);
    walk_node(kernel, node, [&](Id id, const Around& around) {
        const Node& n = kernel.node(id);
        const Effects e = effects_of(n);
        t.nodes.insert(id);
        for (const Id x : kernel.operands_of(n)) t.uses.insert(x);
        if (e.any(effect::loads)) t.loads.insert(e.array);
        if (e.any(effect::stores | effect::allocates)) t.stores.insert(e.array);
        if (e.any(effect::reads)) t.reads.insert(e.slot);
        if (e.any(effect::writes)) t.writes.insert(e.slot);
        if (e.any(effect::calls)) t.call = id;
        const bool taken_up = around.loops > (counts ? 1U : 0U);
        t.does |= taken_up ? e.does & ~(effect::breaks | effect::continues) : e.does;
        if (const ParallelLoop* p = n.kind == NodeKind::loop ? kernel.parallel(n) : nullptr) {
            for (const StageReduction& r : p->reductions) {
                t.reads.insert(r.target);
                t.writes.insert(r.target);
            }
            for (const ArrayReduction& r : p->arrays) t.stores.insert(r.target);
        }
    });
    return t;
}

}  // namespace kiln::ir
