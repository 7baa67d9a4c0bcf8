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
// Two slots are a minimum or maximum and its position, (min -> v0, min -> v1 of v0), where all
// writes of both are steps of takes_place (dsl/ir/positions.h).
// Slots that are written inside and fit neither this nor the loop's own variables are errors, since
// what they would hold depends on the order of the iterations. Operations that accumulate floats
// may be reassociated: a reduction's order is that of a tree, not of the iterations.
//
// Only outermost parallel loops have reductions: within them others become serial loops, with a
// remark.
#include "codegen/analysis/updates.h"
#include "codegen/passes/pass.h"
#include "dsl/ir/describe.h"
#include "dsl/ir/editor.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/positions.h"
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
        Reduction reduction;
        std::vector<Id> ops, reads;
        std::uint32_t position = none;  ///< slot of the position of a minimum or maximum
        bool is_position = false;
    };

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
            if (!add_update(id, slot, body, found)) {
                if (answered_for) return;
                refuse(id,
                       "iterations of a prange write " + variable(slot, id) +
                           ", which is declared outside of it",
                       "declare it inside, or only accumulate into it: += -= *= /= &= |= ^=, "
                       "v = min(v, e), v = max(v, e), reduce, reduce_argmin, reduce_argmax");
            }
        }
        for (const Id id : body) {
            const Node& n = in_.nodes[id];
            if (n.kind != NodeKind::read || n.aux != slot) continue;
            const bool of_update = std::ranges::count(found->reads, id) == 1;
            const bool used_once = std::ranges::count(in_.operands, id) == 1;
            if (of_update && (used_once || found->ops.empty())) continue;
            if (answered_for) return;
            refuse(id,
                   "an iteration of a prange reads " + variable(slot, id) +
                       ", which others accumulate into",
                   "its value is known after the loop only");
        }
        const DType t = in_.slots[slot].dtype;
        if (t == DType::f16 || t == DType::bf16)
            refuse(first_write(slot, body),
                   "a reduction into " + variable(slot, first_write(slot, body)) +
                       " would round after every step",
                   "accumulate in f32: Var v(DType::f32, ...)");
        if (is_real(t) || is_complex(t))
            for (const Id id : found->ops) free_order(id);
        if (found->position != none && !shared_[found->position])
            refuse(first_write(slot, body),
                   variable(found->position, first_write(slot, body)) +
                       ", the position of a reduction, is declared inside of the prange",
                   "declare it before the loop");
        if (found->is_position) return;  // it goes with its extreme
        add(loop, {found->reduction, slot, none});
        if (found->position != none) add(loop, {Reduction::min, found->position, slot});
    }

    /// The text may declare it already.
    void add(Id loop, const StageReduction& r) {
        const auto& declared = in_.parallel(in_.nodes[loop])->reductions;
        const auto same = std::ranges::find(declared, r.target, &StageReduction::target);
        if (same == declared.end()) return out_.add_reduction(loop, r);
        if (*same != r)
            refuse(loop,
                   "a prange accumulates into " + variable(r.target, loop) + " by " +
                       std::string(info(r.reduction).name) + ", and declares " +
                       std::string(info(same->reduction).name),
                   "a variable has one reduction in a loop");
    }

    Id first_write(std::uint32_t slot, const std::vector<Id>& body) const {
        return *std::ranges::find_if(body, [&](Id id) {
            return in_.nodes[id].kind == NodeKind::write && in_.nodes[id].aux == slot;
        });
    }

    /// Takes a write up as part of the slot's reduction; false if it is none.
    bool add_update(Id write, std::uint32_t slot, const std::vector<Id>& body,
                    std::optional<Found>& found) const {
        Found one{};
        if (const auto update = update_of(in_, write)) {
            one.reduction = update->reduction;
            one.ops = {update->op};
            one.reads = {update->read};
        } else if (const auto step = position_update(write, body)) {
            one.reduction = step->reduction;
            one.is_position = slot == step->at;
            one.position = one.is_position ? none : step->at;
            one.reads = {one.is_position ? step->read_at : step->read_extreme};
        } else {
            return false;
        }
        if (!found) {
            found = std::move(one);
            return true;
        }
        const auto kind = [](const Found& f) {
            const bool arg = f.is_position || f.position != none;
            return (arg ? "arg" : "") + std::string(info(f.reduction).name);
        };
        if (kind(*found) != kind(one))
            refuse(write,
                   "iterations of a prange accumulate into " + variable(slot, write) + " by " +
                       kind(*found) + " and by " + kind(one),
                   "a Var has one reduction in a loop");
        if (found->position != one.position || found->is_position != one.is_position)
            refuse(write,
                   "iterations of a prange keep several positions of " + variable(slot, write),
                   "a minimum or maximum has one position");
        found->ops.insert(found->ops.end(), one.ops.begin(), one.ops.end());
        found->reads.insert(found->reads.end(), one.reads.begin(), one.reads.end());
        return true;
    }

    struct PositionUpdate {
        Reduction reduction;
        std::uint32_t at;
        Id read_extreme, read_at;
    };

    /// if (takes_place(value, position, extreme, at)) { extreme = value; at = position; }
    std::optional<PositionUpdate> position_update(Id write, const std::vector<Id>& body) const {
        for (const Id id : body) {
            const Node& n = in_.nodes[id];
            if (n.kind != NodeKind::branch || n.aux2 != none) continue;
            const std::vector<Id>& nodes = in_.blocks[n.aux].nodes;
            if (nodes.size() != 2 || std::ranges::count(nodes, write) == 0) continue;
            const Node &first = in_.nodes[nodes[0]], &second = in_.nodes[nodes[1]];
            if (first.kind != NodeKind::write || second.kind != NodeKind::write ||
                first.operand_count != 1 || second.operand_count != 1 || first.aux == second.aux)
                continue;
            const Id value = in_.operand(nodes[0], 0), position = in_.operand(nodes[1], 0);
            for (const Id extreme : body)
                for (const Id at : body) {
                    if (!is_read(extreme, first.aux) || !is_read(at, second.aux)) continue;
                    for (const Reduction r : {Reduction::min, Reduction::max})
                        if (is_takes_place(in_, in_.operand(id, 0), r,
                                           {value, position, extreme, at}))
                            return PositionUpdate{r, second.aux, extreme, at};
                }
        }
        return std::nullopt;
    }

    bool is_read(Id id, std::uint32_t slot) const {
        return in_.nodes[id].kind == NodeKind::read && in_.nodes[id].aux == slot;
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
};

}  // namespace

ir::Kernel run_reductions(const ir::Kernel& kernel, PassContext& context) {
    return Reductions(kernel, context).run();
}

}  // namespace kiln::codegen
