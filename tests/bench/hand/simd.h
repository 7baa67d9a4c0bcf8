// Vectors for what is written by hand (clang only): any number of lanes, of which the compiler
// makes as many registers as it takes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>

template <class T, int N> using Vec = T __attribute__((ext_vector_type(N)));
template <class T> using Int = std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>;
template <class T> using Uint = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
template <class T, int N> using VecI = Vec<Int<T>, N>;
template <class T, int N> using VecU = Vec<Uint<T>, N>;

#ifdef __AVX512F__
inline constexpr int register_bytes = 64;
#else
inline constexpr int register_bytes = 32;
#endif
/// Lanes of one register.
template <class T> inline constexpr int lanes = register_bytes / static_cast<int>(sizeof(T));

template <class V> V fma(V a, V b, V c) { return __builtin_elementwise_fma(a, b, c); }
template <class V> V vsqrt(V a) { return __builtin_elementwise_sqrt(a); }
template <class V> V vabs(V a) { return __builtin_elementwise_abs(a); }
// The first operand is the bound: a NaN in b survives.
template <class V> V vmin(V a, V b) { return a < b ? a : b; }
template <class V> V vmax(V a, V b) { return a > b ? a : b; }
template <class T, int N> bool any(VecI<T, N> mask) { return __builtin_reduce_or(mask) != 0; }

// (As a type alias it would keep the alignment of the whole vector.)
template <class T, int N> Vec<T, N> load(const T* p) {
    typedef T Loose __attribute__((ext_vector_type(N), aligned(alignof(T))));
    return *reinterpret_cast<const Loose*>(p);
}
template <class T, int N> void store(T* p, Vec<T, N> v) {
    typedef T Loose __attribute__((ext_vector_type(N), aligned(alignof(T))));
    *reinterpret_cast<Loose*>(p) = v;
}
/// A store past the caches, of one register at a multiple of its size.
template <class T> void stream(T* p, Vec<T, lanes<T>> v) {
    __builtin_nontemporal_store(v, reinterpret_cast<Vec<T, lanes<T>>*>(p));
}
inline void stream_fence() { __builtin_ia32_sfence(); }

/// Sum of the lanes, by halves.
template <class T, int N> T total(Vec<T, N> v) {
    if constexpr (N == 1) {
        return v[0];
    } else {
        Vec<T, N / 2> half[2];
        __builtin_memcpy(half, &v, sizeof v);
        return total<T, N / 2>(half[0] + half[1]);
    }
}

/// r[i] = f(x[i]...) for whole vectors of N; the first index left.
template <class T, int N, class F, class... X>
std::size_t map_whole(std::size_t i, std::size_t to, T* r, F f, const X*... x) {
    for (; i + N <= to; i += N) store<T, N>(r + i, f(load<T, N>(x + i)...));
    return i;
}
/// One padded register for what is left.
template <class T, int N, class F, class... X>
void map_rest(std::size_t i, std::size_t to, T* r, F f, const X*... x) {
    if (i >= to) return;
    const auto part = [&](const T* p) {
        Vec<T, N> v = Vec<T, N>(T(1));
        for (std::size_t j = 0; j < to - i; ++j) v[j] = p[i + j];
        return v;
    };
    const Vec<T, N> y = f(part(x)...);
    for (std::size_t j = 0; j < to - i; ++j) r[i + j] = y[j];
}
/// Vectors of `Registers` registers, then single ones, then a padded one.
template <class T, int Registers, class F, class... X>
void map(std::size_t i, std::size_t to, T* r, F f, const X*... x) {
    if constexpr (Registers > 1) i = map_whole<T, lanes<T> * Registers>(i, to, r, f, x...);
    i = map_whole<T, lanes<T>>(i, to, r, f, x...);
    map_rest<T, lanes<T>>(i, to, r, f, x...);
}
/// The same with streaming stores.
template <class T, int Registers, class F, class... X>
void map_stream(std::size_t i, std::size_t to, T* r, F f, const X*... x) {
    constexpr std::size_t N = lanes<T>;
    const std::size_t past = reinterpret_cast<std::uintptr_t>(r + i) / sizeof(T) % N;
    const std::size_t head = past == 0 ? 0 : N - past;
    const std::size_t first = i + (head < to - i ? head : to - i);
    map<T, 1>(i, first, r, f, x...);
    for (i = first; i + N * Registers <= to; i += N * Registers) {
#pragma clang loop unroll(full)
        for (std::size_t u = 0; u < Registers; ++u)
            stream<T>(r + i + u * N, f(load<T, lanes<T>>(x + i + u * N)...));
    }
    stream_fence();
    map<T, 1>(i, to, r, f, x...);
}
