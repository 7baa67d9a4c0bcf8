// What functions of array values need to know of them.
#pragma once
#include "dsl/trace/trace.h"

#include <kiln/array_value.h>

namespace kiln::dsl {

/// The axes of the value as a mask. Errors: shape (no such axis, an axis twice).
std::uint64_t axes_of(const ir::Builder& b, ir::Id id, const FoldOptions& options,
                      const Location& where);
/// The extent of axis `axis` of the value: a node. Ones of what is certain to be repeated do not
/// count.
ir::Id extent_of(ir::Builder& b, ir::Id id, int axis);
/// The least or greatest complex numbers, in NumPy's order, along the axes of a mask: the result is an array
/// of the kernel's own, or a scalar.
ir::Id extreme_of_complex(const Operand& a, Reduce extreme, std::uint64_t axes);

}  // namespace kiln::dsl
