// Parallel loops of one block over one domain become one loop:
//
//     for %i = 0 to n parallel { store t[%i], a }       for %i = 0 to n parallel {
//     for %j = 0 to n parallel { store c[%j], t[%j] }     write r, a
//                                                   ->    store c[%i], r
//                                                       }
//
// Legal where, tested in this order,
//  1. the domains are equal: begin, end and step are the same values, or made equal by checks of
//     shapes;
//  2. the schedules are equal;
//  3. no iteration of the first ends early (continue_), and neither loop returns; no function of
//     the host that is not pure is called in them or between them;
//  4. the second reads nothing that the first reduces, and what stands between the loops can go
//     before the first, or after the second where it depends on the first;
//  5. no flow, anti or output dependence crosses iterations: for each two accesses of one array,
//     one of each loop and one of them a store, a subscript is the same sum in both, and differs
//     from iteration to iteration;
//  6. the fast-math flags of their operations are equal;
//  7. not each iteration of both goes through whole arrays (of rank 2 and more, which no subscript
//     ties to the iteration: products of matrices), unless those are the same: together they would
//     push each other out of the caches;
//  8. order stays that of the unfused form: a loop that sums or multiplies floats accumulates in as
//     many lanes as before on each vector unit (LaneOrder), unless the kernel may reassociate, and
//     none sums into an array beside one that does not.
// Views that may overlap have no place here: such calls run another variant, which is not fused.
// Masks stay those of each body. Loops inside of fused ones are fused by the same rules.
//
// Temporaries that only one loop touches, at one element, become variables of their dtype, so that
// what they hold stays rounded to it.
//
// Loops are tried until none is fused any more: what one fusion leaves may make another one legal.
#include "codegen/analysis/affine.h"
#include "codegen/analysis/subscript_text.h"
#include "codegen/lanes/facts.h"
#include "codegen/lanes/vector_loops.h"
#include "codegen/passes/pass.h"
#include "dsl/ir/combines.h"
#include "dsl/ir/describe.h"
#include "dsl/ir/editor.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

/// Makes variables of temporary arrays.
class Temporaries {
  public:
    explicit Temporaries(Editor& editor) : editor_(editor), k_(editor.kernel()) {}

    /// Gives the allocation that went; none where the temporary stays.
    Id scalarize(std::uint32_t p) {
        std::vector<Id> parent(k_.blocks.size(), none), block_of(k_.nodes.size(), none);
        Id allocation = none;
        std::vector<Id> accesses;
        const bool legal = walk(k_, k_.stages[0].body, [&](Id id, const Around& around) {
            const Node& n = k_.nodes[id];
            block_of[id] = around.block;
            for (const Id block : blocks_of(n)) parent[block] = around.block;
            const bool extent = std::ranges::any_of(k_.operands_of(n), [&](Id x) {
                return k_.nodes[x].kind == NodeKind::extent && k_.nodes[x].aux == p;
            });
            if (extent) return Walk::stop;
            const Effects e = effects_of(n);
            if (e.array != p) return Walk::on;
            if (!e.any(effect::allocates)) {
                accesses.push_back(id);
                return e.only(effect::accesses) ? Walk::on : Walk::stop;
            }
            const bool first_one = allocation == none;
            allocation = id;
            return first_one ? Walk::on : Walk::stop;
        });
        if (!legal || allocation == none || accesses.empty()) return none;
        for (const ParallelLoop& loop : k_.parallel_loops)
            for (const ArrayReduction& r : loop.arrays)
                if (r.target == p) return none;
        const unsigned rank = k_.params[p].rank;
        const Id first = accesses[0];
        if (rank == 0 || k_.nodes[first].kind != NodeKind::store) return none;
        const auto place_of = [&](Id id) { return k_.operands_of(id).first(rank); };
        bool in_loop = false;
        for (const Id x : place_of(first)) {
            const Node& n = k_.nodes[x];
            if (n.kind == NodeKind::loop)
                in_loop = in_loop || n.aux2 != none;
            else if (n.kind != NodeKind::constant)
                return none;
        }
        if (!in_loop) return none;
        for (const Id id : accesses) {
            if (!std::ranges::equal(place_of(id), place_of(first))) return none;
            Id b = block_of[id];
            while (b != none && b != block_of[first]) b = parent[b];
            if (b == none) return none;
        }
        // Every iteration has its own element, which it stores to first.
        const std::uint32_t slot = editor_.add_slot({k_.params[p].name, k_.params[p].dtype, 1});
        for (const Id id : accesses) editor_.access_slot(id, slot);
        editor_.unlist(block_of[allocation], allocation);
        return allocation;
    }

  private:
    Editor& editor_;
    const Kernel& k_;
};

/// The lanes that a loop will have on each vector unit, and so the order in which it sums.
using LaneOrder = std::array<Lanes, 3>;

/// None where the loop stays scalar, so that its order is that of blocks, which depends on all that it
/// sums; or where it computes with complex numbers, whose parts become variables of their own. What
/// decides about lanes is a fact of the code that the loop becomes: equal operations are one, what is
/// not needed is gone, casts that change nothing too. So that code is made, by what makes it for good.
std::optional<LaneOrder> lane_order(const Kernel& kernel, Id loop, const PassOptions& options) {
    const auto lanes = find_lane_loop(kernel, SlotOwners(kernel), loop);
    if (!lanes) return std::nullopt;
    Kernel k = extract_vector_loop(kernel, *lanes).kernel;
    if (std::ranges::any_of(k.nodes, [](const Node& n) { return is_complex(n.dtype); }))
        return std::nullopt;
    k = run_value_passes(std::move(k), options);
    LaneOrder order;
    const KernelFacts without_fma = analyse(k, false), with_fma = analyse(k, true);
    for (const VectorIsa isa : {VectorIsa::sse2, VectorIsa::avx2, VectorIsa::avx512})
        order[static_cast<std::size_t>(isa)] =
            choose_lanes(k, isa == VectorIsa::sse2 ? without_fma : with_fma, isa);
    return order;
}

class Fuse {
  public:
    Fuse(Kernel kernel, PassContext& context)
        : editor_(std::move(kernel)), k_(editor_.kernel()), context_(context) {}

    Kernel run() {
        context_.loops_found = count(k_.stages[0].body);
        visit(k_.stages[0].body);
        context_.loops_left = count(k_.stages[0].body);
        for (std::uint32_t p = 0; p < k_.params.size(); ++p) {
            if (k_.params[p].access != Access::local) continue;
            const Id gone = Temporaries(editor_).scalarize(p);
            if (gone == none) continue;
            context_.decisions.done(DecisionKind::removed, location(gone),
                                    fmt::format("the temporary array {}", place(gone)));
        }
        return editor_.finish();
    }

    /// Counts the loops, and says why none is fused if there is a reason to tell.
    void refuse_all(const char* reason) {
        context_.loops_found = context_.loops_left = count(k_.stages[0].body);
        if (context_.loops_found > 1 && *reason != 0)
            context_.decisions.refused(DecisionKind::fused, location(last_loop_), reason);
    }

  private:
    /// The outermost parallel loops of the block.
    unsigned count(Id block) {
        unsigned loops = 0;
        walk(k_, block, [&](Id id) {
            if (!effects_of(k_.nodes[id]).any(effect::in_parallel)) return Walk::on;
            ++loops;
            last_loop_ = id;
            return Walk::skip;
        });
        return loops;
    }

    void visit(Id block) {
        fuse_block(block, true);
        for (const Id id : std::vector(k_.blocks[block].nodes)) {
            const Node n = k_.nodes[id];
            if (effects_of(n).any(effect::in_parallel)) continue;
            for (const Id inner : blocks_of(n)) visit(inner);
        }
    }

    const Touched& touched(Id id) {
        const auto known = touched_.find(id);
        return known != touched_.end() ? known->second
                                       : touched_.emplace(id, touched_by(k_, id)).first->second;
    }

    bool is_candidate(Id id, bool parallel) const {
        const Node& n = k_.nodes[id];
        return n.kind == NodeKind::loop && (n.aux2 != none) == parallel;
    }

    /// What a check of shapes makes equal.
    void learn(Id condition) {
        const Node& n = k_.nodes[condition];
        if (n.kind != NodeKind::op) return;
        if (n.op == Op::eq) equal_.emplace_back(k_.operand(condition, 0), k_.operand(condition, 1));
        if (n.op == Op::logical_and)
            for (const Id x : k_.operands_of(condition)) learn(x);
    }
    bool equal(Id x, Id y) const {
        std::set<Id> known{x};
        for (std::size_t size = 0; size != known.size();) {
            size = known.size();
            for (const auto& [p, q] : equal_)
                if (known.contains(p) || known.contains(q)) known.insert({p, q});
        }
        return known.contains(y);
    }

    void fuse_block(Id block, bool parallel) {
        std::vector<std::pair<Id, std::string>> refusals;
        while (fuse_once(block, parallel, refusals)) refusals.clear();
        if (parallel)
            for (const auto& [loop, reason] : refusals)
                context_.decisions.refused(DecisionKind::fused, location(loop), reason);
    }

    /// One walk over the block; whether loops were fused. `refusals`: loops that were not, and why.
    bool fuse_once(Id block, bool parallel, std::vector<std::pair<Id, std::string>>& refusals) {
        const std::size_t outer = equal_.size();
        bool any = false;
        for (std::size_t second = 0; second < k_.blocks[block].nodes.size(); ++second) {
            const Node& n = k_.nodes[k_.blocks[block].nodes[second]];
            if (n.kind == NodeKind::check && static_cast<Check>(n.aux) == Check::shapes)
                learn(k_.operands_of(n)[0]);
            if (!is_candidate(k_.blocks[block].nodes[second], parallel)) continue;
            std::optional<std::string> refusal;
            for (std::size_t first = second; first-- > 0;) {
                if (!is_candidate(k_.blocks[block].nodes[first], parallel)) continue;
                const Id a = k_.blocks[block].nodes[first], b = k_.blocks[block].nodes[second];
                const auto reason = try_fuse(block, first, second);
                if (!reason) {
                    if (parallel)
                        context_.decisions.done(
                            DecisionKind::fused, location(b),
                            fmt::format("loop {} into the loop {}", place(b), place(a)));
                    any = true;
                    fuse_block(k_.nodes[a].aux, false);
                    refusal.reset();
                    second = first;
                    break;
                }
                if (!refusal) refusal = reason;
            }
            if (refusal) refusals.emplace_back(k_.blocks[block].nodes[second], *refusal);
        }
        equal_.resize(outer);
        return any;
    }

    std::string place(Id node) const { return place_of(k_, node); }
    Location location(Id node) const { return k_.location(k_.nodes[node].loc); }
    std::string variable(std::uint32_t slot, Id at) const {
        return describe_slot(k_, slot, k_.location(k_.nodes[at].loc));
    }
    static bool is_float(DType t) { return is_real(t) || is_complex(t); }
    /// How a loop sums (or multiplies) floats in an order that is left to the code made of it.
    enum class Sums : std::uint8_t { none, in_inner_loops, directly };
    Sums sums_floats(Id loop) const {
        Sums found = Sums::none;
        const ParallelLoop* parallel = k_.parallel(k_.nodes[loop]);
        walk(k_, k_.nodes[loop].aux, [&](Id id, const Around& around) {
            const Node& n = k_.nodes[id];
            const bool inner = around.loops > 0;
            const bool to_array =
                n.kind == NodeKind::store && parallel != nullptr &&
                std::ranges::any_of(parallel->arrays,
                                    [&](const ArrayReduction& r) { return r.target == n.aux; });
            // A store of an inner loop goes to another element in each of its iterations.
            const bool sums =
                n.kind == NodeKind::write ? reassociates(k_.operands_of(n)[0]) : to_array && !inner;
            if (sums && !inner) found = Sums::directly;
            if (sums && found == Sums::none) found = Sums::in_inner_loops;
        });
        return found;
    }
    bool reassociates(Id value) const {
        const Node& n = k_.nodes[value];
        return n.kind == NodeKind::op && is_float(n.dtype) && (n.fast & fast::reassoc) != 0 &&
               n.op != Op::minimum && n.op != Op::maximum;
    }
    const std::optional<LaneOrder>& order_apart(Id loop) {
        const auto known = orders_.find(loop);
        if (known != orders_.end()) return known->second;
        return orders_.emplace(loop, lane_order(k_, loop, context_.options)).first->second;
    }
    /// Whether the sums of two loops keep their order in the fused one. Those of inner loops do as
    /// long as both are lanes, or neither.
    bool keeps_order(Editor::Fusion& fusion, const std::array<Sums, 2>& sums) {
        if (context_.options.reassociate || (sums[0] == Sums::none && sums[1] == Sums::none))
            return true;
        const auto [block, a, b] = std::tuple(fusion.block, fusion.first, fusion.second);
        Editor trial(k_);
        for (std::uint32_t p = 0; p < k_.params.size(); ++p)
            if (k_.params[p].access == Access::local) Temporaries(trial).scalarize(p);
        const auto order = lane_order(trial.kernel(), a, context_.options);
        if (!order && std::ranges::count(sums, Sums::directly) != 0) return false;
        // The orders that they have apart.
        std::vector<Id> fused = k_.blocks[block].nodes;
        editor_.undo(std::move(fusion));
        const bool same = std::ranges::all_of(std::array{0U, 1U}, [&](std::size_t i) {
            if (sums[i] == Sums::none) return true;
            const auto& apart = order_apart(i == 0 ? a : b);
            return sums[i] == Sums::directly ? apart == order
                                             : apart.has_value() == order.has_value();
        });
        fusion = editor_.fuse_loops(block, a, b, std::move(fused));
        if (same) orders_[a] = order;
        return same;
    }
    /// All flags of operations on floats, but for those by which a loop accumulates.
    std::set<std::uint8_t> flags(const Touched& t) const {
        std::set<std::uint8_t> all;
        for (const Id id : t.nodes) {
            const Node& n = k_.nodes[id];
            if (n.kind == NodeKind::op && is_float(n.dtype) && (n.fast & fast::reassoc) == 0)
                all.insert(n.fast);
        }
        return all;
    }

    /// Fuses two loops of a block, or says why not.
    std::optional<std::string> try_fuse(Id block, std::size_t first, std::size_t second) {
        const Id a = k_.blocks[block].nodes[first], b = k_.blocks[block].nodes[second];
        const Node &na = k_.nodes[a], &nb = k_.nodes[b];
        const ParallelLoop *pa = k_.parallel(na), *pb = k_.parallel(nb);
        for (std::size_t i = 0; i < 3; ++i)
            if (!equal(k_.operand(a, i), k_.operand(b, i)))
                return fmt::format("loop {} and the loop {} run over different extents", place(b),
                                   place(a));
        if (pa != nullptr && (pa->schedule != pb->schedule || pa->chunk != pb->chunk))
            return fmt::format("loop {} and the loop {} have different schedules", place(b),
                               place(a));
        const Touched &ta = touched(a), &tb = touched(b);
        if (ta.leaves() || tb.leaves())
            return fmt::format("an iteration of the loop {} ends early",
                               place(ta.leaves() ? a : b));
        if (ta.stays_in_order() || tb.stays_in_order())
            return fmt::format("what the loop {} does stays where it is",
                               place(ta.stays_in_order() ? a : b));
        for (const Touched* t : {&ta, &tb})
            if (t->call != none) return calls(t == &ta ? a : b, t->call);
        if (pa != nullptr)
            for (const StageReduction& r : pa->reductions)
                if (tb.reads.contains(r.target) || tb.writes.contains(r.target))
                    return fmt::format("loop {} reads the {} that the loop {} computes", place(b),
                                       name_of(k_, r), place(a));
        for (const std::uint32_t slot : ta.writes)
            if (tb.reads.contains(slot) || tb.writes.contains(slot))
                return fmt::format("loop {} uses {}, which the loop {} writes", place(b),
                                   variable(slot, b), place(a));
        for (const std::uint32_t slot : ta.reads)
            if (tb.writes.contains(slot))
                return fmt::format("loop {} writes {}, which the loop {} uses", place(b),
                                   variable(slot, b), place(a));
        // What stands between them.
        std::vector<Id> early, late;
        std::vector<const Touched*> late_touched;
        const auto& nodes = k_.blocks[block].nodes;
        for (std::size_t i = first + 1; i < second; ++i) {
            const Touched& t = touched(nodes[i]);
            if (t.call != none)
                return fmt::format(
                    "between the loop {} and the loop {}, {} is called {}, which is "
                    "not pure",
                    place(a), place(b), function(t.call), place(t.call));
            const bool stays = ta.conflicts(t) || t.conflicts(ta) || t.leaves() ||
                               std::ranges::any_of(late_touched, [&](const Touched* l) {
                                   return l->conflicts(t) || t.conflicts(*l);
                               });
            if (!stays) {
                early.push_back(nodes[i]);
                continue;
            }
            // Its equality is needed before the fused loop.
            if (k_.nodes[nodes[i]].kind == NodeKind::check)
                return dependence(a, b, ta, tb, nodes[i]);
            if (t.leaves()) return fmt::format("the kernel may end before the loop {}", place(b));
            if (t.conflicts(tb) || tb.conflicts(t)) return dependence(a, b, ta, tb, nodes[i]);
            late.push_back(nodes[i]);
            late_touched.push_back(&t);
        }
        if (pa != nullptr)
            for (const auto* reductions : {&pa->arrays, &pb->arrays})
                for (const ArrayReduction& r : *reductions) {
                    const Touched& other = reductions == &pa->arrays ? tb : ta;
                    if (other.loads.contains(r.target) || other.stores.contains(r.target))
                        return fmt::format("loop {} reads the {} that the loop {} computes",
                                           place(b), info(r.reduction).name, place(a));
                }
        const std::array sums{sums_floats(a), sums_floats(b)};
        const auto crowded = crowds(a, b, ta, tb);
        Editor::Fusion fusion = merge(block, first, second, early, late);
        auto refusal = crossing(a, b, ta, tb);
        if (!refusal) refusal = mixed_sums(a, b, ta, tb);
        if (!refusal) refusal = crowded;
        if (!refusal && !keeps_order(fusion, sums))
            refusal = fmt::format("the order in which the loop {} sums would change",
                                  place(sums[0] != Sums::none ? a : b));
        if (refusal)
            editor_.undo(std::move(fusion));
        else
            touched_.at(a).add(tb);
        return refusal;
    }

    /// Why operations of the two, in the fused loop now, do not go together.
    std::optional<std::string> mixed_sums(Id a, Id b, const Touched& ta, const Touched& tb) const {
        if (const auto fa = flags(ta), fb = flags(tb); !fa.empty() && !fb.empty() && fa != fb)
            return fmt::format("loop {} and the loop {} have different fast-math flags", place(b),
                               place(a));
        const ParallelLoop* fused = k_.parallel(k_.nodes[a]);
        if (fused != nullptr && !fused->arrays.empty() && !fused->reductions.empty())
            return fmt::format("one of the loops {} and {} sums into an array, the other does not",
                               place(b), place(a));
        return std::nullopt;
    }

    std::string_view function(Id call) const { return k_.functions[k_.nodes[call].aux].name; }
    std::string calls(Id loop, Id call) const {
        return fmt::format("loop {} calls {} {}, which is not pure", place(loop), function(call),
                           place(call));
    }

    /// Why the second loop depends on the first through node `between`.
    std::string dependence(Id a, Id b, const Touched& ta, const Touched& tb, Id between) const {
        if (const ParallelLoop* p = k_.parallel(k_.nodes[a]))
            for (const StageReduction& r : p->reductions)
                if (k_.nodes[between].kind == NodeKind::read && k_.nodes[between].aux == r.target)
                    return fmt::format("loop {} reads the {} that the loop {} computes", place(b),
                                       name_of(k_, r), place(a));
        for (const std::uint32_t p : ta.stores)
            if (tb.loads.contains(p))
                return fmt::format("loop {} reads {}, which {} writes, after {}", place(b),
                                   describe_array(k_, p, k_.location(k_.nodes[b].loc)),
                                   place(a).substr(3), place(between).substr(3));
        return fmt::format("loop {} depends on the loop {} through {}", place(b), place(a),
                           place(between).substr(3));
    }

    bool depends_on(Id id, Id index) const {
        if (id == index) return true;
        const Node& n = k_.nodes[id];
        return n.kind != NodeKind::loop &&
               std::ranges::any_of(k_.operands_of(n), [&](Id x) { return depends_on(x, index); });
    }
    /// The arrays that each iteration of the loop goes through from end to end.
    std::set<std::uint32_t> whole_arrays(Id loop, const Touched& t) const {
        std::set<std::uint32_t> found;
        for (const Id id : t.nodes) {
            const Node& n = k_.nodes[id];
            const auto moves = [&](Id x) { return k_.nodes[x].kind != NodeKind::constant; };
            if (n.kind == NodeKind::load && std::ranges::count_if(k_.operands_of(n), moves) > 1 &&
                !std::ranges::any_of(k_.operands_of(n), [&](Id x) { return depends_on(x, loop); }))
                found.insert(n.aux);
        }
        return found;
    }
    std::optional<std::string> crowds(Id a, Id b, const Touched& ta, const Touched& tb) const {
        const auto first = whole_arrays(a, ta), second = whole_arrays(b, tb);
        if (first.empty() || second.empty() || first == second) return std::nullopt;
        const auto name = [&](Id loop, std::uint32_t p) {
            return describe_array(k_, p, k_.location(k_.nodes[loop].loc));
        };
        return fmt::format(
            "each iteration of the loop {} goes through {}, and of the loop {} through {}",
            place(a), name(a, *first.begin()), place(b), name(b, *second.begin()));
    }

    Editor::Fusion merge(Id block, std::size_t first, std::size_t second,
                         const std::vector<Id>& early, const std::vector<Id>& late) {
        const auto& nodes = k_.blocks[block].nodes;
        const Id a = nodes[first], b = nodes[second];
        std::vector<Id> list(nodes.begin(), nodes.begin() + static_cast<std::ptrdiff_t>(first));
        list.insert(list.end(), early.begin(), early.end());
        list.push_back(a);
        list.insert(list.end(), late.begin(), late.end());
        list.insert(list.end(), nodes.begin() + static_cast<std::ptrdiff_t>(second) + 1,
                    nodes.end());
        return editor_.fuse_loops(block, a, b, std::move(list));
    }

    /// The first two accesses that may touch one element in different iterations.
    std::optional<std::string> crossing(Id loop, Id second, const Touched& ta,
                                        const Touched& tb) const {
        AffineForms forms(k_, loop);
        const auto accesses = [&](const Touched& t) {
            std::vector<Id> list;
            for (const Id id : forms.body()) {
                const Effects e = effects_of(k_.nodes[id]);
                if (t.nodes.contains(id) && e.any(effect::loads | effect::stores))
                    list.push_back(id);
            }
            return list;
        };
        const auto left = accesses(ta), right = accesses(tb);
        for (const Id x : left)
            for (const Id y : right) {
                const Node &nx = k_.nodes[x], &ny = k_.nodes[y];
                const bool stores = nx.kind != NodeKind::load || ny.kind != NodeKind::load;
                if (nx.aux != ny.aux || !stores || aligned(k_, forms, x, y)) continue;
                const SubscriptText text(k_, loop, forms);
                const auto line = [&](Id id) { return line_of(k_, id); };
                const bool reads = ny.kind == NodeKind::load;
                return fmt::format(
                    "loop {} {} {}, which {} {}{}", place(second), reads ? "reads" : "writes",
                    text.element(y), line(x), nx.kind == NodeKind::load ? "reads" : "writes",
                    text.element(x) == text.element(y) ? std::string() : " as " + text.element(x));
            }
        return std::nullopt;
    }

    static bool aligned(const Kernel& k, AffineForms& forms, Id x, Id y) {
        for (std::size_t d = 0; d < k.params[k.nodes[x].aux].rank; ++d) {
            const Affine a = forms.form(k.operand(x, d)), b = forms.form(k.operand(y, d));
            Affine difference = a;
            difference.add(b, -1);
            const bool invariant = std::ranges::all_of(a.terms, [&](const auto& term) {
                return term.first == AffineForms::step || forms.invariant(term.first);
            });
            const bool same = difference.terms.empty() && difference.constant == 0;
            if (same && invariant && a.coefficient(AffineForms::step) != 0) return true;
            // Elements that are never the same in any two iterations.
            const bool fixed = invariant && a.coefficient(AffineForms::step) == 0;
            if (fixed && difference.terms.empty() && difference.constant != 0) return true;
        }
        return false;
    }

    Editor editor_;
    const Kernel& k_;
    PassContext& context_;
    std::map<Id, Touched> touched_;  // what nodes of the kernel touched at some time, or do now
    Id last_loop_ = none;            // that was counted
    std::vector<std::pair<Id, Id>> equal_;  // by checks before what is looked at
    // Of loops that sum floats, also when they are fused: temporaries may be in the way of finding it
    // anew.
    std::map<Id, std::optional<LaneOrder>> orders_;
};

}  // namespace

ir::Kernel run_fuse(const ir::Kernel& kernel, PassContext& context) {
    const PassOptions& o = context.options;
    Fuse fuse(kernel, context);
    if (o.fuse && o.noalias && !o.checked) return fuse.run();
    fuse.refuse_all(!o.fuse     ? ""
                    : o.checked ? "loops of checked kernels stay apart"
                                : "array arguments of the call overlap");
    return kernel;
}

}  // namespace kiln::codegen
