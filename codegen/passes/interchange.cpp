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
//  5. if the outermost loop is parallel: it has no reductions, and its index is in every array that
//     is stored to. Where the loop that comes first has a subscript there too, that one is parallel
//     then; else blocks of the parallel loop are, each of which has the nest inside:
//
//     for %i = a to b parallel {            for %b = a to b step size parallel {
//       for %j ... {                          for %j ... {
//         x[%i] += a[%j, %i] * y[%j]   ->       for %i = %b to min(%b + size, b) {
//                                                 x[%i] += a[%j, %i] * y[%j]
//
//     (where nothing runs on threads, the nest is serial).
#include "codegen/passes/pass.h"
#include "dsl/ir/describe.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/rewrite.h"
#include "dsl/ir/slots.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

/// A nest: loops from outside to inside, what stands between their heads, the innermost body.
struct Nest {
    std::vector<Id> loops;
    std::vector<Id> between;
    Id body = none;
};

/// Iterations of a block: so many that rows of it are worth a loop, and no more than leave enough
/// blocks for threads.
constexpr std::int64_t least_block = 128;
constexpr std::int64_t most_block = 1024;
constexpr std::int64_t many_blocks = 64;

/// The loops in their new order. `blocks`: the nest is that of a block of the parallel loop.
struct Order {
    std::vector<Id> loops;
    bool blocks = false;
};

class Interchange : public Rewriter {
  public:
    Interchange(const Kernel& in, PassContext& context)
        : Rewriter(in), owners_(in), decisions_(context.decisions), options_(context.options) {}

  private:
    Id rewrite(Id old) override {
        if (in().node(old).kind != NodeKind::loop) return clone(old);
        const Nest nest = nest_at(old);
        if (nest.loops.size() < 2) return clone(old);
        const auto order = better_order(nest);
        if (!order) return clone(old);
        say(nest, *order);
        emit(nest, *order);
        return mapped(old);
    }

    void say(const Nest& nest, const Order& order) {
        const auto list = [&](const std::vector<Id>& loops) {
            std::string text;
            for (const Id loop : loops) text += (text.empty() ? "" : ", ") + line_of(in(), loop);
            return text;
        };
        decisions_.done(
            DecisionKind::interchanged, in().location(in().node(nest.loops[0]).loc),
            fmt::format(
                "the loops at {} run in the order {}{}", list(nest.loops), list(order.loops),
                order.blocks && options_.threads ? ", for a block of the prange at once" : ""));
    }

    void emit(const Nest& nest, const Order& order) {
        const ParallelLoop* parallel = in().parallel(in().node(nest.loops[0]));
        std::map<Id, std::array<Id, 3>> bounds;
        for (const Id loop : order.loops)
            bounds[loop] = {mapped(in().operand(loop, 0)), mapped(in().operand(loop, 1)),
                            mapped(in().operand(loop, 2))};
        const bool blocks = order.blocks && options_.threads;
        if (blocks) {
            auto& [begin, end, step] = bounds[nest.loops[0]];
            out().set_location_index(in().node(nest.loops[0]).loc);
            const Id size = block_size(begin, end);
            const Id first = out().begin_parallel_loop(begin, end, size, *parallel);
            end = op(Op::minimum, op(Op::add, first, size), end);
            begin = first;
        }
        for (const Id loop : order.loops) {
            out().set_location_index(in().node(loop).loc);
            const auto& [begin, end, step] = bounds[loop];
            const bool is_parallel = parallel != nullptr && !order.blocks && loop == order.loops[0];
            set_mapped(loop, is_parallel ? out().begin_parallel_loop(begin, end, step, *parallel)
                                         : out().begin_loop(begin, end, step));
        }
        for (const Id id : nest.between) {
            out().set_location_index(in().node(id).loc);
            set_mapped(id, clone(id));
        }
        clone_block(nest.body);
        for (std::size_t i = 0; i < order.loops.size() + (blocks ? 1 : 0); ++i) out().end();
    }

    Id op(Op o, Id a, Id b) { return out().op(o, DType::i64, {a, b}); }
    Id block_size(Id begin, Id end) {
        const auto i64 = [&](std::int64_t x) { return out().constant_i64(x); };
        const Id trip = op(Op::maximum, op(Op::sub, end, begin), i64(0));
        const Id share = op(Op::bit_and, op(Op::div, trip, i64(many_blocks)), i64(-least_block));
        return op(Op::minimum, op(Op::maximum, share, i64(least_block)), i64(most_block));
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
                else if (is_computation(n.kind) && inner == none)
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

    void collect(Id block, Accesses& a) const {
        constexpr effect::Mask allowed =
            effect::accesses | effect::calls_pure | effect::branches | effect::loops;
        walk(in(), block, [&](Id id, const Around& around) {
            const Effects e = effects_of(in().node(id));
            const bool of_inner_loop =
                e.only(effect::breaks | effect::continues) && around.loops > 0;
            a.inside[id] = true;
            a.legal = a.legal && (e.only(allowed) || of_inner_loop);
            if (e.array != none) a.all.push_back(id);
            if (e.any(effect::stores)) a.stores.push_back(id);
        });
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
    std::optional<Order> better_order(const Nest& nest) const {
        Accesses a;
        a.inside.assign(in().nodes.size(), false);
        collect(nest.body, a);
        const auto order = order_of_memory(nest, a);
        if (a.stores.empty() || order.empty()) return std::nullopt;
        Order result;
        for (const std::size_t i : order) result.loops.push_back(nest.loops[i]);
        const ParallelLoop* parallel = in().parallel(in().node(nest.loops[0]));
        result.blocks = parallel != nullptr && !is_in_stores(order[0], nest, a);
        if (const auto reason = why_not(nest, a, result.blocks)) {
            decisions_.refused(DecisionKind::interchanged,
                               in().location(in().node(nest.loops[0]).loc), *reason);
            return std::nullopt;
        }
        return result;
    }

    /// Why the loops stay in the order in which they are written.
    std::optional<std::string> why_not(const Nest& nest, const Accesses& a, bool blocks) const {
        const ParallelLoop* parallel = in().parallel(in().node(nest.loops[0]));
        if (!a.legal) return "its body leaves a loop, calls, makes an array or is atomic";
        if (!keeps_variables(nest.body))
            return "its body writes variables that are used outside of it";
        if (parallel != nullptr && !parallel->reductions.empty())
            return "the prange accumulates into variables";
        if (const Id store = disagreeing(nest, a); store != none)
            return fmt::format(
                "iterations may meet at elements of {}, in another order",
                describe_array(in(), in().node(store).aux, in().location(in().node(store).loc)));
        if (blocks && parallel->schedule != Schedule::automatic)
            return "the prange has a schedule of its own";
        if (blocks && !has_unit_step(nest)) return "the prange has a step";
        return std::nullopt;
    }

    /// The loops by how far from the last subscript their indices stand, as places in the nest;
    /// empty where that is the order they have, or not known.
    std::vector<std::size_t> order_of_memory(const Nest& nest, const Accesses& a) const {
        std::vector<int> distance(nest.loops.size(), 0);  // summed up over all accesses
        for (const Id access : a.all) {
            if (in().params[in().node(access).aux].layout != Layout::unit) return {};
            const auto at = subscripts_of(in(), access);
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
        if (std::ranges::is_sorted(order)) order.clear();
        return order;
    }

    bool has_unit_step(const Nest& nest) const {
        const Node& step = in().node(in().operand(nest.loops[0], 2));
        return step.kind == NodeKind::constant && step.imm == 1;
    }

    /// Whether iterations of the nest's loop `l` store to different elements.
    bool is_in_stores(std::size_t l, const Nest& nest, const Accesses& a) const {
        return std::ranges::all_of(a.stores, [&](Id store) {
            return std::ranges::any_of(subscripts_of(in(), store), [&](Id subscript) {
                return loop_of(subscript, nest, a) == static_cast<int>(l);
            });
        });
    }

    /// Condition 2: variables that the body writes are its own.
    bool keeps_variables(Id body) const {
        return all_in(in(), body, [&](Id id) {
            const Effects e = effects_of(in().node(id));
            return !e.any(effect::writes) || owners_.belongs_to(e.slot, body);
        });
    }

    /// Conditions 3 and 5: a store that breaks them.
    Id disagreeing(const Nest& nest, const Accesses& a) const {
        const ParallelLoop* parallel = in().parallel(in().node(nest.loops[0]));
        for (const Id store : a.stores) {
            const auto at = subscripts_of(in(), store);
            for (const Id other : a.all)
                if (in().node(other).aux == in().node(store).aux &&
                    !std::ranges::equal(subscripts_of(in(), other), at))
                    return store;
            std::vector<bool> has(nest.loops.size(), false);
            for (const Id subscript : at) {
                const auto loop = loop_of(subscript, nest, a);
                if (!loop) return store;
                if (*loop >= 0) has[static_cast<std::size_t>(*loop)] = true;
            }
            if (std::ranges::count(has, false) > 1 || (parallel != nullptr && !has[0]))
                return store;
        }
        return none;
    }

    const SlotOwners owners_;
    Decisions& decisions_;
    const PassOptions& options_;
};

}  // namespace

ir::Kernel run_interchange(const ir::Kernel& kernel, PassContext& context) {
    return Interchange(kernel, context).run();
}

}  // namespace kiln::codegen
