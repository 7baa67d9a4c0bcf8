// The operations on scalars against facts of NumPy, exhaustive small integers and plain formulas.
#include "dsl/ir/scalar_ops.h"
#include "dsl/ir/evaluate.h"
#include "tests/catch.h"

#include <algorithm>
#include <bit>
#include <complex>

using namespace kiln;
using namespace kiln::ir;

namespace {

constexpr double inf = INFINITY, qnan = NAN;

/// Equal, with the same sign of zero; any NaN equals any NaN.
template <class T> bool same(T a, T b) {
    return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b);
}

template <class T> T wrapped(std::int64_t value) {
    return static_cast<T>(static_cast<std::uint64_t>(value));
}

/// Every pair of values of an 8-bit type, against plain 64-bit arithmetic.
template <class T> void check_all_pairs() {
    constexpr int low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
    std::string wrong;
    for (std::int64_t x = low; x <= high; ++x)
        for (std::int64_t y = low; y <= high; ++y) {
            const T a = static_cast<T>(x), b = static_cast<T>(y);
            const std::int64_t quotient = y == 0 ? 0 : x / y, remainder = y == 0 ? 0 : x % y;
            const bool down = remainder != 0 && (remainder < 0) != (y < 0);
            const bool in_range = y >= 0 && y < 8;
            const auto expect = [&](const char* what, T have, std::int64_t want) {
                if (have != wrapped<T>(want))
                    wrong += std::string(what) + " " + std::to_string(x) + " " + std::to_string(y) +
                             "; ";
            };
            expect("add", scalar::add(a, b), x + y);
            expect("sub", scalar::sub(a, b), x - y);
            expect("mul", scalar::mul(a, b), x * y);
            expect("div", scalar::div(a, b), quotient);
            expect("rem", scalar::rem(a, b), remainder);
            expect("fmod", scalar::fmod(a, b), remainder);
            expect("floor_divide", scalar::floor_divide(a, b), quotient - (down ? 1 : 0));
            expect("mod", scalar::mod(a, b), remainder + (down ? y : 0));
            expect("shl", scalar::shl(a, b), in_range ? x * (std::int64_t(1) << y) : 0);
            // Arithmetic shift is a floored division by a power of two.
            const std::int64_t power = in_range ? std::int64_t(1) << y : 1;
            const std::int64_t floored = (x - (((x % power) + power) % power)) / power;
            expect("shr", scalar::shr(a, b), in_range ? floored : x < 0 ? -1 : 0);
            expect("minimum", scalar::minimum(a, b), std::min(x, y));
            expect("fmax", scalar::fmax(a, b), std::max(x, y));
            if (y >= 0) {
                std::uint64_t product = 1;
                for (std::int64_t i = 0; i < y; ++i) product *= static_cast<std::uint64_t>(x);
                expect("pow", scalar::pow(a, b), static_cast<std::int64_t>(product));
            }
        }
    CHECK(wrong == "");
}

}  // namespace

TEST_CASE("8-bit integers: all pairs of all binary operations", "[dsl][scalar]") {
    check_all_pairs<std::int8_t>();
    check_all_pairs<std::uint8_t>();
}

TEST_CASE("integers wrap, and division never traps", "[dsl][scalar]") {
    using I8 = std::int8_t;
    CHECK(scalar::add(I8(100), I8(100)) == -56);
    CHECK(scalar::neg(I8(-128)) == -128);
    CHECK(scalar::abs(I8(-128)) == -128);
    CHECK(scalar::floor_divide(I8(-128), I8(-1)) == -128);
    CHECK(scalar::mod(I8(-128), I8(-1)) == 0);
    const auto check_ends = [](auto zero) {
        using T = decltype(zero);
        constexpr T min = std::numeric_limits<T>::min(), max = std::numeric_limits<T>::max();
        CHECK(scalar::add(max, T(1)) == min);
        CHECK(scalar::sub(min, T(1)) == max);
        CHECK(scalar::mul(max, T(2)) == static_cast<T>(-2));
        for (const T x : {min, max, T(0), T(7)}) {
            CHECK(scalar::div(x, T(0)) == 0);
            CHECK(scalar::rem(x, T(0)) == 0);
            CHECK(scalar::fmod(x, T(0)) == 0);
            CHECK(scalar::floor_divide(x, T(0)) == 0);
            CHECK(scalar::mod(x, T(0)) == 0);
        }
        if constexpr (std::is_signed_v<T>) {
            CHECK(scalar::neg(min) == min);
            CHECK(scalar::abs(min) == min);
            CHECK(scalar::div(min, T(-1)) == min);
            CHECK(scalar::rem(min, T(-1)) == 0);
            CHECK(scalar::floor_divide(min, T(-1)) == min);
            CHECK(scalar::mod(min, T(-1)) == 0);
            CHECK(scalar::mul(min, T(-1)) == min);
        }
    };
    check_ends(std::int8_t(0));
    check_ends(std::int16_t(0));
    check_ends(std::int32_t(0));
    check_ends(std::int64_t(0));
    check_ends(std::uint8_t(0));
    check_ends(std::uint16_t(0));
    check_ends(std::uint32_t(0));
    check_ends(std::uint64_t(0));
}

TEST_CASE("integer division as C++ and as NumPy name it", "[dsl][scalar]") {
    const int a[] = {7, -7, 7, -7, 5}, b[] = {2, 2, -2, -2, 0};
    const int floored[] = {3, -4, -4, 3, 0}, modulo[] = {1, 1, -1, -1, 0},
              remainder[] = {1, -1, 1, -1, 0};
    const int truncated[] = {3, -3, -3, 3, 0};
    for (int i = 0; i < 5; ++i) {
        CHECK(scalar::floor_divide(a[i], b[i]) == floored[i]);
        CHECK(scalar::mod(a[i], b[i]) == modulo[i]);
        CHECK(scalar::fmod(a[i], b[i]) == remainder[i]);
        CHECK(scalar::div(a[i], b[i]) == truncated[i]);
        CHECK(scalar::rem(a[i], b[i]) == remainder[i]);
    }
}

TEST_CASE("floor_divide and mod of floats", "[dsl][scalar]") {
    const auto check = [](double a, double b, double quotient, double remainder) {
        CAPTURE(a, b);
        CHECK(same(scalar::floor_divide(a, b), quotient));
        CHECK(same(scalar::mod(a, b), remainder));
        const auto f = [](double x) { return static_cast<float>(x); };
        CHECK(same(scalar::floor_divide(f(a), f(b)), f(quotient)));
        CHECK(same(scalar::mod(f(a), f(b)), f(remainder)));
    };
    check(1, 0, inf, qnan);
    check(-1, 0, -inf, qnan);
    check(0, 0, qnan, qnan);
    check(inf, 1, qnan, qnan);
    check(1, inf, 0, 1);
    check(-1, inf, -1, inf);
    check(-0.0, 1, -0.0, 0.0);
    check(0, -3, -0.0, -0.0);
    check(qnan, 1, qnan, qnan);
    check(7, 2, 3, 1);
    check(-7, 2, -4, 1);
    check(7, -2, -4, -1);
    check(-7, -2, 3, -1);
    // a == (a // b) * b + a % b, and 0 <= a % b < b for b > 0, for 71 and 19 with all signs.
    for (const double a : {71.0, -71.0})
        for (const double b : {19.0, -19.0}) {
            const double q = scalar::floor_divide(a, b), r = scalar::mod(a, b);
            CHECK(q * b + r == a);
            CHECK((b > 0 ? r >= 0 && r < b : r <= 0 && r > b));
        }
    CHECK(scalar::rem(-7.5, 2.0) == -1.5);
    CHECK(scalar::fmod(7.5, -2.0) == 1.5);
    CHECK(same(scalar::fmod(-4.0, 2.0), -0.0));
    // The quotient of 1 by 0.1 is below 10, since 0.1 is above one tenth.
    CHECK(scalar::floor_divide(1.0, 0.1) == 9);
}

TEST_CASE("true division and IEEE division by zero", "[dsl][scalar]") {
    const double a[] = {5, 6, 0, 8}, b[] = {1, 0, 0, 4}, expected[] = {5, inf, qnan, 2};
    for (int i = 0; i < 4; ++i) CHECK(same(scalar::true_divide(a[i], b[i]), expected[i]));
    CHECK(same(scalar::div(-1.0F, 0.0F), -INFINITY));
}

TEST_CASE("shifts by any amount", "[dsl][scalar]") {
    CHECK(scalar::shl(1, 31) == std::numeric_limits<int>::min());
    for (const int amount : {32, 33, -1, std::numeric_limits<int>::min()}) {
        CHECK(scalar::shl(1, amount) == 0);
        CHECK(scalar::shr(-8, amount) == -1);
        CHECK(scalar::shr(8, amount) == 0);
    }
    CHECK(scalar::shr(-8, 1) == -4);
    CHECK(scalar::shr(8, 40) == 0);
    CHECK(scalar::shr(0xffffffffU, 31U) == 1);
    CHECK(scalar::shr(0xffffffffU, 32U) == 0);
    CHECK(scalar::shl(std::uint64_t(1), std::uint64_t(63)) == std::uint64_t(1) << 63);
    CHECK(scalar::shl(std::uint64_t(1), std::uint64_t(1) << 32) == 0);
    CHECK(scalar::shr(std::int64_t(-1), std::int64_t(1) << 40) == -1);
}

TEST_CASE("integer powers", "[dsl][scalar]") {
    CHECK(scalar::pow(std::int64_t(2), std::int64_t(64)) == 0);
    CHECK(scalar::pow(std::int64_t(2), std::int64_t(63)) ==
          std::numeric_limits<std::int64_t>::min());
    CHECK(scalar::pow(0, 0) == 1);
    CHECK(scalar::pow(std::int64_t(15), std::int64_t(15)) == 437893890380859375);
    CHECK(scalar::pow(-3, 3) == -27);
    CHECK(scalar::pow(5, -1) == 0);
}

TEST_CASE("minimum and maximum propagate NaN and order the zeros; fmin and fmax drop NaN",
          "[dsl][scalar]") {
    CHECK(std::isnan(scalar::maximum(0.0, qnan)));
    CHECK(std::isnan(scalar::maximum(qnan, 0.0)));
    CHECK(std::isnan(scalar::minimum(qnan, -inf)));
    CHECK(std::isnan(scalar::minimum(inf, qnan)));
    CHECK(scalar::fmax(0.0, qnan) == 0);
    CHECK(scalar::fmax(qnan, 0.0) == 0);
    CHECK(scalar::fmin(qnan, inf) == inf);
    CHECK(scalar::fmin(-inf, qnan) == -inf);
    CHECK(std::isnan(scalar::fmax(qnan, qnan)));
    CHECK(std::isnan(scalar::fmin(qnan, qnan)));
    CHECK(same(scalar::minimum(0.0, -0.0), -0.0));
    CHECK(same(scalar::minimum(-0.0, 0.0), -0.0));
    CHECK(same(scalar::maximum(0.0, -0.0), 0.0));
    CHECK(same(scalar::maximum(-0.0, 0.0), 0.0));
    CHECK(scalar::minimum(1.0F, 2.0F) == 1);
    CHECK(scalar::maximum(-inf, 2.0) == 2);
    CHECK(scalar::minimum(true, false) == false);
    CHECK(scalar::maximum(std::uint8_t(200), std::uint8_t(100)) == 200);
    CHECK(scalar::minimum(float16(1.5F), float16(-2.0F)) == float16(-2.0F));
    CHECK(scalar::isnan(scalar::maximum(float16(1.5F), float16(NAN))));
}

TEST_CASE("comparisons with NaN and of mixed signs", "[dsl][scalar]") {
    CHECK(scalar::ne(qnan, qnan));
    CHECK_FALSE(scalar::eq(qnan, qnan));
    CHECK_FALSE(scalar::lt(qnan, 1.0));
    CHECK_FALSE(scalar::le(qnan, qnan));
    CHECK_FALSE(scalar::gt(1.0, qnan));
    CHECK_FALSE(scalar::ge(qnan, qnan));
    CHECK(scalar::eq(0.0, -0.0));
    CHECK(scalar::le(float16(1.0F), float16(1.0F)));
    CHECK(scalar::lt(std::int64_t(-1), std::uint64_t(0)));
    CHECK(scalar::ne(std::int64_t(-1), ~std::uint64_t(0)));
    CHECK(scalar::gt(~std::uint64_t(0), std::int64_t(-1)));
    CHECK(scalar::ne(std::complex<float>(1, 2), std::complex<float>(1, 3)));
    CHECK(scalar::eq(std::complex<double>(1, -0.0), std::complex<double>(1, 0.0)));
    const Scalar mixed[] = {Scalar::of(std::int64_t(-1)), Scalar::of(std::uint64_t(0))};
    CHECK(evaluate(Op::lt, DType::bool_, mixed)->get<bool>());
    CHECK_FALSE(evaluate(Op::ge, DType::bool_, mixed)->get<bool>());
}

TEST_CASE("sign, rounding, sign bits", "[dsl][scalar]") {
    CHECK(std::isnan(scalar::sign(qnan)));
    CHECK(scalar::sign(-0.0) == 0);
    CHECK(scalar::sign(-inf) == -1);
    CHECK(scalar::sign(2.5F) == 1);
    CHECK(scalar::sign(std::int8_t(-128)) == -1);
    CHECK(scalar::sign(std::uint64_t(1) << 63) == 1);
    CHECK(scalar::sign(bfloat16(-3.0F)) == bfloat16(-1.0F));
    const double x[] = {.5, 1.5, 2.5, -.5, -1.5, 1e300, 4503599627370497.5};
    const double even[] = {0, 2, 2, -0.0, -2, 1e300, 4503599627370498.0};
    for (int i = 0; i < 7; ++i) CHECK(same(scalar::rint(x[i]), even[i]));
    CHECK(same(scalar::floor(-0.5), -1.0));
    CHECK(same(scalar::ceil(-0.5), -0.0));
    CHECK(same(scalar::trunc(-1.9), -1.0));
    CHECK(scalar::floor(7) == 7);
    CHECK(scalar::rint(float16(2.5F)) == float16(2.0F));
    CHECK(same(scalar::sqrt(-0.0), -0.0));
    CHECK(std::isnan(scalar::sqrt(-1.0)));
    CHECK(scalar::signbit(-0.0));
    CHECK_FALSE(scalar::signbit(0.0F));
    CHECK(scalar::signbit(std::int8_t(-1)));
    CHECK_FALSE(scalar::signbit(std::uint8_t(255)));
    CHECK(same(scalar::copysign(3.0, -0.0), -3.0));
    CHECK(scalar::copysign(float16(-3.0F), float16(0.0F)) == float16(3.0F));
    CHECK(scalar::isnan(std::complex<float>(1, NAN)));
    CHECK(scalar::isinf(std::complex<float>(NAN, INFINITY)));
    CHECK_FALSE(scalar::isfinite(std::complex<double>(0, inf)));
    CHECK(scalar::isfinite(std::numeric_limits<std::int64_t>::min()));
    CHECK_FALSE(scalar::isnan(7));
    CHECK(scalar::isinf(float16(65520.0F)));
}

TEST_CASE("fma rounds once", "[dsl][scalar]") {
    const double tiny = 0x1p-52;
    CHECK(scalar::fma(1 + tiny, 1 - tiny, -1.0) == -tiny * tiny);
    CHECK(scalar::fma(1 + 0x1p-23F, 1 - 0x1p-23F, -1.0F) == -0x1p-46F);
}

TEST_CASE("bool", "[dsl][scalar]") {
    for (const bool a : {false, true}) {
        CHECK(scalar::bit_not(a) == !a);
        CHECK(scalar::logical_not(a) == !a);
        CHECK(scalar::abs(a) == a);
        CHECK(scalar::sign(a) == a);
        for (const bool b : {false, true}) {
            CHECK(scalar::add(a, b) == (a || b));
            CHECK(scalar::mul(a, b) == (a && b));
            CHECK(scalar::bit_xor(a, b) == (a != b));
            CHECK(scalar::bit_and(a, b) == (a && b));
            CHECK(scalar::bit_or(a, b) == (a || b));
            CHECK(scalar::logical_xor(a, b) == (a != b));
            CHECK(scalar::logical_and(a, b) == (a && b));
            CHECK(scalar::logical_or(a, b) == (a || b));
        }
    }
    CHECK(scalar::select(true, 1, 2) == 1);
    CHECK(scalar::select(false, 1, 2) == 2);
}

TEST_CASE("complex arithmetic", "[dsl][scalar]") {
    using C = std::complex<double>;
    CHECK(scalar::mul(C(1, 2), C(3, -4)) == C(11, 2));
    CHECK(scalar::div(C(11, 2), C(3, -4)) == C(1, 2));
    CHECK(scalar::true_divide(C(1, 0), C(0, 2)) == C(0, -0.5));
    CHECK(scalar::div(C(1, 1), C(1e300, 1e300)) == C(1e-300, 0));  // no overflow on the way
    const C by_zero = scalar::div(C(1, 0), C(0, 0));
    CHECK(by_zero.real() == inf);
    CHECK(std::isnan(by_zero.imag()));
    CHECK(scalar::abs(C(3, -4)) == 5);
    CHECK(scalar::conj(C(1, 2)) == C(1, -2));
    CHECK(scalar::conj(2.5) == 2.5);
    CHECK(scalar::real(C(1, 2)) == 1);
    CHECK(scalar::imag(C(1, 2)) == 2);
    CHECK(scalar::imag(7.5) == 0);
    CHECK(scalar::make_complex(1.0F, 2.0F) == std::complex<float>(1, 2));
    CHECK(scalar::sqrt(C(-4, 0)) == C(0, 2));
    // The plain product: an infinity is not recovered from NaN parts.
    CHECK(std::isnan(scalar::mul(C(inf, inf), C(1, 1)).real()));
}

TEST_CASE("16-bit floats compute in float and round once more", "[dsl][scalar]") {
    // 2048 + 1 is a tie in binary16 and goes to even; 2048 + 3 is above the tie.
    CHECK(scalar::add(float16(2048.0F), float16(1.0F)) == float16(2048.0F));
    CHECK(scalar::add(float16(2048.0F), float16(3.0F)) == float16(2052.0F));
    CHECK(scalar::isinf(scalar::mul(float16(60000.0F), float16(2.0F))));
    CHECK(scalar::div(bfloat16(1.0F), bfloat16(3.0F)) == bfloat16(1.0F / 3.0F));
    CHECK(scalar::neg(float16(0.0F)).bits == 0x8000);
    CHECK(scalar::abs(float16(-2.0F)) == float16(2.0F));
}

TEST_CASE("evaluate: elementary functions at known points, for every real dtype",
          "[dsl][evaluate]") {
    const auto check = [](Op op, double a, double b, double expected) {
        for (const DType t : {DType::f16, DType::bf16, DType::f32, DType::f64}) {
            CAPTURE(info(op).name, name(t), a, b);
            std::vector<Scalar> operands{Scalar::of(a).cast(t)};
            if (info(op).arity == 2) operands.push_back(Scalar::of(b).cast(t));
            const auto result = evaluate(op, t, operands);
            REQUIRE(result.has_value());
            CHECK(same(result->cast(DType::f64).get<double>(),
                       Scalar::of(expected).cast(t).cast(DType::f64).get<double>()));
        }
    };
    const double pi = 3.14159265358979323846;
    check(Op::exp, -inf, 0, 0);
    check(Op::exp, 1, 0, 2.71828182845904523536);
    check(Op::log, 0, 0, -inf);
    check(Op::log, -1, 0, qnan);
    check(Op::log2, 8, 0, 3);
    check(Op::log10, 100, 0, 2);
    check(Op::exp2, -3, 0, 0.125);
    check(Op::exp10, 2, 0, 100);
    check(Op::cbrt, -8, 0, -2);
    check(Op::atan2, 0.0, -0.0, pi);
    check(Op::atan2, -0.0, -0.0, -pi);
    check(Op::atan2, -0.0, 0.0, -0.0);
    check(Op::atan2, 1, -inf, pi);
    check(Op::atan2, -1, inf, -0.0);
    check(Op::atan2, inf, inf, pi / 4);
    check(Op::atan2, inf, -inf, 3 * pi / 4);
    check(Op::hypot, qnan, inf, inf);
    check(Op::hypot, 3, 4, 5);
    check(Op::pow, 1, inf, 1);
    check(Op::pow, 1, -inf, 1);
    check(Op::pow, -2, inf, inf);
    check(Op::pow, -2, -inf, 0);
    check(Op::pow, 0, 0, 1);
    check(Op::pow, -8, 1.0 / 3, qnan);
    check(Op::asin, 2, 0, qnan);
    check(Op::acosh, 0.5, 0, qnan);
    check(Op::atanh, 2, 0, qnan);
    check(Op::tgamma, 5, 0, 24);
    check(Op::lgamma, 1, 0, 0);
    check(Op::erf, inf, 0, 1);
    check(Op::erfc, inf, 0, 0);
    check(Op::sin, -0.0, 0, -0.0);
    check(Op::tanh, inf, 0, 1);
    check(Op::expm1, -inf, 0, -1);
    check(Op::log1p, -1, 0, -inf);
}

TEST_CASE("evaluate: complex elementary functions", "[dsl][evaluate]") {
    const std::complex<double> i(0, 1);
    const Scalar operand[] = {Scalar::of(std::complex<double>(0, 3.14159265358979323846))};
    const auto e = evaluate(Op::exp, DType::c128, operand)->get<std::complex<double>>();
    CHECK(e.real() == -1);
    CHECK(std::abs(e.imag()) < 2e-16);
    const Scalar square[] = {Scalar::of(std::complex<float>(0, 1)),
                             Scalar::of(std::complex<float>(2, 0))};
    CHECK(std::abs(evaluate(Op::pow, DType::c64, square)->get<std::complex<float>>() + 1.0F) <
          1e-6F);
    const Scalar root[] = {Scalar::of(std::complex<double>(-1, 0))};
    CHECK(evaluate(Op::sqrt, DType::c128, root)->get<std::complex<double>>() == i);
}

TEST_CASE("evaluate: complex powers at the corners", "[dsl][evaluate]") {
    using C = std::complex<float>;
    const auto pow = [](C a, C b) {
        const Scalar operands[] = {Scalar::of(a), Scalar::of(b)};
        return evaluate(Op::pow, DType::c64, operands)->get<C>();
    };
    CHECK(pow(C(0, 0), C(0, 0)) == C(1, 0));
    CHECK(pow(C(INFINITY, 1), C(0, 0)) == C(1, 0));
    CHECK(pow(C(3, 4), C(1, 0)) == C(3, 4));
    CHECK(pow(C(0, 0), C(2.5F, 0)) == C(0, 0));
    CHECK(std::isnan(pow(C(0, 0), C(-1, 0)).real()));
    CHECK(pow(C(0, 0), C(1, 1)) == C(0, 0));
    CHECK(std::isnan(pow(C(0, 0), C(0, 1)).imag()));
}

TEST_CASE("evaluate: f32 functions are correctly rounded", "[dsl][evaluate]") {
    for (int n = -400; n < 400; ++n) {
        const float x = static_cast<float>(n) * 0.037F;
        const Scalar operand[] = {Scalar::of(x)};
        const float want = static_cast<float>(std::sin(static_cast<long double>(x)));
        CHECK(evaluate(Op::sin, DType::f32, operand)->get<float>() == want);
    }
}

TEST_CASE("evaluate refuses what the rule does not take", "[dsl][evaluate]") {
    const Scalar f = Scalar::of(1.0F), d = Scalar::of(1.0), i = Scalar::of(1), t = Scalar::of(true),
                 c = Scalar::of(std::complex<float>(1));
    const auto refused = [](Op op, DType result, std::vector<Scalar> operands) {
        return !evaluate(op, result, operands).has_value();
    };
    CHECK(refused(Op::add, DType::f32, {f}));
    CHECK(refused(Op::add, DType::f32, {f, d}));
    CHECK(refused(Op::add, DType::f64, {f, f}));
    CHECK(refused(Op::sub, DType::bool_, {t, t}));
    CHECK(refused(Op::sin, DType::i32, {i}));
    CHECK(refused(Op::shl, DType::f32, {f, f}));
    CHECK(refused(Op::mod, DType::c64, {c, c}));
    CHECK(refused(Op::floor_divide, DType::c64, {c, c}));
    CHECK(refused(Op::select, DType::f32, {i, f, f}));
    CHECK(refused(Op::logical_and, DType::i32, {i, i}));
    CHECK_FALSE(refused(Op::eq, DType::bool_, {c, c}));
    CHECK_FALSE(refused(Op::lt, DType::bool_, {c, c}));
    CHECK_FALSE(refused(Op::abs, DType::f32, {c}));
}

TEST_CASE("identities change no value", "[dsl][evaluate][reduction]") {
    for (std::size_t r = 0; r < std::size(reduction_table); ++r)
        for (std::size_t t = 0; t < dtype_count; ++t) {
            const auto reduction = static_cast<ir::Reduction>(r);
            const auto dtype = static_cast<DType>(t);
            const Rule rule = info(info(reduction).op).rule;
            const bool logical = rule == Rule::logical;
            if (!logical && exact_result(rule, dtype) != dtype) continue;
            const auto start = identity(reduction, dtype);
            CAPTURE(info(reduction).name, name(dtype));
            if (!start) {
                CHECK((reduction == ir::Reduction::min || reduction == ir::Reduction::max));
                continue;
            }
            CHECK(start->dtype == dtype);
            for (const int n : {0, 1, 5, 100}) {
                const Scalar value = Scalar::of(logical ? n % 2 : n).cast(dtype);
                CHECK(std::memcmp(combine(reduction, *start, value).bytes.data(),
                                  value.bytes.data(), size_of(dtype)) == 0);
            }
        }
    CHECK(identity(ir::Reduction::all_bits, DType::u8)->get<std::uint8_t>() == 255);
    CHECK(identity(ir::Reduction::all_bits, DType::i32)->get<std::int32_t>() == -1);
    CHECK(identity(ir::Reduction::product, DType::c64)->get<std::complex<float>>() == 1.0F);
}
