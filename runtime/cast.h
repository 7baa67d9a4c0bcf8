// Conversion of rows of elements, the inner loop of copy, astype and assign.
#pragma once
#include <kiln/dtype.h>

#include <cstddef>
#include <cstdint>

namespace kiln::detail {

/// Converts n elements with the rules of kiln::convert; strides in bytes, any alignment. The rows
/// must not overlap unless they are the same elements of one dtype.
using CastRow = void (*)(std::byte* to, std::int64_t to_stride, const std::byte* from,
                         std::int64_t from_stride, std::int64_t n);
CastRow cast_row(DType from, DType to);

}  // namespace kiln::detail
