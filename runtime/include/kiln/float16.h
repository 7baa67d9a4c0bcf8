// The two 16-bit floating-point storage types. Arithmetic on them is carried out in float.
#pragma once
#include <bit>
#include <concepts>
#include <cstdint>

namespace kiln {

/// IEEE binary16: 5 exponent bits, 10 fraction bits.
struct float16 {
    std::uint16_t bits = 0;
    float16() = default;
    /// Rounds to nearest, ties to even; overflow gives infinity, NaN stays NaN.
    constexpr explicit float16(float value);
    /// The same of a double, in one rounding.
    template <std::same_as<double> T> constexpr explicit float16(T value);
    constexpr explicit operator float() const;
    static constexpr float16 from_bits(std::uint16_t bits) {
        float16 result;
        result.bits = bits;
        return result;
    }
    /// Equality of values, as for float: NaN differs from itself and the two zeros are equal.
    friend constexpr bool operator==(float16 a, float16 b) { return float(a) == float(b); }
};

/// The upper half of an IEEE binary32: 8 exponent bits, 7 fraction bits.
struct bfloat16 {
    std::uint16_t bits = 0;
    bfloat16() = default;
    /// Rounds to nearest, ties to even; overflow gives infinity, NaN stays NaN.
    constexpr explicit bfloat16(float value);
    template <std::same_as<double> T> constexpr explicit bfloat16(T value);
    constexpr explicit operator float() const {
        return std::bit_cast<float>(std::uint32_t(bits) << 16);
    }
    static constexpr bfloat16 from_bits(std::uint16_t bits) {
        bfloat16 result;
        result.bits = bits;
        return result;
    }
    friend constexpr bool operator==(bfloat16 a, bfloat16 b) { return float(a) == float(b); }
};

namespace detail {

/// `value` as a float, rounded to odd: where it is not exact, the neighbour whose last digit is 1.
/// Rounding that to at least two digits less gives what rounding `value` directly gives.
constexpr float to_odd(double value) {
    const float near = static_cast<float>(value);
    const double back = near;
    if (back == value) return near;
    std::uint32_t bits = std::bit_cast<std::uint32_t>(near);
    constexpr std::uint64_t magnitude = ~(std::uint64_t(1) << 63);
    const bool away = (std::bit_cast<std::uint64_t>(back) & magnitude) >
                      (std::bit_cast<std::uint64_t>(value) & magnitude);
    bits -= away ? 1U : 0U;
    return std::bit_cast<float>(bits | 1U);
}

/// An integer as a double that rounds to any format of at most 40 digits as the integer does.
template <std::integral T> constexpr double to_real(T value) {
    if constexpr (sizeof(T) == 8) {
        // From 2^53 on, that the lowest 12 bits are not all 0 becomes one bit.
        constexpr T exact = T(1) << 53, low = 0xfff, some = 0x800;
        bool large = value > exact;
        if constexpr (std::is_signed_v<T>) large = large || value < -exact;
        if (large) value = (value & ~low) | ((value & low) != 0 ? some : T(0));
    }
    return static_cast<double>(value);
}

}  // namespace detail

template <std::same_as<double> T>
constexpr float16::float16(T value) : float16(detail::to_odd(value)) {}
template <std::same_as<double> T>
constexpr bfloat16::bfloat16(T value) : bfloat16(detail::to_odd(value)) {}

constexpr float16::float16(float value) {
    const std::uint32_t in = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = (in >> 16) & 0x8000U;
    const std::uint32_t magnitude = in & 0x7fffffffU;
    std::uint32_t out = 0;
    if (magnitude > 0x7f800000U) {  // NaN: keep the upper payload bits, make it quiet
        out = 0x7e00U | ((magnitude >> 13) & 0x1ffU);
    } else if (magnitude >= 0x477ff000U) {  // 65520 and above rounds to infinity
        out = 0x7c00U;
    } else if (magnitude >= 0x38800000U) {  // normal: rebias the exponent and round
        const std::uint32_t rebiased = magnitude - 0x38000000U;
        out = (rebiased + 0xfffU + ((rebiased >> 13) & 1U)) >> 13;
    } else if (magnitude > 0x33000000U) {  // subnormal: above half of the smallest one
        const std::uint32_t exponent = magnitude >> 23;
        const std::uint32_t fraction = (magnitude & 0x7fffffU) | 0x800000U;
        const std::uint32_t shift = 126U - exponent;  // 14..24
        const std::uint32_t half = 1U << (shift - 1);
        const std::uint32_t low = fraction & ((half << 1) - 1U);
        out = fraction >> shift;
        if (low > half || (low == half && (out & 1U) != 0)) ++out;
    }
    bits = static_cast<std::uint16_t>(sign | out);
}

constexpr float16::operator float() const {
    const std::uint32_t sign = (std::uint32_t(bits) & 0x8000U) << 16;
    const std::uint32_t exponent = (std::uint32_t(bits) >> 10) & 0x1fU;
    const std::uint32_t fraction = std::uint32_t(bits) & 0x3ffU;
    if (exponent == 0x1fU) return std::bit_cast<float>(sign | 0x7f800000U | (fraction << 13));
    if (exponent != 0)
        return std::bit_cast<float>(sign | ((exponent + 112U) << 23) | (fraction << 13));
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;  // exact
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

constexpr bfloat16::bfloat16(float value) {
    const std::uint32_t in = std::bit_cast<std::uint32_t>(value);
    const bool is_nan = (in & 0x7fffffffU) > 0x7f800000U;
    const std::uint32_t rounded = is_nan ? in | 0x400000U : in + 0x7fffU + ((in >> 16) & 1U);
    bits = static_cast<std::uint16_t>(rounded >> 16);
}

}  // namespace kiln
