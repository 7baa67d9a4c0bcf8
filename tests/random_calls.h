// How many random calls tests make, and by which numbers.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <random>

namespace kiln::test {

/// KILN_RANDOM_CALLS, or what a usual run makes.
inline long random_calls(long usual) {
    const char* const wanted = std::getenv("KILN_RANDOM_CALLS");
    return wanted != nullptr ? std::strtol(wanted, nullptr, 10) : usual;
}

/// KILN_RANDOM_SEED, to repeat a run, or a new one.
inline std::uint64_t random_seed() {
    const char* const wanted = std::getenv("KILN_RANDOM_SEED");
    return wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : std::random_device{}();
}

/// Calls after which a run takes other dtypes, which cost compiles.
inline constexpr long calls_of_one_choice = 20'000;

}  // namespace kiln::test
