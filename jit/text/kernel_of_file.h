// A kernel from a function in a file of C++ text, for the kiln program: which opens libkiln_text where it
// needs it, and is not linked with it.
#pragma once
#include <kiln/named.h>

#include <string>

namespace kiln::text {

struct FileKernel {
    std::string file, function;
    std::string
        mode;  ///< vectorize, guvectorize, jit or stencil; empty: by what the function takes
    std::string layout;  ///< the signature of guvectorize
    bool fastmath = false, parallel = false, checked = false;
};

/// extern "C" kiln_inspect_file of libkiln_text: how the texts of the kernel are made. Errors: io,
/// usage (the mode; no such function), and those of the text.
using InspectFile = void (*)(const FileKernel&, Named::Inspect&);

}  // namespace kiln::text
