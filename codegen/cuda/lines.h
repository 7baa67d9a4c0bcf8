// CUDA text whose compilers speak of the user's lines.
#pragma once
#include <string>
#include <string_view>

namespace kiln::codegen {

/// The text with #line directives for the comments that name lines: compilers and debuggers then speak
/// of the user's files. What no comment is about has its own line in `name`.
std::string cuda_with_lines(std::string_view text, std::string_view name);

}  // namespace kiln::codegen
