// The prelude, a piece per function. Pieces stand in an order in which each uses earlier ones only,
// and a piece is emitted when its name occurs in what follows it.
//
// The text is plain C++17 that needs no header; beside CUDA's math functions it uses only
// __builtin_bit_cast and, in device code, one PTX conversion. Semantics are those of ir.h.
#include "codegen/cuda/prelude.h"

#include <algorithm>
#include <vector>

namespace kiln::codegen {
namespace {

struct Piece {
    std::string_view name;
    std::string_view text;
};

constexpr Piece pieces[] = {
    {"kiln_is_real", R"(
template <class T> constexpr bool kiln_is_real = T(0.5) != T(0) && T(0.5) != T(1);
)"},
    {"kiln_is_signed", R"(
template <class T> constexpr bool kiln_is_signed = T(-1) < T(0);
)"},
    {"kiln_unsigned", R"(
// The unsigned type in which T's integer arithmetic wraps without being undefined.
template <class T, bool wide = (sizeof(T) > 4)> struct kiln_unsigned_of { using type = unsigned int; };
template <class T> struct kiln_unsigned_of<T, true> { using type = unsigned long long; };
template <class T> using kiln_unsigned = typename kiln_unsigned_of<T>::type;
)"},
    {"kiln_bits", R"(
__device__ inline unsigned int kiln_bits(float x) { return __builtin_bit_cast(unsigned int, x); }
__device__ inline unsigned long long kiln_bits(double x) { return __builtin_bit_cast(unsigned long long, x); }
)"},
    {"kiln_f32", R"(
__device__ inline float kiln_f32(unsigned int bits) { return __builtin_bit_cast(float, bits); }
)"},
    {"kiln_f64", R"(
__device__ inline double kiln_f64(unsigned long long bits) { return __builtin_bit_cast(double, bits); }
)"},
    {"kiln_to_odd", R"(
// As a float, rounded to odd: rounded once more, to 16 bits, it is as if it were rounded once.
__device__ inline float kiln_to_odd(double x) {
    const float near = (float)x;
    const double back = near;
    if (back == x) return near;
    const unsigned long long magnitude = 0x7fffffffffffffffull;
    const bool away = (kiln_bits(back) & magnitude) > (kiln_bits(x) & magnitude);
    return kiln_f32((kiln_bits(near) - (away ? 1u : 0u)) | 1u);
}
__device__ inline float kiln_to_odd(int x) { return kiln_to_odd((double)x); }
__device__ inline float kiln_to_odd(unsigned int x) { return kiln_to_odd((double)x); }
// From 2^53 on, that the lowest 12 bits are not all 0 becomes one bit.
__device__ inline float kiln_to_odd(unsigned long long x) {
    return kiln_to_odd((double)(x <= 1ull << 53 ? x : (x & ~0xfffull) | ((x & 0xfffull) != 0 ? 0x800ull : 0ull)));
}
__device__ inline float kiln_to_odd(long long x) {
    const bool exact = x <= 1ll << 53 && x >= -(1ll << 53);
    return kiln_to_odd((double)(exact ? x : (x & ~0xfffll) | ((x & 0xfffll) != 0 ? 0x800ll : 0ll)));
}
)"},
    {"kiln_f16", R"(
struct kiln_f16 { unsigned short bits; };
)"},
    {"kiln_f16_to_float", R"(
__device__ inline float kiln_f16_to_float(kiln_f16 h) {
#ifdef __CUDA_ARCH__
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h.bits));
    return x;
#else
    const unsigned int sign = (h.bits & 0x8000u) << 16, exponent = (h.bits >> 10) & 31u, fraction = h.bits & 0x3ffu;
    if (exponent == 31u) return __builtin_bit_cast(float, sign | 0x7f800000u | fraction << 13);
    if (exponent != 0u) return __builtin_bit_cast(float, sign | (exponent + 112u) << 23 | fraction << 13);
    return __builtin_bit_cast(float, sign | __builtin_bit_cast(unsigned int, (float)fraction * 5.9604644775390625e-8f));
#endif
}
)"},
    {"kiln_float_to_f16", R"(
// To nearest, ties to even.
__device__ inline kiln_f16 kiln_float_to_f16(float x) {
#ifdef __CUDA_ARCH__
    kiln_f16 h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h.bits) : "f"(x));
    return h;
#else
    const unsigned int in = __builtin_bit_cast(unsigned int, x), sign = (in >> 16) & 0x8000u;
    const unsigned int magnitude = in & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return {(unsigned short)(sign | 0x7e00u)};
    if (magnitude >= 0x477ff000u) return {(unsigned short)(sign | 0x7c00u)};
    if (magnitude >= 0x38800000u) {
        const unsigned int rebiased = magnitude - 0x38000000u;
        return {(unsigned short)(sign | (rebiased + 0xfffu + ((rebiased >> 13) & 1u)) >> 13)};
    }
    // Subnormal: adding 0.5 leaves the result's units in the last place, rounded.
    const float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
    return {(unsigned short)(sign | (__builtin_bit_cast(unsigned int, shifted) - 0x3f000000u))};
#endif
}
)"},
    {"kiln_bf16", R"(
struct kiln_bf16 { unsigned short bits; };
)"},
    {"kiln_bf16_to_float", R"(
__device__ inline float kiln_bf16_to_float(kiln_bf16 h) {
    return __builtin_bit_cast(float, (unsigned int)h.bits << 16);
}
)"},
    {"kiln_float_to_bf16", R"(
// To nearest, ties to even.
__device__ inline kiln_bf16 kiln_float_to_bf16(float x) {
    const unsigned int in = __builtin_bit_cast(unsigned int, x);
    const bool is_nan = (in & 0x7fffffffu) > 0x7f800000u;
    return {(unsigned short)((is_nan ? in | 0x400000u : in + 0x7fffu + ((in >> 16) & 1u)) >> 16)};
}
)"},
    {"kiln_vector", R"(
// Elements that are loaded and stored at once.
template <class T, int n> struct alignas(n * sizeof(T) < 16 ? n * sizeof(T) : 16) kiln_vector { T at[n]; };
)"},
    {"kiln_is_aligned", R"(
template <class T, int n> __device__ inline bool kiln_is_aligned(const T* p) {
    return (unsigned long long)p % alignof(kiln_vector<T, n>) == 0;
}
)"},
    {"kiln_complex", R"(
template <class T> struct kiln_complex { T re, im; };
)"},
    {"kiln_make_complex", R"(
template <class T> __device__ inline kiln_complex<T> kiln_make_complex(T re, T im) { return {re, im}; }
)"},
    {"kiln_real", R"(
template <class T> __device__ inline T kiln_real(kiln_complex<T> z) { return z.re; }
)"},
    {"kiln_imag", R"(
template <class T> __device__ inline T kiln_imag(kiln_complex<T> z) { return z.im; }
)"},
    {"kiln_conj", R"(
template <class T> __device__ inline kiln_complex<T> kiln_conj(kiln_complex<T> z) { return {z.re, -z.im}; }
)"},
    {"kiln_isnan", R"(
// By the bits, so that no compiler flag folds it away.
__device__ inline bool kiln_isnan(float x) { return (kiln_bits(x) & 0x7fffffffu) > 0x7f800000u; }
__device__ inline bool kiln_isnan(double x) { return (kiln_bits(x) & 0x7fffffffffffffffull) > 0x7ff0000000000000ull; }
)"},
    {"kiln_isinf", R"(
__device__ inline bool kiln_isinf(float x) { return (kiln_bits(x) & 0x7fffffffu) == 0x7f800000u; }
__device__ inline bool kiln_isinf(double x) { return (kiln_bits(x) & 0x7fffffffffffffffull) == 0x7ff0000000000000ull; }
)"},
    {"kiln_isfinite", R"(
__device__ inline bool kiln_isfinite(float x) { return (kiln_bits(x) & 0x7fffffffu) < 0x7f800000u; }
__device__ inline bool kiln_isfinite(double x) { return (kiln_bits(x) & 0x7fffffffffffffffull) < 0x7ff0000000000000ull; }
)"},
    {"kiln_signbit", R"(
__device__ inline bool kiln_signbit(float x) { return kiln_bits(x) >> 31 != 0; }
__device__ inline bool kiln_signbit(double x) { return kiln_bits(x) >> 63 != 0; }
)"},
    {"kiln_saturate", R"(
// A float as the integer To: truncated, clamped to To's range; NaN gives 0.
template <class To, class From> __device__ inline To kiln_saturate(From x) {
    constexpr unsigned int bits = 8 * sizeof(To);
    constexpr To smallest = kiln_is_signed<To> ? To(1ull << (bits - 1)) : To(0);
    constexpr To largest = To(~smallest);
    // Powers of two, exact in From.
    constexpr From above = From(kiln_is_signed<To> ? 1ull << (bits - 2) : 1ull << (bits - 1)) * From(2);
    if (x != x) return 0;
    if (x >= above) return largest;
    if (x <= (kiln_is_signed<To> ? -above : From(0))) return smallest;
    return To(x);
}
)"},
    {"kiln_div", R"(
template <class T> __device__ inline T kiln_div(T a, T b) {
    if constexpr (kiln_is_real<T>) {
        return a / b;
    } else {
        if (b == T(0)) return T(0);
        if constexpr (kiln_is_signed<T>)
            if (b == T(-1)) return T(kiln_unsigned<T>(0) - kiln_unsigned<T>(a));
        return T(a / b);
    }
}
)"},
    {"kiln_fmod", R"(
template <class T> __device__ inline T kiln_fmod(T a, T b) {
    if constexpr (kiln_is_real<T>) {
        return fmod(a, b);
    } else {
        if (b == T(0)) return T(0);
        if constexpr (kiln_is_signed<T>)
            if (b == T(-1)) return T(0);
        return T(a % b);
    }
}
)"},
    {"kiln_rem", R"(
template <class T> __device__ inline T kiln_rem(T a, T b) { return kiln_fmod(a, b); }
)"},
    {"kiln_floored", R"(
// The floored quotient of floats (of a zero divisor: a / b) and, in `remainder`, what is left.
template <class T> __device__ inline T kiln_floored(T a, T b, T& remainder) {
    remainder = fmod(a, b);
    if (b == T(0)) return a / b;
    T quotient = (a - remainder) / b;
    if (remainder != T(0)) {
        if ((b < T(0)) != (remainder < T(0))) {
            remainder += b;
            quotient -= T(1);
        }
    } else {
        remainder = copysign(T(0), b);
    }
    if (quotient == T(0)) return copysign(T(0), a / b);
    const T rounded = floor(quotient);
    return quotient - rounded > T(0.5) ? rounded + T(1) : rounded;
}
)"},
    {"kiln_floor_divide", R"(
template <class T> __device__ inline T kiln_floor_divide(T a, T b) {
    if constexpr (kiln_is_real<T>) {
        T remainder;
        return kiln_floored(a, b, remainder);
    } else {
        const T quotient = kiln_div(a, b), remainder = kiln_fmod(a, b);
        return remainder != T(0) && (remainder < T(0)) != (b < T(0)) ? T(quotient - T(1)) : quotient;
    }
}
)"},
    {"kiln_mod", R"(
template <class T> __device__ inline T kiln_mod(T a, T b) {
    if constexpr (kiln_is_real<T>) {
        T remainder;
        kiln_floored(a, b, remainder);
        return remainder;
    } else {
        const T remainder = kiln_fmod(a, b);
        return remainder != T(0) && (remainder < T(0)) != (b < T(0)) ? T(remainder + b) : remainder;
    }
}
)"},
    {"kiln_bit_not", R"(
template <class T> __device__ inline T kiln_bit_not(T a) { return T(~a); }
__device__ inline bool kiln_bit_not(bool a) { return !a; }
)"},
    {"kiln_shl", R"(
// 0 for amounts outside [0, width).
template <class T> __device__ inline T kiln_shl(T a, T b) {
    return kiln_unsigned<T>(b) < 8 * sizeof(T) ? T(kiln_unsigned<T>(a) << kiln_unsigned<T>(b)) : T(0);
}
)"},
    {"kiln_shr", R"(
// The sign for amounts outside [0, width).
template <class T> __device__ inline T kiln_shr(T a, T b) {
    return kiln_unsigned<T>(b) < 8 * sizeof(T) ? T(a >> b) : a < T(0) ? T(-1) : T(0);
}
)"},
    {"kiln_before", R"(
// a before b in an order with -0 before +0; of numbers that are not NaN.
template <class T> __device__ inline bool kiln_before(T a, T b) {
    if constexpr (kiln_is_real<T>) return a < b || (a == b && kiln_signbit(a) && !kiln_signbit(b));
    else return a < b;
}
)"},
    {"kiln_minimum", R"(
template <class T> __device__ inline T kiln_minimum(T a, T b) {
    if constexpr (kiln_is_real<T>) {
        if (kiln_isnan(a)) return a;
        if (kiln_isnan(b)) return b;
    }
    return kiln_before(b, a) ? b : a;
}
)"},
    {"kiln_maximum", R"(
template <class T> __device__ inline T kiln_maximum(T a, T b) {
    if constexpr (kiln_is_real<T>) {
        if (kiln_isnan(a)) return a;
        if (kiln_isnan(b)) return b;
    }
    return kiln_before(a, b) ? b : a;
}
)"},
    {"kiln_fmin", R"(
template <class T> __device__ inline T kiln_fmin(T a, T b) {
    if constexpr (kiln_is_real<T>) {
        if (kiln_isnan(a)) return b;
        if (kiln_isnan(b)) return a;
    }
    return kiln_before(b, a) ? b : a;
}
)"},
    {"kiln_fmax", R"(
template <class T> __device__ inline T kiln_fmax(T a, T b) {
    if constexpr (kiln_is_real<T>) {
        if (kiln_isnan(a)) return b;
        if (kiln_isnan(b)) return a;
    }
    return kiln_before(a, b) ? b : a;
}
)"},
    {"kiln_abs", R"(
template <class T> __device__ inline T kiln_abs(T a) {
    if constexpr (kiln_is_real<T>) return fabs(a);
    else return a < T(0) ? T(kiln_unsigned<T>(0) - kiln_unsigned<T>(a)) : a;
}
)"},
    {"kiln_sign", R"(
template <class T> __device__ inline T kiln_sign(T a) {
    if constexpr (kiln_is_real<T>)
        if (kiln_isnan(a)) return a;
    return T((a > T(0)) - (a < T(0)));
}
)"},
    {"kiln_pow", R"(
__device__ inline float kiln_pow(float a, float b) { return pow(a, b); }
__device__ inline double kiln_pow(double a, double b) { return pow(a, b); }
// Integers by squaring, wrapping; 0 for negative exponents.
template <class T> __device__ inline T kiln_pow(T a, T b) {
    if (b < T(0)) return T(0);
    kiln_unsigned<T> result = 1, square = kiln_unsigned<T>(a);
    for (kiln_unsigned<T> left = kiln_unsigned<T>(b); left != 0; left >>= 1) {
        if ((left & 1) != 0) result *= square;
        square *= square;
    }
    return T(result);
}
)"},
    {"kiln_sums", R"(
// A sum of floats in a loop: each iteration has its own, `block` of them are added one after the
// other, and blocks pair by pair.
template <class T, int block> struct kiln_sums {
    T before, own, blocks[60];
    unsigned long long count = 0;
    int in_block = -1;
    __device__ inline explicit kiln_sums(T s) : before(s) {}
    __device__ inline void take(T s) {
        own = in_block == 0 ? s : own + s;
        if (++in_block == block) push();
    }
    __device__ inline void push() {
        int level = 0;
        for (unsigned long long left = count; (left & 1) != 0; left >>= 1) {
            own = blocks[level] + own;
            ++level;
        }
        blocks[level] = own;
        ++count;
        in_block = 0;
    }
    // Where an iteration begins: s was the sum of the one before.
    __device__ inline void next(T& s) {
        if (in_block < 0) in_block = 0;
        else take(s);
        s = T(-0.0);
    }
    __device__ inline void end(T& s) {
        if (in_block >= 0) {
            take(s);
            if (in_block > 0) push();
            int level = 0;
            while ((count >> level & 1) == 0) ++level;
            own = blocks[level];
            for (++level; count >> level != 0; ++level)
                if ((count >> level & 1) != 0) own = blocks[level] + own;
            before = before + own;
        }
        s = before;
    }
};
)"},
    {"kiln_atomic", R"(
// An element becomes f of what it is; gives what it was. By words of 4 or 8 bytes.
template <class T, class F> __device__ inline T kiln_atomic(T* at, F f) {
    if constexpr (sizeof(T) == 8) {
        auto* word = (unsigned long long*)at;
        unsigned long long seen = *(volatile unsigned long long*)word, old;
        do {
            old = seen;
            seen = atomicCAS(word, old, __builtin_bit_cast(unsigned long long, f(__builtin_bit_cast(T, old))));
        } while (seen != old);
        return __builtin_bit_cast(T, old);
    } else if constexpr (sizeof(T) == 4) {
        auto* word = (unsigned int*)at;
        unsigned int seen = *(volatile unsigned int*)word, old;
        do {
            old = seen;
            seen = atomicCAS(word, old, __builtin_bit_cast(unsigned int, f(__builtin_bit_cast(T, old))));
        } while (seen != old);
        return __builtin_bit_cast(T, old);
    } else {
        const unsigned long long address = (unsigned long long)at;
        auto* word = (unsigned int*)(address & ~3ull);
        const unsigned int shift = 8 * (unsigned int)(address & 3ull), mask = (1u << 8 * sizeof(T)) - 1u;
        unsigned int seen = *(volatile unsigned int*)word, old;
        T was;
        do {
            old = seen;
            was = T(old >> shift & mask);
            seen = atomicCAS(word, old, (old & ~(mask << shift)) | (((unsigned int)f(was) & mask) << shift));
        } while (seen != old);
        return was;
    }
}
)"},
    {"kiln_atomic_add", R"(
__device__ inline int kiln_atomic_add(int* at, int x) { return atomicAdd(at, x); }
__device__ inline unsigned int kiln_atomic_add(unsigned int* at, unsigned int x) { return atomicAdd(at, x); }
__device__ inline unsigned long long kiln_atomic_add(unsigned long long* at, unsigned long long x) { return atomicAdd(at, x); }
__device__ inline long long kiln_atomic_add(long long* at, long long x) {
    return (long long)atomicAdd((unsigned long long*)at, (unsigned long long)x);
}
__device__ inline float kiln_atomic_add(float* at, float x) { return atomicAdd(at, x); }
__device__ inline double kiln_atomic_add(double* at, double x) { return atomicAdd(at, x); }
)"},
    {"kiln_exchange", R"(
template <class T>
__device__ inline T kiln_exchange(T* at, T value) {
    if constexpr (sizeof(T) == 4)
        return __builtin_bit_cast(T, atomicExch((unsigned int*)at, __builtin_bit_cast(unsigned int, value)));
    else
        return __builtin_bit_cast(T, atomicExch((unsigned long long*)at, __builtin_bit_cast(unsigned long long, value)));
}
)"},
    {"kiln_compare_exchange", R"(
template <class T>
__device__ inline T kiln_compare_exchange(T* at, T expected, T value) {
    if constexpr (sizeof(T) == 4)
        return (T)atomicCAS((unsigned int*)at, (unsigned int)expected, (unsigned int)value);
    else
        return (T)atomicCAS((unsigned long long*)at, (unsigned long long)expected, (unsigned long long)value);
}
)"},
    {"kiln_check", R"(
// Records the failed check of the lowest iteration, and there the first site.
__device__ inline void kiln_check(unsigned long long* fault, long long iteration, unsigned int site, bool ok) {
    if (!ok) atomicMin(fault, (unsigned long long)iteration << 16 | site);
}
)"},
};

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool mentions(std::string_view text, std::string_view name) {
    for (std::size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
        const std::size_t end = at + name.size();
        if ((at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end])))
            return true;
    }
    return false;
}

}  // namespace

std::string cuda_prelude_for(std::string_view text) {
    std::vector<std::string_view> needed;
    for (std::size_t i = std::size(pieces); i-- > 0;) {
        const std::string_view name = pieces[i].name;
        const auto uses = [&](std::string_view later) { return mentions(later, name); };
        if (uses(text) || std::ranges::any_of(needed, uses)) needed.push_back(pieces[i].text);
    }
    std::string result;
    for (auto it = needed.rbegin(); it != needed.rend(); ++it) result += it->substr(1);
    return result;
}

bool is_cuda_prelude_name(std::string_view name) {
    return std::ranges::any_of(pieces, [&](const Piece& p) { return mentions(p.text, name); });
}

}  // namespace kiln::codegen
