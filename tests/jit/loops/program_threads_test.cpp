// Loop kernels and threads: schedules, masks, concurrent and nested callers, forked children.
#include "tests/jit/support.h"
#include "tests/threads.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <cmath>
#include <numeric>
#include <thread>

using namespace kiln;
using kiln::test::Threads;

namespace {

/// Scales x into y, gives the sum of its square roots and counts the iterations; f64.
auto work_kernel(PrangeOptions options) {
    return jit(
        [=](In x, Out y, InOut count) -> Value {
            Var sum(DType::f64, 0.0);
            for (Index i : prange(x.extent(0))) sum += sqrt(x(i));
            for (Index i : prange(x.extent(0), options)) {
                y(i) = 2.0 * x(i);
                atomic_add(count(i % 3), 1);
            }
            return sum;
        },
        {.parallel = true});
}

template <class Kernel> bool works(const Kernel& kernel, std::int64_t n, double* sum = nullptr) {
    std::vector<double> x(static_cast<std::size_t>(n)), y(x.size(), -1.0);
    std::iota(x.begin(), x.end(), 1.0);
    std::vector<std::int64_t> count(3, 0);
    const double got = kernel(x, y, count).template get<double>();
    bool right = count[0] == (n + 2) / 3 && count[1] == (n + 1) / 3 && count[2] == n / 3;
    double expected = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        right = right && y[i] == 2.0 * x[i];
        expected += std::sqrt(x[i]);
    }
    if (sum != nullptr) {
        right = right && (*sum == 0 || *sum == got);
        *sum = got;
    }
    return right && std::fabs(got - expected) <= 1e-12 * expected;
}

TEST_CASE("threads: results do not depend on schedule, chunk or threads",
          "[jit][program][threads]") {
    constexpr std::int64_t n = 20000;
    double sum = 0;
    for (const Schedule schedule :
         {Schedule::automatic, Schedule::static_, Schedule::dynamic, Schedule::guided})
        for (const std::int64_t chunk : {0, 1, 7, 5000, 1000000}) {
            const auto kernel = work_kernel({.schedule = schedule, .chunk = chunk});
            for (const int threads : {1, 2, 3, 8}) {
                const Threads scope(threads);
                CHECK(works(kernel, n, &sum));
                CHECK(works(kernel, 1));
            }
        }
}

TEST_CASE("threads: a negative chunk is refused", "[jit][program][threads]") {
    const auto kernel = jit([](Out y) {
        for (Index i : prange(y.extent(0), {.chunk = -1})) y(i) = 0.0;
    });
    std::vector<double> y(3);
    const Error error = test::error_of([&] { kernel(y); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.line() == __LINE__ - 5);
    CHECK(error.message() == "the chunk of a prange is -1");
}

TEST_CASE("threads: set_num_threads counts for the calling thread", "[jit][program][threads]") {
    const Threads scope(3);
    const auto kernel = work_kernel({.schedule = Schedule::dynamic, .chunk = 10});
    CHECK(works(kernel, 5000));
    std::atomic<bool> right = true;
    std::barrier start(2);
    const auto other = [&](int threads) {
        set_num_threads(threads);
        start.arrive_and_wait();
        for (int i = 0; i < 20; ++i)
            if (!works(kernel, 5000) || num_threads() != threads) right = false;
    };
    std::thread one(other, 1), four(other, 4);
    one.join();
    four.join();
    CHECK(right);
    CHECK(num_threads() == 3);
}

TEST_CASE("threads: concurrent callers of one kernel, its first call among them",
          "[jit][program][threads]") {
    const Threads scope(2);
    const auto kernel = work_kernel({.schedule = Schedule::static_, .chunk = 17});
    std::atomic<int> right = 0;
    std::vector<std::thread> callers;
    for (int t = 0; t < 6; ++t)
        callers.emplace_back([&, t] {
            set_num_threads(1 + t % 3);
            for (int i = 0; i < 10; ++i) right += works(kernel, 3000 + 100 * t);
        });
    for (std::thread& caller : callers) caller.join();
    CHECK(right == 60);
    CHECK(kernel.stats().compiles == 1);
}

TEST_CASE("threads: calls from pieces of a parallel loop", "[jit][program][threads]") {
    const Threads scope(4);
    const auto kernel = work_kernel({.schedule = Schedule::guided});
    const auto twice = vectorize([](Value x) { return x * 2.0; }, {.parallel = true});
    std::atomic<int> right = 0;
    parallel_for(12, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
            right += works(kernel, 2000 + i);
            parallel_for(2, 1, [&](std::int64_t first, std::int64_t last) {
                for (; first < last; ++first) right += works(kernel, 500);
            });
            const Array x = arange(3000, DType::f64);
            right += test::at(twice(x), 2999) == 5998;
        }
    });
    CHECK(right == 12 * 4);
}

TEST_CASE("threads: a forked child calls kernels that were compiled, and compiles others",
          "[jit][program][threads]") {
    if (!test::forked_children_may_have_threads()) return;
    const Threads scope(3);
    const auto kernel = work_kernel({.schedule = Schedule::dynamic});
    double sum = 0;
    CHECK(works(kernel, 30000, &sum));
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        alarm(60);
        bool right = works(kernel, 30000, &sum);
        const auto fresh = jit(
            [](In x) -> Value {
                Var most(DType::f64, -1.0);
                for (Index i : prange(x.extent(0))) most = max(most, x(i) * 3.5);
                return most;
            },
            {.parallel = true});
        right = right && fresh(arange(100000, DType::f64)).get<double>() == 3.5 * 99999;
        _exit(right ? 0 : 1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(works(kernel, 30000, &sum));
}

}  // namespace
