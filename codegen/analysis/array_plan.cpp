#include "codegen/analysis/array_plan.h"

#include "codegen/trees.h"
#include "dsl/ir/dispatch.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace kiln::codegen {

using namespace ir;

ArrayPlan::ArrayPlan(const Kernel& kernel, bool overlap)
    : k_(kernel),
      overlap_(overlap),
      place_(kernel.nodes.size(), 0),
      loop_(kernel.nodes.size(), no_loop),
      in_parallel_(kernel.nodes.size(), false),
      in_place_(kernel.nodes.size(), false),
      stored_(kernel.nodes.size(), false),
      reached_by_(kernel.nodes.size()) {
    has_arrays_ = std::ranges::any_of(kernel.nodes, [&](const Node& n) {
        return n.kind == NodeKind::assign || n.kind == NodeKind::whole;
    });
    if (!has_arrays_) return;
    for (const Stage& stage : kernel.stages) number(stage.body, no_loop, false);
    find_in_place();
    for (std::uint32_t s = 0; s < statements_.size(); ++s)
        reach(k_.operands_of(statements_[s]).back(), s);
    find_shared();
    for (const Id statement : statements_) {
        std::set<Id> seen;
        find_stale(k_.operands_of(statement).back(), statement, seen);
    }
    for (Id id = 0; id < k_.nodes.size(); ++id)
        if (stored_[id] && k_.nodes[id].kind == NodeKind::op) {
            std::set<Id> seen;
            for (const Id operand : k_.operands_of(id)) find_stale(operand, id, seen);
        }
}

void ArrayPlan::number(Id block, std::uint32_t loop, bool parallel) {
    for (const Id id : k_.blocks[block].nodes) {
        const Node& n = k_.nodes[id];
        place_[id] = next_place_++;
        loop_[id] = loop;
        in_parallel_[id] = parallel;
        if (effects_of(n).any(effect::stores)) writes_.push_back({place_[id], n.aux});
        if (n.kind == NodeKind::assign || n.kind == NodeKind::fold) statements_.push_back(id);
        const bool repeats = is_loop(n.kind);
        std::uint32_t inner = loop;
        if (repeats) {
            inner = static_cast<std::uint32_t>(loops_.size());
            loops_.push_back({loop, place_[id], 0});
        }
        const bool runs_parallel = parallel || effects_of(n).any(effect::in_parallel);
        for (const Id b : blocks_of(n)) number(b, inner, runs_parallel);
        if (repeats) loops_[inner].last = next_place_;
    }
}

void ArrayPlan::find_in_place() {
    constexpr Id several = none - 1;
    std::vector<Id> user(k_.nodes.size(), none);
    for (Id id = 0; id < k_.nodes.size(); ++id)
        for (const Id operand : k_.operands_of(id))
            user[operand] = user[operand] == none ? id : several;
    for (Id id = 0; id < k_.nodes.size(); ++id)
        if (in_parallel_[id] && k_.nodes[id].kind == NodeKind::fold && k_.nodes[id].rank != 0) {
            const std::string_view why = why_kept(id, user);
            in_place_[id] = why.empty();
            if (!why.empty()) why_kept_[id] = why;
        }
}

/// The extent of an axis of an array value where that is a constant, else 0.
std::int64_t ArrayPlan::constant_extent(Id id, unsigned axis) const {
    const Node& n = k_.nodes[id];
    constexpr auto in_values = effect::loads | effect::all_elements;
    return dispatch<in_values>(
        n,
        Handlers{
            [&](Of<NodeKind::whole>) {
                for (unsigned d = 0, at = 0; 3 * d < n.operand_count; ++d) {
                    if ((n.imm >> d & 1) != 0 || at++ != axis) continue;
                    const Id extent = k_.operand(id, 3 * d + 2);
                    const bool known = k_.nodes[extent].kind == NodeKind::constant;
                    return known ? k_.constant(extent).get<std::int64_t>() : 0;
                }
                return std::int64_t(0);
            },
            [&](Of<NodeKind::permute>) {
                const std::uint64_t from = n.imm >> (4 * axis) & 15;
                return from == new_axis
                           ? 1
                           : constant_extent(k_.operand(id, 0), static_cast<unsigned>(from));
            },
            [&](Of<NodeKind::op, NodeKind::cast>) {
                bool ones = true;  // or what is equal, as a check makes sure
                for (const Id operand : k_.operands_of(id)) {
                    const unsigned before = n.rank - k_.nodes[operand].rank;
                    if (axis < before) continue;
                    const std::int64_t own = constant_extent(operand, axis - before);
                    if (own > 1) return own;
                    ones = ones && own == 1;
                }
                return std::int64_t(ones ? 1 : 0);
            },
            [](Of<NodeKind::fold>) { return std::int64_t(0); },
            [](Leaf) { return std::int64_t(1); },  // those of rank 0 repeat
            [](Of<NodeKind::load, NodeKind::call_pure>) { return std::int64_t(1); },
        },
        [](const NodeInfo& kind) { throw std::logic_error(std::string(kind.word)); });
}

/// Whether the reduction combines so few elements that these are added one after the other in
/// whatever way it is computed.
bool ArrayPlan::is_short(Id fold) const {
    const Node& n = k_.nodes[fold];
    const Id operand = k_.operand(fold, 0);
    std::int64_t elements = 1;
    for (unsigned d = 0; d < k_.nodes[operand].rank; ++d) {
        if ((n.imm >> d & 1) == 0) continue;
        const std::int64_t extent = constant_extent(operand, d);
        if (extent < 1 || extent > tree::group_rows) return false;
        elements *= extent;
    }
    return elements <= tree::group_rows;
}

/// Why the reduction is not computed where it is consumed, or nothing: it keeps its outer axes or is
/// short, and one assignment takes each element once, or repeats it along inner axes, in front of
/// whose loops it is computed. `user`: per node, what uses it, if that is one node.
std::string_view ArrayPlan::why_kept(Id fold, const std::vector<Id>& user) const {
    constexpr std::string_view repeated = "its elements are taken more than once, or out of order";
    const Node& n = k_.nodes[fold];
    const std::uint64_t outer = (std::uint64_t(1) << n.rank) - 1;
    if ((n.imm & outer) != 0 && !is_short(fold))
        return "its axes are outer ones, and not known to have 16 elements or less";
    unsigned rank = n.rank;
    for (Id id = user[fold]; id < k_.nodes.size(); id = user[id]) {
        const Node& at = k_.nodes[id];
        if (at.kind == NodeKind::assign) {
            if (k_.params[at.aux].rank - static_cast<unsigned>(std::popcount(at.imm)) != rank)
                return repeated;
            return loop_[id] == loop_[fold] ? "" : "a loop takes it";
        }
        if (at.kind == NodeKind::permute) {
            for (unsigned d = 0; d < rank; ++d)
                if ((at.imm >> (4 * d) & 15) != d) return repeated;
            rank = at.rank;
        } else if (!is_computation(at.kind)) {
            return "it is not taken by an assignment";
        } else if (at.rank != rank) {
            return repeated;
        }
    }
    return "it is not taken once";
}

/// Whether the value is computed by its consumers.
bool ArrayPlan::deferred(Id id) const {
    const Node& n = k_.nodes[id];
    if (n.rank == 0) return false;
    return n.kind == NodeKind::op || n.kind == NodeKind::cast || n.kind == NodeKind::permute ||
           (n.kind == NodeKind::fold && in_place_[id]);
}

void ArrayPlan::reach(Id value, std::uint32_t statement) {
    if (!deferred(value) || !reached_by_[value].insert(statement).second) return;
    for (const Id operand : k_.operands_of(value)) reach(operand, statement);
}

bool ArrayPlan::costly(Id id, std::set<Id>& seen) const {
    const Node& n = k_.nodes[id];
    if (!deferred(id) || stored_[id] || !seen.insert(id).second) return false;
    const bool slow = n.kind == NodeKind::op &&
                      (is_elementary(n.op) || n.op == Op::div || n.op == Op::true_divide ||
                       n.op == Op::sqrt || n.op == Op::mod || n.op == Op::floor_divide);
    if (slow) return true;
    const auto operands = k_.operands_of(id);
    return std::ranges::any_of(operands, [&](Id x) { return costly(x, seen); });
}

/// The outermost values that several statements reach by different ways, and those that are
/// repeated along axes in front of their own.
void ArrayPlan::find_shared() {
    std::vector<bool> inner(k_.nodes.size(), false);  // a user of the same statements has it
    for (Id id = 0; id < k_.nodes.size(); ++id) {
        if (!deferred(id)) continue;
        for (const Id operand : k_.operands_of(id))
            if (reached_by_[operand] == reached_by_[id]) inner[operand] = true;
    }
    for (Id id = 0; id < k_.nodes.size(); ++id) {
        const Node& n = k_.nodes[id];
        if (n.kind == NodeKind::op && !inner[id] && reached_by_[id].size() > 1) store_costly(id);
        if (n.kind == NodeKind::op)
            for (const Id operand : k_.operands_of(id)) store_repeated(operand, n.rank);
        if (n.kind == NodeKind::assign)
            store_repeated(k_.operands_of(id).back(),
                           k_.params[n.aux].rank - static_cast<unsigned>(std::popcount(n.imm)));
    }
}

/// A value that is used with `rank` axes.
void ArrayPlan::store_repeated(Id value, unsigned rank) {
    bool repeats = k_.nodes[value].rank < rank;
    if (k_.nodes[value].kind == NodeKind::permute) {
        repeats = repeats || (k_.nodes[value].imm & 15) == new_axis;
        value = k_.operand(value, 0);
    }
    if (repeats && k_.nodes[value].kind == NodeKind::op && deferred(value)) store_costly(value);
}

void ArrayPlan::store_costly(Id value) {
    std::set<Id> seen;
    stored_[value] = stored_[value] || costly(value, seen);
}

void ArrayPlan::find_stale(Id value, Id consumer, std::set<Id>& seen) {
    const Node& n = k_.nodes[value];
    if (n.rank == 0 || stored_[value] || !seen.insert(value).second) return;
    if (n.kind == NodeKind::whole) {
        if (stale(value, consumer)) stored_[value] = true;
    } else if (deferred(value)) {
        for (const Id operand : k_.operands_of(value)) find_stale(operand, consumer, seen);
    }
}

bool ArrayPlan::stale(Id whole, Id consumer) const {
    const std::uint32_t from = place_[whole];
    std::uint32_t to = place_[consumer];
    for (std::uint32_t l = loop_[consumer]; l != no_loop; l = loops_[l].parent)
        if (from < loops_[l].first) to = std::max(to, loops_[l].last);
    const auto argument = [&](std::uint32_t p) { return !is_made_by_kernel(k_.params[p].access); };
    const std::uint32_t param = k_.nodes[whole].aux;
    return std::ranges::any_of(writes_, [&](const Write& w) {
        return from < w.place && w.place < to &&
               (w.param == param || (overlap_ && argument(w.param) && argument(param)));
    });
}

}  // namespace kiln::codegen
