// The threads behind parallel_for.
#pragma once
#include <kiln/parallel.h>

#include <cstdint>

namespace kiln::detail {

/// Calls run(piece) once for every piece of [0, pieces), on up to `threads` threads, the caller
/// among them. `run` must not throw. Pieces are dealt as one row of neighbours a thread; threads
/// that are done take from the others' ends. Returns when all have run: that waits for threads
/// which take part, never for one to wake up. `brief`: a piece takes some us at most. May be called
/// from several threads and from `run`.
void run_pieces(std::int64_t pieces, int threads, bool brief,
                FunctionRef<void(std::int64_t piece)> run);

}  // namespace kiln::detail
