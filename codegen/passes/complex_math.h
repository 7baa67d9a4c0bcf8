// Complex arithmetic and functions as formulas on real nodes.
#pragma once
#include "dsl/ir/builder.h"

namespace kiln::codegen {

/// A real value in the kernel under construction; its operators make nodes with the builder's
/// current fast flags.
struct Real {
    ir::Builder* builder;
    ir::Id id;
    bool fma = true;  ///< PassOptions::fma
};
struct Complex {
    Real re, im;
};

/// The value of `op` on complex operands of one dtype; `op` gives a complex number. Arithmetic is
/// NumPy's. Elementary functions follow C99 Annex G at zeros and infinities, and each part stays
/// within 4 ULP of itself elsewhere, also where the other one overflows or underflows (with afn pow
/// is exp(b log a)); pow has NumPy's corners. The real part of expm1 is as accurate beside the larger of
/// its terms, expm1(re) cos(im) and 2 sin(im / 2)^2, as these are. minimum and its kin give one of
/// their operands, the first one of equal numbers. Operations that are not defined on complex numbers:
/// Error internal.
Complex complex_op(ir::Op op, const Complex& a, const Complex& b);
/// lt, le, gt or ge in NumPy's order: by the real parts, where these are equal by the imaginary ones;
/// false where a NaN takes part. A bool.
Real complex_order(ir::Op op, const Complex& a, const Complex& b);
/// sqrt(re*re + im*im) without overflow.
Real complex_abs(const Complex& a);

}  // namespace kiln::codegen
