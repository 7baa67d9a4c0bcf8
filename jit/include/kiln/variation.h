// The same kernel with other options: for looking at what these make of it.
#pragma once
#include <kiln/fastmath.h>

#include <optional>

namespace kiln {

/// What `varied` of a kernel changes of its options; what is not given stays.
struct Variation {
    std::optional<Fastmath> fastmath = {};            ///< other flags
    std::optional<bool> parallel = {}, checked = {};  ///< on or off
    std::optional<bool> fuse = {};                    ///< of kernels of jit alone
};

}  // namespace kiln
