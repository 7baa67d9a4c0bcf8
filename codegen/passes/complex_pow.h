// Powers of complex numbers, each part accurate by itself.
#pragma once
#include "codegen/passes/complex_math.h"

namespace kiln::codegen {

/// a to the power b, neither of them c64, each part within 4 ULP of itself: see complex_pow.cpp.
Complex close_power(const Complex& a, const Complex& b);

}  // namespace kiln::codegen
