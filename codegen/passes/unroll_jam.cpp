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
// Where such a loop only accumulates and has conditions, it holds one iteration of the loop around
// after the other, so that one mask is needed at a time.
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
#include "codegen/passes/four_at_once.h"
#include "codegen/passes/pass.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

/// Four times as much code as this is too much to compile.
constexpr std::size_t most_nodes = 160;
/// Fewer iterations of a parallel loop than this are dealt out to threads one by one.
constexpr std::int64_t enough_for_threads = 128;

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
    Analysis(const Kernel& kernel, const SlotOwners& owners, Id loop, Decisions& decisions)
        : k_(kernel),
          owners_(owners),
          loop_(loop),
          decisions_(decisions),
          varies_(kernel.nodes.size(), false) {}

    std::optional<FourAtOnce> run() {
        const Node& n = k_.nodes[loop_];
        if (!k_.is_constant(k_.operand(loop_, 2), 1) || (n.fast & loop_flag::remainder) != 0)
            return std::nullopt;
        if (const ParallelLoop* p = k_.parallel(n);
            p != nullptr &&
            (p->schedule != Schedule::automatic || !p->reductions.empty() || !p->arrays.empty()))
            return std::nullopt;
        if (!collect(n.aux) || nodes_.size() > most_nodes) return std::nullopt;
        auto slots = private_slots(k_, owners_, loop_);
        if (!slots) return std::nullopt;
        plan_.own = std::move(*slots);
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
                                   std::ranges::find(plan_.own, n.aux) != plan_.own.end()) ||
                                  (n.kind == NodeKind::load && stored_.contains(n.aux));
            varies_[id] = by_operand || by_state;
        }
    }

    bool worth_it(Id loop) {
        const auto& body = k_.blocks[k_.nodes[loop].aux].nodes;
        bool chain = false, slow = false, stores = false, accumulates = false, across = false,
             masks = false, any_stores = false;
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
            masks = masks || (n.kind == NodeKind::op && is_bool(n.dtype));
            if (e.any(effect::loads) && moves.contains(id)) {
                ++loads;
                shared += varies_[id] ? 0 : 1;
                across = across || runs_across(k_, id, loop, loop_);
            }
            if (e.any(effect::stores)) {
                const auto op = in_place_update(k_, body, id, moves);
                any_stores = true;
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
        if (masks && accumulates && !chain && !any_stores) plan_.in_turn.insert(loop);
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
    const SlotOwners& owners_;
    Id loop_;
    Decisions& decisions_;
    std::vector<Id> nodes_;  // of the body, in the order of the text
    std::set<std::uint32_t> stored_;
    std::vector<bool> varies_;  // per node: differs from iteration to iteration
    FourAtOnce plan_;
};

}  // namespace

ir::Kernel run_unroll_jam(const ir::Kernel& kernel, PassContext& context) {
    FourAtOncePlan plan;
    plan.enough_for_threads = context.options.threads ? enough_for_threads : 0;
    visit_loops(kernel, [&](Id loop) {
        find_chains_through_memory(kernel, loop, plan.ordered);
        return false;
    });
    const SlotOwners owners(kernel);
    visit_loops(kernel, [&](Id loop) {
        auto four = Analysis(kernel, owners, loop, context.decisions).run();
        if (four) plan.loops.emplace(loop, std::move(*four));
        return four.has_value();
    });
    if (!plan.changes()) return kernel;
    PassContext quiet;  // copies of one load are no news to the user
    quiet.options = context.options;
    return run_dce(run_cse(take_four_at_once(kernel, plan), quiet), quiet);
}

}  // namespace kiln::codegen
