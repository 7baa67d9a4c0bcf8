// Element types: the DType enumeration, promotion (NumPy's NEP 50), casting rules, scalars.
#pragma once
#include <kiln/complex.h>
#include <kiln/float16.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>

namespace kiln {

/// The classes of dtypes, in promotion order.
enum class Kind : std::uint8_t { boolean, signed_integer, unsigned_integer, real, complex };
/// What the elements of an array are: the rows of dtype.def.
enum class DType : std::uint8_t {
#define KILN_DTYPE(id, name, cpp, cuda, kind, bits, compute, npy) id,
#include <kiln/dtype.def>
#undef KILN_DTYPE
};
/// What is to be known of a dtype: its row of dtype.def.
struct DTypeInfo {
    std::string_view name;  ///< as it is printed: "f32"
    std::string_view cuda;  ///< in CUDA C++: "float"
    Kind kind;              ///< its class
    std::uint8_t size;      ///< bytes of an element in memory
    DType compute;          ///< what arithmetic on it is carried out in
    std::string_view npy;   ///< NumPy's descriptor without byte order; empty: NumPy has none
};
/// All dtypes, in the order of DType, and how many there are.
inline constexpr DTypeInfo dtype_table[] = {
#define KILN_DTYPE(id, name, cpp, cuda, kind, bits, compute, npy) \
    {name, cuda, Kind::kind, (bits) / 8, DType::compute, npy},
#include <kiln/dtype.def>
#undef KILN_DTYPE
};
inline constexpr std::size_t dtype_count = sizeof dtype_table / sizeof dtype_table[0];
/// The row of a dtype, its printed name, its class.
constexpr const DTypeInfo& info(DType t) { return dtype_table[static_cast<std::size_t>(t)]; }
constexpr std::string_view name(DType t) { return info(t).name; }
constexpr Kind kind_of(DType t) { return info(t).kind; }
/// Bytes of one element in memory.
constexpr std::size_t size_of(DType t) { return info(t).size; }
constexpr DType compute_type(DType t) { return info(t).compute; }
constexpr bool is_bool(DType t) { return t == DType::bool_; }
constexpr bool is_signed(DType t) { return kind_of(t) == Kind::signed_integer; }
constexpr bool is_unsigned(DType t) { return kind_of(t) == Kind::unsigned_integer; }
constexpr bool is_integer(DType t) { return is_signed(t) || is_unsigned(t); }
constexpr bool is_real(DType t) { return kind_of(t) == Kind::real; }
constexpr bool is_complex(DType t) { return kind_of(t) == Kind::complex; }

/// The DType of a C++ element type. `dtype_of<T>` is defined for the types of the table and for
/// the other C++ integers (long long, char, wchar_t ...) by their size and sign.
template <class T> struct DTypeOf;
#define KILN_DTYPE(id, name, cpp, cuda, kind, bits, compute, npy) \
    template <> struct DTypeOf<cpp> {                             \
        static constexpr DType value = DType::id;                 \
    };
#include <kiln/dtype.def>
#undef KILN_DTYPE
template <class T>
    requires(std::is_integral_v<T>)
struct DTypeOf<T> {
    static constexpr int log2_size = sizeof(T) == 1   ? 0
                                     : sizeof(T) == 2 ? 1
                                     : sizeof(T) == 4 ? 2
                                                      : 3;
    static constexpr DType value = static_cast<DType>(
        static_cast<int>(std::is_signed_v<T> ? DType::i8 : DType::u8) + log2_size);
};
template <class T> inline constexpr DType dtype_of = DTypeOf<std::remove_cv_t<T>>::value;  ///< of T

/// The C++ type of one element: `element_t<DType::f32>` is float.
template <DType D> struct ElementOf;
#define KILN_DTYPE(id, name, cpp, cuda, kind, bits, compute, npy) \
    template <> struct ElementOf<DType::id> {                     \
        using type = cpp;                                         \
    };
#include <kiln/dtype.def>
#undef KILN_DTYPE
template <DType D> using element_t = typename ElementOf<D>::type;  ///< the C++ type

/// A C++ type that can be one element of an Array.
template <class T>
concept Element = requires { DTypeOf<std::remove_cv_t<T>>::value; };

/// Calls f(std::type_identity<T>{}) with the C++ element type of `t`.
template <class F> constexpr decltype(auto) visit_dtype(DType t, F&& f) {
    switch (t) {
#define KILN_DTYPE(id, name, cpp, cuda, kind, bits, compute, npy) \
    case DType::id: return f(std::type_identity<cpp>{});
#include <kiln/dtype.def>
#undef KILN_DTYPE
    }
    __builtin_unreachable();
}

/// f32 for c64, f64 for c128, the type itself otherwise.
constexpr DType real_type(DType t) {
    return t == DType::c64 ? DType::f32 : t == DType::c128 ? DType::f64 : t;
}
/// The smallest complex type that holds `t` exactly where there is one: c64 up to f32, else c128.
DType complex_type(DType t);

namespace detail {
constexpr DType signed_of_bytes(std::size_t bytes) {
    return bytes == 1 ? DType::i8 : bytes == 2 ? DType::i16 : bytes == 4 ? DType::i32 : DType::i64;
}
/// The smallest real type that represents every value of `t` that fits the rule of NumPy: 1-byte
/// integers f16, 2-byte integers f32, wider ones f64.
constexpr DType real_for(DType t) {
    if (is_real(t)) return t;
    if (is_complex(t)) return real_type(t);
    return size_of(t) == 1 ? DType::f16 : size_of(t) == 2 ? DType::f32 : DType::f64;
}
constexpr DType promote_real(DType a, DType b) {  // both real
    if (a == b) return a;
    if (size_of(a) == 2 && size_of(b) == 2) return DType::f32;  // f16 with bf16
    return size_of(a) > size_of(b) ? a : b;
}
}  // namespace detail

/// The dtype that an operation between `a` and `b` computes in, NumPy's rule (NEP 50). Symmetric.
constexpr DType promote(DType a, DType b) {
    if (a == b || is_bool(b)) return a;
    if (is_bool(a)) return b;
    if (is_complex(a) || is_complex(b)) {
        const DType real = detail::promote_real(detail::real_for(a), detail::real_for(b));
        return real == DType::f64 ? DType::c128 : DType::c64;
    }
    if (is_real(a) || is_real(b)) {
        const DType real = is_real(a) ? a : b, other = is_real(a) ? b : a;
        // Every 1-byte integer is exact in bf16 too.
        if (!is_real(other) && size_of(other) == 1) return real;
        return detail::promote_real(detail::real_for(a), detail::real_for(b));
    }
    if (is_signed(a) == is_signed(b)) return size_of(a) > size_of(b) ? a : b;
    const DType s = is_signed(a) ? a : b, u = is_signed(a) ? b : a;
    if (size_of(s) > size_of(u)) return s;
    return size_of(u) == 8 ? DType::f64 : detail::signed_of_bytes(2 * size_of(u));
}

/// The dtype that a strong operand of dtype `strong` and a weak C++ value of type `weak` compute
/// in: the weak one brings only its kind (bool < integer < real < complex).
constexpr DType promote_weak(DType strong, DType weak) {
    if (is_bool(weak)) return strong;
    if (is_integer(weak)) return is_bool(strong) ? DType::i64 : strong;
    if (is_real(weak)) return is_real(strong) || is_complex(strong) ? strong : DType::f64;
    if (is_complex(strong)) return strong;
    return is_real(strong) && strong != DType::f64 ? DType::c64 : DType::c128;
}

/// How far a conversion may go, NumPy's names.
enum class Casting : std::uint8_t {
    no,         ///< equal dtypes only
    equiv,      ///< the same as `no`: kiln has no byte orders
    safe,       ///< every value is preserved (promote(from, to) == to)
    same_kind,  ///< safe, or within a kind (f64 -> f32, i64 -> i8), or to a later kind
    unsafe,     ///< anything; float -> integer saturates, NaN becomes 0
};
std::string_view name(Casting casting);                ///< "same_kind"
bool can_cast(DType from, DType to, Casting casting);  ///< whether it goes so far

/// One value of any dtype. `weak` tells a plain C++ value (which brings only its kind into a
/// promotion) from a typed one such as f64(2.0).
struct Scalar {
    alignas(16) std::array<std::byte, 16> bytes{};  ///< the value, as in memory
    DType dtype = DType::f64;                       ///< of the value
    bool weak = false;                              ///< brings only its kind

    Scalar() = default;
    template <Element T> static Scalar of(T value, bool weak = false) {  ///< of a C++ value
        Scalar s;
        s.dtype = dtype_of<T>;
        s.weak = weak;
        std::memcpy(s.bytes.data(), &value, sizeof value);
        return s;
    }
    /// The value as T: as it is where T is the C++ type of `dtype` (by size and kind), converted
    /// where that is safe (Casting::safe: f32 -> double, i64 -> double). Else Error type, which
    /// names both: cast() converts between any two.
    template <Element T>
    T get(std::source_location where = std::source_location::current()) const {
        if (dtype != dtype_of<T>) [[unlikely]]
            return safe_cast(dtype_of<T>, where).template get<T>(where);
        T value;
        std::memcpy(&value, bytes.data(), sizeof value);
        return value;
    }
    /// The value converted where Casting::safe allows it. Errors: type.
    Scalar safe_cast(DType to, std::source_location where = std::source_location::current()) const;
    /// The value converted as `astype` converts: integers wrap, float -> integer saturates,
    /// NaN -> 0, complex -> real drops the imaginary part.
    Scalar cast(DType to) const;
};

/// The conversion of `astype` and of casts in kernels, for one value.
template <class To, class From> constexpr To convert(From value);

/// The types of one compiled loop: f32(f32, f32) takes two f32 and gives one.
struct Signature {
    static constexpr std::size_t max_types = 12;  ///< inputs and outputs together
    std::array<DType, max_types> types{};         ///< inputs, then outputs
    std::uint8_t inputs = 0;                      ///< how many
    std::uint8_t outputs = 0;                     ///< how many
    bool operator==(const Signature&) const = default;
};

/// The type of an argument of a signature: dtype and rank. f32 is a scalar, f32[1] a vector.
struct ArgType {
    DType dtype = DType::f64;  ///< of its elements
    std::uint8_t rank = 0;     ///< dimensions; 0: a scalar
    bool operator==(const ArgType&) const = default;
};

/// A dtype's name in user code: f32 is a DType, f32(2.5) a strong scalar, f32[2] a rank-2
/// argument type, f64(f32, i32) a signature.
struct DTypeName {
    DType id;  ///< the dtype that it names
    constexpr operator DType() const { return id; }
    constexpr operator ArgType() const { return {id, 0}; }
    constexpr ArgType operator[](int rank) const { return {id, static_cast<std::uint8_t>(rank)}; }
    template <class T>
        requires(Element<T> && !std::is_same_v<T, DType>)
    Scalar operator()(T value) const {
        return Scalar::of(value).cast(id);
    }
    template <class... Names>
        requires(sizeof...(Names) + 1 <= Signature::max_types &&
                 (std::is_same_v<Names, DTypeName> && ...))
    constexpr Signature operator()(Names... inputs) const {
        Signature s;
        ((s.types[s.inputs++] = inputs.id), ...);
        s.types[s.inputs] = id;
        s.outputs = 1;
        return s;
    }
};

#define KILN_DTYPE(id, name, cpp, cuda, kind, bits, compute, npy) \
    inline constexpr DTypeName id{DType::id};
#include <kiln/dtype.def>
#undef KILN_DTYPE

namespace detail {
template <class T> struct IsComplex : std::false_type {};
template <class T> struct IsComplex<std::complex<T>> : std::true_type {};
template <class T> inline constexpr bool is_storage_float =
    std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>;

template <class To, class From> constexpr To real_to_integer(From value) {
    using Limits = std::numeric_limits<To>;
    // The bounds are powers of two (or zero), so they are exact in any binary format; the upper
    // one is the first value too large.
    constexpr From low = static_cast<From>(Limits::min());
    constexpr From high = static_cast<From>(Limits::max() / 2 + 1) * 2;
    if (!(value == value)) return 0;
    if (value <= low) return Limits::min();
    if (value >= high) return Limits::max();
    return static_cast<To>(value);
}
}  // namespace detail

template <class To, class From> constexpr To convert(From value) {
    if constexpr (std::is_same_v<To, From>) {
        return value;
    } else if constexpr (detail::is_storage_float<From>) {
        return convert<To>(static_cast<float>(value));
    } else if constexpr (detail::IsComplex<From>::value) {
        if constexpr (std::is_same_v<To, bool>) {
            return value.real() != 0 || value.imag() != 0;
        } else if constexpr (detail::IsComplex<To>::value) {
            using R = typename To::value_type;
            return To(static_cast<R>(value.real()), static_cast<R>(value.imag()));
        } else {
            return convert<To>(value.real());
        }
    } else if constexpr (std::is_same_v<To, bool>) {
        return value != From(0);
    } else if constexpr (detail::IsComplex<To>::value) {
        return To(convert<typename To::value_type>(value), 0);
    } else if constexpr (detail::is_storage_float<To>) {
        if constexpr (std::is_same_v<From, double>)
            return To(value);
        else if constexpr (std::is_integral_v<From> && sizeof(From) > 2)
            return To(detail::to_real(value));
        else
            return To(static_cast<float>(value));
    } else if constexpr (std::is_integral_v<To> && std::is_floating_point_v<From>) {
        return detail::real_to_integer<To>(value);
    } else {
        return static_cast<To>(value);
    }
}

}  // namespace kiln
