// Functions of the parts of floating-point numbers: exponents, fractions, neighbours. All of them are
// exact, also where the kernel is fast.
#include "dsl/trace/trace.h"

#include <fmt/format.h>

#include <cmath>
#include <concepts>
#include <limits>

namespace kiln {
namespace {

using dsl::Trace;
using ir::Id;
using ir::Op;

/// The numbers of a dtype: 1.ff * 2^e with `precision` bits.
struct Format {
    int precision, smallest_exponent, largest_exponent;

    double unit() const { return std::ldexp(1.0, -precision); }  ///< half the ULP of 1
    double smallest() const { return std::ldexp(1.0, smallest_exponent - precision + 1); }
    double largest() const { return std::ldexp(2 - 2 * unit(), largest_exponent); }
};
Format format_of(DType t) {
    if (t == DType::f16) return {11, -14, 15};
    if (t == DType::bf16) return {8, -126, 127};
    if (t == DType::f32) return {24, -126, 127};
    return {53, -1022, 1023};
}

/// An operation under way: real operands as `type`, computed strictly in a wider dtype.
class Parts {
  public:
    Parts(const Operand& first, std::string_view function)
        : trace_(dsl::trace_at(first)),
          b_(trace_.builder()),
          flags_(b_.fast_flags()),
          function_(function),
          where_(first.where()) {
        b_.set_fast(0);
    }
    ~Parts() { b_.set_fast(flags_); }
    Parts(const Parts&) = delete;
    Parts& operator=(const Parts&) = delete;

    Id use(const Operand& operand) { return trace_.use_any(operand); }
    /// Sets the dtype of the result from operands that are to be real. Errors: type.
    void promote(std::initializer_list<Id> operands) {
        const auto promoted = b_.promote_real_operands(std::span(operands));
        type = promoted.dtype;
        weak_ = promoted.weak;
        if (!is_complex(type)) return;
        std::string types;
        for (const Id id : operands)
            types += fmt::format("{}{}", types.empty() ? "" : ", ", name(b_.dtype(id)));
        throw Error(ErrorKind::type,
                    fmt::format("{} takes real operands, not ({})", function_, types), where_,
                    "convert with cast<T>(...)");
    }
    [[noreturn]] void refuse(std::string_view wanted, Id x, Id y) {
        throw Error(ErrorKind::type,
                    fmt::format("{} takes {}, not ({}, {})", function_, wanted, name(b_.dtype(x)),
                                name(b_.dtype(y))),
                    where_, "convert with cast<T>(...)");
    }
    /// The operand, rounded to `type`, in the dtype `wide`.
    Id in(Id x, DType wide) { return b_.cast(b_.cast(x, type), wide); }
    Value result(Id x) { return trace_.value(b_.convert(b_.cast(x, type), type, weak_)); }
    Value result(Id x, DType as) { return trace_.value(b_.cast(x, as)); }

    ir::Builder& builder() { return b_; }
    DType dtype(Id x) { return b_.dtype(x); }
    /// A constant of the dtype of `like`.
    Id of(double value, Id like) { return b_.constant(Scalar::of(value).cast(b_.dtype(like))); }
    Id op(Op op, Id x) { return b_.apply(op, {x}); }
    template <std::same_as<Id> Node> Id op(Op op, Id x, Node y) { return b_.apply(op, {x, y}); }
    Id op(Op op, Id x, double y) { return b_.apply(op, {x, of(y, x)}); }
    Id select(Id condition, Id x, Id y) { return b_.apply(Op::select, {condition, x, y}); }

    DType type = DType::f64;  ///< of the operands and the result

  private:
    Trace& trace_;
    ir::Builder& b_;
    std::uint8_t flags_;
    std::string_view function_;
    Location where_;
    bool weak_ = false;
};

/// The dtype in which the sum of a number and its ULP is exact enough, which f64 has not.
DType wide_for_steps(DType t) { return t == DType::f32 ? DType::f64 : compute_type(t); }

/// The neighbour of the finite number x, in the dtype of x: of the larger numbers where `up`, else of
/// the smaller ones. With u half the ULP of 1, fl(x + u(1 + 2u)|x|) is the next number wherever the
/// product is not subnormal (Rump, Zimmermann, Boldo, Melquiond: Computing predecessor and successor
/// in rounding to nearest, 2009).
Id neighbour(Parts& p, Id x, Id up) {
    const Format format = format_of(p.type);
    const double phi = format.unit() * (1 + 2 * format.unit());
    const Id magnitude = p.op(Op::abs, x);
    const auto step = [&](Id from, Id size) {
        return p.select(up, p.op(Op::add, from, size), p.op(Op::sub, from, size));
    };
    // All numbers are the smallest one apart.
    const Id evenly = p.op(Op::lt, magnitude, std::ldexp(1.0, format.smallest_exponent + 1));
    const Id size = p.op(Op::mul, magnitude, phi);
    Id next;
    if (p.dtype(x) == p.type && p.type == DType::f64) {
        constexpr double up_scale = 0x1p100, down_scale = 0x1p-100;
        const Id scaled = step(p.op(Op::mul, x, up_scale),
                               p.op(Op::mul, p.op(Op::mul, magnitude, up_scale), phi));
        next = p.select(p.op(Op::lt, magnitude, 0x1p-900), p.op(Op::mul, scaled, down_scale),
                        step(x, size));
    } else {
        next = step(x, size);
    }
    next = p.select(evenly, step(x, p.of(format.smallest(), x)), next);
    ir::Builder& b = p.builder();
    next = b.cast(b.cast(next, p.type), p.dtype(x));
    return p.select(p.op(Op::eq, next, 0), p.op(Op::copysign, next, x), next);
}

/// 2^n for 0 <= n < 2^bits, of an i32, as `like`.
Id power_of_two(Parts& p, Id n, int bits, Id like) {
    ir::Builder& b = p.builder();
    Id power = p.of(1, like);
    for (int bit = 0; bit < bits; ++bit) {
        const Id mask = b.constant(Scalar::of(std::int32_t(1) << bit));
        const Id set = p.op(Op::ne, p.op(Op::bit_and, n, mask), 0);
        power = p.op(Op::mul, power,
                     p.select(set, p.of(std::ldexp(1.0, 1 << bit), like), p.of(1, like)));
    }
    return power;
}

/// An exponent of any integer dtype as i32, no further from 0 than `limit`.
Id exponent_of(Parts& p, Id n, int limit) {
    ir::Builder& b = p.builder();
    if (p.dtype(n) == DType::u64) n = p.op(Op::minimum, n, limit);
    n = b.cast(n, DType::i64);
    return b.cast(p.op(Op::maximum, p.op(Op::minimum, n, limit), -limit), DType::i32);
}

}  // namespace

Value fabs(Operand a) {
    Parts p(a, "fabs");
    const Id x = p.use(a);
    p.promote({x});
    return p.result(p.op(Op::abs, p.in(x, compute_type(p.type))));
}

Value nextafter(Operand a, Operand b) {
    Parts p(a, "nextafter");
    const Id first = p.use(a), second = p.use(b);
    p.promote({first, second});
    const DType wide = wide_for_steps(p.type);
    const Id x = p.in(first, wide), y = p.in(second, wide);
    Id next = neighbour(p, x, p.op(Op::lt, x, y));
    const Id largest = p.op(Op::copysign, p.of(format_of(p.type).largest(), x), x);
    next = p.select(p.op(Op::isinf, x), largest, next);
    next = p.select(p.op(Op::eq, x, y), y, next);
    const Id sum = p.op(Op::add, x, y);  // NaN where one is
    const Id unordered = p.op(Op::logical_or, p.op(Op::isnan, x), p.op(Op::isnan, y));
    return p.result(p.select(unordered, sum, next));
}

Value spacing(Operand a) {
    Parts p(a, "spacing");
    const Id operand = p.use(a);
    p.promote({operand});
    const Id x = p.in(operand, wide_for_steps(p.type));
    const Id next = neighbour(p, x, p.op(Op::ge, x, 0));
    const Id unknown = p.of(std::numeric_limits<double>::quiet_NaN(), x);
    return p.result(p.select(p.op(Op::isfinite, x), p.op(Op::sub, next, x), unknown));
}

std::pair<Value, Value> modf(Operand a) {
    Parts p(a, "modf");
    const Id operand = p.use(a);
    p.promote({operand});
    const Id x = p.in(operand, compute_type(p.type));
    const Id whole = p.op(Op::trunc, x);
    const Id rest = p.select(p.op(Op::isinf, x), p.of(0, x), p.op(Op::sub, x, whole));
    return {p.result(p.op(Op::copysign, rest, x)), p.result(whole)};
}

std::pair<Value, Value> frexp(Operand a) {
    Parts p(a, "frexp");
    const Id operand = p.use(a);
    p.promote({operand});
    const Id x = p.in(operand, compute_type(p.type));
    ir::Builder& b = p.builder();
    const bool wide = p.dtype(x) == DType::f64;
    Id m = p.op(Op::abs, x), e = b.constant(Scalar::of(std::int32_t(0)));
    const auto scale = [&](Id where, int exponent) {
        m = p.select(where, p.op(Op::mul, m, std::ldexp(1.0, -exponent)), m);
        e = p.select(where, p.op(Op::add, e, exponent), e);
    };
    // Powers of two by halving distances: m ends in [0.5, 1).
    const int first = wide ? 512 : 64;
    scale(p.op(Op::lt, m, wide ? 0x1p-900 : 0x1p-100), wide ? -200 : -64);
    for (int n = first; n >= 1; n /= 2) scale(p.op(Op::ge, m, std::ldexp(1.0, n)), n);
    scale(p.op(Op::ge, m, 1), 1);
    for (int n = first; n >= 1; n /= 2) scale(p.op(Op::lt, m, std::ldexp(1.0, -n)), -n);
    const Id usual = p.op(Op::logical_and, p.op(Op::isfinite, x), p.op(Op::ne, x, 0));
    return {p.result(p.select(usual, p.op(Op::copysign, m, x), x)),
            p.result(p.select(usual, e, b.constant(Scalar::of(std::int32_t(0)))), DType::i32)};
}

Value ldexp(Operand a, Operand b) {
    Parts p(a, "ldexp");
    const Id operand = p.use(a), exponent = p.use(b);
    if (!is_integer(p.dtype(exponent)) && !is_bool(p.dtype(exponent)))
        p.refuse("a real number and an integer", operand, exponent);
    p.promote({operand});
    Id x = p.in(operand, DType::f64);
    const auto scaled = [&](Id n, int bits) {
        const Id power = power_of_two(p, p.op(Op::abs, n), bits, x);
        return p.select(p.op(Op::lt, n, 0), p.op(Op::div, x, power), p.op(Op::mul, x, power));
    };
    // Exact in f64, so that the conversion is the only rounding.
    if (p.type != DType::f64) return p.result(scaled(exponent_of(p, exponent, 400), 9));
    Id n = exponent_of(p, exponent, 2200);
    const auto reduce = [&](Id where, double factor, int by) {
        x = p.select(where, p.op(Op::mul, x, factor), x);
        n = p.select(where, p.op(Op::sub, n, by), n);
    };
    // Steps down leave 53 bits of room above the subnormal numbers, so that only the last one rounds.
    for (int k = 0; k < 2; ++k) reduce(p.op(Op::gt, n, 1023), 0x1p1023, 1023);
    for (int k = 0; k < 2; ++k) reduce(p.op(Op::lt, n, -1022), 0x1p-969, -969);
    n = p.op(Op::maximum, p.op(Op::minimum, n, 1023), -1022);
    return p.result(scaled(n, 10));
}

}  // namespace kiln
