// The timer that every compiled variant is measured with.
#include "tests/bench/abi.h"

#include <chrono>

/// Nanoseconds that `reps` calls take.
extern "C" std::int64_t repeat(Kernel kernel, const Args* args, std::int64_t reps) {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    for (std::int64_t i = 0; i < reps; ++i) kernel(args);
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}
