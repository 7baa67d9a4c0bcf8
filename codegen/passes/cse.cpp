// Equal computations are made once. Pure ones are shared by the Builder as they are made again;
// here comparisons and commutative operations get one form, so that more of them are equal, and
//
//     %a = load x[i]                        %a = load x[i]
//     ...nothing is stored...       ->      ...
//     %b = load x[i]                        (uses of %b use %a)
//
//     write s, %v                           write s, %v
//     ...s is not written...        ->      ...
//     %r = read s                           (uses of %r use %v)
//
// Legal where the first value is visible to the second,
// and between the two, on every path, there is
//  - for a load: no store, atomic or assign to any array, since arrays may overlap;
//  - for a read: no write to that slot;
// and both are in one stage: a stage runs any number of times, and its end changes what its
// reductions target.
#include "codegen/passes/pass.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/rewrite.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

/// What nodes may change.
struct Writes {
    bool arrays = false;
    std::vector<std::uint32_t> slots;
    bool anything = false;
};

class Cse : public Rewriter {
  public:
    using Rewriter::Rewriter;

    /// How many loads went, by the loop around them.
    void tell(Decisions& decisions) const {
        for (const auto& [loop, loads] : reused_)
            decisions.done(DecisionKind::reused, in().location(in().nodes[loop].loc),
                           fmt::format("{} load{} of elements that were loaded before", loads,
                                       loads == 1 ? "" : "s"),
                           {{"loads", loads}});
    }

  private:
    struct Available {
        NodeKind kind;  // load or read
        std::uint32_t aux;
        std::vector<Id> subscripts;
        Id value;
    };

    void enter_stage() override { available_.clear(); }

    Id rewrite(Id old) override {
        const Node& n = in().node(old);
        if (n.kind == NodeKind::op && n.rank == 0) return rewrite_op(old, n);
        if (n.kind == NodeKind::load || n.kind == NodeKind::read) return rewrite_read(old, n);
        if (n.kind == NodeKind::write) return rewrite_write(old, n);
        if (n.kind == NodeKind::branch) return rewrite_branch(old, n);
        if (is_loop(n.kind)) return rewrite_loop(old);
        const Id value = clone(old);
        forget(writes_of(old));
        return value;
    }

    /// a > b -> b < a, a >= b -> b <= a; constants stay to the right. The operands of commutative
    /// operations are ordered by their age.
    Id rewrite_op(Id old, const Node& n) {
        std::vector<Id> x;
        for (const Id id : in().operands_of(old)) x.push_back(mapped(id));
        Op op = n.op;
        if (x.size() == 2) {
            const bool constant[] = {out().node(x[0]).kind == NodeKind::constant,
                                     out().node(x[1]).kind == NodeKind::constant};
            const bool out_of_order = constant[0] || (!constant[1] && x[1] < x[0]);
            if (is_symmetric(op) && out_of_order) std::swap(x[0], x[1]);
            const Op swapped = mirrored(op);
            const bool greater = op == Op::gt || op == Op::ge;
            if (swapped != op && (constant[0] || (greater && !constant[1]))) {
                op = swapped;
                std::swap(x[0], x[1]);
            }
        }
        return out().op(op, n.dtype, x, n.fast, n.weak);
    }

    static bool is_symmetric(Op op) {
        return op == Op::add || op == Op::mul || op == Op::eq || op == Op::ne ||
               op == Op::bit_and || op == Op::bit_or || op == Op::bit_xor ||
               op == Op::logical_and || op == Op::logical_or || op == Op::logical_xor;
    }
    static Op mirrored(Op op) {
        return op == Op::lt   ? Op::gt
               : op == Op::gt ? Op::lt
               : op == Op::le ? Op::ge
               : op == Op::ge ? Op::le
                              : op;
    }

    Id rewrite_read(Id old, const Node& n) {
        std::vector<Id> subscripts;
        for (const Id id : in().operands_of(old)) subscripts.push_back(mapped(id));
        for (const Available& a : available_)
            if (a.kind == n.kind && a.aux == n.aux && a.subscripts == subscripts &&
                out().visible(a.value)) {
                if (n.kind == NodeKind::load && loop_ != none) ++reused_[loop_];
                return a.value;
            }
        const Id value = clone(old);
        available_.push_back({n.kind, n.aux, std::move(subscripts), value});
        return value;
    }

    Id rewrite_write(Id old, const Node& n) {
        clone(old);
        forget({false, {n.aux}, false});
        const auto operands = in().operands_of(old);
        std::vector<Id> position;
        if (operands.size() == 2) position.push_back(mapped(operands[0]));
        available_.push_back({NodeKind::read, n.aux, std::move(position), mapped(operands.back())});
        return none;
    }

    Id rewrite_branch(Id old, const Node& n) {
        const Id condition = mapped(in().operand(old, 0));
        const std::vector<Available> before = available_;
        out().begin_branch(condition);
        clone_block(n.aux);
        if (n.aux2 != none) {
            available_ = before;
            out().begin_else();
            clone_block(n.aux2);
        }
        out().end();
        available_ = before;
        forget(writes_of(old));
        return none;
    }

    /// The body may run again after its own writes, and not at all.
    Id rewrite_loop(Id old) {
        forget(writes_of(old));
        const std::vector<Available> before = available_;
        const Id around = std::exchange(loop_, old);
        const Id value = clone(old);
        loop_ = around;
        available_ = before;
        return value;
    }

    /// By the node and its blocks.
    Writes writes_of(Id node) const {
        Writes writes;
        walk_node(in(), node, [&](Id id) {
            const Effects e = effects_of(in().node(id));
            if (e.any(effect::stores | effect::allocates)) writes.arrays = true;
            if (e.any(effect::writes)) writes.slots.push_back(e.slot);
            writes.anything = writes.anything || !e.only(known_effects);
        });
        return writes;
    }

    void forget(const Writes& writes) {
        if (!writes.anything && !writes.arrays && writes.slots.empty()) return;
        std::erase_if(available_, [&](const Available& a) {
            if (writes.anything) return true;
            return a.kind == NodeKind::load ? writes.arrays
                                            : std::ranges::count(writes.slots, a.aux) != 0;
        });
    }

    std::vector<Available> available_;
    Id loop_ = none;  // around what is rewritten
    std::map<Id, std::int64_t> reused_;
};

}  // namespace

ir::Kernel run_cse(const ir::Kernel& kernel, PassContext& context) {
    Cse pass(kernel);
    ir::Kernel after = pass.run();
    pass.tell(context.decisions);
    return after;
}

}  // namespace kiln::codegen
