// The meaning of the pure operations on C++ values: one function template per KILN_OPERATOR and
// KILN_NAMED row of ops.def. Constant folding and the oracle of the tests compute through them.
//
// Operands have the operation's exact type: promotion happened before. No call is undefined:
// integers wrap, division by zero gives 0, shifts take any amount, overflow of MIN / -1 wraps.
// float16 and bfloat16 compute in float and round once more at the end. Complex products are the
// plain formula (no recovery of infinities), complex quotients Smith's, as in NumPy.
#pragma once
#include <kiln/dtype.h>

#include <cmath>
#include <complex>
#include <concepts>
#include <functional>
#include <limits>
#include <numbers>
#include <utility>

namespace kiln::ir::scalar {

template <class T>
concept Boolean = std::same_as<T, bool>;
template <class T>
concept Integer = std::integral<T> && !Boolean<T>;
template <class T>
concept StorageFloat = kiln::detail::is_storage_float<T>;
template <class T>
concept HostFloat = std::floating_point<T>;
template <class T>
concept Real = StorageFloat<T> || HostFloat<T>;
template <class T>
concept Complex = kiln::detail::IsComplex<T>::value;
template <class T>
concept Ordered = Boolean<T> || Integer<T> || Real<T>;

namespace detail {

template <Integer T> using Bits = std::make_unsigned_t<T>;
template <Integer T> inline constexpr int width = 8 * static_cast<int>(sizeof(T));

/// f of the operands as float, rounded to T.
template <StorageFloat T, class F, class... A> T in_float(F f, A... operands) {
    return T(f(static_cast<float>(operands)...));
}

/// An operation on the bits, where wrapping is defined; wide enough not to promote to int.
template <Integer T, class F> constexpr T wrapping(F f, T a, T b) {
    return static_cast<T>(f(static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(b)));
}

template <Integer T> constexpr bool overflows(T a, T b) {
    return std::is_signed_v<T> && a == std::numeric_limits<T>::min() && b == static_cast<T>(-1);
}

template <Integer T> constexpr T truncated_quotient(T a, T b) {
    return b == 0 ? T(0) : overflows(a, b) ? a : static_cast<T>(a / b);
}
template <Integer T> constexpr T truncated_remainder(T a, T b) {
    return b == 0 || overflows(a, b) ? T(0) : static_cast<T>(a % b);
}

template <HostFloat T> struct Divided {
    T quotient, remainder;
};
/// Floored quotient and remainder with the sign of b, NumPy's way: the exact remainder first.
template <HostFloat T> Divided<T> floored(T a, T b) {
    T remainder = std::fmod(a, b);
    if (b == 0) return {a / b, remainder};
    T quotient = (a - remainder) / b;
    if (remainder != 0) {
        if ((b < 0) != (remainder < 0)) {
            remainder += b;
            quotient -= 1;
        }
    } else {
        remainder = std::copysign(T(0), b);
    }
    if (quotient == 0) return {std::copysign(T(0), a / b), remainder};
    T rounded = std::floor(quotient);
    if (quotient - rounded > T(0.5)) rounded += 1;
    return {rounded, remainder};
}

/// a before b in the order that puts -0 before +0; not for NaN.
template <HostFloat T> bool precedes(T a, T b) {
    return a < b || (a == b && std::signbit(a) && !std::signbit(b));
}

}  // namespace detail

// --- arithmetic operators ---

template <class T> T add(T a, T b) {
    if constexpr (Boolean<T>)
        return a || b;
    else if constexpr (Integer<T>)
        return detail::wrapping(std::plus{}, a, b);
    else if constexpr (StorageFloat<T>)
        return detail::in_float<T>(std::plus{}, a, b);
    else
        return a + b;
}

template <class T> T sub(T a, T b) {
    static_assert(!Boolean<T>);
    if constexpr (Integer<T>)
        return detail::wrapping(std::minus{}, a, b);
    else if constexpr (StorageFloat<T>)
        return detail::in_float<T>(std::minus{}, a, b);
    else
        return a - b;
}

template <class T> T mul(T a, T b) {
    if constexpr (Boolean<T>)
        return a && b;
    else if constexpr (Integer<T>)
        return detail::wrapping(std::multiplies{}, a, b);
    else if constexpr (StorageFloat<T>)
        return detail::in_float<T>(std::multiplies{}, a, b);
    else if constexpr (Complex<T>)
        return T(a.real() * b.real() - a.imag() * b.imag(),
                 a.real() * b.imag() + a.imag() * b.real());
    else
        return a * b;
}

template <Complex T> T divide_complex(T a, T b) {
    using R = typename T::value_type;
    const R real = std::fabs(b.real()), imag = std::fabs(b.imag());
    if (real == 0 && imag == 0) return T(a.real() / real, a.imag() / real);
    if (real >= imag) {
        const R ratio = b.imag() / b.real(), scale = R(1) / (b.real() + b.imag() * ratio);
        return T((a.real() + a.imag() * ratio) * scale, (a.imag() - a.real() * ratio) * scale);
    }
    const R ratio = b.real() / b.imag(), scale = R(1) / (b.imag() + b.real() * ratio);
    return T((a.real() * ratio + a.imag()) * scale, (a.imag() * ratio - a.real()) * scale);
}

template <class T> T div(T a, T b) {
    static_assert(!Boolean<T>);
    if constexpr (Integer<T>)
        return detail::truncated_quotient(a, b);
    else if constexpr (StorageFloat<T>)
        return detail::in_float<T>(std::divides{}, a, b);
    else if constexpr (Complex<T>)
        return divide_complex(a, b);
    else
        return a / b;
}

template <class T> T fmod(T a, T b) {
    static_assert(Integer<T> || Real<T>);
    if constexpr (Integer<T>)
        return detail::truncated_remainder(a, b);
    else if constexpr (StorageFloat<T>)
        return detail::in_float<T>([](float x, float y) { return std::fmod(x, y); }, a, b);
    else
        return std::fmod(a, b);
}

template <class T> T rem(T a, T b) { return scalar::fmod(a, b); }

template <class T> T neg(T a) {
    static_assert(!Boolean<T>);
    if constexpr (Integer<T>)
        return scalar::sub(T(0), a);
    else if constexpr (StorageFloat<T>)
        return T(-static_cast<float>(a));
    else
        return -a;
}

// --- bits ---

template <class T> T bit_and(T a, T b) {
    static_assert(std::integral<T>);
    return static_cast<T>(a & b);
}
template <class T> T bit_or(T a, T b) {
    static_assert(std::integral<T>);
    return static_cast<T>(a | b);
}
template <class T> T bit_xor(T a, T b) {
    static_assert(std::integral<T>);
    return static_cast<T>(a ^ b);
}
template <class T> T bit_not(T a) {
    static_assert(std::integral<T>);
    if constexpr (Boolean<T>)
        return !a;
    else
        return static_cast<T>(~a);
}

template <class T> T shl(T a, T b) {
    static_assert(Integer<T>);
    if (std::cmp_less(b, 0) || std::cmp_greater_equal(b, detail::width<T>)) return T(0);
    return static_cast<T>(static_cast<std::uint64_t>(a) << static_cast<unsigned>(b));
}
template <class T> T shr(T a, T b) {
    static_assert(Integer<T>);
    if (std::cmp_less(b, 0) || std::cmp_greater_equal(b, detail::width<T>))
        return std::cmp_less(a, 0) ? static_cast<T>(-1) : T(0);
    return static_cast<T>(a >> static_cast<unsigned>(b));
}

// --- comparisons: of equal types, or of two integer types by mathematical value ---

template <class A, class B> bool eq(A a, B b) {
    if constexpr (Integer<A> && Integer<B>)
        return std::cmp_equal(a, b);
    else
        return a == b;
}
template <class A, class B> bool ne(A a, B b) { return !scalar::eq(a, b); }
template <class A, class B> bool lt(A a, B b) {
    if constexpr (Complex<A>)  // NumPy's order
        return (a.real() < b.real() && !std::isnan(a.imag()) && !std::isnan(b.imag())) ||
               (a.real() == b.real() && a.imag() < b.imag());
    else if constexpr (Integer<A> && Integer<B>)
        return std::cmp_less(a, b);
    else if constexpr (StorageFloat<A>)
        return static_cast<float>(a) < static_cast<float>(b);
    else
        return a < b;
}
template <class A, class B> bool le(A a, B b) { return scalar::lt(a, b) || scalar::eq(a, b); }
template <class A, class B> bool gt(A a, B b) { return scalar::lt(b, a); }
template <class A, class B> bool ge(A a, B b) { return scalar::le(b, a); }

// --- logic ---

template <Boolean T> T logical_and(T a, T b) { return a && b; }
template <Boolean T> T logical_or(T a, T b) { return a || b; }
template <Boolean T> T logical_xor(T a, T b) { return a != b; }
template <Boolean T> T logical_not(T a) { return !a; }

// --- division as NumPy names it ---

template <class T> T true_divide(T a, T b) {
    static_assert(Real<T> || Complex<T>);
    return scalar::div(a, b);
}

template <class T> T floor_divide(T a, T b) {
    if constexpr (Integer<T>) {
        const T quotient = detail::truncated_quotient(a, b);
        const T remainder = detail::truncated_remainder(a, b);
        return remainder != 0 && (std::cmp_less(remainder, 0) != std::cmp_less(b, 0))
                   ? scalar::sub(quotient, T(1))
                   : quotient;
    } else if constexpr (StorageFloat<T>) {
        return detail::in_float<T>([](float x, float y) { return detail::floored(x, y).quotient; },
                                   a, b);
    } else {
        static_assert(HostFloat<T>);
        return detail::floored(a, b).quotient;
    }
}

template <class T> T mod(T a, T b) {
    if constexpr (Integer<T>) {
        const T remainder = detail::truncated_remainder(a, b);
        return remainder != 0 && (std::cmp_less(remainder, 0) != std::cmp_less(b, 0))
                   ? scalar::add(remainder, b)
                   : remainder;
    } else if constexpr (StorageFloat<T>) {
        return detail::in_float<T>([](float x, float y) { return detail::floored(x, y).remainder; },
                                   a, b);
    } else {
        static_assert(HostFloat<T>);
        return detail::floored(a, b).remainder;
    }
}

// --- real arithmetic ---

template <class T> T fma(T a, T b, T c) {
    static_assert(Real<T>);
    if constexpr (StorageFloat<T>)
        return detail::in_float<T>([](float x, float y, float z) { return std::fma(x, y, z); }, a,
                                   b, c);
    else
        return std::fma(a, b, c);
}

template <class T> T copysign(T a, T b) {
    static_assert(Real<T>);
    if constexpr (StorageFloat<T>)
        return T::from_bits(static_cast<std::uint16_t>((a.bits & 0x7fffU) | (b.bits & 0x8000U)));
    else
        return std::copysign(a, b);
}

template <class T> bool isnan(T a) {
    if constexpr (StorageFloat<T>)
        return std::isnan(static_cast<float>(a));
    else if constexpr (HostFloat<T>)
        return std::isnan(a);
    else if constexpr (Complex<T>)
        return std::isnan(a.real()) || std::isnan(a.imag());
    else
        return false;
}
template <class T> bool isinf(T a) {
    if constexpr (StorageFloat<T>)
        return std::isinf(static_cast<float>(a));
    else if constexpr (HostFloat<T>)
        return std::isinf(a);
    else if constexpr (Complex<T>)
        return std::isinf(a.real()) || std::isinf(a.imag());
    else
        return false;
}
template <class T> bool isfinite(T a) { return !scalar::isnan(a) && !scalar::isinf(a); }
/// Of a real part, where the number is complex.
template <class T> bool signbit(T a) {
    if constexpr (StorageFloat<T>)
        return (a.bits & 0x8000U) != 0;
    else if constexpr (HostFloat<T>)
        return std::signbit(a);
    else if constexpr (Complex<T>)
        return std::signbit(a.real());
    else
        return std::is_signed_v<T> && a < T(0);
}

// --- the smaller and the larger; zeros are ordered -0 < +0, which kernels promise for minimum and
//     maximum only ---

template <class T> T minimum(T a, T b) {
    if constexpr (Complex<T>) {
        return scalar::isnan(a) || scalar::le(a, b) ? a : b;
    } else if constexpr (StorageFloat<T>) {
        return detail::in_float<T>([](float x, float y) { return scalar::minimum(x, y); }, a, b);
    } else if constexpr (HostFloat<T>) {
        if (std::isnan(a)) return a;
        return std::isnan(b) || detail::precedes(b, a) ? b : a;
    } else {
        return b < a ? b : a;
    }
}
template <class T> T maximum(T a, T b) {
    if constexpr (Complex<T>) {
        return scalar::isnan(a) || scalar::ge(a, b) ? a : b;
    } else if constexpr (StorageFloat<T>) {
        return detail::in_float<T>([](float x, float y) { return scalar::maximum(x, y); }, a, b);
    } else if constexpr (HostFloat<T>) {
        if (std::isnan(a)) return a;
        return std::isnan(b) || detail::precedes(a, b) ? b : a;
    } else {
        return a < b ? b : a;
    }
}
template <class T> T fmin(T a, T b) {
    if (scalar::isnan(a) && !(Complex<T> && scalar::isnan(b))) return b;
    return scalar::isnan(b) ? a : scalar::minimum(a, b);
}
template <class T> T fmax(T a, T b) {
    if (scalar::isnan(a) && !(Complex<T> && scalar::isnan(b))) return b;
    return scalar::isnan(b) ? a : scalar::maximum(a, b);
}

// --- magnitude and sign ---

template <class T> auto abs(T a) {
    if constexpr (Boolean<T>)
        return a;
    else if constexpr (Integer<T>)
        return std::cmp_less(a, 0) ? scalar::neg(a) : a;
    else if constexpr (StorageFloat<T>)
        return T::from_bits(static_cast<std::uint16_t>(a.bits & 0x7fffU));
    else if constexpr (HostFloat<T>)
        return std::fabs(a);
    else
        return std::hypot(a.real(), a.imag());
}

/// a / |a|, 0 of zeros; an infinite part alone decides the direction, two have none.
template <Complex T> T direction(T a) {
    using R = typename T::value_type;
    const bool re = std::isinf(a.real()), im = std::isinf(a.imag());
    if (re != im)
        return re ? T(std::copysign(R(1), a.real())) : T(0, std::copysign(R(1), a.imag()));
    // Scaled, so that the modulus has all its digits.
    const R larger = std::fmax(std::fabs(a.real()), std::fabs(a.imag()));
    const R scale = larger > 1 ? R(0.25) : R(0x1p100);
    const R x = a.real() * scale, y = a.imag() * scale, modulus = std::hypot(x, y);
    if (modulus == 0) return T(0);
    return T(x / modulus, y / modulus);
}

template <class T> T sign(T a) {
    if constexpr (Boolean<T>) {
        return a;
    } else if constexpr (Complex<T>) {
        return scalar::direction(a);
    } else {
        if (scalar::isnan(a)) return a;
        const T zero = kiln::convert<T>(0.0F);
        return kiln::convert<T>(static_cast<float>(scalar::lt(zero, a)) -
                                static_cast<float>(scalar::lt(a, zero)));
    }
}

// --- rounding to integer values ---

namespace detail {
template <class T, class F> T rounded(T a, F f) {
    static_assert(Ordered<T>);
    if constexpr (StorageFloat<T>)
        return in_float<T>(f, a);
    else if constexpr (HostFloat<T>)
        return f(a);
    else
        return a;
}
}  // namespace detail

template <class T> T floor(T a) {
    return detail::rounded(a, [](auto x) { return std::floor(x); });
}
template <class T> T ceil(T a) {
    return detail::rounded(a, [](auto x) { return std::ceil(x); });
}
template <class T> T trunc(T a) {
    return detail::rounded(a, [](auto x) { return std::trunc(x); });
}
/// In the default rounding mode, which kiln never leaves.
template <class T> T rint(T a) {
    if constexpr (Complex<T>)
        return {std::nearbyint(a.real()), std::nearbyint(a.imag())};
    else
        return detail::rounded(a, [](auto x) { return std::nearbyint(x); });
}

template <class T> T sqrt(T a) {
    static_assert(Real<T> || Complex<T>);
    if constexpr (StorageFloat<T>)
        return detail::in_float<T>([](float x) { return std::sqrt(x); }, a);
    else
        return std::sqrt(a);
}

// --- choice and complex parts ---

template <class T> T select(bool condition, T a, T b) { return condition ? a : b; }

template <HostFloat R> std::complex<R> make_complex(R a, R b) { return {a, b}; }

template <class T> auto real(T a) {
    if constexpr (Complex<T>)
        return a.real();
    else
        return a;
}
template <class T> auto imag(T a) {
    if constexpr (Complex<T>)
        return a.imag();
    else
        return T{};
}
template <class T> T conj(T a) {
    if constexpr (Complex<T>)
        return std::conj(a);
    else
        return a;
}

// --- spellings that rows of ops.def use ---

template <HostFloat T> T exp10(T a) { return std::pow(T(10), a); }

// Those that C++ has of real numbers only.
template <HostFloat T> T exp2(T a) { return std::exp2(a); }
template <HostFloat T> T expm1(T a) { return std::expm1(a); }
template <HostFloat T> T log2(T a) { return std::log2(a); }
template <HostFloat T> T log1p(T a) { return std::log1p(a); }
template <Complex T> T exp2(T a) {
    return std::exp(a * std::numbers::ln2_v<typename T::value_type>);
}
template <Complex T> T expm1(T a) {
    const auto half = std::sin(a.imag() / 2);
    return {std::expm1(a.real()) * std::cos(a.imag()) - 2 * half * half,
            std::exp(a.real()) * std::sin(a.imag())};
}
template <Complex T> T log2(T a) {
    return std::log(a) * std::numbers::log2e_v<typename T::value_type>;
}
template <Complex T> T log1p(T a) {
    using R = typename T::value_type;
    const R x = a.real(), y = a.imag(), above = x * (2 + x) + y * y;  // |1 + a|^2 - 1
    const T log = std::log(T(1 + x, y));
    return {std::fabs(above) < R(0.5) ? std::log1p(above) / 2 : log.real(), log.imag()};
}

/// log |gamma(a)|; std::lgamma would write the sign into a global variable.
template <HostFloat T> T lgamma(T a) {
    int sign = 0;
    if constexpr (std::same_as<T, float>)
        return ::lgammaf_r(a, &sign);
    else if constexpr (std::same_as<T, double>)
        return ::lgamma_r(a, &sign);
    else
        return ::lgammal_r(a, &sign);
}

/// a ** b with wrapping products; 0 ** 0 is 1, and a negative exponent, which kernels guard with a
/// `check`, gives 0.
template <Integer T> T pow(T a, T b) {
    if (std::cmp_less(b, 0)) return T(0);
    T result = 1;
    for (auto left = static_cast<std::uint64_t>(b); left != 0; left >>= 1) {
        if ((left & 1) != 0) result = scalar::mul(result, a);
        a = scalar::mul(a, a);
    }
    return result;
}

/// a ** b with NumPy's corners: to the power 0 all is 1, to the power 1 itself, and 0 to a power
/// with a positive real part is 0, to any other NaN.
template <Complex T>
T pow(T a, T b) {
    using R = typename T::value_type;
    if (b == T(0)) return T(1);
    if (b == T(1)) return a;
    if (a == T(0)) {
        const R part = b.real() > 0 ? R(0) : std::numeric_limits<R>::quiet_NaN();
        return T(part, part);
    }
    return std::pow(a, b);
}

}  // namespace kiln::ir::scalar
