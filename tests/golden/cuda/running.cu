__device__ long long* kiln_running_0_chunk(long long n, const long long* p1, long long base,
                                           long long* from, long long* to)
{
    const auto row = [&](long long i, long long& own) {
        const long long v0 = p1[i];
        own = v0;
    };
    for (int t = threadIdx.x; t < 1024; t += blockDim.x) {
        long long own = 0LL;
        if (base + t < n) row(base + t, own);
        from[t] = own;
    }
    __syncthreads();
    for (int width = 1; width < 1024; width *= 2) {
        for (int t = threadIdx.x; t < 1024; t += blockDim.x)
            to[t] = t < width ? from[t] : (long long)((unsigned long long)from[t - width] + (unsigned long long)from[t]);
        __syncthreads();
        long long* const done = to;
        to = from;
        from = done;
    }
    return from;
}

extern "C" __global__ void kiln_running_0_chunks(long long n, const long long* p1,
                                                 long long* p3_partials)
{
    __shared__ long long even[1024], odd[1024];
    const long long pieces = (n + 1023) / 1024;
    for (long long piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
        const long long base = piece * 1024;
        const long long* const from = kiln_running_0_chunk(n, p1, base, even, odd);
        if (threadIdx.x == 0) p3_partials[piece] = from[1023];
        __syncthreads();
    }
}

extern "C" __global__ void kiln_running_0_before(long long n, long long before, long long* partials)
{
    if (blockIdx.x != 0) return;
    __shared__ long long tile[1024];
    for (long long base = 0; base < n; base += 1024) {
        const int count = (int)(n - base < 1024 ? n - base : 1024);
        for (int t = threadIdx.x; t < count; t += blockDim.x) tile[t] = partials[base + t];
        __syncthreads();
        for (int t = 0; threadIdx.x == 0 && t < count; ++t) {
            const long long own = tile[t];
            tile[t] = before;
            before = (long long)((unsigned long long)before + (unsigned long long)own);
        }
        __syncthreads();
        for (int t = threadIdx.x; t < count; t += blockDim.x) partials[base + t] = tile[t];
        __syncthreads();
    }
}

extern "C" __global__ void kiln_running_0(long long n, const long long* p1, long long* p3,
                                          long long* p3_partials)
{
    __shared__ long long even[1024], odd[1024];
    const long long pieces = (n + 1023) / 1024;
    for (long long piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
        const long long base = piece * 1024;
        const long long* const from = kiln_running_0_chunk(n, p1, base, even, odd);
        for (int t = threadIdx.x; t < 1024 && base + t < n; t += blockDim.x) {
            const long long i = base + t;
            const long long before = p3_partials[piece];
            p3[i] = (long long)((unsigned long long)before + (unsigned long long)from[t]);
        }
        __syncthreads();
    }
}
