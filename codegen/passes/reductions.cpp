// Variables that a parallel loop only accumulates into become its reductions:
//
//     write v0, f64(0)                          write v0, f64(0)
//     for %2 = ... parallel {                   for %2 = ... parallel (sum -> v0) {
//       %3 = read f64 v0                          %3 = read f64 v0
//       %4 = add f64 %3, %x              ->       %4 = add f64 %3, %x fast(reassoc)
//       write v0, %4                              write v0, %4
//     }                                         }
//
// A slot is one, if outside of the loop it is accessed too, and inside
//  1. it holds one element;
//  2. every write stores v + e, v - e (sum), v * e, v / e (product; not of integers), v & e, v | e,
//     v ^ e, v && e, v || e, min(v, e) or max(v, e), where v is a read of the slot, and all of them
//     belong to one reduction;
//  3. nothing else uses such a read;
//  4. it is no f16 or bf16, which would round after every step.
// Several slots are a state, (c0 -> (v0, v1)), where all writes of them are steps by which one of the
// kernel's combines combines values into them (dsl/ir/combines.h), and only these read them.
// Slots that are written inside and fit neither this nor the loop's own variables are errors, since
// what they would hold depends on the order of the iterations. Operations that accumulate floats
// may be reassociated: a reduction's order is that of a tree, not of the iterations.
//
// Only outermost parallel loops have reductions: within them others become serial loops, with a
// remark.
#include "codegen/analysis/updates.h"
#include "codegen/passes/pass.h"
#include "dsl/ir/combines.h"
#include "dsl/ir/describe.h"
#include "dsl/ir/editor.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/slots.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace kiln::codegen {
namespace {

using namespace ir;

class Reductions {
  public:
    Reductions(const Kernel& kernel, PassContext& context)
        : in_(kernel), out_(kernel), context_(context) {}

    Kernel run() {
        walk(in_, [&](Id id) {
            if (!effects_of(in_.nodes[id]).any(effect::in_parallel)) return Walk::on;
            reduce(id);
            return Walk::skip;
        });
        out_.forget_steps();
        return out_.finish();
    }

  private:
    void reduce(Id id) {
        const Node& loop = in_.nodes[id];
        std::vector<Id> body;
        walk(in_, loop.aux, [&](Id inner) { body.push_back(inner); });
        for (const Id inner : body)
            if (in_.nodes[inner].kind == NodeKind::loop && in_.nodes[inner].aux2 != none)
                make_serial(inner, id);
        shared_.assign(in_.slots.size(), false);
        for (const Id inner : body) {
            const Effects e = effects_of(in_.nodes[inner]);
            if (e.any(effect::writes) && !owners_.belongs_to(e.slot, loop.aux))
                shared_[e.slot] = true;
        }
        find_states(id);
        for (std::uint32_t s = 0; s < in_.slots.size(); ++s)
            if (shared_[s]) reduce_slot(id, s, body);
    }

    [[noreturn]] void refuse(Id at, std::string text, std::string hint) const {
        throw Error(ErrorKind::usage, std::move(text), in_.location(in_.nodes[at].loc),
                    std::move(hint));
    }

    /// What an error at node `at` calls a slot.
    std::string variable(std::uint32_t slot, Id at) const {
        return describe_slot(in_, slot, in_.location(in_.nodes[at].loc));
    }

    /// What the writes of one slot in a loop's body accumulate.
    struct Found {
        std::string name;  ///< of the reduction
        Reduction reduction = Reduction::sum;
        std::size_t state = no_state;  ///< that the slot is a part of
        std::vector<Id> ops, reads;
    };
    static constexpr std::size_t no_state = ~std::size_t(0);

    /// Slots that combine together, and the steps that do it.
    struct State {
        std::uint32_t combine;
        std::vector<std::uint32_t> slots;
        std::vector<CombineStep> steps;
    };

    void find_states(Id loop) {
        states_.clear();
        const auto search = [&](Id block) {
            const std::size_t size = in_.blocks[block].nodes.size();
            for (std::size_t at = 0; at < size; ++at) {
                auto step = find_step(in_, block, at);
                // Single values by a row of reductions.def: that is the better one.
                if (!step || (step->writes.size() == 1 && update_of(in_, step->writes[0])))
                    continue;
                at += step->writes.size() - 1;
                add_step(std::move(*step));
            }
        };
        if (in_.combines.empty()) return;
        search(in_.nodes[loop].aux);
        walk(in_, in_.nodes[loop].aux, [&](Id id) {
            for (const Id inner : blocks_of(in_.nodes[id])) search(inner);
        });
    }

    void add_step(CombineStep step) {
        std::vector<std::uint32_t> slots;
        for (const Id write : step.writes) slots.push_back(in_.nodes[write].aux);
        const auto known = std::ranges::find_if(
            states_, [&](const State& s) { return s.combine == step.combine && s.slots == slots; });
        if (known != states_.end())
            known->steps.push_back(std::move(step));
        else
            states_.push_back({step.combine, std::move(slots), {step}});
    }

    /// That what the steps of a state make of its slots is of use to their writes alone.
    void check_uses(const State& state, const std::vector<Id>& body) const {
        std::set<Id> known, between, writes;
        for (const CombineStep& step : state.steps) {
            known.insert(step.reads.begin(), step.reads.end());
            between.insert(step.between.begin(), step.between.end());
            writes.insert(step.writes.begin(), step.writes.end());
        }
        known.erase(none);
        for (const Id id : body)
            for (const Id x : in_.operands_of(id)) {
                if (!known.contains(x) || writes.contains(id)) continue;
                if (!between.contains(id)) refuse_read(id, state.slots[0]);
                known.insert(id);
            }
        for (const CombineStep& step : state.steps)
            for (const Id value : step.values)
                if (known.contains(value)) refuse_read(value, state.slots[0]);
    }

    [[noreturn]] void refuse_read(Id at, std::uint32_t slot) const {
        refuse(at,
               "an iteration of a prange reads " + variable(slot, at) +
                   ", which others accumulate into",
               "its value is known after the loop only");
    }

    void reduce_slot(Id loop, std::uint32_t slot, const std::vector<Id>& body) {
        const bool answered_for = in_.parallel(in_.nodes[loop])->unsafe_races;
        std::optional<Found> found;
        for (const Id id : body) {
            const Node& n = in_.nodes[id];
            if (n.kind != NodeKind::write || n.aux != slot) continue;
            if (in_.slots[slot].length > 1) {
                if (answered_for) return;
                refuse(id,
                       "iterations of a prange share " + variable(slot, id) + ", which they write",
                       "declare it inside the loop");
            }
            if (!add_update(id, slot, found)) {
                if (answered_for) return;
                const Op op = in_.nodes[in_.operands_of(id).back()].op;
                const bool extreme =
                    is_complex(in_.slots[slot].dtype) && (op == Op::minimum || op == Op::maximum);
                refuse(id,
                       "iterations of a prange write " + variable(slot, id) +
                           ", which is declared outside of it",
                       extreme
                           ? "extremes of complex numbers accumulate by reduce(v, Reduce::max, e)"
                           : "declare it inside, or only accumulate into it: += -= *= /= &= |= ^=, "
                             "v = minimum(v, e), v = maximum(v, e), reduce, reduce_argmin, "
                             "reduce_argmax");
            }
        }
        for (const Id id : body) {
            const Node& n = in_.nodes[id];
            if (n.kind != NodeKind::read || n.aux != slot) continue;
            const bool of_update = std::ranges::count(found->reads, id) == 1;
            const bool used_once = std::ranges::count(in_.operands, id) == 1;
            const bool unused = std::ranges::count(in_.operands, id) == 0;
            const bool in_state = found->state != no_state;
            if (of_update ? used_once || in_state : unused && in_state) continue;
            if (answered_for) return;
            refuse_read(id, slot);
        }
        const DType t = in_.slots[slot].dtype;
        if (t == DType::f16 || t == DType::bf16)
            refuse(first_write(slot, body),
                   "a reduction into " + variable(slot, first_write(slot, body)) +
                       " would round after every step",
                   "accumulate in f32: Var v(DType::f32, ...)");
        if (is_real(t) || is_complex(t))
            for (const Id id : found->ops) free_order(id);
        if (found->state == no_state)
            add(loop, {found->reduction, slot, none});
        else if (slot == states_[found->state].slots[0])
            add_state(loop, states_[found->state], body);
    }

    void add_state(Id loop, const State& state, const std::vector<Id>& body) {
        check_uses(state, body);
        for (const std::uint32_t s : state.slots) {
            const Id at = first_write(s, body);
            if (!shared_[s])
                refuse(at,
                       variable(s, at) +
                           ", the position of a reduction, is declared inside of the prange",
                       "declare it before the loop");
            add(loop, {Reduction::sum, s, state.combine});
        }
    }

    /// The text may declare it already.
    void add(Id loop, const StageReduction& r) {
        const auto& declared = in_.parallel(in_.nodes[loop])->reductions;
        const auto same = std::ranges::find(declared, r.target, &StageReduction::target);
        if (same == declared.end()) return out_.add_reduction(loop, r);
        if (*same != r)
            refuse(loop,
                   "a prange accumulates into " + variable(r.target, loop) + " by " +
                       std::string(name_of(in_, r)) + ", and declares " +
                       std::string(name_of(in_, *same)),
                   "a variable has one reduction in a loop");
    }

    Id first_write(std::uint32_t slot, const std::vector<Id>& body) const {
        return *std::ranges::find_if(body, [&](Id id) {
            return in_.nodes[id].kind == NodeKind::write && in_.nodes[id].aux == slot;
        });
    }

    /// Takes a write up as part of the slot's reduction; false if it is none.
    bool add_update(Id write, std::uint32_t slot, std::optional<Found>& found) const {
        Found one{};
        if (!part_of_step(write, one)) {
            const auto update = update_of(in_, write);
            if (!update) return false;
            one.name = info(update->reduction).name;
            one.reduction = update->reduction;
            one.ops = {update->op};
            one.reads = {update->read};
        }
        if (!found) {
            found = std::move(one);
            return true;
        }
        if (found->name != one.name)
            refuse(write,
                   "iterations of a prange accumulate into " + variable(slot, write) + " by " +
                       found->name + " and by " + one.name,
                   "a Var has one reduction in a loop");
        if (found->state != one.state)
            refuse(write,
                   "iterations of a prange combine " + variable(slot, write) +
                       " together with different variables",
                   "a Var is a part of one reduction in a loop");
        found->ops.insert(found->ops.end(), one.ops.begin(), one.ops.end());
        found->reads.insert(found->reads.end(), one.reads.begin(), one.reads.end());
        return true;
    }

    /// Whether the write is one of a step; of which state, and what it reads of its slot.
    bool part_of_step(Id write, Found& found) const {
        for (std::size_t s = 0; s < states_.size(); ++s) {
            const State& state = states_[s];
            for (const CombineStep& step : state.steps)
                for (std::size_t part = 0; part < step.writes.size(); ++part) {
                    if (step.writes[part] != write) continue;
                    found.state = s;
                    found.name = in_.combines[state.combine].name;
                    if (step.reads[part] != none) found.reads = {step.reads[part]};
                    return true;
                }
        }
        return false;
    }

    /// A prange within another one is a serial loop. What it sums is as accurate as it is
    /// elsewhere.
    void make_serial(Id loop, Id outer) {
        out_.make_serial(loop);
        free_sums(loop);
        context_.decisions.done(DecisionKind::serial, in_.location(in_.nodes[loop].loc),
                                "this prange runs serially: it is inside of the one at line " +
                                    std::to_string(in_.location(in_.nodes[outer].loc).line));
    }

    /// The order of sums of floats in a serial loop becomes free, where it does nothing else with
    /// their variables.
    void free_sums(Id loop) {
        std::vector<Id> body;
        walk(in_, in_.nodes[loop].aux, [&](Id inner) { body.push_back(inner); });
        std::map<std::uint32_t, std::vector<Id>> sums;  // operations, by slot
        std::set<std::uint32_t> others;
        std::set<Id> reads;
        for (const Id id : body) {
            const Node& n = in_.nodes[id];
            if (n.kind != NodeKind::write) continue;
            const auto update = update_of(in_, id);
            const DType t = in_.slots[n.aux].dtype;
            if (!update || update->reduction != Reduction::sum || in_.slots[n.aux].length != 1 ||
                !(is_real(t) || is_complex(t)) || t == DType::f16 || t == DType::bf16 ||
                std::ranges::count(in_.operands, update->read) != 1) {
                others.insert(n.aux);
                continue;
            }
            sums[n.aux].push_back(update->op);
            reads.insert(update->read);
        }
        for (const Id id : body)
            if (in_.nodes[id].kind == NodeKind::read && !reads.contains(id))
                others.insert(in_.nodes[id].aux);
        for (const auto& [slot, ops] : sums) {
            if (others.contains(slot)) continue;
            for (const Id id : ops) free_order(id);
            out_.rename_slot(slot, total_name(slot));
        }
    }

    void free_order(Id op) {
        out_.set_fast(op, static_cast<std::uint8_t>(in_.nodes[op].fast | fast::reassoc));
    }

    const Kernel& in_;
    Editor out_;
    PassContext& context_;
    const SlotOwners owners_{in_};
    std::vector<bool> shared_;  // per slot: written in the loop, and accessed outside of it
    std::vector<State> states_;
};

}  // namespace

ir::Kernel run_reductions(const ir::Kernel& kernel, PassContext& context) {
    return Reductions(kernel, context).run();
}

}  // namespace kiln::codegen
