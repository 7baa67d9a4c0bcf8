// Explicit kernels: a reduction in shared memory and a product of matrices in tiles, as one writes them in
// CUDA. On the device that is there, else on the simulator, which finds races and missing barriers.
//
// usage: blocks [n]      n: the matrices are n x n, 64 by default, in whole tiles of 16
#include <kiln/kiln.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <vector>

#include "measure.h"

using namespace kiln;

namespace {

constexpr int threads = 256, side = 16;

/// The sum of each block's part of x: half as many threads a step.
auto block_sums(BackendTarget target) {
    return cuda::kernel("block_sums",
                        [](In x, Out sums) {
                            auto part = cuda::shared<double>(threads);
                            const Value t = cuda::thread_idx(), i = cuda::grid();
                            Var mine(f64, 0);
                            if_(i < x.extent(0), [&] { mine = x(i); });
                            part(t) = mine;
                            cuda::sync_threads();
                            for (int width = threads / 2; width > 0; width /= 2) {
                                if_(t < width, [&] { part(t) += part(t + width); });
                                cuda::sync_threads();
                            }
                            if_(t == 0, [&] { sums(cuda::block_idx()) = part(0); });
                        },
                        {.params = {"x", "sums"}, .target = target});
}

/// c = a b: a block computes a tile of c, from tiles of a and b that its threads load together.
auto tiled_product(BackendTarget target) {
    return cuda::kernel("tiled_product",
                        [](In a, In b, Out c) {
                            auto tile_a = cuda::shared<float>(side, side),
                                 tile_b = cuda::shared<float>(side, side);
                            const Value row = cuda::thread_idx(1), col = cuda::thread_idx(0);
                            const auto [j, i] = cuda::grid<2>();
                            Var sum(f32, 0);
                            for (Index t : range(a.extent(1) / side)) {
                                tile_a(row, col) = a(i, t * side + col);
                                tile_b(row, col) = b(t * side + row, j);
                                cuda::sync_threads();
                                for (Index k : range(side)) sum += tile_a(row, k) * tile_b(k, col);
                                cuda::sync_threads();
                            }
                            c(i, j) = sum;
                        },
                        {.params = {"a", "b", "c"}, .target = target});
}

bool check_sums(BackendTarget target) {
    const std::int64_t n = 10'000;
    const unsigned blocks = (n + threads - 1) / threads;
    const Array x = arange(static_cast<double>(n)), sums = zeros({static_cast<int>(blocks)});
    block_sums(target)({.blocks = blocks, .threads = threads}, x, sums);
    const double total = sum(sums).item<double>(), expected = n * (n - 1) / 2;
    std::printf("sum of 0 to %lld in %u blocks: %.0f\n", static_cast<long long>(n - 1), blocks,
                total);
    return total == expected;
}

bool check_product(BackendTarget target, std::int64_t n) {
    const Array a = (arange(n * n) % 7).reshape({n, n}).astype(f32),
                b = (arange(n * n) % 5).reshape({n, n}).astype(f32), c = zeros({n, n}, f32);
    const auto tiles = static_cast<unsigned>(n / side);
    tiled_product(target)({.blocks = {tiles, tiles}, .threads = {side, side}}, a, b, c);
    std::vector<float> expected(static_cast<std::size_t>(n * n));
    const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t k = 0; k < n; ++k)
            for (std::int64_t j = 0; j < n; ++j)
                expected[at(i * n + j)] +=
                    static_cast<float>((i * n + k) % 7) * static_cast<float>((k * n + j) % 5);
    const bool same = samples::agree<float>("product", c.span<const float>(), expected,
                                            [](std::size_t) { return 0.0F; });
    std::printf("product of %lld x %lld in tiles: c[1, 1] = %g\n", static_cast<long long>(n),
                static_cast<long long>(n), static_cast<double>(c.at<float>({1, 1})));
    return same;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const std::int64_t n = argc > 1 ? std::strtoll(argv[1], nullptr, 10) / side * side : 64;
        const auto target = cuda::is_available() ? BackendTarget::cuda : BackendTarget::sim;
        std::printf("on %s\n", target == BackendTarget::cuda ? "the device" : "the simulator");
        const bool sums = check_sums(target), product = check_product(target, n);
        return sums && product ? 0 : 1;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "blocks: %s\n", e.what());
        return 1;
    }
}
