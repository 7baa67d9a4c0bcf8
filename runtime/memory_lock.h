// The allocator's lock, for who forks.
#pragma once

namespace kiln::detail {

/// Held across fork, so that the child finds the lists whole.
void lock_memory();
void unlock_memory();

}  // namespace kiln::detail
