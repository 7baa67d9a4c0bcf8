// erf and erfc, as IR. Coefficients and table: codegen/math/generate_trig.py.
#include "codegen/llvm/ops/vector_math.h"

namespace kiln::codegen {

namespace {

#include "codegen/math/erf_coefficients.inc"

using Value = llvm::Value*;

/// f32. Small arguments: x + x P(x^2). Others: a polynomial about a point whose erf is almost a
/// float (strict), or 1 - P(|x|)^8, which needs fewer terms and loses some bits (afn).
Value erf_f32(MathBuilder& m, Value x) {
    Value size = m.abs(x);
    // A NaN fails the comparison and stays itself.
    Value t = m.select(m.gt(size, m.real(4.0)), m.real(4.0), size);
    Value z = m.mul(x, x);
    Value small, large;
    if (m.afn()) {
        small = m.fma(x, m.horner(z, erf_f32_fast), x);
        Value root = m.horner(m.sub(t, m.real(2.0)), erf_f32_root);
        Value square = m.mul(root, root);
        Value fourth = m.mul(square, square);
        large = m.fma(m.neg(fourth), fourth, m.real(1.0));
    } else {
        small = m.fma(x, m.horner(z, erf_f32_small), x);
        large = m.horner(m.sub(t, m.real(erf_f32_centre)), erf_f32_large);
    }
    return m.select(m.lt(size, m.real(m.afn() ? 0.875 : 1.0)), small, m.copysign(large, x));
}

/// f64. With r = |x| to the nearest 1/128, d = |x| - r, and the table's A = erf(r), S = erf'(r):
/// erf(|x|) = A + S d (1 - r d + (2r^2 - 1)/3 d^2 + ...), Taylor's series about r. The low bits of
/// S say by how much A was rounded.
Value erf_f64(MathBuilder& m, Value x) {
    constexpr double magic = 0x1.8p45;          // + magic rounds to multiples of 1/128,
    constexpr std::uint64_t index_mask = 1023;  // and leaves their number in the low bits
    Value size = m.abs(x);
    Value t = m.select(m.gt(size, m.real(6.0)), m.real(6.0), size);  // a NaN stays
    Value k = m.add(t, m.real(magic));
    k = m.select(m.lt(k, m.real(magic + 6.0)), k, m.real(magic + 6.0));  // of a NaN: the last row
    auto [a, s] = m.table_rows("kiln_erf_table", erf_f64_table,
                               m.ir().CreateAnd(m.to_bits(k), m.bits(index_mask)));
    Value r = m.sub(k, m.real(magic));
    Value d = m.sub(t, r);
    Value u = m.mul(r, r);
    // erf(|x|) = A + S d (1 + tail), tail = -r d + c3 d^2 + r c4 d^3 + c5 d^4 + r c6 d^5. The fast
    // tier has no c6; .89 d^4 / 2^16 stands for d^6, best on |d| <= 1/256.
    const double sixth = m.afn() ? 0.89 / 65536 : 0.0;
    Value c3 = m.fma(u, m.real(2.0 / 3), m.real(-1.0 / 3));
    Value c4 = m.fma(u, m.real(-1.0 / 3 + sixth * 2 / 9), m.real(0.5 - sixth / 6));
    Value c5 = m.fma(m.fma(u, m.real(2.0 / 15), m.real(-0.4)), u, m.real(0.1));
    Value square = m.mul(d, d), product = m.mul(r, d);
    if (!m.afn()) {
        Value c6 = m.fma(m.fma(u, m.real(-2.0 / 45), m.real(2.0 / 9)), u, m.real(-1.0 / 6));
        c4 = m.fma(c6, square, c4);
    }
    Value tail = m.fma(product, c4, m.fma(c5, square, c3));
    tail = m.fma(tail, square, m.neg(product));
    if (m.afn()) {
        Value step = m.mul(s, d);
        return m.copysign(m.add(a, m.fma(step, tail, step)), x);
    }
    // Low bits b of S under the exponent of 1/8: 1/8 + b 2^-55; A's error is (b - 4) 2^-55 A.
    Value low =
        m.ir().CreateOr(m.ir().CreateAnd(m.to_bits(s), m.bits(7)), m.to_bits(m.real(0.125)));
    Value lost = m.sub(m.from_bits(low), m.real(0x1p-3 + 0x1p-53));
    Value correction = m.fma(m.mul(s, d), tail, m.mul(lost, a));
    Value large = m.add(a, m.fma(s, d, correction));
    Value z = m.mul(x, x);
    Value small = m.fma(x, m.horner(z, erf_f64_small), x);
    return m.select(m.lt(size, m.real(0.125)), small, m.copysign(large, x));
}

}  // namespace

/// erf. Largest error found: f32 0.99 ULP, afn 3.6; f64 0.74, afn 2.5.
Value math_erf(MathBuilder& m, std::span<Value const> a) {
    return m.f64() ? erf_f64(m, a[0]) : erf_f32(m, a[0]);
}

namespace {

/// exp(-x^2) = 2^k (1 + r + rest), |r| at most a little beyond ln(2)/2.
struct Gauss {
    Value k_bits, r, rest;  // k stands in the low bits of k_bits
};
Gauss gauss(MathBuilder& m, Value x) {
    const bool d = m.f64();
    const double* ln2 = d ? log_2_f64 : log_2_f32;
    const double magic = d ? 0x1.8p52 : 0x1.8p23;
    auto [square, square_low] = m.two_product(x, x);
    Value sum = m.fma(square, m.real(d ? -over_log_2_f64 : -over_log_2_f32), m.real(magic));
    Value k = m.sub(m.real(magic), sum);  // -k
    Value head = m.fma(k, m.real(ln2[0]), m.neg(square));
    Value tail = m.fma(k, m.real(ln2[1]), m.neg(square_low));
    auto [r, r_low] = m.fast_two_sum(head, tail);
    Value z = m.mul(r, r);
    Value odd = d ? m.horner(z, sinh_f64) : m.horner(z, sinh_f32);
    Value even = d ? m.horner(z, cosh_f64) : m.horner(z, cosh_f32);
    Value curve = m.fma(m.mul(r, z), odd, m.mul(z, even));  // exp(r) - 1 - r
    return {m.to_bits(sum), r, m.add(curve, m.fma(r, r_low, r_low))};
}

}  // namespace

/// erfc, as exp(-x^2) g / (1 + 9/8 |x|) or 2 minus that, g a polynomial in (|x| - K) / (|x| + K).
/// Largest error found: f32 0.97 ULP, afn 3.4; f64 0.98, afn 3.4.
Value math_erfc(MathBuilder& m, std::span<Value const> a) {
    const bool d = m.f64();
    Value size = m.abs(a[0]);
    Value end = m.real(d ? 27.3 : 10.1);  // beyond: 0, or 2
    Value x = m.select(m.gt(size, end), end, size);
    const Gauss e = gauss(m, x);
    // One division serves both quotients.
    Value centre = m.real(d ? 4.0 : 3.0);
    Value linear = m.fma(x, m.real(1.125), m.real(1.0));
    Value above = m.sub(x, centre), below = m.add(x, centre);
    Value inverse = m.div(m.real(1.0), m.mul(linear, below));
    Value over_below = m.mul(linear, inverse);
    Value t = m.mul(above, over_below);
    if (!m.afn()) {
        Value above_low = m.sub(x, m.add(above, centre)),
              below_low = m.sub(x, m.sub(below, centre));
        Value left = m.fma(m.neg(t), below_low, m.add(m.fma(m.neg(t), below, above), above_low));
        t = m.fma(left, over_below, t);
    }
    Value over_linear = m.mul(below, inverse);
    Value p = d ? m.horner(t, erfc_f64) : m.horner(t, erfc_f32);
    const double* first = d ? erfc_first_f64 : erfc_first_f32;
    Value g = m.fma(p, t, m.real(first[0]));
    Value q = m.mul(g, over_linear);
    Value v;
    if (m.afn()) {
        q = m.fma(m.fma(m.neg(q), linear, g), over_linear, q);
        v = m.fma(q, m.add(e.r, e.rest), q);
    } else {
        Value g_low = m.add(m.fma(p, t, m.sub(m.real(first[0]), g)), m.real(first[1]));
        Value linear_low = m.fma(x, m.real(1.125), m.sub(m.real(1.0), linear));
        Value left = m.fma(m.neg(q), linear_low, m.add(m.fma(m.neg(q), linear, g), g_low));
        Value q_low = m.mul(left, over_linear);
        Value high = m.fma(q, e.r, q);
        Value low = m.fma(q, e.r, m.sub(q, high));
        low = m.add(low, m.fma(q, e.rest, m.fma(q_low, m.add(e.r, e.rest), q_low)));
        v = m.add(high, low);
    }
    // 2^k in two factors, since results may be subnormal.
    const unsigned fraction = d ? 52 : 23, bias = d ? 1023 : 127, lift = d ? 200 : 64;
    Value scale = m.ir().CreateAdd(m.ir().CreateShl(e.k_bits, m.bits(fraction)),
                                   m.bits(std::uint64_t(bias + lift) << fraction));
    v = m.mul(m.mul(v, m.from_bits(scale)), m.real(d ? 0x1p-200 : 0x1p-64));
    return m.select(m.lt(a[0], m.real(0.0)), m.sub(m.real(2.0), v), v);
}

}  // namespace kiln::codegen
