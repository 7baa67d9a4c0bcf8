// Functions that are made of several operations.
#include "dsl/trace/trace.h"

#include <fmt/format.h>

#include <bit>
#include <numbers>
#include <optional>

namespace kiln {
namespace {

using dsl::apply;
using dsl::Trace;
using ir::Id;
using ir::Op;

[[noreturn]] void refuse(const ir::Builder& b, std::string_view function, std::string_view wanted,
                         Id x, Id y) {
    throw Error(ErrorKind::type,
                fmt::format("{} takes {}, not ({}, {})", function, wanted, name(b.dtype(x)),
                            name(b.dtype(y))),
                b.kernel().location(b.location_index()), "convert with cast<T>(...)");
}

/// Operands in the dtype that they promote to, which is weak if all of them are.
Id as_promoted(ir::Builder& b, Id value, ir::Builder::Promoted to) {
    return to.weak ? b.convert(value, to.dtype, true) : b.coerce(value, to.dtype);
}

/// A real or complex operand, in the dtype that arithmetic on it is carried out in, so that a
/// composite of a 16-bit value rounds to 16 bits once, in `finish`.
struct Wide {
    ir::Builder& b;
    ir::Builder::Promoted type;
    Wide(ir::Builder& builder, std::initializer_list<Id> operands)
        : b(builder),
          type(builder.promote_real_operands(std::span(operands.begin(), operands.size()))) {}
    Id operator()(Id value) {
        return b.convert(as_promoted(b, value, type), compute_type(type.dtype), type.weak);
    }
    Id finish(Id value) { return b.convert(value, type.dtype, type.weak); }
};

Id weak(ir::Builder& b, double value) { return b.constant(Scalar::of(value, true)); }

Value scaled(const Operand& a, double factor, std::string_view function) {
    Trace& trace = dsl::trace_at(a);
    ir::Builder& b = trace.builder();
    const Id x = trace.use_any(a);
    if (is_complex(b.dtype(x)))
        throw Error(ErrorKind::type,
                    fmt::format("{} takes a real operand, not ({})", function, name(b.dtype(x))),
                    a.where(), "convert with cast<T>(...)");
    Wide wide(b, {x});
    return trace.value(wide.finish(b.apply(Op::mul, {wide(x), weak(b, factor)})));
}

DType unsigned_of(DType t) {
    return is_signed(t) ? static_cast<DType>(static_cast<int>(t) + static_cast<int>(DType::u8) -
                                             static_cast<int>(DType::i8))
                        : t;
}

/// The absolute values of two integers in the unsigned type of the dtype that they promote to,
/// where |smallest| is representable too; and what gcd and lcm share.
struct Magnitudes {
    DType type;  // of the result
    Id a, b;

    Magnitudes(ir::Builder& builder, std::string_view function, Id x, Id y) {
        type = builder.promote_operands(std::initializer_list<Id>{x, y}).dtype;
        if (is_bool(type)) type = DType::i8;
        if (!is_integer(type)) refuse(builder, function, "integers of a common type", x, y);
        const auto magnitude = [&](Id value) {
            const Id strong = builder.coerce(value, type);
            return builder.cast(builder.apply(Op::abs, {strong}), unsigned_of(type));
        };
        a = magnitude(x);
        b = magnitude(y);
    }

    /// Euclid's algorithm.
    Id common_divisor(ir::Builder& builder) const {
        const std::uint32_t larger = builder.add_slot({"gcd a", unsigned_of(type), 1});
        const std::uint32_t smaller = builder.add_slot({"gcd b", unsigned_of(type), 1});
        const Id zero = builder.constant(Scalar::of(0).cast(unsigned_of(type)));
        builder.write(larger, a);
        builder.write(smaller, b);
        builder.begin_while_condition();
        builder.begin_while_body(builder.apply(Op::ne, {builder.read(smaller), zero}));
        const Id p = builder.read(larger), q = builder.read(smaller);
        builder.write(larger, q);
        builder.write(smaller, builder.apply(Op::rem, {p, q}));
        builder.end();
        return builder.read(larger);
    }
};

}  // namespace

Value min(Operand a, Operand b) { return apply(Op::minimum, {&a, &b}); }
Value max(Operand a, Operand b) { return apply(Op::maximum, {&a, &b}); }
#define KILN_DSL_EXTREMUM(name, T)                                   \
    Value name(const T& a, const T& b, std::source_location where) { \
        return name(Operand(a, where), Operand(b, where));           \
    }
KILN_DSL_EXTREMUM(min, Value)
KILN_DSL_EXTREMUM(min, Var)
KILN_DSL_EXTREMUM(min, Index)
KILN_DSL_EXTREMUM(max, Value)
KILN_DSL_EXTREMUM(max, Var)
KILN_DSL_EXTREMUM(max, Index)
#undef KILN_DSL_EXTREMUM

Value round(Operand a) {
    Trace& trace = dsl::trace_at(a);
    ir::Builder& b = trace.builder();
    const Id x = trace.use_any(a);
    return trace.value(is_integer(b.dtype(x)) ? x : b.apply(Op::rint, {x}));
}

Value clip(Operand a, Operand low, Operand high) {
    Trace& trace = dsl::trace_at(a);
    ir::Builder& b = trace.builder();
    const Id x = trace.use_any(a), l = trace.use_any(low), h = trace.use_any(high);
    return trace.value(b.apply(Op::minimum, {b.apply(Op::maximum, {x, l}), h}));
}

std::pair<Value, Value> divmod(Operand a, Operand b) {
    return {apply(Op::floor_divide, {&a, &b}), apply(Op::mod, {&a, &b})};
}

Value square(Operand a) {
    Trace& trace = dsl::trace_at(a);
    ir::Builder& b = trace.builder();
    Id x = trace.use_any(a);
    if (is_bool(b.dtype(x))) x = b.convert(x, DType::i8, b.node(x).weak);
    return trace.value(b.apply(Op::mul, {x, x}));
}

Value reciprocal(Operand a) {
    Trace& trace = dsl::trace_at(a);
    ir::Builder& b = trace.builder();
    Id x = trace.use_any(a);
    if (is_bool(b.dtype(x))) x = b.convert(x, DType::i8, b.node(x).weak);
    return trace.value(b.apply(Op::div, {b.constant(Scalar::of(1, true)), x}));
}

Value rsqrt(Operand a) {
    Trace& trace = dsl::trace_at(a);
    ir::Builder& b = trace.builder();
    const Id x = trace.use_any(a);
    Wide wide(b, {x});
    return trace.value(wide.finish(b.apply(Op::div, {weak(b, 1), b.apply(Op::sqrt, {wide(x)})})));
}

/// log(exp(a) + exp(b)) / log(base), where `power` is base to the power of x: max + log(1 +
/// base^-|x - y|) / log(base). Equal operands are apart, because inf - inf is NaN.
static Value log_of_sum(const char* name, Operand a, Operand b, Op power,
                        std::optional<double> per_log) {
    Trace& trace = dsl::trace_at(a);
    ir::Builder& builder = trace.builder();
    const Id x = trace.use_any(a), y = trace.use_any(b);
    Wide wide(builder, {x, y});
    if (is_complex(wide.type.dtype)) refuse(builder, name, "real operands", x, y);
    const Id p = wide(x), q = wide(y);
    const Id distance = builder.apply(Op::abs, {builder.apply(Op::sub, {p, q})});
    const Id zero = builder.convert(weak(builder, 0), builder.dtype(p), wide.type.weak);
    const Id exponent = builder.apply(
        Op::select, {builder.apply(Op::eq, {p, q}), zero, builder.apply(Op::neg, {distance})});
    Id correction = builder.apply(Op::log1p, {builder.apply(power, {exponent})});
    if (per_log) correction = builder.apply(Op::mul, {correction, weak(builder, *per_log)});
    return trace.value(
        wide.finish(builder.apply(Op::add, {builder.apply(Op::maximum, {p, q}), correction})));
}
Value logaddexp(Operand a, Operand b) { return log_of_sum("logaddexp", a, b, Op::exp, {}); }
Value logaddexp2(Operand a, Operand b) {
    return log_of_sum("logaddexp2", a, b, Op::exp2, std::numbers::log2e);
}

Value heaviside(Operand a, Operand at_zero) {
    Trace& trace = dsl::trace_at(a);
    ir::Builder& b = trace.builder();
    const Id x = trace.use_any(a), h = trace.use_any(at_zero);
    const auto type = b.promote_real_operands(std::initializer_list<Id>{x, h});
    if (is_complex(type.dtype)) refuse(b, "heaviside", "real operands", x, h);
    const Id value = as_promoted(b, x, type), zero = b.convert(weak(b, 0), type.dtype, type.weak),
             one = b.convert(weak(b, 1), type.dtype, type.weak);
    // NaN is neither above nor below nor equal to 0, and is its own answer.
    Id result = b.apply(Op::select, {b.apply(Op::gt, {value, zero}), one, value});
    result = b.apply(Op::select, {b.apply(Op::eq, {value, zero}), as_promoted(b, h, type), result});
    return trace.value(b.apply(Op::select, {b.apply(Op::lt, {value, zero}), zero, result}));
}

Value gcd(Operand a, Operand b) {
    Trace& trace = dsl::trace_at(a);
    ir::Builder& builder = trace.builder();
    const Magnitudes m(builder, "gcd", trace.use(a), trace.use(b));
    return trace.value(builder.cast(m.common_divisor(builder), m.type));
}

Value lcm(Operand a, Operand b) {
    Trace& trace = dsl::trace_at(a);
    ir::Builder& builder = trace.builder();
    const Magnitudes m(builder, "lcm", trace.use(a), trace.use(b));
    // Divided first, so that no intermediate is larger than the result. Of two zeros the divisor is
    // 0, and the result too.
    const Id divisor = m.common_divisor(builder);
    const auto of = [&](int value) {
        return builder.constant(Scalar::of(value).cast(builder.dtype(divisor)));
    };
    const Id safe =
        builder.apply(Op::select, {builder.apply(Op::eq, {divisor, of(0)}), of(1), divisor});
    const Id quotient = builder.apply(Op::div, {m.a, safe});
    return trace.value(builder.cast(builder.apply(Op::mul, {quotient, m.b}), m.type));
}

Value deg2rad(Operand degrees) { return scaled(degrees, std::numbers::pi / 180, "deg2rad"); }
Value rad2deg(Operand radians) { return scaled(radians, 180 / std::numbers::pi, "rad2deg"); }

Value norm(Operand a) {
    Trace& trace = dsl::trace_at(a);
    ir::Builder& b = trace.builder();
    const Id z = trace.use_any(a);
    if (!is_complex(b.dtype(z))) return square(a);
    const Id x = b.apply(Op::real, {z}), y = b.apply(Op::imag, {z});
    return trace.value(b.apply(Op::add, {b.apply(Op::mul, {x, x}), b.apply(Op::mul, {y, y})}));
}

Value arg(Operand a) {
    Trace& trace = dsl::trace_at(a);
    ir::Builder& b = trace.builder();
    const Id z = trace.use_any(a);
    return trace.value(b.apply(Op::atan2, {b.apply(Op::imag, {z}), b.apply(Op::real, {z})}));
}

Value positive(Operand a) {
    Trace& trace = dsl::trace_at(a);
    ir::Builder& b = trace.builder();
    const Id x = trace.use_any(a);
    if (is_bool(b.dtype(x)))
        throw Error(ErrorKind::type, "positive takes numbers, not (bool)", a.where(),
                    "convert with cast<T>(...)");
    return trace.value(x);
}

Value float_power(Operand a, Operand b) {
    Trace& trace = dsl::trace_at(a);
    ir::Builder& builder = trace.builder();
    const Id x = trace.use_any(a), y = trace.use_any(b);
    const bool complex = is_complex(builder.dtype(x)) || is_complex(builder.dtype(y));
    const DType wide = complex ? DType::c128 : DType::f64;
    return trace.value(builder.apply(Op::pow, {builder.cast(x, wide), builder.cast(y, wide)}));
}

Value bitwise_count(Operand a) {
    Trace& trace = dsl::trace_at(a);
    ir::Builder& b = trace.builder();
    Id x = trace.use_any(a);
    if (is_bool(b.dtype(x))) x = b.cast(x, DType::i8);
    const DType type = b.dtype(x);
    if (!is_integer(type))
        throw Error(ErrorKind::type,
                    fmt::format("bitwise_count takes integers, not ({})", name(type)), a.where(),
                    "convert with cast<T>(...)");
    x = b.cast(b.apply(Op::abs, {b.cast(x, type)}), unsigned_of(type));
    const auto of = [&](std::uint64_t pattern) {
        return b.constant(Scalar::of(pattern).cast(unsigned_of(type)));
    };
    const auto shifted = [&](Id value, std::uint64_t bits) {
        return b.apply(Op::shr, {value, of(bits)});
    };
    const auto masked = [&](Id value, std::uint64_t mask) {
        return b.apply(Op::bit_and, {value, of(mask)});
    };
    // Sums of neighbouring fields of 1, 2 and 4 bits; the product adds up the bytes.
    x = b.apply(Op::sub, {x, masked(shifted(x, 1), 0x5555555555555555)});
    x = b.apply(Op::add,
                {masked(x, 0x3333333333333333), masked(shifted(x, 2), 0x3333333333333333)});
    x = masked(b.apply(Op::add, {x, shifted(x, 4)}), 0x0f0f0f0f0f0f0f0f);
    if (size_of(type) > 1)
        x = shifted(b.apply(Op::mul, {x, of(0x0101010101010101)}), 8 * size_of(type) - 8);
    return trace.value(b.cast(x, DType::u8));
}

Value cast(DType to, Operand value) {
    Trace& trace = dsl::trace_at(value);
    return trace.value(trace.builder().cast(trace.use_any(value), to));
}

}  // namespace kiln
