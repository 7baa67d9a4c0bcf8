// The workloads as a programmer writes them in plain C++: simple loops, nothing tuned. Compiled
// several ways (CMakeLists.txt), each with serial and TBB rows.
#include "tests/bench/drivers.h"

#include <cmath>
#include <cstdlib>

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

#define BOTH(...) serial_row<__VA_ARGS__>(""), tbb_row<__VA_ARGS__>("tbb")
#define FOUR(W) BOTH(W<float>), BOTH(W<double>)
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
                          FUNCTION(Exp),
                          FUNCTION(Log),
                          FUNCTION(SinCos),
                          FUNCTION(Cdf),
                          {}};

}  // namespace

extern "C" const Entry* table() { return rows; }
