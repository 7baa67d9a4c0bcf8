// Explicit kernels on a device: launches along three axes, on streams, of arrays here and there, with shared
// memory that the launch gives.
#include "tests/gpu/check.h"

using namespace kiln;

namespace gpu {
namespace {

void places() {
    const auto where = cuda::kernel("where", [](Out y) {
        const auto [x_, y_, z_] = cuda::grid<3>();
        y(z_, y_, x_) = 100 * x_ + 10 * y_ + z_;
    });
    const auto expected = [](const Array& of) {
        for (int z = 0; z < 2; ++z)
            for (int y = 0; y < 6; ++y)
                for (int x = 0; x < 4; ++x)
                    if (of.at<std::int64_t>({z, y, x}) != 100 * x + 10 * y + z) return false;
        return true;
    };
    const LaunchOptions launch{.blocks = {2, 3, 1}, .threads = {2, 2, 2}};
    const Array here = zeros({2, 6, 4}, DType::i64);
    where(launch, here);
    check(expected(here), "an explicit kernel takes an array of the host there and back");
    const Array there = zeros({2, 6, 4}, DType::i64).to(cuda());
    const Stream stream;
    where({.blocks = {2, 3, 1}, .threads = {2, 2, 2}, .stream = &stream}, there);
    stream.synchronize();
    check(expected(there.to_host()), "and one of the device where it is, on a stream");
}

/// y[i] is the element of x that the block's thread opposite of i has left in shared memory.
auto reversed(std::int64_t own) {
    return cuda::kernel("reversed", [own](In x, Out y, Value n) {
        auto first = cuda::shared<double>(own);
        auto all = cuda::dynamic_shared<double>(n);
        const Value t = cuda::thread_idx();
        for (Index i : range(t, n, cuda::block_dim())) {
            all(i) = x(i);
            if_(i < own, [&] { first(i) = x(i); });
        }
        cuda::sync_threads();
        for (Index i : range(t, n, cuda::block_dim())) {
            y(i) = all(n - 1 - i);
            if_(n - 1 - i < own, [&] { y(i) = first(n - 1 - i); });
        }
    });
}

/// A block has 48 KiB unasked, of its own and of what the launch gives.
void shared_memory() {
    struct Case {
        std::int64_t own, given;
    };
    for (const auto [own, n] : {Case{1, 100}, Case{1, 8000}, Case{4000, 100}, Case{4000, 4000}}) {
        const Array y = zeros({n});
        reversed(own)({.threads = 64, .shared = static_cast<std::size_t>(n) * 8}, arange(n), y, n);
        bool same = true;
        for (std::int64_t i = 0; i < n; ++i)
            same = same && y.at<double>({i}) == static_cast<double>(n - 1 - i);
        check(same, std::to_string(own) + " elements in shared memory of the kernel's, " +
                        std::to_string(n) + " in what the launch gives");
    }
}

void bounds() {
    const auto bounded = cuda::kernel("bounded", [](Out y) { y(cuda::grid()) = 2 * cuda::grid(); },
                                      {.bounds = {.threads = 64, .blocks = 8}});
    const Array y = zeros({128}, DType::i64);
    bounded({.blocks = 2, .threads = 64}, y);
    check(y.at<std::int64_t>({127}) == 254, "a kernel with bounds");
}

/// What launches were allowed stays so, since another may be about to begin.
void less_and_more_shared_memory() {
    const auto kernel = reversed(1);
    for (const std::int64_t n : {8000, 7000, 10'000, 100, 9000}) {
        const Array y = zeros({n});
        kernel({.threads = 64, .shared = static_cast<std::size_t>(n) * 8}, arange(n), y, n);
        check(y.at<double>({0}) == static_cast<double>(n - 1),
              std::to_string(n) + " elements in shared memory, after others");
    }
}

/// Arrays of the host are copied to the device and back: what was one array is one there, too.
void one_array_twice() {
    const auto swap = cuda::kernel("swap", [](InOut x, InOut y, Value n) {
        const Value t = cuda::thread_idx();
        if_(t < n, [&] {
            x(2 * t) = 10 + t;
            y(2 * t + 1) = 20 + t;
        });
    });
    const Array x = zeros({6}, DType::i64);
    swap({.threads = 32}, x, x, 3);
    check(is(x, {10, 20, 11, 21, 12, 22}), "an array of the host given twice is written as one");
    check_error([&] { swap({.threads = 32}, x(Slice{0, 5}), x(Slice{1, 6}), 1); },
                "threads.cpp:" + std::to_string(__LINE__ - 1) +
                    ": error: p0 and p1 of swap have elements in common, some of which it writes");
    const auto twice = cuda::kernel("twice", [](In x, In y, Out z) {
        z(cuda::thread_idx()) = x(cuda::thread_idx()) + y(cuda::thread_idx());
    });
    const Array z = zeros({2}, DType::i64);
    twice({.threads = 2}, x(Slice{0, 2}), x(Slice{1, 3}), z);
    check(is(z, {30, 31}), "arrays that are only read may overlap");
}

/// A kernel ends while its work is still to come.
void work_of_a_kernel_that_ends() {
    const Array there = zeros({64}, DType::i64).to(cuda());
    const Stream stream;
    {
        const auto brief = cuda::kernel("brief", [](Out y) { y(cuda::grid()) = 3 * cuda::grid(); });
        brief({.blocks = 2, .threads = 32, .stream = &stream}, there);
    }
    stream.synchronize();
    check(there(63).item<std::int64_t>() == 189, "code stays until its work is done");
}

/// CUDA text, whose memory of blocks nobody knows beforehand.
void raw() {
    const auto reversed = cuda::raw(
        "extern \"C\" __global__ void reversed(const double* x, double* y, int n) {\n"
        "    __shared__ double own[4000];\n"
        "    extern __shared__ double given[];\n"
        "    for (int i = threadIdx.x; i < n; i += blockDim.x) {\n"
        "        own[i] = x[i];\n"
        "        given[i] = 0.5 * x[i];\n"
        "    }\n"
        "    __syncthreads();\n"
        "    for (int i = threadIdx.x; i < n; i += blockDim.x)\n"
        "        y[i] = own[n - 1 - i] + given[n - 1 - i];\n"
        "}\n",
        "reversed", {f64[1], f64[1], i32});
    const LaunchOptions launch{.threads = 64, .shared = 32'000};
    const Array x = arange(4000).astype(f64), here = zeros({4000});
    reversed(launch, x, here, 4000);
    check(here.at<double>({0}) == 1.5 * 3999 && here.at<double>({3999}) == 0,
          "CUDA text takes arrays of the host there and back");
    const Array there = zeros({4000}).to(cuda());
    reversed(launch, x.to(cuda()), there, 4000);
    check(there.to_host().at<double>({1}) == 1.5 * 3998, "and those of the device where they are");
}

void raw_elementwise() {
    const auto mix = cuda::raw_elementwise("T x, T y, float k", "T z", "z = x * k + y", "mix");
    const Array x = arange(12.0).reshape({3, 4}), y = arange(4.0);
    const std::vector<double> expected{0, 3, 6, 9, 8, 11, 14, 17, 16, 19, 22, 25};
    const Array here = mix(x, y, 2.0f), there = mix(x.to(cuda()), y.to(cuda()), 2.0f);
    check(here.place() == cpu() && is(here, expected),
          "element-wise CUDA text, arrays of the host");
    check(there.place() == cuda() && is(there, expected), "arrays of the device, one broadcast");
    const Array column = x.to(cuda())(Slice{}, 1);
    check(is(mix(column, column, 1.0f), {2, 10, 18}), "a column of a device's array");
    check_error([&] { mix(x.to(cuda()), y, 2.0f); },
                "threads.cpp:" + std::to_string(__LINE__ - 1) + ": error: ");
}

}  // namespace

void explicit_kernels() {
    bounds();
    raw();
    raw_elementwise();
    less_and_more_shared_memory();
    one_array_twice();
    work_of_a_kernel_that_ends();
    places();
    shared_memory();
}

}  // namespace gpu
