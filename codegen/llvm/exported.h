// The C function of a kernel that is exported.
#pragma once
#include "codegen/exported/kernel.h"

#include <string>

namespace llvm {
class Module;
}

namespace kiln::codegen {

/// Adds the function to a module whose kernel is optimised: it puts its arguments into words and gives
/// them to the runtime. It is the one symbol that is left, runs on every CPU, and is the one that calls the
/// runtime, but for what elementary functions need of that.
void add_exported_function(llvm::Module& module, const std::string& entry,
                           const abi::ExportedFunction& function);

/// Names of functions that the runtime of exported objects has; kernels of this process know them by
/// others.
std::string exported_name(const std::string& symbol);

}  // namespace kiln::codegen
