// The form of lowered kernels by golden text; the values against C99 Annex G and std::complex in
// higher precision.
#include "tests/catch.h"
#include "tests/codegen/kernels.h"
#include "tests/oracle/interpreter.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <numbers>

using namespace kiln;
using Z = std::complex<double>;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double no_number = std::numeric_limits<double>::quiet_NaN();

/// op(a) or op(a, b) through the lowered kernel.
template <class T> std::complex<T> apply(ir::Op op, std::complex<T> a, std::complex<T> b = {}) {
    const DType t = dtype_of<std::complex<T>>;
    ir::Builder builder("k");
    const auto x = builder.add_param({"x", t, 1, ir::Access::in, ir::Layout::unit, false});
    const auto y = builder.add_param({"y", t, 1, ir::Access::in, ir::Layout::unit, false});
    const auto o = builder.add_param({"o", t, 1, ir::Access::out, ir::Layout::unit, false});
    const ir::Id extents[] = {builder.extent(o, 0)};
    builder.begin_stage(extents, false);
    const ir::Id operands[] = {builder.load(x, {builder.index(0)}),
                               builder.load(y, {builder.index(0)})};
    builder.store(o, {builder.index(0)},
                  builder.apply(op, std::span(operands, ir::info(op).arity)));
    builder.end();
    const ir::Kernel k = test::run(codegen::run_lower_complex, builder.finish());
    std::vector<std::complex<T>> in = {a}, other = {b}, out(1);
    const oracle::Argument arguments[] = {oracle::Argument::of(in), oracle::Argument::of(other),
                                          oracle::Argument::of(out)};
    oracle::interpret(k, arguments);
    return out[0];
}

bool same(double a, double b) {
    return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

void check_exact(ir::Op op, Z z, Z want) {
    const Z got = apply(op, z);
    INFO(ir::info(op).name << z << " = " << got << ", not " << want);
    CHECK((same(got.real(), want.real()) && same(got.imag(), want.imag())));
}

/// Distance in units in the last place of the larger component, as the error of a complex function
/// is commonly measured.
double error(Z got, std::complex<long double> want, int digits) {
    const long double scale = std::max(std::fabs(want.real()), std::fabs(want.imag()));
    const long double ulp = std::ldexp(1.0L, std::ilogb(scale) - digits + 1);
    return static_cast<double>(
        std::max(std::fabs(got.real() - want.real()), std::fabs(got.imag() - want.imag())) / ulp);
}

using Wide = std::complex<long double>;
Wide log2_of(const Wide& z) { return std::log(z) * std::numbers::log2e_v<long double>; }
Wide exp2_of(const Wide& z) { return std::exp(z * std::numbers::ln2_v<long double>); }
Wide expm1_of(const Wide& z) {
    const long double half = std::sin(z.imag() / 2);
    return {std::expm1(z.real()) * std::cos(z.imag()) - 2 * half * half,
            std::exp(z.real()) * std::sin(z.imag())};
}

using Reference = std::complex<long double> (*)(const std::complex<long double>&);

struct Function {
    ir::Op op;
    Reference reference;
    double bound;  // ULP of the larger component
};

const Function functions[] = {
    {ir::Op::exp, std::exp<long double>, 3},
    {ir::Op::log, std::log<long double>, 3},
    {ir::Op::sqrt, std::sqrt<long double>, 3},
    {ir::Op::sin, std::sin<long double>, 3},
    {ir::Op::cos, std::cos<long double>, 3},
    {ir::Op::tan, std::tan<long double>, 8},
    {ir::Op::sinh, std::sinh<long double>, 3},
    {ir::Op::cosh, std::cosh<long double>, 3},
    {ir::Op::tanh, std::tanh<long double>, 8},
    {ir::Op::asin, std::asin<long double>, 4},
    {ir::Op::acos, std::acos<long double>, 4},
    {ir::Op::atan, std::atan<long double>, 4},
    {ir::Op::asinh, std::asinh<long double>, 4},
    {ir::Op::acosh, std::acosh<long double>, 4},
    {ir::Op::atanh, std::atanh<long double>, 4},
    {ir::Op::log10, std::log10<long double>, 4},
    {ir::Op::log2, log2_of, 4},
    {ir::Op::exp2, exp2_of, 4},
    {ir::Op::expm1, expm1_of, 4},
};

}  // namespace

TEST_CASE("lower_complex: products and slots become pairs", "[codegen][lower_complex]") {
    const std::string before =
        "kernel k(a: in c64[1], o: out c64[1]) {\n  slot s: c64\n  stage [extent(a, 0)] {\n"
        "    %0 = load c64 a[i0]\n    write s, %0\n    %1 = read c64 s\n    %2 = mul c64 %1, %0\n"
        "    store o[i0], %2\n  }\n}\n";
    CHECK(ir::print(test::run(codegen::run_lower_complex, test::kernel(before))) ==
          "kernel k(a: in c64[1], o: out c64[1]) {\n  slot s_re: f32\n  slot s_im: f32\n"
          "  stage [extent(a, 0)] {\n    %0 = load c64 a[i0]\n    %1 = real f32 %0\n    %2 = imag "
          "f32 %0\n"
          "    write s_re, %1\n    write s_im, %2\n    %3 = read f32 s_re\n    %4 = read f32 s_im\n"
          "    %5 = mul f32 %3, %1\n    %6 = mul f32 %4, %2\n    %7 = mul f32 %3, %2\n"
          "    %8 = mul f32 %4, %1\n    %9 = sub f32 %5, %6\n    %10 = add f32 %7, %8\n"
          "    %11 = make_complex c64 %9, %10\n    store o[i0], %11\n  }\n}\n");
}

TEST_CASE("lower_complex: nothing complex remains but loads, stores and their parts",
          "[codegen][lower_complex]") {
    for (const DType t : {DType::c64, DType::c128}) {
        const ir::Kernel k = test::run(codegen::run_lower_complex, test::every_operation(t));
        for (const ir::Node& n : k.nodes) {
            const bool memory = n.kind == ir::NodeKind::load ||
                                (n.kind == ir::NodeKind::op && n.op == ir::Op::make_complex);
            CHECK((memory || !is_complex(n.dtype)));
            if (n.kind != ir::NodeKind::op) continue;
            for (const ir::Id id : k.operands_of(n))
                CHECK((!is_complex(k.node(id).dtype) || n.op == ir::Op::real ||
                       n.op == ir::Op::imag));
        }
    }
}

TEST_CASE("lower_complex: arithmetic is NumPy's", "[codegen][lower_complex]") {
    // (1+2i)(3-4i) = 11+2i; /: (1+2i)/(3-4i) = (-1+2i)/5, by Smith's algorithm.
    CHECK(apply<double>(ir::Op::mul, {1, 2}, {3, -4}) == Z(11, 2));
    const Z quotient = apply<double>(ir::Op::div, {1, 2}, {3, -4});
    CHECK(quotient.real() == Approx(-0.2).epsilon(1e-15));
    CHECK(quotient.imag() == Approx(0.4).epsilon(1e-15));
    // No overflow on the way: (1e300 + 1e300i) / (1e300 + 1e300i) = 1.
    CHECK(apply<double>(ir::Op::div, {1e300, 1e300}, {1e300, 1e300}) == Z(1, 0));
    const Z by_zero = apply<double>(ir::Op::div, {1, -2}, {0, 0});
    CHECK(by_zero == Z(inf, -inf));
    CHECK(apply<double>(ir::Op::neg, {1, -2}) == Z(-1, 2));
    CHECK(apply<double>(ir::Op::conj, {1, -2}) == Z(1, 2));
}

TEST_CASE("lower_complex: special values of C99 Annex G", "[codegen][lower_complex]") {
    check_exact(ir::Op::exp, {0, 0}, {1, 0});
    check_exact(ir::Op::exp, {-0.0, -0.0}, {1, -0.0});
    check_exact(ir::Op::exp, {-inf, no_number}, {0, 0});
    check_exact(ir::Op::exp, {inf, 0}, {inf, 0});
    check_exact(ir::Op::exp, {no_number, 0}, {no_number, 0});
    check_exact(ir::Op::exp, {inf, no_number}, {inf, no_number});
    check_exact(ir::Op::exp, {1, inf}, {no_number, no_number});
    check_exact(ir::Op::log, {0, 0}, {-inf, 0});
    check_exact(ir::Op::log, {1, 0}, {0, 0});
    check_exact(ir::Op::log, {inf, no_number}, {inf, no_number});
    check_exact(ir::Op::log, {no_number, -inf}, {inf, no_number});
    check_exact(ir::Op::log, {inf, inf}, {inf, std::atan(1.0)});
    check_exact(ir::Op::sqrt, {0, 0}, {0, 0});
    check_exact(ir::Op::sqrt, {-0.0, -0.0}, {0, -0.0});
    check_exact(ir::Op::sqrt, {-4, 0}, {0, 2});
    check_exact(ir::Op::sqrt, {-4, -0.0}, {0, -2});
    check_exact(ir::Op::sqrt, {no_number, inf}, {inf, inf});
    check_exact(ir::Op::sqrt, {1, -inf}, {inf, -inf});
    check_exact(ir::Op::sqrt, {inf, 1}, {inf, 0});
    check_exact(ir::Op::sqrt, {-inf, -1}, {0, -inf});
    check_exact(ir::Op::sqrt, {0, no_number}, {no_number, no_number});
    check_exact(ir::Op::cosh, {0, 0}, {1, 0});
    check_exact(ir::Op::cosh, {inf, 0}, {inf, 0});
    check_exact(ir::Op::cosh, {inf, inf}, {inf, no_number});
    check_exact(ir::Op::sinh, {0, 0}, {0, 0});
    check_exact(ir::Op::sinh, {inf, 0}, {inf, 0});
    check_exact(ir::Op::sinh, {0, inf}, {0, no_number});
    check_exact(ir::Op::tanh, {0, 0}, {0, 0});
    check_exact(ir::Op::tanh, {inf, 1}, {1, 0});
    check_exact(ir::Op::tanh, {-inf, no_number}, {-1, std::copysign(0.0, no_number)});
    check_exact(ir::Op::tanh, {no_number, 0}, {no_number, 0});
    check_exact(ir::Op::tanh, {1, inf}, {no_number, no_number});
}

TEST_CASE("lower_complex: order, extremes, signs and rounding are NumPy's",
          "[codegen][lower_complex]") {
    // Of every pair of these: what NumPy 2.4 gives for less, less_equal, maximum, minimum, fmax, fmin
    // is its documented order, real parts first, which no NaN has.
    const double parts[] = {0, 1, no_number, inf};
    const auto is_nan = [](Z z) { return std::isnan(z.real()) || std::isnan(z.imag()); };
    const auto at_most = [](Z x, Z y) {
        return (x.real() < y.real() && !std::isnan(x.imag()) && !std::isnan(y.imag())) ||
               (x.real() == y.real() && x.imag() <= y.imag());
    };
    const auto check = [](ir::Op op, Z a, Z b, Z want) {
        const Z got = apply(op, a, b);
        INFO(ir::info(op).name << a << b << " = " << got << ", not " << want);
        CHECK((same(got.real(), want.real()) && same(got.imag(), want.imag())));
    };
    for (const double a : parts)
        for (const double b : parts)
            for (const double c : parts)
                for (const double d : parts) {
                    const Z x(a, b), y(c, d);
                    check(ir::Op::maximum, x, y, is_nan(x) || at_most(y, x) ? x : y);
                    check(ir::Op::minimum, x, y, is_nan(x) || at_most(x, y) ? x : y);
                    check(ir::Op::fmax, x, y, is_nan(y) || at_most(y, x) ? x : y);
                    check(ir::Op::fmin, x, y, is_nan(y) || at_most(x, y) ? x : y);
                }
    check_exact(ir::Op::sign, {3, -4}, {0.6, -0.8});
    check_exact(ir::Op::sign, {-0.0, -0.0}, {0, 0});
    check_exact(ir::Op::sign, {-7, 0}, {-1, 0});
    check_exact(ir::Op::sign, {-inf, no_number}, {-1, 0});
    check_exact(ir::Op::sign, {3, -inf}, {0, -1});
    check_exact(ir::Op::sign, {inf, inf}, {no_number, no_number});
    check_exact(ir::Op::sign, {no_number, 1}, {no_number, no_number});
    for (const double size : {5e-324, 1e-200, 1.0, 1e300, 1.7e308}) {
        const Z got = apply(ir::Op::sign, Z(size, -size));
        CHECK(error(got, {std::sqrt(0.5L), -std::sqrt(0.5L)}, 53) <= 2);
    }
    check_exact(ir::Op::rint, {2.5, -0.3}, {2, -0.0});
    check_exact(ir::Op::rint, {-1.5, inf}, {-2, inf});
}

TEST_CASE("lower_complex: powers", "[codegen][lower_complex]") {
    CHECK(apply<double>(ir::Op::pow, {0, 0}, {0, 0}) == Z(1, 0));
    CHECK(apply<double>(ir::Op::pow, {3, 4}, {0, 0}) == Z(1, 0));
    CHECK(apply<double>(ir::Op::pow, {3, 4}, {1, 0}) == Z(3, 4));
    CHECK(apply<double>(ir::Op::pow, {3, 4}, {2, 0}) == Z(-7, 24));
    CHECK(apply<double>(ir::Op::pow, {0, 0}, {2.5, 0}) == Z(0, 0));
    CHECK(std::isnan(apply<double>(ir::Op::pow, {0, 0}, {-1, 0}).real()));
    // i^i = exp(-pi/2)
    const Z power = apply<double>(ir::Op::pow, {0, 1}, {0, 1});
    CHECK(power.real() == Approx(0.20787957635076190855).epsilon(1e-15));
    CHECK(std::fabs(power.imag()) < 1e-16);
}

TEST_CASE("lower_complex: functions keep their digits", "[codegen][lower_complex]") {
    const double parts[] = {1e-300, 1e-8, 0.01, 0.3, 0.7071, 1, 1.5, 3.14159, 20, 300};
    for (const Function& f : functions) {
        for (const double re : parts) {
            for (const double im : parts) {
                for (const double sign : {1.0, -1.0}) {
                    const Z z(sign * re, im);
                    const auto want = f.reference(std::complex<long double>(z));
                    INFO(ir::info(f.op).name << z);
                    CHECK(error(apply<double>(f.op, z), want, 53) <= f.bound);
                }
            }
        }
    }
}

TEST_CASE("lower_complex: no overflow or underflow on the way", "[codegen][lower_complex]") {
    const Z large(1.5e308, 1.5e308), small(3e-320, -4e-320);
    CHECK(error(apply<double>(ir::Op::log, large), std::log(std::complex<long double>(large)),
                53) <= 3);
    CHECK(error(apply<double>(ir::Op::sqrt, large), std::sqrt(std::complex<long double>(large)),
                53) <= 3);
    CHECK(error(apply<double>(ir::Op::log, small), std::log(std::complex<long double>(small)),
                53) <= 3);
    CHECK(error(apply<double>(ir::Op::sqrt, small), std::sqrt(std::complex<long double>(small)),
                53) <= 3);
    // exp(710) overflows, exp(710) cos(pi / 4) does not.
    const Z edge(710, 0.7853981633974483);
    CHECK(error(apply<double>(ir::Op::exp, edge), std::exp(std::complex<long double>(edge)), 53) <=
          4);
    CHECK(error(apply<double>(ir::Op::cosh, edge), std::cosh(std::complex<long double>(edge)),
                53) <= 4);
}
