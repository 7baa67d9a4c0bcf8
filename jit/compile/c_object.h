// Kernels as object files with a C function: what <kiln/export.h> says, for every kind of kernel that can
// be exported.
#pragma once
#include "jit/compile/compile.h"

#include <kiln/export.h>

#include <string>
#include <vector>

namespace kiln::engine {

struct CExport {
    Job job;
    KernelOwner owner;
    /// Parameters of the kernel that are results of rank 0, in the order in which they are returned.
    std::vector<std::uint32_t> results = {};
    std::string types;      ///< those it is exported for, as a header tells them
    std::string note = {};  ///< what the header says of shapes besides
    bool parallel = false;
    bool keeps_flush_to_zero = false;
};

/// Writes the object and its header. Errors: usage (a name that C does not allow; a file that cannot be
/// written), unsupported (what no object of its own can do), and those of compile.
void export_object(CExport what, const std::string& object, const ExportOptions& options,
                   Location where);

}  // namespace kiln::engine
