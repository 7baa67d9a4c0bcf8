#include "codegen/passes/complex_inverse.h"

#include "codegen/passes/real_math.h"

#include <cmath>
#include <numbers>
#include <string>

namespace kiln::codegen {
namespace {

using namespace ir;

constexpr double huge_modulus = 0x1p500, tiny_part = 0x1p-400;

/// What asin and acos of x + iy, x and y not negative, are made of. With a the mean of the distances
/// from 1 and from -1 (Hull, Fairgrieve and Tang, 1997):
struct Ellipse {
    Real height;  // log(a + sqrt(a^2 - 1)), the size of the imaginary part
    Real beside;  // sqrt(a^2 - x^2): asin has the angle of (beside, x), acos that of (x, beside)
};

/// No difference of numbers that were rounded is taken: a - 1 and a - x come from the sums
///     p = (r - (x + 1)) + (s + |x - 1|)  and  y q = (r - (x + 1)) + (s - |x - 1|),
/// r and s the distances, in which r - (x + 1) = y^2 / (r + (x + 1)). Of x <= 1, p is 2 (a - x) and
/// y q is 2 (a - 1); beyond it is the other way round.
Ellipse ellipse(Real given_x, Real given_y) {
    const Truth huge = call(Op::fmax, given_x, given_y) > huge_modulus;
    const Real x = choose(huge, given_x * 0.125, given_x),
               y = choose(huge, given_y * 0.125, given_y);
    const Real next = x + 1, d = abs(x - 1);
    const Real r = call(Op::hypot, next, y), s = call(Op::hypot, d, y);
    const Real a = (r + s) * 0.5;
    const Real u = y / (r + next);
    const Real t = choose(is(d, 0), literal(x, 1), y / (s + d));
    const Real p = y * u + (s + d), q = u + t;
    const Truth outside = x > 1;
    const Real to_one = a + 1, to_x = a + x;
    const Real of_q = choose(outside, to_x, to_one), of_p = choose(outside, to_one, to_x);
    const Real root_y = sqrt(y);
    const Real usual = root_y * sqrt(q * of_q * 0.5);
    // Where the square of y would be lost, what it would change is lost too.
    const Real beyond = choose(outside, x, literal(x, 1));
    const Real close = y * (beyond / sqrt(d * next));
    const Truth flat = abs(y) < tiny_part;
    const Real from_q = choose(flat & !is(d, 0), close, usual);
    const Real from_p = sqrt(of_p * 0.5 * p);
    const Real above = choose(outside, p * 0.5, y * q * 0.5);  // a - 1
    const Real growth = above + choose(outside, from_p, from_q);
    // log(a + sqrt(a^2 - 1)) is log(2 |z|) where z is huge.
    const Real height = call(Op::log1p, choose(huge, r, growth)) +
                        choose(huge, literal(x, 4 * std::numbers::ln2), literal(x, 0));
    return {height, choose(huge, given_y, choose(outside, from_q, from_p))};
}

/// The parts of atanh(x + iy), x and y not negative.
Complex circle(Real x, Real y) {
    const Truth huge = call(Op::fmax, x, y) > huge_modulus;
    const Real d = 1 - x, yy = y * y;
    const Truth pole = is(d, 0) & (y < tiny_part);
    // log((1 + x)^2 + y^2) - log((1 - x)^2 + y^2); beside 1 the latter is 2 log y.
    const Real ratio = choose(pole, 0x1p-100 / y, x * 4 / (d * d + yy));
    const Real part = choose(pole, literal(x, 0.5), literal(x, 0.25));
    const Real shift = choose(pole, literal(x, 50.5 * std::numbers::ln2), literal(x, 0));
    const Real usual = call(Op::log1p, ratio) * part + shift;
    // 1/z where z is huge.
    const Real quarter = x * 0.25, distance = call(Op::hypot, quarter, y * 0.25);
    const Real far =
        choose(isinf(x) | isinf(y), literal(x, 0), quarter / distance / distance * 0.25);
    const Real re = choose(is(x, 0), x, choose(huge, far, usual));

    const Real across = choose(huge & !isnan(y), literal(x, 0), y * 2);
    const Real along = choose(huge, literal(x, -1), d * (x + 1) - yy);
    const Real im = call(Op::atan2, across, along) * 0.5;
    return {re, choose(isnan(x) & isfinite(y), x, im)};
}

Complex asin(const Complex& z) {
    const Real x = abs(z.re);
    const Ellipse e = ellipse(x, abs(z.im));
    const Real angle = choose(is(x, 0), x, call(Op::atan2, x, e.beside));
    return {copysign(angle, z.re), copysign(e.height, z.im)};
}

Complex acos(const Complex& z) {
    const Ellipse e = ellipse(abs(z.re), abs(z.im));
    const Real angle = call(Op::atan2, e.beside, z.re);
    return {choose(is(z.re, 0), literal(angle, std::numbers::pi / 2), angle),
            copysign(e.height, -z.im)};
}

Complex acosh(const Complex& z) {
    const Complex turned = acos(z);
    return {abs(turned.im), copysign(turned.re, z.im)};
}

Complex atanh(const Complex& z) {
    const Complex c = circle(abs(z.re), abs(z.im));
    return {copysign(c.re, z.re), copysign(c.im, z.im)};
}

/// f(z) = g(iz) / i of functions that are odd, and whose parts are odd or even in the parts of z.
Complex mirrored(Complex (*g)(const Complex&), const Complex& z) {
    const Complex w = g({z.im, z.re});
    return {w.im, w.re};
}

}  // namespace

Complex complex_inverse(Op op, const Complex& z) {
    // Products of sums that cancel are taken as they are written.
    const Without as_written(*z.re.builder, fast::contract);
    switch (op) {
        case Op::asin: return asin(z);
        case Op::acos: return acos(z);
        case Op::atan: return mirrored(atanh, z);
        case Op::asinh: return mirrored(asin, z);
        case Op::acosh: return acosh(z);
        case Op::atanh: return atanh(z);
        default: throw Error(ErrorKind::internal, "complex " + std::string(info(op).name));
    }
}

}  // namespace kiln::codegen
