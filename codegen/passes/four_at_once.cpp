#include "codegen/passes/four_at_once.h"

#include "codegen/analysis/loop_facts.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/rewrite.h"
#include "dsl/ir/walk.h"

#include <array>

namespace kiln::codegen {
namespace {

using namespace ir;

constexpr auto copies = static_cast<std::size_t>(ways);

class Unroller final : public Rewriter {
  public:
    Unroller(const Kernel& in, const FourAtOncePlan& plan)
        : Rewriter(in), plan_(plan), ordered_(plan.ordered) {
        for (const auto& [loop, four] : plan.loops)
            ordered_.insert(four.ordered.begin(), four.ordered.end());
    }

  private:
    void declare() override {
        Rewriter::declare();
        for (const auto& [loop, four] : plan_.loops)
            for (const std::uint32_t s : four.own) {
                // Where the last one need not leave its value, the variable is that of the
                // remainder alone: what belongs to one parallel loop alone is private to its
                // threads.
                auto& mine = own_[loop][s];
                for (std::size_t c = 0; c < copies; ++c)
                    mine[c] =
                        c + 1 == copies && four.last_leaves ? s : out().add_slot(in().slots[s]);
            }
    }

    Id rewrite(Id old) override {
        const Id value = copy(old);
        set_mapped(old, value);
        return value;
    }

    Id copy(Id old) {
        const Node& n = in().node(old);
        if (n.kind == NodeKind::read || n.kind == NodeKind::write) return access(old, n);
        if (const auto four = plan_.loops.find(old); four != plan_.loops.end())
            return unroll(old, four->second);
        if (ordered_.contains(old)) {
            const Id operands[] = {mapped(in().operand(old, 0)), mapped(in().operand(old, 1))};
            return out().op(n.op, n.dtype, operands, ordered_flags(n.fast), n.weak);
        }
        if (summed_ != nullptr && effects_of(n).array != none && summed_->contains(n.aux))
            return sum(old, n);
        return clone(old);
    }

    Id access(Id old, const Node& n) {
        std::uint32_t slot = n.aux;
        if (loop_ != none) {
            const Slots& own = own_[loop_];
            if (const auto mine = own.find(slot); mine != own.end()) slot = mine->second[copy_];
        }
        const auto at = subscripts_of(in(), n);
        const Id position = at.empty() ? none : mapped(at[0]);
        if (n.kind == NodeKind::read) return out().read(slot, position);
        out().write(slot, mapped(in().operands_of(old).back()), position);
        return none;
    }

    /// Of an element that the four iterations add to: the first one loads it, the last one stores.
    Id sum(Id old, const Node& n) {
        if (n.kind == NodeKind::load) {
            const auto value = stored_.find(n.aux);
            return value == stored_.end() ? clone(old) : value->second;
        }
        if (copy_ + 1 == copies) clone(old);
        stored_[n.aux] = mapped(in().operands_of(old).back());
        return none;
    }

    Id op(Op o, Id a, Id b) { return out().op(o, DType::i64, {a, b}); }
    Id constant(std::int64_t c) { return out().constant_i64(c); }

    Id unroll(Id loop, const FourAtOnce& four) {
        const ParallelLoop* parallel = in().parallel(in().node(loop));
        const Id begin = mapped(in().operand(loop, 0)), end = mapped(in().operand(loop, 1));
        const auto open = [&](Id from, Id to, std::int64_t step, std::uint8_t flags) {
            return parallel == nullptr
                       ? out().begin_loop(from, to, constant(step), flags)
                       : out().begin_parallel_loop(from, to, constant(step), *parallel, flags);
        };
        const Id trip = op(Op::maximum, op(Op::sub, end, begin), constant(0));
        Id whole = op(Op::bit_and, trip, constant(-ways));
        if (parallel != nullptr && plan_.enough_for_threads > 0) {
            const Id enough =
                out().op(Op::ge, DType::bool_, {trip, constant(plan_.enough_for_threads)});
            whole = out().op(Op::select, DType::i64, {enough, whole, constant(0)});
        }
        const Id split = op(Op::add, begin, whole);

        values_.clear();
        loop_ = loop;
        const Id first = open(begin, split, ways, 0);
        auto& indices = values_[loop];
        for (std::size_t c = 0; c < copies; ++c)
            indices[c] =
                c == 0 ? first : op(Op::add, first, constant(static_cast<std::int64_t>(c)));
        four_times(in().node(loop).aux, four, four.one_by_one);
        out().end();
        loop_ = none;

        out().set_location_index(in().node(loop).loc);
        const Id rest = open(split, end, 1, loop_flag::remainder);
        set_mapped(loop, rest);
        clone_block(in().node(loop).aux);
        out().end();
        return rest;
    }

    /// The nodes of the block four times, but loops in step once.
    void four_times(Id block, const FourAtOnce& four, bool one_by_one) {
        const std::span<const Id> nodes = in().blocks[block].nodes;
        for (std::size_t i = 0; i < nodes.size();) {
            if (four.in_step.contains(nodes[i])) {
                in_step(nodes[i++], four);
                continue;
            }
            std::size_t end = i + 1;
            while (one_by_one && end < nodes.size() && !four.in_step.contains(nodes[end])) ++end;
            for (std::size_t c = 0; c < copies; ++c)
                for (const Id id : nodes.subspan(i, end - i)) iteration(id, c);
            i = end;
        }
    }

    void in_step(Id loop, const FourAtOnce& four) {
        out().set_location_index(in().node(loop).loc);
        use_copy(0);
        const Id index =
            out().begin_loop(mapped(in().operand(loop, 0)), mapped(in().operand(loop, 1)),
                             mapped(in().operand(loop, 2)), in().node(loop).fast);
        values_[loop].fill(index);
        summed_ = &four.summed;
        stored_.clear();
        four_times(in().node(loop).aux, four, four.one_by_one || four.in_turn.contains(loop));
        summed_ = nullptr;
        out().end();
    }

    /// The node for iteration c.
    void iteration(Id id, std::size_t c) {
        const Node& n = in().node(id);
        copy_ = c;
        if (!blocks_of(n).empty())
            use_copy(c);
        else
            for (const Id x : in().operands_of(id))
                if (const auto at = values_.find(x); at != values_.end())
                    set_mapped(x, at->second[c]);
        out().set_location_index(n.loc);
        const Id value = rewrite(id);
        values_[id][c] = value;
    }

    void use_copy(std::size_t c) {
        copy_ = c;
        for (const auto& [id, values] : values_) set_mapped(id, values[c]);
    }

    using Slots = std::map<std::uint32_t, std::array<std::uint32_t, copies>>;

    const FourAtOncePlan& plan_;
    std::set<Id> ordered_;     // of all loops
    std::map<Id, Slots> own_;  // by loop
    Id loop_ = none;           // that is being taken four at once
    std::map<Id, std::array<Id, copies>> values_;
    std::size_t copy_ = 0;  // the iteration
    // Of the loop in step:
    const std::set<std::uint32_t>* summed_ = nullptr;
    std::map<std::uint32_t, Id> stored_;  // what an element of the array is so far
};

}  // namespace

Kernel take_four_at_once(const Kernel& kernel, const FourAtOncePlan& plan) {
    return Unroller(kernel, plan).run();
}

}  // namespace kiln::codegen
