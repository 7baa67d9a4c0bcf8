// The device functions that emitted kernels call.
#pragma once
#include <string>
#include <string_view>

namespace kiln::codegen {

/// The parts of the prelude that `text` uses, and what those use, in the order of their definition.
std::string cuda_prelude_for(std::string_view text);

/// Whether one of its functions has this name.
bool is_cuda_prelude_name(std::string_view name);

}  // namespace kiln::codegen
