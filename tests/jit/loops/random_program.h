// Random loop kernels: traced, compiled, run serially and on several threads, and held against the
// interpreter of the IR. Integer sums, extremes and element-wise operations are exact, so all
// results must be equal.
#pragma once
#include <kiln/kiln.h>

#include <cstdint>
#include <functional>
#include <string>

namespace kiln::test {

/// "" if the program of `seed` gives what the interpreter gives for arrays of several lengths, else
/// the first difference and the program. `around` is called with true before each call of the
/// kernel, and with false after it. Safe to call from several threads.
std::string try_random_program(std::uint64_t seed, const std::function<void(bool)>& around = {});

}  // namespace kiln::test
