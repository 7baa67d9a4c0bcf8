// Kernels of CUDA text on the simulator: results, what arguments and texts may be, findings by lines of the text.
#include "tests/catch.h"

#include <kiln/kiln.h>

#include <string>
#include <vector>

using namespace kiln;

namespace {

constexpr RawOptions simulated{.target = BackendTarget::sim};

template <class F> std::string error_of(const F& f) {
    try {
        f();
    } catch (const Error& e) {
        return e.message() + (e.line() == 0 ? "" : " @" + std::to_string(e.line()));
    }
    return "no error";
}

const std::string saxpy_text = R"(
// what it is: saxpy(
template <class T> __device__ T twice(T x) { return 2 * x; }
extern "C" __global__ void __launch_bounds__(256)
saxpy(float a, const float* __restrict__ x, /* of (n) */ float *y, long long n) {
    const long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * twice(x[i]);
}
)";

RawKernel saxpy() { return cuda::raw(saxpy_text, "saxpy", {f32, f32[1], f32[1], i64}, simulated); }

}  // namespace

TEST_CASE("raw kernels: text as it is", "[jit][sim][raw]") {
    const auto kernel = saxpy();
    CHECK(kernel.name() == "saxpy");
    CHECK(kernel.inspect(Artifact::cuda) == saxpy_text);
    const Array x = arange(1000).astype(f32), y = ones({1000}, f32);
    kernel({.blocks = 4, .threads = 256}, 1.5f, x, y, 1000);
    for (int i = 0; i < 1000; ++i) CHECK(y.at<float>({i}) == 1 + 3.0f * static_cast<float>(i));
    // Read-only arrays where the text says const, vectors, and scalars that convert safely.
    std::vector<float> some(3, 0.0f);
    const Array fixed = ones({3}, f32).as_read_only();
    kernel.forall(3)(0.5f, fixed, some, std::int16_t(3));
    CHECK(some == std::vector<float>(3, 1.0f));
    // Shared memory, of its own and as a launch gives it; several parameters in one line.
    const auto reversed = cuda::raw(
        "extern \"C\" __global__ void reversed(const double *x, double *y) {\n"
        "    __shared__ double own[64];\n"
        "    extern __shared__ double given[];\n"
        "    own[threadIdx.x] = x[threadIdx.x];\n"
        "    given[threadIdx.x] = 2;\n"
        "    __syncthreads();\n"
        "    y[threadIdx.x] = own[63 - threadIdx.x] * given[63 - threadIdx.x];\n"
        "}\n",
        "reversed", {f64[1], f64[2]}, simulated);
    const Array z = zeros({8, 8});
    reversed({.threads = 64, .shared = 512}, arange(64).astype(f64), z);
    for (int i = 0; i < 64; ++i) CHECK(z.at<double>({i / 8, i % 8}) == 2.0 * (63 - i));
}

TEST_CASE("raw kernels: arguments", "[jit][sim][raw]") {
    const auto kernel = saxpy();
    const Array x = ones({8}, f32), y = ones({8}, f32);
    const auto called = [&](auto&&... arguments) {
        return error_of([&] { kernel({.threads = 8}, arguments...); });
    };
    const std::string line = " @" + std::to_string(__LINE__ - 2);
    CHECK(called(1.5f, x, y) == "saxpy takes 4 arguments, 3 given" + line);
    CHECK(called(x, x, y, 8) == "argument 1 of saxpy is an array, but a is a scalar" + line);
    CHECK(called(1.5f, 2.5f, y, 8) == "argument 2 of saxpy is a scalar, but x is an array" + line);
    CHECK(called(1.5f, ones({8}), y, 8) ==
          "argument 2 of saxpy has elements of f64, but x of f32" + line);
    CHECK(called(1.5f, x, ones({2, 4}, f32), 8) ==
          "argument 3 of saxpy has rank 2, but y has 1" + line);
    CHECK(called(1.5f, ones({16}, f32).slice(0, {0, 16, 2}), y, 8) ==
          "argument 2 of saxpy is not contiguous" + line);
    const Array fixed = ones({8}, f32).as_read_only();
    CHECK(called(1.5f, x, fixed, 8) == "argument 3 of saxpy is read-only, but y is written" + line);
    CHECK(called(1.5, x, y, 8).find("f64") != std::string::npos);
    CHECK(error_of([&] { kernel({.threads = 2048}, 1.5f, x, y, 8); }) ==
          "saxpy is launched with blocks of (2048, 1, 1) threads @" + std::to_string(__LINE__ - 1));
}

TEST_CASE("raw kernels: texts", "[jit][sim][raw]") {
    const auto made = [](const std::string& text, const std::vector<ArgType>& types) {
        return error_of([&] { cuda::raw(text, "f", types, simulated); });
    };
    const std::string line = " @" + std::to_string(__LINE__ - 2);
    const std::string head = "extern \"C\" __global__ void ";
    CHECK(made(head + "f(float* x) {}", {f32[3]}) == "no error");
    CHECK(made(head + "f() {}", {}) == "no error");
    CHECK(made(head + "f(void) {}", {}) == "no error");
    CHECK(made("/* " + std::string(100'000, '*') + "*/" + head + "f() {}", {}) == "no error");
    CHECK(made(head + "f(const struct thing *x, some::type y) {}", {f32[1], f64}) == "no error");
    CHECK(made(head + "ff() {}", {}) == "the text has no function f that can be launched" + line);
    CHECK(made(head + "g() {}", {}) == "the text has no function f that can be launched" + line);
    CHECK(made("void f() {} // __global__", {}) ==
          "the text has no function f that can be launched" + line);
    CHECK(made("__global__ void f() {}", {}) ==
          "the text has no function f that can be launched" + line);
    CHECK(made(head + "f(float* x) {}", {}) ==
          "f takes 1 parameter in its text, 0 types given" + line);
    CHECK(made(head + "f(float* x, int n) {}", {f32[1], i64}) ==
          "parameter 2 of f is 'int n' in its text, and i64 here" + line);
    CHECK(made(head + "f(unsigned char const *x) {}", {u8}) ==
          "parameter 1 of f is 'unsigned char const *x' in its text, and u8 here" + line);
    CHECK(made(head + "f(double x) {}", {f64[1]}) ==
          "parameter 1 of f is 'double x' in its text, and f64[1] here" + line);
    CHECK(error_of([&] {
              cuda::raw(head + "f() {}", "f", {}, {.target = BackendTarget::cpu});
          }).starts_with("f is CUDA text, which is no code of the CPU @"));
    CHECK(error_of([&] {
              cuda::raw(head + "f() {}", "f", {}, simulated).inspect(Artifact::ir);
          }).starts_with("f is CUDA text @"));
    const auto wrong = cuda::raw(head + "f() {\n    int x = ;\n}", "f", {}, simulated);
    const std::string told = error_of([&] { wrong({}); });
    CHECK(told.starts_with("the text of f does not compile: "));
    CHECK(told.ends_with(" @" + std::to_string(__LINE__ - 3)));
}

TEST_CASE("raw kernels: findings have the lines of the text", "[jit][sim][raw]") {
    const auto beyond = cuda::raw(
        "extern \"C\" __global__ void beyond(float* x) {\n"
        "    x[threadIdx.x] = 1;\n"
        "}",
        "beyond", {f32[1]}, simulated);
    try {
        beyond({.threads = 9}, zeros({8}, f32));
        FAIL("no error");
    } catch (const Error& e) {
        CHECK(e.file() == "beyond.cu");
        CHECK(e.line() == 2);
        CHECK_THAT(e.message(), Catch::Matchers::Contains("thread 8 of block 0") &&
                                    Catch::Matchers::Contains("x"));
    }
}
