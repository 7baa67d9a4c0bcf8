// The typed makers of Builder: promotion, the rules of ops.def, and their errors.
#include "dsl/ir/builder.h"

#include <algorithm>
#include <cassert>

#include <fmt/format.h>

namespace kiln::ir {
namespace {

/// How an operator is written; functions by their name.
std::string_view spelling(Op op) {
    switch (op) {
        case Op::add: return "+";
        case Op::sub: return "-";
        case Op::neg: return "unary -";
        case Op::mul: return "*";
        case Op::div: return "/";
        case Op::rem: return "%";
        case Op::bit_and: return "&";
        case Op::bit_or: return "|";
        case Op::bit_xor: return "^";
        case Op::bit_not: return "~";
        case Op::shl: return "<<";
        case Op::shr: return ">>";
        case Op::eq: return "==";
        case Op::ne: return "!=";
        case Op::lt: return "<";
        case Op::le: return "<=";
        case Op::gt: return ">";
        case Op::ge: return ">=";
        case Op::logical_and: return "&&";
        case Op::logical_or: return "||";
        case Op::logical_not: return "!";
        default: return info(op).name;
    }
}

/// Whether the integer `value` can be represented in the integer type `to`.
bool representable(const Scalar& value, DType to) {
    const Scalar converted = value.cast(to);
    const bool negative = is_signed(value.dtype) && value.cast(DType::i64).get<std::int64_t>() < 0;
    if (negative && !is_signed(to)) return false;
    const auto bits = [](const Scalar& s) { return s.cast(DType::u64).get<std::uint64_t>(); };
    if (!negative && is_signed(to) && converted.cast(DType::i64).get<std::int64_t>() < 0)
        return false;
    return bits(converted) == bits(value);
}

std::string value_text(const Scalar& value) {
    if (is_unsigned(value.dtype))
        return fmt::format("{}", value.cast(DType::u64).get<std::uint64_t>());
    return fmt::format("{}", value.cast(DType::i64).get<std::int64_t>());
}

}  // namespace

void Builder::type_error(std::string message, std::string hint) const {
    throw Error(ErrorKind::type, std::move(message), kernel_.location(loc_), std::move(hint));
}

Builder::Promoted Builder::promote_operands(std::span<const Id> operands) const {
    bool any_strong = false;
    DType dtype = DType::bool_;
    for (const Id id : operands) {
        if (node(id).weak) continue;
        dtype = any_strong ? promote(dtype, node(id).dtype) : node(id).dtype;
        any_strong = true;
    }
    for (const Id id : operands) {
        if (!node(id).weak) continue;
        dtype = any_strong ? promote_weak(dtype, node(id).dtype) : promote(dtype, node(id).dtype);
    }
    return {dtype, !any_strong};
}

Builder::Promoted Builder::promote_real_operands(std::span<const Id> operands) const {
    const Promoted all = promote_operands(operands);
    if (is_complex(all.dtype)) return all;
    DType promoted = DType::bool_;  // of the strong operands (of all, if none is strong)
    std::optional<DType> real;      // of those that not every real dtype holds
    for (const Id id : operands) {
        if (node(id).weak && !all.weak) continue;
        const DType t = node(id).dtype;
        promoted = promote(promoted, t);
        if (!is_real(t) && size_of(t) == 1) continue;
        real = real ? promote(*real, detail::real_for(t)) : detail::real_for(t);
    }
    // Where a weak operand is of another kind, it decides.
    if (promoted != all.dtype) return {detail::real_for(all.dtype), all.weak};
    return {real.value_or(DType::f16), all.weak};
}

Id Builder::cast(Id value, DType to) { return convert(value, to, false); }

Id Builder::coerce(Id value, DType to) {
    const Node& n = node(value);
    if (n.weak && n.kind == NodeKind::constant && is_integer(n.dtype) && is_integer(to)) {
        const Scalar s = kernel_.constant(value);
        if (!representable(s, to))
            type_error(fmt::format("{} is not representable in {}", value_text(s), name(to)),
                       fmt::format("convert the other operand to a wider type, or write {}({}) to "
                                   "keep the low bits",
                                   name(to), value_text(s)));
    }
    return convert(value, to, false);
}

Id Builder::truth(Id value) { return convert(value, DType::bool_, false); }

void Builder::refuse_operands(Op op, std::span<const Id> operands, std::string_view wanted) const {
    std::string types;
    for (const Id id : operands)
        types += fmt::format("{}{}", types.empty() ? "" : ", ", name(dtype(id)));
    type_error(fmt::format("{} takes {}, not ({})", spelling(op), wanted, types),
               "convert with cast<T>(...)");
}

void Builder::refuse_mixed_signs(Op op, std::span<const Id> operands) const {
    const auto integer = [&](Id id) { return is_integer(dtype(id)) || is_bool(dtype(id)); };
    if (!std::ranges::all_of(operands, integer)) return;
    const bool first = is_signed(dtype(operands[0]));
    const DType with_sign = dtype(operands[first ? 0 : 1]);
    type_error(fmt::format("{} of ({}, {}): no integer dtype holds the values of both",
                           spelling(op), name(dtype(operands[0])), name(dtype(operands[1]))),
               fmt::format("convert one of them, the {} with cast<u64>(...) or the u64 with "
                           "cast<i64>(...)",
                           name(with_sign)));
}

Id Builder::apply_comparison(Op op, Id a, Id b) {
    // Integers compare by value: a weak one counts with its C++ type, so that none is out of range.
    DType left = dtype(a), right = dtype(b);
    const bool integers =
        (is_integer(left) || is_bool(left)) && (is_integer(right) || is_bool(right));
    DType common =
        integers ? promote(left, right) : promote_operands(std::initializer_list<Id>{a, b}).dtype;
    if (!integers || is_integer(common) || is_bool(common)) {
        const Id operands[] = {convert(a, common), convert(b, common)};
        return this->op(op, DType::bool_, operands, fast_);
    }
    // One is signed, the other u64: compare as u64 where the signed one is not negative.
    const bool left_signed = is_signed(left);
    const Id s = convert(left_signed ? a : b, DType::i64),
             u = convert(left_signed ? b : a, DType::u64);
    const Id negative = this->op(Op::lt, DType::bool_, {s, constant_i64(0)});
    const Id wide = convert(s, DType::u64);
    const Id as_unsigned =
        left_signed ? this->op(op, DType::bool_, {wide, u}) : this->op(op, DType::bool_, {u, wide});
    // The answer where the signed operand is negative, thus the smaller one.
    const bool smaller_left = op == Op::lt || op == Op::le,
               smaller_right = op == Op::gt || op == Op::ge;
    const bool answer = op == Op::ne || (left_signed ? smaller_left : smaller_right);
    return answer ? this->op(Op::logical_or, DType::bool_, {negative, as_unsigned})
                  : this->op(Op::logical_and, DType::bool_,
                             {this->op(Op::logical_not, DType::bool_, {negative}), as_unsigned});
}

Id Builder::apply_predicate(Op op, Id a) {
    const DType t = dtype(a);
    if (is_complex(t)) {
        if (op == Op::signbit) refuse_operands(op, std::span(&a, 1), "a real operand");
        const Id real = apply(op, {apply(Op::real, {a})}), imag = apply(op, {apply(Op::imag, {a})});
        return this->op(op == Op::isfinite ? Op::logical_and : Op::logical_or, DType::bool_,
                        {real, imag});
    }
    if (!is_real(t)) {
        if (op == Op::signbit && is_signed(t))
            return apply(Op::lt, {a, constant(Scalar::of(0).cast(t))});
        return constant_bool(op == Op::isfinite);
    }
    return this->op(op, DType::bool_, std::span(&a, 1), fast_);
}

Id Builder::apply(Op op, std::span<const Id> operands) {
    assert(operands.size() == info(op).arity);
    const Rule rule = info(op).rule;
    auto [t, weak] = promote_operands(operands);
    DType result{};
    const auto refuse = [&](bool refused, std::string_view wanted) {
        if (refused) refuse_operands(op, operands, wanted);
    };
    switch (rule) {
        case Rule::comparison: return apply_comparison(op, operands[0], operands[1]);
        case Rule::logical: {
            std::vector<Id> bools;
            for (const Id id : operands) bools.push_back(truth(id));
            return this->op(op, DType::bool_, bools, 0);
        }
        case Rule::predicate: return apply_predicate(op, operands[0]);
        case Rule::choice: {
            const Id alternatives[] = {operands[1], operands[2]};
            const auto [common, all_weak] = promote_operands(alternatives);
            const auto as_common = [&](Id id) {
                return all_weak ? convert(id, common, true) : coerce(id, common);
            };
            const Id chosen[] = {truth(operands[0]), as_common(operands[1]),
                                 as_common(operands[2])};
            return this->op(op, common, chosen, 0, all_weak);
        }
        case Rule::arithmetic: break;
        case Rule::arithmetic_no_bool: refuse(is_bool(t), "numbers"); break;
        case Rule::bitwise:
            if (is_real(t)) refuse_mixed_signs(op, operands);
            refuse(!is_bool(t) && !is_integer(t), "bool or integer operands");
            break;
        case Rule::shift:
            if (is_real(t)) refuse_mixed_signs(op, operands);
            refuse(!is_bool(t) && !is_integer(t), "integer operands");
            if (is_bool(t)) t = DType::i8;
            break;
        case Rule::division:
            if (is_bool(t)) t = DType::i8;
            break;
        case Rule::integer_division:
            refuse(is_complex(t), "real or integer operands");
            if (is_bool(t)) t = DType::i8;
            break;
        case Rule::true_division:
            if (!is_real(t) && !is_complex(t)) t = DType::f64;
            break;
        case Rule::rounding:
            refuse(is_complex(t), "a real operand");
            if (!is_real(t)) return operands[0];
            break;
        case Rule::magnitude:
            if (is_bool(t) || is_unsigned(t)) return operands[0];
            break;
        case Rule::real_arithmetic:
        case Rule::real_function: refuse(is_complex(t), "real operands"); [[fallthrough]];
        case Rule::real_or_complex: t = promote_real_operands(operands).dtype; break;
        case Rule::power:
            if (is_bool(t)) t = DType::i8;
            break;
        case Rule::pair: {
            refuse(is_complex(t), "real operands");
            const DType part = promote(promote_real_operands(operands).dtype, DType::f32);
            const Id parts[] = {coerce(operands[0], part), coerce(operands[1], part)};
            return this->op(op, complex_type(part), parts, 0, weak);
        }
        case Rule::part:
            if (!is_complex(t))
                return op == Op::real ? operands[0] : convert(constant(Scalar::of(0)), t, weak);
            break;
    }
    if (op == Op::conj && !is_complex(t)) return convert(operands[0], t, weak);
    result = rule == Rule::magnitude || rule == Rule::part ? real_type(t) : t;
    Id converted[3] = {};
    for (std::size_t i = 0; i < operands.size(); ++i)
        converted[i] = weak ? convert(operands[i], t, true) : coerce(operands[i], t);
    return this->op(op, result, std::span<const Id>(converted, operands.size()), fast_, weak);
}

}  // namespace kiln::ir
