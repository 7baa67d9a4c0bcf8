// a^b = exp(b log a). What is lost of b log a is lost of the result as many times as that is larger
// than 1, so c128 takes log a and b log a as sums of two doubles, and c64 takes them in f64.
//
// The angle of a is counted in half turns, from the nearest axis or diagonal: arg a = pi base +
// angle with base a multiple of 1/4. Whole turns leave base * Re b without an error, and a part
// that vanishes, which happens at axes and diagonals only, is 0.
#include "codegen/passes/complex_pow.h"

#include "codegen/passes/real_math.h"

#include <cmath>
#include <numbers>

namespace kiln::codegen {
namespace {

using namespace ir;

struct Constant2 {
    double high, low;
};
struct LogRow {
    double below, scale;
    Constant2 log;
};
#include "codegen/math/complex_power_coefficients.inc"

DoubleDouble literal(Real like, const Constant2& c) {
    return {literal(like, c.high), literal(like, c.low)};
}

// --- the logarithm of a number ---

/// log |z| and arg z = pi * base + angle.
template <class Number> struct Polar {
    Number log;
    Real base;
    Number angle;
};

/// |re| and |im|, the larger one first; of infinite numbers those of another one of that angle.
struct Octant {
    Real larger, smaller;
    Truth steep, infinite;
};
Octant octant(const Complex& z) {
    const Real x = abs(z.re), y = abs(z.im);
    const Truth far = isinf(x), high = isinf(y);
    const Truth infinite = far | high;
    const Real across = choose(infinite, choose(far, 1, x * 0.0), x);
    const Real up = choose(infinite, choose(high, 1, y * 0.0), y);
    const Truth steep = up > across;
    const Real larger = choose(steep, up, across);
    return {larger, choose(steep, across, up), steep, infinite};
}

/// arg z of an angle pi * base + angle in the first octant is pi * this base + this sign * angle.
struct Turned {
    Real base, sign;
};
Turned turned(const Complex& z, const Octant& octant, Real base) {
    const Real right = choose(octant.steep, 0.5 - base, base);
    const Real over = choose(signbit(z.re), 1 - right, right);
    const Real one = literal(base, 1);
    const Real side = copysign(one, z.re), half = copysign(one, z.im);
    const Real turn = choose(octant.steep, -side, side);
    return {over * half, turn * half};
}

/// x (1 + z/3 + z^2/5 ...) for |z| <= 2^-8: atanh x if z = x^2, atan x if z = -x^2.
DoubleDouble odd_series(const DoubleDouble& x, const DoubleDouble& z) {
    Real tail = literal(z.high, *std::rbegin(odd_tail));
    for (auto c = std::rbegin(odd_tail) + 1; c != std::rend(odd_tail); ++c)
        tail = multiply_add(tail, z.high, literal(tail, *c));
    DoubleDouble behind = {z.high * tail, literal(tail, 0)};
    for (auto c = std::rbegin(odd_head); c != std::rend(odd_head); ++c) {
        const DoubleDouble sum = ordered_sum(literal(tail, c->high), behind.high);
        behind = z * DoubleDouble{sum.high, sum.low + (behind.low + c->low)};
    }
    const DoubleDouble rest = x * behind;
    const DoubleDouble sum = ordered_sum(x.high, rest.high);
    return ordered_sum(sum.high, sum.low + (rest.low + x.low));
}

/// c (x^2 + y^2) - 1, of which c = 1 leaves all digits.
DoubleDouble square_above_one(Real x, Real y, Real c) {
    const DoubleDouble xx = exact_product(x, x), yy = exact_product(y, y);
    const DoubleDouble px = exact_product(xx.high, c), py = exact_product(yy.high, c);
    const DoubleDouble above = ordered_sum(literal(x, -1), px.high);
    const DoubleDouble sum = exact_sum(above.high, py.high);
    const Real lost_x = xx.low * c, lost_y = yy.low * c;
    const DoubleDouble some = exact_sum(sum.low, lost_x);
    const DoubleDouble lost = exact_sum(some.high, lost_y);
    const Real scaling = px.low + py.low;
    const DoubleDouble first = exact_sum(sum.high, lost.high);
    return ordered_sum(first.high, first.low + (some.low + lost.low + (scaling + above.low)));
}

/// log sqrt(x^2 + y^2) for x^2 + y^2 in [2^-1.5, 2^1.5].
DoubleDouble log_near_one(Real x, Real y) {
    const Real square = multiply_add(x, x, y * y);
    const LogRow& last = *std::rbegin(log_rows);
    Real scale = literal(x, last.scale);
    DoubleDouble log = literal(x, last.log);
    for (auto row = std::rbegin(log_rows) + 1; row != std::rend(log_rows); ++row) {
        const Truth here = square < row->below;
        scale = choose(here, row->scale, scale);
        log = {choose(here, row->log.high, log.high), choose(here, row->log.low, log.low)};
    }
    const DoubleDouble w = square_above_one(x, y, scale);
    const DoubleDouble sum = ordered_sum(literal(x, 2), w.high);
    const DoubleDouble f = w / DoubleDouble{sum.high, sum.low + w.low};
    return log + odd_series(f, f * f);
}

/// atan(y / x) = pi * base + angle for x >= y >= 0.
struct OctantAngle {
    Real base;
    DoubleDouble angle;
};
OctantAngle octant_angle(Real x, Real y) {
    // The angle from that of the nearest multiple of 1/8, of which the last is the diagonal.
    const Real eighths = rint(y / x * 8.0);
    const Real c = eighths * 0.125;
    const DoubleDouble cx = exact_product(c, x), cy = exact_product(c, y);
    const DoubleDouble over = exact_sum(y, -cx.high), under = ordered_sum(x, cy.high);
    const DoubleDouble rise = {over.high, over.low - cx.low};
    const DoubleDouble u = rise / DoubleDouble{under.high, under.low + cy.low};
    const DoubleDouble past = odd_series(u, -(u * u));
    DoubleDouble start = {literal(x, 0), literal(x, 0)};
    double j = 1;
    for (const Constant2& row : atan_eighths) {
        const Truth here = is(eighths, j++);
        start = {choose(here, row.high, start.high), choose(here, row.low, start.low)};
    }
    return {choose(is(eighths, 8), 0.25, literal(x, 0)), start + past};
}

Polar<DoubleDouble> close_polar(const Complex& z) {
    const Octant o = octant(z);
    // Scaled by powers of two, so that the larger part is in [2^-0.75, 2^0.25]: near the unit
    // circle by 1.
    const Truth little = o.larger < 0x1p-900;
    const Real lift = choose(little, 0x1p200, literal(z.re, 1));
    const Real larger = o.larger * lift, smaller = o.smaller * lift;
    const Real exponent = rint(call(Op::log2, larger) + 0.25);
    const Real scale = call(Op::exp2, -exponent);
    const Real x = larger * scale, y = smaller * scale;
    const Real power = choose(little, exponent - 200.0, exponent);
    const DoubleDouble log = literal(x, ln2_2) * power;
    const DoubleDouble modulus = log + log_near_one(x, y);
    const OctantAngle a = octant_angle(x, y);
    const Turned t = turned(z, o, a.base);
    const DoubleDouble infinite = {literal(x, INFINITY), literal(x, 0)};
    return {choose(o.infinite, infinite, modulus),
            t.base,
            {a.angle.high * t.sign, a.angle.low * t.sign}};
}

/// The same in one f64, of numbers that were f32.
Polar<Real> polar(const Complex& z) {
    const Octant o = octant(z);
    const Real x = o.larger, y = o.smaller;
    const Real xx = x * x, yy = y * y;  // exact
    const Real square = xx + yy;
    const Truth inside = square < 0.5;
    const Real outer = xx - 1.0 + yy, inner = 1 / square - 1.0;
    const Real above = choose(inside, inner, outer);
    const Real half = choose(inside, -0.5, literal(x, 0.5));
    const Real log = call(Op::log1p, above) * half;
    const Truth diagonal = y > x * 0.4375;
    const Real rise = choose(diagonal, y - x, y), run = choose(diagonal, y + x, x);
    const Turned t = turned(z, o, choose(diagonal, 0.25, literal(x, 0)));
    const Real angle = call(Op::atan, rise / run) * t.sign;
    return {choose(o.infinite, INFINITY, log), t.base, angle};
}

// --- the exponential of a product, in doubles or in sums of two ---

Real head(Real x) { return x; }
Real head(const DoubleDouble& x) { return x.high; }
Real with_head(Real, Real head) { return head; }
DoubleDouble with_head(const DoubleDouble& x, Real head) { return ordered_sum(head, x.low); }

template <class Number> Number constant(Real like, const Constant2& c);
template <> Real constant(Real like, const Constant2& c) { return literal(like, c.high); }
template <> DoubleDouble constant(Real like, const Constant2& c) { return literal(like, c); }

/// a * b without an error, which of numbers that were f32 one double holds.
template <class Number> Number exact(Real a, Real b);
template <> Real exact(Real a, Real b) { return a * b; }
template <> DoubleDouble exact(Real a, Real b) { return exact_product(a, b); }

/// a, or where that is no number for an infinity in it, the same by single numbers.
Real with_infinities(Real a, Real) { return a; }
DoubleDouble with_infinities(const DoubleDouble& a, Real plain) {
    const Truth usual = isfinite(a.high);
    return {choose(usual, a.high, plain), choose(usual, a.low, literal(plain, 0))};
}

/// b log a as log + i (quarters pi/2 + angle), |angle| <= pi/4.
template <class Number> struct Exponent {
    Number log;
    Real quarters;
    Number angle;
};
/// The exponent as products without fma can take it: no other power has a part in range.
Complex bounded(const Complex& b) {
    const auto part = [](Real x) {
        const Real least = call(Op::minimum, abs(x), literal(x, 0x1p900));
        return choose(isinf(x), x, copysign(least, x));
    };
    if (b.re.fma || !is_double(b.re)) return b;
    const Real re = part(b.re);
    return {re, part(b.im)};
}

template <class Number> Exponent<Number> exponent(const Polar<Number>& a, const Complex& exact_b) {
    const Complex b = bounded(exact_b);
    const Number pi = constant<Number>(b.re, pi_2), over_pi = constant<Number>(b.re, over_pi_2);
    const Number argument = pi * a.base + a.angle;
    const Number grown = a.log * b.re, shrunk = argument * b.im;
    const Real plain = head(a.log) * b.re, plain_shrunk = head(argument) * b.im;
    const Number log = with_infinities(grown + -shrunk, plain - plain_shrunk);

    const Number turned = a.angle * b.re, wound = a.log * b.im;
    // Quarter turns of the base first, so that a small angle is not rounded beside them.
    const Real turns = rint(exact_b.re * 0.125) * 8.0;
    const Number from_base = exact<Number>(a.base, exact_b.re - turns);
    const Real whole = rint(head(from_base) * 0.5) * 2.0;
    const Real within = head(from_base) - whole;
    const Real steps = rint(within * 2.0);
    const Number start = with_head(from_base, within - steps * 0.5);
    const Number half_turns = start + (turned + wound) * over_pi;
    const Real more = rint(head(half_turns) * 2.0);
    const Number left = with_head(half_turns, head(half_turns) - more * 0.5);
    const Number angle = left * pi;
    return {log, steps + more, with_head(angle, head(angle))};
}

/// The cosine and the sine of an angle of at most pi/4.
template <class Number> struct Circle {
    Number cosine, sine;
};
Circle<Real> circle(Real angle) {
    const Real cosine = cos(angle);
    return {cosine, sin(angle)};
}
Circle<DoubleDouble> circle(const DoubleDouble& angle) {
    const Real cosine = cos(angle.high), sine = sin(angle.high);
    const Real cosine_low = -(angle.low * sine), sine_low = angle.low * cosine;
    return {{cosine, cosine_low}, {sine, sine_low}};
}

/// exp(log) where f32 has numbers.
struct Size {
    Real value;
    Real times(Real a, Truth negative) const { return choose(negative, -value, value) * a; }
};
Size exponential(Real log) { return {exp(call(Op::minimum, log, literal(log, 700)))}; }

/// exp(log) = value * (1 + rest) * scale^2, of which scale is a power of two: products with it may
/// be finite where exp(log) is not.
struct CloseSize {
    Real value, rest, scale;
    Real times(const DoubleDouble& a, Truth negative) const {
        const Real factor = choose(negative, -scale, scale);
        const DoubleDouble product = exact_product(a.high * factor, value);
        const Real of_low = value * (a.low * factor);
        const Real sum = product.high + (product.low + multiply_add(product.high, rest, of_low));
        const Real finite = choose(isfinite(product.high), sum, product.high);
        return copysign(finite, product.high) * scale;  // the sign of a zero, too
    }
};
CloseSize exponential(const DoubleDouble& log) {
    const Real nearest = rint(log.high * (1 / step_2.high));
    const Real bounded = call(Op::minimum, nearest, literal(nearest, 3));
    const Real steps = call(Op::maximum, bounded, literal(nearest, -3));
    const Real left = log.high - steps * step_2.high;  // exact
    const Real rest = log.low - steps * step_2.low;
    const Real value = exp(call(Op::minimum, left, literal(left, 690)));
    return {value, rest, call(Op::exp2, steps * 256.0)};
}

template <class Number> Complex exp(const Exponent<Number>& e) {
    const Circle<Number> c = circle(e.angle);
    const auto size = exponential(e.log);
    const Real quarter = e.quarters - call(Op::floor, e.quarters * 0.25) * 4.0;
    const Truth first = is(quarter, 1), second = is(quarter, 2), third = is(quarter, 3);
    const Truth odd = first | third;
    const Complex power = {size.times(choose(odd, c.sine, c.cosine), first | second),
                           size.times(choose(odd, c.cosine, c.sine), second | third)};
    // An infinite power of no direction, and 0 whatever its direction.
    const Truth lost = !isfinite(head(e.angle));
    const Truth vanishes = is(head(e.log), -INFINITY) & lost;
    const Truth blows_up = is(head(e.log), INFINITY) & lost;
    return {choose(vanishes, 0, choose(blows_up, INFINITY, power.re)),
            choose(vanishes, 0, power.im)};
}

// --- whole powers ---

Real rounded(Real x) { return x; }
Real rounded(const DoubleDouble& x) { return x.high + x.low; }
Real inverse(Real x) { return 1 / x; }
DoubleDouble inverse(const DoubleDouble& x) {
    const Real zero = literal(x.high, 0);
    return DoubleDouble{literal(zero, 1), zero} / x;
}

/// `general`, or where b is 2, 3 or -1 and nothing overflows, what has products alone: of small
/// whole numbers it is exact.
template <class Number>
Complex whole_or(const Complex& a, const Complex& b, const Complex& general) {
    const Real x = a.re, y = a.im, three = literal(x, 3);
    const Number xx = exact<Number>(x, x), yy = exact<Number>(y, y);
    const Complex square = {rounded(xx + -yy), x * 2.0 * y};
    const Number thrice_x = xx * three, thrice_y = yy * three;
    const Number along = xx + -thrice_y, across = thrice_x + -yy;
    const Complex cube = {rounded(along * x), rounded(across * y)};
    const Number over = inverse(xx + yy);
    const Complex inverse = {rounded(over * x), rounded(over * -y)};

    const Real size = call(Op::fmax, abs(x), abs(y));
    const Truth not_small = size > 0x1p-300, not_large = size < 0x1p300, real = is(b.im, 0);
    const Truth moderate = not_small & not_large & real;
    const auto where = [&](double n, const Complex& product, const Complex& otherwise) {
        return choose(moderate & is(b.re, n), product, otherwise);
    };
    return where(2, square, where(3, cube, where(-1, inverse, general)));
}

template <class Number>
Complex power(const Polar<Number>& polar, const Complex& a, const Complex& b) {
    return whole_or<Number>(a, b, exp(exponent(polar, b)));
}

}  // namespace

Complex close_power(const Complex& a, const Complex& b) {
    const Without flags(*a.re.builder, 0xff);
    if (is_double(a.re)) return power(close_polar(a), a, b);
    const auto as_pair = [](DType t, const Complex& z) {
        const Real re = as(t, z.re);
        return Complex{re, as(t, z.im)};
    };
    const Complex wide_a = as_pair(DType::f64, a), wide_b = as_pair(DType::f64, b);
    return as_pair(DType::f32, power(polar(wide_a), wide_a, wide_b));
}

}  // namespace kiln::codegen
