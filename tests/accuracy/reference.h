// Elementary functions from MPFR, and how far a result is from them.
#pragma once
#include "dsl/ir/ir.h"

#include <memory>
#include <span>

namespace kiln::test {

/// The exact value of an elementary function at one point after another, to 128 bits; special
/// values as in C99's Annex F, which MPFR follows.
class Reference {
  public:
    Reference(ir::Op op, DType dtype);
    ~Reference();

    /// The point: operands, each exactly a value of the dtype.
    void evaluate(std::span<const double> operands);
    /// |result - exact| in units in the last place of the dtype at the exact value (of a subnormal:
    /// the smallest subnormal). Infinity counts as the power of two behind the largest number.
    /// Where the exact value is NaN, an infinity or a zero, 0 if the result is that (zeros: of that
    /// sign), else infinite. A zero must have the sign of the exact value.
    double error(double result) const;
    double rounded() const;  ///< the exact value, to the nearest double

  private:
    struct Number;
    ir::Op op_;
    int precision_, lowest_, highest_;  // of the dtype: bits, exponents of normal numbers
    std::unique_ptr<Number> exact_, scratch_;
    bool overflow_ = false, underflow_ = false;
};

}  // namespace kiln::test
