// Inverse trigonometric and hyperbolic functions and hypot, as IR. Coefficients:
// codegen/math/generate_trig.py. Errors are the largest found, in ULP.
#include "codegen/llvm/ops/vector_math.h"

#include <limits>

namespace kiln::codegen {

namespace {

#include "codegen/math/misc_coefficients.inc"

using Value = llvm::Value*;
using Table = std::span<const double>;

constexpr double infinity = std::numeric_limits<double>::infinity();

Table pick(const MathBuilder& m, Table f32, Table fast_f32, Table f64, Table fast_f64) {
    if (m.f64()) return m.afn() ? fast_f64 : f64;
    return m.afn() ? fast_f32 : f32;
}
Value half_pi(MathBuilder& m, unsigned part) {
    return m.real(m.f64() ? half_pi_f64[part] : half_pi_f32[part]);
}

/// 1/x for positive x, to 12 %: enough for corrections of half an ULP. Huge but finite for 0.
Value rough_inverse(MathBuilder& m, Value x) {
    // Bits are a linear function of the logarithm, nearly.
    Value of_one = m.bits(m.f64() ? 0x7fde623822fc16e6U : 0x7ef311c7U);
    return m.from_bits(m.ir().CreateSub(of_one, m.to_bits(x)));
}

// ------------------------------------------------------------------------------ asin, acos

/// asin(root + lost) = root + rest for |x| <= 1/2, where root = |x|; above that for
/// root + lost = sqrt((1 - |x|) / 2), by which asin(|x|) = pi/2 - 2 asin(root + lost).
struct HalfAngle {
    Value large;
    Value root, rest;
};
HalfAngle half_angle(MathBuilder& m, Value size) {
    Value large = m.gt(size, m.real(0.5));
    Value half = m.fma(size, m.real(-0.5), m.real(0.5));  // exact where it is used
    Value z = m.select(large, half, m.mul(size, size));
    Value root = m.sqrt(half);
    const Table poly = pick(m, asin_f32, asin_f32_fast, asin_f64, asin_f64_fast);
    Value r = m.select(large, root, size);
    Value p = m.mul(z, m.horner(z, poly));
    if (m.afn()) return {large, r, m.mul(r, p)};
    Value lost = m.mul(m.fma(m.neg(root), root, half), m.mul(rough_inverse(m, root), m.real(0.5)));
    lost = m.select(large, lost, m.real(0.0));
    return {large, r, m.fma(r, p, lost)};
}

}  // namespace

/// asin. f32 0.73, afn 2.6; f64 0.82, afn 3.4.
Value math_asin(MathBuilder& m, std::span<Value const> a) {
    Value size = m.abs(a[0]);
    const HalfAngle h = half_angle(m, size);
    Value small = m.add(h.root, h.rest);
    auto [high, low] = m.fast_two_sum(half_pi(m, 0), m.mul(h.root, m.real(-2.0)));
    Value large = m.add(high, m.fma(h.rest, m.real(-2.0), m.add(low, half_pi(m, 1))));
    return m.copysign(m.select(h.large, large, small), a[0]);
}

/// acos. f32 0.70, afn 2.6; f64 0.73, afn 3.2.
Value math_acos(MathBuilder& m, std::span<Value const> a) {
    const HalfAngle h = half_angle(m, m.abs(a[0]));
    Value negative = m.lt(a[0], m.real(0.0));
    // |x| <= 1/2: pi/2 - asin(x). Above 1/2: twice the half angle; below -1/2: pi minus that.
    Value two = m.select(h.large, m.real(2.0), m.real(1.0));
    Value plus = m.ir().CreateXor(negative, h.large);
    two = m.select(plus, two, m.neg(two));
    Value quarters = m.select(h.large, m.select(negative, m.real(2.0), m.real(0.0)), m.real(1.0));
    auto [high, low] = m.fast_two_sum(m.mul(quarters, half_pi(m, 0)), m.mul(h.root, two));
    low = m.fma(quarters, half_pi(m, 1), low);
    return m.add(high, m.fma(h.rest, two, low));
}

namespace {

// ------------------------------------------------------------------------------ atan, atan2

/// The angle of (x, y) for x, y >= 0, not both 0; or pi minus that where `mirror` (null: nowhere).
/// From q = y/x, (y - x)/(y + x) or -x/y, whichever is in [-1/2, 1/2]: 0, pi/4 or pi/2 + atan(q).
Value angle(MathBuilder& m, Value y, Value x, Value mirror) {
    Value half_x = m.mul(x, m.real(0.5)), two_x = m.mul(x, m.real(2.0));
    Value low_range = m.le(y, half_x), high_range = m.ge(y, two_x);
    auto [sum, sum_low] = m.two_sum(x, y);
    Value above = m.select(low_range, y, m.select(high_range, m.neg(x), m.sub(y, x)));
    Value below = m.select(low_range, x, m.select(high_range, y, sum));
    Value turns = m.select(low_range, m.real(0.0), m.select(high_range, m.real(1.0), m.real(0.5)));
    const Table poly = pick(m, atan_f32, atan_f32_fast, atan_f64, atan_f64_fast);
    Value q, lost = nullptr;
    if (m.afn()) {
        q = m.div(above, below);
    } else {
        Value inverse = m.div(m.real(1.0), below);
        q = m.mul(above, inverse);
        Value unexact = m.ir().CreateOr(low_range, high_range);
        Value below_low = m.select(unexact, m.real(0.0), sum_low);
        lost = m.fma(m.neg(q), below_low, m.fma(m.neg(q), below, above));
        lost = m.mul(lost, inverse);
    }
    if (mirror != nullptr) {
        turns = m.select(mirror, m.sub(m.real(2.0), turns), turns);
        q = m.select(mirror, m.neg(q), q);
        if (lost != nullptr) lost = m.select(mirror, m.neg(lost), lost);
    }
    Value z = m.mul(q, q);
    if (lost != nullptr) lost = m.fma(m.neg(z), lost, lost);  // by the slope 1/(1 + z), nearly
    Value p = m.mul(z, m.horner(z, poly));
    Value base = m.mul(turns, half_pi(m, 0));
    if (m.afn()) return m.add(base, m.fma(q, p, q));
    Value base_low = m.fma(turns, half_pi(m, 0), m.neg(base));  // of 3 pi/4, which is not exact
    base_low = m.fma(turns, half_pi(m, 1), base_low);
    auto [high, low] = m.fast_two_sum(base, q);
    low = m.select(m.eq(base, m.real(0.0)), m.real(0.0), low);
    return m.add(high, m.add(m.fma(q, p, lost), m.add(low, base_low)));
}

}  // namespace

/// atan. f32 0.79, afn 3.2; f64 0.75, afn 2.3.
Value math_atan(MathBuilder& m, std::span<Value const> a) {
    // Beyond 2^60 it is pi/2, and 1/x would be subnormal or 0.
    Value size = m.abs(a[0]);
    Value y = m.select(m.gt(size, m.real(0x1p60)), m.real(0x1p60), size);
    return m.copysign(angle(m, y, m.real(1.0), nullptr), a[0]);
}

/// atan2. f32 0.83, afn 3.4; f64 0.83, afn 2.5, of arguments that are not rare.
Value math_atan2(MathBuilder& m, std::span<Value const> a) {
    Value y = m.abs(a[0]), x = m.abs(a[1]);
    Value x_larger = m.gt(x, y);
    Value large = m.select(x_larger, x, y), small = m.select(x_larger, y, x);
    // Quotients and their remainders must not leave the normal range.
    const double bound = m.f64() ? 0x1p500 : 0x1p60;
    Value tiny = m.ir().CreateAnd(m.lt(small, m.real(1 / bound)), m.gt(small, m.real(0.0)));
    Value rare = m.ir().CreateOr(tiny, m.gt(large, m.real(bound)));
    // A zero beside a tiny number is in no danger, but the inverse of that is.
    Value origin = m.lt(large, m.real(1 / bound));
    x = m.select(m.ir().CreateAnd(origin, m.gt(x, m.real(0.0))), m.real(1.0), x);
    y = m.select(m.ir().CreateAnd(origin, m.gt(y, m.real(0.0))), m.real(1.0), y);
    x = m.select(m.eq(m.add(large, small), m.real(0.0)), m.real(1.0), x);
    Value negative = m.ir().CreateICmpSLT(m.to_bits(a[1]), m.bits(0));
    return m.unless(rare, m.copysign(angle(m, y, x, negative), a[0]));
}

namespace {

// ------------------------------------------------------------------------------ hyperbolic

/// sinh and cosh of |x| = k ln 2 + r, each as 2 (high + low), from sinh(r) and cosh(r):
/// sinh(|x|) = sinh(r) (2^k + 2^-k)/2 + cosh(r) (2^k - 2^-k)/2, and cosh with - and + exchanged.
class Hyperbolic {
  public:
    /// size: |x|, at most so large that the results just overflow.
    Hyperbolic(MathBuilder& m, Value size) : m_(m) {
        const bool d = m.f64();
        const unsigned fraction = d ? 52 : 23, bias = d ? 1023 : 127;
        const double magic = d ? 0x1.8p52 : 0x1.8p23;
        const double* ln2 = d ? log_2_f64 : log_2_f32;
        Value sum = m.fma(size, m.real(d ? over_log_2_f64 : over_log_2_f32), m.real(magic));
        Value k = m.sub(sum, m.real(magic));
        Value head = m.fma(k, m.real(-ln2[0]), size);  // exact
        Value tail = m.mul(k, m.real(-ln2[1]));
        auto [r, r_low] = m.fast_two_sum(head, tail);
        r_ = r;
        Value z = m.mul(r, r);
        Value s = d ? m.horner(z, sinh_f64) : m.horner(z, sinh_f32);
        even_ = m.mul(z, d ? m.horner(z, cosh_f64) : m.horner(z, cosh_f32));
        odd_ = m.fma(m.mul(z, s), r, m.fma(r_low, even_, r_low));
        // 2^(k-2) and 2^(-k-2), the latter 0 where it is too small to count.
        Value power = m.ir().CreateShl(m.to_bits(sum), m.bits(fraction));
        const std::uint64_t quarter = std::uint64_t(bias - 2) << fraction;
        Value up = m.from_bits(m.ir().CreateAdd(power, m.bits(quarter)));
        Value down = m.from_bits(m.ir().CreateSub(m.bits(quarter), power));
        down = m.select(m.lt(k, m.real(64.0)), down, m.real(0.0));
        difference_ = m.sub(up, down);
        sum_ = m.add(up, down);
        difference_lost_ = m.sub(m.sub(up, difference_), down);
        sum_lost_ = m.add(m.sub(up, sum_), down);
    }
    /// Of short sums some ULP may be missing.
    std::pair<Value, Value> sine(bool is_short) {
        return combine(is_short, sum_, difference_, sum_lost_, difference_lost_);
    }
    std::pair<Value, Value> cosine(bool is_short) {
        return combine(is_short, difference_, sum_, difference_lost_, sum_lost_);
    }

  private:
    /// sinh(r) (u + u_lost) + cosh(r) (v + v_lost)
    std::pair<Value, Value> combine(bool is_short, Value u, Value v, Value u_lost, Value v_lost) {
        Value high = m_.fma(r_, u, v);
        if (is_short) return {high, m_.fma(even_, v, m_.mul(odd_, u))};
        Value lost = m_.fma(r_, u, m_.sub(v, high));
        Value low = m_.fma(odd_, u, m_.fma(r_, u_lost, v_lost));
        return {high, m_.add(lost, m_.fma(even_, v, low))};
    }

    MathBuilder& m_;
    Value r_, odd_, even_;  // sinh(r) = r_ + odd_, cosh(r) = 1 + even_
    Value sum_, difference_, sum_lost_, difference_lost_;
};

/// `result` with the sign of x; x itself where it is so small that the function is the identity.
Value odd(MathBuilder& m, Value x, Value size, Value result) {
    Value tiny = m.lt(size, m.real(m.f64() ? 0x1p-28 : 0x1p-14));
    return m.select(tiny, x, m.copysign(result, x));
}

Value at_most(MathBuilder& m, Value x, double bound) {
    return m.select(m.gt(x, m.real(bound)), m.real(bound), x);
}

}  // namespace

/// sinh. f32 0.76, afn 1.5; f64 0.86, afn 1.9.
Value math_sinh(MathBuilder& m, std::span<Value const> a) {
    Value size = m.abs(a[0]);
    Hyperbolic h(m, at_most(m, size, m.f64() ? 710.6 : 89.6));
    auto [high, low] = h.sine(m.afn());
    return odd(m, a[0], size, m.mul(m.add(high, low), m.real(2.0)));
}

/// cosh. f32 0.74, afn 2.1; f64 0.72, afn 1.5.
Value math_cosh(MathBuilder& m, std::span<Value const> a) {
    Hyperbolic h(m, at_most(m, m.abs(a[0]), m.f64() ? 710.6 : 89.6));
    auto [high, low] = h.cosine(m.afn());
    return m.mul(m.add(high, low), m.real(2.0));
}

/// tanh. f32 0.68, afn 2.5; f64 0.68, afn 2.5.
Value math_tanh(MathBuilder& m, std::span<Value const> a) {
    Value size = m.abs(a[0]);
    Hyperbolic h(m, at_most(m, size, m.f64() ? 20.0 : 10.0));
    auto [s, s_rest] = h.sine(false);
    auto [c, c_rest] = h.cosine(false);
    if (m.afn()) return odd(m, a[0], size, m.div(m.add(s, s_rest), m.add(c, c_rest)));
    auto [sine, sine_low] = m.fast_two_sum(s, s_rest);
    auto [cosine, cosine_low] = m.fast_two_sum(c, c_rest);
    return odd(m, a[0], size, m.quotient(sine, sine_low, cosine, cosine_low));
}

/// hypot. f32 and f64 0.77 (subnormal results; others 0.54), afn 1.3.
Value math_hypot(MathBuilder& m, std::span<Value const> a) {
    Value x = m.abs(a[0]), y = m.abs(a[1]);
    Value infinite = m.ir().CreateOr(m.eq(x, m.real(infinity)), m.eq(y, m.real(infinity)));
    Value x_larger = m.gt(x, y);
    Value large = m.select(x_larger, x, y), small = m.select(x_larger, y, x);
    const bool d = m.f64();
    // Scaled by a power of two so that squares, and what they are rounded by, stay normal.
    Value huge = m.gt(large, m.real(d ? 0x1p500 : 0x1p60));
    Value tiny = m.lt(large, m.real(d ? 0x1p-400 : 0x1p-30));
    const auto by_range = [&](double if_huge, double if_tiny) {
        return m.select(huge, m.real(if_huge), m.select(tiny, m.real(if_tiny), m.real(1.0)));
    };
    Value scale = d ? by_range(0x1p-600, 0x1p600) : by_range(0x1p-80, 0x1p90);
    Value back = d ? by_range(0x1p600, 0x1p-600) : by_range(0x1p80, 0x1p-90);
    large = m.mul(large, scale);
    small = m.mul(small, scale);
    Value square = m.mul(large, large);
    Value sum = m.fma(small, small, square);
    Value root = m.sqrt(sum);
    if (!m.afn()) {
        Value lost =
            m.add(m.fma(small, small, m.sub(square, sum)), m.fma(large, large, m.neg(square)));
        lost = m.add(m.fma(m.neg(root), root, sum), lost);
        root = m.fma(m.mul(lost, m.real(0.5)), rough_inverse(m, root), root);
    }
    return m.select(infinite, m.real(infinity), m.mul(root, back));
}

}  // namespace kiln::codegen
