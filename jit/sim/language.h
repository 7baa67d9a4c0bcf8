// CUDA's words for a compiler of the host: what CUDA text needs that runs on the CPU. Read in front of
// such text, by Clang within libkiln_sim and by the compiler of the tests; includes nothing, since
// neither headers of CUDA nor of the system need be there.
//
// What threads share is behind the functions named kiln_sim_*: blocks.h runs the threads.
#pragma once

#define __device__
#define __global__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#ifdef KILN_SIM_WATCHED
#define __shared__ static __attribute__((section("kiln_shared")))
#define kiln_sim_apart __attribute__((noinline, no_sanitize("thread")))
#else
#define __shared__ static
#define kiln_sim_apart
#endif

struct kiln_sim_dim {
    unsigned int x, y, z;
};
extern "C" {
extern kiln_sim_dim kiln_sim_thread, kiln_sim_block, kiln_sim_threads, kiln_sim_blocks;
extern unsigned char kiln_sim_dynamic_shared[];
void kiln_sim_barrier(const char* file, unsigned int line);
/// A barrier, and of how many threads of the block the argument is true.
unsigned int kiln_sim_barrier_count(int holds, const char* file, unsigned int line);
void kiln_sim_atomic(const void* at, unsigned int bytes, const char* file, unsigned int line);
/// What lane `from` of the warp gives, once all lanes of the mask are here.
unsigned long long kiln_sim_exchange(unsigned int mask, unsigned long long value, unsigned int from,
                                     const char* file, unsigned int line);
}
#define threadIdx kiln_sim_thread
#define blockIdx kiln_sim_block
#define blockDim kiln_sim_threads
#define gridDim kiln_sim_blocks

inline void __syncthreads(const char* file = __builtin_FILE(),
                          unsigned int line = __builtin_LINE()) {
    kiln_sim_barrier(file, line);
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

#define KILN_SIM_LINE const char *file = __builtin_FILE(), unsigned int line = __builtin_LINE()
inline int __syncthreads_count(int holds, KILN_SIM_LINE) {
    return (int)kiln_sim_barrier_count(holds, file, line);
}
inline int __syncthreads_and(int holds, KILN_SIM_LINE) {
    return kiln_sim_barrier_count(holds, file, line) == blockDim.x * blockDim.y * blockDim.z;
}
inline int __syncthreads_or(int holds, KILN_SIM_LINE) {
    return kiln_sim_barrier_count(holds, file, line) != 0;
}
inline unsigned int kiln_sim_number() {
    return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
}
inline unsigned int kiln_sim_lane() { return kiln_sim_number() % 32; }
/// Those lanes of a mask that are there: the last warp of a block may have fewer than 32.
inline unsigned int kiln_sim_there(unsigned int mask) {
    const unsigned int lanes = blockDim.x * blockDim.y * blockDim.z - kiln_sim_number() / 32 * 32;
    return lanes < 32 ? mask & ((1u << lanes) - 1) : mask;
}
inline void __syncwarp(unsigned int mask = ~0u, KILN_SIM_LINE) {
    kiln_sim_exchange(kiln_sim_there(mask), 0, kiln_sim_lane(), file, line);
}
template <class T>
inline T kiln_sim_shuffled(unsigned int mask, T value, unsigned int from, const char* file,
                           unsigned int line) {
    unsigned long long bits = 0;
    __builtin_memcpy(&bits, &value, sizeof(T));
    bits = kiln_sim_exchange(kiln_sim_there(mask), bits, from, file, line);
    __builtin_memcpy(&value, &bits, sizeof(T));
    return value;
}
// A lane beyond its part of the warp gives its own value, and numbers of lanes are taken modulo 32, as on
// a device.
template <class T>
inline T __shfl_sync(unsigned int mask, T value, int from, int width = 32, KILN_SIM_LINE) {
    const unsigned int lane = kiln_sim_lane(), part = lane - lane % width;
    return kiln_sim_shuffled(mask, value, part + (unsigned int)from % width, file, line);
}
template <class T>
inline T __shfl_down_sync(unsigned int mask, T value, unsigned int by, int width = 32,
                          KILN_SIM_LINE) {
    const unsigned int lane = kiln_sim_lane();
    by %= 32;
    return kiln_sim_shuffled(mask, value, lane % width + by < width ? lane + by : lane, file, line);
}
template <class T>
inline T __shfl_up_sync(unsigned int mask, T value, unsigned int by, int width = 32,
                        KILN_SIM_LINE) {
    const unsigned int lane = kiln_sim_lane();
    by %= 32;
    return kiln_sim_shuffled(mask, value, lane % width >= by ? lane - by : lane, file, line);
}
template <class T>
inline T __shfl_xor_sync(unsigned int mask, T value, int with, int width = 32, KILN_SIM_LINE) {
    const unsigned int lane = kiln_sim_lane(), other = lane ^ (unsigned int)with % 32;
    return kiln_sim_shuffled(mask, value, other / width <= lane / width ? other : lane, file, line);
}
inline unsigned int __ballot_sync(unsigned int mask, int holds, KILN_SIM_LINE) {
    unsigned int all = 0;
    mask = kiln_sim_there(mask);
    for (unsigned int lane = 0; lane < 32; ++lane)
        if ((mask >> lane & 1) != 0)
            all |= (unsigned int)(kiln_sim_exchange(mask, holds != 0, lane, file, line)) << lane;
    return all;
}
template <class T>
inline unsigned int __match_any_sync(unsigned int mask, T value, KILN_SIM_LINE) {
    unsigned long long bits = 0;
    __builtin_memcpy(&bits, &value, sizeof(T));
    unsigned int all = 0;
    mask = kiln_sim_there(mask);
    for (unsigned int lane = 0; lane < 32; ++lane)
        if ((mask >> lane & 1) != 0 && kiln_sim_exchange(mask, bits, lane, file, line) == bits)
            all |= 1u << lane;
    return all;
}
inline int __any_sync(unsigned int mask, int holds, KILN_SIM_LINE) {
    return __ballot_sync(mask, holds, file, line) != 0;
}
inline int __all_sync(unsigned int mask, int holds, KILN_SIM_LINE) {
    return __ballot_sync(mask, holds, file, line) == kiln_sim_there(mask);
}

// Threads take turns at barriers alone, so what follows is atomic as it stands.
#define KILN_SIM_ATOMIC(name, made)                                                   \
    template <class T>                                                                \
    kiln_sim_apart inline T name(T* at, T value, const char* file = __builtin_FILE(), \
                                 unsigned int line = __builtin_LINE()) {              \
        kiln_sim_atomic(at, sizeof(T), file, line);                                   \
        const T old = *at;                                                            \
        *at = made;                                                                   \
        return old;                                                                   \
    }
KILN_SIM_ATOMIC(atomicAdd, old + value)
KILN_SIM_ATOMIC(atomicSub, old - value)
KILN_SIM_ATOMIC(atomicMin, value < old ? value : old)
KILN_SIM_ATOMIC(atomicMax, old < value ? value : old)
KILN_SIM_ATOMIC(atomicAnd, old& value)
KILN_SIM_ATOMIC(atomicOr, old | value)
KILN_SIM_ATOMIC(atomicXor, old ^ value)
KILN_SIM_ATOMIC(atomicExch, value)
#undef KILN_SIM_ATOMIC
template <class T>
kiln_sim_apart inline T atomicCAS(T* at, T expected, T value, const char* file = __builtin_FILE(),
                                  unsigned int line = __builtin_LINE()) {
    kiln_sim_atomic(at, sizeof(T), file, line);
    const T old = *at;
    if (old == expected) *at = value;
    return old;
}

// The C library's functions, for both floats.
#define KILN_SIM_FLOAT_1(name)       \
    extern "C" double name(double);  \
    extern "C" float name##f(float); \
    inline float name(float x) { return name##f(x); }
#define KILN_SIM_FLOAT_2(name)              \
    extern "C" double name(double, double); \
    extern "C" float name##f(float, float); \
    inline float name(float x, float y) { return name##f(x, y); }
#ifdef KILN_SIM_WATCHED
KILN_SIM_FLOAT_1(acos)
KILN_SIM_FLOAT_1(acosh)
KILN_SIM_FLOAT_1(asin)
KILN_SIM_FLOAT_1(asinh)
KILN_SIM_FLOAT_1(atan)
KILN_SIM_FLOAT_1(atanh)
KILN_SIM_FLOAT_1(cbrt)
KILN_SIM_FLOAT_1(ceil)
KILN_SIM_FLOAT_1(cos)
KILN_SIM_FLOAT_1(cosh)
KILN_SIM_FLOAT_1(erf)
KILN_SIM_FLOAT_1(erfc)
KILN_SIM_FLOAT_1(exp)
KILN_SIM_FLOAT_1(exp2)
KILN_SIM_FLOAT_1(exp10)
KILN_SIM_FLOAT_1(expm1)
KILN_SIM_FLOAT_1(fabs)
KILN_SIM_FLOAT_1(floor)
KILN_SIM_FLOAT_1(lgamma)
KILN_SIM_FLOAT_1(log)
KILN_SIM_FLOAT_1(log10)
KILN_SIM_FLOAT_1(log1p)
KILN_SIM_FLOAT_1(log2)
KILN_SIM_FLOAT_1(rint)
KILN_SIM_FLOAT_1(sin)
KILN_SIM_FLOAT_1(sinh)
KILN_SIM_FLOAT_1(sqrt)
KILN_SIM_FLOAT_1(tan)
KILN_SIM_FLOAT_1(tanh)
KILN_SIM_FLOAT_1(tgamma)
KILN_SIM_FLOAT_1(trunc)
KILN_SIM_FLOAT_2(atan2)
KILN_SIM_FLOAT_2(copysign)
KILN_SIM_FLOAT_2(fmod)
KILN_SIM_FLOAT_2(hypot)
KILN_SIM_FLOAT_2(pow)
extern "C" double fma(double, double, double);
extern "C" float fmaf(float, float, float);
inline float fma(float x, float y, float z) { return fmaf(x, y, z); }
#endif
#undef KILN_SIM_FLOAT_1
#undef KILN_SIM_FLOAT_2
