// Types of arguments as they are written: "f32[1], f32".
#pragma once
#include <kiln/dtype.h>

#include <string_view>
#include <vector>

namespace kiln::tool {

/// Of a list that may stand in brackets. Errors: UsageError.
std::vector<ArgType> types_of(std::string_view text);

}  // namespace kiln::tool
