// Machine code that is shipped with a program.
#pragma once
#include <cstddef>
#include <source_location>
#include <string>

namespace kiln {
/// What is in a bundle.
struct BundleInfo {
    std::size_t kernels = 0;  ///< whose code is in it, each target by itself
    std::size_t usable = 0;   ///< for this CPU and this build of kiln
};

/// Writes what is in the folder of the disk cache, made by this build of kiln, into one file: run
/// what is to be shipped with KILN_CACHE_DIR naming an empty folder, then call this, or
/// `kiln cache bundle FILE`.
///
/// Code is for the CPU that it was made on. With KILN_CPU=portable it is for any CPU of a level
/// (x86-64-v2, v3, v4: KILN_CPU_ISA = sse2, avx2, avx512); runs at all three, with one folder, make a
/// bundle for all machines. Errors: usage (nothing is there, or there is no disk cache), io.
BundleInfo save_bundle(const std::string& path,
                       std::source_location where = std::source_location::current());

/// Kernels of this process are looked for in the file too: before the folder of the disk cache, and
/// where that is off; code for this very CPU goes before code for its level. Call it before the
/// first kernel compiles. The file is trusted: its code runs. Errors: io (it cannot be read, is no
/// bundle, or no whole one), unsupported (it has nothing for this machine: says what it is for).
BundleInfo load_bundle(const std::string& path,
                       std::source_location where = std::source_location::current());

}  // namespace kiln
