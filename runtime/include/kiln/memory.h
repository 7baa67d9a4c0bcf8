// The recycling allocator behind Array.
#pragma once
#include <kiln/error.h>

#include <cstddef>
#include <cstdint>

namespace kiln {

/// Array memory of this process. Bytes are those of whole blocks (requests are rounded up to the
/// size classes that runtime/README.md describes).
struct MemoryStats {
    std::size_t bytes_in_use = 0;          ///< held by arrays
    std::size_t bytes_cached = 0;          ///< freed, kept for the next array
    std::size_t peak = 0;                  ///< greatest bytes_in_use so far
    std::uint64_t allocations = 0;         ///< blocks handed out so far
    std::uint64_t recycled = 0;            ///< of these, taken from the cache
    std::uint64_t system_allocations = 0;  ///< of these, asked from the operating system
};
MemoryStats memory_stats();  ///< as it is now

/// Bounds bytes_in_use; 0 (the default) is no bound. An allocation that would exceed it throws a
/// usage error that names the size asked for, the bytes in use and the limit. New memory is asked
/// from the system only after the cache has been given back as far as the limit needs.
void set_memory_limit(std::size_t bytes);
std::size_t memory_limit();

/// Gives every cached block back to the operating system, except the few small ones that other
/// threads keep for themselves.
void trim_memory();

/// `bytes` of uninitialised memory, aligned to 64 bytes (to 2 MiB from 1 MiB on). Zero bytes give
/// a valid pointer too. Over the memory limit, or where the operating system has no more: a usage
/// error that names the size.
void* allocate(std::size_t bytes, Location where = std::source_location::current());
/// The same, all zero: cheaper than clearing, since fresh pages are zero already.
void* allocate_zeroed(std::size_t bytes, Location where = std::source_location::current());
/// `bytes` as given to allocate. Null is ignored. May be called from any thread.
void deallocate(void* block, std::size_t bytes) noexcept;

}  // namespace kiln
