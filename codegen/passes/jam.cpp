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
#include "codegen/passes/pass.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/rewrite.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

constexpr std::int64_t rows_at_once = ways;
/// Rows of so many elements fit into registers.
constexpr std::int64_t few_elements = 32;

struct Rows {
    std::vector<Id> before, inside, after;
    Id inner = none;
    std::set<std::uint32_t> summed;  // arrays that the inner loop adds to
    std::set<std::uint32_t> copied;  // variables of a row
    std::set<Id> ordered;            // operations that could be reassociated, and are not
};

class Jam final : public Rewriter {
  public:
    Jam(const Kernel& in, Decisions& decisions) : Rewriter(in), decisions_(decisions) {}

  private:
    Id rewrite(Id old) override {
        const Node& n = in().node(old);
        if (n.kind == NodeKind::loop && n.aux2 == none)
            if (const auto rows = rows_of(old)) return emit(old, *rows);
        return clone_row(old);
    }

    /// Within a row: its variables, and what was stored to the arrays that rows are added to.
    Id clone_row(Id old) {
        const Node& n = in().node(old);
        if (n.kind == NodeKind::read || n.kind == NodeKind::write) {
            const auto slot = slots_.find(n.aux);
            if (slot == slots_.end()) return clone(old);
            if (n.kind == NodeKind::read) return out().read(slot->second);
            out().write(slot->second, mapped(in().operand(old, 0)));
            return none;
        }
        if (ordered_.contains(old)) {
            const Id operands[] = {mapped(in().operand(old, 0)), mapped(in().operand(old, 1))};
            return out().op(n.op, n.dtype, operands, ordered_flags(n.fast), n.weak);
        }
        if (n.kind == NodeKind::load)
            if (const auto value = stored_.find(n.aux); value != stored_.end())
                return value->second;
        if (n.kind == NodeKind::store && !last_row_ && summed_.contains(n.aux)) {
            stored_[n.aux] = mapped(in().operands_of(n).back());
            return none;
        }
        if (n.kind == NodeKind::store && summed_.contains(n.aux)) {
            clone(old);
            stored_[n.aux] = mapped(in().operands_of(n).back());
            return none;
        }
        return clone(old);
    }

    // --- analysis ---

    std::optional<Rows> rows_of(Id loop) const {
        if (!in().is_constant(in().operand(loop, 2), 1)) return std::nullopt;
        Rows r;
        for (const Id id : in().blocks[in().node(loop).aux].nodes) {
            const Node& n = in().node(id);
            const bool done = r.inner != none;
            if (effects_of(n).only(effect::counts) && n.kind == NodeKind::loop && !done) {
                r.inner = id;
                r.inside = in().blocks[n.aux].nodes;
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
        decisions_.done(DecisionKind::jammed, in().location(in().node(loop).loc),
                        fmt::format("{} rows at once{}", rows_at_once,
                                    r.ordered.empty() ? "" : ", which make a vector"),
                        {{"rows", rows_at_once}});
        return r;
    }

    bool is_simple(Id id) const {
        const Node& n = in().node(id);
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
        const Node& n = in().node(id);
        return is_computation(n.kind) && std::ranges::all_of(in().operands_of(n), [&](Id x) {
                   return same_in_rows(x, loop, r);
               });
    }

    bool same_bounds(Id loop, const Rows& r) const {
        const auto bounds = in().operands_of(r.inner);
        return std::ranges::all_of(bounds, [&](Id x) {
            return x != loop && std::ranges::find(r.before, x) == r.before.end();
        });
    }

    std::span<const Id> subscripts(const Node& n) const { return subscripts_of(in(), n); }

    /// Condition 2.
    bool arrays(Id loop, Rows& r) const {
        std::map<std::uint32_t, std::vector<Id>> touched;
        for (const auto* nodes : {&r.before, &r.inside, &r.after})
            for (const Id id : *nodes) {
                const Node& n = in().node(id);
                if (effects_of(n).array != none) touched[n.aux].push_back(id);
            }
        const auto in_loop = [&](Id id) {
            return std::ranges::find(r.inside, id) != r.inside.end();
        };
        for (const auto& [array, all] : touched) {
            const auto is_store = [&](Id id) { return in().node(id).kind == NodeKind::store; };
            const auto store = std::ranges::find_if(all, is_store);
            if (store == all.end()) continue;
            if (!in_loop(*store)) {
                if (!std::ranges::all_of(all, [&](Id id) { return is_store(id) && !in_loop(id); }))
                    return false;
                continue;
            }
            if (std::ranges::count_if(all, is_store) != 1) return false;
            const auto at = subscripts(in().node(*store));
            for (const Id id : all)
                if (!in_loop(id) || !std::ranges::equal(subscripts(in().node(id)), at))
                    return false;
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
                const Node& n = in().node(id);
                if (effects_of(n).slot == none) continue;
                const bool early = nodes != &r.after;
                if (n.kind == NodeKind::write) {
                    written.insert(n.aux);
                    const bool single = in().slots[n.aux].length == 1;
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
        decisions_.refused(DecisionKind::jammed, in().location(in().node(loop).loc), reason);
        return std::nullopt;
    }
    /// Whether the inner loop has the look of one that accumulates.
    bool updates(const Rows& r) const {
        return std::ranges::any_of(r.inside, [&](Id id) {
            const Node& n = in().node(id);
            if (n.kind == NodeKind::write) return update_of(in(), id).has_value();
            if (n.kind != NodeKind::store) return false;
            return std::ranges::any_of(r.inside, [&](Id load) {
                const Node& l = in().node(load);
                return l.kind == NodeKind::load && l.aux == n.aux;
            });
        });
    }

    void find_ordered(Id loop, Rows& r) const {
        if (std::ranges::none_of(r.inside, [&](Id id) {
                return in().node(id).kind == NodeKind::load && runs_across(in(), id, r.inner, loop);
            }))
            return;
        for (const Id id : r.inside) {
            if (in().node(id).kind != NodeKind::write) continue;
            const auto update = update_of(in(), id);
            if (update && (in().node(update->op).fast & fast::reassoc) != 0)
                r.ordered.insert(update->op);
        }
    }

    bool accumulates(const Rows& r) const {
        // Lanes sum by the same tree for four rows as for one as long as bodies are simple.
        constexpr std::ptrdiff_t few_operations = 5;
        const auto operations = std::ranges::count_if(
            r.inside, [&](Id id) { return in().node(id).kind == NodeKind::op; });
        if (!r.copied.empty() && operations > few_operations) return false;
        if (!r.summed.empty()) return !is_short(in(), r.inner, few_elements);
        return std::ranges::any_of(r.inside, [&](Id id) {
            return in().node(id).kind == NodeKind::write && r.copied.contains(in().node(id).aux) &&
                   update_of(in(), id).has_value();
        });
    }

    // --- the new loops ---

    Id op(Op o, Id a, Id b) {
        const Id operands[] = {a, b};
        return out().op(o, DType::i64, operands, 0);
    }

    /// What a row's nodes are mapped to.
    struct Row {
        std::map<Id, Id> values;
        std::map<std::uint32_t, std::uint32_t> slots;
    };

    void clone_nodes(const std::vector<Id>& nodes, Row& row, bool last) {
        for (const auto& [old, value] : row.values) set_mapped(old, value);
        slots_ = row.slots;
        last_row_ = last;
        for (const Id id : nodes) {
            out().set_location_index(in().node(id).loc);
            const Id value = clone_row(id);
            set_mapped(id, value);
            row.values[id] = value;
        }
        slots_.clear();
    }

    Id emit(Id loop, const Rows& r) {
        ordered_ = r.ordered;
        const Id begin = mapped(in().operand(loop, 0)), end = mapped(in().operand(loop, 1));
        const auto i64 = [&](std::int64_t x) { return out().constant_i64(x); };
        const Id trip = op(Op::maximum, op(Op::sub, end, begin), i64(0));
        const Id middle = op(Op::add, begin, op(Op::bit_and, trip, i64(-rows_at_once)));
        const Id first = out().begin_loop(begin, middle, i64(rows_at_once));
        std::vector<Row> rows(rows_at_once);
        for (std::size_t q = 0; q < rows.size(); ++q) {
            rows[q].values[loop] =
                q == 0 ? first : op(Op::add, first, i64(static_cast<std::int64_t>(q)));
            for (const std::uint32_t s : r.copied)  // the last row leaves its values
                rows[q].slots[s] = q + 1 == rows.size() ? s : out().add_slot(in().slots[s]);
        }
        const auto all = [&](const std::vector<Id>& nodes) {
            for (std::size_t q = 0; q < rows.size(); ++q)
                clone_nodes(nodes, rows[q], q + 1 == rows.size());
        };
        all(r.before);
        out().set_location_index(in().node(r.inner).loc);
        std::array<Id, 3> bounds;
        for (std::size_t i = 0; i < 3; ++i) bounds[i] = mapped(in().operand(r.inner, i));
        const Id inner = out().begin_loop(bounds[0], bounds[1], bounds[2]);
        for (Row& row : rows) row.values[r.inner] = inner;
        summed_ = r.summed;
        all(r.inside);
        stored_.clear();
        summed_.clear();
        out().end();
        all(r.after);
        out().end();

        out().set_location_index(in().node(loop).loc);
        const Id left = out().begin_loop(middle, end, i64(1));
        Row row;
        row.values[loop] = left;
        clone_nodes(r.before, row, true);
        out().set_location_index(in().node(r.inner).loc);
        row.values[r.inner] = out().begin_loop(bounds[0], bounds[1], bounds[2]);
        clone_nodes(r.inside, row, true);
        out().end();
        clone_nodes(r.after, row, true);
        out().end();
        return none;
    }

    Decisions& decisions_;
    std::set<Id> ordered_;  // of the rows that are being taken four at once
    // Of the row that is being cloned.
    std::map<std::uint32_t, std::uint32_t> slots_;  // variables that have a copy for each row
    std::set<std::uint32_t> summed_;                // arrays that rows are added to
    std::map<std::uint32_t, Id> stored_;            // their element's value so far
    bool last_row_ = false;
};

}  // namespace

ir::Kernel run_jam(const ir::Kernel& kernel, PassContext& context) {
    return Jam(kernel, context.decisions).run();
}

}  // namespace kiln::codegen
