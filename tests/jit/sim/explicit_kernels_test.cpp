// Explicit kernels on the simulator: what they compute, what is found wrong with them, at the user's line,
// and what is refused.
#include "tests/catch.h"

#include <kiln/kiln.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

using namespace kiln;

namespace {

const CudaKernelOptions simulated{.target = BackendTarget::sim};

template <class F> std::string error_of(F&& f) {
    try {
        f();
    } catch (const Error& e) {
        return std::string(e.message()) + " @" + std::to_string(e.line());
    }
    return "no error";
}

/// The sum of each block's part of x; `wait` stands between the steps.
template <class F> CudaKernel block_sums(F wait) {
    return cuda::kernel(
        "block_sums",
        [wait](In x, Out sums) {
            auto part = cuda::shared<float>(64);
            const Value t = cuda::thread_idx();
            part(t) = x(cuda::grid());
            cuda::sync_threads();
            for (int width = 32; width > 0; width /= 2) {
                if_(t < width, [&] { part(t) += part(t + width); });
                wait();
            }
            if_(t == 0, [&] { sums(cuda::block_idx()) = part(0); });
        },
        simulated);
}

/// c = a b of square matrices, in tiles of 8 x 8.
template <class F> CudaKernel product(F last_barrier) {
    return cuda::kernel(
        "product",
        [last_barrier](In a, In b, Out c) {
            auto tile_a = cuda::shared<float>(8, 8), tile_b = cuda::shared<float>(8, 8);
            const Value row = cuda::thread_idx(1), col = cuda::thread_idx(0);
            const auto [j, i] = cuda::grid<2>();
            Var sum(f32, 0);
            for (Index t : range(a.extent(1) / 8)) {
                tile_a(row, col) = a(i, t * 8 + col);
                tile_b(row, col) = b(t * 8 + row, j);
                cuda::sync_threads();
                for (Index k : range(8)) sum += tile_a(row, k) * tile_b(k, col);
                last_barrier();
            }
            c(i, j) = sum;
        },
        simulated);
}

void barrier() { cuda::sync_threads(); }
void no_barrier() {}

}  // namespace

TEST_CASE("explicit kernels: sums of blocks in shared memory", "[jit][sim][threads]") {
    const Array x = arange(256.0).astype(f32) + 1.0f, sums = zeros({4}, f32);
    block_sums(barrier)({.blocks = 4, .threads = 64}, x, sums);
    // Of 64 b + 1 up to 64 b + 64.
    for (int b = 0; b < 4; ++b)
        CHECK(sums.at<float>({b}) == static_cast<float>(64 * 64 * b + 64 * 65 / 2));
    CHECK_THROWS_WITH(block_sums(no_barrier)({.blocks = 4, .threads = 64}, x, sums),
                      "explicit_kernels_test.cpp:37: error: the simulator found a race on "
                      "shared2[1]: thread 0 of block 0 reads it at line 37, thread 1 of block 0 "
                      "writes it at line 37, with no barrier between");
}

TEST_CASE("explicit kernels: a product of matrices in tiles", "[jit][sim][threads]") {
    const std::int64_t n = 24;
    const Array a = (arange(n * n) % 7).reshape({n, n}).astype(f32),
                b = (arange(n * n) % 5).reshape({n, n}).astype(f32), c = zeros({n, n}, f32);
    product(barrier)({.blocks = {3, 3}, .threads = {8, 8}}, a, b, c);
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
            std::int64_t sum = 0;
            for (std::int64_t k = 0; k < n; ++k) sum += (i * n + k) % 7 * ((k * n + j) % 5);
            REQUIRE(c.at<float>({i, j}) == static_cast<float>(sum));
        }
    CHECK(error_of([&] {
              product(no_barrier)({.blocks = {3, 3}, .threads = {8, 8}}, a, b, c);
          }).starts_with("the simulator found a race on shared3["));
}

TEST_CASE("explicit kernels: barriers and accesses that are wrong", "[jit][sim][threads]") {
    const Array x = zeros({64}, f32);
    const unsigned barrier = __LINE__ + 4;
    const auto divergent = cuda::kernel(
        "divergent",
        [](Out y) {
            if_(cuda::thread_idx() < 5, [] { cuda::sync_threads(); });
            y(cuda::grid()) = 1.0f;
        },
        simulated);
    CHECK(error_of([&] { divergent({.threads = 64}, x); }) ==
          "the simulator found a divergent barrier: thread 0 of block 0 waits at line " +
              std::to_string(barrier) + ", thread 5 of block 0 has ended @" +
              std::to_string(barrier));
    const unsigned overrun = __LINE__ + 5;
    const auto beyond = cuda::kernel(
        "beyond",
        [](Out y) {
            auto tile = cuda::shared<float>(32);
            tile(cuda::thread_idx()) = 1.0f;
            y(cuda::grid()) = tile(cuda::thread_idx());
        },
        simulated);
    CHECK(error_of([&] { beyond({.threads = 33}, x); }) ==
          "the simulator found thread 32 of block 0, which writes 4 bytes that are in no array and "
          "no shared variable, 128 bytes behind the first of shared1, which has 128 @" +
              std::to_string(overrun));
    const unsigned unwritten = __LINE__ + 5;
    const auto early = cuda::kernel(
        "early",
        [](Out y) {
            auto tile = cuda::shared<float>(64);
            y(cuda::grid()) = tile(cuda::thread_idx());
        },
        simulated);
    CHECK(error_of([&] { early({.threads = 64}, x); }) ==
          "the simulator found thread 0 of block 0, which reads shared1[0], which no thread of its "
          "block has written @" +
              std::to_string(unwritten));
    const unsigned shuffle = __LINE__ + 5;
    const auto absent = cuda::kernel(
        "absent",
        [](Out y) {
            if_(cuda::thread_idx() < 20,
                [&] { y(cuda::grid()) = cuda::shuffle_down(Value(1.0f), 1, 0xfffff); });
        },
        simulated);
    CHECK(error_of([&] { absent({.threads = 32}, x); }) ==
          "the simulator found thread 19 of block 0, which reads from lane 20, which takes no part "
          "@" +
              std::to_string(shuffle));
}

TEST_CASE("explicit kernels: warps", "[jit][sim][threads]") {
    const auto sums = cuda::kernel(
        "sums",
        [](In x, Out y) {
            Var v(f64, x(cuda::grid()));
            for (int by = 16; by > 0; by /= 2) v += cuda::shuffle_down(v, by);
            if_(cuda::lane() == 0, [&] { y(cuda::grid() / 32) = v; });
        },
        simulated);
    const Array of_warps = zeros({4});
    sums({.blocks = 2, .threads = 64}, arange(128.0), of_warps);
    for (int w = 0; w < 4; ++w) CHECK(of_warps.at<double>({w}) == 32 * 32 * w + 31 * 32 / 2);

    const auto votes = cuda::kernel(
        "votes",
        [](Out y) {
            const Value lane = cuda::lane(), odd = lane % 2 == 1;
            y(0, lane) = cast<std::int64_t>(cuda::ballot(odd));
            y(1, lane) = cast<std::int64_t>(cuda::vote_any(lane == 7)) * 2 +
                         cast<std::int64_t>(cuda::vote_all(lane == 7));
            y(2, lane) = cast<std::int64_t>(cuda::match_any(cast<std::int32_t>(lane / 16)));
            y(3, lane) = cast<std::int64_t>(cuda::shuffle_xor(cast<std::int32_t>(lane), 1));
            y(4, lane) = cast<std::int64_t>(cuda::shuffle(cast<std::int32_t>(lane), 5));
            y(5, lane) = cast<std::int64_t>(cuda::shuffle_up(cast<std::int32_t>(lane), 1));
            cuda::sync_warp();
        },
        simulated);
    const Array y = zeros({6, 32}, i64);
    votes({.threads = 32}, y);
    for (int lane = 0; lane < 32; ++lane) {
        CHECK(y.at<std::int64_t>({0, lane}) == 0xaaaaaaaa);
        CHECK(y.at<std::int64_t>({1, lane}) == 2);
        CHECK(y.at<std::int64_t>({2, lane}) == (lane < 16 ? 0xffff : 0xffff0000));
        CHECK(y.at<std::int64_t>({3, lane}) == (lane ^ 1));
        CHECK(y.at<std::int64_t>({4, lane}) == 5);
        CHECK(y.at<std::int64_t>({5, lane}) == std::max(lane - 1, 0));
    }
}

TEST_CASE("explicit kernels: lanes that are not there, lanes by number", "[jit][sim][threads]") {
    // The second warp has 8 lanes; masks are of those that are there.
    const auto short_warp = cuda::kernel(
        "short_warp",
        [](Out y) {
            const Value t = cuda::thread_idx(), lane = cuda::lane();
            y(0, t) = cast<std::int64_t>(cuda::ballot(lane >= 4));
            y(1, t) = cast<std::int64_t>(cuda::vote_all(lane < 8));
            y(2, t) = cast<std::int64_t>(cuda::match_any(cast<std::int32_t>(lane % 4)));
            cuda::sync_warp();
            y(3, t) = cuda::shuffle_xor(t, 1);
        },
        simulated);
    const Array y = zeros({4, 40}, i64);
    short_warp({.threads = 40}, y);
    for (int t = 0; t < 40; ++t) {
        CHECK(y.at<std::int64_t>({0, t}) == (t < 32 ? 0xfffffff0 : 0xf0));
        CHECK(y.at<std::int64_t>({1, t}) == (t < 32 ? 0 : 1));
        CHECK(y.at<std::int64_t>({2, t}) == (t < 32 ? 0x11111111LL : 0x11LL) << t % 4);
        CHECK(y.at<std::int64_t>({3, t}) == (t ^ 1));
    }
    // PTX takes the five lowest bits of the number of a lane.
    const auto numbers = cuda::kernel(
        "numbers",
        [](Out z) {
            const Value t = cuda::thread_idx();
            z(0, t) = cuda::shuffle(t, -1);
            z(1, t) = cuda::shuffle_xor(t, 33);
            z(2, t) = cuda::shuffle_down(t, 33);
            z(3, t) = cuda::shuffle_up(t, 33);
        },
        simulated);
    const Array z = zeros({4, 32}, i64);
    numbers({.threads = 32}, z);
    for (int t = 0; t < 32; ++t) {
        CHECK(z.at<std::int64_t>({0, t}) == 31);
        CHECK(z.at<std::int64_t>({1, t}) == (t ^ 1));
        CHECK(z.at<std::int64_t>({2, t}) == std::min(t + 1, 31));
        CHECK(z.at<std::int64_t>({3, t}) == std::max(t - 1, 0));
    }
    const unsigned line = __LINE__ + 4;
    const auto others = cuda::kernel(
        "others",
        [](Out) {
            if_(cuda::lane() < 3, [] { cuda::sync_warp(select(cuda::lane() == 0, 3, 7)); });
        },
        simulated);
    CHECK(error_of([&] { others({.threads = 32}, y); }) ==
          "the simulator found a warp whose lanes diverge: thread 0 of block 0 waits at line " +
              std::to_string(line) + ", thread 1 of block 0 for other lanes @" +
              std::to_string(line));
}

TEST_CASE("explicit kernels: barriers that count, atomic updates", "[jit][sim][threads]") {
    const auto counts = cuda::kernel(
        "counts",
        [](In x, Out y) {
            const Value v = x(cuda::grid());
            const Value positive = cuda::sync_threads_count(v > 0);
            const Value all = cuda::sync_threads_and(v > -100), any = cuda::sync_threads_or(v > 30);
            if_(cuda::thread_idx() == 0, [&] {
                y(cuda::block_idx()) = cast<std::int64_t>(positive) * 4 +
                                       cast<std::int64_t>(all) * 2 + cast<std::int64_t>(any);
            });
        },
        simulated);
    const Array y = zeros({2}, i64);
    counts({.blocks = 2, .threads = 32}, arange(64) - 20, y);  // -20 to 11, 12 to 43
    CHECK(y.at<std::int64_t>({0}) == 11 * 4 + 2);
    CHECK(y.at<std::int64_t>({1}) == 32 * 4 + 2 + 1);

    const auto histogram = cuda::kernel(
        "histogram",
        [](In x, InOut bins, InOut others) {
            auto own = cuda::shared<std::int32_t>(8);
            const Value t = cuda::thread_idx();
            if_(t < 8, [&] { own(t) = 0; });
            cuda::sync_threads();
            atomic_add(own(x(cuda::grid()) % 8), 1);
            cuda::sync_threads();
            if_(t < 8, [&] { atomic_add(bins(t), own(t)); });
            cuda::atomic_sub(others(0), 2);
            cuda::atomic_exchange(others(1), 9);
            cuda::atomic_compare_exchange(others(2), 5, 6);  // once
            cuda::atomic_compare_exchange(others(3), 4, 6);  // never
        },
        simulated);
    const Array bins = zeros({8}, i32), others = full({4}, std::int32_t(5));
    histogram({.blocks = 4, .threads = 64}, arange(256) % 24, bins, others);
    // Of the numbers 0 to 23, 10 whole times and 0 to 15 once more: 10 * 3 + 2 of each.
    for (int k = 0; k < 8; ++k) CHECK(bins.at<std::int32_t>({k}) == 32);
    CHECK(others.at<std::int32_t>({0}) == 5 - 2 * 256);
    CHECK(others.at<std::int32_t>({1}) == 9);
    CHECK(others.at<std::int32_t>({2}) == 6);
    CHECK(others.at<std::int32_t>({3}) == 5);
}

TEST_CASE("explicit kernels: shared memory that a launch gives, forall", "[jit][sim][threads]") {
    const auto reversed = cuda::kernel(
        "reversed",
        [](In x, Out y) {
            const Value n = cuda::block_dim(), t = cuda::thread_idx();
            auto halves = cuda::dynamic_shared<std::int16_t>(n);
            auto tile = cuda::dynamic_shared<double>(n);
            halves(t) = cast<std::int16_t>(t);
            tile(t) = x(cuda::grid());
            cuda::sync_threads();
            y(cuda::grid()) = tile(n - 1 - t) + halves(n - 1 - t);
        },
        simulated);
    const Array y = zeros({20});
    reversed({.blocks = 2, .threads = 10, .shared = 32 + 80}, arange(20.0), y);
    for (int i = 0; i < 20; ++i)
        CHECK(y.at<double>({i}) == (i < 10 ? 9 - i : 29 - i) + (9 - i % 10));
    CHECK(error_of([&] { reversed({.blocks = 2, .threads = 10, .shared = 100}, arange(20.0), y); })
              .starts_with("the simulator found thread 8 of block 0, which writes 8 bytes that are "
                           "in no array and no shared variable, 96 bytes behind the first of "
                           "dynamic shared memory, which has 100"));
    const auto twice = cuda::kernel(
        "twice",
        [](In x, Out z) {
            const Value i = cuda::grid();
            if_(i < x.extent(0), [&] { z(i) = 2 * x(i); });
        },
        simulated);
    const Array z = zeros({1000}, i64);
    twice.forall(1000)(arange(1000), z);
    CHECK(sum(z).item<std::int64_t>() == 999'000);
}

TEST_CASE("explicit kernels: kernels that do nothing, launches of too many blocks",
          "[jit][sim][threads]") {
    const Array y = zeros({2}, i32);
    const auto nothing = cuda::kernel("nothing", [](InOut) {}, simulated);
    CHECK(error_of([&] { nothing({.blocks = 2, .threads = 8}, y); }) == "no error");
    const auto counts = cuda::kernel("counts", [](InOut n) { atomic_add(n(0), 1); }, simulated);
    counts({.blocks = {5, 3, 2}, .threads = 4}, y);
    CHECK(y.at<std::int32_t>({0}) == 5 * 3 * 2 * 4);
    CHECK(error_of([&] { counts({.blocks = {1 << 16, 1 << 15, 2}}, y); }) ==
          "the simulator runs 4294967295 blocks at most, not 4294967296 @" +
              std::to_string(__LINE__ - 2));
}

TEST_CASE("explicit kernels: bounds", "[jit][sim][threads]") {
    const Array y = zeros({128}, i32);
    const auto number = [](Out z) {
        z(cuda::thread_idx()) = cast<std::int32_t>(cuda::thread_idx());
    };
    const auto kernel = cuda::kernel(
        "bounded", number, {.target = BackendTarget::sim, .bounds = {.threads = 128, .blocks = 4}});
    CHECK(kernel.inspect(Artifact::cuda, {i32[1]})
              .find("__global__ void __launch_bounds__(128, 4) kiln_bounded(") !=
          std::string::npos);
    kernel({.threads = 128}, y);
    CHECK(y.at<std::int32_t>({127}) == 127);
    CHECK(error_of([&] { kernel({.threads = {43, 3}}, y); }) ==
          "bounded is launched with blocks of (43, 3, 1) threads @" + std::to_string(__LINE__ - 1));
    const auto made = [&](LaunchBounds bounds) {
        return error_of([&] { cuda::kernel("bounded", number, {.bounds = bounds}); });
    };
    const std::string line = " @" + std::to_string(__LINE__ - 2);
    CHECK(made({.threads = 1025}) == "bounded has .bounds of 1025 threads and 0 blocks" + line);
    CHECK(made({.threads = 32, .blocks = 33}) ==
          "bounded has .bounds of 32 threads and 33 blocks" + line);
    CHECK(made({.blocks = 2}) == "bounded has .bounds of blocks alone" + line);
    CHECK(cuda::kernel("threads", number, {.bounds = {.threads = 96}})
              .inspect(Artifact::cuda, {i32[1]})
              .find("__launch_bounds__(96) kiln_threads(") != std::string::npos);
}

TEST_CASE("explicit kernels: what they do not have", "[jit][sim][threads]") {
    const Array x = zeros({64});
    const auto refused = [&](auto body) {
        const auto kernel = cuda::kernel("k", body, simulated);
        return error_of([&] { kernel({.threads = 64}, x); });
    };
    const auto at = [](unsigned line) { return " @" + std::to_string(line); };
    CHECK(refused([](InOut a) {
              for (Index i : prange(a.extent(0))) a(i) = 0;
          }) == "a prange in an explicit kernel" + at(__LINE__ - 2));
    CHECK(refused([](InOut a) { a = 1.0; }) ==
          "a statement on whole arrays in an explicit kernel" + at(__LINE__ - 1));
    CHECK(refused([](InOut a) { Scratch s(f64, {a.extent(0)}); }) ==
          "a Scratch in an explicit kernel" + at(__LINE__ - 1));
    CHECK(refused([](InOut) { cuda::shared<float>(0); }) ==
          "a shared array of extent 0" + at(__LINE__ - 1));
    CHECK(refused([](InOut) { cuda::dynamic_shared(f32, {1, 1, 1, 1, 1, 1, 1, 1, 1}); }) ==
          "an array of 9 dimensions; at most 8 are possible" + at(__LINE__ - 1));
    CHECK(refused([](InOut) { cuda::dynamic_shared(f32, {}); }) ==
          "a shared array of 0 dimensions" + at(__LINE__ - 1));
    CHECK(refused([](InOut) { cuda::dynamic_shared(f32, {1.5}); }) ==
          "an extent is f64, not an integer" + at(__LINE__ - 1));
    CHECK(refused([](InOut a) {
              auto tile = cuda::shared<double>(80, 80);
              tile(0, 0) = a(0);
          }) ==
          "k is an explicit kernel: the CUDA backend does not compile 51200 bytes of shared "
          "memory in a block" +
              at(__LINE__ - 6));
    CHECK(refused([](InOut a) { a(0) = cuda::shuffle(cast<std::int8_t>(a(0)), 1); }) ==
          "cuda::shuffle of i8" + at(__LINE__ - 1));
    CHECK(refused([](InOut a) { cuda::atomic_compare_exchange(a(0), 1.0, 2.0); }) ==
          "a compare and exchange of f64" + at(__LINE__ - 1));
    const auto loop = jit("loop", [](Out a) { a(cuda::thread_idx()) = 1.0; });
    CHECK(error_of([&] { loop(x); }) ==
          "cuda::thread_idx outside of an explicit kernel: threads and blocks are those of "
          "cuda::kernel" +
              at(__LINE__ - 4));
    const auto fine = cuda::kernel("fine", [](InOut a) { a(0) = 1.0; }, simulated);
    CHECK(error_of([&] { fine({.threads = 1025}, x); }) ==
          "fine is launched with blocks of (1025, 1, 1) threads" + at(__LINE__ - 1));
    CHECK(error_of([&] { fine({.blocks = 0}, x); }) ==
          "fine is launched with (0, 1, 1) blocks" + at(__LINE__ - 1));
}

TEST_CASE("explicit kernels: their text", "[jit][sim][threads][cuda]") {
    const std::string text = product(barrier).inspect(Artifact::cuda, {f32[2], f32[2], f32[2]});
    CHECK(text.find("// explicit_kernels_test.cpp:") != text.npos);
    std::istringstream lines(text);
    std::string without_comments, line;
    while (std::getline(lines, line))
        if (line.find("// ") == line.npos) without_comments += line + '\n';
    std::ifstream in(KILN_TESTS_DIR "/golden/cuda/product.cu");
    std::ostringstream golden;
    golden << in.rdbuf();
    CHECK(without_comments == golden.str());
    // No name in the text is that of the function.
    const std::string named = cuda::kernel("dynamic", [](Out y) {
                                  auto tile = cuda::dynamic_shared<double>(4);
                                  tile(0) = 1.0;
                                  y(0) = tile(0);
                              }).inspect(Artifact::cuda, {f64[1]});
    CHECK(named.find("kiln_dynamic") != named.npos);
    CHECK(named.find("kiln_dynamic") == named.rfind("kiln_dynamic"));
    try {
        const std::string ptx = product(barrier).inspect(Artifact::ptx, {f32[2], f32[2], f32[2]});
        CHECK(ptx.find("bar.sync") != ptx.npos);
    } catch (const Error& e) {
        if (e.kind() != ErrorKind::device) throw;
        WARN("skipped: NVRTC is not here");
    }
}
