// A slot has two places in generated code: one scalar, written by every write whose value is the
// same in all lanes that execute it, and one vector, written by all writes under their masks. The
// vector is always right; the scalar is right for the lanes that execute a read unless control
// flow has brought together lanes whose last writes differ. So a counter of a loop that lanes leave
// one after the other is a scalar within the loop, and what each lane last had after it.
#include "codegen/lanes/slots.h"

#include "codegen/analysis/loop_facts.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <algorithm>

namespace kiln::codegen {

using ir::Id;
using ir::Node;
using ir::NodeKind;

namespace {

using Set = std::vector<bool>;  // of slots

/// a |= b; whether a has grown.
bool add(Set& a, const Set& b) {
    bool grown = false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        grown = grown || (b[i] && !a[i]);
        a[i] = a[i] || b[i];
    }
    return grown;
}

Set written(const ir::Kernel& kernel, Id block) {
    Set slots(kernel.slots.size());
    ir::walk(kernel, block, [&](Id id) {
        if (kernel.nodes[id].kind == NodeKind::write) slots[kernel.nodes[id].aux] = true;
    });
    return slots;
}

/// Parts of states, of which each lane has its own, from iteration to iteration.
Set combined_by(const ir::Kernel& kernel, const ir::Stage& stage) {
    Set slots(kernel.slots.size());
    for (const ir::StageReduction& r : stage.reductions)
        if (r.combine != ir::none) slots[r.target] = true;
    return slots;
}

/// One of an inner loop counts too: rare, and safe.
bool has_continue(const ir::Kernel& kernel, Id block) {
    return ir::any_in(kernel, block,
                      [&](Id id) { return kernel.nodes[id].kind == NodeKind::continue_; });
}

bool any_operand_varies(const ir::Kernel& kernel, const SlotFacts& facts, const Node& n) {
    return std::ranges::any_of(kernel.operands_of(n),
                               [&](Id operand) { return facts.varying[operand]; });
}

/// Forwards: which slots' scalars are not right.
class Uniformity {
  public:
    Uniformity(const ir::Kernel& kernel, SlotFacts& facts) : kernel_(kernel), facts_(facts) {}

    void run() {
        facts_.varying.assign(kernel_.nodes.size(), false);
        for (Id id = 0; id < kernel_.nodes.size(); ++id)
            facts_.varying[id] = kernel_.nodes[id].kind == NodeKind::index;
        // Marks only grow, so walking until none does ends; loops make a second walk necessary.
        do {
            changed_ = false;
            for (const ir::Stage& stage : kernel_.stages) {
                by_lane_ = stage.extents.empty();  // runs on what the lanes of another have left
                state_.assign(kernel_.slots.size(), by_lane_);
                add(state_, combined_by(kernel_, stage));
                walk(stage.body);
            }
        } while (changed_);
        facts_.read_as_one.assign(kernel_.slots.size(), false);
        facts_.read_by_lane.assign(kernel_.slots.size(), false);
        ir::walk(kernel_, [&](Id id) {
            const Node& n = kernel_.nodes[id];
            if (n.kind == NodeKind::read)
                (facts_.varying[id] ? facts_.read_by_lane : facts_.read_as_one)[n.aux] = true;
        });
    }

  private:
    void mark(Id id, bool varying) {
        if (!varying || facts_.varying[id]) return;
        facts_.varying[id] = changed_ = true;
    }

    bool any_operand_varies(const Node& n) const {
        return codegen::any_operand_varies(kernel_, facts_, n);
    }

    void walk(Id block) {
        for (const Id id : kernel_.blocks[block].nodes) {
            const Node& n = kernel_.nodes[id];
            if (n.kind == NodeKind::load) {
                mark(id, kernel_.params[n.aux].layout != ir::Layout::uniform);
            } else if (n.kind == NodeKind::read) {
                mark(id, state_[n.aux]);
            } else if (n.kind == NodeKind::write) {
                state_[n.aux] =
                    by_lane_ || any_operand_varies(n) || kernel_.slots[n.aux].length != 1;
            } else if (n.kind == NodeKind::branch) {
                walk_branch(id);
            } else if (n.kind == NodeKind::loop) {
                // Lanes that are still in it have made as many steps.
                mark(id, facts_.varying[kernel_.operand(id, 0)] ||
                             facts_.varying[kernel_.operand(id, 2)]);
                walk_loop(ir::none, n.aux, any_operand_varies(n));
            } else if (n.kind == NodeKind::loop_while) {
                walk_loop(n.aux, n.aux2, false, id);
            } else {
                mark(id, any_operand_varies(n));
            }
        }
    }

    void walk_branch(Id id) {
        const Node& n = kernel_.nodes[id];
        mark(id, any_operand_varies(n));
        const Set before = state_;
        if (facts_.varying[id]) {  // both arms run, one after the other
            walk(n.aux);
            add(state_, written(kernel_, n.aux));
            if (n.aux2 == ir::none) return;
            walk(n.aux2);
            add(state_, written(kernel_, n.aux2));
            return;
        }
        walk(n.aux);
        const Set after = state_;
        state_ = before;
        if (n.aux2 != ir::none) walk(n.aux2);
        add(state_, after);
    }

    /// A loop with or without a block for its condition; `loop_while`: the node.
    void walk_loop(Id condition, Id body, bool varying, Id loop_while = ir::none) {
        Set head = state_, tested;
        for (bool again = true; again;) {
            state_ = head;
            if (condition != ir::none) walk(condition);
            if (loop_while != ir::none) {
                mark(loop_while, any_operand_varies(kernel_.nodes[loop_while]));
                varying = facts_.varying[loop_while];
            }
            tested = state_;
            walk(body);
            // Lanes that began the next iteration early have not seen the writes after their
            // jump.
            if (has_continue(kernel_, body)) add(state_, written(kernel_, body));
            again = add(head, state_);
        }
        state_ = tested;
        if (!varying && !has_jump(kernel_, body)) return;
        add(state_, written(kernel_, body));
        if (condition != ir::none) add(state_, written(kernel_, condition));
    }

    const ir::Kernel& kernel_;
    SlotFacts& facts_;
    Set state_;
    bool by_lane_ = false, changed_ = false;
};

/// Backwards: which slots' values are still wanted. Then, forwards: for each write, what lanes that
/// are masked off there want.
class Liveness {
  public:
    Liveness(const ir::Kernel& kernel, SlotFacts& facts)
        : kernel_(kernel), facts_(facts), around_(kernel.nodes.size()) {}

    /// `kept`: slots whose values outlive the iteration.
    void run(Id body, const Set& kept) {
        kept_ = kept;
        before(body, kept);
        mark(body, kept);
    }

  private:
    struct Around {
        Set after;    ///< wanted behind a branch or loop
        Set waiting;  ///< wanted by lanes of a branch's other arm; by lanes at a loop's head
    };

    Set before(Id block, Set live) {
        const auto& nodes = kernel_.blocks[block].nodes;
        for (std::size_t i = nodes.size(); i-- > 0;) {
            const Node& n = kernel_.nodes[nodes[i]];
            const ir::Effects e = ir::effects_of(n);
            if (e.any(ir::effect::reads)) live[n.aux] = true;
            if (e.any(ir::effect::writes) && kernel_.slots[n.aux].length == 1) live[n.aux] = false;
            if (e.any(ir::effect::breaks)) live = loops_.back()->after;
            if (e.any(ir::effect::continues)) live = loops_.back()->waiting;
            if (e.any(ir::effect::returns)) live = kept_;
            if (n.kind == NodeKind::loop) {
                live = before_loop(nodes[i], ir::none, n.aux, live);
            } else if (n.kind == NodeKind::loop_while) {
                live = before_loop(nodes[i], n.aux, n.aux2, live);
            } else if (n.kind == NodeKind::branch) {
                Around& around = around_[nodes[i]];
                around.after = live;
                around.waiting = n.aux2 != ir::none ? before(n.aux2, live) : live;
                live = before(n.aux, std::move(live));
                add(live, around.waiting);
            }
        }
        return live;
    }

    Set before_loop(Id id, Id condition, Id body, const Set& after) {
        Around& around = around_[id];
        around.after = after;
        around.waiting = after;
        loops_.push_back(&around);
        bool again = true;
        while (again) {
            Set live = before(body, around.waiting);
            add(live, after);
            if (condition != ir::none) live = before(condition, std::move(live));
            again = add(around.waiting, live);
        }
        loops_.pop_back();
        return around.waiting;
    }

    void mark(Id block, const Set& waiting) {
        for (const Id id : kernel_.blocks[block].nodes) {
            const Node& n = kernel_.nodes[id];
            const Around& around = around_[id];
            const auto with = [&](const Set& more, bool more_wait) {
                Set all = waiting;
                if (more_wait) add(all, more);
                return all;
            };
            if (n.kind == NodeKind::write) {
                facts_.to_all_lanes[id] = !waiting[n.aux];
            } else if (n.kind == NodeKind::branch) {
                mark(n.aux, with(around.waiting, facts_.varying[id]));
                if (n.aux2 != ir::none) mark(n.aux2, with(around.after, facts_.varying[id]));
            } else if (n.kind == NodeKind::loop || n.kind == NodeKind::loop_while) {
                const Id body = n.kind == NodeKind::loop ? n.aux : n.aux2;
                const bool leave = any_operand_varies(kernel_, facts_, n);
                Set inside = with(around.after, leave || has_jump(kernel_, body));
                if (has_continue(kernel_, body)) add(inside, around.waiting);
                if (n.kind == NodeKind::loop_while) mark(n.aux, inside);
                mark(body, inside);
            }
        }
    }

    const ir::Kernel& kernel_;
    SlotFacts& facts_;
    std::vector<Around> around_;
    std::vector<Around*> loops_;
    Set kept_;
};

}  // namespace

SlotFacts analyse_slots(const ir::Kernel& kernel) {
    SlotFacts facts;
    Uniformity(kernel, facts).run();
    facts.to_all_lanes.assign(kernel.nodes.size(), false);
    if (kernel.slots.empty()) return facts;
    for (const ir::Stage& stage : kernel.stages)
        if (!stage.extents.empty())
            Liveness(kernel, facts).run(stage.body, combined_by(kernel, stage));
    return facts;
}

}  // namespace kiln::codegen
