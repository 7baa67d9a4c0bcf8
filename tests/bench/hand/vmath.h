// Elementary functions on vectors, to be inlined: no call, constants shared and hoisted, several
// registers in flight. What a code generator could emit, so the mark for ours. Written apart from
// codegen/math on purpose: a rival must not share what it is compared with.
//
// Largest errors over two million points: exp 1.0 ULP, log 1.2 (f32) and 1.9 (f64), sin and
// cos 1.6; cdf 1.2e-7 and 1.1e-16 absolute. Overflow, underflow and NaN follow libm, but subnormal
// results of exp become zero; log and sincos leave unusual arguments to libm.
#pragma once
#include "tests/bench/hand/simd.h"
#include "tests/bench/hand/vmath_coefficients.h"

#include <cmath>

template <class V, class T, int K> V horner(V x, const T (&c)[K]) {
    V p = V(c[K - 1]);
#pragma clang loop unroll(full)
    for (int i = K - 2; i >= 0; --i) p = fma(p, x, V(c[i]));
    return p;
}

template <class T> struct Const;
template <> struct Const<double> {
    static constexpr double shift = 0x1.8p52;  // adding it leaves round(x) in the low bits
    static constexpr double ln2_hi = 0x1.62e42fefa39efp-1, ln2_lo = 0x1.abc9e3b39803fp-56;
    static constexpr double pio2_hi = 0x1.921fb54442d18p+0, pio2_mid = 0x1.1a62633145c07p-54,
                            pio2_lo = -0x1.f1976b7ed8fbcp-110;
    static constexpr double exp_max = 709.782712893384, exp_min = -708.396418532264;
    static constexpr double trig_max = 1e6;
    static constexpr int mantissa = 52;
    static constexpr std::uint64_t bias = 1023;
    static constexpr double norm_min = 0x1p-1022, norm_max = 0x1.fffffffffffffp1023;
    static constexpr double sqrt_half = 0x1.6a09e667f3bcdp-1;
};
template <> struct Const<float> {
    static constexpr float shift = 0x1.8p23f;
    static constexpr float ln2_hi = 0x1.62e430p-1f, ln2_lo = -0x1.05c610p-29f;
    static constexpr float pio2_hi = 0x1.921fb6p+0f, pio2_mid = -0x1.777a5cp-25f,
                           pio2_lo = -0x1.ee59dap-50f;
    static constexpr float exp_max = 88.7228394f, exp_min = -87.3365479f;
    static constexpr float trig_max = 1e4f;
    static constexpr int mantissa = 23;
    static constexpr std::uint32_t bias = 127;
    static constexpr float norm_min = 0x1p-126f, norm_max = 0x1.fffffep127f;
    static constexpr float sqrt_half = 0x1.6a09e6p-1f;
};

template <class T, int N, class F> Vec<T, N> lanewise(Vec<T, N> x, F f) {
    Vec<T, N> r;
    for (int i = 0; i < N; ++i) r[i] = f(x[i]);
    return r;
}

template <class T, int N> Vec<T, N> vexp(Vec<T, N> x) {
    using V = Vec<T, N>;
    using C = Const<T>;
    const V biased = fma(x, V(T(1.44269504088896340736)), V(C::shift));
    const V n = biased - V(C::shift);
    V r = fma(n, V(-C::ln2_hi), x);
    r = fma(n, V(-C::ln2_lo), r);
    V p;
    if constexpr (sizeof(T) == 8)
        p = horner(r, exp_f64);
    else
        p = horner(r, exp_f32);
    p = fma(p * r, r, r) + V(T(1));
    const auto exponent = __builtin_bit_cast(VecU<T, N>, biased) << C::mantissa;
    const V y = __builtin_bit_cast(V, __builtin_bit_cast(VecU<T, N>, p) + exponent);
    const V capped = x > V(C::exp_max) ? V(T(INFINITY)) : y;
    return x < V(C::exp_min) ? V(T(0)) : capped;
}

template <class T, int N> Vec<T, N> vlog(Vec<T, N> x) {
    using V = Vec<T, N>;
    using U = VecU<T, N>;
    using C = Const<T>;
    const VecI<T, N> usual = (x >= V(C::norm_min)) & (x <= V(C::norm_max));
    if (__builtin_expect(any<T, N>(~usual), 0))
        return lanewise<T, N>(x, [](T v) { return std::log(v); });
    const U bits = __builtin_bit_cast(U, x);
    const U offset =
        bits - U(__builtin_bit_cast(Uint<T>, C::sqrt_half)) + U(C::bias << C::mantissa);
    const U k = offset >> C::mantissa;  // biased exponent of x / m with m in [sqrt(1/2), sqrt(2))
    const V m = __builtin_bit_cast(V, bits - (k << C::mantissa) + U(C::bias << C::mantissa));
    // an integer below 2^mantissa becomes a float by setting the exponent of 2^mantissa
    const T big = T(Uint<T>(1) << C::mantissa);
    const V n =
        __builtin_bit_cast(V, k | U(__builtin_bit_cast(Uint<T>, big))) - V(big + T(C::bias));
    const V f = m - V(T(1));
    if constexpr (sizeof(T) == 8) {
        const V s = f / (f + V(T(2)));
        const V z = s * s;
        const V tail = fma(s * z, horner(z, log_f64), n * V(C::ln2_lo));
        return fma(n, V(C::ln2_hi), s + s + tail);
    } else {
        const V half_sq = f * f * V(T(-0.5));
        const V tail = fma(f * f * f, horner(f, log_f32), fma(n, V(C::ln2_lo), half_sq));
        return fma(n, V(C::ln2_hi), f + tail);
    }
}

// sin and cos together: one range reduction, two short polynomials.
template <class T, int N> void vsincos(Vec<T, N> x, Vec<T, N>& s, Vec<T, N>& c) {
    using V = Vec<T, N>;
    using U = VecU<T, N>;
    using C = Const<T>;
    const VecI<T, N> usual = vabs(x) <= V(C::trig_max);
    if (__builtin_expect(any<T, N>(~usual), 0)) {
        s = lanewise<T, N>(x, [](T v) { return std::sin(v); });
        c = lanewise<T, N>(x, [](T v) { return std::cos(v); });
        return;
    }
    const V biased = fma(x, V(T(0.63661977236758134308)), V(C::shift));
    const V n = biased - V(C::shift);
    V r = fma(n, V(-C::pio2_hi), x);
    r = fma(n, V(-C::pio2_mid), r);
    r = fma(n, V(-C::pio2_lo), r);
    const V z = r * r;
    V ps, pc;
    if constexpr (sizeof(T) == 8) {
        ps = horner(z, sin_f64);
        pc = horner(z, cos_f64);
    } else {
        ps = horner(z, sin_f32);
        pc = horner(z, cos_f32);
    }
    const V sr = fma(r * z, ps, r);
    const V cr = fma(z * z, pc, fma(z, V(T(-0.5)), V(T(1))));
    const U q = __builtin_bit_cast(U, biased);
    const int top = sizeof(T) * 8 - 1;
    const VecI<T, N> odd =
        __builtin_bit_cast(VecI<T, N>, q << top);  // sign set when quadrant is odd
    const U flip_s = (q >> 1) << top, flip_c = ((q + U(1)) >> 1) << top;
    const V a = odd < 0 ? cr : sr, b = odd < 0 ? sr : cr;
    s = __builtin_bit_cast(V, __builtin_bit_cast(U, a) ^ flip_s);
    c = __builtin_bit_cast(V, __builtin_bit_cast(U, b) ^ flip_c);
}

// Normal distribution function and density on a grid, for the double version of vcdf.
struct CdfGrid {
    static constexpr int steps = 64, limit = 9, size = 2 * limit * steps + 1;
    double pair[size][2];
    CdfGrid() {
        for (int i = 0; i < size; ++i) {
            const long double r = (long double)(i) / steps - limit;
            pair[i][0] = double(0.5L * erfcl(-r * 0.707106781186547524400844362104849039L));
            pair[i][1] = double(0.398942280401432677939946059934381868L * expl(-r * r / 2));
        }
    }
};
inline const CdfGrid cdf_grid;

// Both columns of the grid at N indices: one 16-byte load per lane, then transposed.
template <int N> void grid_rows(Vec<std::int64_t, N> index, Vec<double, N>& a, Vec<double, N>& b) {
    using P = Vec<double, 2>;
    using Q = Vec<double, 4>;
    for (int i = 0; i < N; i += 4) {
        const auto row = [&](int j) {
            return *reinterpret_cast<const P*>(cdf_grid.pair[index[i + j]]);
        };
        const P p0 = row(0), p1 = row(1), p2 = row(2), p3 = row(3);
        const Q even = __builtin_shufflevector(p0, p2, 0, 1, 2, 3),
                odd = __builtin_shufflevector(p1, p3, 0, 1, 2, 3);
        const Q first = __builtin_shufflevector(even, odd, 0, 4, 2, 6),
                second = __builtin_shufflevector(even, odd, 1, 5, 3, 7);
        for (int j = 0; j < 4; ++j) a[i + j] = first[j], b[i + j] = second[j];
    }
}

// Normal distribution function, to absolute accuracy (as 0.5 + 0.5 * erf has).
template <class T, int N> Vec<T, N> vcdf(Vec<T, N> d) {
    using V = Vec<T, N>;
    if constexpr (sizeof(T) == 8) {
        // Taylor series about the nearest grid point r: the derivatives of the
        // distribution are the density times Hermite polynomials of r.
        const V x = vmin(V(9.0), vmax(V(-9.0), d));
        const V biased = fma(x, V(64.0), V(Const<double>::shift));
        const V r = (biased - V(Const<double>::shift)) * V(1.0 / 64);
        const V h = x - r, r2 = r * r;
        const VecU<T, N> steps = __builtin_bit_cast(VecU<T, N>, biased) + VecU<T, N>(64 * 9);
        const auto index = (VecI<T, N>)(steps & VecU<T, N>(0xfff));
        V cdf, density;
        grid_rows<N>(d == d ? index : VecI<T, N>(0), cdf, density);
        V p = r * fma(fma(r2, V(-1.0 / 720), V(10.0 / 720)), r2, V(-15.0 / 720));
        p = fma(p, h, fma(fma(r2, V(1.0 / 120), V(-6.0 / 120)), r2, V(3.0 / 120)));
        p = fma(p, h, r * fma(r2, V(-1.0 / 24), V(3.0 / 24)));
        p = fma(p, h, fma(r2, V(1.0 / 6), V(-1.0 / 6)));
        p = fma(p, h, r * V(-0.5));
        return fma(density * h, fma(p, h, V(1.0)), cdf);
    } else {
        const V x = vmin(V(4.0f), vmax(V(-4.0f), d * V(0.70710678f)));
        const V u = fma(x * x, V(0.125f), V(-1.0f));
        return fma(x * V(0.5f), horner(u, erf_f32), V(0.5f));
    }
}
