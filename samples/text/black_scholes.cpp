// Prices of options: two results, by reference.
//
//     kiln run black_scholes.cpp --kernel black_scholes @spot.npy @strike.npy @years.npy 0.02 0.3 =call.npy =put.npy
#include <cmath>
#include <numbers>

double normal_cdf(double x) { return 0.5 * std::erfc(-std::numbers::sqrt2 / 2 * x); }

void black_scholes(double spot, double strike, double years, double rate, double volatility,
                   double& call, double& put) {
    const double deviation = volatility * std::sqrt(years);
    const double d1 =
        (std::log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / deviation;
    const double d2 = d1 - deviation;
    const double later = strike * std::exp(-rate * years);
    call = spot * normal_cdf(d1) - later * normal_cdf(d2);
    put = later * normal_cdf(-d2) - spot * normal_cdf(-d1);
}
