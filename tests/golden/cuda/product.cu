template <class T> constexpr bool kiln_is_real = T(0.5) != T(0) && T(0.5) != T(1);
template <class T> constexpr bool kiln_is_signed = T(-1) < T(0);
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

extern "C" __global__ void kiln_product(const float* p0, long long p0_stride0,
                                        long long p0_extent1, const float* p1,
                                        long long p1_stride0, float* p2, long long p2_stride0)
{
    __shared__ float shared3[64];
    __shared__ float shared4[64];
    float v0 = {};
    const long long v0_ = threadIdx.y;
    const long long v1 = threadIdx.x;
    const long long v2 = blockDim.x;
    const long long v3 = blockIdx.x;
    const long long v4 = (long long)((unsigned long long)v2 * (unsigned long long)v3);
    const long long v5 = threadIdx.x;
    const long long v6 = (long long)((unsigned long long)v4 + (unsigned long long)v5);
    const long long v7 = blockDim.y;
    const long long v8 = blockIdx.y;
    const long long v9 = (long long)((unsigned long long)v7 * (unsigned long long)v8);
    const long long v10 = threadIdx.y;
    const long long v11 = (long long)((unsigned long long)v9 + (unsigned long long)v10);
    v0 = 0.0f;
    const long long v12 = kiln_div(p0_extent1, 8LL);
    for (long long k13 = 0LL; k13 < v12; k13 += 1LL) {
        const long long v14 = (long long)((unsigned long long)k13 * (unsigned long long)8LL);
        const long long v15 = (long long)((unsigned long long)v1 + (unsigned long long)v14);
        const float v16 = ((const float*)((const char*)p0 + v11 * p0_stride0))[v15];
        shared3[(v0_) * 8LL + v1] = v16;
        const long long v17 = (long long)((unsigned long long)v0_ + (unsigned long long)v14);
        const float v18 = ((const float*)((const char*)p1 + v17 * p1_stride0))[v6];
        shared4[(v0_) * 8LL + v1] = v18;
        __syncthreads();
        for (long long k19 = 0LL; k19 < 8LL; k19 += 1LL) {
            const float v20 = shared4[(k19) * 8LL + v1];
            const float v21 = shared3[(v0_) * 8LL + k19];
            const float v22 = v20 * v21;
            const float v23 = v0;
            const float v24 = v22 + v23;
            v0 = v24;
        }
        __syncthreads();
    }
    const float v25 = v0;
    ((float*)((char*)p2 + v11 * p2_stride0))[v6] = v25;
}
