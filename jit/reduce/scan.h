// The carrying out of scans.
#pragma once
#include "jit/reduce/reduce.h"

#include <kiln/scan.h>

namespace kiln::engine {

/// The blocks of a scan along an axis that generated code runs along: each is scanned by itself
/// and combined with what came before it. The results' bits depend on it.
inline constexpr std::int64_t scan_columns = 4096;
/// Blocks of this many bytes of the result are taken together: they stay in a core's second-level
/// cache from the pass that finds their totals to the one that scans them. Bits depend on it too.
inline constexpr std::int64_t scan_group_bytes = 131'072;

/// Scans `source` along `axis` into `out`, of the same shape (no extent 0) and of the dtype that is
/// accumulated in, which is `source` itself or apart from it. `key` has the types of the call. False
/// where code of the reducer had to be compiled.
bool run_scan(Reducer& reducer, CallKey key, const Array& source, const Array& out, int axis,
              bool parallel, Location where);

/// A call of a scan by this reducer, under a name for errors.
Array scan(const std::string& name, Reducer& reducer, const Array& x, const ScanOptions& options,
           Location where);

}  // namespace kiln::engine
