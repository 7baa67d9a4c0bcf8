// The inverse trigonometric and hyperbolic functions of complex numbers.
#pragma once
#include "codegen/passes/complex_math.h"

namespace kiln::codegen {

/// asin, acos, atan, asinh, acosh or atanh of a number whose parts are f64, with the special values
/// of C99 Annex G; each part within 4 ULP of itself.
Complex complex_inverse(ir::Op op, const Complex& z);

}  // namespace kiln::codegen
