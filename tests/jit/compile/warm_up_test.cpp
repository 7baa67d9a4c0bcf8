// Kernels that are compiled before they are called.
#include "tests/jit/support.h"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

using namespace kiln;
using namespace kiln::test;

namespace {

auto times(double c) {
    return vectorize("times", [=](Value x) { return x * c + 0.125; });
}

}  // namespace

TEST_CASE("what is warmed up is compiled once, and calls find it", "[jit][warm_up]") {
    for (const int threads : {0, 1, 3}) {
        const auto f = times(7 + threads), g = times(70 + threads);
        const auto fill = jit("fill", [=](Out x) { x = 3.0 + threads; });
        WarmUp work =
            warm_up({{f, {f64[1]}}, {g, {f64[1]}}, {g, {f32[1]}}, {fill, {f64[1]}}}, threads);
        if (threads == 0) CHECK_FALSE(work.is_done());
        work.wait();
        CHECK(work.is_done());
        work.wait();
        CHECK(f.stats().compiles == 1);
        CHECK(g.stats().compiles == 2);
        CHECK(fill.stats().compiles == 1);
        const Array x = arange(4.0);
        CHECK(g(x).at<double>(2) == 2 * (70.0 + threads) + 0.125);
        CHECK(g.stats().compiles == 2);
        CHECK(g.stats().hits == 1);
        fill(x);
        CHECK(x.at<double>(3) == 3.0 + threads);
    }
    warm_up({}).wait();
}

TEST_CASE("the first error of a warm-up is thrown by wait, with its line; the others are compiled",
          "[jit][warm_up]") {
    const auto f = times(11);
    WarmUp work = warm_up({{f, {f64[1], f64[1]}}, {f, {f64[1]}}});
    const std::uint32_t line = __LINE__ - 1;
    const Error error = error_of([&] { work.wait(); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.line() == line);
    CHECK(work.is_done());
    CHECK(f.stats().compiles == 1);
}

TEST_CASE("a warm-up that is let go waits for what has begun, and drops the rest",
          "[jit][warm_up]") {
    std::mutex mutex;
    std::condition_variable changed;
    bool begun = false, go_on = false;
    const auto slow = vectorize("slow", [&](Value x) {
        std::unique_lock lock(mutex);
        begun = true;
        changed.notify_all();
        changed.wait(lock, [&] { return go_on; });
        return x + 77.25;
    });
    const auto never = times(99.5);
    std::thread other;
    {
        const WarmUp work = warm_up({{slow, {f64[1]}}, {never, {f64[1]}}});
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return begun; });
        other = std::thread([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            const std::lock_guard then(mutex);
            go_on = true;
            changed.notify_all();
        });
    }
    other.join();
    CHECK(slow.stats().compiles == 1);
    CHECK(never.stats().compiles == 0);
}

TEST_CASE("a forked child warms up what its parent had begun", "[jit][warm_up]") {
    const auto f = times(1.5), g = times(2.5);
    WarmUp work = warm_up({{f, {f64[1]}}, {g, {f64[1]}}});
    const pid_t child = fork();
    if (child == 0) {
        work.wait();
        const Array x = arange(3.0);
        _exit(g(x).at<double>(2) == 5.125 && f(x).at<double>(2) == 3.125 && g.stats().misses <= 1
                  ? 0
                  : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    work.wait();
    CHECK(f.stats().compiles == 1);
}
