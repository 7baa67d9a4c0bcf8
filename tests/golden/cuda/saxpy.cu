// Elements that are loaded and stored at once.
template <class T, int n> struct alignas(n * sizeof(T) < 16 ? n * sizeof(T) : 16) kiln_vector { T at[n]; };
template <class T, int n> __device__ inline bool kiln_is_aligned(const T* p) {
    return (unsigned long long)p % alignof(kiln_vector<T, n>) == 0;
}

extern "C" __global__ void kiln_saxpy(long long n, const float* a, const float* x, const float* y,
                                      long long y_stride, float* z)
{
    if (n == 0) return;
    const float a_value = a[0];
    const long long step = (long long)gridDim.x * blockDim.x;
    const auto element = [&](long long i, const float x_i, float& z_i) {
        // saxpy.cpp:12
        const float v0 = x_i;
        const float v1 = a_value * v0;
        // saxpy.cpp:13
        const float v2 = *(const float*)((const char*)y + i * y_stride);
        const float v3 = v1 + v2;
        z_i = v3;
    };
    const long long thread = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    long long taken = 0;
    if (kiln_is_aligned<float, 4>(x) && kiln_is_aligned<float, 4>(z)) {
        taken = n / 4 * 4;
        for (long long group = thread; group < n / 4; group += step) {
            const kiln_vector<float, 4> x_4 = ((const kiln_vector<float, 4>*)x)[group];
            kiln_vector<float, 4> z_4;
            #pragma unroll
            for (int j = 0; j < 4; ++j) element(group * 4 + j, x_4.at[j], z_4.at[j]);
            ((kiln_vector<float, 4>*)z)[group] = z_4;
        }
    }
    for (long long i = taken + thread; i < n; i += step) element(i, x[i], z[i]);
}
