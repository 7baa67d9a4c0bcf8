// How long code lives: as long as something can call it, and no longer.
#include "tests/jit/support.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace kiln;
using namespace kiln::test;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int many = 1000, warm = 100;
constexpr bool exact_memory = false;  // what is freed waits in quarantine
#else
constexpr int many = 3'000, warm = 800;
constexpr bool exact_memory = true;
#endif

std::int64_t mappings() {
    std::ifstream maps("/proc/self/maps");
    return std::count(std::istreambuf_iterator<char>(maps), {}, '\n');
}
std::int64_t resident_pages() {
    std::ifstream sizes("/proc/self/statm");
    std::int64_t all = 0, resident = 0;
    sizes >> all >> resident;
    return resident;
}

/// Kernels of constants from `first` on, made, called in every way and destroyed.
int wrong_of(int first, int last) {
    int wrong = 0;
    for (int i = first; i < last; ++i) {
        const double c = i + 0.25;
        const auto f = vectorize([=](Value x) { return x * 3 + c; });
        wrong += f.bind<double(double)>()(2.0) != 6 + c;
        if (i % 500 != 0) continue;
        // Rarer, as they take longer to compile.
        const auto g = jit([=](In x, Out y) {
            for (Index k : prange(x.extent(0))) y(k) = x(k) + c;
        });
        std::vector<double> x{1, 2}, y(2);
        g(x, y);
        wrong += y != std::vector<double>{1 + c, 2 + c};
        wrong += at(map_reduce([=](Value v) { return v + c; }, Reduce::sum)(Array::of({1.0, 2.0})),
                    0) != 3 + 2 * c;
    }
    return wrong;
}

/// The exit status of a child process that runs f.
template <class F> int status_of(F f) {
    const pid_t child = fork();
    if (child == 0) {
        int code = 100;
        try {
            code = f();
        } catch (...) {
        }
        _exit(code);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

}  // namespace

TEST_CASE("kernels that die give back code, mappings and memory", "[jit][lifetime][threads]") {
    std::atomic<int> wrong = wrong_of(-warm, 0);  // allocators and caches are warm
    const std::int64_t mappings_before = mappings(), pages_before = resident_pages();
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t)
        threads.emplace_back([&, t] { wrong += wrong_of(t * many / 2, (t + 1) * many / 2); });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(mappings() - mappings_before < 40);
    // Two threads have their own arenas, of 4 MB; kernels that are kept take 6.5 KB each, 19 MB in all.
    if (exact_memory) CHECK((resident_pages() - pages_before) * 4 < 9 << 10);
}

TEST_CASE("a kernel that is made again soon is not compiled again", "[jit][lifetime]") {
    const auto compiles_of = [](double c) {
        const auto f = vectorize([=](Value x) { return x + c; });
        f(1.5);
        return f.stats().compiles;
    };
    CHECK(compiles_of(7001.5) == 1);
    CHECK(compiles_of(7001.5) == 0);
    for (int i = 0; i < 100; ++i) CHECK(compiles_of(8000.5 + i) == 1);
    for (int i = 0; i < 100; ++i) CHECK(compiles_of(8000.5 + i) == 0);
    CHECK(compiles_of(7001.5) == 0);
}

TEST_CASE("a bound handle keeps its code", "[jit][lifetime]") {
    const auto bound = [] {
        const auto f = vectorize([](Value x) { return x * 2 + 31.5; });
        return f.bind<double(double)>();
    }();
    wrong_of(-9000, -8700);  // more than are kept
    CHECK(bound(2.0) == 35.5);
    std::optional<Ufunc> kernel = vectorize([](Value x) { return x - 77.5; });
    (*kernel)(1.0);
    const Ufunc copy = *kernel;
    kernel.reset();
    wrong_of(-8700, -8400);
    CHECK(at(copy(1.0), 0) == -76.5);
}

TEST_CASE("out of memory is an error, and the program goes on", "[jit][lifetime]") {
    vectorize([](Value x) { return x + 1; })(1.0);  // LLVM is there
    const auto kernels_until_error = [](auto is_right) {
        std::vector<Ufunc> held;
        try {
            for (int i = 0; i < 100'000; ++i) {
                held.push_back(vectorize("full", [=](Value x) { return sin(x) + (i + 0.125); }));
                held.back()(1.5);
            }
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::usage || !is_right(error.message())) return 1;
            return at(held[0](0.0), 0) == 0.125 ? 0 : 2;  // what is compiled runs
        }
        return 3;
    };
    CHECK(status_of([&] {
              std::ifstream sizes("/proc/self/statm");
              rlim_t pages = 0;
              sizes >> pages;
              const rlimit limit{pages * 4096 + (20u << 20), pages * 4096 + (20u << 20)};
              setrlimit(RLIMIT_AS, &limit);
              return kernels_until_error([](const std::string& text) {
                  return text == "out of memory: compiling full may take 16 MiB";
              });
          }) == 0);
}
