// Indices that calls are given: integers, and the segments that they begin.
#pragma once
#include "jit/call/operand.h"

#include <string>
#include <utility>

namespace kiln::engine {

/// Indices as i64, without gaps. Errors: type.
Array integer_indices(const std::string& label, const Arg& indices, Location where);

/// Where the segments of a reduceat begin and end. Errors: shape, bounds.
std::pair<Array, Array> segments_of(const std::string& label, const Array& indices,
                                    std::int64_t extent, Location where);

}  // namespace kiln::engine
