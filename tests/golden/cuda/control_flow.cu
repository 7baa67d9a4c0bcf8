template <class T> constexpr bool kiln_is_real = T(0.5) != T(0) && T(0.5) != T(1);
template <class T> constexpr bool kiln_is_signed = T(-1) < T(0);
// The unsigned type in which T's integer arithmetic wraps without being undefined.
template <class T, bool wide = (sizeof(T) > 4)> struct kiln_unsigned_of { using type = unsigned int; };
template <class T> struct kiln_unsigned_of<T, true> { using type = unsigned long long; };
template <class T> using kiln_unsigned = typename kiln_unsigned_of<T>::type;
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
// Records the failed check of the lowest iteration, and there the first site.
__device__ inline void kiln_check(unsigned long long* fault, long long iteration, unsigned int site, bool ok) {
    if (!ok) atomicMin(fault, (unsigned long long)iteration << 16 | site);
}

extern "C" __global__ void kiln_steps(long long n, const double* x, int* o, long long o_stride,
                                      unsigned long long* fault)
{
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += step) {
        {
            int count = {};
            double value = {};
            const double v0 = x[i];
            const bool v1 = v0 < 0.0;
            if (v1) {
                *(int*)((char*)o + i * o_stride) = (-1);
                continue;
            }
            count = 0;
            value = v0;
            while (true) {
                const double v2 = value;
                const bool v3 = v2 > 1.0;
                if (!v3) break;
                const double v4 = value;
                const double v5 = v4 * 0.5;
                value = v5;
                const int v6 = count;
                const int v7 = (int)((unsigned int)v6 + (unsigned int)1);
                count = v7;
                const bool v8 = v7 >= 1000;
                if (v8) {
                    goto next;
                }
            }
            for (long long k9 = 0LL; k9 < 3LL; k9 += 1LL) {
                const int v10 = count;
                const int v11 = (int)k9;
                const bool v12 = v11 == 2;
                if (v12) {
                    break;
                } else {
                    const bool v13 = v11 != 0;
                    kiln_check(fault, i, 0, v13);
                    const int v14 = kiln_div(v10, v11);
                    count = v14;
                }
            }
            const int v15 = count;
            *(int*)((char*)o + i * o_stride) = v15;
        }
        next:;
    }
}
