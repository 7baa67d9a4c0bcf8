#include "dsl/ir/positions.h"

#include <algorithm>

namespace kiln::ir {

Id takes_place(Builder& b, Reduction reduction, const PositionStep& s) {
    Id better = b.apply(reduction == Reduction::min ? Op::lt : Op::gt, {s.value, s.extreme});
    Id equal = b.apply(Op::eq, {s.value, s.extreme});
    if (is_real(b.dtype(s.value))) {
        const Id nan = b.apply(Op::isnan, {s.value}), had_nan = b.apply(Op::isnan, {s.extreme});
        const Id first_nan = b.apply(Op::logical_and, {nan, b.apply(Op::logical_not, {had_nan})});
        better = b.apply(Op::logical_or, {better, first_nan});
        equal = b.apply(Op::logical_or, {equal, b.apply(Op::logical_and, {nan, had_nan})});
    }
    const Id earlier = b.apply(Op::lt, {s.position, s.at});
    return b.apply(Op::logical_or, {better, b.apply(Op::logical_and, {equal, earlier})});
}

namespace {

/// Whether two trees are equal down to `leaves` of the first, which stand for nodes of the second.
bool equal_trees(const Kernel& a, Id x, const Kernel& b, Id y,
                 const std::vector<std::pair<Id, Id>>& leaves) {
    for (const auto& [leaf, stands_for] : leaves)
        if (leaf == x) return stands_for == y;
    const Node &n = a.nodes[x], &m = b.nodes[y];
    if (n.kind != m.kind || n.op != m.op || n.dtype != m.dtype ||
        n.operand_count != m.operand_count)
        return false;
    for (std::size_t i = 0; i < n.operand_count; ++i)
        if (!equal_trees(a, a.operand(x, i), b, b.operand(y, i), leaves)) return false;
    return true;
}

}  // namespace

bool is_takes_place(const Kernel& kernel, Id condition, Reduction reduction,
                    const PositionStep& step) {
    Builder model("model");
    std::vector<std::pair<Id, Id>> leaves;
    const auto leaf = [&](Id stands_for) {
        const std::uint32_t p =
            model.add_param({.name = "p", .dtype = kernel.nodes[stands_for].dtype});
        leaves.emplace_back(model.param(p), stands_for);
        return leaves.back().first;
    };
    PositionStep parts{};
    parts.value = leaf(step.value);
    parts.position = leaf(step.position);
    parts.extreme = leaf(step.extreme);
    parts.at = leaf(step.at);
    model.set_form(Form::program);
    model.begin_stage({}, false);
    const Id made = takes_place(model, reduction, parts);
    return equal_trees(model.kernel(), made, kernel, condition, leaves);
}

}  // namespace kiln::ir
