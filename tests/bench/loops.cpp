// The workloads as a programmer writes them in plain C++: simple loops, nothing tuned. Compiled
// several ways (CMakeLists.txt), each with serial and TBB rows.
#include "tests/bench/drivers.h"
#include "tests/bench/stacks.h"

#include <cmath>
#include <cstdlib>
#include <vector>

namespace {

template <class T> constexpr T sqrt_half = T(0.70710678118654752440);

template <class T> struct Saxpy : Elementwise<T> {
    static constexpr const char* name = "saxpy";
    static void write(const Args& a, T* __restrict z, std::size_t from, std::size_t to) {
        const T* __restrict x = input<T>(a, 0);
        const T* __restrict y = input<T>(a, 1);
        const T k = scalar<T>(a, 0);
        for (std::size_t i = from; i < to; ++i) z[i] = k * x[i] + y[i];
    }
    static void range(const Args& a, std::size_t from, std::size_t to) {
        write(a, output<T>(a, 2), from, to);
    }
};

/// saxpy into memory that is obtained and released by each call; kept for the check (n[1]).
template <bool Parallel> void fresh(const Args* a) {
    const std::size_t n = size(*a);
    auto* z = static_cast<double*>(std::malloc(n * sizeof(double)));
    if (Parallel)
        tbb::parallel_for(Range(0, n, Saxpy<double>::grain(*a)), [a, z](const Range& r) {
            Saxpy<double>::write(*a, z, r.begin(), r.end());
        });
    else
        Saxpy<double>::write(*a, z, 0, n);
    asm volatile("" ::"r"(z) : "memory");
    if (a->n[1]) std::copy(z, z + n, output<double>(*a, 2));
    std::free(z);
}

template <class T> struct BlackScholes : Elementwise<T> {
    static constexpr const char* name = "black_scholes";
    static T cdf(T d) { return T(0.5) + T(0.5) * std::erf(d * sqrt_half<T>); }
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const T* __restrict spot = input<T>(a, 0);
        const T* __restrict strike = input<T>(a, 1);
        const T* __restrict time = input<T>(a, 2);
        T* __restrict price = output<T>(a, 3);
        const T rate = scalar<T>(a, 0), vol = scalar<T>(a, 1);
        for (std::size_t i = from; i < to; ++i) {
            const T sd = vol * std::sqrt(time[i]);
            const T d1 =
                (std::log(spot[i] / strike[i]) + (rate + T(0.5) * vol * vol) * time[i]) / sd;
            price[i] = spot[i] * cdf(d1) - strike[i] * std::exp(-rate * time[i]) * cdf(d1 - sd);
        }
    }
};

template <class T> struct Chain : Elementwise<T> {
    static constexpr const char* name = "chain";
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const T* __restrict x = input<T>(a, 0);
        T* __restrict z = output<T>(a, 1);
        for (std::size_t i = from; i < to; ++i)
            z[i] = std::sin(x[i]) * std::sin(x[i]) + std::cos(x[i]) * std::cos(x[i]) +
                   std::exp(-x[i] * x[i]) / T(2);
    }
};

/// Escape times over the grid of xs and ys; n[0] columns and rows, n[1] iterations at most.
template <class E> struct Mandelbrot {
    using T = E;
    static constexpr const char* name = "mandelbrot";
    static std::size_t extent(const Args& a) { return size(a); }
    static std::size_t grain(const Args&) { return 8; }
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const T* __restrict xs = input<T>(a, 0);
        const T* __restrict ys = input<T>(a, 1);
        std::int32_t* __restrict counts = output<std::int32_t>(a, 2);
        const std::size_t side = size(a);
        const auto limit = static_cast<std::int32_t>(a.n[1]);
        for (std::size_t row = from; row < to; ++row)
            for (std::size_t col = 0; col < side; ++col) {
                T zr = 0, zi = 0;
                std::int32_t k = 0;
                for (; k < limit; ++k) {
                    const T rr = zr * zr, ii = zi * zi;
                    if (rr + ii > T(4)) break;
                    zi = T(2) * zr * zi + ys[row];
                    zr = rr - ii + xs[col];
                }
                counts[row * side + col] = k;
            }
    }
};

/// z = x + 2 over n^3 elements; Bad walks the slowest axis in the innermost loop.
template <bool Bad> struct Add2 {
    using T = double;
    static constexpr const char* name = Bad ? "add2_3d_bad" : "add2_3d";
    static std::size_t extent(const Args& a) { return size(a); }
    static std::size_t grain(const Args&) { return 4; }
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const T* __restrict x = input<T>(a, 0);
        T* __restrict z = output<T>(a, 1);
        const std::size_t n = size(a);
        for (std::size_t i = from; i < to; ++i)
            for (std::size_t j = 0; j < n; ++j)
                for (std::size_t k = 0; k < n; ++k) {
                    const std::size_t at = Bad ? (k * n + j) * n + i : (i * n + j) * n + k;
                    z[at] = x[at] + 2;
                }
    }
};

template <class E> struct Outer {
    using T = E;
    static constexpr const char* name = "outer";
    static std::size_t extent(const Args& a) { return size(a); }
    static std::size_t grain(const Args&) { return 8; }
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const T* __restrict y = input<T>(a, 0);
        const T* __restrict x = input<T>(a, 1);
        T* __restrict z = output<T>(a, 2);
        const std::size_t n = size(a);
        for (std::size_t i = from; i < to; ++i)
            for (std::size_t j = 0; j < n; ++j) z[i * n + j] = y[i] * x[j];
    }
};

template <class T> struct SqrtSum : Elementwise<T> {
    static constexpr const char* name = "sqrt_sum";
    static T* result(const Args& a) { return output<T>(a, 1); }
    static T range(const Args& a, std::size_t from, std::size_t to) {
        const T* __restrict x = input<T>(a, 0);
        T sum = 0;
        for (std::size_t i = from; i < to; ++i) sum += std::sqrt(x[i]);
        return sum;
    }
};

template <class T> struct Dot : Elementwise<T> {
    static constexpr const char* name = "dot";
    static T* result(const Args& a) { return output<T>(a, 2); }
    static T range(const Args& a, std::size_t from, std::size_t to) {
        const T* __restrict x = input<T>(a, 0);
        const T* __restrict y = input<T>(a, 1);
        T sum = 0;
        for (std::size_t i = from; i < to; ++i) sum += x[i] * y[i];
        return sum;
    }
};

template <class T> struct SumAxis0 : Elementwise<T> {
    static constexpr const char* name = "sum_axis0";
    static std::size_t grain(const Args&) { return 256; }
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const T* __restrict x = input<T>(a, 0);
        T* __restrict z = output<T>(a, 1);
        const std::size_t n = size(a);
        for (std::size_t j = from; j < to; ++j) z[j] = 0;
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = from; j < to; ++j) z[j] += x[i * n + j];
    }
};

template <class T> struct SumAxis1 : Elementwise<T> {
    static constexpr const char* name = "sum_axis1";
    static std::size_t grain(const Args&) { return 16; }
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const T* __restrict x = input<T>(a, 0);
        T* __restrict z = output<T>(a, 1);
        const std::size_t n = size(a);
        for (std::size_t i = from; i < to; ++i) {
            T sum = 0;
            for (std::size_t j = 0; j < n; ++j) sum += x[i * n + j];
            z[i] = sum;
        }
    }
};

/// n[2] steps of gradient descent on the logistic loss, from weights of 0: n[0] rows of n[1]
/// features. Pieces of rows have a gradient each.
template <class T, bool Parallel> void logistic(const Args* a) {
    const T* __restrict x = input<T>(*a, 0);
    const T* __restrict y = input<T>(*a, 1);
    T* __restrict w = output<T>(*a, 2);
    const std::size_t rows = size(*a), d = size(*a, 1), pieces = Parallel ? 16 : 1;
    std::vector<T> gradients(pieces * d);
    const auto add = [=](T* __restrict g, std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) {
            T z = 0;
            for (std::size_t j = 0; j < d; ++j) z += x[i * d + j] * w[j];
            const T e = (T(1) / (T(1) + std::exp(-y[i] * z)) - T(1)) * y[i];
            for (std::size_t j = 0; j < d; ++j) g[j] += e * x[i * d + j];
        }
    };
    std::fill(w, w + d, T(0));
    for (std::int64_t step = 0; step < a->n[2]; ++step) {
        std::fill(gradients.begin(), gradients.end(), T(0));
        const auto piece = [&](std::size_t p) {
            add(&gradients[p * d], rows * p / pieces, rows * (p + 1) / pieces);
        };
        if (Parallel)
            tbb::parallel_for(std::size_t(0), pieces, piece);
        else
            piece(0);
        for (std::size_t p = 0; p < pieces; ++p)
            for (std::size_t j = 0; j < d; ++j) w[j] -= gradients[p * d + j];
    }
}

/// n[1] sweeps between p[1] and p[0], n x n each, whose borders stay.
template <class T, bool Parallel> void jacobi(const Args* a) {
    const std::size_t n = size(*a);
    for (std::int64_t s = 0; s < a->n[1]; ++s) {
        const T* __restrict x = input<T>(*a, s % 2 == 0 ? 1 : 0);
        T* __restrict z = output<T>(*a, s % 2 == 0 ? 0 : 1);
        const auto rows = [=](std::size_t from, std::size_t to) {
            for (std::size_t i = from; i < to; ++i)
                for (std::size_t j = 1; j + 1 < n; ++j)
                    z[i * n + j] = T(0.25) * (x[(i - 1) * n + j] + x[(i + 1) * n + j] +
                                              x[i * n + j - 1] + x[i * n + j + 1]);
        };
        if (Parallel)
            tbb::parallel_for(Range(1, n - 1, 32),
                              [&](const Range& r) { rows(r.begin(), r.end()); });
        else
            rows(1, n - 1);
    }
}

/// Which numbers up to n are primes: all divisors up to the root are tried.
struct Primes {
    using T = double;
    static constexpr const char* name = "primes";
    static std::size_t extent(const Args& a) { return size(a) + 1; }
    static std::size_t grain(const Args&) { return 512; }
    static void range(const Args& a, std::size_t from, std::size_t to) {
        auto* __restrict flags = output<std::uint8_t>(a, 0);
        for (auto v = static_cast<std::int64_t>(from); v < static_cast<std::int64_t>(to); ++v) {
            bool flag = v >= 2;
            const auto last = static_cast<std::int64_t>(std::sqrt(static_cast<double>(v)));
            for (std::int64_t i = 2; i <= last; ++i)
                if (v % i == 0) flag = false;
            flags[v] = flag;
        }
    }
};

std::uint32_t mix(std::uint32_t h) {
    h ^= h >> 16;
    h *= 0x7feb352dU;
    h ^= h >> 15;
    h *= 0x846ca68bU;
    return h ^ h >> 16;
}
constexpr std::uint32_t seed = 12345;

/// pi from n points whose coordinates are hashes of their number.
struct Pi : Elementwise<float> {
    static constexpr const char* name = "pi";
    static void run(const Args& a, std::int64_t hits) {
        *output<float>(a, 0) = static_cast<float>(4.0 * double(hits) / double(a.n[0]));
    }
    static std::int64_t range(std::size_t from, std::size_t to) {
        std::int64_t hits = 0;
        for (std::size_t i = from; i < to; ++i) {
            const std::uint32_t at = 2 * static_cast<std::uint32_t>(i) + seed;
            const float x = static_cast<float>(std::int32_t(mix(at) >> 8)) * 0x1p-24f;
            const float y = static_cast<float>(std::int32_t(mix(at + 1) >> 8)) * 0x1p-24f;
            hits += x * x + y * y < 1.0f;
        }
        return hits;
    }
};

/// The same with points from Philox4x32-10: f32 two of each draw, f64 one.
template <class E> struct PiPhilox : Pi {
    using T = E;
    static constexpr const char* name = "pi_philox";
    static constexpr std::size_t points = sizeof(T) == 4 ? 2 : 1;
    static void run(const Args& a, std::int64_t hits) {
        *output<T>(a, 0) = static_cast<T>(4.0 * double(hits) / double(a.n[0]));
    }
    static std::int64_t range(std::size_t from, std::size_t to) {
        std::int64_t hits = 0;
        for (std::size_t i = from; i < to; i += points) {
            const std::size_t draw = i / points;
            auto c0 = static_cast<std::uint32_t>(draw), c1 = static_cast<std::uint32_t>(draw >> 32);
            std::uint32_t c2 = 0, c3 = 0, k0 = seed, k1 = 0;
            for (int round = 0; round < 10; ++round) {
                const std::uint64_t p = 0xD2511F53ull * c0, q = 0xCD9E8D57ull * c2;
                c0 = static_cast<std::uint32_t>(q >> 32) ^ c1 ^ k0;
                c1 = static_cast<std::uint32_t>(q);
                c2 = static_cast<std::uint32_t>(p >> 32) ^ c3 ^ k1;
                c3 = static_cast<std::uint32_t>(p);
                k0 += 0x9E3779B9u;
                k1 += 0xBB67AE85u;
            }
            if constexpr (points == 2) {
                const auto inside = [](std::uint32_t u, std::uint32_t v) {
                    const float x = static_cast<float>(std::int32_t(u >> 8)) * 0x1p-24f;
                    const float y = static_cast<float>(std::int32_t(v >> 8)) * 0x1p-24f;
                    return x * x + y * y < 1.0f;
                };
                hits += inside(c0, c1) + inside(c2, c3);
            } else {
                const auto number = [](std::uint32_t u, std::uint32_t v) {
                    return std::int32_t(u >> 5) * 0x1p-27 + std::int32_t(v >> 6) * 0x1p-53;
                };
                const double x = number(c0, c1), y = number(c2, c3);
                hits += x * x + y * y < 1.0;
            }
        }
        return hits;
    }
};
template <class W, bool Parallel> void points(const Args* a) {
    const std::size_t pairs = size(*a) / 2;
    std::int64_t hits = 0;
    if (Parallel)
        hits = tbb::parallel_reduce(
            Range(0, pairs, 16384), std::int64_t(0),
            [](const Range& r, std::int64_t sum) {
                return sum + W::range(2 * r.begin(), 2 * r.end());
            },
            [](std::int64_t x, std::int64_t y) { return x + y; });
    else
        hits = W::range(0, 2 * pairs);
    W::run(*a, hits);
}

// One elementary function over an array that fits the first cache.
struct Exp {
    static constexpr const char* name = "fn_exp";
    template <class T> static T call(T x) { return std::exp(x); }
};
struct Log {
    static constexpr const char* name = "fn_log";
    template <class T> static T call(T x) { return std::log(x); }
};
struct SinCos {
    static constexpr const char* name = "fn_sincos";
    template <class T> static T call(T x) { return std::sin(x) + std::cos(x); }
};
struct Cdf {
    static constexpr const char* name = "fn_cdf";
    template <class T> static T call(T x) { return T(0.5) + T(0.5) * std::erf(x * sqrt_half<T>); }
};
template <class T, class F> struct Function : Elementwise<T> {
    static constexpr const char* name = F::name;
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const T* __restrict x = input<T>(a, 0);
        T* __restrict z = output<T>(a, 1);
        for (std::size_t i = from; i < to; ++i) z[i] = F::call(x[i]);
    }
};

void add_at(const Args* a) {
    const auto* __restrict place = input<std::int64_t>(*a, 0);
    const double* __restrict x = input<double>(*a, 1);
    double* __restrict sums = output<double>(*a, 2);
    std::fill(sums, sums + size(*a, 1), 0.0);
    for (std::size_t i = 0; i < size(*a); ++i) sums[place[i]] += x[i];
}

struct ReduceAt {
    using T = double;
    static constexpr const char* name = "reduceat";
    static std::size_t extent(const Args& a) { return size(a, 1); }
    static std::size_t grain(const Args&) { return 256; }
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const double* __restrict x = input<double>(a, 0);
        const auto* __restrict start = input<std::int64_t>(a, 1);
        double* __restrict sums = output<double>(a, 2);
        for (std::size_t s = from; s < to; ++s) {
            const std::size_t last =
                s + 1 < extent(a) ? static_cast<std::size_t>(start[s + 1]) : size(a);
            double sum = 0;
            for (auto i = static_cast<std::size_t>(start[s]); i < last; ++i) sum += x[i];
            sums[s] = sum;
        }
    }
};

#define BOTH(...) serial_row<__VA_ARGS__>(""), tbb_row<__VA_ARGS__>("tbb")
#define FOUR(W) BOTH(W<float>), BOTH(W<double>)
#define BOTH_OF(name, f, T) \
    {name, dtype_name<T>, 1, "", f<T, false>}, { name, dtype_name<T>, 0, "tbb", f<T, true> }
#define POINTS(W)                                            \
    {W::name, dtype_name<W::T>, 1, "", points<W, false>}, {  \
        W::name, dtype_name<W::T>, 0, "tbb", points<W, true> \
    }
#define FUNCTION(F) serial_row<Function<float, F>>(""), serial_row<Function<double, F>>("")
constexpr Entry rows[] = {FOUR(Saxpy),
                          {"fresh", "f64", 1, "malloc", fresh<false>},
                          {"fresh", "f64", 0, "malloc tbb", fresh<true>},
                          FOUR(BlackScholes),
                          FOUR(Chain),
                          FOUR(Mandelbrot),
                          BOTH(Add2<false>),
                          BOTH(Add2<true>),
                          FOUR(Outer),
                          FOUR(SqrtSum),
                          FOUR(Dot),
                          FOUR(SumAxis0),
                          FOUR(SumAxis1),
                          {"add_at", "f64", 1, "", add_at},
                          BOTH(ReduceAt),
                          BOTH_OF("logistic", logistic, float),
                          BOTH_OF("logistic", logistic, double),
                          BOTH_OF("jacobi", jacobi, float),
                          BOTH_OF("jacobi", jacobi, double),
                          BOTH(Primes),
                          POINTS(Pi),
                          POINTS(PiPhilox<float>),
                          POINTS(PiPhilox<double>),
                          BOTH(stacks::Softmax<float>),
                          BOTH(stacks::Matmul<float, 4>),
                          BOTH(stacks::Matmul<double, 4>),
                          BOTH(stacks::Matmul<double, 32>),
                          BOTH(stacks::Cross<double>),
                          BOTH(stacks::Tridiagonal<double>),
                          BOTH(stacks::Fir<float>),
                          FUNCTION(Exp),
                          FUNCTION(Log),
                          FUNCTION(SinCos),
                          FUNCTION(Cdf),
                          {}};

}  // namespace

extern "C" const Entry* table() { return rows; }
