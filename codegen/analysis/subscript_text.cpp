#include "codegen/analysis/subscript_text.h"

#include "dsl/ir/describe.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <algorithm>

#include <fmt/format.h>

namespace kiln::codegen {

using namespace ir;

namespace {

/// How tightly an operator binds its operands; 0 for those that are written as functions.
int precedence(Op op) {
    switch (op) {
        case Op::mul:
        case Op::div:
        case Op::rem: return 10;
        case Op::add:
        case Op::sub: return 9;
        case Op::shl:
        case Op::shr: return 8;
        case Op::lt:
        case Op::le:
        case Op::gt:
        case Op::ge: return 7;
        case Op::eq:
        case Op::ne: return 6;
        case Op::bit_and: return 5;
        case Op::bit_xor: return 4;
        case Op::bit_or: return 3;
        case Op::logical_and: return 2;
        case Op::logical_or: return 1;
        default: return 0;
    }
}

std::string_view symbol(Op op) {
    switch (op) {
        case Op::mul: return "*";
        case Op::div: return "/";
        case Op::rem: return "%";
        case Op::add: return "+";
        case Op::sub: return "-";
        case Op::shl: return "<<";
        case Op::shr: return ">>";
        case Op::bit_and: return "&";
        case Op::bit_or: return "|";
        case Op::bit_xor: return "^";
        case Op::lt: return " < ";
        case Op::le: return " <= ";
        case Op::gt: return " > ";
        case Op::ge: return " >= ";
        case Op::eq: return " == ";
        case Op::ne: return " != ";
        case Op::logical_and: return " && ";
        case Op::logical_or: return " || ";
        default: return {};
    }
}

constexpr int unary = 11, deepest = 6;
/// Elements whose text is longer are told with less of their subscripts.
constexpr std::size_t longest = 80;

}  // namespace

SubscriptText::SubscriptText(const Kernel& kernel, Id loop, const AffineForms& forms)
    : kernel_(kernel), forms_(forms) {
    for (const char letter : std::string_view("ijklmnopqrstuvw")) {
        const std::string name(1, letter);
        if (std::ranges::none_of(kernel.params, [&](const Param& p) { return p.name == name; }))
            letters_.push_back(name);
    }
    loops_[loop] = letters_[0];
    name_loops(kernel.nodes[loop].aux, 1);
}

void SubscriptText::name_loops(Id block, std::size_t level) {
    walk(kernel_, block, [&](Id id) {
        const Node& n = kernel_.nodes[id];
        if (n.kind != NodeKind::loop) return Walk::on;
        loops_[id] = letters_[std::min(level, letters_.size() - 1)];
        name_loops(n.aux, level + 1);
        return Walk::skip;
    });
}

std::string SubscriptText::element(Id access) const {
    const Node& n = kernel_.nodes[access];
    if (effects_of(n).any(effect::all_elements)) return array(n);
    std::string text;
    for (int depth = 0; depth < deepest; ++depth) {
        text = element_of(n, depth);
        if (text.size() <= longest) break;
    }
    return text;
}

/// `{start, stop}` of a subscript that goes over the elements of a slice, else nothing.
std::optional<std::string> SubscriptText::slice(Id subscript, int depth) const {
    const Node& n = kernel_.nodes[subscript];
    if (n.kind != NodeKind::op || n.op != Op::add) return std::nullopt;
    Id loop = kernel_.operand(subscript, 0);
    if (kernel_.nodes[loop].kind == NodeKind::op && kernel_.nodes[loop].op == Op::mul)
        loop = kernel_.operand(loop, 0);
    const auto found = slice_loop(kernel_, loop);
    if (!found || found->first != kernel_.operand(subscript, 1)) return std::nullopt;
    const bool to_end = kernel_.nodes[found->stop].kind == NodeKind::extent;
    std::string text =
        '{' + value(found->start, 0, depth) + ", " + (to_end ? "{}" : value(found->stop, 0, depth));
    if (found->step != 1) text += fmt::format(", {}", found->step);
    return text + '}';
}

/// `x(i, j)`, or `element (i, j) of the array made at line 5`.
std::string SubscriptText::element_of(const Node& access, int depth) const {
    std::string text = "(";
    bool slices = false;
    for (std::size_t d = 0; d < kernel_.params[access.aux].rank; ++d) {
        const Id subscript = kernel_.operands_of(access)[d];
        const auto part = slice(subscript, depth);
        slices = slices || part;
        text += (d == 0 ? "" : ", ") + (part ? *part : value(subscript, 0, depth));
    }
    text += ')';
    if (has_name(kernel_.params[access.aux]))
        return array(access) + (slices ? ".slice" : "") + text;
    return (slices ? "slice " : "element ") + text + " of " + array(access);
}

std::string SubscriptText::array(const Node& at) const {
    return describe_array(kernel_, at.aux, kernel_.location(at.loc));
}

std::string SubscriptText::constant(Id id) const {
    const Scalar c = kernel_.constant(id);
    if (is_bool(c.dtype)) return c.get<bool>() ? "true" : "false";
    if (is_unsigned(c.dtype)) return std::to_string(c.cast(DType::u64).get<std::uint64_t>());
    if (is_integer(c.dtype)) return std::to_string(c.cast(DType::i64).get<std::int64_t>());
    return fmt::format("{}", c.cast(DType::f64).get<double>());
}

/// `binding`: of the operator around it; looser ones get parentheses.
std::string SubscriptText::value(Id id, int binding, int depth) const {
    if (depth > deepest) return "...";
    const Node& n = kernel_.nodes[id];
    if (n.kind == NodeKind::constant) return constant(id);
    if (n.kind == NodeKind::param) return kernel_.params[n.aux].name;
    if (n.kind == NodeKind::op) return operation(id, binding, depth);
    if (n.kind == NodeKind::extent) {
        if (has_name(kernel_.params[n.aux])) return fmt::format("{}.extent({})", array(n), n.aux2);
        return fmt::format("(extent {} of {})", n.aux2, array(n));
    }
    if (n.kind == NodeKind::cast) {
        const Id from = kernel_.operand(id, 0);
        if (is_integer(n.dtype) && is_integer(kernel_.nodes[from].dtype))
            return value(from, binding, depth);
        return fmt::format("cast({}, {})", name(n.dtype), value(from, 0, depth + 1));
    }
    if (n.kind == NodeKind::loop) {
        const auto found = loops_.find(id);
        return found != loops_.end() ? found->second : "an outer index";
    }
    const auto in_parentheses = [&](std::string text) {
        return binding == 0 ? text : '(' + text + ')';
    };
    if (n.kind == NodeKind::read) {
        if (const Id only = forms_.only_value(id); only != none)
            return value(only, binding, depth + 1);
        return in_parentheses(describe_slot(kernel_, n.aux, kernel_.location(n.loc), false));
    }
    if (n.kind != NodeKind::load) return "...";
    const std::string text = element_of(n, depth + 1);
    return has_name(kernel_.params[n.aux]) ? text : in_parentheses(text);
}

std::string SubscriptText::operation(Id id, int binding, int depth) const {
    const Node& n = kernel_.nodes[id];
    const auto x = kernel_.operands_of(n);
    if (n.op == Op::neg) return '-' + value(x[0], unary, depth + 1);
    if (n.op == Op::logical_not) return '!' + value(x[0], unary, depth + 1);
    // What a slice cuts off at the ends of its array.
    if (const Id bound = cut_bound(kernel_, id); bound != none) return value(bound, binding, depth);
    if (const int own = precedence(n.op); own > 0) {
        // To the right of all but + && || what binds as tightly needs parentheses too.
        const int right =
            n.op == Op::add || n.op == Op::logical_and || n.op == Op::logical_or ? own : own + 1;
        const std::string text =
            value(x[0], own, depth + 1) + std::string(symbol(n.op)) + value(x[1], right, depth + 1);
        return own < binding ? '(' + text + ')' : text;
    }
    std::string text(info(n.op).name);
    if (n.op == Op::minimum) text = "min";
    if (n.op == Op::maximum) text = "max";
    text += '(';
    for (std::size_t i = 0; i < x.size(); ++i)
        text += (i == 0 ? "" : ", ") + value(x[i], 0, depth + 1);
    return text + ')';
}

}  // namespace kiln::codegen
