// Which kernels raise the exception flags of their data and no others. Internal to kiln.
#pragma once
#include "dsl/ir/ir.h"

namespace kiln::codegen {

/// Whether machine code of the kernel, as the passes leave it, raises exactly those floating-point
/// flags that its operations raise under IEEE 754 for its elements:
///  - its operations on floats are + - * / sqrt, negation, abs, copysign, ==, != and conversions of
///    f32 to f64 and back, and from small integers that are loaded; all strict, and none on f16 or
///    bf16. What is made of several instructions raises flags in between;
///  - there are no branches, while loops or early ends: whatever they guard may be computed in
///    lanes, or ahead of them, where it does not take place;
///  - f32 fills whole registers: in element-wise kernels without 8-byte types. What LLVM puts into
///    two lanes it computes in four, of which two hold anything;
///  - in programs, operations on floats are in innermost loops alone: what moved out of a loop is
///    computed even if that never runs.
bool raises_flags_of_data(const ir::Kernel& kernel);

/// Whether lanes without an element, in which loads give 0, may raise flags in an element-wise
/// kernel of raises_flags_of_data: not if they only add, multiply and take roots of zeros.
bool zeros_raise_flags(const ir::Kernel& kernel);

}  // namespace kiln::codegen
