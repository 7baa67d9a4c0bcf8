extern "C" __global__ void kiln_matvec_0(long long n, long long begin, long long step,
                                         const float* p0, long long p0_stride0,
                                         long long p0_extent1, const float* p1, float* p2)
{
    const long long threads = (long long)gridDim.x * blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += threads) {
        float v0 = {};
        const long long k0 = begin + i * step;
        v0 = 0.0f;
        for (long long k1 = 0LL; k1 < p0_extent1; k1 += 1LL) {
            const float v2 = p1[k1];
            const float v3 = ((const float*)((const char*)p0 + k0 * p0_stride0))[k1];
            const float v4 = v2 * v3;
            const float v5 = v0;
            const float v6 = v4 + v5;
            v0 = v6;
        }
        const float v7 = v0;
        p2[k0] = v7;
    }
}
