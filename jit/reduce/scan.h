// The carrying out of scans.
#pragma once
#include "jit/reduce/reduce.h"

#include <kiln/scan.h>

namespace kiln::engine {

/// Scans `source` along `axis` into `out`, of the same shape (no extent 0) and of the dtype that is
/// accumulated in, which is `source` itself or apart from it. `key` has the types of the call. False
/// where code of the reducer had to be compiled.
bool run_scan(Reducer& reducer, CallKey key, const Array& source, const Array& out, int axis,
              bool parallel, Location where);

/// A call of a scan by this reducer, under a name for errors.
Array scan(const std::string& name, Reducer& reducer, const Array& x, const ScanOptions& options,
           Location where);

}  // namespace kiln::engine
