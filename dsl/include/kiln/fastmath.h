// Which liberties a kernel's floating-point operations may take.
#pragma once
#include <concepts>
#include <cstdint>

namespace kiln {

/// A set of fast-math flags; names and meaning are LLVM's. None by default. `Fastmath(true)` is all
/// of them. isnan, isinf, isfinite and x != x stay exact under every flag.
struct Fastmath {
    std::uint8_t bits = 0;  ///< one for each flag

    constexpr Fastmath() = default;
    /// All flags or none. A bool only: a number or a name is not a set of flags.
    template <std::same_as<bool> B> constexpr Fastmath(B all) : bits(all ? 127 : 0) {}
    static constexpr Fastmath from_bits(std::uint8_t bits) {
        Fastmath flags;
        flags.bits = bits;
        return flags;
    }

    static const Fastmath nnan;      ///< operands and results are no NaN
    static const Fastmath ninf;      ///< operands and results are finite
    static const Fastmath nsz;       ///< the sign of a zero does not matter
    static const Fastmath arcp;      ///< x / y may become x * (1 / y)
    static const Fastmath contract;  ///< a * b + c may round once
    static const Fastmath afn;       ///< elementary functions may use their fast_ulp bound
    static const Fastmath reassoc;   ///< sums and products may be reordered
    /// Whether it has all of these flags.
    constexpr bool has(Fastmath flags) const { return (bits & flags.bits) == flags.bits; }
    friend constexpr Fastmath operator|(Fastmath a, Fastmath b) {
        return from_bits(static_cast<std::uint8_t>(a.bits | b.bits));
    }
    bool operator==(const Fastmath&) const = default;
};

inline constexpr Fastmath Fastmath::nnan = Fastmath::from_bits(1);
inline constexpr Fastmath Fastmath::ninf = Fastmath::from_bits(2);
inline constexpr Fastmath Fastmath::nsz = Fastmath::from_bits(4);
inline constexpr Fastmath Fastmath::arcp = Fastmath::from_bits(8);
inline constexpr Fastmath Fastmath::contract = Fastmath::from_bits(16);
inline constexpr Fastmath Fastmath::afn = Fastmath::from_bits(32);
inline constexpr Fastmath Fastmath::reassoc = Fastmath::from_bits(64);

}  // namespace kiln
