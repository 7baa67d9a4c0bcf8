// The error of complex functions, each part by itself, against MPFR, and the special values of
// C99's Annex G.
//
// KILN_SWEEP_POINTS=n tries n points a function and dtype instead of a few thousand, and prints the
// largest errors as a table; KILN_SWEEP_ONLY=name one function, KILN_SWEEP_SEED=n other points.
#include "tests/accuracy/complex_reference.h"
#include "tests/accuracy/positions.h"
#include "tests/catch.h"

#include <array>
#include <cmath>
#include <cstdlib>
#include <random>

#include <fmt/format.h>

using namespace kiln;
using namespace kiln::test;
using ir::Op;
using Z = std::complex<double>;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

constexpr Op functions[] = {Op::exp,   Op::log,  Op::sqrt,  Op::sin,   Op::cos,
                            Op::tan,   Op::sinh, Op::cosh,  Op::tanh,  Op::abs,
                            Op::asin,  Op::acos, Op::atan,  Op::asinh, Op::acosh,
                            Op::atanh, Op::log2, Op::log10, Op::log1p};
constexpr double strict_bound = 4, afn_bound = 16;

std::size_t environment_number(const char* name, std::size_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::stoull(text);
}

bool selected(Op op) {
    const char* only = std::getenv("KILN_SWEEP_ONLY");
    return only == nullptr || info(op).name == only;
}

class Points {
  public:
    Points(Op op, DType dtype)
        : op_(op),
          dtype_(dtype),
          wide_(dtype == DType::c128),
          engine_(environment_number("KILN_SWEEP_SEED", 1) * 64 + static_cast<unsigned>(op)) {}

    Elements make(std::size_t count) {
        Elements points(dtype_);
        for (const double re : corners())
            for (const double im : corners())
                for (const Z z : {Z(re, im), Z(-re, im), Z(re, -im), Z(-re, -im)}) points.add(z);
        while (points.size() < count) {
            const Z z = one();
            if (is_finite(z)) points.add(z);
        }
        return points;
    }

  private:
    static bool is_finite(Z z) { return std::isfinite(z.real()) && std::isfinite(z.imag()); }

    std::vector<double> corners() const {
        const double largest = wide_ ? 0x1.fffffffffffffp1023 : 0x1.fffffep127;
        const double smallest = wide_ ? 0x1p-1074 : 0x1p-149;
        const double normal = wide_ ? 0x1p-1022 : 0x1p-126;
        return {0,      smallest, normal, 0x1p-60, 0.5, 1,    2,       pi / 4,
                pi / 2, pi,       0x1p60, 12,      23,  90.5, largest, largest / 2};
    }

    double unit() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
    double sign() { return (engine_() & 1) != 0 ? 1 : -1; }
    int whole(int below) { return static_cast<int>(engine_() % static_cast<unsigned>(below)); }
    double round(double x) const { return wide_ ? x : static_cast<double>(static_cast<float>(x)); }
    double next(double x, double towards) const {
        return wide_ ? std::nextafter(x, towards)
                     : std::nextafterf(static_cast<float>(x), static_cast<float>(towards));
    }
    double any_bits() {
        Elements e(real_type(dtype_), 1);
        e.set_bits(0, engine_());
        return e.value(0);
    }
    double near_one(int spread) {
        return sign() * std::ldexp(0.5 + unit(), whole(2 * spread) - spread);
    }
    double small() {  // below the normal numbers, or a little above
        return sign() * std::ldexp(0.5 + unit(), (wide_ ? -1074 : -149) + whole(wide_ ? 70 : 40));
    }
    double angle() {
        const int multiple = whole(1 << (1 + whole(20)));
        double y = round(multiple * (pi / 2));
        for (int i = whole(4); i > 0; --i) y = next(y, inf);
        return sign() * (whole(2) == 0 ? y : y + unit());
    }

    /// x beyond the exponential's range, and an angle whose sine brings the product back to the
    /// edge.
    Z beyond() {
        const double limit = wide_ ? 709.78 : 88.72, span = wide_ ? 745 : 103;
        const double x = limit + (unit() - 0.1) * span;
        const double y = std::exp(limit - x + (unit() - 0.6) * 20);
        const double near = whole(3) == 0 ? angle() : 0;
        return {sign() * x, sign() * y + near};
    }
    Z on_unit_circle() {
        const double turn = std::ldexp(unit(), -whole(wide_ ? 60 : 30));
        double x = round(std::cos(turn)),
               y = round(static_cast<double>(std::sqrt((1 - static_cast<long double>(x)) *
                                                       (1 + static_cast<long double>(x)))));
        for (int i = whole(3); i > 0; --i) y = next(y, sign() * 2);
        for (int i = whole(3) - 1; i > 0; --i) x = next(x, sign() * 2);
        if (whole(2) != 0) std::swap(x, y);
        return {sign() * x, sign() * y};
    }
    Z turned(Z z) const {  // what grows is the imaginary part of sin, cos, tan
        const bool swap = op_ == Op::sin || op_ == Op::cos || op_ == Op::tan;
        return swap ? Z(z.imag(), z.real()) : z;
    }
    Z one() {
        const double range = wide_ ? 720 : 90;
        switch (engine_() % 10) {
            case 0: return {any_bits(), any_bits()};
            case 1: return {near_one(40), near_one(40)};
            case 2: return {near_one(2), near_one(2)};
            case 3: return {small(), whole(2) == 0 ? small() : near_one(2)};
            case 4: return {whole(2) == 0 ? any_bits() : near_one(3), small()};
            case 5: return turned(beyond());
            case 6: return turned({(2 * unit() - 1) * range, angle()});
            case 7: return turned({near_one(30), angle()});
            case 8: return on_unit_circle();
            default: return turned({(2 * unit() - 1) * 30, 10 * unit()});
        }
    }

    static constexpr double pi = 3.14159265358979323846;
    Op op_;
    DType dtype_;
    bool wide_;
    std::mt19937_64 engine_;
};

struct Worst {
    double error = 0;
    std::string where;
};

/// Of each vector unit's results the largest error of the real and of the imaginary part.
std::vector<std::array<Worst, 2>> worst_errors(Op op, const Elements& in,
                                               std::span<const Elements> results) {
    ComplexReference reference(op, in.dtype);
    std::vector<std::array<Worst, 2>> worst(results.size());
    for (std::size_t i = 0; i < in.size(); ++i) {
        reference.evaluate(in.complex(i));
        for (std::size_t r = 0; r < results.size(); ++r) {
            const Z result = results[r].complex(i);
            const double errors[] = {reference.re_error(result.real()),
                                     op == Op::abs ? 0 : reference.im_error(result.imag())};
            for (std::size_t part = 0; part < 2; ++part) {
                if (errors[part] <= worst[r][part].error) continue;
                const Z exact = reference.rounded();
                worst[r][part] = {errors[part],
                                  fmt::format("{} gives {}, exact ({:a}, {:a})", show(in, i),
                                              show(results[r], i), exact.real(), exact.imag())};
            }
        }
    }
    return worst;
}

void sweep(Op op, const Elements& in, bool afn, bool print) {
    std::vector<Elements> results;
    for (const VectorIsa isa : host_isas()) {
        Evaluated e = evaluate_everywhere(isa, op, std::span(&in, 1), afn);
        INFO(name(isa));
        CHECK(e.disagreement == "");
        results.push_back(std::move(e.results));
    }
    const auto worst = worst_errors(op, in, results);
    for (std::size_t r = 0; r < worst.size(); ++r)
        for (std::size_t part = 0; part < 2; ++part) {
            const std::string what =
                fmt::format("{} | {}{} {} | {}", info(op).name, name(in.dtype), afn ? " afn" : "",
                            part == 0 ? "re" : "im", name(host_isas()[r]));
            if (print)
                fmt::print("| {} | {:.3f} | {} |\n", what, worst[r][part].error,
                           worst[r][part].where);
            INFO(what << ": " << worst[r][part].where);
            CHECK(worst[r][part].error <= (afn ? afn_bound : strict_bound));
        }
}

}  // namespace

TEST_CASE("complex functions keep their error bounds, each part by itself", "[accuracy][complex]") {
    const std::size_t asked = environment_number("KILN_SWEEP_POINTS", 0);
    if (asked != 0)
        fmt::print("| function | dtype, part | unit | worst ULP | at |\n|---|---|---|---|---|\n");
    for (const Op op : functions) {
        if (!selected(op)) continue;
        for (const DType t : {DType::c64, DType::c128}) {
            const Elements points = Points(op, t).make(asked != 0 ? asked : 4000);
            for (const bool afn : {false, true}) sweep(op, points, afn, asked != 0);
        }
    }
}

TEST_CASE("arguments at which parts of complex functions were lost", "[accuracy][complex]") {
    struct Point {
        Op op;
        DType dtype;
        Z z;
    };
    static const Point points[] = {
        // One part overflows alone.
        {Op::exp, DType::c64, {117.5, -1.5e-27}},
        {Op::exp, DType::c128, {1454, 5e-324}},
        {Op::exp, DType::c128, {710, 0.7853981633974483}},
        {Op::sinh, DType::c64, {-117.5, 1.5e-27}},
        {Op::cosh, DType::c64, {117.5, -1.5e-27}},
        {Op::sin, DType::c64, {1.5e-27, 117.5}},
        {Op::cos, DType::c64, {1.5e-27, -117.5}},
        {Op::cosh, DType::c128, {1454, -5e-324}},
        // Subnormal numbers.
        {Op::sqrt, DType::c128, {5e-324, 5e-324}},
        {Op::sqrt, DType::c128, {-5e-324, 1e-320}},
        {Op::sqrt, DType::c128, {0x1p520, 0x1p-500}},
        {Op::sqrt, DType::c64, {-1e-45, 1e-45}},
        {Op::log, DType::c128, {5e-324, 5e-324}},
        {Op::log, DType::c128, {1, 0x1p-530}},
        // The modulus is near 1.
        {Op::log, DType::c128, {0.6, 0.8}},
        {Op::log, DType::c128, {-0x1.fffffffffffffp-1, 0x1p-26}},
        {Op::log, DType::c128, {0x1.6a09e667f3bcdp-1, 0x1.6a09e667f3bccp-1}},
        {Op::log, DType::c64, {0.6, 0.8}},
        {Op::log, DType::c64, {0x1.6a09e6p-1, -0x1.6a09e6p-1}},
        // The tail of tanh, and the signs of zeros.
        {Op::tanh, DType::c128, {23, 5e-324}},
        {Op::tanh, DType::c128, {-400, 1}},
        {Op::tan, DType::c128, {1.5707963267948966, 1e-300}},
        {Op::cosh, DType::c128, {0, 4}},
        {Op::sin, DType::c128, {4, -0.0}},
        // Branch points, and parts whose squares are lost or overflow.
        {Op::asin, DType::c128, {1, 5e-324}},
        {Op::acos, DType::c128, {1, 5e-324}},
        {Op::acos, DType::c128, {-1, -1e-310}},
        {Op::asin, DType::c128, {0.5, 5e-324}},
        {Op::acos, DType::c128, {1.5, 5e-324}},
        {Op::acosh, DType::c128, {0x1.0000000000001p0, 1e-200}},
        {Op::asin, DType::c128, {0x1p511, 0x1p-500}},
        {Op::asinh, DType::c128, {1.5e308, 1.7e308}},
        {Op::acos, DType::c128, {1.7e308, 5e-324}},
        {Op::atanh, DType::c128, {1, 5e-324}},
        {Op::atanh, DType::c128, {1, 0x1p-300}},
        {Op::atanh, DType::c128, {0x1.fffffffffffffp-1, 0x1p-30}},
        {Op::atanh, DType::c128, {1.7e308, 1.7e308}},
        {Op::atan, DType::c128, {0x1p-1070, 0x1p500}},
        {Op::atan, DType::c128, {0x1p-27, 1}},
        {Op::log1p, DType::c128, {-1e-20, 1e-10}},
        {Op::log1p, DType::c128, {-0.4, 0.8}},
        {Op::log1p, DType::c64, {-0.4, 0.8}},
        {Op::log1p, DType::c128, {5e-324, -5e-324}},
    };
    for (const Point& p : points) {
        Elements in(p.dtype);
        in.add(p.z);
        sweep(p.op, in, false, false);
    }
}

namespace {

/// A row of C99's Annex G. Operands: "0" either zero, "x" any finite number, "y" any finite number
/// but zero, a number with its sign, "inf", "nan"; imaginary parts are not negative, the others
/// follow from f(conj z) = conj f(z). Results: "cos" infinity with the sign of cos y, "0cos" such a
/// zero; "+-" either sign.
struct Row {
    Op op;
    const char *x, *y, *re, *im;
};
constexpr Row annex_g[] = {
    // G.6.1.1
    {Op::acos, "0", "+0", "pi/2", "-0"},
    {Op::acos, "0", "nan", "pi/2", "nan"},
    {Op::acos, "x", "inf", "pi/2", "-inf"},
    {Op::acos, "1", "nan", "nan", "nan"},
    {Op::acos, "-inf", "y", "pi", "-inf"},
    {Op::acos, "inf", "y", "+0", "-inf"},
    {Op::acos, "-inf", "inf", "3pi/4", "-inf"},
    {Op::acos, "inf", "inf", "pi/4", "-inf"},
    {Op::acos, "inf", "nan", "nan", "+-inf"},
    {Op::acos, "-inf", "nan", "nan", "+-inf"},
    {Op::acos, "nan", "y", "nan", "nan"},
    {Op::acos, "nan", "inf", "nan", "-inf"},
    {Op::acos, "nan", "nan", "nan", "nan"},
    // G.6.2.1 with defect report 471: at x = 0 the imaginary part stays
    {Op::acosh, "0", "+0", "+0", "pi/2"},
    {Op::acosh, "x", "inf", "inf", "pi/2"},
    {Op::acosh, "0", "nan", "nan", "+-pi/2"},
    {Op::acosh, "1", "nan", "nan", "nan"},
    {Op::acosh, "-inf", "y", "inf", "pi"},
    {Op::acosh, "inf", "y", "inf", "+0"},
    {Op::acosh, "-inf", "inf", "inf", "3pi/4"},
    {Op::acosh, "inf", "inf", "inf", "pi/4"},
    {Op::acosh, "inf", "nan", "inf", "nan"},
    {Op::acosh, "-inf", "nan", "inf", "nan"},
    {Op::acosh, "nan", "y", "nan", "nan"},
    {Op::acosh, "nan", "inf", "inf", "nan"},
    {Op::acosh, "nan", "nan", "nan", "nan"},
    // G.6.2.2; odd
    {Op::asinh, "+0", "+0", "+0", "+0"},
    {Op::asinh, "1", "inf", "inf", "pi/2"},
    {Op::asinh, "1", "nan", "nan", "nan"},
    {Op::asinh, "inf", "y", "inf", "+0"},
    {Op::asinh, "inf", "inf", "inf", "pi/4"},
    {Op::asinh, "inf", "nan", "inf", "nan"},
    {Op::asinh, "nan", "+0", "nan", "+0"},
    {Op::asinh, "nan", "y", "nan", "nan"},
    {Op::asinh, "nan", "inf", "+-inf", "nan"},
    {Op::asinh, "nan", "nan", "nan", "nan"},
    // G.6.2.3; odd
    {Op::atanh, "+0", "+0", "+0", "+0"},
    {Op::atanh, "+0", "nan", "+0", "nan"},
    {Op::atanh, "1", "+0", "inf", "+0"},
    {Op::atanh, "1", "inf", "+0", "pi/2"},
    {Op::atanh, "1", "nan", "nan", "nan"},
    {Op::atanh, "inf", "y", "+0", "pi/2"},
    {Op::atanh, "inf", "inf", "+0", "pi/2"},
    {Op::atanh, "inf", "nan", "+0", "nan"},
    {Op::atanh, "nan", "y", "nan", "nan"},
    {Op::atanh, "nan", "inf", "+-0", "pi/2"},
    {Op::atanh, "nan", "nan", "nan", "nan"},
    // G.6.3.1
    {Op::exp, "0", "+0", "1", "+0"},
    {Op::exp, "x", "inf", "nan", "nan"},
    {Op::exp, "x", "nan", "nan", "nan"},
    {Op::exp, "inf", "+0", "inf", "+0"},
    {Op::exp, "-inf", "+0", "0cos", "0sin"},
    {Op::exp, "-inf", "y", "0cos", "0sin"},
    {Op::exp, "inf", "y", "cos", "sin"},
    {Op::exp, "-inf", "inf", "+-0", "+-0"},
    {Op::exp, "inf", "inf", "+-inf", "nan"},
    {Op::exp, "-inf", "nan", "+-0", "+-0"},
    {Op::exp, "inf", "nan", "+-inf", "nan"},
    {Op::exp, "nan", "+0", "nan", "+0"},
    {Op::exp, "nan", "y", "nan", "nan"},
    {Op::exp, "nan", "inf", "nan", "nan"},
    {Op::exp, "nan", "nan", "nan", "nan"},
    // G.6.3.2
    {Op::log, "-0", "+0", "-inf", "pi"},
    {Op::log, "+0", "+0", "-inf", "+0"},
    {Op::log, "x", "inf", "inf", "pi/2"},
    {Op::log, "x", "nan", "nan", "nan"},
    {Op::log, "-inf", "+0", "inf", "pi"},
    {Op::log, "-inf", "y", "inf", "pi"},
    {Op::log, "inf", "+0", "inf", "+0"},
    {Op::log, "inf", "y", "inf", "+0"},
    {Op::log, "-inf", "inf", "inf", "3pi/4"},
    {Op::log, "inf", "inf", "inf", "pi/4"},
    {Op::log, "inf", "nan", "inf", "nan"},
    {Op::log, "-inf", "nan", "inf", "nan"},
    {Op::log, "nan", "+0", "nan", "nan"},
    {Op::log, "nan", "y", "nan", "nan"},
    {Op::log, "nan", "inf", "inf", "nan"},
    {Op::log, "nan", "nan", "nan", "nan"},
    // G.6.4.2
    {Op::sqrt, "0", "+0", "+0", "+0"},
    {Op::sqrt, "x", "inf", "inf", "inf"},
    {Op::sqrt, "inf", "inf", "inf", "inf"},
    {Op::sqrt, "-inf", "inf", "inf", "inf"},
    {Op::sqrt, "nan", "inf", "inf", "inf"},
    {Op::sqrt, "x", "nan", "nan", "nan"},
    {Op::sqrt, "-inf", "+0", "+0", "inf"},
    {Op::sqrt, "-inf", "y", "+0", "inf"},
    {Op::sqrt, "inf", "+0", "inf", "+0"},
    {Op::sqrt, "inf", "y", "inf", "+0"},
    {Op::sqrt, "-inf", "nan", "nan", "+-inf"},
    {Op::sqrt, "inf", "nan", "inf", "nan"},
    {Op::sqrt, "nan", "+0", "nan", "nan"},
    {Op::sqrt, "nan", "y", "nan", "nan"},
    {Op::sqrt, "nan", "nan", "nan", "nan"},
    // G.6.2.4; even
    {Op::cosh, "+0", "+0", "1", "+0"},
    {Op::cosh, "+0", "inf", "nan", "+-0"},
    {Op::cosh, "+0", "nan", "nan", "+-0"},
    {Op::cosh, "1", "inf", "nan", "nan"},
    {Op::cosh, "1", "nan", "nan", "nan"},
    {Op::cosh, "inf", "+0", "inf", "+0"},
    {Op::cosh, "inf", "y", "cos", "sin"},
    {Op::cosh, "inf", "inf", "+-inf", "nan"},
    {Op::cosh, "inf", "nan", "inf", "nan"},
    {Op::cosh, "nan", "+0", "nan", "+-0"},
    {Op::cosh, "nan", "y", "nan", "nan"},
    {Op::cosh, "nan", "inf", "nan", "nan"},
    {Op::cosh, "nan", "nan", "nan", "nan"},
    // G.6.2.5; odd
    {Op::sinh, "+0", "+0", "+0", "+0"},
    {Op::sinh, "+0", "inf", "+-0", "nan"},
    {Op::sinh, "+0", "nan", "+-0", "nan"},
    {Op::sinh, "1", "inf", "nan", "nan"},
    {Op::sinh, "1", "nan", "nan", "nan"},
    {Op::sinh, "inf", "+0", "inf", "+0"},
    {Op::sinh, "inf", "y", "cos", "sin"},
    {Op::sinh, "inf", "inf", "+-inf", "nan"},
    {Op::sinh, "inf", "nan", "+-inf", "nan"},
    {Op::sinh, "nan", "+0", "nan", "+0"},
    {Op::sinh, "nan", "y", "nan", "nan"},
    {Op::sinh, "nan", "inf", "nan", "nan"},
    {Op::sinh, "nan", "nan", "nan", "nan"},
    // G.6.2.6 with defect report 471: at x = 0 the real part stays 0; odd
    {Op::tanh, "+0", "+0", "+0", "+0"},
    {Op::tanh, "+0", "inf", "+0", "nan"},
    {Op::tanh, "+0", "nan", "+0", "nan"},
    {Op::tanh, "1", "inf", "nan", "nan"},
    {Op::tanh, "1", "nan", "nan", "nan"},
    {Op::tanh, "23.5", "inf", "nan", "nan"},
    {Op::tanh, "500", "nan", "nan", "nan"},
    {Op::tanh, "inf", "+0", "1", "+0"},
    {Op::tanh, "inf", "y", "1", "0sin2"},
    {Op::tanh, "inf", "inf", "1", "+-0"},
    {Op::tanh, "inf", "nan", "1", "+-0"},
    {Op::tanh, "nan", "+0", "nan", "+0"},
    {Op::tanh, "nan", "y", "nan", "nan"},
    {Op::tanh, "nan", "inf", "nan", "nan"},
    {Op::tanh, "nan", "nan", "nan", "nan"},
};

std::vector<double> operands(std::string_view token) {
    if (token == "0") return {0.0, -0.0};
    if (token == "+0") return {0.0};
    if (token == "-0") return {-0.0};
    if (token == "x") return {0.0, -0.0, 1, -1, 2.5, -120, 1e30, 1e-30};
    if (token == "y") return {1, 2.5, 4, 5.5, 100000, 1e-30};
    if (token == "inf") return {inf};
    if (token == "-inf") return {-inf};
    if (token == "nan") return {nan};
    return {std::stod(std::string(token))};
}

/// What a token demands of a part of a result at an imaginary part y.
bool holds(std::string_view token, double y, double result, double tolerance) {
    if (token == "nan") return std::isnan(result);
    if (token == "+-0") return result == 0;
    if (token == "+-inf") return std::isinf(result);
    if (token == "+-pi/2") return holds("pi/2", y, std::fabs(result), tolerance);
    const double sign = token.ends_with("cos")    ? std::cos(y)
                        : token.ends_with("sin")  ? std::sin(y)
                        : token.ends_with("sin2") ? std::sin(2 * y)
                                                  : 1;
    const double pi = 3.14159265358979323846;
    const double value = token == "cos" || token == "sin"   ? inf
                         : token[0] == '0' || token == "+0" ? 0
                         : token == "pi"                    ? pi
                         : token == "pi/2"                  ? pi / 2
                         : token == "pi/4"                  ? pi / 4
                         : token == "3pi/4"                 ? 3 * pi / 4
                                                            : operands(token)[0];
    const double wanted = std::copysign(value, token == "-inf" || token == "-0" ? -1 : sign);
    if (std::signbit(wanted) != std::signbit(result)) return false;
    return wanted == result || std::fabs(wanted - result) <= tolerance * std::fabs(wanted);
}

struct Demand {
    const Row* row;
    double y;                 // of the row
    double re_sign, im_sign;  // by which f's symmetries multiply the row's result
    bool turned;              // sin, cos, tan: the row is that of sinh, cosh, tanh at iz
};

/// Every row at every operand that it stands for, for op itself or through f(z) = +-i g(iz).
void add_demands(Op op, const Row& row, bool turned, Elements& points,
                 std::vector<Demand>& demands) {
    const bool odd =
        row.op == Op::sinh || row.op == Op::tanh || row.op == Op::asinh || row.op == Op::atanh;
    const bool even = row.op == Op::cosh;
    for (const double x : operands(row.x))
        for (const double y : operands(row.y))
            for (const double x_sign : {1.0, -1.0})
                for (const double y_sign : {1.0, -1.0}) {
                    if (x_sign < 0 && !odd && !even) continue;
                    // f(-x + iy) = +-f(x - iy) = +-conj f(x + iy)
                    const double re_sign = x_sign < 0 && odd ? -1 : 1;
                    const double im_sign = x_sign < 0 && even ? -y_sign : y_sign;
                    const Z w(x_sign * x, y_sign * y);
                    points.add(turned ? Z(w.imag(), -w.real()) : w);  // z = w / i
                    demands.push_back({&row, y, re_sign, im_sign, turned && op != Op::cos});
                }
}

}  // namespace

TEST_CASE("complex functions at the special values of Annex G", "[accuracy][complex]") {
    struct Source {
        Op op, rows_of;
        bool turned;
    };
    static constexpr Source sources[] = {
        {Op::exp, Op::exp, false},     {Op::log, Op::log, false},     {Op::sqrt, Op::sqrt, false},
        {Op::sinh, Op::sinh, false},   {Op::cosh, Op::cosh, false},   {Op::tanh, Op::tanh, false},
        {Op::sin, Op::sinh, true},     {Op::cos, Op::cosh, true},     {Op::tan, Op::tanh, true},
        {Op::acos, Op::acos, false},   {Op::acosh, Op::acosh, false}, {Op::asinh, Op::asinh, false},
        {Op::atanh, Op::atanh, false}, {Op::asin, Op::asinh, true},   {Op::atan, Op::atanh, true},
    };
    for (const Source& source : sources)
        for (const DType t : {DType::c64, DType::c128}) {
            Elements points(t);
            std::vector<Demand> demands;
            for (const Row& row : annex_g)
                if (row.op == source.rows_of)
                    add_demands(source.op, row, source.turned, points, demands);
            REQUIRE(!demands.empty());
            for (const VectorIsa isa : host_isas()) {
                const Evaluated e = evaluate_everywhere(isa, source.op, std::span(&points, 1));
                CHECK(e.disagreement == "");
                for (std::size_t i = 0; i < demands.size(); ++i) {
                    const Demand& d = demands[i];
                    const Z got = e.results.complex(i);
                    // Of sin z = sinh(iz) / i the real part is the imaginary one of sinh.
                    const double re = d.re_sign * (d.turned ? -got.imag() : got.real());
                    const double im = d.im_sign * (d.turned ? got.real() : got.imag());
                    INFO(info(source.op).name << " of " << show(points, i) << ", " << name(isa)
                                              << ", gives " << show(e.results, i) << ", not "
                                              << d.row->re << ", " << d.row->im);
                    const double tolerance = t == DType::c64 ? 0x1p-22 : 0x1p-51;
                    CHECK(holds(d.row->re, d.y, re, tolerance));
                    CHECK(holds(d.row->im, d.y, im, tolerance));
                }
            }
        }
}
