// Rows of arrays along axes, one after the other in memory of their own.
#pragma once
#include <kiln/array.h>

#include <functional>

namespace kiln::engine {

/// A C-contiguous array of shape (rows, length), a copy: the elements of `x` in `dtype`, the axes
/// in `bits` last and as one.
Array rows_of(const Array& x, unsigned bits, DType dtype, Location where);

/// Calls work(row) for 0 <= row < rows, over threads if there is work for them: `elements` in all.
void for_rows(bool parallel, std::int64_t rows, std::int64_t elements,
              const std::function<void(std::int64_t)>& work);

}  // namespace kiln::engine
