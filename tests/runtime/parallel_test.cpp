#include <kiln/parallel.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstdlib>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/catch.h"
#include "tests/runtime/check_error.h"
#include "tests/threads.h"

using namespace kiln;

namespace {

struct ThreadsScope {
    int before = num_threads();
    explicit ThreadsScope(int n) { set_num_threads(n); }
    ~ThreadsScope() { set_num_threads(before); }
    ThreadsScope(const ThreadsScope&) = delete;
    ThreadsScope& operator=(const ThreadsScope&) = delete;
};

std::int64_t sum_below(std::int64_t n, std::int64_t grain) {
    std::atomic<std::int64_t> sum{0};
    parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) {
        std::int64_t part = 0;
        for (std::int64_t i = begin; i < end; ++i) part += i;
        sum += part;
    });
    return sum;
}

}  // namespace

TEST_CASE("parallel_for covers [0, n) once each in pieces of whole grains", "[runtime][parallel]") {
    for (const int threads : {1, 2, 3, 8}) {
        const ThreadsScope scope(threads);
        for (const std::int64_t n : {1, 2, 7, 64, 100, 1001, 99991}) {
            for (const std::int64_t grain : {-1, 0, 1, 3, 64, 1000, 100000}) {
                std::vector<std::atomic<int>> hits(static_cast<std::size_t>(n));
                std::atomic<int> bad{0};
                parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) {
                    const std::int64_t g = std::max<std::int64_t>(grain, 1);
                    if (begin >= end || begin % g != 0 || (end != n && end % g != 0)) ++bad;
                    for (std::int64_t i = begin; i < end; ++i) ++hits[static_cast<std::size_t>(i)];
                });
                CAPTURE(threads, n, grain);
                CHECK(bad == 0);
                CHECK(std::all_of(hits.begin(), hits.end(), [](int h) { return h == 1; }));
            }
        }
    }
    CHECK(sum_below(1'000'000, 1000) == 499'999'500'000);
}

TEST_CASE("parallel_for of nothing calls nothing", "[runtime][parallel]") {
    int calls = 0;
    parallel_for(0, 1, [&](std::int64_t, std::int64_t) { ++calls; });
    parallel_for(-5, 1, [&](std::int64_t, std::int64_t) { ++calls; });
    CHECK(calls == 0);
}

TEST_CASE("parallel_for is one call in the caller where n <= grain or with one thread",
          "[runtime][parallel]") {
    const auto check_serial = [](std::int64_t n, std::int64_t grain) {
        std::vector<std::pair<std::int64_t, std::int64_t>> calls;
        std::thread::id thread;
        parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) {
            calls.emplace_back(begin, end);
            thread = std::this_thread::get_id();
        });
        REQUIRE(calls.size() == 1);
        CHECK(calls[0] == std::pair<std::int64_t, std::int64_t>(0, n));
        CHECK(thread == std::this_thread::get_id());
    };
    {
        const ThreadsScope scope(4);
        check_serial(10, 10);
        check_serial(10, INT64_MAX);
    }
    const ThreadsScope scope(1);
    check_serial(1000, 1);
}

TEST_CASE("parallel_for works with extents near 2^63", "[runtime][parallel]") {
    const ThreadsScope scope(4);
    std::atomic<std::int64_t> covered{0};
    parallel_for(INT64_MAX, INT64_MAX / 3,
                 [&](std::int64_t begin, std::int64_t end) { covered += end - begin; });
    CHECK(covered == INT64_MAX);
    covered = 0;
    parallel_for(INT64_MAX, 1,
                 [&](std::int64_t begin, std::int64_t end) { covered += end - begin; });
    CHECK(covered == INT64_MAX);
}

TEST_CASE("Threads: nested calls are safe", "[runtime][parallel]") {
    const ThreadsScope scope(4);
    std::atomic<std::int64_t> sum{0};
    parallel_for(50, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) sum += sum_below(1000, 10);
    });
    CHECK(sum == 50 * 499'500);
}

TEST_CASE("a waiting inner loop does not start pieces of the outer one", "[runtime][parallel]") {
    const ThreadsScope scope(4);
    std::atomic<int> reentered{0};
    parallel_for(64, 1, [&](std::int64_t begin, std::int64_t end) {
        static thread_local bool busy = false;
        if (busy) ++reentered;
        busy = true;
        for (std::int64_t i = begin; i < end; ++i) sum_below(10000, 10);
        busy = false;
    });
    CHECK(reentered == 0);
}

TEST_CASE("Threads: concurrent callers are safe", "[runtime][parallel]") {
    std::atomic<int> wrong{0};
    std::vector<std::thread> callers;
    for (int id = 0; id < 8; ++id) {
        callers.emplace_back([&, id] {
            set_num_threads(id % 4 + 1);
            for (int k = 0; k < 200; ++k) {
                if (sum_below(5000 + k, 16) != std::int64_t(5000 + k) * (4999 + k) / 2) ++wrong;
            }
        });
    }
    for (std::thread& caller : callers) caller.join();
    CHECK(wrong == 0);
}

TEST_CASE("Threads: more loops at once than the pool has places for", "[runtime][parallel]") {
    const ThreadsScope scope(2);
    std::atomic<int> inside{0}, wrong{0};
    std::vector<std::thread> callers;
    for (int t = 0; t < 80; ++t) {
        callers.emplace_back([&] {
            set_num_threads(2);
            // Every loop is open before the first may end.
            ++inside;
            parallel_for(2, 1, [&](std::int64_t begin, std::int64_t) {
                while (begin == 0 && inside < 80) std::this_thread::yield();
            });
            if (sum_below(5000, 16) != 12'497'500) ++wrong;
        });
    }
    for (std::thread& caller : callers) caller.join();
    CHECK(wrong == 0);
}

TEST_CASE("a loop that follows a pause uses its threads again", "[runtime][parallel]") {
    const ThreadsScope scope(2);
    for (int round = 0; round < 5; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));  // workers park
        // Ends only when two threads are in it.
        std::atomic<int> arrived{0};
        parallel_for(2, 1, [&](std::int64_t, std::int64_t) {
            ++arrived;
            while (arrived < 2) std::this_thread::yield();
        });
        CHECK(arrived == 2);
    }
}

TEST_CASE("a loop of brief grains wakes threads once it has run for long", "[runtime][parallel]") {
    const ThreadsScope scope(2);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // workers park
    const auto caller = std::this_thread::get_id();
    std::atomic<bool> joined{false};
    const auto body = [&](std::int64_t begin, std::int64_t) {
        std::this_thread::sleep_for(std::chrono::microseconds(10));
        if (std::this_thread::get_id() != caller) joined = true;
        while (begin >= 8 && !joined) std::this_thread::yield();
    };
    parallel_for(32, 1, body, true);
    CHECK(joined);
}

TEST_CASE("Threads: `set_num_threads(n)` masks per calling thread", "[runtime][parallel]") {
    const ThreadsScope scope(3);
    CHECK(num_threads() == 3);
    std::thread([] {
        CHECK(num_threads() == max_threads());
        set_num_threads(5);
        CHECK(num_threads() == 5);
    }).join();
    CHECK(num_threads() == 3);
    // Pieces see the mask of their caller, whichever thread runs them.
    std::atomic<int> other{0};
    parallel_for(1000, 1, [&](std::int64_t, std::int64_t) { other += num_threads() != 3; });
    CHECK(other == 0);
}

TEST_CASE("no more threads take part than the mask allows", "[runtime][parallel]") {
    const ThreadsScope scope(2);
    std::atomic<int> running{0}, most{0};
    parallel_for(64, 1, [&](std::int64_t, std::int64_t) {
        const int now = ++running;
        int seen = most;
        while (seen < now && !most.compare_exchange_weak(seen, now)) {
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        --running;
    });
    CHECK(most <= 2);
}

TEST_CASE("more threads than CPUs may be asked for, within the limit", "[runtime][parallel]") {
    const ThreadsScope scope(max_threads() + 2);
    CHECK(num_threads() == max_threads() + 2);
    CHECK(sum_below(100000, 100) == std::int64_t(100000) * 99999 / 2);
    KILN_CHECK_ERROR(set_num_threads(0), usage,
                     "set_num_threads(0): the number of threads is from 1 to 256");
    KILN_CHECK_ERROR(set_num_threads(257), usage,
                     "set_num_threads(257): the number of threads is from 1 to 256");
    CHECK(num_threads() == max_threads() + 2);
    CHECK(max_threads() >= 1);
}

TEST_CASE("An exception in iteration k: the lowest k is the one reported", "[runtime][parallel]") {
    for (const int threads : {1, 4}) {
        const ThreadsScope scope(threads);
        for (int round = 0; round < 50; ++round) {
            std::string text;
            try {
                parallel_for(1000, 1, [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t i = begin; i < end; ++i) {
                        if (i >= 300 && i % 100 == 0) throw std::runtime_error(std::to_string(i));
                    }
                });
            } catch (const std::runtime_error& error) {
                text = error.what();
            }
            CHECK(text == "300");
        }
    }
    CHECK(sum_below(1000, 1) == 499'500);  // the pool goes on working
}

TEST_CASE("exceptions of kiln keep their kind and line", "[runtime][parallel]") {
    const ThreadsScope scope(2);
    KILN_CHECK_ERROR(parallel_for(100, 1,
                                  [](std::int64_t begin, std::int64_t) {
                                      if (begin == 0)
                                          throw Error(ErrorKind::bounds, "text",
                                                      std::source_location::current());
                                  }),
                     bounds, "text");
}

TEST_CASE("Threads: a forked child works", "[runtime][parallel]") {
    if (!test::forked_children_may_have_threads()) return;
    const ThreadsScope scope(2);
    CHECK(sum_below(100000, 10) == std::int64_t(100000) * 99999 / 2);  // the pool is in use
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        alarm(20);
        // Two pieces that wait for each other: two threads run them.
        std::atomic<int> there{0};
        parallel_for(2, 1, [&](std::int64_t, std::int64_t) {
            ++there;
            while (there < 2) sched_yield();
        });
        _exit(sum_below(100000, 10) == std::int64_t(100000) * 99999 / 2 ? 0 : 1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(sum_below(100000, 10) == std::int64_t(100000) * 99999 / 2);
}

namespace {

/// The exit status of a fresh process that runs the hidden test `name`.
int run_alone(const char* name, const char* threads) {
    char path[4096];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    REQUIRE(length > 0);
    path[length] = '\0';
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        if (threads != nullptr) setenv("KILN_NUM_THREADS", threads, 1);
        alarm(60);
        execl(path, path, name, "-o", "/dev/null", static_cast<char*>(nullptr));
        _exit(126);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

namespace {

std::vector<int> allowed_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<int> cpus;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
            if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) cpus.push_back(cpu);
    return cpus;
}

/// As `taskset -ap` does: all threads of this process, in the order of the system's list.
void allow(const std::vector<int>& cpus) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int cpu : cpus) CPU_SET(static_cast<std::size_t>(cpu), &set);
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task"))
        sched_setaffinity(std::stoi(thread.path().filename().string()), sizeof set, &set);
}

/// Whether loops with threads enough, for a while, run on these CPUs only.
bool stays_on(const std::vector<int>& cpus) {
    std::atomic<int> strangers{0};
    for (int loop = 0; loop < 400; ++loop) {
        parallel_for(6, 1, [&](std::int64_t begin, std::int64_t end) {
            const auto until =
                std::chrono::steady_clock::now() + std::chrono::microseconds(30 * (end - begin));
            while (std::chrono::steady_clock::now() < until) {
            }
            if (std::ranges::find(cpus, sched_getcpu()) == cpus.end()) ++strangers;
        });
    }
    return strangers == 0;
}

}  // namespace

TEST_CASE("workers stay on the CPUs that the host allows, also where it says so later",
          "[runtime][parallel]") {
    if (allowed_cpus().size() < 2) {
        WARN("there is one CPU only");
        return;
    }
    CHECK(run_alone("workers on the CPUs of the host", "3") == 0);
}

// Run by the test above in a process of its own.
TEST_CASE("workers on the CPUs of the host", "[.]") {
    const std::vector<int> cpus = allowed_cpus();
    REQUIRE(cpus.size() >= 2);
    CHECK(stays_on(cpus));  // the workers exist, and may have moved
    for (const int cpu : {cpus[0], cpus[1], cpus[0]}) {
        allow({cpu});
        CHECK(stays_on({cpu}));
    }
    allow(cpus);
    CHECK(stays_on(cpus));
    allow({cpus[1]});
    CHECK(stays_on({cpus[1]}));
}

namespace {

/// Runs f() on a worker.
template <class F> void on_worker(F f) {
    const std::thread::id caller = std::this_thread::get_id();
    std::atomic<bool> done{false};
    while (!done) {
        parallel_for(64, 1, [&](std::int64_t, std::int64_t) {
            if (std::this_thread::get_id() == caller)
                std::this_thread::sleep_for(std::chrono::microseconds(100));
            else if (!done.exchange(true))
                f();
        });
    }
}

}  // namespace

TEST_CASE("signals go to the threads of the program, faults of a piece to its handlers",
          "[runtime][parallel]") {
    const ThreadsScope scope(2);
    sigset_t blocked;
    sigemptyset(&blocked);
    on_worker([&] { pthread_sigmask(SIG_SETMASK, nullptr, &blocked); });
    for (const int sent : {SIGTERM, SIGINT, SIGCHLD, SIGALRM, SIGUSR1, SIGPROF})
        CHECK(sigismember(&blocked, sent) == 1);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP})
        CHECK(sigismember(&blocked, fault) == 0);
    CHECK(run_alone("a fault in a piece of a worker", "2") == 9);
}

// Run by the test above in a process of its own.
TEST_CASE("a fault in a piece of a worker", "[.]") {
    signal(SIGSEGV, [](int) { _exit(9); });
    void* const page = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(page != MAP_FAILED);
    on_worker([&] { *static_cast<volatile int*>(page) = 1; });
}

TEST_CASE("a program may end from within a loop", "[runtime][parallel]") {
    CHECK(run_alone("end in a piece of the caller", nullptr) == 7);
    CHECK(run_alone("end in a piece of a worker", nullptr) == 8);
}

// Run by the test above in processes of their own.
TEST_CASE("end in a piece of the caller", "[.]") {
    set_num_threads(2);
    sum_below(1000, 10);
    const auto caller = std::this_thread::get_id();
    parallel_for(2, 1, [&](std::int64_t, std::int64_t) {
        if (std::this_thread::get_id() == caller) std::exit(7);
    });
}
TEST_CASE("end in a piece of a worker", "[.]") {
    set_num_threads(2);
    const auto caller = std::this_thread::get_id();
    std::atomic<int> arrived{0};
    parallel_for(2, 1, [&](std::int64_t, std::int64_t) {
        ++arrived;
        while (arrived < 2) std::this_thread::yield();
        if (std::this_thread::get_id() != caller) std::exit(8);
        for (;;) pause();
    });
}

TEST_CASE("KILN_NUM_THREADS sets max_threads in a fresh process", "[runtime][parallel]") {
    const auto run_with = [](const char* value) {
        return run_alone("print max_threads as exit status", value);
    };
    CHECK(run_with("7") == 7);
    CHECK(run_with("1") == 1);
    CHECK(run_with("none") == 101);
    CHECK(run_with("0") == 101);
    CHECK(run_with("257") == 101);
    CHECK(run_with("3x") == 101);
}

// Run by the test above in a process of its own.
TEST_CASE("print max_threads as exit status", "[.]") {
    try {
        _exit(max_threads());
    } catch (const Error& error) {
        const std::string value = std::getenv("KILN_NUM_THREADS");
        _exit(error.message() == "KILN_NUM_THREADS is '" + value + "', not a number from 1 to 256"
                  ? 101
                  : 102);
    }
}

TEST_CASE("FunctionRef calls what it refers to", "[runtime][parallel]") {
    int calls = 0;
    auto counter = [&](int by) { return calls += by; };
    const FunctionRef<int(int)> ref = counter;
    const FunctionRef<int(int)> copy = ref;
    CHECK(ref(2) == 2);
    CHECK(copy(3) == 5);
    const auto constant = [](int) { return 9; };
    CHECK(FunctionRef<int(int)>(constant)(1) == 9);
}
