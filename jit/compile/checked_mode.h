// Checked mode for all kernels of the process.
#pragma once

namespace kiln::engine {

/// Whether the environment has KILN_CHECKED=1: read once, and each kernel that is made afterwards
/// is a checked one, whatever its options say.
bool all_checked();

}  // namespace kiln::engine
