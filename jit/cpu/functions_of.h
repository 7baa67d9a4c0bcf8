// What DWARF says of an object file.
#pragma once
#include "jit/compile/debugging.h"

namespace kiln::engine {

/// Its functions, and the lines of their code. None where the file is none that LLVM reads.
std::vector<CodeFunction> functions_of(std::span<const std::byte> object);

}  // namespace kiln::engine
