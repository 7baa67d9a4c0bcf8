// Loops over rows take four rows at once, where a row is reduced to variables or added to a row:
//
//     for %i = a to b {                          for %i = a to a + (b - a) / 4 * 4 step 4 {
//       write r, 0                                 write r0, 0; ... write r, 0
//       for %j ... {                               for %j ... {
//         write r, r + x[%i, %j] * w[%j]    ->       write r0, r0 + x[%i, %j] * w[%j]; ...
//       }                                            write r, r + x[%i + 3, %j] * w[%j]
//       store y[%i], r                             }
//     }                                            store y[%i], r0; ... store y[%i + 3], r
//                                                }
//                                                for %i = a + (b - a) / 4 * 4 to b { as before }
//
//     for %i { for %j { g[%j] += x[%i, %j] } }
// likewise: g[%j] is loaded and stored once, and its four terms are added in the order in which
// they were.
// What rows share is loaded once for four of them, four sums do not wait for each other, and the
// cost of beginning and ending an inner loop is that of one.
//
// Legal where
//  1. the loop is serial, of step 1;
//     its body is operations, loads, reads and writes, one inner loop whose bounds are those of all
//     rows, and the same with stores;
//     the inner loop's body is operations, loads, reads, stores and writes;
//  2. arrays that are stored to after the inner loop are not loaded from, and those that it stores
//     to are only touched in it, at one element, of the inner loop's index: no two of a row meet,
//     and it does not depend on the outer index;
//  3. variables that the body writes are set before they are read by each iteration, and get a copy
//     for each row; or are only used after the inner loop;
//  4. arrays that are written overlap no others (PassOptions::noalias).
// Sums that could be reassociated keep their order where what they load goes along the outer index,
// not along the inner one: four neighbours make a vector, while lanes of one sum would be gathered.
// Worth it where the inner loop accumulates, and needs no elementary function; rows of few
// elements, whose number is a constant, stay in registers as they are.
#include "codegen/analysis/loop_facts.h"
#include "codegen/analysis/updates.h"
#include "codegen/passes/four_at_once.h"
#include "codegen/passes/pass.h"
#include "dsl/ir/effects.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

/// Rows of so many elements fit into registers.
constexpr std::int64_t few_elements = 32;

struct Rows {
    std::vector<Id> before, inside, after;
    Id inner = none;
    std::set<std::uint32_t> summed;  // arrays that the inner loop adds to
    std::set<std::uint32_t> copied;  // variables of a row
    std::set<Id> ordered;            // operations that could be reassociated, and are not
};

class Analysis {
  public:
    Analysis(const Kernel& kernel, Decisions& decisions) : k_(kernel), decisions_(decisions) {}

    std::optional<FourAtOnce> run(Id loop) const {
        if (k_.parallel(k_.nodes[loop]) != nullptr) return std::nullopt;
        const auto rows = rows_of(loop);
        if (!rows) return std::nullopt;
        return FourAtOnce{.in_step = {rows->inner},
                          .ordered = rows->ordered,
                          .own = {rows->copied.begin(), rows->copied.end()},
                          .last_leaves = true,
                          .summed = rows->summed,
                          .one_by_one = true};
    }

  private:
    std::optional<Rows> rows_of(Id loop) const {
        if (!k_.is_constant(k_.operand(loop, 2), 1)) return std::nullopt;
        Rows r;
        for (const Id id : k_.blocks[k_.nodes[loop].aux].nodes) {
            const Node& n = k_.nodes[id];
            const bool done = r.inner != none;
            if (effects_of(n).only(effect::counts) && n.kind == NodeKind::loop && !done) {
                r.inner = id;
                r.inside = k_.blocks[n.aux].nodes;
                continue;
            }
            if (!is_simple(id) || (n.kind == NodeKind::store && !done)) return std::nullopt;
            (done ? r.after : r.before).push_back(id);
        }
        const auto simple = [&](Id id) { return is_simple(id); };
        if (r.inner == none || !std::ranges::all_of(r.inside, simple) || !updates(r))
            return std::nullopt;
        if (!same_bounds(loop, r))
            return refuse(loop, "the bounds of the inner loop differ from row to row");
        if (!arrays(loop, r)) return refuse(loop, "rows may meet at an element that they store to");
        if (!variables(r)) return refuse(loop, "a row needs a variable that the one before left");
        if (!accumulates(r)) return std::nullopt;
        find_ordered(loop, r);
        decisions_.done(DecisionKind::jammed, k_.location(k_.nodes[loop].loc),
                        fmt::format("{} rows at once{}", ways,
                                    r.ordered.empty() ? "" : ", which make a vector"),
                        {{"rows", ways}});
        return r;
    }

    bool is_simple(Id id) const {
        const Node& n = k_.nodes[id];
        return effects_of(n).only(effect::accesses) &&
               !(n.kind == NodeKind::op && is_elementary(n.op));
    }

    /// Whether the value is the same in all rows, but for the inner index.
    bool same_in_rows(Id id, Id loop, const Rows& r) const {
        if (id == loop) return false;
        if (id == r.inner) return true;
        const auto has = [&](const std::vector<Id>& v) {
            return std::ranges::find(v, id) != v.end();
        };
        if (!has(r.before) && !has(r.inside)) return true;
        const Node& n = k_.nodes[id];
        return is_computation(n.kind) && std::ranges::all_of(k_.operands_of(n), [&](Id x) {
                   return same_in_rows(x, loop, r);
               });
    }

    bool same_bounds(Id loop, const Rows& r) const {
        const auto bounds = k_.operands_of(r.inner);
        return std::ranges::all_of(bounds, [&](Id x) {
            return x != loop && std::ranges::find(r.before, x) == r.before.end();
        });
    }

    /// Condition 2.
    bool arrays(Id loop, Rows& r) const {
        std::map<std::uint32_t, std::vector<Id>> touched;
        for (const auto* nodes : {&r.before, &r.inside, &r.after})
            for (const Id id : *nodes) {
                const Node& n = k_.nodes[id];
                if (effects_of(n).array != none) touched[n.aux].push_back(id);
            }
        const auto in_loop = [&](Id id) {
            return std::ranges::find(r.inside, id) != r.inside.end();
        };
        for (const auto& [array, all] : touched) {
            const auto is_store = [&](Id id) { return k_.nodes[id].kind == NodeKind::store; };
            const auto store = std::ranges::find_if(all, is_store);
            if (store == all.end()) continue;
            if (!in_loop(*store)) {
                if (!std::ranges::all_of(all, [&](Id id) { return is_store(id) && !in_loop(id); }))
                    return false;
                continue;
            }
            if (std::ranges::count_if(all, is_store) != 1) return false;
            const auto at = subscripts_of(k_, *store);
            for (const Id id : all)
                if (!in_loop(id) || !std::ranges::equal(subscripts_of(k_, id), at)) return false;
            if (std::ranges::find(at, r.inner) == at.end() ||
                !std::ranges::all_of(at, [&](Id x) { return same_in_rows(x, loop, r); }))
                return false;
            r.summed.insert(array);
        }
        return true;
    }

    /// Condition 3.
    bool variables(Rows& r) const {
        std::set<std::uint32_t> written, used_early, set_first;
        for (const auto* nodes : {&r.before, &r.inside, &r.after})
            for (const Id id : *nodes) {
                const Node& n = k_.nodes[id];
                if (effects_of(n).slot == none) continue;
                const bool early = nodes != &r.after;
                if (n.kind == NodeKind::write) {
                    written.insert(n.aux);
                    const bool single = k_.slots[n.aux].length == 1;
                    if (nodes == &r.before && single && !used_early.contains(n.aux))
                        set_first.insert(n.aux);
                }
                if (early) used_early.insert(n.aux);
            }
        for (const std::uint32_t s : written) {
            if (set_first.contains(s))
                r.copied.insert(s);
            else if (used_early.contains(s))
                return false;
        }
        return true;
    }

    std::nullopt_t refuse(Id loop, const char* reason) const {
        decisions_.refused(DecisionKind::jammed, k_.location(k_.nodes[loop].loc), reason);
        return std::nullopt;
    }
    /// Whether the inner loop has the look of one that accumulates.
    bool updates(const Rows& r) const {
        return std::ranges::any_of(r.inside, [&](Id id) {
            const Node& n = k_.nodes[id];
            if (n.kind == NodeKind::write) return update_of(k_, id).has_value();
            if (n.kind != NodeKind::store) return false;
            return std::ranges::any_of(r.inside, [&](Id load) {
                const Node& l = k_.nodes[load];
                return l.kind == NodeKind::load && l.aux == n.aux;
            });
        });
    }

    void find_ordered(Id loop, Rows& r) const {
        if (std::ranges::none_of(r.inside, [&](Id id) {
                return k_.nodes[id].kind == NodeKind::load && runs_across(k_, id, r.inner, loop);
            }))
            return;
        for (const Id id : r.inside) {
            if (k_.nodes[id].kind != NodeKind::write) continue;
            const auto update = update_of(k_, id);
            if (update && (k_.nodes[update->op].fast & fast::reassoc) != 0)
                r.ordered.insert(update->op);
        }
    }

    bool accumulates(const Rows& r) const {
        // Lanes sum by the same tree for four rows as for one as long as bodies are simple.
        constexpr std::ptrdiff_t few_operations = 5;
        const auto operations = std::ranges::count_if(
            r.inside, [&](Id id) { return k_.nodes[id].kind == NodeKind::op; });
        if (!r.copied.empty() && operations > few_operations) return false;
        if (!r.summed.empty()) return !is_short(k_, r.inner, few_elements);
        return std::ranges::any_of(r.inside, [&](Id id) {
            return k_.nodes[id].kind == NodeKind::write && r.copied.contains(k_.nodes[id].aux) &&
                   update_of(k_, id).has_value();
        });
    }

    const Kernel& k_;
    Decisions& decisions_;
};

}  // namespace

ir::Kernel run_jam(const ir::Kernel& kernel, PassContext& context) {
    FourAtOncePlan plan;
    const Analysis analysis(kernel, context.decisions);
    visit_loops(kernel, [&](Id loop) {
        auto four = analysis.run(loop);
        if (four) plan.loops.emplace(loop, std::move(*four));
        return four.has_value();
    });
    return plan.changes() ? take_four_at_once(kernel, plan) : kernel;
}

}  // namespace kiln::codegen
