// Complex functions from MPFR's real ones, part by part.
#pragma once
#include "dsl/ir/ir.h"
#include "tests/accuracy/exact.h"

#include <complex>

namespace kiln::test {

/// The exact parts of a complex elementary function, sqrt or abs at finite arguments; signs of
/// zeros as C99's Annex G has them, and elsewhere those of the formulas' products.
class ComplexReference {
  public:
    ComplexReference(ir::Op op, DType dtype) : op_(op), part_(real_type(dtype)) {}

    void evaluate(std::complex<double> z, std::complex<double> exponent = 0);
    /// The error of each part of a result, as of error_in_ulps. Of abs the real part counts.
    double re_error(double re) const { return error(re, re_); }
    double im_error(double im) const { return error(im, im_); }
    /// Of pow(a, b) with b = x + iy: |a^b| (|x arg a| + |y log |a||), beside which parts may
    /// vanish.
    double turns() const { return turns_.rounded(); }
    std::complex<double> rounded() const { return {re_.rounded(), im_.rounded()}; }

  private:
    void sinh(const Exact& x, const Exact& y);
    void cosh(const Exact& x, const Exact& y);
    void tanh(const Exact& x, const Exact& y);
    void log(const Exact& x, const Exact& y);
    void sqrt(const Exact& x, const Exact& y);
    void log1p(const Exact& x, const Exact& y);
    void asin(const Exact& x, const Exact& y);
    void acos(const Exact& x, const Exact& y);
    void atanh(const Exact& x, const Exact& y);
    void power(const Exact& b, const Exact& c);  ///< of the logarithm in re_ and im_
    double error(double part, const Exact& exact) const;
    void over_i();  ///< the result divided by i
    void swap();    ///< the parts exchanged: f(z) = g(iz) / i of odd functions

    ir::Op op_;
    DType part_;
    Exact re_, im_, turns_;
};

}  // namespace kiln::test
