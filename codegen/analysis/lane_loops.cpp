#include "codegen/analysis/lane_loops.h"

#include "codegen/analysis/loop_facts.h"
#include "dsl/ir/combines.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <algorithm>

namespace kiln::codegen {
namespace {

using namespace ir;
using Role = LaneLoop::Role;

constexpr const char* not_affine =
    "a subscript is not the loop's index times a constant plus something fixed";
constexpr const char* lie_apart = "its elements are not next to each other";
constexpr const char* several_sizes = "it computes with elements of several sizes";

/// Thrown within this file: why the loop stays scalar, in the user's words, and at which node.
struct NotVectorised {
    const char* reason;
    Id node = none;
    bool left_to_llvm = false;
};

class Finder {
  public:
    Finder(const Kernel& kernel, const SlotOwners& owners, Id loop, bool always)
        : k_(kernel),
          owners_(owners),
          loop_(loop),
          always_(always),
          body_(kernel.nodes[loop].aux),
          inside_(kernel.nodes.size(), false) {
        found_.loop = loop;
    }

    LaneLoop run() {
        collect(body_, true, false);
        check_trip();
        check_slots();
        const bool parallel = k_.parallel(k_.nodes[loop_]) != nullptr;
        if (!parallel) check_independence();
        found_.plain = !found_.worth_it && !always_ && found_.reductions.empty();
        try {
            check_subscripts();
            if (found_.plain) check_plain();
        } catch (NotVectorised& refusal) {
            // LLVM's vectoriser may have an answer, or else a reason of its own.
            refusal.left_to_llvm = found_.plain;
            throw;
        }
        return std::move(found_);
    }

  private:
    static bool stores(const Node& n) { return effects_of(n).any(effect::stores | effect::writes); }
    /// Whether both touch one array, of the arguments or of the variables.
    static bool same_array(const Node& a, const Node& b) {
        const Effects x = effects_of(a), y = effects_of(b);
        return x.array == y.array && x.slot == y.slot;
    }

    // --- what the body has ---

    /// `top`: not within a loop of the body; `guarded`: not every iteration gets there, so that
    /// loads, which all lanes make, could be outside of their array.
    void collect(Id block, bool top, bool guarded) {
        for (const Id id : k_.blocks[block].nodes) {
            const Node& n = k_.nodes[id];
            inside_[id] = true;
            found_.nodes.push_back(id);
            constexpr effect::Mask in_lanes = effect::accesses | effect::branches | effect::loops |
                                              effect::breaks | effect::continues;
            const Effects e = effects_of(n);
            if (!e.only(in_lanes)) throw NotVectorised{why_not(e), id};
            if (top && e.any(effect::breaks))
                throw NotVectorised{"an iteration may end the loop", id};
            if (e.array != none) {
                if (guarded && e.any(effect::loads))
                    throw NotVectorised{
                        top ? "not every iteration loads this element, and all lanes would"
                            : "a loop inside of it loads elements",
                        id};
                found_.accesses.push_back({id, {}});
            }
            if (e.slot != none && k_.slots[e.slot].length != 1) collect_local(id, guarded);
            const bool loops = e.any(effect::loops);
            found_.worth_it = found_.worth_it || loops || (top && e.any(effect::continues)) ||
                              (n.kind == NodeKind::op && is_better_in_lanes(id));
            for (const Id inner : blocks_of(n)) collect(inner, top && !loops, true);
            if (e.any(effect::branches))
                for (const Id arm : blocks_of(n)) guarded = guarded || has_jump(k_, arm);
        }
    }

    /// Condition 4.
    static const char* why_not(const Effects& e) {
        if (e.any(effect::in_parallel)) return "it has a prange inside";
        if (e.any(effect::returns)) return "an iteration may end the kernel";
        if (e.any(effect::atomically)) return "iterations meet in atomic updates";
        if (e.any(effect::allocates)) return "each iteration makes an array";
        if (e.any(effect::calls | effect::calls_pure))
            return "it calls a function of the host program";
        if (e.any(effect::checks)) return "an iteration may fail";
        return "it holds what lanes cannot do";
    }

    /// Elementary functions, and what LLVM's vectoriser would compute in f16, lane by lane.
    bool is_better_in_lanes(Id id) const {
        const Node& n = k_.nodes[id];
        if (is_elementary(n.op)) return true;
        switch (n.op) {
            case Op::minimum:
            case Op::maximum:
            case Op::fmin:
            case Op::fmax:
            case Op::lt:
            case Op::le:
            case Op::gt:
            case Op::ge:
            case Op::sign:
            case Op::floor:
            case Op::ceil:
            case Op::trunc:
            case Op::rint: break;
            default: return false;
        }
        // Before the pass that widens them and after it.
        const Id x = k_.operand(id, 0);
        return k_.nodes[x].dtype == DType::f16 || (k_.nodes[x].kind == NodeKind::cast &&
                                                   k_.nodes[k_.operand(x, 0)].dtype == DType::f16);
    }

    /// Elements of local arrays, whose cells are those of arrays of the same dtype.
    void collect_local(Id id, bool guarded) {
        const Node& n = k_.nodes[id];
        const DType t = k_.slots[n.aux].dtype;
        if (guarded) throw NotVectorised{"not every iteration gets to this element of a Local", id};
        if (is_complex(t) || t == DType::f16 || t == DType::bf16)
            throw NotVectorised{"elements of a Local of this dtype are taken one by one", id};
        found_.accesses.push_back({id, {}});
    }

    /// Few iterations are better unrolled.
    void check_trip() const {
        constexpr std::int64_t few = 16;
        const auto constant = [&](std::size_t i) -> const Node* {
            const Node& n = k_.nodes[k_.operand(loop_, i)];
            return n.kind == NodeKind::constant ? &n : nullptr;
        };
        const Node *begin = constant(0), *end = constant(1);
        if (begin != nullptr && end != nullptr &&
            static_cast<std::int64_t>(end->imm - begin->imm) <= few)
            throw NotVectorised{"16 iterations and fewer are unrolled"};
    }

    void check_slots() {
        std::vector<bool> used(k_.slots.size(), false), written(k_.slots.size(), false);
        for (const Id id : found_.nodes) {
            const Effects e = effects_of(k_.nodes[id]);
            if (e.slot == none || k_.slots[e.slot].length != 1) continue;
            used[e.slot] = true;
            if (e.any(effect::writes)) written[e.slot] = true;
        }
        found_.roles.assign(k_.slots.size(), Role::own);
        for (std::uint32_t s = 0; s < k_.slots.size(); ++s) {
            if (!used[s] || owners_.belongs_to(s, body_)) continue;
            if (!written[s]) {
                found_.roles[s] = Role::fixed;
            } else if (add_state(s)) {
                found_.roles[s] = Role::state;
            } else if (find_scan(s)) {
                found_.roles[s] = Role::running;
            } else {
                found_.roles[s] = Role::total;
                found_.reductions.push_back({reduction_of(s), s});
            }
        }
        if (found_.scan && !found_.reductions.empty())
            throw NotVectorised{"it has running results and totals", found_.scan->store};
        if (found_.reductions.empty()) return;
        for (const LaneLoop::Access& a : found_.accesses)
            if (stores(k_.nodes[a.node]))
                throw NotVectorised{"it sums into a variable and stores elements besides", a.node};
    }

    /// Whether the loop stores what the variable has accumulated so far in each iteration, and
    /// nothing else: running results.
    bool find_scan(std::uint32_t slot) {
        const DType t = k_.slots[slot].dtype;
        if (is_complex(t) || t == DType::f16 || t == DType::bf16 || is_bool(t) ||
            k_.parallel(k_.nodes[loop_]) != nullptr)
            return false;
        LaneLoop::Scan scan{none, none, {}};
        for (const Id id : k_.blocks[body_].nodes) {
            const Node& n = k_.nodes[id];
            if (n.kind == NodeKind::write && n.aux == slot) scan.write = id;
            if (n.kind == NodeKind::store) scan.store = id;
        }
        const auto count = [&](NodeKind kind, bool of_slot) {
            return std::ranges::count_if(found_.nodes, [&](Id id) {
                return k_.nodes[id].kind == kind && (!of_slot || k_.nodes[id].aux == slot);
            });
        };
        if (scan.write == none || scan.store == none || count(NodeKind::write, true) != 1 ||
            count(NodeKind::read, true) != 1 || count(NodeKind::store, false) != 1)
            return false;
        const auto update = update_of(k_, scan.write);
        if (!update || !info(update->reduction).reorderable) return false;
        const bool exact = !is_real(t) || update->reduction == Reduction::min ||
                           update->reduction == Reduction::max;
        if ((!exact && (k_.nodes[update->op].fast & fast::reassoc) == 0) ||
            (update->inverse && update->reduction != Reduction::sum) ||
            k_.operands_of(scan.store).back() != update->op ||
            std::ranges::count(k_.operands, update->op) != 2 ||
            std::ranges::count(k_.operands, update->read) != 1)
            return false;
        scan.update = *update;
        found_.scan = scan;
        found_.worth_it = true;
        return true;
    }

    /// All parts of the state that the slot is one of; false if it is none.
    bool add_state(std::uint32_t slot) {
        const ParallelLoop* parallel = k_.parallel(k_.nodes[loop_]);
        if (parallel == nullptr) return false;
        const auto& all = parallel->reductions;
        const auto part = std::ranges::find(all, slot, &StageReduction::target);
        if (part == all.end() || part->combine == none) return false;
        if (std::ranges::find(found_.reductions, slot, &StageReduction::target) !=
            found_.reductions.end())
            return true;
        const auto entries = [&](auto of) {
            return static_cast<std::ptrdiff_t>(entries_of(k_, *of));
        };
        auto first = all.begin();
        while (part - first >= entries(first)) first += entries(first);
        found_.reductions.insert(found_.reductions.end(), first, first + entries(first));
        return true;
    }

    Reduction reduction_of(std::uint32_t slot) {
        std::optional<Reduction> reduction;
        for (const Id id : found_.nodes) {
            const Node& n = k_.nodes[id];
            if (n.aux != slot) continue;
            if (n.kind == NodeKind::write) {
                const auto update = update_of(k_, id, written_before(id));
                const bool strict = update && is_real(k_.slots[slot].dtype) &&
                                    (k_.nodes[update->op].fast & fast::reassoc) == 0 &&
                                    update->reduction != Reduction::min &&
                                    update->reduction != Reduction::max;
                if (!update)
                    throw NotVectorised{"an iteration needs the variable that the one before left",
                                        id};
                if (strict)
                    throw NotVectorised{
                        "the order of this sum is that of the iterations "
                        "(fastmath's reassoc and prange free it)",
                        id};
                if ((reduction && *reduction != update->reduction) ||
                    (update->inverse && update->reduction != Reduction::sum))
                    throw NotVectorised{"one variable is updated by different operations", id};
                reduction = update->reduction;
                found_.accumulations.push_back({id, *update});
            }
        }
        for (const Id id : found_.nodes) {
            const Node& n = k_.nodes[id];
            if (n.kind != NodeKind::read || n.aux != slot) continue;
            const bool of_update = std::ranges::any_of(
                found_.accumulations,
                [&](const LaneLoop::Accumulation& a) { return a.update.read == id; });
            if (!of_update || std::ranges::count(k_.operands, id) != 1)
                throw NotVectorised{"an iteration needs the variable that the one before left", id};
        }
        // What the variable is in between serves nothing else.
        for (const LaneLoop::Accumulation& a : found_.accumulations) {
            const Id op = a.update.op;
            const bool again = std::ranges::any_of(
                found_.accumulations,
                [&](const LaneLoop::Accumulation& other) { return other.update.read == op; });
            if (std::ranges::count(k_.operands, op) != (again ? 2 : 1))
                throw NotVectorised{"what is summed so far is of use to the iteration", op};
        }
        return *reduction;
    }

    /// The value that the write before this one, in the same block, has left in the slot; none
    /// where there is no such write, or where a block between them has another.
    Id written_before(Id write) const {
        const std::uint32_t slot = k_.nodes[write].aux;
        const auto writes = [&](Id id) {
            return k_.nodes[id].kind == NodeKind::write && k_.nodes[id].aux == slot;
        };
        for (const Block& block : k_.blocks) {
            const auto at = std::ranges::find(block.nodes, write);
            if (at == block.nodes.end()) continue;
            for (auto before = at; before != block.nodes.begin();) {
                const Node& n = k_.nodes[*--before];
                if (writes(*before)) return k_.operands_of(n).back();
                for (const Id inner : blocks_of(n))
                    if (any_in(k_, inner, writes)) return none;
            }
        }
        return none;
    }

    // --- subscripts ---

    bool invariant(Id id) const {
        const Node& n = k_.nodes[id];
        if (is_leaf(n.kind)) return true;
        if (id == loop_) return false;
        if (!inside_[id]) return true;
        if (n.kind == NodeKind::read) return found_.roles[n.aux] == Role::fixed;
        if (n.kind != NodeKind::op && n.kind != NodeKind::cast) return false;
        return std::ranges::all_of(k_.operands_of(id), [&](Id x) { return invariant(x); });
    }

    /// The coefficient of the loop's index in an affine expression.
    std::int64_t coefficient(Id id) const {
        if (id == loop_) return 1;
        if (invariant(id)) return 0;
        const Node& n = k_.nodes[id];
        if (n.kind != NodeKind::op) throw NotVectorised{not_affine, id};
        const auto x = k_.operands_of(id);
        const auto constant = [&](Id c) -> std::optional<std::int64_t> {
            if (k_.nodes[c].kind != NodeKind::constant) return std::nullopt;
            return static_cast<std::int64_t>(k_.nodes[c].imm);
        };
        constexpr std::int64_t limit = std::int64_t(1) << 31;
        std::int64_t result = 0;
        switch (n.op) {
            case Op::add: result = coefficient(x[0]) + coefficient(x[1]); break;
            case Op::sub: result = coefficient(x[0]) - coefficient(x[1]); break;
            case Op::neg: result = -coefficient(x[0]); break;
            case Op::mul: {
                const auto a = constant(x[0]), c = constant(x[1]);
                if (!a && !c) throw NotVectorised{not_affine, id};
                const std::int64_t factor = a ? *a : *c;
                if (factor > limit || factor < -limit) throw NotVectorised{not_affine, id};
                result = factor * coefficient(a ? x[1] : x[0]);
                break;
            }
            default: throw NotVectorised{not_affine, id};
        }
        if (result > limit || result < -limit) throw NotVectorised{not_affine, id};
        return result;
    }

    void check_independence() {
        for (LaneLoop::Access& a : found_.accesses) find_coefficients(a);
        for (const LaneLoop::Access& store : found_.accesses) {
            if (!stores(k_.nodes[store.node])) continue;
            const auto at = subscripts_of(k_, store.node);
            for (const LaneLoop::Access& other : found_.accesses) {
                if (!same_array(k_.nodes[other.node], k_.nodes[store.node])) continue;
                const auto there = subscripts_of(k_, other.node);
                bool apart = false;
                for (std::size_t d = 0; d < at.size(); ++d)
                    apart = apart || (at[d] == there[d] && store.coefficients[d] != 0);
                if (!apart)
                    throw NotVectorised{other.node == store.node
                                            ? "iterations may store to one element"
                                            : "iterations may meet at this element, to which "
                                              "the loop stores",
                                        other.node};
            }
        }
    }

    void find_coefficients(LaneLoop::Access& a) const {
        if (!a.coefficients.empty()) return;
        for (const Id s : subscripts_of(k_, a.node)) a.coefficients.push_back(coefficient(s));
    }

    /// Condition 2, of parallel loops too, which need no proof that their iterations are apart.
    void check_subscripts() {
        if (found_.scan) {  // the output comes last, behind what it begins with
            const auto output =
                std::ranges::find(found_.accesses, found_.scan->store, &LaneLoop::Access::node);
            std::rotate(output, output + 1, found_.accesses.end());
        }
        for (LaneLoop::Access& a : found_.accesses) {
            find_coefficients(a);
            const bool varies =
                std::ranges::any_of(a.coefficients, [](std::int64_t c) { return c != 0; });
            if (stores(k_.nodes[a.node]) && !varies)
                throw NotVectorised{"all iterations store to one element", a.node};
        }
    }

    // --- maps of plain arithmetic ---

    /// Those that LLVM's vectoriser makes no better code for.
    void check_plain() const {
        if (!k_.is_constant(k_.operand(loop_, 2), 1)) throw NotVectorised{lie_apart};
        for (const Id id : found_.nodes) {
            const Node& n = k_.nodes[id];
            if (!blocks_of(n).empty() || is_bare(n.kind))
                throw NotVectorised{"what it does depends on conditions", id};
            if (is_complex(n.dtype)) throw NotVectorised{"it computes complex numbers", id};
            // The index may become any number.
            if (n.kind == NodeKind::cast && k_.operand(id, 0) != loop_ &&
                size_of(k_.nodes[k_.operand(id, 0)].dtype) != size_of(n.dtype))
                throw NotVectorised{several_sizes, id};
        }
        for (const LaneLoop::Access& a : found_.accesses) check_row(a);
    }

    /// Whether the elements are one for all iterations, or next to each other.
    void check_row(const LaneLoop::Access& a) const {
        const Node& n = k_.nodes[a.node];
        if (effects_of(n).slot != none) throw NotVectorised{"it touches a Local", a.node};
        const bool varies =
            std::ranges::any_of(a.coefficients, [](std::int64_t c) { return c != 0; });
        if (!varies) return;
        const auto outer = std::span(a.coefficients).first(a.coefficients.size() - 1);
        if (k_.params[n.aux].layout != Layout::unit || a.coefficients.back() != 1 ||
            std::ranges::any_of(outer, [](std::int64_t c) { return c != 0; }))
            throw NotVectorised{lie_apart, a.node};
        const DType t = k_.params[n.aux].dtype;
        if (is_complex(t)) throw NotVectorised{"it computes complex numbers", a.node};
        if (t == DType::f16 || t == DType::bf16) throw NotVectorised{several_sizes, a.node};
        const auto at = subscripts_of(k_, a.node);
        for (const LaneLoop::Access& other : found_.accesses) {
            const Node& m = k_.nodes[other.node];
            if (effects_of(m).array != none && size_of(k_.params[m.aux].dtype) != size_of(t))
                throw NotVectorised{several_sizes, other.node};
            if (!same_array(m, n)) continue;
            const auto there = subscripts_of(k_, other.node);
            if (other.coefficients.back() != 0 && at.back() != there.back() &&
                std::ranges::equal(at.first(at.size() - 1), there.first(at.size() - 1)))
                throw NotVectorised{"its iterations share elements with their neighbours", a.node};
        }
    }

    const Kernel& k_;
    const SlotOwners& owners_;
    Id loop_;
    bool always_;
    Id body_;
    std::vector<bool> inside_;
    LaneLoop found_;
};

}  // namespace

std::optional<LaneLoop> find_lane_loop(const Kernel& kernel, const SlotOwners& owners, Id loop,
                                       bool always, LaneRefusal* why) {
    try {
        return Finder(kernel, owners, loop, always).run();
    } catch (const NotVectorised& refusal) {
        if (why != nullptr) *why = {refusal.reason, refusal.node, refusal.left_to_llvm};
        return std::nullopt;
    }
}

}  // namespace kiln::codegen
