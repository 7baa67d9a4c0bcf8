// Levels of a picture.
//
//     kiln run image.cpp --kernel tone @unit.npy =toned.npy --parallel
#include <algorithm>
#include <cmath>
#include <cstdint>

double to_unit(std::uint8_t level) { return level / 255.0; }
std::uint8_t to_bytes(double x) {
    return static_cast<std::uint8_t>(std::nearbyint(std::clamp(x, 0.0, 1.0) * 255));
}

double gamma(double x) { return std::pow(x, 1 / 2.2); }

/// An S-curve, scaled so that black stays black and white stays white.
double tone(double x) {
    constexpr double contrast = 8, middle = 0.45;
    const auto logistic = [](double v) { return 1 / (1 + std::exp(-contrast * (v - middle))); };
    const double low = logistic(0);
    return (logistic(x) - low) / (logistic(1) - low);
}

/// Seven neighbours along one axis, weighted by a bell.
double blur(double a, double b, double c, double d, double e, double f, double g) {
    constexpr double w[4] = {0.28, 0.22, 0.11, 0.03};
    return w[3] * (a + g) + w[2] * (b + f) + w[1] * (c + e) + w[0] * d;
}

double sharpen(double x, double blurred) { return std::clamp(x + 0.6 * (x - blurred), 0.0, 1.0); }
