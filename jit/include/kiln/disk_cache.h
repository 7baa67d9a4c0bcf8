// Machine code that outlives the process.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace kiln {

/// The state of the disk cache, and what this process had of it.
///
/// Machine code for the CPU, and PTX, are kept in a folder by their content: kernel, options, target,
/// build of kiln, and of NVRTC. Who finds code there compiles nothing, and opens no LLVM. Entries are
/// whole or are not there, whoever writes at the same time, and are checked before they are used:
/// what is damaged counts as missing and is replaced. The folder has to belong to the user, who
/// alone may write to it.
///
///     KILN_CACHE        on (also when unset), ro (nothing is written), off
///     KILN_CACHE_DIR    the folder; otherwise $XDG_CACHE_HOME/kiln, or ~/.cache/kiln
///     KILN_CACHE_SIZE   what its files may take in all, such as 64M (256M): those that were used
///                       longest ago go first
///
/// Without these variables' leave (programs that run with another user's rights), without a home,
/// or with a folder of others there is no disk cache: `reason` says so.
struct DiskCacheInfo {
    std::string folder;         ///< may not be there yet
    bool reads = false;         ///< entries are used
    bool writes = false;        ///< entries are written
    std::string reason;         ///< why it does not read, or does not write; else empty
    std::uint64_t bound = 0;    ///< bytes
    std::uint64_t hits = 0;     ///< kernels found
    std::uint64_t misses = 0;   ///< and not found
    std::uint64_t stored = 0;   ///< entries written
    std::uint64_t damaged = 0;  ///< entries that were not what they should be
    std::uint64_t failed = 0;   ///< entries that could not be written: disk full, no rights
    /// Kernels of which what the passes make was found too, so that none ran.
    std::uint64_t passes_skipped = 0;
};

/// Errors: usage (one of the variables is malformed).
DiskCacheInfo disk_cache_info();

/// A kernel that this process compiled, since its code was not in the disk cache.
struct DiskCacheMiss {
    std::string kernel;      ///< its name
    std::string file;        ///< where it was made; empty where no line is known
    std::uint32_t line = 0;  ///< of that file
    /// What the nearest entry has that this kernel has not: "the build of kiln is 5f2e, not 77aa", "the
    /// vector unit is avx2, not avx512", "the set of options is checked, not nothing", "its kernel has
    /// '%1 = mul f64 %0, f64(0.8)', not '%1 = mul f64 %0, f64(0.9)'"; or that no entry is of such a
    /// kernel, that its entry was damaged, or why there is no disk cache.
    std::string reason;
    std::string nearest;  ///< the file of that entry; empty where there is none
};

/// Why kernels were compiled: the last 64 of them, the latest last. Reads the whole folder as it is now:
/// to be looked at, not to be called often. Errors: usage (one of the variables is malformed).
std::vector<DiskCacheMiss> explain_disk_cache();

}  // namespace kiln
