// The two 16-bit floating-point storage types. Arithmetic on them is carried out in float.
#pragma once
#include <bit>
#include <concepts>
#include <cstdint>

namespace kiln {

/// IEEE binary16: 5 exponent bits, 10 fraction bits.
struct float16 {
    std::uint16_t bits = 0;  ///< as in memory
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
    std::uint16_t bits = 0;  ///< as in memory
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

/// The bits of a float of 16 bits, of so many digits behind the point, that is nearest to one of more
/// bits; ties to even.
template <int ToDigits, int ToBias, int Digits, int Bias, class Word>
constexpr std::uint16_t round_to_16(Word in) {
    constexpr int width = 8 * sizeof(Word), lost = Digits - ToDigits;
    constexpr Word one = 1, infinity = Word(2 * Bias + 1) << Digits;
    constexpr Word normal = Word(Bias - ToBias + 1) << Digits;  // the smallest normal number
    constexpr Word half_smallest = Word(Bias - ToBias - ToDigits) << Digits;
    constexpr Word overflow = (Word(Bias + ToBias + 1) << Digits) - (one << (lost - 1));
    constexpr Word out_infinity = Word(2 * ToBias + 1) << ToDigits;
    constexpr Word quiet = one << (ToDigits - 1);
    const Word magnitude = in & ~(one << (width - 1));
    Word out = 0;
    if (magnitude > infinity) {  // NaN: keep the upper payload bits, make it quiet
        out = out_infinity | quiet | ((magnitude >> lost) & (quiet - 1));
    } else if (magnitude >= overflow) {
        out = out_infinity;
    } else if (magnitude >= normal) {  // rebias the exponent and round
        const Word rebiased = magnitude - (Word(Bias - ToBias) << Digits);
        out = (rebiased + ((one << (lost - 1)) - 1) + ((rebiased >> lost) & 1)) >> lost;
    } else if (magnitude > half_smallest) {
        const Word fraction = (magnitude & ((one << Digits) - 1)) | (one << Digits);
        const int shift = lost + 1 + (Bias - ToBias) - static_cast<int>(magnitude >> Digits);
        const Word half = one << (shift - 1), low = fraction & ((half << 1) - 1);
        out = fraction >> shift;
        if (low > half || (low == half && (out & 1) != 0)) ++out;
    }
    return static_cast<std::uint16_t>((in >> (width - 1) << 15) | out);
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

constexpr float16::float16(float value)
    : bits(detail::round_to_16<10, 15, 23, 127>(std::bit_cast<std::uint32_t>(value))) {}
template <std::same_as<double> T>
constexpr float16::float16(T value)
    : bits(detail::round_to_16<10, 15, 52, 1023>(std::bit_cast<std::uint64_t>(value))) {}
template <std::same_as<double> T>
constexpr bfloat16::bfloat16(T value)
    : bits(detail::round_to_16<7, 127, 52, 1023>(std::bit_cast<std::uint64_t>(value))) {}

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
