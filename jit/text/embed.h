// C++ that tells a program of the kernels that were made of its functions: what kiln_kernels builds.
#pragma once
#include <string>
#include <vector>

namespace kiln::text {

/// Of the functions that are marked in a file; `files`: the headers of its own that it includes. Errors:
/// io, usage (none is marked), and those of the text, at its lines.
std::string embedded(const std::string& path, std::vector<std::string>& files);

}  // namespace kiln::text
