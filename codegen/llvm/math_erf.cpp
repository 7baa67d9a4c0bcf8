// erf, as IR. Coefficients and table: codegen/math/generate_trig.py.
#include "codegen/llvm/vector_math.h"

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
    Value c3 = m.fma(u, m.real(2.0 / 3), m.real(-1.0 / 3));
    // The fast tier has no sixth term; .89 d^4 / 2^16 stands for d^6, best on |d| <= 1/256.
    const double sixth = m.afn() ? 0.89 / 65536 : 0.0;
    Value c4 = m.mul(r, m.fma(u, m.real(-1.0 / 3 + sixth * 2 / 9), m.real(0.5 - sixth / 6)));
    Value c5 = m.fma(m.fma(u, m.real(2.0 / 15), m.real(-0.4)), u, m.real(0.1));
    Value tail = c5;
    if (!m.afn()) {
        Value c6 = m.fma(m.fma(u, m.real(-2.0 / 45), m.real(2.0 / 9)), u, m.real(-1.0 / 6));
        tail = m.fma(m.mul(r, c6), d, c5);
    }
    tail = m.fma(m.fma(tail, d, c4), d, c3);
    tail = m.mul(m.sub(m.mul(tail, d), r), d);  // erf(|x|) = A + S d (1 + tail)
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

/// erf. Largest error found: f32 0.96 ULP, afn 3.5; f64 0.72, afn 2.4.
Value math_erf(MathBuilder& m, std::span<Value const> a) {
    return m.f64() ? erf_f64(m, a[0]) : erf_f32(m, a[0]);
}

}  // namespace kiln::codegen
