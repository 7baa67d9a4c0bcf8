__device__ inline double kiln_f64(unsigned long long bits) { return __builtin_bit_cast(double, bits); }
// Elements that are loaded and stored at once.
template <class T, int n> struct alignas(n * sizeof(T) < 16 ? n * sizeof(T) : 16) kiln_vector { T at[n]; };
template <class T, int n> __device__ inline bool kiln_is_aligned(const T* p) {
    return (unsigned long long)p % alignof(kiln_vector<T, n>) == 0;
}

__device__ inline void kiln_largest_at_0_c0_begin(double& p0, long long& p1) {
    double p4;
    long long p5;
    p4 = kiln_f64(0xfff0000000000000ull);
    p5 = 9223372036854775807LL;
    p0 = p4;
    p1 = p5;
}
__device__ inline void kiln_largest_at_0_c0(double& p0, long long& p1, double p2, long long p3) {
    double p4;
    long long p5;
    const bool v0 = p0 < p2;
    const bool v1 = p2 == p0;
    const bool v2 = p2 != p2;
    const bool v3 = p0 != p0;
    const bool v4 = p0 == p0;
    const bool v5 = v2 && v4;
    const bool v6 = v0 || v5;
    const bool v7 = v2 && v3;
    const bool v8 = v1 || v7;
    const bool v9 = p3 < p1;
    const bool v10 = v8 && v9;
    const bool v11 = v6 || v10;
    const double v12 = v11 ? p2 : p0;
    const long long v13 = v11 ? p3 : p1;
    p4 = v12;
    p5 = v13;
    p0 = p4;
    p1 = p5;
}
__device__ inline void kiln_largest_at_0_c1_begin(double& p0, long long& p1) {
    double p4;
    long long p5;
    p4 = kiln_f64(0x7ff0000000000000ull);
    p5 = 9223372036854775807LL;
    p0 = p4;
    p1 = p5;
}
__device__ inline void kiln_largest_at_0_c1(double& p0, long long& p1, double p2, long long p3) {
    double p4;
    long long p5;
    const bool v0 = p2 < p0;
    const bool v1 = p2 == p0;
    const bool v2 = p2 != p2;
    const bool v3 = p0 != p0;
    const bool v4 = p0 == p0;
    const bool v5 = v2 && v4;
    const bool v6 = v0 || v5;
    const bool v7 = v2 && v3;
    const bool v8 = v1 || v7;
    const bool v9 = p3 < p1;
    const bool v10 = v8 && v9;
    const bool v11 = v6 || v10;
    const double v12 = v11 ? p2 : p0;
    const long long v13 = v11 ? p3 : p1;
    p4 = v12;
    p5 = v13;
    p0 = p4;
    p1 = p5;
}
extern "C" __global__ void kiln_largest_at_0(long long n, long long p0, const double* p1,
                                             double* p2_partials, long long* p3_partials,
                                             double* p4_partials, long long* p5_partials)
{
    const auto row = [&](long long i, const double p1_i, double& v0, long long& v1, double& v2, long long& v3) {
        const long long v0_ = (long long)((unsigned long long)i + (unsigned long long)p0);
        const double v1_ = p1_i;
        const double v2_ = v0;
        const long long v3_ = v1;
        const bool v4 = v2_ < v1_;
        const bool v5 = v1_ == v2_;
        const bool v6 = v1_ != v1_;
        const bool v7 = v2_ != v2_;
        const bool v8 = v2_ == v2_;
        const bool v9 = v6 && v8;
        const bool v10 = v4 || v9;
        const bool v11 = v6 && v7;
        const bool v12 = v5 || v11;
        const bool v13 = v0_ < v3_;
        const bool v14 = v12 && v13;
        const bool v15 = v10 || v14;
        const double v16 = v15 ? v1_ : v2_;
        const long long v17 = v15 ? v0_ : v3_;
        v0 = v16;
        v1 = v17;
        const double v18 = v2;
        const long long v19 = v3;
        const bool v20 = v1_ < v18;
        const bool v21 = v1_ == v18;
        const bool v22 = v18 != v18;
        const bool v23 = v18 == v18;
        const bool v24 = v6 && v23;
        const bool v25 = v20 || v24;
        const bool v26 = v6 && v22;
        const bool v27 = v21 || v26;
        const bool v28 = v0_ < v19;
        const bool v29 = v27 && v28;
        const bool v30 = v25 || v29;
        const double v31 = v30 ? v1_ : v18;
        const long long v32 = v30 ? v0_ : v19;
        v2 = v31;
        v3 = v32;
    };
    __shared__ double v0_shared[1024];
    __shared__ long long v1_shared[1024];
    __shared__ double v2_shared[1024];
    __shared__ long long v3_shared[1024];
    const bool wide = kiln_is_aligned<double, 2>(p1);
    const long long pieces = (n + 8191) / 8192;
    const int by_shuffles = blockDim.x % 32 == 0 ? 16 : 0;
    for (long long piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
        const long long base = piece * 8192;
        const int count = (int)(n - base < 8192 ? n - base : 8192);
        const int steps = count / 16;
        int groups = (steps + 7) / 8, width = 16;
        if (wide) {
            for (int t = threadIdx.x; t < groups * 8; t += blockDim.x) {
                double v0_lanes[2];
                long long v1_lanes[2];
                double v2_lanes[2];
                long long v3_lanes[2];
                #pragma unroll
                for (int j = 0; j < 2; ++j) {
                    double v0;
                    long long v1;
                    kiln_largest_at_0_c0_begin(v0, v1);
                    double v2;
                    long long v3;
                    kiln_largest_at_0_c1_begin(v2, v3);
                    v0_lanes[j] = v0;
                    v1_lanes[j] = v1;
                    v2_lanes[j] = v2;
                    v3_lanes[j] = v3;
                }
                const int first = t / 8 * 8;
                const int end = first + 8 < steps ? first + 8 : steps;
                for (int k = first; k < end; ++k) {
                    const long long vector = (base + k * 16) / 2 + t % 8;
                    const kiln_vector<double, 2> p1_2 = ((const kiln_vector<double, 2>*)p1)[vector];
                    #pragma unroll
                    for (int j = 0; j < 2; ++j) {
                        row(2 * vector + j, p1_2.at[j], v0_lanes[j], v1_lanes[j], v2_lanes[j], v3_lanes[j]);
                    }
                }
                #pragma unroll
                for (int j = 0; j < 2; ++j) {
                    v0_shared[2 * t + j] = v0_lanes[j];
                    v1_shared[2 * t + j] = v1_lanes[j];
                    v2_shared[2 * t + j] = v2_lanes[j];
                    v3_shared[2 * t + j] = v3_lanes[j];
                }
            }
        } else {
            for (int t = threadIdx.x; t < groups * 16; t += blockDim.x) {
                double v0;
                long long v1;
                kiln_largest_at_0_c0_begin(v0, v1);
                double v2;
                long long v3;
                kiln_largest_at_0_c1_begin(v2, v3);
                const int first = t / 16 * 8;
                const int end = first + 8 < steps ? first + 8 : steps;
                for (int k = first; k < end; ++k) {
                    row(base + k * 16 + t % 16, p1[base + k * 16 + t % 16], v0, v1, v2, v3);
                }
                v0_shared[t] = v0;
                v1_shared[t] = v1;
                v2_shared[t] = v2;
                v3_shared[t] = v3;
            }
        }
        __syncthreads();
        for (int t = threadIdx.x; t < (groups + 7) / 8 * 16; t += blockDim.x) {
            double v0;
            long long v1;
            kiln_largest_at_0_c0_begin(v0, v1);
            double v2;
            long long v3;
            kiln_largest_at_0_c1_begin(v2, v3);
            const int first = t / 16 * 8;
            const int end = first + 8 < groups ? first + 8 : groups;
            for (int k = first; k < end; ++k) {
                kiln_largest_at_0_c0(v0, v1, v0_shared[k * width + t % 16], v1_shared[k * width + t % 16]);
                kiln_largest_at_0_c1(v2, v3, v2_shared[k * width + t % 16], v3_shared[k * width + t % 16]);
            }
            v0_shared[first * width + t % 16] = v0;
            v1_shared[first * width + t % 16] = v1;
            v2_shared[first * width + t % 16] = v2;
            v3_shared[first * width + t % 16] = v3;
        }
        groups = (groups + 7) / 8;
        width *= 8;
        __syncthreads();
        for (int t = threadIdx.x; t < 16; t += blockDim.x) {
            double v0;
            long long v1;
            kiln_largest_at_0_c0_begin(v0, v1);
            double v2;
            long long v3;
            kiln_largest_at_0_c1_begin(v2, v3);
            for (int k = 0; k < groups; ++k) {
                kiln_largest_at_0_c0(v0, v1, v0_shared[k * width + t], v1_shared[k * width + t]);
                kiln_largest_at_0_c1(v2, v3, v2_shared[k * width + t], v3_shared[k * width + t]);
            }
            v0_shared[t] = v0;
            v1_shared[t] = v1;
            v2_shared[t] = v2;
            v3_shared[t] = v3;
        }
        __syncthreads();
        for (int width = 8; width >= 8 && width > by_shuffles; width /= 2) {
            for (int t = threadIdx.x; t < width; t += blockDim.x) {
                kiln_largest_at_0_c0(v0_shared[t], v1_shared[t], v0_shared[t + width], v1_shared[t + width]);
                kiln_largest_at_0_c1(v2_shared[t], v3_shared[t], v2_shared[t + width], v3_shared[t + width]);
            }
            __syncthreads();
        }
        if (by_shuffles != 0 && threadIdx.x < 32) {
            const int lane = threadIdx.x;
            double v0 = v0_shared[lane < 16 ? lane : 0];
            long long v1 = v1_shared[lane < 16 ? lane : 0];
            double v2 = v2_shared[lane < 16 ? lane : 0];
            long long v3 = v3_shared[lane < 16 ? lane : 0];
            for (int width = 8; width >= 8; width /= 2) {
                const double v0_other = __shfl_down_sync(~0u, v0, width);
                const long long v1_other = __shfl_down_sync(~0u, v1, width);
                const double v2_other = __shfl_down_sync(~0u, v2, width);
                const long long v3_other = __shfl_down_sync(~0u, v3, width);
                if (lane < width) {
                    kiln_largest_at_0_c0(v0, v1, v0_other, v1_other);
                    kiln_largest_at_0_c1(v2, v3, v2_other, v3_other);
                }
            }
            if (lane < 8) {
                v0_shared[lane] = v0;
                v1_shared[lane] = v1;
                v2_shared[lane] = v2;
                v3_shared[lane] = v3;
            }
        }
        __syncthreads();
        for (int t = threadIdx.x; t < 8; t += blockDim.x) {
            for (int k = steps * 16 + t; k < count; k += 8) row(base + k, p1[base + k], v0_shared[t], v1_shared[t], v2_shared[t], v3_shared[t]);
        }
        __syncthreads();
        for (int width = 4; width >= 1 && width > by_shuffles; width /= 2) {
            for (int t = threadIdx.x; t < width; t += blockDim.x) {
                kiln_largest_at_0_c0(v0_shared[t], v1_shared[t], v0_shared[t + width], v1_shared[t + width]);
                kiln_largest_at_0_c1(v2_shared[t], v3_shared[t], v2_shared[t + width], v3_shared[t + width]);
            }
            __syncthreads();
        }
        if (by_shuffles != 0 && threadIdx.x < 32) {
            const int lane = threadIdx.x;
            double v0 = v0_shared[lane < 8 ? lane : 0];
            long long v1 = v1_shared[lane < 8 ? lane : 0];
            double v2 = v2_shared[lane < 8 ? lane : 0];
            long long v3 = v3_shared[lane < 8 ? lane : 0];
            for (int width = 4; width >= 1; width /= 2) {
                const double v0_other = __shfl_down_sync(~0u, v0, width);
                const long long v1_other = __shfl_down_sync(~0u, v1, width);
                const double v2_other = __shfl_down_sync(~0u, v2, width);
                const long long v3_other = __shfl_down_sync(~0u, v3, width);
                if (lane < width) {
                    kiln_largest_at_0_c0(v0, v1, v0_other, v1_other);
                    kiln_largest_at_0_c1(v2, v3, v2_other, v3_other);
                }
            }
            if (lane < 1) {
                v0_shared[lane] = v0;
                v1_shared[lane] = v1;
                v2_shared[lane] = v2;
                v3_shared[lane] = v3;
            }
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            double v0 = {};
            long long v1 = {};
            double v2 = {};
            long long v3 = {};
            v0 = kiln_f64(0xfff0000000000000ull);
            v1 = 9223372036854775807LL;
            v2 = kiln_f64(0x7ff0000000000000ull);
            v3 = 9223372036854775807LL;
            kiln_largest_at_0_c0(v0, v1, v0_shared[0], v1_shared[0]);
            kiln_largest_at_0_c1(v2, v3, v2_shared[0], v3_shared[0]);
            const double v33 = v0;
            p2_partials[piece] = v33;
            const long long v34 = v1;
            p3_partials[piece] = v34;
            const double v35 = v2;
            p4_partials[piece] = v35;
            const long long v36 = v3;
            p5_partials[piece] = v36;
        }
        __syncthreads();
    }
}

extern "C" __global__ void kiln_largest_at_0_pairs(long long n, long long group, long long apart, double* v0_partials, long long* v1_partials, double* v2_partials, long long* v3_partials)
{
    for (long long first = blockIdx.x * group; first < n; first += gridDim.x * group) {
        const long long count = n - first < group ? n - first : group;
        for (long long width = 1; width < count; width *= 2) {
            for (long long t = threadIdx.x * 2 * width; t + width < count; t += blockDim.x * 2 * width) {
                kiln_largest_at_0_c0(v0_partials[(first + t) * apart], v1_partials[(first + t) * apart], v0_partials[(first + t + width) * apart], v1_partials[(first + t + width) * apart]);
                kiln_largest_at_0_c1(v2_partials[(first + t) * apart], v3_partials[(first + t) * apart], v2_partials[(first + t + width) * apart], v3_partials[(first + t + width) * apart]);
            }
            __syncthreads();
        }
    }
}
