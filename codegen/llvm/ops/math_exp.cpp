// Exponentials, logarithms, powers and cube roots. The errors in the comments bound what sweeps
// found: of f32 every 8th argument and all of the intervals where the error is largest (pow 4 *
// 10^7 pairs), of f64 2 * 10^7 arguments and 2 * 10^6 in each of those intervals; a tenth of that
// in the fast tier.
#include "codegen/llvm/ops/vector_math.h"

#include <bit>
#include <limits>
#include <vector>

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

/// r^2 p(r) + tail: what e^r - 1 exceeds head by, for r = head + tail.
Value exp_rest(MathBuilder& m, Table poly, Value head, Value tail) {
    Value r = m.add(head, tail);
    return m.fma(m.horner(r, poly), m.mul(r, r), tail);
}
/// u(r) = b^r - 1 for r = head + tail.
Value minus_one(MathBuilder& m, const Exponential& e, Value head, Value tail) {
    if (e.log_hi == 1 && !m.afn()) return m.add(head, exp_rest(m, e.poly, head, tail));
    Value r = tail == nullptr ? head : m.add(head, tail);
    Value p = m.horner(r, e.poly);
    if (e.log_hi == 1) return m.fma(p, m.mul(r, r), r);
    if (m.afn()) return m.mul(r, m.add(m.real(e.log_hi), p));
    Value rest = tail == nullptr ? m.mul(r, p) : m.fma(r, p, m.mul(tail, m.real(e.log_hi)));
    return m.fma(head, m.real(e.log_hi), rest);
}

/// b^x, or b^(x + tail) where log_b(2) is 1. 2^n is applied in two factors, of which the second is
/// one power of two or another by the sign of x, so that results may be subnormal (rounded once
/// more there) or beyond the largest power of two.
Value exponential(MathBuilder& m, const Exponential& e, Value x, Value tail = nullptr) {
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
    Value head = m.fma(n, m.real(-e.step_hi), x);  // exact
    if (e.step_lo != 0 && m.afn()) {
        head = m.fma(n, m.real(-e.step_lo), head);
    } else if (e.step_lo != 0) {
        tail = m.mul(n, m.real(-e.step_lo));
    }
    return m.mul(m.fma(scale, minus_one(m, e, head, tail), scale), last);
}

/// e^x in f32's fast tier, as (e^(x/2))^2: no factor of it is out of range, so one power of two and
/// no choice suffice, at twice the error. With r = x - 2 n ln 2: e^(r/2) = 1 + r (1/2 + r q(r)),
/// where q has the coefficients of p for half the argument.
Value squared_exponential(MathBuilder& m, const Exponential& e, Value x) {
    const Format f(m);
    x = m.select(m.gt(x, m.real(e.high)), m.real(e.high), x);
    x = m.select(m.lt(x, m.real(e.low)), m.real(e.low), x);
    Value round = m.real(f.round + f.bias);
    Value sum = m.fma(x, m.real(0.5 * e.per_step), round);
    Value n = m.sub(sum, round);
    Value scale = m.from_bits(m.ir().CreateShl(m.to_bits(sum), m.bits(f.fraction_bits)));
    Value r = m.fma(n, m.real(-2 * e.step_lo), m.fma(n, m.real(-2 * e.step_hi), x));
    std::vector<double> coefficients{0.5};
    double power = 0.25;
    for (const double c : e.poly) {
        coefficients.push_back(c * power);
        power *= 0.5;
    }
    Value root = m.fma(m.mul(scale, r), m.horner(r, coefficients), scale);
    return m.mul(root, root);
}

Exponential exp_constants(const MathBuilder& m) {
    const Table poly = pick(m, exp_poly_f32, exp_poly_fast_f32, exp_poly_f64, exp_poly_fast_f64);
    if (m.f64()) return {-746, 710, exp_per_step_f64, exp_step_hi_f64, exp_step_lo_f64, 1, poly};
    return {-104, 89, exp_per_step_f32, exp_step_hi_f32, exp_step_lo_f32, 1, poly};
}
Exponential exp2_constants(const MathBuilder& m) {
    const Table poly =
        pick(m, exp2_poly_f32, exp2_poly_fast_f32, exp2_poly_f64, exp2_poly_fast_f64);
    return m.f64() ? Exponential{-1076, 1025, 1, 1, 0, exp2_log_f64, poly}
                   : Exponential{-151, 129, 1, 1, 0, exp2_log_f32, poly};
}
Exponential exp10_constants(const MathBuilder& m) {
    const Table poly =
        pick(m, exp10_poly_f32, exp10_poly_fast_f32, exp10_poly_f64, exp10_poly_fast_f64);
    return m.f64()
               ? Exponential{-324,
                             309,
                             exp10_per_step_f64,
                             exp10_step_hi_f64,
                             exp10_step_lo_f64,
                             exp10_log_f64,
                             poly}
               : Exponential{
                     -46,           39,  exp10_per_step_f32, exp10_step_hi_f32, exp10_step_lo_f32,
                     exp10_log_f32, poly};
}

// -------------------------------------------------------------------------------- logarithms

/// The bits of normal x > 0 moved so that their exponent field is e + bias and their fraction field
/// counts from sqrt(1/2) on, for x = 2^e (1 + f), 1 + f in [sqrt(1/2), sqrt(2)).
Value move_bits(MathBuilder& m, Value x) {
    const Format f(m);
    return m.ir().CreateAdd(m.to_bits(x), m.bits(f.one - f.sqrt_half));
}
/// The exponent field of moved bits as a number, less `bias`.
Value exponent_of(MathBuilder& m, Value moved, Value bias) {
    const Format f(m);
    // As the low bits of a number whose last place is 1.
    const std::uint64_t unit =
        m.f64() ? std::bit_cast<std::uint64_t>(0x1p52) : std::bit_cast<std::uint32_t>(0x1p23F);
    Value field = m.ir().CreateLShr(moved, m.bits(f.fraction_bits));
    return m.sub(m.from_bits(m.ir().CreateOr(field, m.bits(unit))),
                 m.add(bias, m.real(m.f64() ? 0x1p52 : 0x1p23)));
}
Value fraction_of(MathBuilder& m, Value moved) {
    const Format f(m);
    Value fraction = m.ir().CreateAnd(moved, m.bits(f.fraction_mask));
    return m.sub(m.from_bits(m.ir().CreateAdd(fraction, m.bits(f.sqrt_half))), m.real(1));
}

/// x = 2^e (1 + f) for x > 0, subnormal ones too.
struct Split {
    Value e, f;
};
Split split(MathBuilder& m, Value x) {
    const Format f(m);
    const double lift = m.f64() ? 54 : 24;
    Value small = m.lt(x, m.real(f.smallest_normal));
    x = m.select(small, m.mul(x, m.real(m.f64() ? 0x1p54 : 0x1p24)), x);
    Value bias = m.select(small, m.real(f.bias + lift), m.real(f.bias));
    Value moved = move_bits(m, x);
    return {exponent_of(m, moved, bias), fraction_of(m, moved)};
}

/// What log(1 + f) exceeds f by, for f of a Split; `closely` where f has been rounded already, so
/// that f32 has no error to spare.
Value log_rest(MathBuilder& m, Value f, bool closely = false) {
    const Table poly = pick(m, log_poly_f32, log_poly_fast_f32, log_poly_f64, log_poly_fast_f64);
    if (!m.f64()) {
        Value square = m.mul(f, f);
        Value series = m.horner(f, poly);
        if (!closely || m.afn()) return m.mul(square, m.fma(series, f, m.real(-0.5)));
        return m.fma(m.mul(f, m.real(-0.5)), f, m.mul(m.mul(square, f), series));
    }
    // With s = f / (2 + f): log(1+f) = f - s (f - s^2 p(s^2)), or with less error
    // f - (f^2/2 - s (f^2/2 + s^2 p(s^2))).
    Value s = m.div(f, m.add(f, m.real(2)));
    Value square = m.mul(s, s);
    if (m.afn()) return m.mul(s, m.fma(square, m.horner(square, poly), m.neg(f)));
    Value half = m.mul(f, m.real(0.5));
    Value inner = m.fma(half, f, m.mul(square, m.horner(square, poly)));
    return m.fma(m.neg(half), f, m.mul(s, inner));
}

/// What (hi + lo) log(1 + f) exceeds hi f by, in f64: like log_rest, but the large product by the
/// scale is not rounded first, which would cost a quarter of a unit more.
Value scaled_log_rest(MathBuilder& m, Value f, Value hi, Value lo) {
    Value half = m.mul(f, m.real(0.5));
    Value quadratic = m.mul(half, f);
    Value quadratic_lo = m.fma(half, f, m.neg(quadratic));
    Value s = m.div(f, m.add(f, m.real(2)));
    Value square = m.mul(s, s);
    Value inner = m.fma(square, m.horner(square, log_poly_f64), quadratic);
    Value small = m.fma(f, lo, m.mul(m.mul(s, inner), hi));
    return m.fma(m.neg(quadratic), hi, m.fma(m.neg(quadratic_lo), hi, small));
}

/// `usual` for pole < x < inf; -inf of the pole, inf of inf, NaN of NaN and below the pole.
Value log_specials(MathBuilder& m, Value x, double pole, Value usual) {
    Value below = m.select(m.eq(x, m.real(pole)), m.real(-infinity), m.real(nan));
    Value finite = m.select(m.lt(x, m.real(infinity)), usual, x);
    return m.select(m.le(x, m.real(pole)), below, finite);
}

/// Constants of a logarithm to base b: log_b(2), ln(2) split so that e times the high part is
/// exact, and 1/ln(b); the high ones alone where they are exact.
struct Logarithm {
    double step_hi, step_lo, scale_hi, scale_lo;
    Table poly = {};  ///< of f32's strict tier instead of scale_lo, see codegen/math/generate.py
};

Value logarithm(MathBuilder& m, const Logarithm& c, Value x) {
    const auto [e, f] = split(m, x);
    if (m.afn()) {
        Value log = m.add(f, log_rest(m, f));
        const double step = c.step_hi + c.step_lo;
        if (c.scale_hi == 1) return log_specials(m, x, 0, m.fma(e, m.real(step), log));
        Value power = step == 1 ? e : m.mul(e, m.real(step));
        return log_specials(m, x, 0, m.fma(log, m.real(c.scale_hi), power));
    }
    Value head = nullptr;
    if (c.scale_hi == 1) {
        head = m.add(f, m.fma(e, m.real(c.step_lo), log_rest(m, f)));
    } else {
        Value rest = m.f64() ? scaled_log_rest(m, f, m.real(c.scale_hi), m.real(c.scale_lo))
                             : m.mul(f, m.horner(f, c.poly));
        if (c.step_lo != 0) rest = m.fma(e, m.real(c.step_lo), rest);
        head = m.fma(f, m.real(c.scale_hi), rest);
    }
    Value sum = c.step_hi == 1 ? m.add(e, head) : m.fma(e, m.real(c.step_hi), head);
    return log_specials(m, x, 0, sum);
}

// ------------------------------------------------------------------------------------- powers

/// log2 of x > 0 in two parts, to 2^-65 of its size.
std::pair<Value, Value> log2_parts(MathBuilder& m, Value x) {
    const auto [e, f] = split(m, x);
    // s = f / (2 + f) in two parts
    Value divisor = m.add(f, m.real(2));
    Value divisor_lo = m.sub(f, m.sub(divisor, m.real(2)));
    Value inverse = m.div(m.real(1), divisor);
    Value s = m.mul(f, inverse);
    Value remainder = m.fma(m.neg(s), divisor_lo, m.fma(m.neg(s), divisor, f));
    Value s_lo = m.mul(remainder, inverse);
    // z = s^2, cube = s z
    Value z = m.mul(s, s);
    Value z_lo = m.fma(m.add(s, s), s_lo, m.fma(s, s, m.neg(z)));
    Value cube = m.mul(s, z);
    Value cube_lo = m.fma(s_lo, z, m.fma(s, z_lo, m.fma(s, z, m.neg(cube))));
    // q = c3 + z p(z)
    Value p = m.horner(z, pow_log_poly_f64);
    Value q = m.fma(z, p, m.real(pow_c3_hi));
    Value q_lo = m.add(m.fma(z, p, m.sub(m.real(pow_c3_hi), q)), m.fma(z_lo, p, m.real(pow_c3_lo)));
    Value third = m.mul(cube, q);
    Value third_lo = m.fma(cube_lo, q, m.fma(cube, q_lo, m.fma(cube, q, m.neg(third))));
    // e + c1 s + cube q
    Value first = m.mul(s, m.real(pow_c1_hi));
    Value first_lo = m.fma(s_lo, m.real(pow_c1_hi),
                           m.fma(s, m.real(pow_c1_lo), m.fma(s, m.real(pow_c1_hi), m.neg(first))));
    const auto [series, series_lo] = m.fast_two_sum(first, third);
    const auto [high, high_lo] = m.fast_two_sum(e, series);
    Value low = m.add(high_lo, m.add(series_lo, m.add(first_lo, third_lo)));
    return m.fast_two_sum(high, low);
}

/// `log` for x in (0, inf), else log's limit or NaN.
Value with_limits(MathBuilder& m, Value x, Value log) {
    log = m.select(m.eq(x, m.real(0)), m.real(-infinity), log);
    return m.select(m.lt(x, m.real(infinity)), log, x);
}

/// |x|^y in f32 by way of f64.
Value magnitude_f32(MathBuilder& m, Value x, Value y) {
    auto* wide = m.real_type()->getWithNewType(m.ir().getDoubleTy());
    MathBuilder d(m.ir(), wide, m.afn(), [] { return nullptr; });
    const Format f(d);
    Value base = m.ir().CreateFPExt(x, wide);
    Value exponent = m.ir().CreateFPExt(y, wide);
    Value moved = move_bits(d, base);
    Value e = exponent_of(d, moved, d.real(f.bias));
    Value fraction = fraction_of(d, moved);
    const Table poly = m.afn() ? Table(pow_log_poly_fast_f32) : Table(pow_log_poly_f32);
    Value log = d.fma(fraction, d.horner(fraction, poly), e);
    log = with_limits(d, base, log);
    Value t = d.select(d.eq(log, d.real(0)), d.real(0), d.mul(exponent, log));  // 1^inf is 1
    t = d.select(d.gt(t, d.real(200)), d.real(200), t);
    t = d.select(d.lt(t, d.real(-200)), d.real(-200), t);
    Value sum = d.add(t, d.real(f.round + f.bias));
    Value r = d.sub(t, d.sub(sum, d.real(f.round + f.bias)));
    Value scale = d.from_bits(m.ir().CreateShl(d.to_bits(sum), d.bits(f.fraction_bits)));
    const Table exp = m.afn() ? Table(pow_exp_poly_fast_f32) : Table(pow_exp_poly_f32);
    return m.ir().CreateFPTrunc(d.mul(scale, d.horner(r, exp)), m.real_type());
}

/// |x|^y in f64.
Value magnitude_f64(MathBuilder& m, Value x, Value y) {
    const auto [log, log_lo] = log2_parts(m, x);
    Value limited = with_limits(m, x, log);
    Value product = m.mul(y, limited);
    Value tail = m.fma(y, log_lo, m.fma(y, log, m.neg(product)));
    // Beyond the range of results the low part may be NaN; 1^inf is 1.
    tail = m.select(m.lt(m.abs(product), m.real(1100)), tail, m.real(0));
    product = m.select(m.eq(limited, m.real(0)), m.real(0), product);
    return exponential(m, exp2_constants(m), product, tail);
}

}  // namespace

/// e^x. 0.87 ULP in f32, 0.86 in f64; fast tier 2.8 and 3.0.
Value math_exp(MathBuilder& m, std::span<Value const> a) {
    Exponential e = exp_constants(m);
    if (!m.afn() || m.f64()) return exponential(m, e, a[0]);
    e.poly = exp_poly_f32;  // twice the error of the fast tier's would be too much
    return squared_exponential(m, e, a[0]);
}

/// 2^x, exact for whole numbers. 0.85 ULP in f32, 0.86 in f64; fast tier 2.2 and 2.5.
Value math_exp2(MathBuilder& m, std::span<Value const> a) {
    return exponential(m, exp2_constants(m), a[0]);
}

/// 10^x. 0.94 ULP in f32, 0.96 in f64; fast tier 2.3 and 2.7.
Value math_exp10(MathBuilder& m, std::span<Value const> a) {
    return exponential(m, exp10_constants(m), a[0]);
}

/// e^x - 1. 0.72 ULP in f32, 0.93 in f64; fast tier 1.6 and 2.0.
Value math_expm1(MathBuilder& m, std::span<Value const> a) {
    const Format f(m);
    Exponential c = exp_constants(m);
    // e^r = 1 + r + r^2 p(r) in the fast tier, 1 + r + r^2/2 + r^3 p(r) in the strict one
    c.poly = pick(m, expm1_poly_f32, expm1_poly_fast_f32, expm1_poly_f64, expm1_poly_fast_f64);
    const double least = m.f64() ? -40 : -20;  // below it the result is -1
    Value x = m.select(m.gt(a[0], m.real(c.high)), m.real(c.high), a[0]);
    x = m.select(m.lt(x, m.real(least)), m.real(least), x);
    // Where 2^n - 1 would be rounded, results are computed by halves, since 2^n may be out of range
    // where e^x is not, and the 1 is subtracted from the low part.
    Value large = m.gt(x, m.real(m.f64() ? 37 : 16.5));
    Value sum = m.fma(x, m.real(c.per_step), m.real(f.round + f.bias));
    Value n = m.sub(sum, m.real(f.round + f.bias));
    Value word = m.select(large, m.ir().CreateSub(m.to_bits(sum), m.bits(1)), m.to_bits(sum));
    Value scale = m.from_bits(m.ir().CreateShl(word, m.bits(f.fraction_bits)));
    Value head = m.fma(n, m.real(-c.step_hi), x);
    Value tail = m.mul(n, m.real(-c.step_lo));
    Value power = m.sub(scale, m.select(large, m.real(0), m.real(1)));
    // The result is power + scale (head + rest), of which the sum of the first two is hi + lo.
    Value result = nullptr;
    if (m.afn()) {
        result = m.fma(scale, minus_one(m, c, head, tail), power);
    } else {
        Value r = m.add(head, tail);
        Value half = m.mul(r, m.real(0.5));
        Value cube = m.mul(m.mul(r, r), r);
        Value rest = m.fma(half, r, m.fma(cube, m.horner(r, c.poly), tail));
        Value hi = m.fma(scale, head, power);
        Value lo = m.fma(scale, head, m.sub(power, hi));
        lo = m.add(lo, m.select(large, m.real(-0.5), m.real(0)));
        result = m.add(hi, m.fma(scale, rest, lo));
    }
    result = m.select(large, m.add(result, result), result);
    return m.copysign(result, x);  // of -0 too
}

/// The natural logarithm. 0.93 ULP in f32, 0.82 in f64; fast tier 1.3 and 2.5.
Value math_log(MathBuilder& m, std::span<Value const> a) {
    return m.f64() ? logarithm(m, {ln2_hi_f64, ln2_lo_f64, 1, 0}, a[0])
                   : logarithm(m, {ln2_hi_f32, ln2_lo_f32, 1, 0}, a[0]);
}

/// The logarithm to base 2, exact for powers of 2. 0.97 ULP in f32, 0.93 in f64; fast tier 2.3
/// and 3.5.
Value math_log2(MathBuilder& m, std::span<Value const> a) {
    return m.f64() ? logarithm(m, {1, 0, log2_e_hi_f64, log2_e_lo_f64}, a[0])
                   : logarithm(m, {1, 0, log2_e_hi_f32, 0, log2_poly_f32}, a[0]);
}

/// The logarithm to base 10. 0.95 ULP in f32, 0.92 in f64; fast tier 2.6 and 3.4.
Value math_log10(MathBuilder& m, std::span<Value const> a) {
    return m.f64()
               ? logarithm(m, {log10_2_hi_f64, log10_2_lo_f64, log10_e_hi_f64, log10_e_lo_f64},
                           a[0])
               : logarithm(m, {log10_2_hi_f32, log10_2_lo_f32, log10_e_hi_f32, 0, log10_poly_f32},
                           a[0]);
}

/// log(1 + x). 0.93 ULP in f32, 0.88 in f64; fast tier 1.3 and 2.3. With u = 1 + x rounded,
/// log(1+x) = log(u) + (1 + x - u) / u: the difference, exact where it matters, joins f.
Value math_log1p(MathBuilder& m, std::span<Value const> a) {
    const Format f(m);
    Value x = a[0];
    Value u = m.add(x, m.real(1));
    Value lost = m.sub(x, m.sub(u, m.real(1)));
    Value moved = move_bits(m, u);
    Value e = exponent_of(m, moved, m.real(f.bias));
    Value head = fraction_of(m, moved);
    // 2^-e by way of 2^(1-e), whose exponent field is 0 for the largest u; nothing is lost there.
    const std::uint64_t twice = (m.f64() ? std::uint64_t(2047) : 255) << f.fraction_bits;
    Value scale = m.from_bits(
        m.ir().CreateSub(m.bits(twice), m.ir().CreateAnd(moved, m.bits(~f.fraction_mask))));
    scale = m.mul(scale, m.real(0.5));
    Value rest = log_rest(m, m.fma(lost, scale, head), true);
    rest = m.fma(lost, scale, rest);
    rest = m.fma(e, m.real(m.f64() ? ln2_lo_f64 : ln2_lo_f32), rest);
    Value sum = m.fma(e, m.real(m.f64() ? ln2_hi_f64 : ln2_hi_f32), m.add(head, rest));
    return log_specials(m, x, -1, m.copysign(sum, x));
}

/// x^y. 0.55 ULP in f32, 0.89 in f64; fast tier 2.8 and 2.6. Exact results are exact.
Value math_pow(MathBuilder& m, std::span<Value const> a) {
    Value x = a[0], y = a[1], size = m.abs(a[0]);
    Value power = m.f64() ? magnitude_f64(m, size, y) : magnitude_f32(m, size, y);
    // |x|^y is right for all x >= 0, and 1 for |x| = 1 whatever y; -1 to the power of NaN is
    // put right here, with the other powers of negative numbers.
    Value half = m.mul(y, m.real(0.5));
    Value integer = m.eq(m.round(y), y);
    Value odd = m.ir().CreateAnd(integer, m.ir().CreateFCmpUNE(m.round(half), half));
    Value signed_power = m.select(odd, m.copysign(power, x), power);
    Value undefined =
        m.ir().CreateAnd(m.ir().CreateAnd(m.lt(x, m.real(0)), m.gt(x, m.real(-infinity))),
                         m.ir().CreateNot(integer));
    Value result = m.select(undefined, m.real(nan), signed_power);
    return m.select(m.eq(y, m.real(0)), m.real(1), result);
}

/// The cube root. 0.501 ULP in f32 and f64; fast tier 1.1 and 1.8. |x| = 2^(3k) t with t in [1, 8);
/// a polynomial for r near t^(-1/3) gives y = t r^2, a series in h = 1 - y r refines it, and the
/// last step uses t - y^3 without rounding.
Value math_cbrt(MathBuilder& m, std::span<Value const> a) {
    const Format f(m);
    const bool d = m.f64();
    Value size = m.abs(a[0]);
    Value small = m.lt(size, m.real(f.smallest_normal));
    Value x = m.select(small, m.mul(size, m.real(d ? 0x1p54 : 0x1p24)), size);
    Value bits = m.to_bits(x);
    // k = floor(exponent / 3) as the nearest integer to (exponent - 1) / 3
    Value exponent = exponent_of(m, bits, m.real(f.bias + 1));
    Value sum = m.fma(exponent, m.real(1.0 / 3), m.real(f.round));
    Value k = m.sub(sum, m.real(f.round));
    Value three_k = m.fma(k, m.real(3), m.real(f.round));
    Value t = m.from_bits(
        m.ir().CreateSub(bits, m.ir().CreateShl(m.to_bits(three_k), m.bits(f.fraction_bits))));
    Value fraction = m.from_bits(
        m.ir().CreateOr(m.ir().CreateAnd(m.to_bits(x), m.bits(f.fraction_mask)), m.bits(f.one)));

    Value octave =
        m.select(m.lt(t, m.real(2)), m.real(1), m.real(d ? cbrt_half_f64 : cbrt_half_f32));
    octave = m.select(m.lt(t, m.real(4)), octave, m.real(d ? cbrt_quarter_f64 : cbrt_quarter_f32));
    Value r = m.mul(octave, m.horner(fraction, pick(m, cbrt_poly_f32, cbrt_poly_f64)));
    Value square = m.mul(r, r);
    Value y = m.mul(t, square);
    Value h = m.fma(m.neg(y), r, m.real(1));
    // cbrt(t) = y (1 - h)^(-2/3)
    Value series = m.real(2.0 / 3);
    if (d) series = m.fma(m.fma(h, m.real(40.0 / 81), m.real(5.0 / 9)), h, series);
    y = m.fma(m.mul(y, h), series, y);
    if (!m.afn()) {
        Value y2 = m.mul(y, y);
        Value left = m.fma(m.neg(m.fma(y, y, m.neg(y2))), y, m.fma(m.neg(y2), y, t));
        y = m.fma(left, m.mul(square, m.real(1.0 / 3)), y);
    }
    Value exponent_bits = m.ir().CreateShl(m.to_bits(sum), m.bits(f.fraction_bits));
    Value lifted = m.bits(std::uint64_t(d ? 18 : 8) << f.fraction_bits);
    exponent_bits = m.select(small, m.ir().CreateSub(exponent_bits, lifted), exponent_bits);
    Value result = m.from_bits(m.ir().CreateAdd(m.to_bits(y), exponent_bits));
    Value plain = m.ir().CreateAnd(m.gt(size, m.real(0)), m.lt(size, m.real(infinity)));
    return m.select(plain, m.copysign(result, a[0]), a[0]);
}

}  // namespace kiln::codegen
