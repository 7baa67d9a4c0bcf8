// Many threads calling one ufunc for the first time.
#include "tests/jit/support.h"

#include <atomic>
#include <barrier>
#include <thread>

using namespace kiln;
using namespace kiln::test;

TEST_CASE("one compile per signature under concurrent first calls", "[jit][threads]") {
    std::atomic<int> traces = 0;
    // A constant of its own, so that no other test has compiled this kernel.
    const auto f = vectorize("mixed", [&](Value a, Value b) {
        ++traces;
        return a * 1.78125f + b;
    });
    const DType dtypes[] = {DType::f32, DType::f64, DType::i32, DType::u8};
    std::barrier start(8);
    std::atomic<bool> wrong = false;
    std::vector<std::thread> threads;
    const Stats before = stats();
    for (unsigned t = 0; t < 8; ++t) {
        threads.emplace_back([&, t] {
            start.arrive_and_wait();
            for (unsigned i = 0; i < 50; ++i) {
                const DType dtype = dtypes[(t + i) % 4];
                const Array x = arange(33, dtype);
                const Array r = f(x, x);
                for (const std::int64_t k : {0, 1, 16, 32}) {
                    if (at(r, k) != double(k) * 1.78125 + double(k)) wrong = true;
                }
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK_FALSE(wrong);
    const Stats after = f.stats();
    CHECK(traces == 4);
    CHECK(after.compiles == 4);
    CHECK(after.misses >= 4);
    CHECK(after.hits + after.misses == 400);
    CHECK(stats().compiles - before.compiles == 4);
}

TEST_CASE("calls of different ufuncs from many threads", "[jit][threads]") {
    std::vector<std::thread> threads;
    std::atomic<int> right = 0;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&, t] {
            const auto f = vectorize([=](Value a) { return a + t; });
            const auto fast = f.bind<double(double)>();
            right += fast(1.5) == 1.5 + t && at(f(Array::of({2.0})), 0) == 2 + t;
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(right == 8);
}
