// Types of arguments as they are written: "f32[1], f32".
#pragma once
#include <kiln/dtype.h>

#include <optional>
#include <string_view>
#include <vector>

namespace kiln::tool {

/// By the name of it, "f32".
std::optional<DType> dtype_named(std::string_view word);
/// Of a list that may stand in brackets. Errors: UsageError.
std::vector<ArgType> types_of(std::string_view text);

}  // namespace kiln::tool
