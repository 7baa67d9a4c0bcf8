// The pool of threads, for what brings its own way to split work.
#pragma once
#include <kiln/parallel.h>

namespace kiln::detail {

/// Runs `body` where TBB's algorithms use num_threads() threads, isolated from the caller's other
/// work. False, without running it, where there is one thread only (a child of fork() too).
bool run_in_pool(FunctionRef<void()> body);

}  // namespace kiln::detail
