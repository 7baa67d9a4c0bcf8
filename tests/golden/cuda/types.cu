struct kiln_f16 { unsigned short bits; };
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
template <class T> struct kiln_complex { T re, im; };
template <class T> __device__ inline kiln_complex<T> kiln_make_complex(T re, T im) { return {re, im}; }
template <class T> __device__ inline T kiln_real(kiln_complex<T> z) { return z.re; }
template <class T> __device__ inline T kiln_imag(kiln_complex<T> z) { return z.im; }

extern "C" __global__ void kiln_two_words(long long n, const kiln_f16* int_,
                                          const kiln_complex<float>* z, kiln_f16* n_,
                                          kiln_complex<float>* w)
{
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += step) {
        const kiln_f16 v0 = int_[i];
        const float v1 = kiln_f16_to_float(v0);
        const float v2 = v1 * 2.0f;
        const kiln_f16 v3 = kiln_float_to_f16(v2);
        n_[i] = v3;
        const kiln_complex<float> v4 = z[i];
        const float v5 = kiln_real(v4);
        const float v6 = kiln_imag(v4);
        const float v7 = v5 * v5;
        const float v8 = v6 * v6;
        const float v9 = v5 * v6;
        const float v10 = v7 - v8;
        const float v11 = v9 + v9;
        const kiln_complex<float> v12 = kiln_make_complex(v10, v11);
        w[i] = v12;
    }
}
