#include <kiln/float16.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tests/catch.h"

using kiln::bfloat16;
using kiln::float16;

namespace {

/// The value of a small IEEE format's bits by its definition, in double.
double decode(unsigned bits, int fraction_bits, int exponent_bits) {
    const unsigned exponent_mask = (1U << exponent_bits) - 1;
    const unsigned exponent = (bits >> fraction_bits) & exponent_mask;
    const unsigned fraction = bits & ((1U << fraction_bits) - 1);
    const int bias = (1 << (exponent_bits - 1)) - 1;
    double magnitude = 0;
    if (exponent == exponent_mask) {
        magnitude = fraction != 0 ? std::nan("") : HUGE_VAL;
    } else if (exponent == 0) {
        magnitude = std::ldexp(static_cast<double>(fraction), 1 - bias - fraction_bits);
    } else {
        magnitude = std::ldexp(1.0 + std::ldexp(static_cast<double>(fraction), -fraction_bits),
                               static_cast<int>(exponent) - bias);
    }
    return (bits >> 15) != 0 ? -magnitude : magnitude;
}

/// The nearest value of the format, ties to even, by rounding a scaled double to an integer.
double nearest(double value, int fraction_bits, int exponent_bits) {
    if (std::isnan(value) || std::isinf(value) || value == 0) return value;
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = std::max(std::ilogb(value), 1 - bias);
    const double rounded = std::ldexp(std::nearbyint(std::ldexp(value, fraction_bits - exponent)),
                                      exponent - fraction_bits);
    const double largest = std::ldexp(2.0 - std::ldexp(1.0, -fraction_bits), bias);
    return std::abs(rounded) > largest ? std::copysign(HUGE_VAL, value) : rounded;
}

template <class F> double widened(F value) {
    return static_cast<double>(static_cast<float>(value));
}

bool same(double a, double b) {
    return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b);
}

/// Conversion of floats around every value of the format, its neighbours and the midpoints.
template <class F> void check_rounding(int fraction_bits, int exponent_bits) {
    std::size_t wrong = 0;
    const auto check = [&](float value) {
        const double expected = nearest(static_cast<double>(value), fraction_bits, exponent_bits);
        if (!same(widened(F(value)), expected)) ++wrong;
    };
    for (unsigned bits = 0; bits < 0x10000; ++bits) {
        const double low = decode(bits, fraction_bits, exponent_bits);
        const double high =
            decode(bits + 1 > 0xffff ? bits : bits + 1, fraction_bits, exponent_bits);
        if (!std::isfinite(low)) continue;
        const double next = std::isfinite(high)
                                ? high
                                : std::copysign(std::ldexp(1.0, 1 << (exponent_bits - 1)), low);
        const auto middle = static_cast<float>((low + next) / 2);
        for (const float value : {static_cast<float>(low), middle}) {
            check(value);
            check(std::nextafter(value, std::numeric_limits<float>::infinity()));
            check(std::nextafter(value, -std::numeric_limits<float>::infinity()));
        }
    }
    std::mt19937 random(20240229);
    for (int k = 0; k < 1000000; ++k) {
        const float value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
        if (!std::isnan(value)) check(value);
    }
    CHECK(wrong == 0);
}

template <class F> void check_widening(int fraction_bits, int exponent_bits) {
    std::size_t wrong = 0, changed = 0;
    for (unsigned bits = 0; bits < 0x10000; ++bits) {
        const F value = F::from_bits(static_cast<std::uint16_t>(bits));
        if (!same(widened(value), decode(bits, fraction_bits, exponent_bits))) ++wrong;
        // And back: every value that is not NaN keeps its bits, a NaN stays NaN.
        const F back(static_cast<float>(value));
        if (std::isnan(widened(value)) ? !std::isnan(widened(back)) : back.bits != value.bits) {
            ++changed;
        }
    }
    CHECK(wrong == 0);
    CHECK(changed == 0);
}

}  // namespace

TEST_CASE("all 65536 f16 values widen to the value of their bits and come back",
          "[runtime][float16]") {
    check_widening<float16>(10, 5);
}

TEST_CASE("all 65536 bf16 values widen to the value of their bits and come back",
          "[runtime][float16]") {
    check_widening<bfloat16>(7, 8);
}

TEST_CASE("float -> f16 rounds to nearest, ties to even", "[runtime][float16]") {
    check_rounding<float16>(10, 5);
    CHECK(float16(2049.0F).bits == float16(2048.0F).bits);  // a tie, to the even neighbour
    CHECK(float16(2051.0F).bits == float16(2052.0F).bits);
    CHECK(float16(65519.996F).bits == 0x7bff);
    CHECK(float16(65520.0F).bits == 0x7c00);
    CHECK(float16(0x1p-25F).bits == 0);  // half of the smallest, to even zero
    CHECK(float16(0x1.8p-25F).bits == 1);
}

TEST_CASE("float -> bf16 rounds to nearest, ties to even", "[runtime][float16]") {
    check_rounding<bfloat16>(7, 8);
    CHECK(bfloat16(257.0F).bits == bfloat16(256.0F).bits);
    CHECK(bfloat16(259.0F).bits == bfloat16(260.0F).bits);
    CHECK(bfloat16(std::numeric_limits<float>::max()).bits == 0x7f80);
}

TEST_CASE("equality of f16 and bf16 is that of the values", "[runtime][float16]") {
    CHECK(float16(0.0F) == float16(-0.0F));
    CHECK_FALSE(float16(NAN) == float16(NAN));
    CHECK(bfloat16(0.0F) == bfloat16(-0.0F));
    CHECK_FALSE(bfloat16(NAN) == bfloat16(NAN));
    CHECK(float16(1.5F) == float16::from_bits(0x3e00));
    CHECK(bfloat16(1.5F) == bfloat16::from_bits(0x3fc0));
}
