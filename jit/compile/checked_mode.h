// What the environment says for all kernels of the process.
#pragma once
#include <kiln/backend_target.h>

namespace kiln::engine {

/// Whether the environment has KILN_CHECKED=1: read once, and each kernel that is made afterwards
/// is a checked one, whatever its options say.
bool all_checked();

/// The target of a kernel whose options say the CPU: `sim` where the environment has KILN_TARGET=sim, read
/// once. Errors: usage (another word).
BackendTarget cpu_or_simulator();

}  // namespace kiln::engine
