// C++ that tells a program of the kernels that were made of its functions: what kiln_kernels builds.
#pragma once
#include "jit/session/function_kernels.h"

#include <string>
#include <vector>

namespace kiln::text {

/// Of the functions that are marked in a file; `files`: the headers of its own that it includes. Errors:
/// io, usage (none is marked), and those of the text, at its lines.
std::string embedded(const std::string& path, std::vector<std::string>& files);

/// Of a function of a session; see MakeFunctionTexts.
FunctionTexts texts_of(const Interpreter::FunctionText& function);

}  // namespace kiln::text
