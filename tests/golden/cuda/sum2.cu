template <class T> constexpr bool kiln_is_real = T(0.5) != T(0) && T(0.5) != T(1);
__device__ inline unsigned int kiln_bits(float x) { return __builtin_bit_cast(unsigned int, x); }
__device__ inline unsigned long long kiln_bits(double x) { return __builtin_bit_cast(unsigned long long, x); }
__device__ inline double kiln_f64(unsigned long long bits) { return __builtin_bit_cast(double, bits); }
// By the bits, so that no compiler flag folds it away.
__device__ inline bool kiln_isnan(float x) { return (kiln_bits(x) & 0x7fffffffu) > 0x7f800000u; }
__device__ inline bool kiln_isnan(double x) { return (kiln_bits(x) & 0x7fffffffffffffffull) > 0x7ff0000000000000ull; }
__device__ inline bool kiln_signbit(float x) { return kiln_bits(x) >> 31 != 0; }
__device__ inline bool kiln_signbit(double x) { return kiln_bits(x) >> 63 != 0; }
// a before b in an order with -0 before +0; of numbers that are not NaN.
template <class T> __device__ inline bool kiln_before(T a, T b) {
    if constexpr (kiln_is_real<T>) return a < b || (a == b && kiln_signbit(a) && !kiln_signbit(b));
    else return a < b;
}
template <class T> __device__ inline T kiln_maximum(T a, T b) {
    if constexpr (kiln_is_real<T>) {
        if (kiln_isnan(a)) return a;
        if (kiln_isnan(b)) return b;
    }
    return kiln_before(a, b) ? b : a;
}
// A sum of floats in a loop: each iteration has its own, `block` of them are added one after the
// other, and blocks pair by pair.
template <class T, int block> struct kiln_sums {
    T before, own, blocks[60];
    unsigned long long count = 0;
    int in_block = -1;
    __device__ inline explicit kiln_sums(T s) : before(s) {}
    __device__ inline void take(T s) {
        own = in_block == 0 ? s : own + s;
        if (++in_block == block) push();
    }
    __device__ inline void push() {
        int level = 0;
        for (unsigned long long left = count; (left & 1) != 0; left >>= 1) {
            own = blocks[level] + own;
            ++level;
        }
        blocks[level] = own;
        ++count;
        in_block = 0;
    }
    // Where an iteration begins: s was the sum of the one before.
    __device__ inline void next(T& s) {
        if (in_block < 0) in_block = 0;
        else take(s);
        s = T(-0.0);
    }
    __device__ inline void end(T& s) {
        if (in_block >= 0) {
            take(s);
            if (in_block > 0) push();
            int level = 0;
            while ((count >> level & 1) == 0) ++level;
            own = blocks[level];
            for (++level; count >> level != 0; ++level)
                if ((count >> level & 1) != 0) own = blocks[level] + own;
            before = before + own;
        }
        s = before;
    }
};

extern "C" __global__ void kiln_sum2_0(long long n, long long unit, long long begin,
                                       long long step, const double* p0, long long p0_stride0,
                                       long long p0_extent1, double* v0_partials,
                                       double* v1_partials)
{
    const auto iteration = [&](long long i, double& v0, double& v1) {
        const long long k0 = begin + i * step;
        kiln_sums<double, 8> v0_sums(v0);
        for (long long k1 = 0LL; k1 < p0_extent1; k1 += 1LL) {
            v0_sums.next(v0);
            const double v2 = ((const double*)((const char*)p0 + k0 * p0_stride0))[k1];
            const double v3 = v0;
            const double v4 = v2 + v3;
            v0 = v4;
            const double v5 = v1;
            const double v6 = kiln_maximum(v5, v2);
            v1 = v6;
        }
        v0_sums.end(v0);
    };
    __shared__ double v0_shared[256];
    __shared__ double v1_shared[256];
    const long long of_unit = (unit + 255) / 256;
    const long long pieces = n / unit * of_unit + (n % unit + 255) / 256;
    for (long long piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
        const long long end = (piece / of_unit + 1) * unit < n ? (piece / of_unit + 1) * unit : n;
        const long long base = piece / of_unit * unit + piece % of_unit * 256;
        const int count = (int)(end - base < 256 ? end - base : 256);
        for (int t = threadIdx.x; t < count; t += blockDim.x) {
            double v0 = (-0.0);
            double v1 = kiln_f64(0xfff0000000000000ull);
            iteration(base + t, v0, v1);
            v0_shared[t] = v0;
            v1_shared[t] = v1;
        }
        __syncthreads();
        int width = 1;
        if (blockDim.x % 32 == 0) {
            const int lane = threadIdx.x % 32;
            for (int first = threadIdx.x - lane; first < count; first += blockDim.x) {
                const int t = first + lane;
                double v0 = v0_shared[t < count ? t : first];
                double v1 = v1_shared[t < count ? t : first];
                for (; width < 32; width *= 2) {
                    const double v0_other = __shfl_down_sync(~0u, v0, width);
                    const double v1_other = __shfl_down_sync(~0u, v1, width);
                    if (lane % (2 * width) == 0 && t + width < count) {
                        v0 = v0 + v0_other;
                        v1 = kiln_maximum(v1, v1_other);
                    }
                }
                width = 1;
                if (lane == 0) {
                    v0_shared[first] = v0;
                    v1_shared[first] = v1;
                }
            }
            width = 32;
            __syncthreads();
        }
        for (; width < count; width *= 2) {
            const int apart = 2 * width;
            for (int t = threadIdx.x * apart; t + width < count; t += blockDim.x * apart) {
                v0_shared[t] = v0_shared[t] + v0_shared[t + width];
                v1_shared[t] = kiln_maximum(v1_shared[t], v1_shared[t + width]);
            }
            __syncthreads();
        }
        if (threadIdx.x == 0) {
            v0_partials[piece] = v0_shared[0];
            v1_partials[piece] = v1_shared[0];
        }
        __syncthreads();
    }
}

extern "C" __global__ void kiln_sum2_0_pairs(long long n, long long group, long long apart, double* v0_partials, double* v1_partials)
{
    for (long long first = blockIdx.x * group; first < n; first += gridDim.x * group) {
        const long long count = n - first < group ? n - first : group;
        for (long long width = 1; width < count; width *= 2) {
            for (long long t = threadIdx.x * 2 * width; t + width < count; t += blockDim.x * 2 * width) {
                v0_partials[(first + t) * apart] = v0_partials[(first + t) * apart] + v0_partials[(first + t + width) * apart];
                v1_partials[(first + t) * apart] = kiln_maximum(v1_partials[(first + t) * apart], v1_partials[(first + t + width) * apart]);
            }
            __syncthreads();
        }
    }
}
