// NVRTC, which compiles CUDA C++ to PTX and machine code: a library that is opened when it is first needed.
#pragma once
#include "jit/compile/disk_cache.h"

#include <string>

namespace kiln::engine {

/// Errors: device, with what was looked for.
void open_nvrtc();

/// Which NVRTC it is, for keys of what it makes: version and file. Opening it takes as long as a
/// compile, so the disk cache remembers the file that was opened last with these variables of the
/// environment; while that is as it was, none is opened. Errors: as open_nvrtc.
std::string nvrtc_build(DiskCache& disk);

/// `arch`: "sm_90". Errors: as open_nvrtc; internal, with the log and the line that it speaks of.
std::string compile_to_ptx(const std::string& source, const std::string& name, bool contract,
                           const std::string& arch);

/// What a device of architecture `arch` loads: machine code (a cubin), or, where this NVRTC is older than the
/// device, PTX for the newest architecture that it knows, which the driver compiles. Errors: as
/// compile_to_ptx; device (NVRTC makes no code for devices as old as this one).
std::string compile_for_device(const std::string& source, const std::string& name, bool contract,
                               const std::string& arch);

/// What the assembler says of the functions' registers and memory. Errors: as compile_to_ptx.
std::string assembler_log(const std::string& source, const std::string& name, bool contract,
                          const std::string& arch);

}  // namespace kiln::engine
