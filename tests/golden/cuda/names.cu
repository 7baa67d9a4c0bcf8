extern "C" __global__ void kiln_k(long long n, const float* sin_, const float* kiln_div_,
                                  const float* v0, float* while_)
{
    const long long step = (long long)gridDim.x * blockDim.x;
    const auto element = [&](long long i, const float sin__i, const float kiln_div__i_, const float v0_i, float& while__i) {
        const float v0_ = sin__i;
        const float v1 = kiln_div__i_;
        const float v2 = v0_i;
        const float v3 = sin(v0_);
        const float v4 = kiln_div(v1, v2);
        const float v5 = v3 + v4;
        while__i = v5;
    };
    const long long thread = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    long long taken = 0;
    if (kiln_is_aligned<float, 4>(sin_) && kiln_is_aligned<float, 4>(kiln_div_) && kiln_is_aligned<float, 4>(v0) && kiln_is_aligned<float, 4>(while_)) {
        taken = n / 4 * 4;
        for (long long group = thread; group < n / 4; group += step) {
            const kiln_vector<float, 4> sin__4 = ((const kiln_vector<float, 4>*)sin_)[group];
            const kiln_vector<float, 4> kiln_div__4_ = ((const kiln_vector<float, 4>*)kiln_div_)[group];
            const kiln_vector<float, 4> v0_4 = ((const kiln_vector<float, 4>*)v0)[group];
            kiln_vector<float, 4> while__4;
            #pragma unroll
            for (int j = 0; j < 4; ++j) element(group * 4 + j, sin__4.at[j], kiln_div__4_.at[j], v0_4.at[j], while__4.at[j]);
            ((kiln_vector<float, 4>*)while_)[group] = while__4;
        }
    }
    for (long long i = taken + thread; i < n; i += step) element(i, sin_[i], kiln_div_[i], v0[i], while_[i]);
}
