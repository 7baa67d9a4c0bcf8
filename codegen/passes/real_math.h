// Formulas on real nodes: a small vocabulary, so that they read as formulas.
//
// C++ leaves the order of a call's operands open. Where two of them make nodes, name one first, so
// that every compiler makes the nodes in the same order.
#pragma once
#include "codegen/passes/complex_math.h"

namespace kiln::codegen {

using Truth = Real;  // a Real whose node is a bool

inline DType dtype(Real x) { return x.builder->dtype(x.id); }
inline bool is_double(Real x) { return dtype(x) == DType::f64; }

inline Real literal(Real like, double value) {
    return {like.builder, like.builder->constant(Scalar::of(value).cast(dtype(like))), like.fma};
}
inline Real as(DType t, Real a) { return {a.builder, a.builder->convert(a.id, t), a.fma}; }
inline Real call(ir::Op op, Real a) {
    return {a.builder, a.builder->op(op, dtype(a), {a.id}), a.fma};
}
inline Real call(ir::Op op, Real a, Real b) {
    return {a.builder, a.builder->op(op, dtype(a), {a.id, b.id}), a.fma};
}
inline Real call(ir::Op op, Real a, Real b, Real c) {
    return {a.builder, a.builder->op(op, dtype(a), {a.id, b.id, c.id}), a.fma};
}
inline Truth test(ir::Op op, Real a, Real b) {
    return {a.builder, a.builder->op(op, DType::bool_, {a.id, b.id})};
}
inline Truth test(ir::Op op, Real a) {
    return {a.builder, a.builder->op(op, DType::bool_, {a.id})};
}

inline Real operator+(Real a, Real b) { return call(ir::Op::add, a, b); }
inline Real operator-(Real a, Real b) { return call(ir::Op::sub, a, b); }
inline Real operator*(Real a, Real b) { return call(ir::Op::mul, a, b); }
inline Real operator/(Real a, Real b) { return call(ir::Op::true_divide, a, b); }
inline Real operator-(Real a) { return call(ir::Op::neg, a); }
inline Real operator+(double a, Real b) { return literal(b, a) + b; }
inline Real operator+(Real a, double b) { return a + literal(a, b); }
inline Real operator-(double a, Real b) { return literal(b, a) - b; }
inline Real operator/(double a, Real b) { return literal(b, a) / b; }
inline Real operator*(Real a, double b) { return a * literal(a, b); }
inline Real operator-(Real a, double b) { return a - literal(a, b); }
inline Truth operator<(Real a, double b) { return test(ir::Op::lt, a, literal(a, b)); }
inline Truth operator>(Real a, double b) { return test(ir::Op::gt, a, literal(a, b)); }
inline Truth operator>(Real a, Real b) { return test(ir::Op::gt, a, b); }
inline Truth operator>=(Real a, Real b) { return test(ir::Op::ge, a, b); }
inline Truth is(Real a, double value) { return test(ir::Op::eq, a, literal(a, value)); }
inline Truth operator&(Truth a, Truth b) { return test(ir::Op::logical_and, a, b); }
inline Truth operator|(Truth a, Truth b) { return test(ir::Op::logical_or, a, b); }
inline Truth operator!(Truth a) { return test(ir::Op::logical_not, a); }

inline Real abs(Real a) { return call(ir::Op::abs, a); }
inline Real sqrt(Real a) { return call(ir::Op::sqrt, a); }
inline Real exp(Real a) { return call(ir::Op::exp, a); }
inline Real sin(Real a) { return call(ir::Op::sin, a); }
inline Real cos(Real a) { return call(ir::Op::cos, a); }
inline Real rint(Real a) { return call(ir::Op::rint, a); }
/// a * b + c, in one instruction where the target has it.
inline Real multiply_add(Real a, Real b, Real c) {
    return a.fma ? call(ir::Op::fma, a, b, c) : a * b + c;
}
inline Real copysign(Real a, Real b) { return call(ir::Op::copysign, a, b); }
inline Truth signbit(Real a) { return test(ir::Op::signbit, a); }
inline Truth isnan(Real a) { return test(ir::Op::isnan, a); }
inline Truth isinf(Real a) { return test(ir::Op::isinf, a); }
inline Truth isfinite(Real a) { return test(ir::Op::isfinite, a); }

inline Real choose(Truth c, Real a, Real b) {
    const ir::Id operands[] = {c.id, a.id, b.id};
    return {a.builder, a.builder->op(ir::Op::select, dtype(a), operands, 0), a.fma};
}
inline Real choose(Truth c, double a, Real b) { return choose(c, literal(b, a), b); }
inline Complex choose(Truth c, const Complex& a, const Complex& b) {
    return {choose(c, a.re, b.re), choose(c, a.im, b.im)};
}

/// While it lives, nodes are made without `flags` of the caller's.
class Without {
  public:
    Without(ir::Builder& builder, std::uint8_t flags)
        : builder_(builder), before_(builder.fast_flags()) {
        builder_.set_fast(static_cast<std::uint8_t>(before_ & ~flags));
    }
    ~Without() { builder_.set_fast(before_); }
    Without(const Without&) = delete;
    Without& operator=(const Without&) = delete;

  private:
    ir::Builder& builder_;
    std::uint8_t before_;
};

/// A sum of two numbers of one dtype, the lower one a few units in the last place of the higher one
/// or less: twice the digits. To be made without reassoc and contract.
struct DoubleDouble {
    Real high, low;
};

/// a + b, exact.
inline DoubleDouble exact_sum(Real a, Real b) {
    const Real high = a + b, of_b = high - a;
    const Real of_a = high - of_b;
    const Real lost_a = a - of_a, lost_b = b - of_b;
    return {high, lost_a + lost_b};
}
/// a + b, exact for |a| >= |b| and numbers of one exponent.
inline DoubleDouble ordered_sum(Real a, Real b) {
    const Real high = a + b;
    const Real of_b = high - a;
    return {high, b - of_b};
}
/// A double as a sum of two of 26 digits.
inline DoubleDouble split(Real a) {
    const Real spread = a * 0x1.0000002p27;
    const Real lost = spread - a;
    const Real high = spread - lost;
    return {high, a - high};
}
/// a * b of doubles, exact but for what is below the subnormal numbers. Without fma: where both are
/// below 2^996.
inline DoubleDouble exact_product(Real a, Real b) {
    const Real high = a * b;
    if (a.fma) return {high, call(ir::Op::fma, a, b, -high)};
    const DoubleDouble x = split(a), y = split(b);
    const Real heads = x.high * y.high;
    const Real first = heads - high, across = x.high * y.low;
    const Real left = first + across, back = x.low * y.high;
    const Real rest = left + back;
    return {high, rest + x.low * y.low};
}
/// c - a * b, exact where a is near c / b.
inline Real less_product(Real c, Real a, Real b) {
    if (a.fma) return call(ir::Op::fma, -a, b, c);
    const DoubleDouble product = exact_product(a, b);
    return c - product.high - product.low;
}

inline DoubleDouble choose(Truth c, const DoubleDouble& a, const DoubleDouble& b) {
    return {choose(c, a.high, b.high), choose(c, a.low, b.low)};
}
inline DoubleDouble operator-(const DoubleDouble& a) { return {-a.high, -a.low}; }
inline DoubleDouble operator+(const DoubleDouble& a, const DoubleDouble& b) {
    const DoubleDouble sum = exact_sum(a.high, b.high);
    return ordered_sum(sum.high, sum.low + (a.low + b.low));
}
inline DoubleDouble operator*(const DoubleDouble& a, Real b) {
    const DoubleDouble product = exact_product(a.high, b);
    return {product.high, multiply_add(a.low, b, product.low)};
}
inline DoubleDouble operator*(const DoubleDouble& a, const DoubleDouble& b) {
    const DoubleDouble product = a * b.high;
    return {product.high, multiply_add(a.high, b.low, product.low)};
}
inline DoubleDouble operator/(const DoubleDouble& a, const DoubleDouble& b) {
    const Real inverse = 1 / b.high;
    const Real high = a.high * inverse;
    const Real left = less_product(a.high, high, b.high) + a.low;
    const Real rest = multiply_add(-high, b.low, left);
    return {high, rest * inverse};
}

}  // namespace kiln::codegen
