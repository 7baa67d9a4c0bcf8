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
    /// error_in_ulps of the dtype (exact.h).
    double error(double result) const;
    double rounded() const;  ///< the exact value, to the nearest double

  private:
    struct Number;
    ir::Op op_;
    DType dtype_;
    std::unique_ptr<Number> exact_;
    bool overflow_ = false, underflow_ = false;
};

}  // namespace kiln::test
