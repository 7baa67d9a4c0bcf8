// Written by hand: what the machine can do on work that is bound by memory, and on sums. clang
// only.
#include "tests/bench/drivers.h"
#include "tests/bench/hand/simd.h"

#include <algorithm>
#include <cmath>

#include <immintrin.h>

namespace {

template <class T, bool Stream, class F, class... X>
void write(std::size_t from, std::size_t to, T* r, F f, const X*... x) {
    if constexpr (Stream)
        map_stream<T, 4>(from, to, r, f, x...);
    else
        map<T, 4>(from, to, r, f, x...);
}

template <class T, bool Stream> struct Saxpy : Elementwise<T> {
    static constexpr const char* name = "saxpy";
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const T k = scalar<T>(a, 0);
        const auto f = [k](auto x, auto y) { return fma(decltype(x)(k), x, y); };
        write<T, Stream>(from, to, output<T>(a, 2), f, input<T>(a, 0), input<T>(a, 1));
    }
};
/// saxpy into a buffer that was used before: no fresh memory can be faster.
struct Used : Saxpy<double, true> {
    static constexpr const char* name = "fresh";
};

/// The order of the loops is chosen by the strides: both cases are one pass through memory.
template <bool Bad, bool Stream> struct Add2 : Elementwise<double> {
    static constexpr const char* name = Bad ? "add2_3d_bad" : "add2_3d";
    static std::size_t extent(const Args& a) { return size(a) * size(a) * size(a); }
    static std::size_t grain(const Args&) { return 65536; }
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const auto f = [](auto x) { return x + 2.0; };
        write<double, Stream>(from, to, output<double>(a, 1), f, input<double>(a, 0));
    }
};

template <class E, bool Stream> struct Outer {
    using T = E;
    static constexpr const char* name = "outer";
    static std::size_t extent(const Args& a) { return size(a); }
    static std::size_t grain(const Args&) { return 8; }
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const std::size_t n = size(a);
        for (std::size_t i = from; i < to; ++i) {
            const T y = input<T>(a, 0)[i];
            const auto f = [y](auto x) { return x * decltype(x)(y); };
            write<T, Stream>(0, n, output<T>(a, 2) + i * n, f, input<T>(a, 1));
        }
    }
};

// Sums: four registers of partial sums cover the latency of the addition.

/// Sum of `one` over [from, to), where one(i, Lanes) gives N values from i on.
template <class T, class Whole, class Single>
T sum(std::size_t from, std::size_t to, Whole whole, Single single) {
    constexpr int N = lanes<T>;
    Vec<T, N> acc[4] = {};
    std::size_t i = from;
    for (; i + 4 * N <= to; i += 4 * N) {
#pragma clang loop unroll(full)
        for (std::size_t u = 0; u < 4; ++u) acc[u] = whole(i + u * N, acc[u]);
    }
    for (; i + N <= to; i += N) acc[0] = whole(i, acc[0]);
    T result = total<T, N>((acc[0] + acc[1]) + (acc[2] + acc[3]));
    for (; i < to; ++i) result += single(i);
    return result;
}

template <class T> struct SqrtSum : Elementwise<T> {
    static constexpr const char* name = "sqrt_sum";
    using V = Vec<T, lanes<T>>;
    static T* result(const Args& a) { return output<T>(a, 1); }
    static T range(const Args& a, std::size_t from, std::size_t to) {
        const T* x = input<T>(a, 0);
        return sum<T>(
            from, to, [x](std::size_t i, V acc) { return acc + vsqrt(load<T, lanes<T>>(x + i)); },
            [x](std::size_t i) { return std::sqrt(x[i]); });
    }
};

/// f32 by an estimate of 1/sqrt(x) and one Newton step, to about 1 ULP: the square root unit is not
/// pipelined, the multipliers are.
struct SqrtSumNewton : SqrtSum<float> {
    static V estimate(V x) {
#ifdef __AVX512F__
        return _mm512_rsqrt14_ps(x);
#else
        return _mm256_rsqrt_ps(x);
#endif
    }
    static float range(const Args& a, std::size_t from, std::size_t to) {
        const float* x = input<float>(a, 0);
        const auto whole = [x](std::size_t i, V acc) {
            const V v = load<float, lanes<float>>(x + i);
            const V e = estimate(vmax(V(0x1p-126f), v));
            const V s = v * e;
            return fma(s, fma(s * V(-0.5f), e, V(1.5f)), acc);
        };
        return sum<float>(from, to, whole, [x](std::size_t i) { return std::sqrt(x[i]); });
    }
};

/// f64: every second register goes by Newton steps through the multipliers, so that both they and
/// the square root unit work. Arguments must lie in the range of f32, for the estimate: tested.
struct SqrtSumMixed : SqrtSum<double> {
    static V estimate(V x) {
#ifdef __AVX512F__
        return _mm512_rsqrt14_pd(x);
#else
        return _mm256_cvtps_pd(_mm_rsqrt_ps(_mm256_cvtpd_ps(x)));
#endif
    }
    static V newton(V x) {
        V e = estimate(x);
        const V half = x * V(-0.5);
        e *= fma(half * e, e, V(1.5));
        e *= fma(half * e, e, V(1.5));
        const V s = x * e;
        return fma(fma(-s, s, x), e * V(0.5), s);
    }
    static double range(const Args& a, std::size_t from, std::size_t to) {
        constexpr int N = lanes<double>;
        const double* x = input<double>(a, 0);
        V acc[4] = {};
        std::size_t i = from;
        for (; i + 4 * N <= to; i += 4 * N) {
            const V v0 = load<double, N>(x + i), v1 = load<double, N>(x + i + N);
            const V v2 = load<double, N>(x + i + 2 * N), v3 = load<double, N>(x + i + 3 * N);
            const VecI<double, N> usual =
                (v0 >= 1e-37) & (v0 <= 1e37) & (v2 >= 1e-37) & (v2 <= 1e37);
            const bool simple = !any<double, N>(~usual);
            acc[0] += simple ? newton(v0) : vsqrt(v0);
            acc[1] += vsqrt(v1);
            acc[2] += simple ? newton(v2) : vsqrt(v2);
            acc[3] += vsqrt(v3);
        }
        double result = total<double, N>((acc[0] + acc[1]) + (acc[2] + acc[3]));
        for (; i < to; ++i) result += std::sqrt(x[i]);
        return result;
    }
};

template <class T> struct Dot : Elementwise<T> {
    static constexpr const char* name = "dot";
    using V = Vec<T, lanes<T>>;
    static T* result(const Args& a) { return output<T>(a, 2); }
    static T range(const Args& a, std::size_t from, std::size_t to) {
        const T *x = input<T>(a, 0), *y = input<T>(a, 1);
        return sum<T>(
            from, to,
            [x, y](std::size_t i, V acc) {
                return fma(load<T, lanes<T>>(x + i), load<T, lanes<T>>(y + i), acc);
            },
            [x, y](std::size_t i) { return x[i] * y[i]; });
    }
};

/// Eight rows are added in one pass over the output row.
template <class T> struct SumAxis0 : Elementwise<T> {
    static constexpr const char* name = "sum_axis0";
    static std::size_t grain(const Args& a) { return size(a) / 4; }
    static void range(const Args& a, std::size_t from, std::size_t to) {
        constexpr std::size_t N = lanes<T>, rows = 8;
        const T* x = input<T>(a, 0);
        T* r = output<T>(a, 1);
        const std::size_t n = size(a);
        std::fill(r + from, r + to, T(0));
        std::size_t i = 0;
        for (; i + rows <= n; i += rows) {
            std::size_t j = from;
            for (; j + N <= to; j += N) {
                Vec<T, lanes<T>> acc = load<T, lanes<T>>(r + j);
#pragma clang loop unroll(full)
                for (std::size_t q = 0; q < rows; ++q)
                    acc += load<T, lanes<T>>(x + (i + q) * n + j);
                store<T, lanes<T>>(r + j, acc);
            }
            for (; j < to; ++j)
                for (std::size_t q = 0; q < rows; ++q) r[j] += x[(i + q) * n + j];
        }
        for (; i < n; ++i)
            for (std::size_t j = from; j < to; ++j) r[j] += x[i * n + j];
    }
};

template <class T> struct SumAxis1 : Elementwise<T> {
    static constexpr const char* name = "sum_axis1";
    static std::size_t grain(const Args&) { return 64; }
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const std::size_t n = size(a);
        for (std::size_t i = from; i < to; ++i) {
            const T* x = input<T>(a, 0) + i * n;
            output<T>(a, 1)[i] = sum<T>(
                0, n,
                [x](std::size_t j, Vec<T, lanes<T>> acc) { return acc + load<T, lanes<T>>(x + j); },
                [x](std::size_t j) { return x[j]; });
        }
    }
};

#define BOTH(tag, ...) \
    serial_row<__VA_ARGS__>(tag), tbb_row<__VA_ARGS__>(tag[0] ? tag " tbb" : "tbb")
#define ROWS(T)                                                                              \
    BOTH("", Saxpy<T, false>), BOTH("streaming", Saxpy<T, true>), BOTH("", Outer<T, false>), \
        BOTH("streaming", Outer<T, true>), BOTH("", SqrtSum<T>), BOTH("", Dot<T>),           \
        BOTH("", SumAxis0<T>), BOTH("", SumAxis1<T>)
constexpr Entry rows[] = {ROWS(float),
                          ROWS(double),
                          BOTH("used buffer", Used),
                          BOTH("", Add2<false, false>),
                          BOTH("streaming", Add2<false, true>),
                          BOTH("", Add2<true, false>),
                          BOTH("streaming", Add2<true, true>),
                          BOTH("newton", SqrtSumNewton),
                          BOTH("newton", SqrtSumMixed),
                          {}};

}  // namespace

extern "C" const Entry* table() { return rows; }
