#include "tests/accuracy/complex_reference.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace kiln::test {
namespace {

Exact exp(const Exact& x) { return Exact::of(mpfr_exp, x); }
Exact sin(const Exact& x) { return Exact::of(mpfr_sin, x); }
Exact cos(const Exact& x) { return Exact::of(mpfr_cos, x); }
Exact root(const Exact& x) { return Exact::of(mpfr_sqrt, x); }
Exact magnitude(const Exact& x) { return Exact::of(mpfr_abs, x); }
Exact copysign(const Exact& x, const Exact& sign) {
    return sign.is_negative() ? -magnitude(x) : magnitude(x);
}

Exact atan2(const Exact& y, const Exact& x) { return Exact::of(mpfr_atan2, y, x); }
Exact log1p(const Exact& x) { return Exact::of(mpfr_log1p, x); }

/// With r and s the distances of x + iy, neither part negative, from -1 and 1, and a their mean: what
/// a is above 1, and above x. In 320 bits the differences have to be taken so that none cancels.
struct Ellipse {
    Exact a, above_one, above_x;
    Ellipse(const Exact& x, const Exact& y) {
        const Exact d = magnitude(x - 1);
        const Exact r = root((x + 1) * (x + 1) + y * y), s = root(d * d + y * y);
        a = (r + s) / 2;
        const Exact far = y * y / (r + x + 1);                        // r - (x + 1)
        const Exact near = s.is_zero() ? Exact(0) : y * y / (s + d);  // s - d
        const Exact with_sum = (far + s + d) / 2, with_difference = (far + near) / 2;
        above_one = x < 1 ? with_difference : with_sum;
        above_x = x < 1 ? with_sum : with_difference;
    }
    Exact height() const { return log1p(above_one + root(above_one * (a + 1))); }
    Exact beside(const Exact& x) const { return root(above_x * (a + x)); }
};

/// What overflows or underflows beyond every dtype, but not in MPFR.
double within_range(double x) { return std::clamp(x, -1e6, 1e6); }

}  // namespace

void ComplexReference::sinh(const Exact& x, const Exact& y) {
    re_ = Exact::of(mpfr_sinh, x) * cos(y);
    im_ = Exact::of(mpfr_cosh, x) * sin(y);
}

void ComplexReference::cosh(const Exact& x, const Exact& y) {
    re_ = Exact::of(mpfr_cosh, x) * cos(y);
    im_ = Exact::of(mpfr_sinh, x) * sin(y);
}

void ComplexReference::tanh(const Exact& x, const Exact& y) {
    const Exact s = Exact::of(mpfr_sinh, x), c = cos(y);
    const Exact sum = s * s + c * c;
    re_ = s * Exact::of(mpfr_cosh, x) / sum;
    im_ = sin(y) * c / sum;
}

void ComplexReference::log(const Exact& x, const Exact& y) {
    const Exact square = x * x + y * y;
    Exact larger = magnitude(x), smaller = magnitude(y);
    if (larger < smaller) std::swap(larger, smaller);
    // Each product is exact, so that what is left of the sum is.
    const Exact above = (larger - 1) * (larger + 1) + smaller * smaller;
    re_ = (Exact(0.5) < square && square < 2 ? Exact::of(mpfr_log1p, above)
                                             : Exact::of(mpfr_log, square)) /
          2;
    im_ = Exact::of(mpfr_atan2, y, x);
}

void ComplexReference::sqrt(const Exact& x, const Exact& y) {
    if (x.is_zero() && y.is_zero()) {
        re_ = 0;
        im_ = y;
        return;
    }
    const Exact t = root((magnitude(x) + root(x * x + y * y)) / 2);
    const Exact q = magnitude(y) / (t * 2);
    re_ = x < 0 ? q : t;
    im_ = copysign(x < 0 ? t : q, y);
}

void ComplexReference::log1p(const Exact& x, const Exact& y) {
    log(x + 1, y);
    const Exact above = x * (x + 2) + y * y;  // |1 + z|^2 - 1
    if (magnitude(above) < 0.5) re_ = kiln::test::log1p(above) / 2;
}

void ComplexReference::asin(const Exact& x, const Exact& y) {
    const Ellipse e(magnitude(x), magnitude(y));
    re_ = copysign(atan2(magnitude(x), e.beside(magnitude(x))), x);
    im_ = copysign(e.height(), y);
}

void ComplexReference::acos(const Exact& x, const Exact& y) {
    const Ellipse e(magnitude(x), magnitude(y));
    re_ = atan2(e.beside(magnitude(x)), x);
    im_ = copysign(e.height(), -y);
}

void ComplexReference::atanh(const Exact& x, const Exact& y) {
    const Exact a = magnitude(x), b = magnitude(y), d = Exact(1) - a;
    re_ = copysign(kiln::test::log1p(a * 4 / (d * d + b * b)) / 4, x);
    im_ = copysign(atan2(b * 2, d * (a + 1) - b * b) / 2, y);
}

void ComplexReference::swap() {
    const Exact re = re_;
    re_ = im_;
    im_ = re;
}

void ComplexReference::power(const Exact& b, const Exact& c) {
    const Exact turned = b * im_, wound = c * re_;
    const Exact size = exp(b * re_ - c * im_), angle = turned + wound;
    // A part that vanishes is left with what this arithmetic loses.
    const Exact turns = magnitude(turned) + magnitude(wound), lost = turns * Exact(0x1p-270);
    turns_ = size * turns;
    const auto part = [&](const Exact& x) { return magnitude(x) < lost ? Exact(0) : size * x; };
    re_ = part(cos(angle));
    im_ = part(sin(angle));
}

void ComplexReference::over_i() {
    const Exact re = re_;
    re_ = im_;
    im_ = -re;
}

double ComplexReference::error(double part, const Exact& exact) const {
    // The sign of a part that vanishes is open.
    if (op_ == ir::Op::pow && exact.is_zero() && part == 0) return 0;
    return error_in_ulps(part, exact.get(), part_);
}

void ComplexReference::evaluate(std::complex<double> z, std::complex<double> exponent) {
    mpfr_set_emin(mpfr_get_emin_min());
    mpfr_set_emax(mpfr_get_emax_max());
    const Exact x(z.real()), y(z.imag());
    const Exact growing(within_range(z.real())), growing_i(within_range(-z.imag()));
    switch (op_) {
        case ir::Op::exp:
            re_ = exp(growing) * cos(y);
            im_ = exp(growing) * sin(y);
            break;
        case ir::Op::log: log(x, y); break;
        case ir::Op::sqrt: sqrt(x, y); break;
        case ir::Op::sinh: sinh(growing, y); break;
        case ir::Op::cosh: cosh(growing, y); break;
        case ir::Op::tanh: tanh(growing, y); break;
        case ir::Op::sin: sinh(growing_i, x), over_i(); break;  // f(iz) = i f'(z)
        case ir::Op::cos: cosh(growing_i, x); break;
        case ir::Op::tan: tanh(growing_i, x), over_i(); break;
        case ir::Op::log2:
        case ir::Op::log10: {
            log(x, y);
            const Exact base = Exact::of(mpfr_log, Exact(op_ == ir::Op::log2 ? 2 : 10));
            re_ = re_ / base;
            im_ = im_ / base;
            break;
        }
        case ir::Op::log1p: log1p(x, y); break;
        case ir::Op::asin: asin(x, y); break;
        case ir::Op::acos: acos(x, y); break;
        case ir::Op::atanh: atanh(x, y); break;
        case ir::Op::asinh: asin(y, x), swap(); break;
        case ir::Op::atan: atanh(y, x), swap(); break;
        case ir::Op::acosh:
            acos(x, y);
            swap();
            re_ = magnitude(re_);
            im_ = copysign(im_, y);
            break;
        case ir::Op::abs: re_ = root(x * x + y * y); break;
        case ir::Op::pow: {
            log(x, y);
            const Exact b(exponent.real()), c(exponent.imag());
            power(b, c);
            break;
        }
        default: throw std::logic_error("no reference for " + std::string(ir::info(op_).name));
    }
}

}  // namespace kiln::test
