#include "dsl/ir/powers.h"

#include <fmt/format.h>

#include <array>
#include <bit>

namespace kiln::ir {
namespace {

/// base ** exponent for a known exponent >= 0.
Id constant_power(Builder& b, Id base, std::uint64_t exponent) {
    Id result = b.constant(Scalar::of(1).cast(b.dtype(base)));
    if (exponent == 0) return result;
    const auto bits = static_cast<int>(std::bit_width(exponent));
    result = base;
    for (int bit = bits - 2; bit >= 0; --bit) {
        result = b.apply(Op::mul, {result, result});
        if ((exponent >> bit & 1) != 0) result = b.apply(Op::mul, {result, base});
    }
    return result;
}

}  // namespace

Id power(Builder& b, Id base, Id exponent) {
    const std::array operands{base, exponent};
    DType t = b.promote_operands(operands).dtype;
    if (!is_integer(t) && !is_bool(t)) return b.apply(Op::pow, operands);
    if (is_bool(t)) t = DType::i8;
    const bool known_exponent = b.node(exponent).kind == NodeKind::constant;
    if (!known_exponent && (b.node(base).rank != 0 || b.node(exponent).rank != 0))
        throw Error(ErrorKind::unsupported,
                    "powers of integer arrays are only computed for constant exponents",
                    b.kernel().location(b.location_index()), "convert to a floating-point type");
    const Id x = b.coerce(base, t), n = b.coerce(exponent, t);
    const auto of = [&](int value) { return b.constant(Scalar::of(value).cast(t)); };
    if (b.node(n).kind == NodeKind::constant) {
        const Scalar known = b.kernel().constant(n);
        const auto value = known.cast(DType::i64).get<std::int64_t>();
        if (is_signed(t) && value < 0)
            throw Error(ErrorKind::usage,
                        fmt::format("an integer cannot be raised to the negative power {}", value),
                        b.kernel().location(b.location_index()),
                        "make the base a real number: cast<double>(...)");
        return constant_power(b, x, known.cast(DType::u64).get<std::uint64_t>());
    }
    if (is_signed(t)) b.check(Check::negative_power, b.apply(Op::ge, {n, of(0)}));
    const std::uint32_t result = b.add_slot({"pow result", t, 1}),
                        factor = b.add_slot({"pow factor", t, 1}),
                        rest = b.add_slot({"pow rest", t, 1});
    b.write(result, of(1));
    b.write(factor, x);
    b.write(rest, n);
    b.begin_while_condition();
    b.begin_while_body(b.apply(Op::gt, {b.read(rest), of(0)}));
    const Id f = b.read(factor), r = b.read(rest), p = b.read(result);
    const Id odd = b.apply(Op::ne, {b.apply(Op::bit_and, {r, of(1)}), of(0)});
    b.write(result, b.apply(Op::select, {odd, b.apply(Op::mul, {p, f}), p}));
    b.write(factor, b.apply(Op::mul, {f, f}));
    b.write(rest, b.apply(Op::shr, {r, of(1)}));
    b.end();
    return b.read(result);
}

}  // namespace kiln::ir
