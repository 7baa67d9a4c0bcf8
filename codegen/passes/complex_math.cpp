#include "codegen/passes/complex_math.h"

#include "codegen/math/complex_coefficients.inc"
#include "codegen/passes/complex_inverse.h"
#include "codegen/passes/complex_pow.h"
#include "codegen/passes/real_math.h"

#include <cmath>
#include <numbers>
#include <string>

namespace kiln::codegen {
namespace {

using namespace ir;

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

// --- elementary functions: each part is accurate by itself ---

/// exp(x) for a product with a cosine or sine, which may be finite though exp(x) is not.
struct Exponential {
    Real value, factor;  // exp(x) = value * factor * factor; the factor is 1 in the usual range
    Real times(Real trigonometric) const { return trigonometric * factor * value * factor; }
};
Exponential scaled_exp(Real x) {
    const bool d = is_double(x);
    const Truth large = x > (d ? limit_f64 : limit_f32);
    const Real reduced = x - (d ? far_shift_f64 : far_shift_f32);
    const Real factor = literal(x, d ? far_factor_f64 : far_factor_f32);
    return {exp(choose(large, reduced, x)), choose(large, factor, literal(x, 1))};
}

Exponential scaled_exp2(Real x) {
    const Truth large = x > 1023;
    return {call(Op::exp2, choose(large, x - 1000, x)),
            choose(large, literal(x, 0x1p500), literal(x, 1))};
}

/// The power z of a number of which `e` is the power z.re.
Complex directed(const Exponential& e, Real cosine, Real sine, const Complex& z) {
    const Complex product = {e.times(cosine), e.times(sine)};
    // exp(-inf + iy) is 0 whatever y is; the exponential of a real number is real.
    const Truth vanishes = is(z.re, -INFINITY) & !isfinite(z.im);
    const Real zero = literal(z.re, 0);
    // exp(inf + iy) has an infinite real part where y has no direction.
    const Truth blows_up = is(z.re, INFINITY) & !isfinite(z.im);
    const Complex direction_free = {choose(vanishes, zero, choose(blows_up, z.re, product.re)),
                                    choose(vanishes, zero, product.im)};
    return {direction_free.re, choose(is(z.im, 0), z.im, direction_free.im)};
}

Complex exp(const Complex& z) {
    const Exponential e = scaled_exp(z.re);
    const Real cosine = cos(z.im), sine = sin(z.im);
    return directed(e, cosine, sine, z);
}

/// f of a c64 number by way of c128, in which nothing overflows and roundings do not show.
template <class F> Complex in_double(const Complex& z, F f) {
    if (is_double(z.re)) return f(z);
    const Real re = as(DType::f64, z.re), im = as(DType::f64, z.im);
    const Complex result = f(Complex{re, im});
    return {as(DType::f32, result.re), as(DType::f32, result.im)};
}

Complex exp2(const Complex& z) {
    const Exponential e = scaled_exp2(z.re);
    // The angle as a sum of two numbers; the lower one turns by its size, as it is small.
    const Without as_written(*z.re.builder, fast::contract);
    constexpr double ln2_low = 0x1.abc9e3b39803fp-56;  // ln 2 beyond the double
    const DoubleDouble product = exact_product(z.im, literal(z.im, std::numbers::ln2));
    const Real low = choose(abs(z.im) > 0x1p900, literal(z.im, 0), product.low + z.im * ln2_low);
    const Real cosine = cos(product.high), sine = sin(product.high);
    const Real turned_cosine = cosine - low * sine, turned_sine = sine + low * cosine;
    return directed(e, turned_cosine, turned_sine, z);
}

Complex expm1(const Complex& z) {
    const Complex power = exp(z);
    const Real half = sin(z.im * 0.5), cosine = cos(z.im);
    const Real near = call(Op::expm1, z.re) * cosine - half * half * 2;
    const Truth far = (z.re > 40) | !isfinite(z.re) | !isfinite(z.im);
    return {choose(far, power.re - 1, near), power.im};
}

/// The square of an f32 number below 2^115, without an fma, which not every vector unit has.
DoubleDouble exact_square(Real a) {
    const Real spread = a * 4097.0;
    const Real lost = spread - a;
    const Real head = spread - lost;  // the first 12 bits
    const Real tail = a - head;
    const Real high = a * a, heads = head * head;
    const Real cross = head * tail * 2;
    const Real left = heads - high + cross;
    return {high, left + tail * tail};
}
/// |1 + d + iy|^2 - 1 = 2 d + d*d + y*y to the last place or two, where it is near 0.
Real above_unit_circle(Real d, Real y) {
    const Without as_written(*d.builder, fast::contract);
    const auto square = [](Real a) { return is_double(a) ? exact_product(a, a) : exact_square(a); };
    const DoubleDouble dd = square(d), yy = square(y);
    const DoubleDouble first = exact_sum(d + d, yy.high);
    const DoubleDouble second = exact_sum(first.high, dd.high);
    const Real lost = first.low + second.low, rest = dd.low + yy.low;
    return second.high + (lost + rest);
}

/// The logarithm of z; `above` is |z|^2 - 1 where that is near 0.
template <class Above> Complex log(const Complex& z, Above above) {
    const Real x = abs(z.re), y = abs(z.im);
    const Real larger = call(Op::maximum, x, y), smaller = call(Op::minimum, x, y);
    // Scaled so that the sum of squares is far from the ends of the range.
    const bool d = is_double(x);
    const Truth large = larger > (d ? 0x1p500 : 0x1p60), little = larger < (d ? 0x1p-400 : 0x1p-50);
    const double down = d ? -560 : -70, up = d ? 600 : 90;
    const auto by_range = [&](double if_large, double if_little, double usual) {
        return choose(large, literal(x, if_large),
                      choose(little, literal(x, if_little), literal(x, usual)));
    };
    const Real scale = by_range(std::exp2(down), std::exp2(up), 1);
    const Real shift = by_range(-down * std::numbers::ln2, -up * std::numbers::ln2, 0);
    const Real a = larger * scale, b = smaller * scale;
    const Real square = a * a + b * b;
    // log|z| = +-log1p(w) / 2, with w = |z|^2 - 1 or 1/|z|^2 - 1: one logarithm for all, which near
    // the unit circle has the digits that log of the rounded square would lose.
    const Truth near = (square > 0.25) & (square < 4) & !large & !little;
    const Truth inside = (square < 1) & !near;
    const Real far = choose(inside, 1 / square, square) - 1;
    const Real half = choose(inside, literal(x, -0.5), literal(x, 0.5));
    const Real w = choose(near, above(larger, smaller), far);
    const Real modulus = call(Op::log1p, w) * half + shift;
    const Truth infinite = isinf(x) | isinf(y);
    return {choose(infinite, literal(x, INFINITY), modulus), call(Op::atan2, z.im, z.re)};
}
Complex log(const Complex& z) {
    return log(z, [](Real larger, Real smaller) {
        return above_unit_circle(larger - 1, smaller);  // the difference is exact
    });
}
Complex log1p(const Complex& z) {
    return log(Complex{1 + z.re, z.im}, [&](Real, Real) { return above_unit_circle(z.re, z.im); });
}
/// The logarithm to the base whose logarithm's inverse is `per_log`.
Complex scaled_log(const Complex& z, double per_log) {
    const Complex natural = log(z);
    return {natural.re * per_log, natural.im * per_log};
}

Complex sqrt(const Complex& z) {
    const Real x = abs(z.re), y = abs(z.im);
    const Real larger = call(Op::fmax, x, y);
    const bool d = is_double(x);
    const Truth large = larger > (d ? 0x1p500 : 0x1p60), little = larger < (d ? 0x1p-400 : 0x1p-50);
    const double power = d ? 600 : 90;
    const auto by_range = [&](double if_large, double if_little) {
        return choose(large, literal(x, std::exp2(if_large)),
                      choose(little, literal(x, std::exp2(if_little)), literal(x, 1)));
    };
    const Real scale = by_range(-power, power), unscale = by_range(power / 2, -power / 2);
    const Real a = x * scale, b = y * scale;
    // The root of the part that does not cancel, and the other part from 2 * re * im = z.im.
    const Real modulus = sqrt(a * a + b * b);
    const Real t = choose(isinf(x), x, sqrt((a + modulus) * 0.5) * unscale);
    const Real q = z.im / (t * 2);
    const Truth right = z.re >= literal(x, 0);
    const Complex root = {choose(right, t, abs(q)), choose(right, q, copysign(t, z.im))};
    const Complex at_zero = {literal(x, 0), z.im};
    const Complex finite = choose(is(x, 0) & is(y, 0), at_zero, root);
    return choose(isinf(z.im), Complex{y, z.im}, finite);
}

/// cosh x and sinh x, both to be multiplied by `factor` before and after a trigonometric one.
struct Hyperbolic {
    Real cosh, sinh, factor;
    Real product(Real hyperbolic, Real trigonometric) const {
        return trigonometric * factor * hyperbolic * factor;
    }
};
Hyperbolic hyperbolic(Real x) {
    const bool d = is_double(x);
    const Real magnitude = abs(x);
    const Truth large = magnitude > (d ? limit_f64 : limit_f32);
    const Truth far = magnitude > (d ? middle_f64 : middle_f32);
    const auto by_range = [&](double usual, double if_large, double if_far) {
        return choose(far, literal(x, if_far),
                      choose(large, literal(x, if_large), literal(x, usual)));
    };
    // What is left of a large argument still has cosh = sinh = exp / 2.
    const Real shift =
        d ? by_range(0, near_shift_f64, far_shift_f64) : by_range(0, near_shift_f32, far_shift_f32);
    const Real factor = d ? by_range(1, near_factor_f64, far_factor_f64)
                          : by_range(1, near_factor_f32, far_factor_f32);
    const Real left = copysign(magnitude - shift, x);
    return {call(Op::cosh, left), call(Op::sinh, left), factor};
}

Complex sinh(const Complex& z) {
    const Hyperbolic h = hyperbolic(z.re);
    const Real re = h.product(h.sinh, cos(z.im)), im = h.product(h.cosh, sin(z.im));
    // 0 and infinity keep their real part where the angle has no direction; real stays real.
    const Truth keeps = (is(z.re, 0) | isinf(z.re)) & !isfinite(z.im);
    return {choose(keeps, z.re, re), choose(is(z.im, 0), z.im, im)};
}

Complex cosh(const Complex& z) {
    const Hyperbolic h = hyperbolic(z.re);
    const Real sine = sin(z.im);
    const Real re = h.product(h.cosh, cos(z.im)), im = h.product(h.sinh, sine);
    const Truth blows_up = isinf(z.re) & !isfinite(z.im);
    const Real signed_zero = copysign(literal(z.re, 0), z.re) * copysign(literal(z.re, 1), sine);
    return {choose(blows_up, abs(z.re), re), choose(is(z.re, 0) | is(z.im, 0), signed_zero, im)};
}

/// The parts of tanh(x + iy) = (s sqrt(1 + s^2) + i sin y cos y) / (s^2 + cos^2 y), s = sinh x, in
/// which nothing cancels. `saturated`: tanh has reached +-1, and s^2 may leave the range.
Complex fast_quotients(Real s, Real sine, Real cosine, Truth saturated) {
    const Real square = s * s;
    const Real by = choose(saturated, abs(s), square + cosine * cosine);
    const Real inverse = 1 / by;
    const Real im = sine * cosine * inverse;
    return {s * sqrt(1 + square) * inverse, choose(saturated, im * inverse, im)};
}
/// The same to 4 ULP: the functions' own errors leave no room for those of the arithmetic.
/// Of c64 it is carried out in f64, where nothing overflows either.
Complex close_quotients(Real s, Real sine, Real cosine) {
    const Real a = as(DType::f64, s), b = as(DType::f64, sine), c = as(DType::f64, cosine);
    const Real square = a * a;
    const Real inverse = 1 / (square + c * c);
    return {as(DType::f32, a * sqrt(1 + square) * inverse), as(DType::f32, b * c * inverse)};
}
Complex close_quotients(Real s, Real sine, Real cosine, Truth saturated) {
    const Without as_written(*s.builder, fast::contract);
    const DoubleDouble ss = exact_product(s, s), cc = exact_product(cosine, cosine);
    const DoubleDouble sc = exact_product(sine, cosine);
    const DoubleDouble sum = exact_sum(ss.high, cc.high);
    const Real sum_low = sum.low + (ss.low + cc.low);
    // s sqrt(1 + s^2) = s + s (sqrt(1 + s^2) - 1)
    const DoubleDouble top = exact_sum(s, s * (ss.high / (1 + sqrt(1 + ss.high))));
    // Beyond 2^600 the quotient is 0 whatever s is.
    const Real size = call(Op::fmin, abs(s), literal(s, 0x1p600));
    const Real by = choose(saturated, size, sum.high);
    const Real by_low = choose(saturated, literal(s, 0), sum_low);
    const Real high = 1 / by;
    const Real low = high * (call(Op::fma, -high, by, literal(s, 1)) - high * by_low);
    const auto quotient = [&](const DoubleDouble& a) {
        return call(Op::fma, a.high, high, a.high * low + a.low * high);
    };
    const Real im = quotient(sc);
    const Real tail = copysign(call(Op::fma, im, high, im * low), sc.high);
    return {quotient(top), choose(saturated, tail, im)};
}

Complex tanh(const Complex& z) {
    const bool d = is_double(z.re);
    const Real s = call(Op::sinh, z.re), sine = sin(z.im), cosine = cos(z.im);
    const Truth saturated = abs(z.re) > (d ? 22.0 : 11.0);
    const bool fast = (z.re.builder->fast_flags() & fast::afn) != 0;
    const Complex t = fast ? fast_quotients(s, sine, cosine, saturated)
                      : d  ? close_quotients(s, sine, cosine, saturated)
                           : close_quotients(s, sine, cosine);
    const Truth no_direction = !isfinite(z.im), infinite = isinf(z.re);
    const Real unit = copysign(literal(s, 1), s);
    const Real limit = choose(no_direction & !infinite, z.im - z.im, unit);
    const Real re = choose(saturated, limit, t.re);
    const Complex general = {choose(is(z.re, 0), z.re, re),
                             choose(no_direction & infinite, copysign(literal(s, 0), z.im), t.im)};
    return {general.re, choose(is(z.im, 0), z.im, general.im)};
}

Complex times_i(const Complex& z) { return {-z.im, z.re}; }
Complex over_i(const Complex& z) { return {z.im, -z.re}; }

/// z / |z|, with the signs of zero parts; 0 of zeros; an infinite part alone decides the direction.
Complex sign(const Complex& z) {
    const Real x = abs(z.re), y = abs(z.im), zero = literal(x, 0), one = literal(x, 1);
    const Truth large = call(Op::fmax, x, y) > 1;
    const Real scale = choose(large, literal(x, 0.25), literal(x, 0x1p100));
    const Real a = z.re * scale, b = z.im * scale;
    const Real modulus = call(Op::hypot, a, b);
    const Truth east = isinf(x) & !isinf(y), north = isinf(y) & !isinf(x), nothing = is(modulus, 0);
    return {choose(east, copysign(one, z.re), choose(north | nothing, zero, a / modulus)),
            choose(north, copysign(one, z.im), choose(east | nothing, zero, b / modulus))};
}

/// One of a and b: by NumPy's order, NaN first or last.
Complex extreme(Op op, const Complex& a, const Complex& b) {
    const bool least = op == Op::minimum || op == Op::fmin;
    const bool nan_wins = op == Op::minimum || op == Op::maximum;
    const Complex& tested = nan_wins ? a : b;
    const Truth nan = isnan(tested.re) | isnan(tested.im);
    return choose(nan | complex_order(least ? Op::le : Op::ge, a, b), a, b);
}

Complex pow(const Complex& a, const Complex& b) {
    const bool fast = (a.re.builder->fast_flags() & fast::afn) != 0;
    const Real zero = literal(a.re, 0), nan = literal(a.re, NAN), one = literal(a.re, 1);
    const auto whole = [&](double n) { return is(b.re, n) & is(b.im, 0); };
    // NumPy: 0 to a power with a positive real part is 0, to the power 0 it is 1, else NaN.
    const Real at_zero = choose(b.re > 0, zero, nan);
    const Truth of_zero = is(a.re, 0) & is(a.im, 0);
    Complex result = fast ? exp(b * log(a)) : close_power(a, b);
    if (fast) {
        const Complex square = a * a;
        result = choose(whole(3), a * square, result);
        result = choose(whole(-1), Complex{one, zero} / a, result);
        result = choose(whole(2), square, result);
    }
    result = choose(of_zero, Complex{at_zero, at_zero}, result);
    result = choose(whole(1), a, result);
    return choose(whole(0), Complex{one, zero}, result);
}

Complex complex_function(Op op, const Complex& a, const Complex& b) {
    // What is scaled must be multiplied in the order written.
    const Without in_order(*a.re.builder, fast::reassoc);
    switch (op) {
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
        case Op::exp2: return in_double(a, exp2);
        case Op::expm1: return in_double(a, expm1);
        case Op::log1p: return in_double(a, log1p);
        case Op::log2:
            return in_double(a,
                             [](const Complex& z) { return scaled_log(z, std::numbers::log2e); });
        case Op::log10:
            return in_double(a,
                             [](const Complex& z) { return scaled_log(z, std::numbers::log10e); });
        case Op::asin:
        case Op::acos:
        case Op::atan:
        case Op::asinh:
        case Op::acosh:
        case Op::atanh:
            return in_double(a, [op](const Complex& z) { return complex_inverse(op, z); });
        case Op::sign: return sign(a);
        default: throw Error(ErrorKind::internal, "complex " + std::string(info(op).name));
    }
}

}  // namespace

Real complex_order(Op op, const Complex& a, const Complex& b) {
    if (op == Op::gt || op == Op::ge) return complex_order(op == Op::gt ? Op::lt : Op::le, b, a);
    const Truth before = test(Op::lt, a.re, b.re), numbers = !(isnan(a.im) | isnan(b.im));
    const Truth level = test(Op::eq, a.re, b.re), by_imaginary = test(op, a.im, b.im);
    const Truth decided = before & numbers;
    return decided | (level & by_imaginary);
}

Real complex_abs(const Complex& a) { return call(Op::hypot, a.re, a.im); }

Complex complex_op(Op op, const Complex& a, const Complex& b) {
    switch (op) {
        case Op::add: return a + b;
        case Op::sub: return a - b;
        case Op::mul: return a * b;
        case Op::div:
        case Op::true_divide: return a / b;
        case Op::neg: return {-a.re, -a.im};
        case Op::conj: return {a.re, -a.im};
        case Op::rint: return {rint(a.re), rint(a.im)};
        case Op::minimum:
        case Op::maximum:
        case Op::fmin:
        case Op::fmax: return extreme(op, a, b);
        default: return complex_function(op, a, b);
    }
}

}  // namespace kiln::codegen
