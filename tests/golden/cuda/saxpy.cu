extern "C" __global__ void kiln_saxpy(long long n, const float* a, const float* x, const float* y,
                                      long long y_stride, float* z)
{
    if (n == 0) return;
    const float a_value = a[0];
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += step) {
        // saxpy.cpp:12
        const float v0 = x[i];
        const float v1 = a_value * v0;
        // saxpy.cpp:13
        const float v2 = *(const float*)((const char*)y + i * y_stride);
        const float v3 = v1 + v2;
        z[i] = v3;
    }
}
