// The workloads as a programmer writes them in plain C++: simple loops, nothing tuned. Compiled
// several ways (CMakeLists.txt), each with serial and TBB rows.
#include "tests/bench/abi.h"

#include <cmath>

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

namespace {

template <class T> struct Saxpy {
    static constexpr const char* name = "saxpy";
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const T* __restrict x = input<T>(a, 0);
        const T* __restrict y = input<T>(a, 1);
        T* __restrict z = output<T>(a, 2);
        const T k = static_cast<T>(a.s[0]);
        for (std::size_t i = from; i < to; ++i) z[i] = k * x[i] + y[i];
    }
};

template <class T> struct BlackScholes {
    static constexpr const char* name = "black_scholes";
    static T cdf(T d) { return T(0.5) + T(0.5) * std::erf(d * T(0.70710678118654752440)); }
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const T* __restrict spot = input<T>(a, 0);
        const T* __restrict strike = input<T>(a, 1);
        const T* __restrict time = input<T>(a, 2);
        T* __restrict price = output<T>(a, 3);
        const T rate = static_cast<T>(a.s[0]), vol = static_cast<T>(a.s[1]);
        for (std::size_t i = from; i < to; ++i) {
            const T sd = vol * std::sqrt(time[i]);
            const T d1 = (std::log(spot[i] / strike[i]) + (rate + T(0.5) * vol * vol) * time[i]) / sd;
            price[i] = spot[i] * cdf(d1) - strike[i] * std::exp(-rate * time[i]) * cdf(d1 - sd);
        }
    }
};

template <class T> struct Chain {
    static constexpr const char* name = "chain";
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const T* __restrict x = input<T>(a, 0);
        T* __restrict z = output<T>(a, 1);
        for (std::size_t i = from; i < to; ++i)
            z[i] = std::sin(x[i]) * std::sin(x[i]) + std::cos(x[i]) * std::cos(x[i]) + std::exp(-x[i] * x[i]) / T(2);
    }
};

template <class W> void serial(const Args* a) { W::range(*a, 0, size(*a)); }
template <class W> void threaded(const Args* a) {
    tbb::parallel_for(tbb::blocked_range<std::size_t>(0, size(*a), 8192),
                      [a](const auto& r) { W::range(*a, r.begin(), r.end()); });
}

#define ROWS(W)                                                                                  \
    {W<float>::name, "f32", 1, "", serial<W<float>>}, {W<float>::name, "f32", 0, "tbb", threaded<W<float>>}, \
        {W<double>::name, "f64", 1, "", serial<W<double>>}, {W<double>::name, "f64", 0, "tbb", threaded<W<double>>}
constexpr Entry rows[] = {ROWS(Saxpy), ROWS(BlackScholes), ROWS(Chain), {}};

}  // namespace

extern "C" const Entry* table() { return rows; }
