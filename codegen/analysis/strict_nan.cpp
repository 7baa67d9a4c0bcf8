#include "codegen/analysis/strict_nan.h"

#include "dsl/ir/walk.h"

namespace kiln::codegen {

using namespace ir;

std::vector<bool> strict_values(const Kernel& kernel, std::vector<bool> wanted) {
    std::vector<bool> strict = std::move(wanted), slots(kernel.slots.size(), false);
    std::vector<Id> order;
    walk(kernel, [&](Id id) { order.push_back(id); });
    const auto spread = [&](Id id) {
        const Node& n = kernel.nodes[id];
        if (n.kind == NodeKind::read && strict[id] && !slots[n.aux]) {
            slots[n.aux] = true;
            return true;
        }
        const bool computes = strict[id] || (n.kind == NodeKind::write && slots[n.aux]);
        if (!computes || n.kind == NodeKind::loop_while) return false;
        bool changed = false;
        for (const Id operand : kernel.operands_of(n)) {
            changed = changed || !strict[operand];
            strict[operand] = true;
        }
        return changed;
    };
    // Backwards, so that a mark reaches what a value was computed from; a slot that is read under
    // a mark passes it to everything written to it, hence the repetition.
    for (bool changed = true; changed;) {
        changed = false;
        for (std::size_t i = order.size(); i-- > 0;) changed |= spread(order[i]);
    }
    return strict;
}

}  // namespace kiln::codegen
