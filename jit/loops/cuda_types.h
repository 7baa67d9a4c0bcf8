// What CUDA text calls the elements of dtypes.
#pragma once
#include <kiln/dtype.h>

#include <optional>
#include <string_view>

namespace kiln::engine {

/// "float", "unsigned int", "size_t". Nothing for other names.
std::optional<DType> dtype_of_cuda(std::string_view type);

}  // namespace kiln::engine
