#include "dsl/ir/editor.h"

#include "dsl/ir/effects.h"
#include "dsl/ir/rewrite.h"
#include "dsl/ir/text.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace kiln::ir {
namespace {

/// A rebuilt kernel has what its blocks list, and nothing else.
class Clone final : public Rewriter {
  public:
    using Rewriter::Rewriter;
};

}  // namespace

Kernel Editor::finish() {
    Kernel made = edited_ ? Clone(k_).run() : std::move(k_);
    assert(verify(made).empty());
    k_ = {};
    return made;
}

void Editor::list(Id block, std::vector<Id> nodes) {
    edited_ = true;
    nodes_of(block) = std::move(nodes);
}

void Editor::unlist(Id block, Id node) {
    edited_ = true;
    const auto erased = std::erase(nodes_of(block), node);
    assert(erased == 1);
    static_cast<void>(erased);
}

void Editor::set_fast(Id op, std::uint8_t flags) {
    assert(k_.nodes[op].kind == NodeKind::op);
    edited_ = true;
    k_.nodes[op].fast = flags;
}

void Editor::make_serial(Id loop) {
    assert(k_.parallel(k_.nodes[loop]) != nullptr);
    edited_ = true;
    k_.nodes[loop].aux2 = none;
}

void Editor::settle_shareable(Id loop, bool shared) {
    Node& n = k_.nodes[loop];
    assert((n.fast & loop_flag::shareable) != 0 && n.aux2 == none);
    edited_ = true;
    n.fast &= static_cast<std::uint8_t>(~loop_flag::shareable);
    if (!shared) return;
    n.aux2 = static_cast<std::uint32_t>(k_.parallel_loops.size());
    k_.parallel_loops.emplace_back();
}

void Editor::add_reduction(Id loop, StageReduction reduction) {
    edited_ = true;
    parallel(loop).reductions.push_back(reduction);
}

std::uint32_t Editor::add_slot(Slot slot) {
    edited_ = true;
    k_.slots.push_back(std::move(slot));
    return static_cast<std::uint32_t>(k_.slots.size() - 1);
}

void Editor::rename_slot(std::uint32_t slot, std::string name) {
    edited_ = true;
    k_.slots[slot].name = std::move(name);
}

void Editor::access_slot(Id access, std::uint32_t slot) {
    edited_ = true;
    Node& n = k_.nodes[access];
    const bool load = n.kind == NodeKind::load;
    assert((load || n.kind == NodeKind::store) && k_.slots[slot].length == 1);
    const auto subscripts = static_cast<std::uint16_t>(subscripts_of(k_, n).size());
    n.kind = load ? NodeKind::read : NodeKind::write;
    n.aux = slot;
    n.weak = false;
    n.first_operand = load ? 0 : n.first_operand + subscripts;
    n.operand_count = load ? 0 : 1;
}

void Editor::forget_steps() {
    for (Node& n : k_.nodes) {
        if (n.kind != NodeKind::write || n.imm == 0) continue;
        n.imm = 0;
        edited_ = true;
    }
}

void Editor::swap_stages(std::size_t a, std::size_t b) {
    edited_ = true;
    std::swap(k_.stages[a], k_.stages[b]);
}

Editor::Fusion Editor::fuse_loops(Id block, Id first, Id second, std::vector<Id> nodes) {
    edited_ = true;
    const Node &a = k_.nodes[first], &b = k_.nodes[second];
    Fusion f{block, first, second, std::move(nodes), nodes_of(a.aux), nodes_of(b.aux), {}, {}};
    walk(k_, b.aux, [&](Id id) {
        const Node& n = k_.nodes[id];
        for (std::uint32_t i = n.first_operand; i < n.first_operand + n.operand_count; ++i)
            if (k_.operands[i] == second) f.uses.push_back(i);
    });
    for (const std::uint32_t use : f.uses) k_.operands[use] = first;
    nodes_of(block).swap(f.nodes);
    nodes_of(a.aux).insert(nodes_of(a.aux).end(), f.second_body.begin(), f.second_body.end());
    nodes_of(b.aux).clear();
    if (a.aux2 == none) return f;
    ParallelLoop& into = parallel(first);
    const ParallelLoop& from = parallel(second);
    f.parallel = into;
    into.reductions.insert(into.reductions.end(), from.reductions.begin(), from.reductions.end());
    into.arrays.insert(into.arrays.end(), from.arrays.begin(), from.arrays.end());
    into.unsafe_races = into.unsafe_races || from.unsafe_races;
    return f;
}

void Editor::undo(Fusion f) {
    for (const std::uint32_t use : f.uses) k_.operands[use] = f.second;
    nodes_of(f.block) = std::move(f.nodes);
    nodes_of(k_.nodes[f.first].aux) = std::move(f.first_body);
    nodes_of(k_.nodes[f.second].aux) = std::move(f.second_body);
    if (k_.nodes[f.first].aux2 != none) parallel(f.first) = std::move(f.parallel);
}

}  // namespace kiln::ir
