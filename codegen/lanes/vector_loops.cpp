#include "codegen/lanes/vector_loops.h"

#include "codegen/analysis/dead_code.h"
#include "codegen/analysis/updates.h"
#include "codegen/lanes/facts.h"
#include "dsl/ir/builder.h"
#include "dsl/ir/combines.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/evaluate.h"
#include "dsl/ir/walk.h"

#include <algorithm>

namespace kiln::codegen {
namespace {

using namespace ir;

constexpr const char* left_to_llvm = "its arithmetic is simple: LLVM's vectoriser has it";
constexpr const char* not_affine =
    "a subscript is not the loop's index times a constant plus something fixed";

/// Thrown within this file: why the loop stays scalar, in the user's words, and at which node.
struct NotVectorised {
    const char* reason;
    Id node = none;
};

class Extraction {
  public:
    Extraction(const Kernel& kernel, const SlotOwners& owners, Id loop, bool always, bool explains)
        : k_(kernel),
          owners_(owners),
          loop_(loop),
          always_(always),
          explains_(explains),
          body_(kernel.nodes[loop].aux),
          inside_(kernel.nodes.size(), false),
          map_(kernel.nodes.size(), none),
          b_(kernel.name) {}

    VectorLoop run() {
        collect(body_, true, false);
        check_trip();
        check_slots();
        if (!worth_it_ && !always_ && reductions_.empty()) {
            // LLVM's vectoriser asks the same.
            if (explains_ && k_.parallel(k_.nodes[loop_]) == nullptr) check_independence();
            throw NotVectorised{left_to_llvm};
        }
        if (k_.parallel(k_.nodes[loop_]) == nullptr) check_independence();
        b_.copy_location_tables(k_);
        if (scan_)
            b_.set_form(Form::scan, scan_->update.reduction);
        else if (!reductions_.empty())
            b_.set_form(Form::reduce);
        declare_values();
        declare_elements();
        const std::uint32_t totals = declare_totals();
        emit(totals);
        made_.kernel = b_.finish();
        made_.kernel = without_dead_code(made_.kernel);
        made_.in_place = !worth_it_ && !reductions_.empty() && !k_.parallel(k_.nodes[loop_]);
        return std::move(made_);
    }

  private:
    struct Touch {
        Id node;
        std::vector<std::int64_t> coefficients;
        std::uint32_t param;  // of the new kernel
    };

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
            nodes_.push_back(id);
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
                touches_.push_back({id, {}, none});
            }
            if (e.slot != none && k_.slots[e.slot].length != 1) collect_local(id, guarded);
            const bool loops = e.any(effect::loops);
            worth_it_ = worth_it_ || loops || (top && e.any(effect::continues)) ||
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
        touches_.push_back({id, {}, none});
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
        for (const Id id : nodes_) {
            const Effects e = effects_of(k_.nodes[id]);
            if (e.slot == none || k_.slots[e.slot].length != 1) continue;
            used[e.slot] = true;
            if (e.any(effect::writes)) written[e.slot] = true;
        }
        slots_.assign(k_.slots.size(), none);
        kind_.assign(k_.slots.size(), SlotKind::own);
        for (std::uint32_t s = 0; s < k_.slots.size(); ++s) {
            if (!used[s] || owners_.belongs_to(s, body_)) continue;
            if (!written[s]) {
                kind_[s] = SlotKind::fixed;
            } else if (add_state(s)) {
                kind_[s] = SlotKind::state;
            } else if (find_scan(s)) {
                kind_[s] = SlotKind::running;
            } else {
                kind_[s] = SlotKind::total;
                reductions_.push_back({reduction_of(s), s});
            }
        }
        if (scan_ && !reductions_.empty())
            throw NotVectorised{"it has running results and totals", scan_->store};
        if (reductions_.empty()) return;
        for (const Touch& a : touches_)
            if (stores(k_.nodes[a.node]))
                throw NotVectorised{"it sums into a variable and stores elements besides", a.node};
    }

    /// Whether the loop stores what the variable has accumulated so far in each iteration, and
    /// nothing else: running results.
    bool find_scan(std::uint32_t slot) {
        const DType t = k_.slots[slot].dtype;
        if (scan_ || is_complex(t) || t == DType::f16 || t == DType::bf16 || is_bool(t) ||
            k_.parallel(k_.nodes[loop_]) != nullptr)
            return false;
        Scan scan{none, none, {}};
        for (const Id id : k_.blocks[body_].nodes) {
            const Node& n = k_.nodes[id];
            if (n.kind == NodeKind::write && n.aux == slot) scan.write = id;
            if (n.kind == NodeKind::store) scan.store = id;
        }
        const auto count = [&](NodeKind kind, bool of_slot) {
            return std::ranges::count_if(nodes_, [&](Id id) {
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
            k_.params[k_.nodes[scan.store].aux].dtype != t ||
            std::ranges::count(k_.operands, update->op) != 2 ||
            std::ranges::count(k_.operands, update->read) != 1)
            return false;
        scan.update = *update;
        scan_ = scan;
        worth_it_ = true;
        return true;
    }

    /// All parts of the state that the slot is one of; false if it is none.
    bool add_state(std::uint32_t slot) {
        const ParallelLoop* parallel = k_.parallel(k_.nodes[loop_]);
        if (parallel == nullptr) return false;
        const auto& all = parallel->reductions;
        const auto part = std::ranges::find(all, slot, &StageReduction::target);
        if (part == all.end() || part->combine == none) return false;
        if (std::ranges::find(reductions_, slot, &StageReduction::target) != reductions_.end())
            return true;
        const auto entries = [&](auto of) {
            return static_cast<std::ptrdiff_t>(entries_of(k_, *of));
        };
        auto first = all.begin();
        while (part - first >= entries(first)) first += entries(first);
        reductions_.insert(reductions_.end(), first, first + entries(first));
        return true;
    }

    Reduction reduction_of(std::uint32_t slot) {
        std::optional<Reduction> reduction;
        for (const Id id : nodes_) {
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
                updates_.push_back(*update);
            }
        }
        for (const Id id : nodes_) {
            const Node& n = k_.nodes[id];
            if (n.kind != NodeKind::read || n.aux != slot) continue;
            const bool of_update =
                std::ranges::any_of(updates_, [&](const Update& u) { return u.read == id; });
            if (!of_update || std::ranges::count(k_.operands, id) != 1)
                throw NotVectorised{"an iteration needs the variable that the one before left", id};
        }
        // What the variable is in between serves nothing else.
        for (const Update& u : updates_) {
            const bool again = std::ranges::any_of(
                updates_, [&](const Update& other) { return other.read == u.op; });
            if (std::ranges::count(k_.operands, u.op) != (again ? 2 : 1))
                throw NotVectorised{"what is summed so far is of use to the iteration", u.op};
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
        if (n.kind == NodeKind::read) return kind_[n.aux] == SlotKind::fixed;
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
        for (Touch& a : touches_)
            for (const Id s : subscripts_of(k_, a.node)) a.coefficients.push_back(coefficient(s));
        for (const Touch& store : touches_) {
            if (!stores(k_.nodes[store.node])) continue;
            const auto at = subscripts_of(k_, store.node);
            for (const Touch& other : touches_) {
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

    // --- the new kernel ---

    Id load_of(VectorOperand operand, DType t, const char* name) {
        const std::uint32_t param = b_.add_param({.name = name,
                                                  .dtype = t,
                                                  .rank = 1,
                                                  .access = ir::Access::in,
                                                  .layout = Layout::uniform});
        made_.operands.push_back(std::move(operand));
        return param;
    }

    /// Parameters for what the loop takes from around it.
    void declare_values() {
        using Kind = VectorOperand::Kind;
        std::vector<bool> known(k_.nodes.size(), false);
        for (const Id id : nodes_) {
            for (const Id x : k_.operands_of(id)) {
                const Node& n = k_.nodes[x];
                if (x == loop_ || inside_[x] || n.kind == NodeKind::constant || known[x]) continue;
                known[x] = true;
                values_.push_back(
                    {x, none, load_of({Kind::value, x, 0, {}, {}}, n.dtype, "outer")});
            }
        }
        for (std::uint32_t s = 0; s < k_.slots.size(); ++s)
            if (kind_[s] == SlotKind::fixed)
                values_.push_back(
                    {none, s, load_of({Kind::slot, none, s, {}, {}}, k_.slots[s].dtype, "outer")});
        first_ = load_of({Kind::first, none, 0, {}, {}}, DType::i64, "first");
        const Id step = k_.operand(loop_, 2);
        if (!k_.is_constant(step, 1))
            step_ = load_of({Kind::step, none, 0, {}, {}}, DType::i64, "step");
    }

    void declare_elements() {
        if (scan_) {  // the output comes last, behind what it begins with
            const auto output = std::ranges::find(touches_, scan_->store, &Touch::node);
            std::rotate(output, output + 1, touches_.end());
        }
        const bool unit_step = step_ == none;
        for (Touch& a : touches_) {
            if (scan_ && a.node == scan_->store) {
                const std::uint32_t slot = k_.nodes[scan_->write].aux;
                load_of({VectorOperand::Kind::slot, none, slot, {}, {}}, k_.slots[slot].dtype,
                        "carry");
            }
            const Node& n = k_.nodes[a.node];
            const bool local = n.kind == NodeKind::read || n.kind == NodeKind::write;
            const std::string& name = local ? k_.slots[n.aux].name : k_.params[n.aux].name;
            const DType dtype = local ? k_.slots[n.aux].dtype : k_.params[n.aux].dtype;
            const Layout layout = local ? Layout::unit : k_.params[n.aux].layout;
            const bool written = stores(n);
            if (a.coefficients.empty())
                for (const Id s : subscripts_of(k_, n)) a.coefficients.push_back(coefficient(s));
            // Loads of the same elements are one.
            const auto same = std::ranges::find_if(touches_, [&](const Touch& other) {
                const Node& m = k_.nodes[other.node];
                return other.param != none && m.kind == n.kind && m.aux == n.aux &&
                       std::ranges::equal(subscripts_of(k_, m), subscripts_of(k_, n));
            });
            if (same != touches_.end()) {
                a.param = same->param;
                continue;
            }
            bool varies = false, only_last = true;
            for (std::size_t d = 0; d < a.coefficients.size(); ++d) {
                if (a.coefficients[d] == 0) continue;
                varies = true;
                only_last = only_last && d + 1 == a.coefficients.size() && a.coefficients[d] == 1;
            }
            const bool unit = varies && only_last && unit_step && layout == Layout::unit;
            if (written && !varies)
                throw NotVectorised{"all iterations store to one element", a.node};
            a.param = b_.add_param({.name = name,
                                    .dtype = dtype,
                                    .rank = 1,
                                    .access = written ? ir::Access::out : ir::Access::in,
                                    .layout = unit     ? Layout::unit
                                              : varies ? Layout::strided
                                                       : Layout::uniform});
            made_.operands.push_back(
                {VectorOperand::Kind::element, a.node, 0, Reduction::sum, a.coefficients});
        }
    }

    std::uint32_t declare_totals() {
        const auto first = static_cast<std::uint32_t>(b_.kernel().params.size());
        for (const StageReduction& r : reductions_) {
            b_.add_param({.name = "total",
                          .dtype = k_.slots[r.target].dtype,
                          .access = ir::Access::out,
                          .layout = Layout::unit});
            made_.operands.push_back(
                {VectorOperand::Kind::total, none, r.target, r.reduction, {}, r.combine});
        }
        return first;
    }

    void emit(std::uint32_t totals) {
        // Local arrays are parameters. Names would tell equal loops apart.
        std::vector<bool> used(k_.slots.size(), false);
        for (const Id id : nodes_) {
            const Node& n = k_.nodes[id];
            if (n.kind == NodeKind::read || n.kind == NodeKind::write) used[n.aux] = true;
        }
        for (std::uint32_t s = 0; s < k_.slots.size(); ++s)
            if (used[s] && k_.slots[s].length == 1)
                slots_[s] = b_.add_slot({.name = {}, .dtype = k_.slots[s].dtype});
        b_.begin_prologue();
        const Id size = b_.extent(0, 0);
        b_.end();
        if (!reductions_.empty()) {
            b_.begin_stage({}, false);
            for (std::size_t i = 0; i < reductions_.size();) i += emit_initial(i);
            b_.end();
        }
        b_.begin_stage(std::span(&size, 1), true);
        for (const StageReduction& r : reductions_)
            b_.add_reduction({r.reduction, slots_[r.target],
                              r.combine == none ? none : b_.add_combine(k_.combines[r.combine])});
        for (Outer& v : values_) {
            const Id value = b_.load(v.param, {b_.index(0)});
            if (v.node != none)
                map_[v.node] = value;
            else
                v.value = value;
        }
        Id index = b_.index(0);
        if (step_ != none)
            index = b_.op(Op::mul, DType::i64, {index, b_.load(step_, {b_.index(0)})});
        map_[loop_] = b_.op(Op::add, DType::i64, {index, b_.load(first_, {b_.index(0)})});
        clone_block(body_, true);
        b_.end();
        if (reductions_.empty()) return;
        b_.begin_stage({}, false);
        for (std::size_t i = 0; i < reductions_.size(); ++i)
            b_.store(totals + static_cast<std::uint32_t>(i), {},
                     b_.read(slots_[reductions_[i].target]));
        b_.end();
    }

    /// What changes no total, or no state, in slots from reduction `i` on; of how many.
    std::size_t emit_initial(std::size_t i) {
        const StageReduction& r = reductions_[i];
        if (r.combine == none) {
            b_.write(slots_[r.target], b_.constant(neutral(r.reduction, k_.slots[r.target].dtype)));
            return 1;
        }
        const std::vector<Id> parts = initial_state(b_, k_.combines[r.combine]);
        for (std::size_t part = 0; part < parts.size(); ++part)
            b_.write(slots_[reductions_[i + part].target], parts[part]);
        return parts.size();
    }

    Id mapped(Id old) {
        if (map_[old] == none && k_.nodes[old].kind == NodeKind::constant) {
            Scalar s = k_.constant(old);
            s.weak = k_.nodes[old].weak;
            map_[old] = b_.constant(s);
        }
        return map_[old];
    }

    /// `top`: jumps out of an iteration are ends of the stage's iteration.
    void clone_block(Id block, bool top) {
        for (const Id id : k_.blocks[block].nodes) {
            b_.set_location_index(k_.nodes[id].loc);
            clone(id, top);
        }
    }

    /// collect let only these kinds through.
    void clone(Id id, bool top) {
        const Node& n = k_.nodes[id];
        const auto operand = [&](std::size_t i) { return mapped(k_.operand(id, i)); };
        if (n.kind == NodeKind::op)
            clone_operation(id, n);
        else if (n.kind == NodeKind::cast)
            map_[id] = b_.convert(operand(0), n.dtype, n.weak);
        else if (n.kind == NodeKind::load)
            map_[id] = b_.load(touch(id).param, {b_.index(0)});
        else if (n.kind == NodeKind::store)
            clone_store(id);
        else if (n.kind == NodeKind::read)
            clone_read(id, n);
        else if (n.kind == NodeKind::write)
            clone_write(id, n);
        else if (is_bare(n.kind))
            b_.bare(top && n.kind == NodeKind::continue_ ? NodeKind::return_ : n.kind);
        else
            clone_structure(id, n, top);
    }

    void clone_operation(Id id, const Node& n) {
        std::vector<Id> x;
        for (const Id o : k_.operands_of(id)) x.push_back(mapped(o));
        if (std::ranges::count(x, none) == 0)  // else it is the update of a reduction
            map_[id] = b_.op(n.op, n.dtype, x, n.fast, n.weak);
    }

    void clone_store(Id id) {
        const bool running = scan_ && scan_->store == id;
        Id value = mapped(running ? scan_->update.value : k_.operands_of(id).back());
        if (running && scan_->update.inverse) value = b_.op(Op::neg, b_.dtype(value), {value});
        b_.store(touch(id).param, {b_.index(0)}, value);
    }

    void clone_read(Id id, const Node& n) {
        if (k_.slots[n.aux].length != 1)
            map_[id] = b_.load(touch(id).param, {b_.index(0)});
        else if (kind_[n.aux] == SlotKind::own || kind_[n.aux] == SlotKind::state)
            map_[id] = b_.read(slots_[n.aux]);
        else if (kind_[n.aux] == SlotKind::fixed)
            map_[id] = std::ranges::find_if(values_, [&](const Outer& v) {
                           return v.node == none && v.slot == n.aux;
                       })->value;
    }

    void clone_write(Id id, const Node& n) {
        const auto operand = [&](std::size_t i) { return mapped(k_.operand(id, i)); };
        if (k_.slots[n.aux].length != 1)
            b_.store(touch(id).param, {b_.index(0)}, operand(1));
        else if (kind_[n.aux] == SlotKind::own || kind_[n.aux] == SlotKind::state)
            b_.write(slots_[n.aux], operand(0));
        else if (kind_[n.aux] == SlotKind::total)
            contribute(id);
    }

    void clone_structure(Id id, const Node& n, bool top) {
        const auto operand = [&](std::size_t i) { return mapped(k_.operand(id, i)); };
        if (n.kind == NodeKind::branch) {
            b_.begin_branch(operand(0));
            clone_block(n.aux, top);
            if (n.aux2 != none) {
                b_.begin_else();
                clone_block(n.aux2, top);
            }
        } else if (n.kind == NodeKind::loop) {
            map_[id] = b_.begin_loop(operand(0), operand(1), operand(2));
            clone_block(n.aux, false);
        } else {
            b_.begin_while_condition();
            clone_block(n.aux, false);
            b_.begin_while_body(operand(0));
            clone_block(n.aux2, false);
        }
        b_.end();
    }

    void contribute(Id write) {
        const Node& n = k_.nodes[write];
        const auto update = update_of(k_, write, written_before(write));
        Id value = mapped(update->value);
        if (update->inverse) value = b_.op(Op::neg, k_.slots[n.aux].dtype, {value});
        b_.contribute(reduction_number(n.aux), value);
    }
    std::uint32_t reduction_number(std::uint32_t slot) const {
        const auto found = std::ranges::find(reductions_, slot, &StageReduction::target);
        return static_cast<std::uint32_t>(found - reductions_.begin());
    }

    const Touch& touch(Id node) const {
        return *std::ranges::find_if(touches_, [&](const Touch& a) { return a.node == node; });
    }

    enum class SlotKind : std::uint8_t { own, fixed, total, state, running };
    struct Scan {
        Id write, store;
        Update update;
    };
    struct Outer {
        Id node;
        std::uint32_t slot;
        std::uint32_t param;
        Id value = none;
    };

    const Kernel& k_;
    const SlotOwners& owners_;
    Id loop_;
    bool always_, explains_;
    Id body_;
    std::vector<bool> inside_;
    std::vector<Id> nodes_;  // of the body, in the order in which they run
    std::vector<Touch> touches_;
    std::vector<SlotKind> kind_;
    std::vector<std::uint32_t> slots_;  // of the new kernel
    std::vector<StageReduction> reductions_;
    std::vector<Update> updates_;
    std::optional<Scan> scan_;
    std::vector<Outer> values_;
    std::uint32_t first_ = none, step_ = none;
    bool worth_it_ = false;
    std::vector<Id> map_;
    Builder b_;
    VectorLoop made_;
};

}  // namespace

std::optional<VectorLoop> extract_vector_loop(const Kernel& kernel, const SlotOwners& owners,
                                              Id loop, bool always, LaneRefusal* why) {
    try {
        return Extraction(kernel, owners, loop, always, why != nullptr).run();
    } catch (const NotVectorised& refusal) {
        if (why != nullptr) *why = {refusal.reason, refusal.node, refusal.reason == left_to_llvm};
        return std::nullopt;
    }
}

std::optional<LaneForm> lane_form(const Kernel& kernel, Id loop) {
    const auto extracted = extract_vector_loop(kernel, SlotOwners(kernel), loop);
    if (!extracted) return std::nullopt;
    const Kernel& k = extracted->kernel;
    LaneForm form;
    std::size_t accumulators = 0;
    for (const Stage& stage : k.stages) accumulators += stage.reductions.size();
    for (const bool fma : {false, true}) {
        const KernelFacts facts = analyse(k, fma);
        // Later passes make operations fewer, and so more registers of a large body.
        const bool simple = facts.calls == 0 && facts.inlined == 0 && !facts.has_loops;
        if (simple && facts.operations > few_operations) return std::nullopt;
        form.widest[fma ? 1 : 0] = facts.widest;
        form.narrow = facts.narrowest < least_masked;
        form.registers[fma ? 1 : 0] = choose_registers(facts, accumulators, false);
    }
    for (const Node& n : k.nodes) {
        if (is_complex(n.dtype)) return std::nullopt;
        // They compute in f32.
        if (n.dtype == DType::f16 || n.dtype == DType::bf16)
            for (unsigned& bytes : form.widest) bytes = std::max<unsigned>(bytes, sizeof(float));
    }
    return form;
}

}  // namespace kiln::codegen
