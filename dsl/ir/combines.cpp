#include "dsl/ir/combines.h"

#include "dsl/ir/effects.h"
#include "dsl/ir/evaluate.h"

#include <algorithm>
#include <array>
#include <cassert>

#include <fmt/format.h>

namespace kiln::ir {

std::vector<Id> parts_of(const Kernel& combine, CombineStage stage) {
    const std::size_t n = state_size(combine);
    std::vector<Id> parts(n, none);
    for (const Id id : combine.blocks[combine.stages[static_cast<std::size_t>(stage)].body].nodes)
        if (combine.nodes[id].kind == NodeKind::store)
            parts[combine.nodes[id].aux - 2 * n] = combine.operand(id, 0);
    return parts;
}

void build_combine(Builder& b, std::span<const Scalar> initial,
                   const MakeCombination& combination) {
    b.set_form(Form::combine);
    const std::size_t n = initial.size();
    for (const char letter : {'a', 'b', 'r'})
        for (std::size_t i = 0; i < n; ++i)
            b.add_param({.name = fmt::format("{}{}", letter, i),
                         .dtype = initial[i].dtype,
                         .access = letter == 'r' ? Access::out : Access::value,
                         .layout = letter == 'r' ? Layout::unit : Layout::strided});
    const auto store = [&](std::size_t part, Id value) {
        b.store(static_cast<std::uint32_t>(2 * n + part), {}, value);
    };
    b.begin_stage({}, false);
    for (std::size_t i = 0; i < n; ++i) {
        Scalar value = initial[i];
        value.weak = false;
        store(i, b.constant(value));
    }
    b.end();
    b.begin_stage({}, false);
    std::vector<Id> both;
    for (std::uint32_t p = 0; p < 2 * n; ++p) both.push_back(b.param(p));
    const std::vector<Id> made = combination(b, both);
    assert(made.size() == n);
    for (std::size_t i = 0; i < n; ++i) store(i, made[i]);
    b.end();
}

static std::vector<Id> clone_stage(Builder& b, const Kernel& combine, CombineStage stage,
                                   std::span<const Id> both) {
    std::vector<Id> made(combine.nodes.size(), none);
    const auto value = [&](Id id) {
        const Node& n = combine.nodes[id];
        if (n.kind == NodeKind::param) return both[n.aux];
        if (n.kind != NodeKind::constant) return made[id];
        Scalar s = combine.constant(id);
        s.weak = n.weak;
        return b.constant(s);
    };
    for (const Id id : combine.blocks[combine.stages[static_cast<std::size_t>(stage)].body].nodes) {
        const Node& n = combine.nodes[id];
        if (!is_computation(n.kind)) continue;
        std::vector<Id> operands;
        for (const Id x : combine.operands_of(id)) operands.push_back(value(x));
        made[id] = n.kind == NodeKind::cast ? b.convert(operands[0], n.dtype, n.weak)
                                            : b.op(n.op, n.dtype, operands, n.fast, n.weak);
    }
    std::vector<Id> parts = parts_of(combine, stage);
    for (Id& part : parts) part = value(part);
    return parts;
}
std::vector<Id> combine_states(Builder& b, const Kernel& combine, std::span<const Id> both) {
    assert(both.size() == 2 * state_size(combine));
    return clone_stage(b, combine, CombineStage::combined, both);
}
std::vector<Id> initial_state(Builder& b, const Kernel& combine) {
    return clone_stage(b, combine, CombineStage::initial, {});
}

void combine_into(Builder& b, const Kernel& combine, std::span<const std::uint32_t> slots,
                  std::span<const Id> values, std::uint32_t number) {
    std::vector<Id> both;
    for (const std::uint32_t slot : slots) both.push_back(b.read(slot));
    both.insert(both.end(), values.begin(), values.end());
    const std::vector<Id> results = combine_states(b, combine, both);
    for (std::size_t i = 0; i < slots.size(); ++i) b.write(slots[i], results[i], none, number);
}

Kernel make_extreme_combine(Reduction extreme, DType value) {
    const std::array initial{neutral(extreme, value)};
    Builder made(extreme == Reduction::min ? "min" : "max");
    build_combine(made, initial, [&](Builder& b, std::span<const Id> x) {
        return std::vector{b.apply(info(extreme).op, {x[0], x[1]})};
    });
    return made.finish();
}

Kernel make_position_combine(Reduction extreme, DType value, DType position) {
    const std::array initial{neutral(extreme, value), neutral(Reduction::min, position)};
    const bool least = extreme == Reduction::min;
    Builder made(least ? "argmin" : "argmax");
    build_combine(made, initial, [&](Builder& b, std::span<const Id> x) {
        const Id best = x[0], at = x[1], found = x[2], place = x[3];
        Id better = b.apply(least ? Op::lt : Op::gt, {found, best});
        Id equal = b.apply(Op::eq, {found, best});
        if (is_real(value) || is_complex(value)) {
            // One comparison, where isnan looks at bits.
            const Id nan = b.apply(Op::ne, {found, found}), had_nan = b.apply(Op::ne, {best, best});
            const Id first = b.apply(Op::logical_and, {nan, b.apply(Op::logical_not, {had_nan})});
            better = b.apply(Op::logical_or, {better, first});
            equal = b.apply(Op::logical_or, {equal, b.apply(Op::logical_and, {nan, had_nan})});
        }
        const Id earlier = b.apply(Op::lt, {place, at});
        const Id chosen =
            b.apply(Op::logical_or, {better, b.apply(Op::logical_and, {equal, earlier})});
        return std::vector{b.apply(Op::select, {chosen, found, best}),
                           b.apply(Op::select, {chosen, place, at})};
    });
    return made.finish();
}

namespace {

/// Compares the combination's nodes with those that the writes of a step store.
class Matcher {
  public:
    Matcher(const Kernel& kernel, const Kernel& combine, CombineStep& step)
        : k_(kernel), c_(combine), step_(step), stands_for_(combine.nodes.size(), none) {}

    /// Whether `id` is what node `of` of the combination makes.
    bool is(Id id, Id of) {
        if (stands_for_[of] != none) return stands_for_[of] == id;
        const Node &n = k_.nodes[id], &m = c_.nodes[of];
        if (m.kind == NodeKind::param) {
            if (!is_part(id, n, m.aux)) return false;
        } else {
            if (n.kind != m.kind || n.op != m.op || n.dtype != m.dtype || n.imm != m.imm)
                return false;
            for (std::size_t i = 0; i < m.operand_count; ++i)
                if (!is(k_.operand(id, i), c_.operand(of, i))) return false;
            if (is_computation(n.kind)) step_.between.push_back(id);
        }
        stands_for_[of] = id;
        return true;
    }

  private:
    bool is_part(Id id, const Node& n, std::uint32_t param) {
        const std::size_t parts = state_size(c_);
        if (param >= parts) {
            step_.values[param - parts] = id;
            return n.dtype == c_.params[param].dtype;
        }
        step_.reads[param] = id;
        return n.kind == NodeKind::read && n.aux == k_.nodes[step_.writes[param]].aux;
    }

    const Kernel &k_, &c_;
    CombineStep& step_;
    std::vector<Id> stands_for_;  // per node of the combination
};

}  // namespace

std::optional<CombineStep> find_step(const Kernel& kernel, Id block, std::size_t at) {
    const std::vector<Id>& nodes = kernel.blocks[block].nodes;
    const Node& first = kernel.nodes[nodes[at]];
    const std::uint32_t number = first.kind == NodeKind::write ? combine_of(first) : none;
    if (number == none) return std::nullopt;
    const Kernel& combine = kernel.combines[number];
    const std::size_t n = state_size(combine);
    if (at + n > nodes.size()) return std::nullopt;
    CombineStep step;
    step.combine = number;
    step.writes.assign(nodes.begin() + static_cast<std::ptrdiff_t>(at),
                       nodes.begin() + static_cast<std::ptrdiff_t>(at + n));
    step.reads.assign(n, none);
    step.values.assign(n, none);
    for (std::size_t i = 0; i < n; ++i) {
        const Node& w = kernel.nodes[step.writes[i]];
        if (w.kind != NodeKind::write || w.operand_count != 1 || combine_of(w) != number ||
            kernel.slots[w.aux].dtype != combine.params[i].dtype)
            return std::nullopt;
        for (std::size_t j = 0; j < i; ++j)
            if (kernel.nodes[step.writes[j]].aux == w.aux) return std::nullopt;
    }
    const std::vector<Id> parts = parts_of(combine, CombineStage::combined);
    Matcher matcher(kernel, combine, step);
    for (std::size_t i = 0; i < n; ++i)
        if (!matcher.is(kernel.operand(step.writes[i], 0), parts[i])) return std::nullopt;
    // Nothing else happens to the slots between reads and writes.
    for (const Id read : step.reads) {
        if (read == none) continue;
        const auto from =
            std::find(nodes.begin(), nodes.begin() + static_cast<std::ptrdiff_t>(at), read);
        for (auto x = from; x != nodes.begin() + static_cast<std::ptrdiff_t>(at); ++x)
            if (const NodeKind kind = kernel.nodes[*x].kind; has_effect(kind)) return std::nullopt;
        if (from == nodes.begin() + static_cast<std::ptrdiff_t>(at)) return std::nullopt;
    }
    return step;
}

}  // namespace kiln::ir
