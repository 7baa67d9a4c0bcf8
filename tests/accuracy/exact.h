// Real numbers of a few hundred bits, for references, and how far results are from them.
#pragma once
#include "kiln/dtype.h"

#include <mpfr.h>

#include <cmath>

namespace kiln::test {

/// A number of MPFR, in 320 bits unless more are asked for; arithmetic rounds to these.
class Exact {
  public:
    Exact(double x = 0) {  // NOLINT: numbers convert, as between other arithmetic types
        mpfr_init2(value_, bits);
        mpfr_set_d(value_, x, MPFR_RNDN);
    }
    Exact(const Exact& other) {
        mpfr_init2(value_, bits);
        mpfr_set(value_, other.value_, MPFR_RNDN);
    }
    Exact& operator=(const Exact& other) {
        mpfr_set(value_, other.value_, MPFR_RNDN);
        return *this;
    }
    ~Exact() { mpfr_clear(value_); }

    mpfr_srcptr get() const { return value_; }
    bool is_zero() const { return mpfr_zero_p(value_) != 0; }
    bool is_negative() const { return mpfr_signbit(value_) != 0; }
    double rounded() const { return mpfr_get_d(value_, MPFR_RNDN); }

    using Unary = int(mpfr_ptr, mpfr_srcptr, mpfr_rnd_t);
    using Binary = int(mpfr_ptr, mpfr_srcptr, mpfr_srcptr, mpfr_rnd_t);
    static Exact of(Unary& f, const Exact& x) {
        Exact r;
        f(r.value_, x.value_, MPFR_RNDN);
        return r;
    }
    static Exact of(Binary& f, const Exact& x, const Exact& y) {
        Exact r;
        f(r.value_, x.value_, y.value_, MPFR_RNDN);
        return r;
    }
    friend Exact operator+(const Exact& a, const Exact& b) { return of(mpfr_add, a, b); }
    friend Exact operator-(const Exact& a, const Exact& b) { return of(mpfr_sub, a, b); }
    friend Exact operator*(const Exact& a, const Exact& b) { return of(mpfr_mul, a, b); }
    friend Exact operator/(const Exact& a, const Exact& b) { return of(mpfr_div, a, b); }
    friend Exact operator-(const Exact& a) { return of(mpfr_neg, a); }
    friend bool operator<(const Exact& a, const Exact& b) {
        return mpfr_less_p(a.value_, b.value_);
    }

  private:
    static constexpr mpfr_prec_t bits = 320;
    mpfr_t value_;
};

/// |result - exact| in units in the last place of the real dtype at the exact value (of a
/// subnormal: the smallest subnormal). Infinity counts as the power of two behind the largest
/// number. Where the exact value is NaN, an infinity or a zero, 0 if the result is that (zeros: of
/// that sign), else infinite. A zero must have the sign of the exact value. `overflow`,
/// `underflow`: the exact value left MPFR's range, so an infinity or zero stands for a number
/// beyond every dtype.
double error_in_ulps(double result, mpfr_srcptr exact, DType dtype, bool overflow = false,
                     bool underflow = false);

}  // namespace kiln::test
