// Four iterations of a loop at once, in step with each other through its inner loops:
//
//     for %i = a to b {                     for %i = a to a + (b - a) / 4 * 4 step 4 {
//       write s, 0                            write s, 0; ... write s3, 0
//       for %j = 0 to n {                     for %j = 0 to n {
//         %x = load x[%i, %j]                   %x = load x[%i, %j]; ... %x3 = load x[%i + 3, %j]
//         %r = read s                 ->        %r = read s; ... %r3 = read s3
//         write s, %r * 0.5 + %x                write s, %r * 0.5 + %x; ... write s3, ...
//       }                                     }
//       store y[%i], read s                   store y[%i], read s; ... store y[%i + 3], read s3
//     }                                     }
//                                           the iterations that are left
//
// Worth it where an innermost loop directly inside either
//  - waits for itself: each of its iterations needs the variable, or the element of an array, that
//    the one before it wrote, by operations that may not be reassociated, so that four such chains
//    take the time of one; or
//  - sums what lies along the index of the loop around it, not along its own: four neighbours make
//    a vector, while lanes of one sum would be gathered. Such a sum keeps its order, also where it
//    could be reassociated (ordered_flags); or
//  - only accumulates, without divisions, roots or elementary functions,
//    and half or more of what it loads is the same for all four, so that this is loaded once.
//
// Other inner loops run four times, one after the other.
//
// Sums into an element that goes through memory keep their order as well, wherever they are.
//
// Legal where, tested in this order,
//  1. the step is 1, the schedule (if parallel) automatic, and the loop has no reductions;
//  2. nothing in it jumps, is atomic, allocates or is a loop with a condition;
//  3. variables that it writes are its own: nothing else uses them, and each iteration writes them,
//     unconditionally, before anything else; only scalars;
//  4. the bounds of loops that run in step are the same in all iterations;
//  5. no two iterations touch one element of an array, one of them storing.
// Where there are threads, a parallel loop of few iterations keeps them, so that all find some.
#include "codegen/analysis/loop_facts.h"
#include "codegen/analysis/races.h"
#include "codegen/analysis/updates.h"
#include "codegen/passes/pass.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/rewrite.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

constexpr auto copies = static_cast<std::size_t>(ways);
/// Four times as much code as this is too much to compile.
constexpr std::size_t most_nodes = 160;
/// Fewer iterations of a parallel loop than this are dealt out to threads one by one.
constexpr std::int64_t enough_for_threads = 128;

/// A loop that is worth it: the inner loops that run in step, the variables that each copy of an
/// iteration has for itself.
struct Plan {
    std::set<Id> in_step;
    std::set<Id> ordered;  // operations that could be reassociated, and are not
    std::vector<std::uint32_t> slots;
};

/// The operation of a[...] = a[...] op e, where a[...] is the same element all along a loop; `moves`
/// is what differs between its iterations.
std::optional<Id> in_place_update(const Kernel& k, const std::vector<Id>& body, Id store,
                                  const std::set<Id>& moves) {
    const auto operands = k.operands_of(store);
    const auto at = operands.first(operands.size() - 1);
    const Id op = operands.back();
    if (std::ranges::any_of(at, [&](Id x) { return moves.contains(x); }) ||
        k.nodes[op].kind != NodeKind::op)
        return std::nullopt;
    const bool updates = std::ranges::any_of(k.operands_of(op), [&](Id x) {
        const Node& load = k.nodes[x];
        return load.kind == NodeKind::load && load.aux == k.nodes[store].aux &&
               std::ranges::equal(k.operands_of(load), at) &&
               std::ranges::find(body, x) != body.end();
    });
    return updates ? std::optional(op) : std::nullopt;
}

/// Updates of an element whose array the innermost loop loads elsewhere too, so that the element
/// goes through memory: they wait for each other, and gain nothing from being free.
void find_chains_through_memory(const Kernel& k, Id loop, std::set<Id>& ordered) {
    const auto& body = k.blocks[k.nodes[loop].aux].nodes;
    std::set<Id> moves{loop};
    for (const Id id : body) {
        if (k.nodes[id].kind == NodeKind::loop) return;
        if (std::ranges::any_of(k.operands_of(id), [&](Id x) { return moves.contains(x); }))
            moves.insert(id);
    }
    for (const Id id : body) {
        if (k.nodes[id].kind != NodeKind::store) continue;
        const auto op = in_place_update(k, body, id, moves);
        const bool others = std::ranges::any_of(body, [&](Id x) {
            return k.nodes[x].kind == NodeKind::load && k.nodes[x].aux == k.nodes[id].aux &&
                   moves.contains(x);
        });
        if (op && others && (k.nodes[*op].fast & fast::reassoc) != 0) ordered.insert(*op);
    }
}

class Analysis {
  public:
    Analysis(const Kernel& kernel, Id loop, Decisions& decisions)
        : k_(kernel), loop_(loop), decisions_(decisions), varies_(kernel.nodes.size(), false) {}

    std::optional<Plan> run() {
        const Node& n = k_.nodes[loop_];
        if (!k_.is_constant(k_.operand(loop_, 2), 1) || is_left_over(k_, loop_))
            return std::nullopt;
        if (const ParallelLoop* p = k_.parallel(n);
            p != nullptr &&
            (p->schedule != Schedule::automatic || !p->reductions.empty() || !p->arrays.empty()))
            return std::nullopt;
        if (!collect(n.aux) || nodes_.size() > most_nodes) return std::nullopt;
        auto slots = private_slots(k_, loop_);
        if (!slots) return std::nullopt;
        plan_.slots = std::move(*slots);
        find_what_varies();
        for (const Id id : k_.blocks[n.aux].nodes)
            if (k_.nodes[id].kind == NodeKind::loop && !varies_[id] && worth_it(id))
                plan_.in_step.insert(id);
        if (plan_.in_step.empty()) return std::nullopt;
        const Location where = k_.location(n.loc);
        if (k_.parallel(n) == nullptr && !iterations_are_apart(k_, loop_)) {
            decisions_.refused(DecisionKind::unrolled, where,
                               "its iterations may touch one element, one of them storing");
            return std::nullopt;
        }
        decisions_.done(DecisionKind::unrolled, where,
                        fmt::format("{} iterations run in step through the loop at {}{}", ways,
                                    line_of(k_, *plan_.in_step.begin()),
                                    plan_.ordered.empty() ? "" : ", and make a vector"),
                        {{"iterations", ways}});
        return std::move(plan_);
    }

  private:
    /// Condition 2.
    bool collect(Id block) {
        return all_in(k_, block, [&](Id id) {
            const Effects e = effects_of(k_.nodes[id]);
            nodes_.push_back(id);
            if (e.any(effect::stores)) stored_.insert(e.array);
            return e.only(effect::accesses | effect::branches | effect::counts);
        });
    }

    void find_what_varies() {
        varies_[loop_] = true;
        for (const Id id : nodes_) {
            const Node& n = k_.nodes[id];
            const bool by_operand =
                std::ranges::any_of(k_.operands_of(id), [&](Id x) { return varies_[x]; });
            const bool by_state = (n.kind == NodeKind::read &&
                                   std::ranges::find(plan_.slots, n.aux) != plan_.slots.end()) ||
                                  (n.kind == NodeKind::load && stored_.contains(n.aux));
            varies_[id] = by_operand || by_state;
        }
    }

    bool worth_it(Id loop) {
        const auto& body = k_.blocks[k_.nodes[loop].aux].nodes;
        bool chain = false, slow = false, stores = false, accumulates = false, across = false;
        std::size_t loads = 0, shared = 0;
        std::set<std::uint32_t> seen;
        std::set<Id> moves{loop};  // what differs from one iteration of the inner loop to the next
        std::vector<Id> updates;   // operations by which it accumulates, in any order
        for (const Id id : body) {
            const Node& n = k_.nodes[id];
            if (std::ranges::any_of(k_.operands_of(id), [&](Id x) { return moves.contains(x); }))
                moves.insert(id);
            const Effects e = effects_of(n);
            if (!blocks_of(n).empty()) return false;
            slow = slow || (n.kind == NodeKind::op && is_slow(n.op));
            if (e.any(effect::loads) && moves.contains(id)) {
                ++loads;
                shared += varies_[id] ? 0 : 1;
                across = across || runs_across(k_, id, loop, loop_);
            }
            if (e.any(effect::stores)) {
                const auto op = in_place_update(k_, body, id, moves);
                if (!op)
                    stores = true;
                else
                    (is_free(*op) ? accumulates : chain) = true;
                if (op && is_free(*op)) updates.push_back(*op);
            }
            if (e.slot != none && seen.insert(e.slot).second && e.any(effect::reads) &&
                is_written(body, e.slot))
                (reassociates(body, e.slot, updates) ? accumulates : chain) = true;
        }
        const bool ordered = std::ranges::all_of(
            updates, [&](Id op) { return (k_.nodes[op].fast & fast::reassoc) != 0; });
        if (accumulates && across && ordered) {
            plan_.ordered.insert(updates.begin(), updates.end());
            return true;
        }
        return chain || (accumulates && !slow && !stores && loads > 0 && 2 * shared >= loads);
    }

    bool is_free(Id op) const {
        return (k_.nodes[op].fast & fast::reassoc) != 0 || !is_real(k_.nodes[op].dtype);
    }

    bool is_written(const std::vector<Id>& body, std::uint32_t slot) const {
        return std::ranges::any_of(body, [&](Id id) {
            return k_.nodes[id].kind == NodeKind::write && k_.nodes[id].aux == slot;
        });
    }

    /// Whether the loop only accumulates into the slot, in any order.
    bool reassociates(const std::vector<Id>& body, std::uint32_t slot,
                      std::vector<Id>& updates) const {
        for (const Id id : body) {
            const Node& n = k_.nodes[id];
            if (n.kind != NodeKind::write || n.aux != slot) continue;
            const auto update = update_of(k_, id);
            if (!update) return false;
            const bool extreme =
                update->reduction == Reduction::min || update->reduction == Reduction::max;
            if (is_real(k_.slots[slot].dtype) && !extreme &&
                (k_.nodes[update->op].fast & fast::reassoc) == 0)
                return false;
            updates.push_back(update->op);
        }
        return true;
    }

    const Kernel& k_;
    Id loop_;
    Decisions& decisions_;
    std::vector<Id> nodes_;  // of the body, in the order of the text
    std::set<std::uint32_t> stored_;
    std::vector<bool> varies_;  // per node: differs from iteration to iteration
    Plan plan_;
};

class UnrollJam : public Rewriter {
  public:
    UnrollJam(const Kernel& in, bool threads, Decisions& decisions)
        : Rewriter(in), threads_(threads) {
        visit_loops(in, [&](Id loop) {
            find_chains_through_memory(in, loop, ordered_);
            return false;
        });
        visit_loops(in, [&](Id loop) {
            auto plan = Analysis(in, loop, decisions).run();
            if (plan) {
                ordered_.insert(plan->ordered.begin(), plan->ordered.end());
                plans_.emplace(loop, std::move(*plan));
            }
            return plan.has_value();
        });
    }
    bool changes() const { return !plans_.empty() || !ordered_.empty(); }

  private:
    void declare() override {
        Rewriter::declare();
        for (auto& [loop, plan] : plans_)
            for (const std::uint32_t s : plan.slots) {
                // Those of the iterations that are left stay apart too: what belongs to one
                // parallel loop alone is private to its threads.
                auto& mine = copies_of_[s];
                for (std::size_t c = 0; c < copies; ++c) {
                    Slot slot = in().slots[s];
                    slot.name += "_" + std::to_string(c + 1);
                    mine[c] = out().add_slot(std::move(slot));
                }
                mine[copies] = s;
            }
    }

    Id rewrite(Id old) override {
        const Node& n = in().node(old);
        Id value = none;
        const auto plan = plans_.find(old);
        if (n.kind == NodeKind::read || n.kind == NodeKind::write) {
            const auto mine = copies_of_.find(n.aux);
            const std::uint32_t slot = mine == copies_of_.end() ? n.aux : mine->second[copy_];
            const auto operands = in().operands_of(old);
            const auto position = [&](std::size_t i) {
                return operands.size() > i ? mapped(operands[0]) : none;
            };
            if (n.kind == NodeKind::read)
                value = out().read(slot, position(0));
            else
                out().write(slot, mapped(operands.back()), position(1));
        } else if (plan != plans_.end()) {
            value = unroll(old, plan->second);
        } else if (ordered_.contains(old)) {
            const Id operands[] = {mapped(in().operand(old, 0)), mapped(in().operand(old, 1))};
            value = out().op(n.op, n.dtype, operands, ordered_flags(n.fast), n.weak);
        } else {
            value = clone(old);
        }
        set_mapped(old, value);
        return value;
    }

    Id unroll(Id loop, const Plan& plan) {
        const ParallelLoop* parallel = in().parallel(in().node(loop));
        const Id begin = mapped(in().operand(loop, 0)), end = mapped(in().operand(loop, 1));
        const auto op = [&](Op o, Id a, Id b) { return out().op(o, DType::i64, {a, b}); };
        const auto constant = [&](std::int64_t c) { return out().constant_i64(c); };
        const auto open = [&](Id from, Id to, std::int64_t step) {
            return parallel == nullptr
                       ? out().begin_loop(from, to, constant(step))
                       : out().begin_parallel_loop(from, to, constant(step), *parallel);
        };
        const Id trip = op(Op::maximum, op(Op::sub, end, begin), constant(0));
        Id whole = op(Op::bit_and, trip, constant(-ways));
        if (parallel != nullptr && threads_) {
            const Id enough = out().op(Op::ge, DType::bool_, {trip, constant(enough_for_threads)});
            whole = out().op(Op::select, DType::i64, {enough, whole, constant(0)});
        }
        const Id split = op(Op::add, begin, whole);

        values_.clear();
        const Id first = open(begin, split, ways);
        auto& indices = values_[loop];
        for (std::size_t c = 0; c < copies; ++c)
            indices[c] =
                c == 0 ? first : op(Op::add, first, constant(static_cast<std::int64_t>(c)));
        in_step(in().node(loop).aux, plan);
        out().end();
        copy_ = copies;

        out().set_location_index(in().node(loop).loc);
        const Id rest = open(split, end, 1);
        set_mapped(loop, rest);
        clone_block(in().node(loop).aux);
        out().end();
        return rest;
    }

    /// The block for all copies: each of its nodes four times, but loops that run in step once.
    void in_step(Id block, const Plan& plan) {
        for (const Id id : in().blocks[block].nodes) {
            const Node& n = in().node(id);
            out().set_location_index(n.loc);
            if (plan.in_step.contains(id)) {
                use_copy(0);
                const Id index =
                    out().begin_loop(mapped(in().operand(id, 0)), mapped(in().operand(id, 1)),
                                     mapped(in().operand(id, 2)));
                values_[id].fill(index);
                in_step(n.aux, plan);
                out().end();
                continue;
            }
            const bool has_blocks = !blocks_of(n).empty();
            auto& values = values_[id];
            for (std::size_t c = 0; c < copies; ++c) {
                copy_ = c;
                if (has_blocks)
                    use_copy(c);
                else
                    for (const Id x : in().operands_of(id))
                        if (const auto at = values_.find(x); at != values_.end())
                            set_mapped(x, at->second[c]);
                out().set_location_index(n.loc);
                values[c] = rewrite(id);
            }
        }
    }

    void use_copy(std::size_t c) {
        copy_ = c;
        for (const auto& [id, values] : values_) set_mapped(id, values[c]);
    }

    bool threads_;
    std::map<Id, Plan> plans_;
    std::set<Id> ordered_;                                                      // of all plans
    std::map<std::uint32_t, std::array<std::uint32_t, copies + 1>> copies_of_;  // of slots
    std::map<Id, std::array<Id, copies>> values_;  // of the loop that is unrolled
    std::size_t copy_ = copies;  // `copies`: the iterations that are left, and all else
};

}  // namespace

ir::Kernel run_unroll_jam(const ir::Kernel& kernel, PassContext& context) {
    UnrollJam pass(kernel, context.options.threads, context.decisions);
    return pass.changes() ? run_dce(run_cse(pass.run(), context), context) : kernel;
}

}  // namespace kiln::codegen
