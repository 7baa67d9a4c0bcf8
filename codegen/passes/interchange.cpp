// Perfect nests of loops run in the order of memory:
//
//     for %k = 0 to extent(a, 2) {                for %i = 0 to extent(a, 0) {
//       for %j = 0 to extent(a, 1) {                for %j = 0 to extent(a, 1) {
//         for %i = 0 to extent(a, 0) {    ->          for %k = 0 to extent(a, 2) {
//           a[%i, %j, %k] += 2                          a[%i, %j, %k] += 2
//
// The order is that of the axes of C-ordered arrays: loops whose indices stand in the last
// subscripts come last. Legal where
//  1. the bounds of the loops do not depend on each other, and between their heads stand pure
//     operations only;
//  2. no jump leaves the body for one of the loops, nothing in it is atomic, and variables from
//     outside are only read;
//  3. in every array that is stored to, all accesses have the same subscripts, each of which is one
//     of the indices, or one plus or minus something that the nest does not change: then only
//     iterations that differ in the loops without a subscript meet at an element, and those keep
//     their order, as long as there is one such loop at most;
//  4. arrays that are written overlap no others (PassOptions::noalias);
//  5. if the outermost loop is parallel: it has no reductions, and all loops have a subscript in
//     every array that is stored to, so that any of them may be parallel.
#include "codegen/passes/pass.h"
#include "dsl/ir/rewrite.h"

#include <algorithm>
#include <optional>

namespace kiln::codegen {
namespace {

using namespace ir;

/// A nest: loops from outside to inside, what stands between their heads, the innermost body.
struct Nest {
    std::vector<Id> loops;
    std::vector<Id> between;
    Id body = none;
};

class Interchange : public Rewriter {
  public:
    explicit Interchange(const Kernel& in) : Rewriter(in) {}

  private:
    Id rewrite(Id old) override {
        if (in().node(old).kind != NodeKind::loop) return clone(old);
        const Nest nest = nest_at(old);
        if (nest.loops.size() < 2) return clone(old);
        const auto order = better_order(nest);
        if (!order) return clone(old);
        const ParallelLoop* parallel = in().parallel(in().node(old));
        std::vector<std::array<Id, 3>> bounds;
        for (const Id loop : *order)
            bounds.push_back({mapped(in().operand(loop, 0)), mapped(in().operand(loop, 1)),
                              mapped(in().operand(loop, 2))});
        for (std::size_t i = 0; i < order->size(); ++i) {
            out().set_location_index(in().node((*order)[i]).loc);
            const auto& [begin, end, step] = bounds[i];
            set_mapped((*order)[i], i == 0 && parallel != nullptr
                                        ? out().begin_parallel_loop(begin, end, step, *parallel)
                                        : out().begin_loop(begin, end, step));
        }
        for (const Id id : nest.between) {
            out().set_location_index(in().node(id).loc);
            set_mapped(id, clone(id));
        }
        clone_block(nest.body);
        for (std::size_t i = 0; i < order->size(); ++i) out().end();
        return mapped(old);
    }

    /// The loops that are nested perfectly from `loop` on.
    Nest nest_at(Id loop) const {
        Nest nest;
        for (;;) {
            nest.loops.push_back(loop);
            nest.body = in().node(loop).aux;
            std::vector<Id> pure;
            Id inner = none;
            for (const Id id : in().blocks[nest.body].nodes) {
                const Node& n = in().node(id);
                if (n.kind == NodeKind::loop && n.aux2 == none && inner == none)
                    inner = id;
                else if ((n.kind == NodeKind::op || n.kind == NodeKind::cast) && inner == none)
                    pure.push_back(id);
                else
                    return nest;
            }
            if (inner == none) return nest;
            for (const Id bound : in().operands_of(inner))
                if (!from_outside(bound, nest, pure)) return nest;
            nest.between.insert(nest.between.end(), pure.begin(), pure.end());
            loop = inner;
        }
    }

    static bool from_outside(Id id, const Nest& nest, const std::vector<Id>& pure) {
        const auto in = [&](const std::vector<Id>& ids) {
            return std::ranges::find(ids, id) != ids.end();
        };
        return !in(nest.loops) && !in(nest.between) && !in(pure);
    }

    /// What the conditions and the costs are found from.
    struct Accesses {
        std::vector<Id> all, stores;
        std::vector<bool> inside;  // per node
        bool legal = true;
    };

    void collect(Id block, bool in_loop, Accesses& a) const {
        for (const Id id : in().blocks[block].nodes) {
            const Node& n = in().node(id);
            a.inside[id] = true;
            switch (n.kind) {
                case NodeKind::op:
                case NodeKind::cast:
                case NodeKind::call_pure:
                case NodeKind::read:
                case NodeKind::write: break;
                case NodeKind::load: a.all.push_back(id); break;
                case NodeKind::store:
                    a.all.push_back(id);
                    a.stores.push_back(id);
                    break;
                case NodeKind::branch:
                    collect(n.aux, in_loop, a);
                    if (n.aux2 != none) collect(n.aux2, in_loop, a);
                    break;
                case NodeKind::loop:
                    if (n.aux2 != none) a.legal = false;
                    collect(n.aux, true, a);
                    break;
                case NodeKind::loop_while:
                    collect(n.aux, true, a);
                    collect(n.aux2, true, a);
                    break;
                case NodeKind::break_:
                case NodeKind::continue_: a.legal = a.legal && in_loop; break;
                default: a.legal = false;
            }
        }
    }

    std::span<const Id> subscripts(Id access) const {
        const auto operands = in().operands_of(access);
        return in().node(access).kind == NodeKind::load ? operands
                                                        : operands.first(operands.size() - 1);
    }

    /// The loop of the nest (its place in it) whose index, plus or minus something fixed, a
    /// subscript is; nothing for other expressions, -1 for what the nest does not change.
    std::optional<int> loop_of(Id id, const Nest& nest, const Accesses& a) const {
        const auto at = std::ranges::find(nest.loops, id);
        if (at != nest.loops.end()) return static_cast<int>(at - nest.loops.begin());
        const Node& n = in().node(id);
        const bool between = std::ranges::find(nest.between, id) != nest.between.end();
        if (is_leaf(n.kind) || (!a.inside[id] && !between)) return -1;
        if (n.kind != NodeKind::op || (n.op != Op::add && n.op != Op::sub)) return std::nullopt;
        const auto x = loop_of(in().operand(id, 0), nest, a);
        const auto y = loop_of(in().operand(id, 1), nest, a);
        if (!x || !y || (*x >= 0 && *y >= 0)) return std::nullopt;
        return std::max(*x, *y);
    }

    /// The loops in the order of memory, if that is another one and legal.
    std::optional<std::vector<Id>> better_order(const Nest& nest) const {
        Accesses a;
        a.inside.assign(in().nodes.size(), false);
        collect(nest.body, false, a);
        if (!a.legal || a.stores.empty() || !keeps_variables(a) || !accesses_agree(nest, a))
            return std::nullopt;
        // How far from the last subscript the index of each loop stands, summed up.
        std::vector<int> distance(nest.loops.size(), 0);
        for (const Id access : a.all) {
            if (in().params[in().node(access).aux].layout != Layout::unit) return std::nullopt;
            const auto at = subscripts(access);
            for (std::size_t d = 0; d < at.size(); ++d)
                if (const auto loop = loop_of(at[d], nest, a); loop && *loop >= 0)
                    distance[static_cast<std::size_t>(*loop)] +=
                        static_cast<int>(at.size() - 1 - d);
        }
        std::vector<std::size_t> order(nest.loops.size());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
        // Loops that are as far stay as they are.
        std::ranges::sort(order, [&](std::size_t x, std::size_t y) {
            return distance[x] != distance[y] ? distance[x] > distance[y] : x < y;
        });
        if (std::ranges::is_sorted(order)) return std::nullopt;
        std::vector<Id> loops;
        for (const std::size_t i : order) loops.push_back(nest.loops[i]);
        return loops;
    }

    /// Condition 2: variables that the body writes are its own.
    bool keeps_variables(const Accesses& a) const {
        std::vector<bool> written(in().slots.size(), false), outside(in().slots.size(), false);
        for (Id id = 0; id < in().nodes.size(); ++id) {
            const Node& n = in().node(id);
            if (n.kind != NodeKind::read && n.kind != NodeKind::write) continue;
            if (a.inside[id] && n.kind == NodeKind::write) written[n.aux] = true;
            if (!a.inside[id]) outside[n.aux] = true;
        }
        for (std::size_t s = 0; s < written.size(); ++s)
            if (written[s] && outside[s]) return false;
        return true;
    }

    /// Conditions 3 and 5.
    bool accesses_agree(const Nest& nest, const Accesses& a) const {
        const ParallelLoop* parallel = in().parallel(in().node(nest.loops[0]));
        if (parallel != nullptr && !parallel->reductions.empty()) return false;
        for (const Id store : a.stores) {
            const auto at = subscripts(store);
            for (const Id other : a.all)
                if (in().node(other).aux == in().node(store).aux &&
                    !std::ranges::equal(subscripts(other), at))
                    return false;
            std::vector<bool> has(nest.loops.size(), false);
            for (const Id subscript : at) {
                const auto loop = loop_of(subscript, nest, a);
                if (!loop) return false;
                if (*loop >= 0) has[static_cast<std::size_t>(*loop)] = true;
            }
            const auto absent = std::ranges::count(has, false);
            if (absent > (parallel != nullptr ? 0 : 1)) return false;
        }
        return true;
    }
};

}  // namespace

ir::Kernel run_interchange(const ir::Kernel& kernel, PassContext&) {
    return Interchange(kernel).run();
}

}  // namespace kiln::codegen
