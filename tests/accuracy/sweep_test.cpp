// The error of every elementary function against MPFR, and C99's special values.
//
// KILN_SWEEP_POINTS=n tries n points a function and dtype instead of a few thousand, and prints the
// largest errors as a table. KILN_SWEEP_EXHAUSTIVE=f32 tries all 2^32 arguments of functions of one
// variable (hours), a function at a time with KILN_SWEEP_ONLY=name.
#include "tests/accuracy/positions.h"
#include "tests/accuracy/reference.h"
#include "tests/catch.h"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <random>

#include <fmt/format.h>

using namespace kiln;
using namespace kiln::test;
using ir::Op;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double pi = 3.14159265358979323846;

/// Where most of a function's results are neither trivial nor out of range, in f64 and f32.
struct Domain {
    Op op;
    double low, high, low32, high32;
};
constexpr Domain domains[] = {
    {Op::sin, -100, 100, -100, 100},
    {Op::cos, -100, 100, -100, 100},
    {Op::tan, -100, 100, -100, 100},
    {Op::asin, -1, 1, -1, 1},
    {Op::acos, -1, 1, -1, 1},
    {Op::atan, -10, 10, -10, 10},
    {Op::atan2, -10, 10, -10, 10},
    {Op::sinh, -711, 711, -90, 90},
    {Op::cosh, -711, 711, -90, 90},
    {Op::tanh, -20, 20, -10, 10},
    {Op::asinh, -10, 10, -10, 10},
    {Op::acosh, 1, 20, 1, 20},
    {Op::atanh, -1, 1, -1, 1},
    {Op::exp, -746, 710, -104, 89},
    {Op::exp2, -1076, 1025, -150, 129},
    {Op::exp10, -324, 309, -46, 39},
    {Op::expm1, -40, 710, -20, 89},
    {Op::log, 0, 4, 0, 4},
    {Op::log2, 0, 4, 0, 4},
    {Op::log10, 0, 4, 0, 4},
    {Op::log1p, -1, 2, -1, 2},
    {Op::cbrt, -10, 10, -10, 10},
    {Op::hypot, -10, 10, -10, 10},
    {Op::pow, 0, 20, 0, 20},
    {Op::erf, -6.5, 6.5, -4.5, 4.5},
    {Op::erfc, -6.5, 27.5, -4.5, 10.5},
    {Op::tgamma, -185, 172, -43, 36},
    {Op::lgamma, -60, 60, -60, 60},
};

/// Where functions have zeros, poles, branch points and thresholds.
constexpr double critical[] = {0,
                               1,
                               2,
                               0.5,
                               3,
                               10,
                               0x1p-1074,
                               0x1p-1022,
                               0x1p-149,
                               0x1p-126,
                               0x1p-24,
                               0x1p-53,
                               0x1p-12,
                               0x1p-27,
                               0x1.fffffffffffffp1023,
                               0x1.fffffep127,
                               0x1p1023,
                               0x1p512,
                               0x1p64,
                               0x1p63,
                               0x1p127,
                               1e300,
                               1e22,
                               65504,
                               0x1p-14,
                               0x1p-24,
                               pi / 4,
                               pi / 2,
                               pi,
                               3 * pi / 2,
                               2 * pi,
                               1e5 * pi,
                               15,
                               125,
                               39000,
                               1e14,  // reductions of sin, cos, tan
                               709.782712893384,
                               709.0,
                               710.4758600739439,
                               745.1332191019411,
                               708.3964185322641,
                               88.72283905206835,
                               89.41598629223294,
                               103.97207708399179,
                               87.33654475055310,  // exp, expm1, sinh, cosh
                               1024,
                               1075,
                               1022,
                               128,
                               150,
                               126,
                               308.2547155599167,
                               323.6,
                               38.53183944498959,
                               45.1,  // exp2, exp10
                               1.3407807929942596e154,
                               1.8446743e19,
                               19.06,
                               9.01,  // asinh, acosh, tanh
                               5.92,
                               3.92,
                               26.54,
                               27.22,
                               9.19,
                               10.05,  // erf, erfc
                               171.62437695630271,
                               35.04010009765625,
                               2.5563481638716906e305,
                               4.085003421902e36,
                               2e305,
                               1.4616321449683622,
                               2.4570247382208006,
                               2.7476826467274127,
                               3.1435808883499799,
                               3.9552942848585979,
                               4.0391395350333577,
                               0.7071067811865476,
                               1.4142135623730951};

double to_dtype(double x, DType t) { return Scalar::of(x).cast(t).cast(DType::f64).get<double>(); }
std::uint64_t bits_of(double x, DType t) {
    const Scalar s = Scalar::of(x).cast(t);
    std::uint64_t bits = 0;
    std::memcpy(&bits, s.bytes.data(), size_of(t));
    return bits;
}

class Points {
  public:
    Points(Op op, DType t)
        : op_(op), dtype_(t), engine_(static_cast<unsigned>(op) * 31U + static_cast<unsigned>(t)) {
        for (const Domain& d : domains)
            if (d.op == op) domain_ = d;
    }

    std::vector<Elements> make(std::size_t count) {
        std::vector<Elements> in(info(op_).arity, Elements(dtype_));
        const std::vector<double> special = specials();
        if (info(op_).arity == 1) {
            for (const double x : special) in[0].add_bits(bits_of(x, dtype_));
            while (in[0].size() < count) in[0].add_bits(bits_of(one(), dtype_));
            return in;
        }
        for (const double x : special)
            for (const double y : special) add(in, x, y);
        while (in[0].size() < count) {
            const double x = one();
            add(in, x, partner(x));
        }
        return in;
    }

  private:
    static void add(std::vector<Elements>& in, double x, double y) {
        in[0].add_bits(bits_of(x, in[0].dtype));
        in[1].add_bits(bits_of(y, in[1].dtype));
    }

    std::vector<double> specials() const {
        std::vector<double> all{not_a_number, inf, -inf};
        const std::size_t few = 14;  // pairs of them stay few
        for (const double c : critical) {
            for (const double x : {c, -c}) {
                all.push_back(x);
                if (info(op_).arity == 1)
                    for (const double towards : {inf, -inf}) all.push_back(neighbour(x, towards));
            }
            if (info(op_).arity == 2 && all.size() > 2 * few) break;
        }
        if (info(op_).arity == 2)
            for (const double x :
                 {-1.0, 1.5, -0.5, 7.0, 8.0, -3.0, 0x1.fffffffffffffp1023, -0x1p63, 0x1.fffffep127})
                all.push_back(x);
        return all;
    }

    double neighbour(double x, double towards) const {
        if (dtype_ == DType::f64) return std::nextafter(x, towards);
        const double rounded = to_dtype(x, dtype_);
        if (dtype_ == DType::f32)
            return std::nextafterf(static_cast<float>(rounded), static_cast<float>(towards));
        return to_dtype(rounded * (towards > 0 ? 1.01 : 0.99), dtype_);
    }

    double unit() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }

    double one() {
        const bool wide = dtype_ == DType::f64;
        switch (engine_() % 5) {
            case 0: {  // any bits
                Elements e(dtype_, 1);
                e.set_bits(0, engine_());
                return e.value(0);
            }
            case 1: {  // any magnitude around 1
                const double x = std::ldexp(0.5 + unit(), static_cast<int>(engine_() % 80) - 40);
                return (engine_() & 1) != 0 ? x : -x;
            }
            case 2: {  // near a threshold
                const double c =
                    critical[engine_() % std::size(critical)] * ((engine_() & 1) != 0 ? 1 : -1);
                return c *
                       (1 + (unit() - 0.5) * std::ldexp(1.0, -static_cast<int>(engine_() % 40)));
            }
            default: {
                const double low = wide ? domain_.low : domain_.low32,
                             high = wide ? domain_.high : domain_.high32;
                return low + unit() * (high - low);
            }
        }
    }

    /// A second operand that makes an interesting pair.
    double partner(double x) {
        if (engine_() % 4 == 0) return one();
        if (op_ != Op::pow)
            return x * std::ldexp(unit() - 0.5, static_cast<int>(engine_() % 60) - 30);
        const double a = std::fabs(to_dtype(x, dtype_));
        if (a == 0 || a == 1 || !std::isfinite(a)) return std::floor(20 * unit()) - 10;
        const double range = dtype_ == DType::f64 ? 1080 : dtype_ == DType::f16 ? 20 : 150;
        const double y = (2 * unit() - 1) * range / std::log2(a);  // a result of any magnitude
        return x < 0 ? std::rint(y) : y;
    }

    Op op_;
    DType dtype_;
    std::mt19937_64 engine_;
    Domain domain_{};
};

struct Worst {
    double error = 0;
    std::string where;
};

/// The largest error of each vector unit's results.
std::vector<Worst> worst_errors(Op op, std::span<const Elements> in,
                                std::span<const Elements> results) {
    const DType t = in[0].dtype;
    Reference reference(op, t);
    std::vector<Worst> worst(results.size());
    std::vector<double> operands(in.size());
    for (std::size_t i = 0; i < in[0].size(); ++i) {
        for (std::size_t k = 0; k < in.size(); ++k) operands[k] = in[k].value(i);
        reference.evaluate(operands);
        for (std::size_t r = 0; r < results.size(); ++r) {
            const double error = reference.error(results[r].value(i));
            if (error <= worst[r].error) continue;
            worst[r].error = error;
            worst[r].where.clear();
            for (const Elements& e : in)
                worst[r].where += (worst[r].where.empty() ? "" : ", ") + show(e, i);
            worst[r].where +=
                fmt::format(" gives {}, exact {:.17g}", show(results[r], i), reference.rounded());
        }
    }
    return worst;
}

std::size_t environment_number(const char* name) {
    const char* text = std::getenv(name);
    return text == nullptr ? 0 : std::stoull(text);
}

bool selected(Op op) {
    const char* only = std::getenv("KILN_SWEEP_ONLY");
    return only == nullptr || info(op).name == only;
}

/// Bits and values of all positions, and the worst error of each vector unit, in the strict or the
/// fast tier.
void sweep(Op op, DType t, std::span<const Elements> in, bool afn, bool print) {
    const double bound = afn ? info(op).fast_ulp : info(op).ulp;
    std::vector<Elements> results;
    for (const VectorIsa isa : host_isas()) {
        Evaluated e = evaluate_everywhere(isa, op, in, afn);
        INFO(name(isa));
        CHECK(e.disagreement == "");
        results.push_back(std::move(e.results));
    }
    const auto worst = worst_errors(op, in, results);
    for (std::size_t r = 0; r < worst.size(); ++r) {
        if (print)
            fmt::print("| {} | {}{} | {} | {} | {:.4f} | {} |\n", info(op).name, name(t),
                       afn ? " afn" : "", name(host_isas()[r]), bound, worst[r].error,
                       worst[r].where);
        INFO(info(op).name << " of " << name(t) << (afn ? " afn, " : ", ") << name(host_isas()[r])
                           << ": " << worst[r].where);
        CHECK(worst[r].error <= bound);
    }
}

}  // namespace

TEST_CASE("elementary functions keep their error bounds", "[accuracy][sweep]") {
    const std::size_t asked = environment_number("KILN_SWEEP_POINTS");
    if (asked != 0)
        fmt::print(
            "| function | dtype | unit | bound | worst ULP | at |\n|---|---|---|---|---|---|\n");
    for (std::size_t i = 0; i < ir::op_count; ++i) {
        const auto op = static_cast<Op>(i);
        if (!ir::is_elementary(op) || !selected(op)) continue;
        for (const DType t : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
            const bool half = t == DType::f16 || t == DType::bf16;
            const std::size_t count = asked != 0 ? asked : half ? 600 : 4000;
            const auto points = Points(op, t).make(count);
            sweep(op, t, points, false, asked != 0);
            if (!half) sweep(op, t, points, true, asked != 0);
        }
    }
}

TEST_CASE("arguments for which SLEEF alone leaves its bound", "[accuracy][sweep]") {
    struct Point {
        Op op;
        DType dtype;
        std::uint64_t x, y;
    };
    static constexpr Point points[] = {
        {Op::hypot, DType::f64, 0x800ffffffd813b28, 0x8000da5a638f0f73},  // without FMA 1.08 ULP
        {Op::atan2, DType::f64, 0x001384ef5703c834, 0x400fa45c96c86d98},  // without FMA 1.33 ULP
        {Op::atan2, DType::f32, 0x39b45080, 0x7b40ee0d},                  // without FMA 1.25 ULP
        {Op::erf, DType::f32, 0x807fd44a, 0},                             // without FMA 1.95 ULP
        {Op::erfc, DType::f32, 0x4116ccee, 0},                            // without FMA 1.85 ULP
        {Op::tan, DType::f64, 0x8000000000000001, 0},                     // +0
        {Op::asinh, DType::f32, 0x80000001, 0},                           // +0
        {Op::log1p, DType::f64, 0x8000000000000001, 0},                   // +0
        {Op::sinh, DType::f32, 0x42b17218, 0},                            // infinite
        {Op::cosh, DType::f64, 0x40862e42fefa39f0, 0},                    // infinite
        {Op::acosh, DType::f64, 0x7fefffffffffffff, 0},                   // infinite
        {Op::exp, DType::f64, 0x40862e42fe10caed, 0},                     // infinite
        {Op::pow, DType::f64, 0xdfeffffe6f8de342, 0x4000000000000000},    // infinite
        {Op::tgamma, DType::f64, 0x406573fae561f647, 0},                  // infinite
        {Op::tgamma, DType::f32, 0xc77fe001, 0},                          // +0
        {Op::lgamma, DType::f32, 0xc01d3fe5, 0},                          // 95541 ULP
        {Op::lgamma, DType::f64, 0xc003a7fc9600f86c, 0},                  // 8e13 ULP
    };
    for (const Point& p : points) {
        std::vector<Elements> in(info(p.op).arity, Elements(p.dtype));
        in[0].add_bits(p.x);
        if (in.size() > 1) in[1].add_bits(p.y);
        sweep(p.op, p.dtype, in, false, false);
    }
}

TEST_CASE("C99's special values", "[accuracy][sweep]") {
    struct Fact {
        Op op;
        double a, b, result;
    };
    static constexpr Fact facts[] = {
        {Op::pow, 1, inf, 1},
        {Op::pow, 1, -inf, 1},
        {Op::pow, -2, inf, inf},
        {Op::pow, -2, -inf, 0},
        {Op::pow, 0, 0, 1},
        {Op::pow, not_a_number, 0, 1},
        {Op::pow, 1, not_a_number, 1},
        {Op::pow, -1, inf, 1},
        {Op::pow, -8, 1.0 / 3, not_a_number},
        {Op::pow, -0.0, -3, -inf},
        {Op::pow, -0.0, 3, -0.0},
        {Op::pow, 0, -2, inf},
        {Op::pow, -inf, 3, -inf},
        {Op::pow, -inf, -3, -0.0},
        {Op::pow, 0.5, inf, 0},
        {Op::pow, 0.5, -inf, inf},
        {Op::pow, not_a_number, 1, not_a_number},
        {Op::hypot, not_a_number, inf, inf},
        {Op::hypot, -inf, not_a_number, inf},
        {Op::hypot, not_a_number, 1, not_a_number},
        {Op::hypot, -3, 4, 5},
        {Op::atan2, 0, -0.0, pi},
        {Op::atan2, -0.0, -0.0, -pi},
        {Op::atan2, 0, 0, 0},
        {Op::atan2, -0.0, 0, -0.0},
        {Op::atan2, 1, -inf, pi},
        {Op::atan2, -1, inf, -0.0},
        {Op::atan2, inf, inf, pi / 4},
        {Op::atan2, inf, -inf, 3 * pi / 4},
        {Op::exp, -inf, 0, 0},
        {Op::log, 0, 0, -inf},
        {Op::log, -1, 0, not_a_number},
        {Op::cbrt, -8, 0, -2},
        {Op::tgamma, 0, 0, inf},
        {Op::tgamma, -0.0, 0, -inf},
        {Op::tgamma, -3, 0, not_a_number},
        {Op::tgamma, -inf, 0, not_a_number},
        {Op::lgamma, -3, 0, inf},
        {Op::lgamma, -inf, 0, inf},
        {Op::lgamma, 2, 0, 0},
        {Op::erfc, -inf, 0, 2},
        {Op::atanh, -1, 0, -inf},
        {Op::acosh, 0.5, 0, not_a_number},
        {Op::log1p, -1, 0, -inf},
    };
    for (const Fact& f : facts)
        for (const DType t : {DType::f32, DType::f64})
            for (const VectorIsa isa : host_isas()) {
                std::vector<Elements> in(info(f.op).arity, Elements(t));
                in[0].add_bits(bits_of(f.a, t));
                if (in.size() > 1) in[1].add_bits(bits_of(f.b, t));
                const Evaluated e = evaluate_everywhere(isa, f.op, in);
                INFO(info(f.op).name << "(" << f.a << ", " << f.b << ") of " << name(t) << ", "
                                     << name(isa) << " gives " << show(e.results, 0));
                CHECK(e.disagreement == "");
                if (std::isnan(f.result)) {
                    CHECK(e.results.is_nan(0));
                } else if (f.op == Op::atan2 &&
                           f.result != 0) {  // within the bound of multiples of pi
                    const double wanted = to_dtype(f.result, t);
                    CHECK(std::fabs(e.results.value(0) - wanted) <=
                          std::fabs(wanted) * (t == DType::f32 ? 0x1p-23 : 0x1p-52));
                } else {
                    CHECK(e.results.bits(0) == bits_of(f.result, t));
                }
            }
}

TEST_CASE("all f32 arguments", "[.][accuracy][exhaustive]") {
    if (std::getenv("KILN_SWEEP_EXHAUSTIVE") == nullptr) {
        WARN("skipped: set KILN_SWEEP_EXHAUSTIVE=1 to try all 2^32 arguments");
        return;
    }
    for (std::size_t i = 0; i < ir::op_count; ++i) {
        const auto op = static_cast<Op>(i);
        if (!ir::is_elementary(op) || info(op).arity != 1 || !selected(op)) continue;
        for (std::uint64_t from = 0; from < (std::uint64_t(1) << 32); from += 1U << 20) {
            std::vector<Elements> in(1, Elements(DType::f32, 1U << 20));
            for (std::size_t k = 0; k < in[0].size(); ++k) in[0].set_bits(k, from + k);
            sweep(op, DType::f32, in, false, true);
        }
    }
}
