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
    return stays_in_order() || o.stays_in_order() || slots_conflict(o) || meet(stores, o.stores) ||
           meet(stores, o.loads) || meet(loads, o.stores) ||
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

/// f(use) for each slot that the node touches by itself.
template <class F> static void each_slot(const Kernel& kernel, const Node& n, F&& f) {
    if (const Effects e = effects_of(n); e.slot != none)
        f(SlotUse{e.slot, e.any(effect::reads), e.any(effect::writes)});
    if (n.kind == NodeKind::launch) {
        const Launch& launch = kernel.launches[n.aux];
        for (std::size_t i = 0; i < launch.arguments.size(); ++i) {
            const Argument& a = launch.arguments[i];
            if (!a.has_slot()) continue;
            const Access access = kernel.outlined[launch.kernel].params[i].access;
            const bool element = a.is_element() || a.kind == Argument::Kind::place;
            f(SlotUse{a.target, !element || access != Access::out,
                      !element || access != Access::in});
        }
        for (const ParallelLoop& p : kernel.outlined[launch.kernel].parallel_loops)
            for (const StageReduction& r : p.reductions) f(SlotUse{r.target, true, true});
    }
    if (n.kind == NodeKind::loop || n.kind == NodeKind::launch)
        if (const ParallelLoop* p = kernel.parallel(n))
            for (const StageReduction& r : p->reductions) f(SlotUse{r.target, true, true});
}

std::vector<SlotUse> slots_of(const Kernel& kernel, const Node& n) {
    std::vector<SlotUse> uses;
    each_slot(kernel, n, [&](const SlotUse& use) { uses.push_back(use); });
    return uses;
}

static void touch_arrays(const Kernel& kernel, const Launch& launch, Touched& t) {
    for (std::size_t i = 0; i < launch.arguments.size(); ++i) {
        const Argument& a = launch.arguments[i];
        const bool whole = a.kind == Argument::Kind::whole;
        const Access access = kernel.outlined[launch.kernel].params[i].access;
        if ((a.kind != Argument::Kind::array && !whole) || access == Access::value) continue;
        if (whole || access != Access::out) t.loads.insert(a.target);
        if (access != Access::in) t.stores.insert(a.target);
    }
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
        if (e.any(effect::launches)) touch_arrays(kernel, kernel.launches[n.aux], t);
        each_slot(kernel, n, [&](const SlotUse& use) {
            if (use.reads) t.reads.insert(use.slot);
            if (use.writes) t.writes.insert(use.slot);
        });
        if (e.any(effect::calls)) t.call = id;
        const bool taken_up = around.loops > (counts ? 1U : 0U);
        t.does |= taken_up ? e.does & ~(effect::breaks | effect::continues) : e.does;
        if (const ParallelLoop* p = n.kind == NodeKind::loop ? kernel.parallel(n) : nullptr)
            for (const ArrayReduction& r : p->arrays) t.stores.insert(r.target);
    });
    return t;
}

}  // namespace kiln::ir
