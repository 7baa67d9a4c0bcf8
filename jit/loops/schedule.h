// How the iterations of a parallel loop are dealt out to threads.
#pragma once
#include "dsl/ir/ir.h"

#include <kiln/parallel.h>

namespace kiln::engine {

/// Calls run(first, last) on pieces that together cover [0, count) once each, on up to
/// num_threads() threads. With T threads:
///  - static_: T pieces whose sizes differ by one at most;
///    with a chunk, pieces of `chunk`, of which the thread that starts with piece t goes on with
///    t + T, t + 2 T ...
///  - dynamic: pieces of `chunk` (without one, a 16th of a thread's share), each taken by the next
///    thread that is free;
///  - guided: the same with pieces of half a thread's share of what is left, at least `chunk`.
/// The last piece may be shorter. `automatic` is for the caller to decide. Exceptions of `run`: see
/// parallel_for.
void deal_out(ir::Schedule schedule, std::int64_t count, std::int64_t chunk,
              FunctionRef<void(std::int64_t first, std::int64_t last)> run);

}  // namespace kiln::engine
