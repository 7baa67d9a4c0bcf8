template <class T> constexpr bool kiln_is_real = T(0.5) != T(0) && T(0.5) != T(1);
template <class T> constexpr bool kiln_is_signed = T(-1) < T(0);
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
template <class T> __device__ inline T kiln_rem(T a, T b) { return kiln_fmod(a, b); }
__device__ inline int kiln_atomic_add(int* at, int x) { return atomicAdd(at, x); }
__device__ inline unsigned int kiln_atomic_add(unsigned int* at, unsigned int x) { return atomicAdd(at, x); }
__device__ inline unsigned long long kiln_atomic_add(unsigned long long* at, unsigned long long x) { return atomicAdd(at, x); }
__device__ inline long long kiln_atomic_add(long long* at, long long x) {
    return (long long)atomicAdd((unsigned long long*)at, (unsigned long long)x);
}
__device__ inline float kiln_atomic_add(float* at, float x) { return atomicAdd(at, x); }
__device__ inline double kiln_atomic_add(double* at, double x) { return atomicAdd(at, x); }

extern "C" __global__ void kiln_histogram_0(long long n, long long begin, long long step,
                                            const long long* p0, long long* p1)
{
    const long long threads = (long long)gridDim.x * blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += threads) {
        const long long k0 = begin + i * step;
        const long long v1 = p0[k0];
        const long long v2 = (long long)((unsigned long long)v1 + (unsigned long long)60LL);
        const long long v3 = kiln_rem(v2, 8LL);
        const long long v4 = kiln_atomic_add(&p1[v3], 1LL);
    }
}
