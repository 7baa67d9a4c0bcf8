// What the code of a kernel takes of a device.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace kiln {

/// Of one function of a kernel, as the assembler for an architecture says: no device is needed.
struct KernelAttributes {
    std::string function = {};      ///< its name in the CUDA text
    std::string architecture = {};  ///< "sm_80"
    int registers = 1;              ///< of a thread
    int most_threads = 1024;        ///< of a block: what registers, and bounds, allow
    std::int64_t shared = 0;        ///< bytes of a block, beside what a launch gives
    std::int64_t local = 0;         ///< bytes of a thread: Locals, and registers that do not fit
    std::int64_t spill_stores = 0;  ///< bytes of stores for registers that do not fit
    std::int64_t spill_loads = 0;   ///< and of loads of these

    /// The part of the warps that a multiprocessor can have which it has of such blocks, 0 to 1; 0 where
    /// no block fits. Errors: usage (threads not in 1 to 1024), unsupported (an architecture that is not
    /// known here).
    double occupancy(int threads, std::size_t dynamic_shared = 0) const;
};

}  // namespace kiln
