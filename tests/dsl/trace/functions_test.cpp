// What traced kernels compute: functions and control flow, run on the interpreter and compared with
// NumPy's facts, the mathematics and plain C++ loops.
#include "tests/dsl/trace/tracing.h"
#include "tests/oracle/interpreter.h"

#include <array>
#include <cmath>
#include <complex>
#include <limits>
#include <numbers>
#include <numeric>
#include <utility>

using namespace kiln;
using Values = std::vector<Value>;

namespace {

struct Result {
    Scalar value;
    std::optional<oracle::Fault> fault;
    template <class T> T get() const {
        REQUIRE(value.dtype == dtype_of<T>);
        return value.get<T>();
    }
};

/// The value of `body` for these arguments, whose dtypes are the parameters'.
Result run(const std::vector<Scalar>& arguments, const test::Function& body) {
    std::vector<DType> types;
    for (const Scalar& a : arguments) types.push_back(a.dtype);
    const test::Traced traced = test::trace(types, body);
    std::vector<oracle::Argument> given;
    for (const Scalar& a : arguments) given.push_back(oracle::Argument::value(a));
    Result result;
    result.value.dtype = traced.dtype;
    given.push_back(oracle::Argument::array(result.value.bytes.data(), traced.dtype, {1}));
    result.fault = oracle::interpret(traced.kernel, given);
    return result;
}

Result unary(const Scalar& a, Value (*f)(Operand)) {
    return run({a}, [f](const Values& x) { return f(x[0]); });
}
Result binary(const Scalar& a, const Scalar& b, Value (*f)(Operand, Operand)) {
    return run({a, b}, [f](const Values& x) { return f(x[0], x[1]); });
}

constexpr double inf = std::numeric_limits<double>::infinity();
const double not_a_number = std::nan("");

}  // namespace

TEST_CASE("pow of integers", "[dsl][functions]") {
    const auto power = [](std::int64_t a, std::int64_t b) {
        return binary(i64(a), i64(b), pow).get<std::int64_t>();
    };
    CHECK(power(15, 15) == 437893890380859375);
    CHECK(power(2, 63) == std::numeric_limits<std::int64_t>::min());
    CHECK(power(2, 64) == 0);
    CHECK(power(0, 0) == 1);
    CHECK(power(-3, 3) == -27);
    CHECK(power(7, 1) == 7);
    CHECK(binary(u8(3), u8(5), pow).get<std::uint8_t>() == 243);
    CHECK(binary(u8(2), u8(255), pow).get<std::uint8_t>() == 0);
    CHECK(binary(i32(5), i16(2), pow).get<std::int32_t>() == 25);
    CHECK(binary(bool_(true), bool_(false), pow).get<std::int8_t>() == 1);
    CHECK(binary(bool_(false), bool_(true), pow).get<std::int8_t>() == 0);
}

TEST_CASE("pow of integers to a known power", "[dsl][functions]") {
    for (std::uint64_t n = 0; n < 70; ++n) {
        std::uint64_t expected = 1;
        for (std::uint64_t i = 0; i < n; ++i) expected *= 3;
        const auto weak = static_cast<int>(n);
        CHECK(run({u64(3)}, [weak](const Values& x) {
                  return pow(x[0], weak);
              }).get<std::uint64_t>() == expected);
        CHECK(binary(u64(3), u64(n), pow).get<std::uint64_t>() == expected);
    }
    CHECK(run({i8(2)}, [](const Values& x) { return pow(x[0], 3); }).get<std::int8_t>() == 8);
    CHECK(run({i32(2)}, [](const Values& x) { return pow(2, x[0]); }).get<std::int32_t>() == 4);
}

TEST_CASE("a negative exponent of integers is a fault", "[dsl][functions][errors]") {
    unsigned line = 0;
    const Result r = run({i32(3), i32(-1)}, [&](const Values& x) -> Value {
        line = __LINE__ + 1;
        return pow(x[0], x[1]);
    });
    REQUIRE(r.fault);
    CHECK(r.fault->check == ir::Check::negative_power);
    CHECK(r.fault->location.line == line);
    CHECK(r.get<std::int32_t>() == 1);
    CHECK_FALSE(binary(i32(3), i32(0), pow).fault);
}

TEST_CASE("pow of real numbers stays an elementary function", "[dsl][functions]") {
    CHECK(binary(f64(2), f64(-1), pow).get<double>() == 0.5);
    CHECK(binary(f64(1), f64(inf), pow).get<double>() == 1);
    CHECK(std::isnan(binary(f64(-8), f64(1.0 / 3), pow).get<double>()));
    CHECK(binary(i32(2), f64(-1), pow).get<double>() == 0.5);
}

TEST_CASE("gcd and lcm", "[dsl][functions]") {
    const std::array expected{20, 1, 2, 1, 4, 5};
    for (int i = 0; i < 6; ++i)
        CHECK(binary(i32(i), i32(20), gcd).get<std::int32_t>() == expected[std::size_t(i)]);
    CHECK(binary(i8(-128), i8(96), gcd).get<std::int8_t>() == 32);
    CHECK(binary(i32(0), i32(0), gcd).get<std::int32_t>() == 0);
    CHECK(binary(u64(std::uint64_t(1) << 63), u64(96), gcd).get<std::uint64_t>() == 32);
    CHECK(binary(bool_(true), bool_(true), gcd).get<std::int8_t>() == 1);
    CHECK(binary(i16(300), i16(400), lcm).get<std::int16_t>() == 1200);  // 300 * 400 overflows
    CHECK(binary(i32(-4), i32(6), lcm).get<std::int32_t>() == 12);
    CHECK(binary(i32(0), i32(5), lcm).get<std::int32_t>() == 0);
    CHECK(binary(i32(0), i32(0), lcm).get<std::int32_t>() == 0);
    CHECK(binary(i64(std::int64_t(1) << 61), i64(std::int64_t(1) << 62), lcm).get<std::int64_t>() ==
          std::int64_t(1) << 62);
    for (int a = -9; a < 10; ++a)
        for (int b = -9; b < 10; ++b) {
            CHECK(binary(i32(a), i32(b), gcd).get<std::int32_t>() == std::gcd(a, b));
            CHECK(binary(i32(a), i32(b), lcm).get<std::int32_t>() == std::lcm(a, b));
        }
}

TEST_CASE("heaviside", "[dsl][functions]") {
    const auto step = [](double a, double h) {
        return binary(f64(a), f64(h), heaviside).get<double>();
    };
    CHECK(step(-1, 0.5) == 0);
    CHECK(step(0, 0.5) == 0.5);
    CHECK(step(-0.0, 0.5) == 0.5);
    CHECK(step(3, 0.5) == 1);
    CHECK(std::isnan(step(not_a_number, 0.5)));
    CHECK(step(1, not_a_number) == 1);
    CHECK(binary(i32(-2), f32(0.5f), heaviside).get<double>() == 0);
    CHECK(binary(i8(2), i8(0), heaviside).value.dtype == f16);
}

TEST_CASE("logaddexp", "[dsl][functions]") {
    const auto f = [](double a, double b) {
        return binary(f64(a), f64(b), logaddexp).get<double>();
    };
    CHECK(f(-inf, -inf) == -inf);
    CHECK(f(inf, inf) == inf);
    CHECK(f(inf, -inf) == inf);
    CHECK(f(-inf, 3) == 3);
    CHECK(std::isnan(f(not_a_number, 1)));
    CHECK(std::isnan(f(1, not_a_number)));
    CHECK(f(1000, 1000) == Approx(1000 + std::numbers::ln2).epsilon(1e-15));
    CHECK(f(1, 2) == Approx(std::log(std::exp(1.0) + std::exp(2.0))).epsilon(1e-15));
    CHECK(binary(i32(1), i32(2), logaddexp).value.dtype == f64);
    CHECK(binary(f16(1), f16(2), logaddexp).value.dtype == f16);
}

TEST_CASE("degrees and radians", "[dsl][functions]") {
    CHECK(unary(f64(180), deg2rad).get<double>() == Approx(std::numbers::pi).epsilon(1e-15));
    CHECK(unary(f64(std::numbers::pi), rad2deg).get<double>() == Approx(180).epsilon(1e-15));
    CHECK(unary(f32(90), deg2rad).get<float>() ==
          Approx(std::numbers::pi_v<float> / 2).epsilon(1e-7));
    CHECK(unary(i32(180), deg2rad).value.dtype == f64);
    CHECK(unary(u8(90), deg2rad).value.dtype == f16);
    // Rounded to 16 bits once: of the constant rounded to f16, 180 degrees would give 3.1406.
    CHECK(static_cast<float>(unary(f16(180), deg2rad).get<float16>()) ==
          static_cast<float>(float16(3.14159265f)));
}

TEST_CASE("small composites", "[dsl][functions]") {
    CHECK(unary(i8(12), square).get<std::int8_t>() == -112);
    CHECK(unary(bool_(true), square).get<std::int8_t>() == 1);
    CHECK(unary(f32(1.5f), square).get<float>() == 2.25f);
    CHECK(unary(i32(2), reciprocal).get<std::int32_t>() == 0);
    CHECK(unary(i32(-1), reciprocal).get<std::int32_t>() == -1);
    CHECK(unary(i32(0), reciprocal).get<std::int32_t>() == 0);
    CHECK(unary(bool_(true), reciprocal).get<std::int8_t>() == 1);
    CHECK(unary(f32(4), reciprocal).get<float>() == 0.25f);
    CHECK(unary(f64(0), reciprocal).get<double>() == inf);
    CHECK(unary(f64(4), rsqrt).get<double>() == 0.5);
    CHECK(unary(i32(4), rsqrt).get<double>() == 0.5);
    CHECK(std::isnan(unary(f64(-1), rsqrt).get<double>()));
    CHECK(unary(f64(2.5), round).get<double>() == 2);
    CHECK(unary(f64(-0.5), round).get<double>() == 0);
    CHECK(unary(i32(7), round).get<std::int32_t>() == 7);
    const auto clipped = [](double a) {
        return run({f64(a)}, [](const Values& x) { return clip(x[0], -1, 3); }).get<double>();
    };
    CHECK(clipped(5) == 3);
    CHECK(clipped(-5) == -1);
    CHECK(clipped(2) == 2);
    CHECK(std::isnan(clipped(not_a_number)));
    CHECK(std::isnan(binary(f64(0), f64(not_a_number), min).get<double>()));
    CHECK(std::isnan(binary(f64(not_a_number), f64(0), max).get<double>()));
    CHECK(binary(i32(-7), i32(2), [](Operand a, Operand b) {
              return divmod(a, b).first;
          }).get<std::int32_t>() == -4);
    CHECK(binary(i32(-7), i32(2), [](Operand a, Operand b) {
              return divmod(a, b).second;
          }).get<std::int32_t>() == 1);
    CHECK(binary(i32(-7), i32(2), [](Operand a, Operand b) { return a / b; }).get<std::int32_t>() ==
          -3);
    CHECK(binary(i32(-7), i32(2), [](Operand a, Operand b) { return a % b; }).get<std::int32_t>() ==
          -1);
}

TEST_CASE("complex numbers", "[dsl][functions]") {
    const auto z = [](double re, double im) { return c128(std::complex<double>(re, im)); };
    CHECK(unary(z(3, 4), norm).get<double>() == 25);
    CHECK(unary(c64(std::complex<float>(3, 4)), norm).get<float>() == 25);
    CHECK(unary(f32(3), norm).get<float>() == 9);
    CHECK(unary(z(-1, 0), arg).get<double>() == std::numbers::pi);
    CHECK(unary(z(0, 1), arg).get<double>() == std::numbers::pi / 2);
    CHECK(unary(z(-1, -0.0), arg).get<double>() == -std::numbers::pi);
    CHECK(unary(f64(-2), arg).get<double>() == std::numbers::pi);
    CHECK(unary(f64(2), arg).get<double>() == 0);
    const auto rotated =
        run({z(3, 4)}, [](const Values& x) { return x[0] * std::complex<float>(0, 1) + 1; });
    CHECK(rotated.get<std::complex<double>>() == std::complex<double>(-3, 3));
}

TEST_CASE("casts", "[dsl][functions]") {
    const auto to = [](const Scalar& from, DType t) {
        return run({from}, [t](const Values& x) { return cast(t, x[0]); }).value;
    };
    CHECK(to(i32(300), i8).get<std::int8_t>() == 44);
    CHECK(to(i32(-1), u8).get<std::uint8_t>() == 255);
    CHECK(to(f64(not_a_number), i32).get<std::int32_t>() == 0);
    CHECK(to(f64(1e30), i32).get<std::int32_t>() == std::numeric_limits<std::int32_t>::max());
    CHECK(to(f64(-2.9), i32).get<std::int32_t>() == -2);
    CHECK(to(f64(0.1), bool_).get<bool>());
    CHECK(to(c128(std::complex<double>(2, 3)), f64).get<double>() == 2);
    CHECK(run({f64(2.5)}, [](const Values& x) { return cast<float>(x[0]); }).get<float>() == 2.5f);
    CHECK(run({i8(-1)}, [](const Values& x) { return cast<bool>(x[0]); }).get<bool>());
}

TEST_CASE("while_ computes what a C++ while does", "[dsl][while]") {
    const auto collatz = [](std::int64_t start) {
        return run({i64(start)},
                   [](const Values& x) -> Value {
                       Var n = x[0], steps = 0;
                       while_(n != 1, [&] {
                           if_(n % 2 == 0, [&] { n /= 2; }).else_([&] { n = 3 * n + 1; });
                           steps += 1;
                       });
                       return steps;
                   })
            .get<std::int32_t>();
    };
    CHECK(collatz(1) == 0);
    CHECK(collatz(6) == 8);
    CHECK(collatz(27) == 111);
}

TEST_CASE("the escape time of the Mandelbrot set", "[dsl][while]") {
    const auto plain = [](std::complex<double> c, int limit) {
        std::complex<double> z = 0;
        int i = 0;
        while (i < limit && z.real() * z.real() + z.imag() * z.imag() <= 4.0) {
            z = z * z + c;
            ++i;
        }
        return i;
    };
    for (double re = -2; re < 1; re += 0.37)
        for (double im = -1; im < 1; im += 0.31) {
            const auto traced =
                run({c128(std::complex<double>(re, im)), i32(40)}, [](const Values& x) -> Value {
                    Var i = 0;
                    Var z(c128, 0);
                    while_(i < x[1] && norm(z) <= 4.0, [&] {
                        z = z * z + x[0];
                        i += 1;
                    });
                    return i;
                });
            CHECK(traced.get<std::int32_t>() == plain({re, im}, 40));
        }
}

TEST_CASE("range, break_, continue_ and return_ compute what C++ does", "[dsl][range]") {
    for (const int step : {1, 2, -1, -3})
        for (const int stop : {-5, 0, 1, 7, 40}) {
            std::int64_t expected = 0;
            for (int i = 20; step > 0 ? i < stop : i > stop; i += step) {
                if (i == 30) break;
                if (i % 3 == 0) continue;
                for (int j = 0; j < i; ++j) expected += j;
            }
            const auto sum = run({i32(stop), i64(step)}, [](const Values& x) -> Value {
                Var total(i64, 0);
                for (Index i : range(20, x[0], x[1])) {
                    if_(i == 30, [] { break_(); });
                    if_(i % 3 == 0, [] { continue_(); });
                    for (Index j : range(i)) total += j;
                }
                return total;
            });
            CHECK(sum.get<std::int64_t>() == expected);
        }
    // The store of the result is what return_ skips: the element keeps its value.
    const auto early = [](int n) {
        return run({i32(n)},
                   [](const Values& x) -> Value {
                       if_(x[0] > 3, [] { return_(); });
                       return x[0] + 1;
                   })
            .get<std::int32_t>();
    };
    CHECK(early(3) == 4);
    CHECK(early(4) == 0);
}

TEST_CASE("if_ chains choose like C++", "[dsl][if]") {
    for (int n = -2; n < 5; ++n) {
        const int expected = n < 0 ? 1 : n == 1 ? 2 : n < 3 ? 3 : 4;
        const auto chosen = run({i32(n)}, [](const Values& x) -> Value {
            Var v = 0;
            if_(x[0] < 0, [&] { v = 1; })
                .else_if([&] { return x[0] == 1; }, [&] { v = 2; })
                .else_if([&] { return x[0] < 3; }, [&] { v = 3; })
                .else_([&] { v = 4; });
            return v;
        });
        CHECK(chosen.get<std::int32_t>() == expected);
    }
}

TEST_CASE("increments give the value that C++ gives", "[dsl][var]") {
    const auto four = run({}, [](const Values&) -> Value {
        Var v = 5;
        Var trail = v++ * 1000;
        trail += ++v * 100;
        trail += v-- * 10;
        trail += --v;
        return trail;
    });
    CHECK(four.get<std::int32_t>() == 5 * 1000 + 7 * 100 + 7 * 10 + 5);
}

TEST_CASE("what a user's function takes as Operand is used as any other value", "[dsl][var]") {
    const auto twice = [](Operand x) {
        Var v(x), moved(std::move(x));
        Value copy(v + moved);
        return max(x, 2.5) + max(0, x) + copy;
    };
    const auto value = run({Scalar::of(3.0)}, [&](const Values& x) { return Value(twice(x[0])); });
    CHECK(value.get<double>() == 12);
}
