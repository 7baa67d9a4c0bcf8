// sin, cos and tan, as IR. Coefficients: codegen/math/generate_trig.py.
#include "codegen/llvm/ops/vector_math.h"

namespace kiln::codegen {

namespace {

#include "codegen/math/trig_coefficients.inc"

using Value = llvm::Value*;

/// |x| = quarters pi/2 + high + low, |high| a little beyond pi/4 at most. The functions below make
/// the same IR for the same argument, so that common subexpressions of sin(x) and cos(x) are one.
struct Reduced {
    Value quarters;  // integers, of which the low two bits count
    Value high, low;
    Value rare;  // lanes with arguments too large for this, infinities among them
};

/// Cody and Waite's reduction. With FMA x - n P1 is exact for a full-precision P1: it is a multiple
/// of the last place of 1, and below 1. The rest is P2 + P3:
///   f64: P2 has so few bits that n P2 is exact for |x| < 2^22, and the rounding of `high` is found
///        exactly too;
///   f32: n P2 is taken in two parts. The last place of `first` is not below that of n P2, so that
///        the short form of the exact sum holds whichever of the two is larger.
/// afn does without `low` unless `both`.
Reduced reduce(MathBuilder& m, Value x, bool both = false) {
    const bool f64 = m.f64();
    const double* part = f64 ? half_pi_f64 : half_pi_f32;
    const double magic = f64 ? 0x1.8p52 : 0x1.8p23;
    Value size = m.abs(x);
    Value k = m.fma(size, m.real(f64 ? two_over_pi_f64 : two_over_pi_f32), m.real(magic));
    Value n = m.sub(m.real(magic), k);  // the number of quarters, negative
    Value p2 = m.real(part[1]), p3 = m.real(part[2]);
    Value first = m.fma(n, m.real(part[0]), size);
    Reduced r{m.to_bits(k), nullptr, nullptr, m.gt(size, m.real(f64 ? 0x1p22 : 0x1p17))};
    if (m.afn() && !both) {
        r.high = m.fma(n, p3, m.fma(n, p2, first));
    } else if (f64) {
        r.high = m.fma(n, p2, first);
        r.low = m.fma(n, p3, m.fma(n, p2, m.sub(first, r.high)));
    } else {
        auto [product, of_product] = m.two_product(n, p2);
        auto [sum, of_sum] = m.fast_two_sum(first, product);
        r.high = sum;
        r.low = m.fma(n, p3, m.add(of_sum, of_product));
    }
    return r;
}

/// sin(high + low) as high + the result.
Value sine_rest(MathBuilder& m, const Reduced& r) {
    Value z = m.mul(r.high, r.high);
    Value p = m.f64() ? m.horner(z, sin_f64) : m.horner(z, sin_f32);
    // low cos(high) + high z p, the cosine to two terms
    Value tilt = m.fma(z, m.mul(r.low, m.real(-0.5)), r.low);
    return m.fma(m.mul(r.high, z), p, tilt);
}

/// cos(high + low) as the sum of both.
std::pair<Value, Value> cosine(MathBuilder& m, const Reduced& r) {
    Value z = m.mul(r.high, r.high);
    Value half = m.mul(r.high, m.real(-0.5));
    Value near = m.fma(half, r.high, m.real(1.0));
    Value lost = m.fma(half, r.high, m.sub(m.real(1.0), near));  // 1 - z/2 = near + lost, exactly
    Value p = m.f64() ? m.horner(z, cos_f64) : m.horner(z, cos_f32);
    return {near, m.fma(m.mul(z, z), p, m.fma(m.neg(r.high), r.low, lost))};
}

Value fast_sine(MathBuilder& m, const Reduced& r) {
    Value z = m.mul(r.high, r.high);
    Value p = m.f64() ? m.horner(z, sin_f64_fast) : m.horner(z, sin_f32);
    Value cube = m.mul(r.high, z);
    if (r.low == nullptr) return m.fma(cube, p, r.high);
    return m.add(r.high, m.fma(cube, p, r.low));
}

Value fast_cosine(MathBuilder& m, Value r) {
    Value z = m.mul(r, r);
    Value p = m.f64() ? m.horner(z, cos_f64_fast) : m.horner(z, cos_f32);
    return m.fma(m.mul(z, z), p, m.fma(z, m.real(-0.5), m.real(1.0)));
}

Value is_odd(MathBuilder& m, const Reduced& r) {
    return m.ir().CreateICmpNE(m.ir().CreateAnd(r.quarters, m.bits(1)), m.bits(0));
}

/// Bit `bit` of an integer moved to the sign's place.
Value to_sign(MathBuilder& m, Value integer, unsigned bit) {
    const unsigned width = m.f64() ? 64 : 32;
    Value sign = m.ir().CreateShl(integer, m.bits(width - 1 - bit));
    return m.ir().CreateAnd(sign, m.bits(std::uint64_t(1) << (width - 1)));
}

Value flip(MathBuilder& m, Value x, Value sign) {
    return m.from_bits(m.ir().CreateXor(m.to_bits(x), sign));
}

std::pair<Value, Value> sine_and_cosine(MathBuilder& m, const Reduced& r) {
    if (m.afn()) return {fast_sine(m, r), fast_cosine(m, r.high)};
    Value sine = m.add(r.high, sine_rest(m, r));
    auto [near, rest] = cosine(m, r);
    return {sine, m.add(near, rest)};
}

}  // namespace

/// sin. Largest error found, of arguments that are not rare: f32 0.74 ULP, afn 1.6; f64 0.73, afn
/// 2.1.
Value math_sin(MathBuilder& m, std::span<Value const> a) {
    const Reduced r = reduce(m, a[0]);
    auto [sine, cosine] = sine_and_cosine(m, r);
    Value sign = to_sign(m, m.to_bits(a[0]), m.f64() ? 63 : 31);
    sign = m.ir().CreateXor(sign, to_sign(m, r.quarters, 1));
    return m.unless(r.rare, flip(m, m.select(is_odd(m, r), cosine, sine), sign));
}

/// cos. Largest error found, of arguments that are not rare: f32 0.74 ULP, afn 1.6; f64 0.73, afn
/// 2.2.
Value math_cos(MathBuilder& m, std::span<Value const> a) {
    const Reduced r = reduce(m, a[0]);
    auto [sine, cosine] = sine_and_cosine(m, r);
    Value sign = to_sign(m, m.ir().CreateAdd(r.quarters, m.bits(1)), 1);
    return m.unless(r.rare, flip(m, m.select(is_odd(m, r), sine, cosine), sign));
}

/// tan. Largest error found, of arguments that are not rare: f32 0.94 ULP, afn 3.7; f64 0.89, afn
/// 3.9.
Value math_tan(MathBuilder& m, std::span<Value const> a) {
    const Reduced r = reduce(m, a[0], m.f64());
    Value odd = is_odd(m, r);  // there tan is -cos/sin
    Value sign =
        m.ir().CreateXor(to_sign(m, m.to_bits(a[0]), m.f64() ? 63 : 31), to_sign(m, r.quarters, 0));
    if (m.afn()) {
        auto [sine, cosine] = sine_and_cosine(m, r);
        Value ratio = m.div(m.select(odd, cosine, sine), m.select(odd, sine, cosine));
        return m.unless(r.rare, flip(m, ratio, sign));
    }
    auto [sine, sine_low] = m.fast_two_sum(r.high, sine_rest(m, r));
    auto [near, rest] = cosine(m, r);
    auto [cosine, cosine_low] = m.fast_two_sum(near, rest);
    Value ratio = m.quotient(m.select(odd, cosine, sine), m.select(odd, cosine_low, sine_low),
                             m.select(odd, sine, cosine), m.select(odd, sine_low, cosine_low));
    return m.unless(r.rare, flip(m, ratio, sign));
}

}  // namespace kiln::codegen
