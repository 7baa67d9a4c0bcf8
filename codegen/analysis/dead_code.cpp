// Drops what nothing depends on: pure nodes, loads and reads without a use; writes to slots that
// nothing reads; branches and counted loops without effects; slots that are then unused.
//
// Live are: stores, atomics, calls of functions that are not pure, contributions, checks, assigns
// and `return_`; a while loop, since it may never end; what a live node depends on; the structure
// around it; the jumps of a live loop; and, when a read of a slot is live, all writes to it, and the
// other parts of the state that it is a part of. In
// checked mode also all accesses by subscripts, which may be outside of their array. Parameters
// stay, used or not.
#include "codegen/analysis/dead_code.h"

#include "dsl/ir/effects.h"
#include "dsl/ir/rewrite.h"
#include "dsl/ir/walk.h"

#include <algorithm>

namespace kiln::codegen {
namespace {

using namespace ir;

/// Which nodes and slots of a kernel matter.
class Liveness {
  public:
    Liveness(const Kernel& kernel, bool checked)
        : kernel_(kernel),
          checked_(checked),
          live_(kernel.nodes.size(), false),
          slot_live_(kernel.slots.size(), false),
          owner_(kernel.nodes.size(), none),
          loop_(kernel.nodes.size(), none) {
        walk(kernel, [&](Id id, const Around& around) { note(id, around); });
        for (const Stage& stage : kernel.stages) {
            for (const Id extent : stage.extents) mark(extent);
            for (const StageReduction& r : stage.reductions) mark_slot(r.target);
        }
        for (const Id id : roots_) mark(id);
        while (!pending_.empty()) {
            const Id id = pending_.back();
            pending_.pop_back();
            follow(id);
        }
    }

    bool live(Id id) const { return live_[id]; }
    bool slot_live(std::uint32_t slot) const { return slot_live_[slot]; }
    bool any_live(Id block) const {
        return block != none &&
               std::ranges::any_of(kernel_.blocks[block].nodes, [&](Id id) { return live_[id]; });
    }

  private:
    void note(Id id, const Around& around) {
        const Node& n = kernel_.nodes[id];
        const Effects e = effects_of(n);
        owner_[id] = around.node;
        loop_[id] = around.loop;
        // Writes matter where something reads the slot, structure where something in it matters,
        // jumps where their loop does.
        constexpr effect::Mask depends =
            effect::writes | effect::branches | effect::counts | effect::in_parallel;
        const bool may_be_outside = e.any(effect::accesses) && !subscripts_of(kernel_, n).empty();
        if (e.any(effect::breaks | effect::continues))
            jumps_.push_back(id);
        else if ((has_effect(n.kind) && !e.only(depends)) || (checked_ && may_be_outside))
            roots_.push_back(id);
        if (e.any(effect::writes)) writes_.push_back(id);
    }

    void mark(Id id) {
        if (live_[id]) return;
        live_[id] = true;
        pending_.push_back(id);
    }

    void mark_slot(std::uint32_t slot) {
        if (slot_live_[slot]) return;
        slot_live_[slot] = true;
        for (const Id id : writes_)
            if (kernel_.nodes[id].aux == slot) mark(id);
        for (const ParallelLoop& p : kernel_.parallel_loops) mark_state(p.reductions, slot);
    }

    /// The other parts of a state that the slot is a part of: they combine together.
    void mark_state(const std::vector<StageReduction>& reductions, std::uint32_t slot) {
        const auto at = std::ranges::find(reductions, slot, &StageReduction::target);
        if (at == reductions.end() || at->combine == none) return;
        for (const StageReduction& r : reductions)
            if (r.combine == at->combine) mark_slot(r.target);
    }

    void follow(Id id) {
        const Node& n = kernel_.nodes[id];
        for (const Id operand : kernel_.operands_of(n)) mark(operand);
        if (owner_[id] != none) mark(owner_[id]);
        if (effects_of(n).slot != none) mark_slot(n.aux);
        if (is_loop(n.kind))
            for (const Id jump : jumps_)
                if (loop_[jump] == id) mark(jump);
    }

    const Kernel& kernel_;
    bool checked_;
    std::vector<bool> live_, slot_live_;
    std::vector<Id> owner_;  // per node: the structure around it
    std::vector<Id> loop_;   // per node: the innermost loop around it
    std::vector<Id> roots_, writes_, jumps_, pending_;
};

class DeadCode : public Rewriter {
  public:
    DeadCode(const Kernel& in, bool checked)
        : Rewriter(in), liveness_(in, checked), slots_(in.slots.size(), none) {}

  private:
    void declare() override {
        for (const Param& p : in().params) out().add_param(p);
        for (std::uint32_t i = 0; i < in().slots.size(); ++i)
            if (liveness_.slot_live(i)) slots_[i] = out().add_slot(in().slots[i]);
    }

    void map_reduction(const StageReduction& r, std::vector<StageReduction>& into) override {
        // The parts of a state are all live, or none is.
        if (slots_[r.target] == none) return;
        into.push_back({r.reduction, slots_[r.target], r.combine});
    }

    Id rewrite(Id old) override {
        const Node& n = in().node(old);
        const bool in_prologue = out().kernel().stages.empty();
        if (!in_prologue && !liveness_.live(old)) return none;
        if (n.kind == NodeKind::branch) return rewrite_branch(old, n);
        if (n.kind == NodeKind::read)
            return out().read(slots_[n.aux],
                              n.operand_count == 0 ? none : mapped(in().operand(old, 0)));
        if (n.kind != NodeKind::write) return clone(old);
        const auto operands = in().operands_of(old);
        out().write(slots_[n.aux], mapped(operands.back()),
                    operands.size() == 2 ? mapped(operands[0]) : none);
        return none;
    }

    Id rewrite_branch(Id old, const Node& n) {
        const bool then_live = liveness_.any_live(n.aux), else_live = liveness_.any_live(n.aux2);
        Id condition = mapped(in().operand(old, 0));
        if (!then_live && else_live) {
            const Id operands[] = {condition};
            condition = out().op(Op::logical_not, DType::bool_, operands, 0);
        }
        out().begin_branch(condition);
        if (then_live) clone_block(n.aux);
        if (then_live && else_live) out().begin_else();
        if (else_live) clone_block(n.aux2);
        out().end();
        return none;
    }

    Liveness liveness_;
    std::vector<std::uint32_t> slots_;
};

}  // namespace

ir::Kernel without_dead_code(const ir::Kernel& kernel, bool checked) {
    return DeadCode(kernel, checked && kernel.is_program()).run();
}

}  // namespace kiln::codegen
