#include "tests/accuracy/reference.h"

#include "tests/accuracy/exact.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kiln::test {

struct Reference::Number {
    mpfr_t value;
    Number() { mpfr_init2(value, 128); }
    ~Number() { mpfr_clear(value); }
    Number(const Number&) = delete;
    Number& operator=(const Number&) = delete;
};

Reference::Reference(ir::Op op, DType dtype)
    : op_(op), dtype_(dtype), exact_(std::make_unique<Number>()) {}

Reference::~Reference() { mpfr_free_cache(); }

void Reference::evaluate(std::span<const double> operands) {
    using Unary = int (*)(mpfr_t, const mpfr_t, mpfr_rnd_t);
    using Binary = int (*)(mpfr_t, const mpfr_t, const mpfr_t, mpfr_rnd_t);
    mpfr_set_emin(-30000);  // far beyond every dtype, and early overflow keeps MPFR fast
    mpfr_set_emax(30000);
    mpfr_t a, b;
    mpfr_init2(a, 53);
    mpfr_init2(b, 53);
    mpfr_set_d(a, operands[0], MPFR_RNDN);
    if (operands.size() > 1) mpfr_set_d(b, operands[1], MPFR_RNDN);
    mpfr_clear_flags();
    mpfr_ptr r = exact_->value;
    const auto unary = [&](Unary f) { f(r, a, MPFR_RNDN); };
    const auto binary = [&](Binary f) { f(r, a, b, MPFR_RNDN); };
    switch (op_) {
        case ir::Op::sin: unary(mpfr_sin); break;
        case ir::Op::cos: unary(mpfr_cos); break;
        case ir::Op::tan: unary(mpfr_tan); break;
        case ir::Op::asin: unary(mpfr_asin); break;
        case ir::Op::acos: unary(mpfr_acos); break;
        case ir::Op::atan: unary(mpfr_atan); break;
        case ir::Op::atan2: binary(mpfr_atan2); break;
        case ir::Op::sinh: unary(mpfr_sinh); break;
        case ir::Op::cosh: unary(mpfr_cosh); break;
        case ir::Op::tanh: unary(mpfr_tanh); break;
        case ir::Op::asinh: unary(mpfr_asinh); break;
        case ir::Op::acosh: unary(mpfr_acosh); break;
        case ir::Op::atanh: unary(mpfr_atanh); break;
        case ir::Op::exp: unary(mpfr_exp); break;
        case ir::Op::exp2: unary(mpfr_exp2); break;
        case ir::Op::exp10: unary(mpfr_exp10); break;
        case ir::Op::expm1: unary(mpfr_expm1); break;
        case ir::Op::log: unary(mpfr_log); break;
        case ir::Op::log2: unary(mpfr_log2); break;
        case ir::Op::log10: unary(mpfr_log10); break;
        case ir::Op::log1p: unary(mpfr_log1p); break;
        case ir::Op::cbrt: unary(mpfr_cbrt); break;
        case ir::Op::hypot: binary(mpfr_hypot); break;
        case ir::Op::pow: binary(mpfr_pow); break;
        case ir::Op::erf: unary(mpfr_erf); break;
        case ir::Op::erfc: unary(mpfr_erfc); break;
        case ir::Op::tgamma: unary(mpfr_gamma); break;
        case ir::Op::lgamma: {
            int sign = 0;
            mpfr_lgamma(r, &sign, a, MPFR_RNDN);
            break;
        }
        default: throw std::logic_error("no reference for " + std::string(info(op_).name));
    }
    overflow_ = mpfr_overflow_p() != 0;
    underflow_ = mpfr_underflow_p() != 0;
    mpfr_clear(a);
    mpfr_clear(b);
}

double Reference::error(double result) const {
    return error_in_ulps(result, exact_->value, dtype_, overflow_, underflow_);
}

double error_in_ulps(double result, mpfr_srcptr r, DType dtype, bool overflow, bool underflow) {
    struct Format {
        int precision, lowest, highest;  // bits, exponents of normal numbers
    };
    const Format format = dtype == DType::f16    ? Format{11, -14, 15}
                          : dtype == DType::bf16 ? Format{8, -126, 127}
                          : dtype == DType::f32  ? Format{24, -126, 127}
                                                 : Format{53, -1022, 1023};
    constexpr double wrong = std::numeric_limits<double>::infinity();
    if (std::isnan(result) || mpfr_nan_p(r) != 0)
        return std::isnan(result) && mpfr_nan_p(r) != 0 ? 0 : wrong;
    if (result == 0 && std::signbit(result) != (mpfr_signbit(r) != 0)) return wrong;
    if (mpfr_inf_p(r) != 0 && !overflow) return result == mpfr_get_d(r, MPFR_RNDN) ? 0 : wrong;
    if (mpfr_zero_p(r) != 0 && !underflow) return result == 0 ? 0 : wrong;
    Exact distance(result);
    if (std::isinf(result)) {
        distance = Exact(std::ldexp(result < 0 ? -1.0 : 1.0, format.highest)) * 2;
        if (mpfr_cmpabs(r, distance.get()) >= 0 && mpfr_signbit(r) == mpfr_signbit(distance.get()))
            return 0;
    }
    if (mpfr_inf_p(r) != 0) return wrong;
    mpfr_t difference;
    mpfr_init2(difference, 128);
    mpfr_sub(difference, distance.get(), r, MPFR_RNDN);
    const long exponent = mpfr_zero_p(r) != 0 ? format.lowest : mpfr_get_exp(r) - 1;
    const long unit = std::min<long>(std::max<long>(exponent, format.lowest), format.highest) -
                      (format.precision - 1);
    mpfr_mul_2si(difference, difference, -unit, MPFR_RNDN);
    const double error = std::fabs(mpfr_get_d(difference, MPFR_RNDN));
    mpfr_clear(difference);
    return error;
}

double Reference::rounded() const { return mpfr_get_d(exact_->value, MPFR_RNDN); }

}  // namespace kiln::test
