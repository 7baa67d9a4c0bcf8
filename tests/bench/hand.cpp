// Rivals written by hand with intrinsics: what the machine can do. Needs AVX2 and FMA.
#include "tests/bench/abi.h"

#include <algorithm>

#include <immintrin.h>
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

namespace {

#ifdef __AVX512F__
template <class T> struct Register;
template <> struct Register<float> {
    using V = __m512;
    static V load(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, V v) { _mm512_storeu_ps(p, v); }
    static void stream(float* p, V v) { _mm512_stream_ps(p, v); }
    static V all(float x) { return _mm512_set1_ps(x); }
    static V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
};
template <> struct Register<double> {
    using V = __m512d;
    static V load(const double* p) { return _mm512_loadu_pd(p); }
    static void store(double* p, V v) { _mm512_storeu_pd(p, v); }
    static void stream(double* p, V v) { _mm512_stream_pd(p, v); }
    static V all(double x) { return _mm512_set1_pd(x); }
    static V fma(V a, V b, V c) { return _mm512_fmadd_pd(a, b, c); }
};
#else
template <class T> struct Register;
template <> struct Register<float> {
    using V = __m256;
    static V load(const float* p) { return _mm256_loadu_ps(p); }
    static void store(float* p, V v) { _mm256_storeu_ps(p, v); }
    static void stream(float* p, V v) { _mm256_stream_ps(p, v); }
    static V all(float x) { return _mm256_set1_ps(x); }
    static V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
};
template <> struct Register<double> {
    using V = __m256d;
    static V load(const double* p) { return _mm256_loadu_pd(p); }
    static void store(double* p, V v) { _mm256_storeu_pd(p, v); }
    static void stream(double* p, V v) { _mm256_stream_pd(p, v); }
    static V all(double x) { return _mm256_set1_pd(x); }
    static V fma(V a, V b, V c) { return _mm256_fmadd_pd(a, b, c); }
};
#endif

/// z = k x + y, four registers a turn; with Stream, stores that bypass the caches.
template <class T, bool Stream> void saxpy(const Args& a, std::size_t from, std::size_t to) {
    using R = Register<T>;
    constexpr std::size_t lanes = sizeof(typename R::V) / sizeof(T);
    const T *x = input<T>(a, 0), *y = input<T>(a, 1);
    T* z = output<T>(a, 2);
    const T k = static_cast<T>(a.s[0]);
    const auto kk = R::all(k);
    std::size_t i = from;
    if (Stream)
        for (; i < to && reinterpret_cast<std::uintptr_t>(z + i) % sizeof(typename R::V) != 0; ++i) z[i] = k * x[i] + y[i];
    for (; i + 4 * lanes <= to; i += 4 * lanes)
#pragma GCC unroll 4
        for (std::size_t r = 0; r < 4 * lanes; r += lanes) {
            const auto v = R::fma(kk, R::load(x + i + r), R::load(y + i + r));
            if constexpr (Stream) R::stream(z + i + r, v);
            else R::store(z + i + r, v);
        }
    for (; i + lanes <= to; i += lanes) R::store(z + i, R::fma(kk, R::load(x + i), R::load(y + i)));
    for (; i < to; ++i) z[i] = k * x[i] + y[i];
    if constexpr (Stream) _mm_sfence();
}

template <class T, bool Stream> void serial(const Args* a) { saxpy<T, Stream>(*a, 0, size(*a)); }
template <class T, bool Stream> void threaded(const Args* a) {
    const std::size_t n = size(*a);
    tbb::parallel_for(tbb::blocked_range<std::size_t>(0, n, std::max<std::size_t>(16384, n / 64)),
                      [a](const auto& r) { saxpy<T, Stream>(*a, r.begin(), r.end()); });
}

constexpr Entry rows[] = {
    {"saxpy", "f32", 1, "", serial<float, false>},        {"saxpy", "f32", 1, "streaming", serial<float, true>},
    {"saxpy", "f32", 0, "tbb", threaded<float, false>},   {"saxpy", "f32", 0, "streaming tbb", threaded<float, true>},
    {"saxpy", "f64", 1, "", serial<double, false>},       {"saxpy", "f64", 1, "streaming", serial<double, true>},
    {"saxpy", "f64", 0, "tbb", threaded<double, false>},  {"saxpy", "f64", 0, "streaming tbb", threaded<double, true>},
    {}};

}  // namespace

extern "C" const Entry* table() { return rows; }
