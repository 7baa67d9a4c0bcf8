// Machine code of this CPU, wherever its object file is from.
#pragma once
#include "jit/compile/backend.h"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace kiln::engine {

/// The code of a kernel from its object file, whose function is `symbol`. Its texts are made anew by
/// `maker`, or where that is null by the CPU's backend, which is opened for them. `times`: what the
/// object took to make. Errors: those of load_object.
std::unique_ptr<CompiledCode> load_native(ir::Kernel kernel, const CompileOptions& options,
                                          std::string symbol, std::vector<std::byte> object,
                                          Stats times, Backend* maker);

}  // namespace kiln::engine
