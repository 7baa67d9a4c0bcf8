// Prices of European options by the formula of Black and Scholes, for many options at once.
//
// usage: black_scholes [n]      n: number of options, 1000000 by default
#include <kiln/kiln.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <limits>
#include <numbers>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "measure.h"

using namespace kiln;

namespace {

// ------------------------------------------------------------------------------------ the kernel

/// Probability that a standard normal variable is below x. erfc keeps the digits of small results.
Value normal_cdf(Value x) { return 0.5 * erfc(-std::numbers::sqrt2 / 2 * x); }

/// Call and put price. The same function serves f32 and f64: C++ constants take on the dtype that
/// they meet.
std::pair<Value, Value> black_scholes(Value spot, Value strike, Value years, Value rate,
                                      Value volatility) {
    const Value deviation = volatility * sqrt(years);
    const Value d1 =
        (log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / deviation;
    const Value d2 = d1 - deviation;
    const Value n1 = normal_cdf(d1), n2 = normal_cdf(d2);
    const Value discounted = strike * exp(-rate * years);
    return {spot * n1 - discounted * n2, discounted * (1 - n2) - spot * (1 - n1)};
}

const Ufunc strict = vectorize("black_scholes", black_scholes);
const Ufunc fast = vectorize("black_scholes_fast", black_scholes, {.fastmath = true});
const Ufunc parallel =
    vectorize("black_scholes_parallel", black_scholes, {.fastmath = true, .parallel = true});

// -------------------------------------------------------------------------------- the plain loop

template <class T> T plain_normal_cdf(T x) {
    return T(0.5) * std::erfc(-std::numbers::sqrt2_v<T> / 2 * x);
}

template <class T>
[[gnu::noinline]] void plain_prices(const T* spot, const T* strike, const T* years, T rate,
                                    T volatility, T* __restrict call, T* __restrict put,
                                    std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const T deviation = volatility * std::sqrt(years[i]);
        const T d1 =
            (std::log(spot[i] / strike[i]) + (rate + T(0.5) * volatility * volatility) * years[i]) /
            deviation;
        const T d2 = d1 - deviation;
        const T n1 = plain_normal_cdf(d1), n2 = plain_normal_cdf(d2);
        const T discounted = strike[i] * std::exp(-rate * years[i]);
        call[i] = spot[i] * n1 - discounted * n2;
        put[i] = discounted * (1 - n2) - spot[i] * (1 - n1);
    }
}

// ------------------------------------------------------------------------------------- the input

/// Options as they are listed: prices in cents, strikes in steps of 0.50 around the spot, one day
/// to two years to maturity. The same on every machine.
struct Options {
    Array spot, strike, years;

    Options(std::size_t n, DType dtype) {
        std::mt19937_64 bits(20240607);
        const auto uniform = [&](double low, double high) {
            return low + (high - low) * static_cast<double>(bits() >> 11) * 0x1p-53;
        };
        std::vector<double> s(n), k(n), t(n);
        for (std::size_t i = 0; i < n; ++i) {
            s[i] = std::round(uniform(20, 200) * 100) / 100;
            k[i] = std::round(s[i] * uniform(0.7, 1.4) * 2) / 2;
            t[i] = std::floor(uniform(1, 731)) / 365;
        }
        spot = Array(s).astype(dtype);
        strike = Array(k).astype(dtype);
        years = Array(t).astype(dtype);
    }
};

constexpr double rate = 0.035, volatility = 0.25;

// ------------------------------------------------------------------------------------ the checks

/// Call and put of one ufunc against the plain loop's, and call - put = spot - discounted strike.
/// spot / strike may differ by one rounding, which d1 divides by a deviation of at least 0.013 (one
/// day) and the density of d1, at most 0.4, carries into the price: 31 roundings of the spot, so
/// the tolerance is 16 of spot + strike.
template <class T>
bool check(const Ufunc& f, const Options& o, std::span<const T> want_call,
           std::span<const T> want_put) {
    const std::vector<Array> prices = f.all(o.spot, o.strike, o.years, rate, volatility);
    const auto call = prices[0].span<const T>(), put = prices[1].span<const T>();
    const auto spot = o.spot.span<const T>(), strike = o.strike.span<const T>();
    const auto years = o.years.span<const T>();
    const auto tolerance = [&](std::size_t i) {
        return 16 * std::numeric_limits<T>::epsilon() * (spot[i] + strike[i]);
    };

    std::vector<T> difference(call.size()), parity(call.size());
    for (std::size_t i = 0; i < call.size(); ++i) {
        difference[i] = call[i] - put[i];
        parity[i] = spot[i] - strike[i] * std::exp(-T(rate) * years[i]);
    }
    const std::string who = f.name() + ", " + std::string(name(dtype_of<T>));
    bool ok = samples::agree((who + ", call").c_str(), call, want_call, tolerance);
    ok &= samples::agree((who + ", put").c_str(), put, want_put, tolerance);
    return ok &
           samples::agree<T>((who + ", put-call parity").c_str(), difference, parity, tolerance);
}

/// The worked example of Hull's "Options, Futures, and Other Derivatives": 4.76 and 0.81.
bool check_textbook() {
    const std::vector<Array> prices = strict.all(42.0, 40.0, 0.5, 0.1, 0.2);
    const std::vector<double> got = {prices[0].item<double>(), prices[1].item<double>()};
    const std::vector<double> want = {4.76, 0.81};
    return samples::agree<double>("textbook example", got, want, [](std::size_t) { return 0.005; });
}

// --------------------------------------------------------------------------------------- one run

template <class T> bool run(std::size_t n) {
    const std::string type(name(dtype_of<T>));
    const Options o(n, dtype_of<T>);
    const Array call = empty({n}, dtype_of<T>), put = empty({n}, dtype_of<T>);
    const CallOptions into = {.outs = {call, put}};

    // On few options, so that it is the compiler's time: the machine code serves any number.
    const Slice few = {.stop = 16};
    const double first = samples::first_call(("black_scholes, " + type).c_str(), [&] {
        strict.all(o.spot(few), o.strike(few), o.years(few), rate, volatility);
    });

    std::vector<T> want_call(n), want_put(n);
    const auto plain = [&] {
        plain_prices(o.spot.span<const T>().data(), o.strike.span<const T>().data(),
                     o.years.span<const T>().data(), T(rate), T(volatility), want_call.data(),
                     want_put.data(), n);
    };
    plain();
    bool ok = true;
    for (const Ufunc& f : {strict, fast, parallel}) ok &= check<T>(f, o, want_call, want_put);

    std::vector<std::function<void()>> ways = {plain};
    for (const Ufunc& f : {strict, fast, parallel}) {
        ways.push_back([&, f] { f.all(o.spot, o.strike, o.years, rate, volatility, into); });
    }
    const std::vector<double> ms = samples::medians(7, ways);
    const auto ns = [&](std::size_t k) { return 1e6 * ms[k] / static_cast<double>(n); };
    std::printf("== %-4s %9.1f ms %10.1f %10.1f (%5.2fx) %7.1f (%5.2fx) %7.1f (%5.2fx)\n",
                type.c_str(), first, ns(0), ns(1), ms[0] / ms[1], ns(2), ms[0] / ms[2], ns(3),
                ms[0] / ms[3]);
    return ok;
}

}  // namespace

int main(int argc, char** argv) try {
    const std::size_t n = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
    std::printf("== call and put of %zu options, ns per option (times as fast as the plain loop)\n",
                n);
    std::printf("==        first call plain loop              strict        fastmath %5d threads\n",
                num_threads());
    bool ok = run<float>(n);
    ok &= run<double>(n);
    ok &= check_textbook();
    return ok ? 0 : 1;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
