#include "codegen/passes/complex_math.h"

#include <cmath>
#include <string>

namespace kiln::codegen {
namespace {

using namespace ir;

// --- a small vocabulary, so that the formulas below read as formulas ---

using Truth = Real;  // a Real whose node is a bool

DType dtype(Real x) { return x.builder->dtype(x.id); }
bool is_double(Real x) { return dtype(x) == DType::f64; }

Real literal(Real like, double value) {
    return {like.builder, like.builder->constant(Scalar::of(value).cast(dtype(like)))};
}
Real call(Op op, Real a) { return {a.builder, a.builder->op(op, dtype(a), {a.id})}; }
Real call(Op op, Real a, Real b) { return {a.builder, a.builder->op(op, dtype(a), {a.id, b.id})}; }
Truth test(Op op, Real a, Real b) {
    return {a.builder, a.builder->op(op, DType::bool_, {a.id, b.id})};
}
Truth test(Op op, Real a) { return {a.builder, a.builder->op(op, DType::bool_, {a.id})}; }

Real operator+(Real a, Real b) { return call(Op::add, a, b); }
Real operator-(Real a, Real b) { return call(Op::sub, a, b); }
Real operator*(Real a, Real b) { return call(Op::mul, a, b); }
Real operator/(Real a, Real b) { return call(Op::true_divide, a, b); }
Real operator-(Real a) { return call(Op::neg, a); }
Real operator+(double a, Real b) { return literal(b, a) + b; }
Real operator*(Real a, double b) { return a * literal(a, b); }
Real operator-(Real a, double b) { return a - literal(a, b); }
Truth operator<(Real a, double b) { return test(Op::lt, a, literal(a, b)); }
Truth operator>(Real a, double b) { return test(Op::gt, a, literal(a, b)); }
Truth operator>=(Real a, Real b) { return test(Op::ge, a, b); }
Truth is(Real a, double value) { return test(Op::eq, a, literal(a, value)); }
Truth operator&(Truth a, Truth b) { return test(Op::logical_and, a, b); }
Truth operator|(Truth a, Truth b) { return test(Op::logical_or, a, b); }
Truth operator!(Truth a) { return test(Op::logical_not, a); }

Real abs(Real a) { return call(Op::abs, a); }
Real sqrt(Real a) { return call(Op::sqrt, a); }
Real exp(Real a) { return call(Op::exp, a); }
Real log(Real a) { return call(Op::log, a); }
Real sin(Real a) { return call(Op::sin, a); }
Real cos(Real a) { return call(Op::cos, a); }
Real hypot(Real a, Real b) { return call(Op::hypot, a, b); }
Real copysign(Real a, Real b) { return call(Op::copysign, a, b); }
Truth isinf(Real a) { return test(Op::isinf, a); }
Truth isfinite(Real a) { return test(Op::isfinite, a); }

Real choose(Truth c, Real a, Real b) {
    const Id operands[] = {c.id, a.id, b.id};
    return {a.builder, a.builder->op(Op::select, dtype(a), operands, 0)};
}
Complex choose(Truth c, const Complex& a, const Complex& b) {
    return {choose(c, a.re, b.re), choose(c, a.im, b.im)};
}

// --- arithmetic: NumPy's formulas ---

Complex operator+(const Complex& a, const Complex& b) { return {a.re + b.re, a.im + b.im}; }
Complex operator-(const Complex& a, const Complex& b) { return {a.re - b.re, a.im - b.im}; }
Complex operator*(const Complex& a, const Complex& b) {
    // Named, so that the nodes are made in the same order by every compiler.
    const Real re_re = a.re * b.re, im_im = a.im * b.im;
    const Real re_im = a.re * b.im, im_re = a.im * b.re;
    return {re_re - im_im, re_im + im_re};
}

/// Smith's algorithm: scaled by the larger part of the divisor.
Complex operator/(const Complex& a, const Complex& b) {
    const Real re = abs(b.re), im = abs(b.im);
    const Truth real_larger = re >= im;
    const Real large = choose(real_larger, b.re, b.im), small = choose(real_larger, b.im, b.re);
    const Real ratio = small / large;
    const Real scale = literal(re, 1) / (large + small * ratio);
    const Complex quotient = {
        choose(real_larger, a.re + a.im * ratio, a.re * ratio + a.im) * scale,
        choose(real_larger, a.im - a.re * ratio, a.im * ratio - a.re) * scale};
    return choose(is(re, 0) & is(im, 0), Complex{a.re / re, a.im / re}, quotient);
}

// --- elementary functions ---

/// exp(|x|) overflows above `limit`, where a product with a small sine need not: there the
/// functions compute exp(|x| - shift), and multiply by factor = exp(shift) at the end.
struct Range {
    double limit, shift;
};
Range exp_range(Real x) { return is_double(x) ? Range{709, 64} : Range{88, 16}; }

Complex exp(const Complex& z) {
    const Range range = exp_range(z.re);
    const Truth large = z.re > range.limit;
    const Real e = exp(choose(large, z.re - range.shift, z.re));
    const Real factor = choose(large, literal(z.re, std::exp(range.shift)), literal(z.re, 1));
    const Complex product = {e * cos(z.im) * factor, e * sin(z.im) * factor};
    // exp(-inf + iy) is 0 whatever y is; the exponential of a real number is real.
    const Truth vanishes = is(z.re, -INFINITY) & !isfinite(z.im);
    const Real zero = literal(z.re, 0);
    // exp(inf + iy) has an infinite real part where y has no direction.
    const Truth blows_up = is(z.re, INFINITY) & !isfinite(z.im);
    const Complex direction_free = {choose(vanishes, zero, choose(blows_up, z.re, product.re)),
                                    choose(vanishes, zero, product.im)};
    return {direction_free.re, choose(is(z.im, 0), z.im, direction_free.im)};
}

Complex log(const Complex& z) {
    const Real x = abs(z.re), y = abs(z.im);
    const Real larger = call(Op::maximum, x, y), smaller = call(Op::minimum, x, y);
    // Scaled so that neither the modulus overflows nor its digits are lost below the normal range.
    const double huge = is_double(x) ? 0x1p1022 : 0x1p126,
                 tiny = is_double(x) ? 0x1p-1000 : 0x1p-110;
    const double up = is_double(x) ? 0x1p100 : 0x1p40;
    const Truth large = larger > huge, little = larger < tiny;
    const Real scale =
        choose(large, literal(x, 0.25), choose(little, literal(x, up), literal(x, 1)));
    const Real shift = choose(large, literal(x, std::log(4.0)),
                              choose(little, literal(x, -std::log(up)), literal(x, 0)));
    const Real modulus = hypot(x * scale, y * scale);
    const Real far = log(modulus) + shift;
    // Near the unit circle log|z| = log1p(|z|^2 - 1) / 2 keeps the digits that log of the rounded
    // modulus loses.
    const Real above_one = (larger - 1) * (1 + larger) + smaller * smaller;
    const Real near = call(Op::log1p, above_one) * 0.5;
    const Truth is_near = (modulus > 0.5) & (modulus < 2) & !large & !little;
    return {choose(is_near, near, far), call(Op::atan2, z.im, z.re)};
}

Complex sqrt(const Complex& z) {
    const Real x = abs(z.re), y = abs(z.im);
    const Real larger = call(Op::fmax, x, y);
    const double huge = is_double(x) ? 0x1p1021 : 0x1p125,
                 tiny = is_double(x) ? 0x1p-1000 : 0x1p-110;
    const Truth large = larger > huge, little = larger < tiny;
    const Real one = literal(x, 1);
    const Real scale = choose(large, literal(x, 0.25), choose(little, literal(x, 0x1p40), one));
    const Real unscale = choose(large, literal(x, 2), choose(little, literal(x, 0x1p-20), one));
    const Real a = z.re * scale, b = z.im * scale;
    // The root of the part that does not cancel, and the other part from 2 * re * im = b.
    const Real t = sqrt((abs(a) + hypot(a, b)) * 0.5);
    const Real q = b / (t * 2);
    const Truth right = z.re >= literal(x, 0);
    const Complex root = {choose(right, t, abs(q)) * unscale,
                          choose(right, q, copysign(t, b)) * unscale};
    const Complex at_zero = {literal(x, 0), z.im};
    const Complex finite = choose(is(x, 0) & is(y, 0), at_zero, root);
    return choose(isinf(z.im), Complex{y, z.im}, finite);
}

/// cosh x and sinh x, both to be multiplied by `factor` after a trigonometric factor.
struct Hyperbolic {
    Real cosh, sinh, factor;
};
Hyperbolic hyperbolic(Real x) {
    const Range range = exp_range(x);
    const Real magnitude = abs(x);
    const Truth large = magnitude > range.limit;
    const Real half = exp(magnitude - range.shift) * 0.5;
    return {choose(large, half, call(Op::cosh, x)),
            choose(large, copysign(half, x), call(Op::sinh, x)),
            choose(large, literal(x, std::exp(range.shift)), literal(x, 1))};
}

Complex sinh(const Complex& z) {
    const Hyperbolic h = hyperbolic(z.re);
    const Real re = h.sinh * cos(z.im) * h.factor, im = h.cosh * sin(z.im) * h.factor;
    // 0 and infinity keep their real part where the angle has no direction; real stays real.
    const Truth keeps = is(z.re, 0) | (isinf(z.re) & !isfinite(z.im));
    return {choose(keeps, z.re, re), choose(is(z.im, 0), z.im, im)};
}

Complex cosh(const Complex& z) {
    const Hyperbolic h = hyperbolic(z.re);
    const Real re = h.cosh * cos(z.im) * h.factor, im = h.sinh * sin(z.im) * h.factor;
    const Truth blows_up = isinf(z.re) & !isfinite(z.im);
    const Real signed_zero = copysign(literal(z.re, 0), z.re) * copysign(literal(z.re, 1), z.im);
    return {choose(blows_up, abs(z.re), re), choose(is(z.re, 0) | is(z.im, 0), signed_zero, im)};
}

/// Kahan's formula, which neither overflows nor cancels.
Complex tanh(const Complex& z) {
    const Real one = literal(z.re, 1), magnitude = abs(z.re);
    const Real t = call(Op::tan, z.im), s = call(Op::sinh, z.re);
    const Real beta = 1 + t * t, rho = sqrt(1 + s * s);
    const Real denominator = 1 + beta * s * s;
    const Complex moderate = {beta * rho * s / denominator, t / denominator};
    // tanh has reached +-1 here, and the imaginary part is 4 sin y cos y exp(-2|x|).
    const Truth saturated = magnitude > (is_double(z.re) ? 22.0 : 11.0);
    const Real decay = exp(-magnitude);
    const Real vanishing = sin(z.im) * cos(z.im) * 4 * decay * decay;
    const Real no_direction = copysign(literal(z.re, 0), z.im);
    const Real tail = choose(isinf(z.re) & !isfinite(z.im), no_direction, vanishing);
    const Complex general = choose(saturated, Complex{copysign(one, z.re), tail}, moderate);
    return {choose(is(z.re, 0), z.re, general.re), choose(is(z.im, 0), z.im, general.im)};
}

Complex times_i(const Complex& z) { return {-z.im, z.re}; }
Complex over_i(const Complex& z) { return {z.im, -z.re}; }

Complex pow(const Complex& a, const Complex& b) {
    const Complex general = exp(b * log(a));
    const Real zero = literal(a.re, 0), nan = literal(a.re, NAN);
    const auto whole = [&](double n) { return is(b.re, n) & is(b.im, 0); };
    // NumPy: 0 to a positive real power is 0, to any other it is NaN; to the power 0 all is 1.
    const Truth vanishes = (b.re > 0) & is(b.im, 0);
    const Real at_zero = choose(vanishes, zero, nan);
    Complex result = choose(is(a.re, 0) & is(a.im, 0), Complex{at_zero, at_zero}, general);
    result = choose(whole(2), a * a, result);
    result = choose(whole(1), a, result);
    return choose(whole(0), Complex{literal(a.re, 1), zero}, result);
}

}  // namespace

Real complex_abs(const Complex& a) { return hypot(a.re, a.im); }

Complex complex_op(Op op, const Complex& a, const Complex& b) {
    switch (op) {
        case Op::add: return a + b;
        case Op::sub: return a - b;
        case Op::mul: return a * b;
        case Op::div:
        case Op::true_divide: return a / b;
        case Op::neg: return {-a.re, -a.im};
        case Op::conj: return {a.re, -a.im};
        case Op::exp: return exp(a);
        case Op::log: return log(a);
        case Op::sqrt: return sqrt(a);
        case Op::sinh: return sinh(a);
        case Op::cosh: return cosh(a);
        case Op::tanh: return tanh(a);
        case Op::sin: return over_i(sinh(times_i(a)));
        case Op::cos: return cosh(times_i(a));
        case Op::tan: return over_i(tanh(times_i(a)));
        case Op::pow: return pow(a, b);
        default: throw Error(ErrorKind::internal, "complex " + std::string(info(op).name));
    }
}

}  // namespace kiln::codegen
