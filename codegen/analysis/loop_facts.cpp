#include "codegen/analysis/loop_facts.h"

#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <set>

namespace kiln::codegen {

using namespace ir;

std::optional<std::vector<std::uint32_t>> private_slots(const Kernel& kernel,
                                                        const SlotOwners& owners, Id loop) {
    const Id body = kernel.nodes[loop].aux;
    std::set<std::uint32_t> written;
    walk(kernel, body, [&](Id id) {
        if (const Effects e = effects_of(kernel.nodes[id]); e.any(effect::writes))
            written.insert(e.slot);
    });
    for (const std::uint32_t slot : written) {
        if (!owners.belongs_to(slot, body) || kernel.slots[slot].length != 1) return std::nullopt;
        const auto touches = [&](Id id) { return effects_of(kernel.nodes[id]).slot == slot; };
        const auto first = std::ranges::find_if(kernel.blocks[body].nodes, [&](Id id) {
            return touches(id) || std::ranges::any_of(blocks_of(kernel.nodes[id]), [&](Id block) {
                       return any_in(kernel, block, touches);
                   });
        });
        if (kernel.nodes[*first].kind != NodeKind::write) return std::nullopt;
    }
    return std::vector(written.begin(), written.end());
}

namespace {

bool depends_on(const Kernel& kernel, Id id, Id index) {
    if (id == index) return true;
    const Node& n = kernel.nodes[id];
    return (n.kind == NodeKind::op || n.kind == NodeKind::cast) &&
           std::ranges::any_of(kernel.operands_of(n),
                               [&](Id x) { return depends_on(kernel, x, index); });
}

/// Whether iterations of the loop that follow each other load elements that do.
bool runs_along(const Kernel& kernel, Id load, Id loop) {
    const Node& n = kernel.nodes[load];
    if (n.operand_count == 0 || kernel.params[n.aux].layout != Layout::unit) return false;
    const auto at = kernel.operands_of(n);
    for (const Id x : at.first(at.size() - 1))
        if (depends_on(kernel, x, loop)) return false;
    if (at.back() == loop) return true;
    const Node& last = kernel.nodes[at.back()];
    if (last.kind != NodeKind::op || (last.op != Op::add && last.op != Op::sub)) return false;
    const Id x = kernel.operand(at.back(), 0), y = kernel.operand(at.back(), 1);
    return (x == loop && !depends_on(kernel, y, loop)) ||
           (last.op == Op::add && y == loop && !depends_on(kernel, x, loop));
}

}  // namespace

bool runs_across(const Kernel& kernel, Id load, Id inner, Id outer) {
    const auto moves = [&](Id x) { return depends_on(kernel, x, inner); };
    return std::ranges::any_of(kernel.operands_of(load), moves) &&
           !runs_along(kernel, load, inner) && runs_along(kernel, load, outer);
}

ir::Id launched_loop(const ir::Kernel& program) {
    return program.blocks[program.stages[0].body].nodes[0];
}

bool is_even(const Kernel& kernel, Id loop) {
    constexpr effect::Mask uneven =
        effect::loops | effect::launches | effect::calls | effect::calls_pure;
    const auto even = [](const Node& n) { return !effects_of(n).any(uneven); };
    const Node& n = kernel.nodes[loop];
    if (n.kind == NodeKind::loop)
        return all_in(kernel, n.aux, [&](Id id) { return even(kernel.nodes[id]); });
    const Kernel& launched = kernel.outlined[kernel.launches[n.aux].kernel];
    return launched.is_program() ? is_even(launched, launched_loop(launched))
                                 : std::ranges::all_of(launched.nodes, even);
}

bool is_slow(Op op) {
    return op == Op::div || op == Op::true_divide || op == Op::sqrt || is_elementary(op);
}

bool is_short(const Kernel& kernel, Id loop, std::int64_t most) {
    const Node &begin = kernel.nodes[kernel.operand(loop, 0)],
               &end = kernel.nodes[kernel.operand(loop, 1)];
    return begin.kind == NodeKind::constant && end.kind == NodeKind::constant &&
           static_cast<std::int64_t>(end.imm - begin.imm) <= most;
}

void visit_loops(const Kernel& kernel, const std::function<bool(Id)>& take) {
    walk(kernel, [&](Id id) {
        const bool taken = kernel.nodes[id].kind == NodeKind::loop && take(id);
        return taken ? Walk::skip : Walk::on;
    });
}

bool has_jump(const Kernel& kernel, Id block) {
    return any_in(kernel, block, [&](Id id, const Around& around) {
        const Effects e = effects_of(kernel.nodes[id]);
        return e.any(effect::returns) || (e.any(effect::jumps) && around.loops == 0);
    });
}

}  // namespace kiln::codegen
