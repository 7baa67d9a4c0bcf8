// Reductions with states: what combines them, traced.
#pragma once
#include "dsl/trace/trace.h"

#include <kiln/reduction.h>

namespace kiln::dsl {

/// The kernel by which states combine, with these fast-math flags. Errors: usage (the combine does
/// more than compute), type (a part of the result is wider than the state).
ir::Kernel trace_combine(const kiln::detail::StateReduction& reduction, std::uint8_t fast);

/// The value as a part of dtype `to`: it may widen; a weak one only changes within its kind. Errors:
/// type.
ir::Id fitting_part(Trace& trace, const std::string& name, ir::Id value, DType to,
                    const Location& where);

/// One step of a reduction; in a prange the kernel is told how states combine.
void combine_into(Trace& trace, const ir::Kernel& combine, std::span<const std::uint32_t> slots,
                  std::span<const ir::Id> values);

}  // namespace kiln::dsl
