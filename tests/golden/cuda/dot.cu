// Elements that are loaded and stored at once.
template <class T, int n> struct alignas(n * sizeof(T) < 16 ? n * sizeof(T) : 16) kiln_vector { T at[n]; };
template <class T, int n> __device__ inline bool kiln_is_aligned(const T* p) {
    return (unsigned long long)p % alignof(kiln_vector<T, n>) == 0;
}

extern "C" __global__ void kiln_dot_0(long long n, const double* p1, const double* p2,
                                      double* p3_partials)
{
    const auto row = [&](long long i, const double p1_i, const double p2_i, double& v0) {
        const double v0_ = p1_i;
        const double v1 = p2_i;
        const double v2 = v0_ * v1;
        v0 = v0 + v2;
    };
    __shared__ double v0_shared[1024];
    const bool wide = kiln_is_aligned<double, 2>(p1) && kiln_is_aligned<double, 2>(p2);
    const long long pieces = (n + 8191) / 8192;
    const int by_shuffles = blockDim.x % 32 == 0 ? 16 : 0;
    for (long long piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
        const long long base = piece * 8192;
        const int count = (int)(n - base < 8192 ? n - base : 8192);
        const int steps = count / 32;
        int groups = (steps + 7) / 8, width = 32;
        if (wide) {
            for (int t = threadIdx.x; t < groups * 16; t += blockDim.x) {
                double v0_lanes[2];
                #pragma unroll
                for (int j = 0; j < 2; ++j) {
                    double v0 = (-0.0);
                    v0_lanes[j] = v0;
                }
                const int first = t / 16 * 8;
                const int end = first + 8 < steps ? first + 8 : steps;
                for (int k = first; k < end; ++k) {
                    const long long vector = (base + k * 32) / 2 + t % 16;
                    const kiln_vector<double, 2> p1_2 = ((const kiln_vector<double, 2>*)p1)[vector];
                    const kiln_vector<double, 2> p2_2 = ((const kiln_vector<double, 2>*)p2)[vector];
                    #pragma unroll
                    for (int j = 0; j < 2; ++j) {
                        row(2 * vector + j, p1_2.at[j], p2_2.at[j], v0_lanes[j]);
                    }
                }
                #pragma unroll
                for (int j = 0; j < 2; ++j) {
                    v0_shared[2 * t + j] = v0_lanes[j];
                }
            }
        } else {
            for (int t = threadIdx.x; t < groups * 32; t += blockDim.x) {
                double v0 = (-0.0);
                const int first = t / 32 * 8;
                const int end = first + 8 < steps ? first + 8 : steps;
                for (int k = first; k < end; ++k) {
                    row(base + k * 32 + t % 32, p1[base + k * 32 + t % 32], p2[base + k * 32 + t % 32], v0);
                }
                v0_shared[t] = v0;
            }
        }
        __syncthreads();
        for (int t = threadIdx.x; t < (groups + 7) / 8 * 32; t += blockDim.x) {
            double v0 = (-0.0);
            const int first = t / 32 * 8;
            const int end = first + 8 < groups ? first + 8 : groups;
            for (int k = first; k < end; ++k) {
                v0 = v0 + v0_shared[k * width + t % 32];
            }
            v0_shared[first * width + t % 32] = v0;
        }
        groups = (groups + 7) / 8;
        width *= 8;
        __syncthreads();
        for (int t = threadIdx.x; t < 32; t += blockDim.x) {
            double v0 = (-0.0);
            for (int k = 0; k < groups; ++k) {
                v0 = v0 + v0_shared[k * width + t];
            }
            v0_shared[t] = v0;
        }
        __syncthreads();
        for (int width = 16; width >= 8 && width > by_shuffles; width /= 2) {
            for (int t = threadIdx.x; t < width; t += blockDim.x) {
                v0_shared[t] = v0_shared[t] + v0_shared[t + width];
            }
            __syncthreads();
        }
        if (by_shuffles != 0 && threadIdx.x < 32) {
            const int lane = threadIdx.x;
            double v0 = v0_shared[lane];
            for (int width = 16; width >= 8; width /= 2) {
                const double v0_other = __shfl_down_sync(~0u, v0, width);
                if (lane < width) {
                    v0 = v0 + v0_other;
                }
            }
            if (lane < 8) {
                v0_shared[lane] = v0;
            }
        }
        __syncthreads();
        for (int t = threadIdx.x; t < 8; t += blockDim.x) {
            for (int k = steps * 32 + t; k < count; k += 8) row(base + k, p1[base + k], p2[base + k], v0_shared[t]);
        }
        __syncthreads();
        for (int width = 4; width >= 1 && width > by_shuffles; width /= 2) {
            for (int t = threadIdx.x; t < width; t += blockDim.x) {
                v0_shared[t] = v0_shared[t] + v0_shared[t + width];
            }
            __syncthreads();
        }
        if (by_shuffles != 0 && threadIdx.x < 32) {
            const int lane = threadIdx.x;
            double v0 = v0_shared[lane < 8 ? lane : 0];
            for (int width = 4; width >= 1; width /= 2) {
                const double v0_other = __shfl_down_sync(~0u, v0, width);
                if (lane < width) {
                    v0 = v0 + v0_other;
                }
            }
            if (lane < 1) {
                v0_shared[lane] = v0;
            }
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            double v0 = {};
            v0 = (-0.0);
            v0 = v0 + v0_shared[0];
            const double v3 = v0;
            p3_partials[piece] = v3;
        }
        __syncthreads();
    }
}

extern "C" __global__ void kiln_dot_0_pairs(long long n, long long group, long long apart, double* v0_partials)
{
    for (long long first = blockIdx.x * group; first < n; first += gridDim.x * group) {
        const long long count = n - first < group ? n - first : group;
        for (long long width = 1; width < count; width *= 2) {
            for (long long t = threadIdx.x * 2 * width; t + width < count; t += blockDim.x * 2 * width) {
                v0_partials[(first + t) * apart] = v0_partials[(first + t) * apart] + v0_partials[(first + t + width) * apart];
            }
            __syncthreads();
        }
    }
}
