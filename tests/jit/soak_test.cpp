// Everything at once, for as long as KILN_SOAK_SECONDS says (20): eight threads make random
// kernels, call them under whatever floating-point environment, and let them die, while processes
// are forked. Hidden: kiln_tests "[soak]".
#include "tests/catch.h"
#include "tests/codegen/cpu_map.h"
#include "tests/jit/loops/random_program.h"
#include "tests/oracle/random_kernel.h"

#include <atomic>
#include <cfenv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <random>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

using namespace kiln;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int callers = 8;

/// A floating-point environment that a caller might have, drawn from `bits`.
class ForeignEnvironment {
  public:
    explicit ForeignEnvironment(std::uint64_t bits) {
        std::fegetenv(&before_);
        constexpr int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
        std::fesetround(modes[bits & 3]);
#if defined(__SSE2__)
        if (bits & 4) _mm_setcsr(_mm_getcsr() | 0x8000);  // results are flushed to zero
        if (bits & 8) _mm_setcsr(_mm_getcsr() | 0x0040);  // operands are
#endif
    }
    ~ForeignEnvironment() { std::fesetenv(&before_); }
    ForeignEnvironment(const ForeignEnvironment&) = delete;
    ForeignEnvironment& operator=(const ForeignEnvironment&) = delete;

  private:
    std::fenv_t before_;
};

/// What this process holds of the machine.
struct Footprint {
    std::int64_t resident = 0;  ///< bytes
    std::int64_t mappings = 0;

    static Footprint now() {
        Footprint found;
        std::ifstream pages("/proc/self/statm");
        std::int64_t total = 0;
        pages >> total >> found.resident;
        found.resident *= sysconf(_SC_PAGESIZE);
        std::ifstream maps("/proc/self/maps");
        for (std::string line; std::getline(maps, line);) ++found.mappings;
        return found;
    }
};

class Soak {
  public:
    explicit Soak(std::chrono::seconds length) : end_(Clock::now() + length) {}

    void call(unsigned caller) {
        std::mt19937_64 engine(caller + 1);
        while (Clock::now() < end_ && !failed_) {
            const std::uint64_t seed = next_seed_.fetch_add(1);
            report(seed % 2 == 0 ? loops(seed, engine()) : element_wise(seed, engine()));
            ++kernels_;
        }
    }

    /// A child makes a kernel of its own and calls it. One that takes a minute hangs.
    void fork_one(std::uint64_t seed) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(60);
            _exit(test::try_random_program(seed).empty() ? 0 : 1);
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            report("the child of seed " + std::to_string(seed) + " ended with status " +
                   std::to_string(status));
        ++forks_;
    }

    void report(const std::string& difference) {
        if (difference.empty()) return;
        const std::lock_guard lock(mutex_);
        failed_ = true;
        differences_ += difference + "\n";
    }

    bool is_over() const { return failed_ || Clock::now() >= end_; }
    std::string differences() const { return differences_; }
    std::uint64_t kernels() const { return kernels_; }
    std::uint64_t forks() const { return forks_; }

  private:
    static std::string loops(std::uint64_t seed, std::uint64_t environment) {
        std::optional<ForeignEnvironment> foreign;
        return test::try_random_program(seed, [&](bool before) {
            if (before)
                foreign.emplace(environment);
            else
                foreign.reset();
        });
    }

    static std::string element_wise(std::uint64_t seed, std::uint64_t environment) {
        oracle::RandomOptions options;
        options.inexact = false;
        const ir::Kernel kernel = oracle::random_kernel(seed, options);
        const auto count = static_cast<std::int64_t>(seed % 150);
        const oracle::RandomArguments arguments(kernel, seed, count);
        oracle::RandomArguments expected = arguments, actual = arguments;
        oracle::interpret(kernel, expected.arguments());
        std::vector<engine::Operand> operands;
        for (const oracle::Argument& a : actual.arguments())
            operands.push_back(
                {a.buffer.data, a.buffer.strides.empty() ? 0 : a.buffer.strides[0], 0});
        std::unique_ptr<engine::CompiledCode> program;
        {
            const ForeignEnvironment foreign(environment);
            program = test::compile_for(test::host_isas().front(), kernel, {});
        }
        test::run_map(*program, operands, count);
        const std::string found = expected.difference(actual);
        return found.empty() ? found
                             : "element-wise kernel of seed " + std::to_string(seed) + ": " + found;
    }

    const Clock::time_point end_;
    std::atomic<std::uint64_t> next_seed_{1'000'000}, kernels_{0}, forks_{0};
    std::atomic<bool> failed_{false};
    std::mutex mutex_;
    std::string differences_;
};

}  // namespace

TEST_CASE("kernels are made, called and destroyed by many threads, whatever they set",
          "[jit][soak]") {
    const char* text = std::getenv("KILN_SOAK_SECONDS");
    const std::chrono::seconds length(text == nullptr ? 3 : std::atoi(text));
    // It sets the environment for a moment, which no other thread may read then.
    test::cpu_backend(test::host_isas().front());
    const auto begin = Clock::now();
    Soak soak(length);
    std::vector<std::thread> threads;
    for (unsigned caller = 0; caller < callers; ++caller)
        threads.emplace_back([&soak, caller] { soak.call(caller); });

    // After a third of the time whatever is kept for later is there; from then on nothing grows.
    Footprint settled;
    for (std::uint64_t round = 0; !soak.is_over(); ++round) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
        // One's runtime forbids forks, the other's allocator may be locked in the child.
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
#else
        soak.fork_one(9'000'000 + round);
#endif
        const Footprint now = Footprint::now();
        if ((Clock::now() - begin) < length / 3) settled = now;
        if (text != nullptr && round % 10 == 0)
            std::printf("%6.1f s  %8lu kernels  %6lu forks  %5.0f MB  %5ld mappings\n",
                        std::chrono::duration<double>(Clock::now() - begin).count(), soak.kernels(),
                        soak.forks(), static_cast<double>(now.resident) / 1e6, now.mappings);
    }
    for (std::thread& thread : threads) thread.join();
    const Footprint end = Footprint::now();
    INFO(soak.differences());
    CHECK(soak.differences().empty());
    if (length < std::chrono::minutes(1)) return;
    INFO("resident " << settled.resident << " -> " << end.resident << ", mappings "
                     << settled.mappings << " -> " << end.mappings);
    CHECK(end.resident <= settled.resident + settled.resident / 10 + (8 << 20));
    CHECK(end.mappings <= settled.mappings + 64);
}
