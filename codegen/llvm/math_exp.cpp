// Exponentials and logarithms. Errors in the comments are the largest that sweeps found, in units
// of the last place: all of f32, 10^8 arguments of f64; strict tier / fast tier.
#include "codegen/llvm/vector_math.h"

#include <bit>
#include <limits>

namespace kiln::codegen {

namespace {

#include "codegen/math/exp_coefficients.inc"

using Value = llvm::Value*;
using Table = std::span<const double>;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// The floating format of a MathBuilder's elements.
struct Format {
    explicit Format(const MathBuilder& m)
        : fraction_bits(m.f64() ? 52 : 23),
          bias(m.f64() ? 1023 : 127),
          one(m.f64() ? std::bit_cast<std::uint64_t>(1.0) : std::bit_cast<std::uint32_t>(1.0F)),
          sqrt_half(m.f64() ? std::bit_cast<std::uint64_t>(0x1.6a09e667f3bcdp-1)
                            : std::bit_cast<std::uint32_t>(0x1.6a09e6p-1F)),
          fraction_mask((std::uint64_t(1) << fraction_bits) - 1),
          smallest_normal(m.f64() ? 0x1p-1022 : 0x1p-126),
          round(m.f64() ? 0x1.8p52 : 0x1.8p23) {}

    unsigned fraction_bits;
    double bias;
    std::uint64_t one, sqrt_half;  ///< bits of these numbers
    std::uint64_t fraction_mask;
    double smallest_normal;
    double round;  ///< x + round - round is x rounded to an integer, which the sum's low bits hold
};

Table pick(const MathBuilder& m, Table f32, Table f64) { return m.f64() ? f64 : f32; }
Table pick(const MathBuilder& m, Table f32, Table fast_f32, Table f64, Table fast_f64) {
    return m.afn() ? pick(m, fast_f32, fast_f64) : pick(m, f32, f64);
}

// ------------------------------------------------------------------------------ exponentials

/// What b^x is computed from: x = n log_b(2) + r, b^r = 1 + u(r).
struct Exponential {
    double low, high;                   ///< beyond them b^x is 0 or infinite whatever x is
    double per_step, step_hi, step_lo;  ///< 1 / log_b(2) and log_b(2); 1, 1, 0 for b = 2
    double log_hi;                      ///< ln b rounded; 1 for b = e
    Table poly;                         ///< see codegen/math/generate.py
};

/// u(r) = b^r - 1 for r = head + tail.
Value minus_one(MathBuilder& m, const Exponential& e, Value head, Value tail) {
    Value r = tail == nullptr ? head : m.add(head, tail);
    Value p = m.horner(r, e.poly);
    if (e.log_hi == 1) {
        Value square = m.mul(r, r);
        if (m.afn()) return m.fma(p, square, r);
        return m.add(head, m.fma(p, square, tail));  // what is small first, so that head is exact
    }
    if (m.afn()) return m.mul(r, m.add(m.real(e.log_hi), p));
    Value rest = tail == nullptr ? m.mul(r, p) : m.fma(r, p, m.mul(tail, m.real(e.log_hi)));
    return m.fma(head, m.real(e.log_hi), rest);
}

/// b^x. 2^n is applied in two factors, of which the second is a power of two by the sign of x, so
/// that results may be subnormal (rounded once more there) or above 2^127 and 2^1023.
Value exponential(MathBuilder& m, const Exponential& e, Value x) {
    const Format f(m);
    const double shift = m.f64() ? 512 : 64;
    x = m.select(m.gt(x, m.real(e.high)), m.real(e.high), x);
    x = m.select(m.lt(x, m.real(e.low)), m.real(e.low), x);
    Value negative = m.lt(x, m.real(0));
    Value round =
        m.select(negative, m.real(f.round + f.bias + shift), m.real(f.round + f.bias - shift));
    Value last = m.select(negative, m.real(m.f64() ? 0x1p-512 : 0x1p-64),
                          m.real(m.f64() ? 0x1p512 : 0x1p64));
    Value sum = e.per_step == 1 ? m.add(x, round) : m.fma(x, m.real(e.per_step), round);
    Value n = m.sub(sum, round);
    Value scale = m.from_bits(m.ir().CreateShl(m.to_bits(sum), m.bits(f.fraction_bits)));
    Value u = nullptr;
    if (e.per_step == 1) {
        u = minus_one(m, e, m.sub(x, n), nullptr);
    } else {
        Value head = m.fma(n, m.real(-e.step_hi), x);  // exact
        u = minus_one(m, e, head, m.mul(n, m.real(-e.step_lo)));
    }
    return m.mul(m.fma(scale, u, scale), last);
}

Exponential exp_constants(const MathBuilder& m) {
    const Table poly = pick(m, exp_poly_f32, exp_poly_fast_f32, exp_poly_f64, exp_poly_fast_f64);
    return m.f64()
               ? Exponential{-746, 710, exp_per_step_f64, exp_step_hi_f64, exp_step_lo_f64, 1, poly}
               : Exponential{-104, 89, exp_per_step_f32, exp_step_hi_f32, exp_step_lo_f32, 1, poly};
}

// -------------------------------------------------------------------------------- logarithms

/// x = 2^e (1 + f) for positive x, 1 + f in [sqrt(1/2), sqrt(2)).
struct Split {
    Value e, f;
};
Split split(MathBuilder& m, Value x) {
    const Format f(m);
    const double lift = m.f64() ? 54 : 24;
    Value small = m.lt(x, m.real(f.smallest_normal));
    x = m.select(small, m.mul(x, m.real(m.f64() ? 0x1p54 : 0x1p24)), x);
    Value moved = m.ir().CreateAdd(m.to_bits(x), m.bits(f.one - f.sqrt_half));
    // The biased exponent as the low bits of a number whose last place is 1.
    const double unit = m.f64() ? 0x1p52 : 0x1p23;
    const std::uint64_t unit_bits =
        m.f64() ? std::bit_cast<std::uint64_t>(0x1p52) : std::bit_cast<std::uint32_t>(0x1p23F);
    Value biased =
        m.ir().CreateOr(m.ir().CreateLShr(moved, m.bits(f.fraction_bits)), m.bits(unit_bits));
    Value e = m.sub(m.from_bits(biased),
                    m.select(small, m.real(unit + f.bias + lift), m.real(unit + f.bias)));
    Value mantissa =
        m.ir().CreateAdd(m.ir().CreateAnd(moved, m.bits(f.fraction_mask)), m.bits(f.sqrt_half));
    return {e, m.sub(m.from_bits(mantissa), m.real(1))};
}

/// What log(1 + f) exceeds f by, for f of a Split.
Value log_rest(MathBuilder& m, Value f) {
    const Table poly = pick(m, log_poly_f32, log_poly_fast_f32, log_poly_f64, log_poly_fast_f64);
    if (!m.f64()) return m.mul(m.mul(f, f), m.fma(m.horner(f, poly), f, m.real(-0.5)));
    // With s = f / (2 + f): log(1+f) = f - (f^2/2 - s (f^2/2 + s^2 p(s^2))).
    Value half = m.mul(f, m.real(0.5));
    Value s = m.div(f, m.add(f, m.real(2)));
    Value square = m.mul(s, s);
    Value inner = m.fma(half, f, m.mul(square, m.horner(square, poly)));
    return m.fma(m.neg(half), f, m.mul(s, inner));
}

/// `usual` for 0 < x < inf; -inf of 0, inf of inf, NaN of NaN and below 0.
Value log_specials(MathBuilder& m, Value x, Value usual) {
    Value zero = m.real(0);
    Value below = m.select(m.eq(x, zero), m.real(-infinity), m.real(nan));
    Value finite = m.select(m.lt(x, m.real(infinity)), usual, x);
    return m.select(m.le(x, zero), below, finite);
}

}  // namespace

/// exp
Value math_exp(MathBuilder& m, std::span<Value const> a) {
    return exponential(m, exp_constants(m), a[0]);
}

/// log
Value math_log(MathBuilder& m, std::span<Value const> a) {
    const auto [e, f] = split(m, a[0]);
    const bool d = m.f64();
    Value low = m.fma(e, m.real(d ? ln2_lo_f64 : ln2_lo_f32), log_rest(m, f));
    Value sum = m.fma(e, m.real(d ? ln2_hi_f64 : ln2_hi_f32), m.add(f, low));
    return log_specials(m, a[0], sum);
}

}  // namespace kiln::codegen
