// What the simulator finds in CUDA text: each mistake with its line, and nothing in programs that are
// right, for any number of threads and in either order.
#include "jit/sim/compiler.h"
#include "jit/sim/memory.h"
#include "tests/catch.h"

#include <bit>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

using namespace kiln;

namespace {

/// Code, and memory with names that it may touch.
class Program {
  public:
    explicit Program(const std::string& text)
        : code_(sim::compile("#line 1 \"k.cu\"\n" + text, {"k"})) {
        for (const sim::SharedVariable& s : code_->shared())
            memory_.add(s.at, s.bytes, s.name, true);
    }
    Program& array(const std::string& name, std::vector<float>& values) {
        memory_.add(values.data(), values.size() * sizeof(float), name);
        arguments_.push_back(reinterpret_cast<std::uint64_t>(values.data()));
        return *this;
    }
    Program& number(int value) {
        arguments_.push_back(static_cast<std::uint32_t>(value));
        return *this;
    }
    /// Empty, or what was found, behind its line.
    std::string run(unsigned blocks, unsigned threads, bool backwards = false) {
        std::vector<void*> addresses;
        for (std::uint64_t& a : arguments_) addresses.push_back(&a);
        sim::Finding found;
        if (sim::run({code_->function(0), addresses.data(), blocks, threads, backwards, &memory_},
                     found))
            return "";
        return std::string(found.at.file) + ":" + std::to_string(found.at.line) + ": " + found.text;
    }

  private:
    std::unique_ptr<sim::Code> code_;
    sim::Memory memory_;
    std::vector<std::uint64_t> arguments_;
};

/// A sum of each block's part, halving the threads; `barrier` stands between the steps.
std::string block_sum(const std::string& barrier) {
    return R"(extern "C" __global__ void k(const float* x, float* sums) {
    __shared__ float part[64];
    const int t = threadIdx.x;
    part[t] = x[blockIdx.x * blockDim.x + t];
    __syncthreads();
    for (int width = blockDim.x / 2; width > 0; width /= 2) {
        if (t < width) part[t] += part[t + width];
)" + barrier +
           R"(
    }
    if (t == 0) sums[blockIdx.x] = part[0];
})";
}

std::vector<float> numbers(std::size_t n) {
    std::vector<float> all(n);
    std::iota(all.begin(), all.end(), 1.0f);
    return all;
}

}  // namespace

TEST_CASE("sim: a reduction in shared memory", "[jit][sim]") {
    std::vector<float> x = numbers(256), sums(4);
    for (const bool backwards : {false, true}) {
        CHECK(Program(block_sum("        __syncthreads();"))
                  .array("x", x)
                  .array("sums", sums)
                  .run(4, 64, backwards) == "");
        // Of 64 b + 1 up to 64 b + 64.
        CHECK(sums == std::vector<float>{2080, 6176, 10272, 14368});
    }
}

TEST_CASE("sim: a missing barrier is a race, with both lines", "[jit][sim]") {
    std::vector<float> x = numbers(256), sums(4);
    CHECK(Program(block_sum("")).array("x", x).array("sums", sums).run(4, 64) ==
          "k.cu:7: a race on part[1]: thread 0 of block 0 reads it at line 7, thread 1 of block 0 "
          "writes it at line 7, with no barrier between");
}

TEST_CASE("sim: an access is of all elements that its bytes are in", "[jit][sim]") {
    const std::string text = R"(extern "C" __global__ void k(float* x) {
    if (threadIdx.x == 0) *(double*)x = 1.0;
    if (threadIdx.x == 1) x[1] = 2.0f;
})";
    std::vector<float> x = numbers(4);
    CHECK(Program(text).array("x", x).run(1, 2) ==
          "k.cu:3: a race on x[1]: thread 0 of block 0 writes it at line 2, thread 1 of block 0 "
          "writes it at line 3, with no barrier between");
    CHECK(Program(text).array("x", x).run(1, 2, true) ==
          "k.cu:2: a race on x[1]: thread 1 of block 0 writes it at line 3, thread 0 of block 0 "
          "writes it at line 2, with no barrier between");
}

TEST_CASE("sim: threads that do not come to a barrier", "[jit][sim]") {
    std::vector<float> x = numbers(64), sums(1);
    CHECK(
        Program(R"(extern "C" __global__ void k(float* x) {
    if (threadIdx.x < 5) return;
    __syncthreads();
    x[threadIdx.x] = 1;
})")
            .array("x", x)
            .run(1, 64) ==
        "k.cu:3: a divergent barrier: thread 5 of block 0 waits at line 3, thread 0 of block 0 has "
        "ended");
    CHECK(
        Program(R"(extern "C" __global__ void k(float* x) {
    if (threadIdx.x % 2 == 0) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    x[threadIdx.x] = 1;
})")
            .array("x", x)
            .run(2, 32) ==
        "k.cu:3: a divergent barrier: thread 0 of block 0 waits at line 3, thread 1 of block 0 at "
        "line 5");
}

TEST_CASE("sim: what lies beyond shared variables and arrays", "[jit][sim]") {
    std::vector<float> x = numbers(64);
    CHECK(Program(R"(extern "C" __global__ void k(float* x) {
    __shared__ float tile[32];
    tile[threadIdx.x] = x[threadIdx.x];
})")
              .array("x", x)
              .run(1, 33) ==
          "k.cu:3: thread 32 of block 0, which writes 4 bytes that are in no array and no shared "
          "variable, 128 bytes behind the first of tile, which has 128");
    CHECK(Program(R"(extern "C" __global__ void k(float* x) {
    x[threadIdx.x] = x[threadIdx.x + 1];
})")
              .array("x", x)
              .run(1, 64, true) ==
          "k.cu:2: thread 63 of block 0, which reads 4 bytes that are in no array and no shared "
          "variable, 256 bytes behind the first of x, which has 256");
}

TEST_CASE("sim: shared memory has nothing in it when a block begins", "[jit][sim]") {
    std::vector<float> x = numbers(64);
    CHECK(Program(R"(extern "C" __global__ void k(float* x) {
    __shared__ float tile[32];
    if (blockIdx.x == 0) tile[threadIdx.x] = 1;
    __syncthreads();
    x[blockIdx.x * 32 + threadIdx.x] = tile[threadIdx.x];
})")
              .array("x", x)
              .run(2, 32) ==
          "k.cu:5: thread 0 of block 1, which reads tile[0], which no thread of its block has "
          "written");
}

TEST_CASE("sim: blocks have no order, atomic operations meet", "[jit][sim]") {
    std::vector<float> x = numbers(64), sum(1);
    const auto text = [](const char* update) {
        return std::string("extern \"C\" __global__ void k(const float* x, float* sum) {\n    ") +
               update + "\n}";
    };
    CHECK(Program(text("if (threadIdx.x == 0) sum[0] += x[blockIdx.x];"))
              .array("x", x)
              .array("sum", sum)
              .run(2, 32) ==
          "k.cu:2: a race on sum[0]: thread 0 of block 0 writes it at line 2, thread 0 of block 1 "
          "reads it at line 2, and blocks have no order");
    sum[0] = 0;
    CHECK(Program(text("atomicAdd(sum, x[blockIdx.x * 32 + threadIdx.x]);"))
              .array("x", x)
              .array("sum", sum)
              .run(2, 32) == "");
    CHECK(sum[0] == 64 * 65 / 2);
    CHECK(Program(text("atomicAdd(sum, 1.0f);\n    if (threadIdx.x == 1) sum[0] = 0;"))
              .array("x", x)
              .array("sum", sum)
              .run(1, 2)
              .starts_with("k.cu:3: a race on sum[0]: thread 0 of block 0 writes it at line 2"));
}

TEST_CASE("sim: a product of matrices in tiles", "[jit][sim]") {
    // Threads of a block are 64 in a row: 8 x 8 of a tile.
    const std::string text =
        R"(extern "C" __global__ void k(const float* a, const float* b, float* c, int n) {
    __shared__ float tile_a[8][8], tile_b[8][8];
    const int tiles = n / 8, row = threadIdx.x / 8, col = threadIdx.x % 8;
    const int i = blockIdx.x / tiles * 8 + row, j = blockIdx.x % tiles * 8 + col;
    float sum = 0;
    for (int t = 0; t < tiles; ++t) {
        tile_a[row][col] = a[i * n + t * 8 + col];
        tile_b[row][col] = b[(t * 8 + row) * n + j];
        __syncthreads();
        for (int k = 0; k < 8; ++k) sum += tile_a[row][k] * tile_b[k][col];
        BARRIER
    }
    c[i * n + j] = sum;
})";
    const auto with = [&](const std::string& barrier) {
        std::string all = text;
        return all.replace(all.find("BARRIER"), 7, barrier);
    };
    const int n = 24;
    std::vector<float> a(n * n), b(n * n), c(n * n);
    for (int k = 0; k < n * n; ++k) {
        a[static_cast<std::size_t>(k)] = static_cast<float>(k % 7 - 3);
        b[static_cast<std::size_t>(k)] = static_cast<float>(k % 5 - 2);
    }
    CHECK(Program(with("__syncthreads();"))
              .array("a", a)
              .array("b", b)
              .array("c", c)
              .number(n)
              .run(9, 64) == "");
    for (int i = 0; i < n; ++i)
        for (int j = 0; j < n; ++j) {
            float sum = 0;
            for (int k = 0; k < n; ++k)
                sum +=
                    a[static_cast<std::size_t>(i * n + k)] * b[static_cast<std::size_t>(k * n + j)];
            REQUIRE(c[static_cast<std::size_t>(i * n + j)] == sum);
        }
    CHECK(Program(with("")).array("a", a).array("b", b).array("c", c).number(n).run(9, 64) ==
          "k.cu:10: a race on tile_a[0]: thread 0 of block 0 writes it at line 7, thread 1 of "
          "block 0 "
          "reads it at line 10, with no barrier between");
}

TEST_CASE("sim: warps: shuffles, votes, lanes that are not there", "[jit][sim]") {
    std::vector<float> x = numbers(128), out(128);
    const auto text = [](const std::string& body) {
        return "extern \"C\" __global__ void k(const float* x, float* out) {\n" + body + "\n}";
    };
    const auto run = [&](const std::string& body, unsigned threads) {
        return Program(text(body)).array("x", x).array("out", out).run(2, threads);
    };
    CHECK(run(R"(    float v = x[blockIdx.x * 64 + threadIdx.x];
    for (int by = 16; by > 0; by /= 2) v += __shfl_down_sync(0xffffffffu, v, by);
    if (threadIdx.x % 32 == 0) out[blockIdx.x * 2 + threadIdx.x / 32] = v;)",
              64) == "");
    // Of 32 w + 1 up to 32 w + 32.
    CHECK(std::vector<float>(out.begin(), out.begin() + 4) ==
          std::vector<float>{528, 1552, 2576, 3600});
    CHECK(run(R"(    const int odd = threadIdx.x % 2;
    out[blockIdx.x * 64 + threadIdx.x] = __ballot_sync(0xffffffffu, odd) == 0xaaaaaaaau &&
        __any_sync(0xffffffffu, odd) && !__all_sync(0xffffffffu, odd) &&
        __shfl_sync(0xffffffffu, (int)threadIdx.x, 5, 8) % 8 == 5 &&
        __shfl_xor_sync(0xffffffffu, (int)threadIdx.x, 1) == (int)(threadIdx.x ^ 1) &&
        __shfl_up_sync(0xffffffffu, (int)threadIdx.x, 1) ==
            (int)threadIdx.x - (threadIdx.x % 32 != 0);)",
              64) == "");
    CHECK(out == std::vector<float>(128, 1));
    CHECK(run(R"(    if (threadIdx.x >= 20) return;
    out[threadIdx.x] = __shfl_down_sync(0xffffffffu, x[threadIdx.x], 1);)",
              32) ==
          "k.cu:3: a warp whose lanes diverge: thread 0 of block 0 waits at line 3, thread 20 of "
          "block "
          "0 has ended");
    CHECK(run(R"(    if (threadIdx.x >= 20) return;
    out[threadIdx.x] = __shfl_down_sync(0xfffffu, x[threadIdx.x], 1);)",
              32) == "k.cu:3: thread 19 of block 0, which reads from lane 20, which takes no part");
}
