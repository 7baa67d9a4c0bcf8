// Internal to codegen/cuda: arrays whose elements adjacent iterations take as one vector.
#pragma once
#include "dsl/ir/ir.h"

#include <cstdint>
#include <vector>

namespace kiln::codegen {

/// An array whose element i is all that iteration i touches of it, in every iteration.
struct WideArray {
    std::uint32_t param = 0;
    bool read = false, written = false;
};

/// `width` adjacent iterations load their elements before the first of them runs, and store them after
/// the last, as vectors of up to 16 bytes where addresses allow. 0: no iterations do.
struct WideAccess {
    std::int64_t width = 0;
    std::vector<WideArray> arrays = {};  ///< those that are stored in the order of their stores
};

/// What iterations of a stage with this body may do so with. `is_value`: parameters that are no arrays,
/// by number. Only where results stay what they are, whatever arrays lie on each other:
///   - all that iterations do to arrays is to load and to store, each store outside of conditions and
///     to an element i;
///   - no other array is loaded behind a store, since that element may be what was stored.
/// And only where it pays: a body of many operations, whose copies would take registers that other
/// threads need, waits for arithmetic anyway.
WideAccess wide_accesses(const ir::Kernel& kernel, ir::Id body, const std::vector<bool>& is_value);

}  // namespace kiln::codegen
