#include "codegen/lanes/vector_loops.h"

#include "codegen/analysis/dead_code.h"
#include "dsl/ir/builder.h"
#include "dsl/ir/combines.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/evaluate.h"
#include "dsl/ir/walk.h"

#include <algorithm>

namespace kiln::codegen {
namespace {

using namespace ir;
using Role = LaneLoop::Role;

class Extraction {
  public:
    Extraction(const Kernel& kernel, const LaneLoop& lanes)
        : k_(kernel),
          lanes_(lanes),
          loop_(lanes.loop),
          body_(kernel.nodes[loop_].aux),
          inside_(kernel.nodes.size(), false),
          params_(kernel.nodes.size(), none),
          slots_(kernel.slots.size(), none),
          map_(kernel.nodes.size(), none),
          b_(kernel.name) {
        for (const Id id : lanes.nodes) inside_[id] = true;
    }

    VectorLoop run() {
        b_.copy_location_tables(k_);
        if (lanes_.scan)
            b_.set_form(Form::scan, lanes_.scan->update.reduction);
        else if (!lanes_.reductions.empty())
            b_.set_form(Form::reduce);
        declare_values();
        declare_elements();
        const std::uint32_t totals = declare_totals();
        emit(totals);
        made_.kernel = b_.finish();
        made_.kernel = without_dead_code(made_.kernel);
        made_.in_place = lanes_.plain || (!lanes_.worth_it && !lanes_.reductions.empty() &&
                                          !k_.parallel(k_.nodes[loop_]));
        return std::move(made_);
    }

  private:
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
        for (const Id id : lanes_.nodes) {
            for (const Id x : k_.operands_of(id)) {
                const Node& n = k_.nodes[x];
                if (x == loop_ || inside_[x] || n.kind == NodeKind::constant || known[x]) continue;
                known[x] = true;
                values_.push_back(
                    {x, none, load_of({Kind::value, x, 0, {}, {}}, n.dtype, "outer")});
            }
        }
        for (std::uint32_t s = 0; s < k_.slots.size(); ++s)
            if (lanes_.roles[s] == Role::fixed)
                values_.push_back(
                    {none, s, load_of({Kind::slot, none, s, {}, {}}, k_.slots[s].dtype, "outer")});
        first_ = load_of({Kind::first, none, 0, {}, {}}, DType::i64, "first");
        const Id step = k_.operand(loop_, 2);
        if (!k_.is_constant(step, 1))
            step_ = load_of({Kind::step, none, 0, {}, {}}, DType::i64, "step");
    }

    void declare_elements() {
        const bool unit_step = step_ == none;
        for (const LaneLoop::Access& a : lanes_.accesses) {
            if (lanes_.scan && a.node == lanes_.scan->store) {
                const std::uint32_t slot = k_.nodes[lanes_.scan->write].aux;
                load_of({VectorOperand::Kind::slot, none, slot, {}, {}}, k_.slots[slot].dtype,
                        "carry");
            }
            const Node& n = k_.nodes[a.node];
            const bool local = n.kind == NodeKind::read || n.kind == NodeKind::write;
            const std::string& name = local ? k_.slots[n.aux].name : k_.params[n.aux].name;
            const DType dtype = local ? k_.slots[n.aux].dtype : k_.params[n.aux].dtype;
            const Layout layout = local ? Layout::unit : k_.params[n.aux].layout;
            const bool written = effects_of(n).any(effect::stores | effect::writes);
            // Loads of the same elements are one.
            const auto same =
                std::ranges::find_if(lanes_.accesses, [&](const LaneLoop::Access& other) {
                    const Node& m = k_.nodes[other.node];
                    return params_[other.node] != none && m.kind == n.kind && m.aux == n.aux &&
                           std::ranges::equal(subscripts_of(k_, m), subscripts_of(k_, n));
                });
            if (same != lanes_.accesses.end()) {
                params_[a.node] = params_[same->node];
                continue;
            }
            bool varies = false, only_last = true;
            for (std::size_t d = 0; d < a.coefficients.size(); ++d) {
                if (a.coefficients[d] == 0) continue;
                varies = true;
                only_last = only_last && d + 1 == a.coefficients.size() && a.coefficients[d] == 1;
            }
            const bool unit = varies && only_last && unit_step && layout == Layout::unit;
            params_[a.node] = b_.add_param({.name = name,
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
        for (const StageReduction& r : lanes_.reductions) {
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
        for (const Id id : lanes_.nodes) {
            const Node& n = k_.nodes[id];
            if (n.kind == NodeKind::read || n.kind == NodeKind::write) used[n.aux] = true;
        }
        for (std::uint32_t s = 0; s < k_.slots.size(); ++s)
            if (used[s] && k_.slots[s].length == 1)
                slots_[s] = b_.add_slot({.name = {}, .dtype = k_.slots[s].dtype});
        b_.begin_prologue();
        const Id size = b_.extent(0, 0);
        b_.end();
        if (!lanes_.reductions.empty()) {
            b_.begin_stage({}, false);
            for (std::size_t i = 0; i < lanes_.reductions.size();) i += emit_initial(i);
            b_.end();
        }
        b_.begin_stage(std::span(&size, 1), true);
        for (const StageReduction& r : lanes_.reductions)
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
        if (lanes_.reductions.empty()) return;
        b_.begin_stage({}, false);
        for (std::size_t i = 0; i < lanes_.reductions.size(); ++i)
            b_.store(totals + static_cast<std::uint32_t>(i), {},
                     b_.read(slots_[lanes_.reductions[i].target]));
        b_.end();
    }

    /// What changes no total, or no state, in slots from reduction `i` on; of how many.
    std::size_t emit_initial(std::size_t i) {
        const StageReduction& r = lanes_.reductions[i];
        if (r.combine == none) {
            b_.write(slots_[r.target], b_.constant(neutral(r.reduction, k_.slots[r.target].dtype)));
            return 1;
        }
        const std::vector<Id> parts = initial_state(b_, k_.combines[r.combine]);
        for (std::size_t part = 0; part < parts.size(); ++part)
            b_.write(slots_[lanes_.reductions[i + part].target], parts[part]);
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

    /// The analysis let only these kinds through.
    void clone(Id id, bool top) {
        const Node& n = k_.nodes[id];
        const auto operand = [&](std::size_t i) { return mapped(k_.operand(id, i)); };
        if (n.kind == NodeKind::op)
            clone_operation(id, n);
        else if (n.kind == NodeKind::cast)
            map_[id] = b_.convert(operand(0), n.dtype, n.weak);
        else if (n.kind == NodeKind::load)
            map_[id] = b_.load(params_[id], {b_.index(0)});
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
        const bool running = lanes_.scan && lanes_.scan->store == id;
        Id value = mapped(running ? lanes_.scan->update.value : k_.operands_of(id).back());
        if (running && lanes_.scan->update.inverse)
            value = b_.op(Op::neg, b_.dtype(value), {value});
        b_.store(params_[id], {b_.index(0)}, value);
    }

    void clone_read(Id id, const Node& n) {
        if (k_.slots[n.aux].length != 1)
            map_[id] = b_.load(params_[id], {b_.index(0)});
        else if (lanes_.roles[n.aux] == Role::own || lanes_.roles[n.aux] == Role::state)
            map_[id] = b_.read(slots_[n.aux]);
        else if (lanes_.roles[n.aux] == Role::fixed)
            map_[id] = std::ranges::find_if(values_, [&](const Outer& v) {
                           return v.node == none && v.slot == n.aux;
                       })->value;
    }

    void clone_write(Id id, const Node& n) {
        const auto operand = [&](std::size_t i) { return mapped(k_.operand(id, i)); };
        if (k_.slots[n.aux].length != 1)
            b_.store(params_[id], {b_.index(0)}, operand(1));
        else if (lanes_.roles[n.aux] == Role::own || lanes_.roles[n.aux] == Role::state)
            b_.write(slots_[n.aux], operand(0));
        else if (lanes_.roles[n.aux] == Role::total)
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
        const Update& update =
            std::ranges::find(lanes_.accumulations, write, &LaneLoop::Accumulation::write)->update;
        Id value = mapped(update.value);
        if (update.inverse) value = b_.op(Op::neg, k_.slots[n.aux].dtype, {value});
        b_.contribute(reduction_number(n.aux), value);
    }
    std::uint32_t reduction_number(std::uint32_t slot) const {
        const auto found = std::ranges::find(lanes_.reductions, slot, &StageReduction::target);
        return static_cast<std::uint32_t>(found - lanes_.reductions.begin());
    }

    struct Outer {
        Id node;
        std::uint32_t slot;
        std::uint32_t param;
        Id value = none;
    };

    const Kernel& k_;
    const LaneLoop& lanes_;
    Id loop_, body_;
    std::vector<bool> inside_;           // per node: in the loop's body
    std::vector<std::uint32_t> params_;  // per access: of the new kernel
    std::vector<std::uint32_t> slots_;   // of the new kernel
    std::vector<Outer> values_;
    std::uint32_t first_ = none, step_ = none;
    std::vector<Id> map_;
    Builder b_;
    VectorLoop made_;
};

}  // namespace

VectorLoop extract_vector_loop(const Kernel& kernel, const LaneLoop& loop) {
    return Extraction(kernel, loop).run();
}

}  // namespace kiln::codegen
