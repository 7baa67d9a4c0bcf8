// Many threads calling one ufunc for the first time.
#include "tests/jit/support.h"

#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
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

namespace {

/// Two threads meet here, or one of them gives up.
class Meeting {
  public:
    bool meet() {
        std::unique_lock lock(mutex_);
        ++arrived_;
        all_.notify_all();
        return all_.wait_for(lock, std::chrono::seconds(60), [&] { return arrived_ >= 2; });
    }

  private:
    std::mutex mutex_;
    std::condition_variable all_;
    int arrived_ = 0;
};

}  // namespace

TEST_CASE("different kernels are traced at the same time", "[jit][threads]") {
    // Each lambda waits until the other is being traced.
    Meeting ufuncs, loops;
    std::atomic<int> met = 0;
    std::vector<std::thread> threads;
    for (const double c : {2.0, 3.0}) {
        threads.emplace_back([&, c] {
            const auto f = vectorize("f", [&](Value x) {
                met += ufuncs.meet();
                return x * c;
            });
            const auto g = jit("g", [&](In x) -> Value {
                met += loops.meet();
                return x(0) * c;
            });
            const Array x = Array::of({1.5});
            met += at(f(x), 0) == 1.5 * c;
            met += g(x).get<double>() == 1.5 * c;
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(met == 8);
}

namespace {

/// Counts the threads that run a lambda, without those that wait in it for another kernel.
class Running {
  public:
    void enter() {
        if (++now_ > 1) overlapped_ = true;
    }
    void leave() { --now_; }
    bool overlapped() const { return overlapped_; }

  private:
    std::atomic<int> now_ = 0;
    std::atomic<bool> overlapped_ = false;
};

}  // namespace

TEST_CASE("kernels that call each other are traced by threads at once", "[jit][threads]") {
    // a calls b where it is given f32, b calls a where it is given f64: each thread has one, and
    // wants the other.
    const auto call = [](auto& kernel, const Value& x) -> Value {
        Scratch one(x.dtype(), {1});
        one(0) = x;
        return kernel(one);
    };
    for (int round = 0; round < 20; ++round) {
        Meeting meeting;
        Running in_a, in_b;
        std::function<Value(const Value&)> inner_a, inner_b;
        const auto run = [&](Running& running, auto&& body) -> Value {
            running.enter();
            Value made = body();
            running.leave();
            return made;
        };
        const auto wait_for = [&](Running& mine, auto&& inner, const Value& x) -> Value {
            mine.leave();
            Value made = inner(x);
            mine.enter();
            return made;
        };
        const auto a = jit("a", [&](In x) -> Value {
            return run(in_a, [&]() -> Value {
                if (x.dtype() != DType::f32) return x(0) + 1.0;
                if (round % 2 == 0) meeting.meet();
                return wait_for(in_a, inner_b, cast<float>(x(0)));
            });
        });
        const auto b = jit("b", [&](In x) -> Value {
            return run(in_b, [&]() -> Value {
                if (x.dtype() != DType::f64) return x(0) * 2.0f;
                if (round % 2 == 0) meeting.meet();
                return wait_for(in_b, inner_a, x(0));
            });
        });
        inner_a = [&](const Value& x) { return call(a, x); };
        inner_b = [&](const Value& x) { return call(b, x); };
        double from_a = 0, from_b = 0;
        std::thread first([&] { from_a = a(Array::of({1.5f})).cast(DType::f64).get<double>(); });
        std::thread second([&] { from_b = b(Array::of({4.0})).get<double>(); });
        first.join();
        second.join();
        CHECK(from_a == 3.0);
        CHECK(from_b == 5.0);
        CHECK_FALSE(in_a.overlapped());
        CHECK_FALSE(in_b.overlapped());
    }
}

TEST_CASE("a kernel whose lambda has whole-array statements for some types alone",
          "[jit][threads]") {
    const auto f = jit("mixed", [](In a, In b, Out c) {
        if (a.dtype() == DType::f32)
            for (Index i : range(c.extent(0))) c(i) = a(i) + b(0);
        else
            c = a + b;
    });
    const std::vector<float> x{1, 2, 3}, one{10};
    std::vector<float> y(3);
    f(x, one, y);  // extents of 1 are nothing to this one
    CHECK(y == std::vector<float>{11, 12, 13});
    const std::vector<double> u{1, 2, 3}, v{10}, w{1, 1, 1};
    std::vector<double> z(3);
    f(u, v, z);  // and are to this one: b is broadcast
    CHECK(z == std::vector<double>{11, 12, 13});
    f(u, w, z);
    CHECK(z == std::vector<double>{2, 3, 4});
    f(x, one, y);
    f(u, v, z);
    CHECK(z == std::vector<double>{11, 12, 13});
    CHECK(f.stats().misses == 3);
    CHECK(f.stats().hits == 2);
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
