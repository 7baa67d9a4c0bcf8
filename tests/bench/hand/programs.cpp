// Written by hand: programs of several loops, and what is bound by integer arithmetic. clang only.
#include "tests/bench/drivers.h"
#include "tests/bench/hand/simd.h"
#include "tests/bench/hand/vmath.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <immintrin.h>

namespace {

// ---------------------------------------------------------------------------- logistic regression

/// The totals of N registers as one register: halves of pairs are added until one is left.
template <class T, int N> Vec<T, N> totals(const Vec<T, N>* v) {
    if constexpr (N == 1) {
        return v[0];
    } else {
        // Lane j of the result is the total of v[j]: sums of the upper and lower halves of pairs.
        constexpr int H = N / 2;
        Vec<T, H> lower[H], upper[H];
        const auto halves = [](Vec<T, N> x) {
            Vec<T, H> h[2];
            __builtin_memcpy(h, &x, sizeof x);
            return h[0] + h[1];
        };
        for (int j = 0; j < H; ++j) {
            lower[j] = halves(v[j]);
            upper[j] = halves(v[H + j]);
        }
        const Vec<T, H> parts[2] = {totals<T, H>(lower), totals<T, H>(upper)};
        Vec<T, N> result;
        __builtin_memcpy(&result, parts, sizeof result);
        return result;
    }
}

/// The number of features is a constant, and each row is read once an iteration: for as many rows
/// as a register has lanes at once, so that exp works on vectors.
template <class T, bool Parallel> void logistic(const Args* a) {
    constexpr int features = 32, N = lanes<T>, parts = features / N;
    using V = Vec<T, N>;
    const T *x = input<T>(*a, 0), *y = input<T>(*a, 1);
    T* w = output<T>(*a, 2);
    const std::size_t rows = size(*a), pieces = Parallel ? 8 : 1;
    constexpr std::size_t pitch = features + 64 / sizeof(T);
    std::vector<T> gradients(pieces * pitch);
    std::fill(w, w + features, T(0));
    const auto piece = [&](std::size_t p) {
        V gradient[parts] = {};
        V weights[parts];
        for (int d = 0; d < parts; ++d) weights[d] = load<T, N>(w + d * N);
        const std::size_t stop = rows * (p + 1) / pieces;
        std::size_t i = rows * p / pieces;
        const auto dot_row = [&](std::size_t row) {
            V z = load<T, N>(x + row * features) * weights[0];
            for (int d = 1; d < parts; ++d)
                z = fma(load<T, N>(x + row * features + d * N), weights[d], z);
            return z;
        };
        const auto add_row = [&](std::size_t row, T g) {
            for (int d = 0; d < parts; ++d)
                gradient[d] = fma(load<T, N>(x + row * features + d * N), V(g), gradient[d]);
        };
        for (; i + N <= stop; i += N) {
            V sums[N];
#pragma clang loop unroll(full)
            for (int j = 0; j < N; ++j) sums[j] = dot_row(i + j);
            const V z = totals<T, N>(sums);
            const V yi = load<T, N>(y + i);
            const V g = (V(T(1)) / (V(T(1)) + vexp<T, N>(-(yi * z))) - V(T(1))) * yi;
#pragma clang loop unroll(full)
            for (int j = 0; j < N; ++j) add_row(i + j, g[j]);
        }
        for (; i < stop; ++i)
            add_row(i, (T(1) / (T(1) + std::exp(-y[i] * total<T, N>(dot_row(i)))) - T(1)) * y[i]);
        for (int d = 0; d < parts; ++d) store<T, N>(&gradients[p * pitch + d * N], gradient[d]);
    };
    for (std::int64_t step = 0; step < a->n[2]; ++step) {
        if constexpr (Parallel)
            tbb::parallel_for(std::size_t(0), pieces, piece);
        else
            piece(0);
        for (std::size_t p = 0; p < pieces; ++p)
            for (int d = 0; d < features; ++d) w[d] -= gradients[p * pitch + d];
    }
}

// ----------------------------------------------------------------------------------------- Jacobi

template <class T, bool Parallel> void jacobi(const Args* a) {
    constexpr int N = lanes<T>;
    const std::size_t n = size(*a);
    for (std::int64_t s = 0; s < a->n[1]; ++s) {
        const T* x = input<T>(*a, s % 2 == 0 ? 1 : 0);
        T* z = output<T>(*a, s % 2 == 0 ? 0 : 1);
        const auto rows = [=](std::size_t from, std::size_t to) {
            for (std::size_t i = from; i < to; ++i) {
                const T *up = x + (i - 1) * n, *mid = x + i * n, *down = x + (i + 1) * n;
                T* r = z + i * n;
                std::size_t j = 1;
                for (; j + N <= n - 1; j += N)
                    store<T, N>(r + j, ((load<T, N>(up + j) + load<T, N>(down + j)) +
                                        (load<T, N>(mid + j - 1) + load<T, N>(mid + j + 1))) *
                                           Vec<T, N>(T(0.25)));
                for (; j < n - 1; ++j)
                    r[j] = ((up[j] + down[j]) + (mid[j - 1] + mid[j + 1])) * T(0.25);
            }
        };
        if constexpr (Parallel)
            tbb::parallel_for(Range(1, n - 1, 32),
                              [&](const Range& r) { rows(r.begin(), r.end()); });
        else
            rows(1, n - 1);
    }
}

// ----------------------------------------------------------------------------------------- primes

/// i divides v exactly where the rounded quotient is an integer, as long as v * i stays within the
/// fraction: divisors are tried in vectors of floats.
struct Primes {
    using T = double;
    static constexpr const char* name = "primes";
    static std::size_t extent(const Args& a) { return size(a) + 1; }
    static std::size_t grain(const Args&) { return 512; }
    static void range(const Args& a, std::size_t from, std::size_t to) {
        constexpr int N = lanes<float> * 2;
        using V = Vec<float, N>;
        auto* flags = output<std::uint8_t>(a, 0);
        V first;
        for (int i = 0; i < N; ++i) first[i] = static_cast<float>(2 + i);
        for (std::size_t v = from; v < to; ++v) {
            if (v < 2) {
                flags[v] = 0;
                continue;
            }
            const auto last =
                static_cast<float>(static_cast<std::int64_t>(std::sqrt(static_cast<double>(v))));
            VecI<float, N> hit = 0;
            const V whole = V(static_cast<float>(v));
            for (V i = first; i[0] <= last; i += V(float(N))) {
                const V q = whole / i;
                hit |= (q == __builtin_elementwise_trunc(q)) & (i <= V(last));
            }
            flags[v] = !any<float, N>(hit);
        }
    }
};

/// Numbers are lanes, which share their divisors: a product with 1 / divisor and the remainder.
struct PrimesByProducts : Primes {
    static void range(const Args& a, std::size_t from, std::size_t to) {
        constexpr int N = lanes<float> * 4;
        using V = Vec<float, N>;
        auto* flags = output<std::uint8_t>(a, 0);
        for (std::size_t v = from; v < to; v += N) {
            V whole, last;
            for (int j = 0; j < N; ++j) whole[j] = static_cast<float>(v + j);
            last = __builtin_elementwise_floor(vsqrt(whole));
            const auto most =
                static_cast<float>(static_cast<int>(std::sqrt(static_cast<double>(v + N - 1))));
            VecI<float, N> hit = whole < V(2.0f);
            for (float i = 2; i <= most; ++i) {
                const V q = __builtin_elementwise_rint(whole * V(1 / i));
                hit |= (fma(q, V(-i), whole) == V(0.0f)) & (V(i) <= last);
            }
            for (std::size_t j = 0; j < std::min<std::size_t>(N, to - v); ++j)
                flags[v + j] = hit[static_cast<int>(j)] == 0;
        }
    }
};

// --------------------------------------------------------------------------------------------- pi

constexpr std::uint32_t seed = 12345;

struct Hashed {
    using T = float;
    static constexpr const char* name = "pi";
    static constexpr int N = 2 * lanes<float>;
    using U = Vec<std::uint32_t, N>;
    using I = Vec<std::int32_t, N>;
    using V = Vec<float, N>;
    static U mix(U h) {
        h ^= h >> 16;
        h *= U(0x7feb352dU);
        h ^= h >> 15;
        h *= U(0x846ca68bU);
        return h ^ (h >> 16);
    }
    /// Coordinates stay integers below 2^24; the scale moves into the test.
    static V coordinate(U h) { return __builtin_convertvector((I)(mix(h) >> 8), V); }
    static std::int64_t range(std::size_t from, std::size_t to) {
        U lane;
        for (std::uint32_t i = 0; i < N; ++i) lane[static_cast<int>(i)] = 2 * i;
        std::int64_t hits = 0;
        I count = 0;
        std::size_t i = from;
        U at = lane + U(2 * static_cast<std::uint32_t>(i) + seed);
        for (; i + N <= to; i += N, at += U(2 * N)) {
            const V x = coordinate(at), y = coordinate(at + U(1));
            count -= fma(x, x, y * y) < V(0x1p48f);
        }
        for (int j = 0; j < N; ++j) hits += count[j];
        I left = 0;
        const V x = coordinate(at), y = coordinate(at + U(1));
        left -= fma(x, x, y * y) < V(0x1p48f);
        for (std::size_t j = 0; j < to - i; ++j) hits += left[static_cast<int>(j)];
        return hits;
    }
};

/// Philox4x32-10 of 64-bit lanes, where a product of two words is one instruction; four registers,
/// since rounds wait for each other.
template <class E> struct Philox {
    using T = E;
    static constexpr const char* name = "pi_philox";
    static constexpr int N = 4 * lanes<double>;
    static constexpr std::size_t points = sizeof(T) == 4 ? 2 : 1;
    using U = Vec<std::uint64_t, N>;
    using I = Vec<std::int32_t, N>;
    using V = Vec<T, N>;
    static U low(U x) { return x & U(0xffffffff); }
    /// Both halves of the product of the lower words.
    static U product(U x, std::uint64_t m) { return low(x) * U(m); }
    static void draw(U index, U& c0, U& c1, U& c2, U& c3) {
        // The upper halves of lanes may hold anything: products take the lower ones.
        c0 = index;
        c1 = index >> 32;
        c2 = c3 = U(0);
        std::uint64_t k0 = seed, k1 = 0;
#pragma clang loop unroll(full)
        for (int round = 0; round < 10; ++round) {
            const U p = product(c0, 0xD2511F53), q = product(c2, 0xCD9E8D57);
            c0 = (q >> 32) ^ c1 ^ U(k0);
            c1 = q;
            c2 = (p >> 32) ^ c3 ^ U(k1);
            c3 = p;
            k0 = (k0 + 0x9E3779B9) & 0xffffffff;
            k1 = (k1 + 0xBB67AE85) & 0xffffffff;
        }
    }
    static I word(U x, int dropped) { return __builtin_convertvector(low(x) >> dropped, I); }
    static std::int64_t range(std::size_t from, std::size_t to) {
        U lane;
        for (std::uint64_t i = 0; i < N; ++i) lane[static_cast<int>(i)] = i;
        std::size_t i = from / points;
        const std::size_t end = to / points;
        Vec<Int<T>, N> count = 0;
        std::int64_t hits = 0;
        const auto inside = [](V x, V y) { return fma(x, x, y * y) < V(T(1)); };
        for (; i < end; i += N) {
            U c0, c1, c2, c3;
            draw(lane + U(i), c0, c1, c2, c3);
            Vec<Int<T>, N> here;
            if constexpr (points == 2) {
                const auto number = [](U w) {
                    return __builtin_convertvector(word(w, 8), V) * V(0x1p-24f);
                };
                here = inside(number(c0), number(c1)) + inside(number(c2), number(c3));
            } else {
                const auto number = [](U u, U v) {
                    return fma(__builtin_convertvector(word(u, 5), V), V(0x1p-27),
                               __builtin_convertvector(word(v, 6), V) * V(0x1p-53));
                };
                here = inside(number(c0, c1), number(c2, c3));
            }
            if (i + N <= end) [[likely]] {
                count -= here;
                continue;
            }
            for (std::size_t j = 0; j < end - i; ++j) hits -= here[static_cast<int>(j)];
        }
        for (int j = 0; j < N; ++j) hits += count[j];
        return hits;
    }
};

template <class W, bool Parallel> void points(const Args* a) {
    std::int64_t hits = 0;
    const std::size_t pairs = size(*a) / 2;
    if constexpr (Parallel)
        hits = tbb::parallel_reduce(
            Range(0, pairs, 1 << 16), std::int64_t(0),
            [](const Range& r, std::int64_t sum) {
                return sum + W::range(2 * r.begin(), 2 * r.end());
            },
            [](std::int64_t x, std::int64_t y) { return x + y; });
    else
        hits = W::range(0, 2 * pairs);
    using T = typename W::T;
    *output<T>(*a, 0) = static_cast<T>(4.0 * double(hits) / double(a->n[0]));
}

#define BOTH_OF(name, T, f) \
    {name, dtype_name<T>, 1, "", f<T, false>}, { name, dtype_name<T>, 0, "tbb", f<T, true> }
#define POINTS(W)                                            \
    {W::name, dtype_name<W::T>, 1, "", points<W, false>}, {  \
        W::name, dtype_name<W::T>, 0, "tbb", points<W, true> \
    }
constexpr Entry rows[] = {BOTH_OF("logistic", float, logistic),
                          BOTH_OF("logistic", double, logistic),
                          BOTH_OF("jacobi", float, jacobi),
                          BOTH_OF("jacobi", double, jacobi),
                          serial_row<Primes>(""),
                          tbb_row<Primes>("tbb"),
                          serial_row<PrimesByProducts>("products"),
                          tbb_row<PrimesByProducts>("products tbb"),
                          POINTS(Hashed),
                          POINTS(Philox<float>),
                          POINTS(Philox<double>),
                          {}};

}  // namespace

extern "C" const Entry* table() { return rows; }
