// The error of every elementary function against MPFR, and C99's special values.
//
// KILN_SWEEP_POINTS=n tries n points a function and dtype instead of a few thousand, and prints the
// largest errors as a table. KILN_SWEEP_EXHAUSTIVE=f32 tries all 2^32 arguments of functions of one
// variable (hours), a function at a time with KILN_SWEEP_ONLY=name.
#include "tests/accuracy/points.h"
#include "tests/accuracy/reference.h"
#include "tests/catch.h"

#include <bit>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

using namespace kiln;
using namespace kiln::test;
using ir::Op;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double pi = 3.14159265358979323846;

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
        {Op::sin, DType::f64, 0x427065c829d68730, 0},                     // 8556 ULP
        {Op::cos, DType::f64, 0x426065c829d68730, 0},                     // 8556 ULP
        {Op::tan, DType::f64, 0x426065c829d68730, 0},                     // 14625 ULP
        {Op::exp10, DType::f64, 0x403c2be6d12a7004, 0},                   // without FMA 1.06 ULP
        {Op::exp10, DType::f64, 0xc0626b8f8667d89b, 0},                   // without FMA 1.004 ULP
        {Op::tgamma, DType::f64, 0xc0573be58a384037, 0},                  // 1.08 ULP
        {Op::atan2, DType::f64, 0xbf11c7c922e54f48, 0x3f11d5313796bbf3},  // without FMA 1.004 ULP
        {Op::pow, DType::f64, 0x3fe7e7808fb010cd, 0x40a2f4a5da280f86},    // without FMA 1.36 ULP
    };
    for (const Point& p : points) {
        std::vector<Elements> in(info(p.op).arity, Elements(p.dtype));
        in[0].add_bits(p.x);
        if (in.size() > 1) in[1].add_bits(p.y);
        sweep(p.op, p.dtype, in, false, false);
    }
}

TEST_CASE("arguments with large errors stay within the bounds, in both tiers",
          "[accuracy][sweep]") {
    struct Point {
        Op op;
        DType dtype;
        double x, y;
    };
    static constexpr Point points[] = {
        {Op::sin, DType::f32, 0x1.9a0b68p+113, 0},
        {Op::cos, DType::f32, 0x1.070322p+31, 0},
        {Op::tan, DType::f32, 0x1.ea0b06p+75, 0},
        {Op::sin, DType::f64, -0x1.38b5775e57d92p+37, 0},
        {Op::cos, DType::f64, -0x1.bd1cc470dc10cp+30, 0},
        {Op::tan, DType::f64, 0x1.5996cb81f7946p+5, 0},
        {Op::atan2, DType::f64, -0x1.871cc84e67cd9p-128, 0x1.8b0d54f7c2d5p-127},
        {Op::atan2, DType::f32, -0x1.d0ec26p+0, 0x1.e244f2p+1},
        {Op::atan2, DType::f32, -0x1.e58e0ap-2, 0x1.eeb99ep-1},
        {Op::tan, DType::f64, 0x1.23f8c5cf60d97p+10, 0},
        {Op::asin, DType::f64, 0x1.0000439fe63fcp-1, 0},
        {Op::tgamma, DType::f64, 0x1.78418a3089cdbp+6, 0},
        {Op::hypot, DType::f64, -0x0.ffff9345e8778p-1022, -0x0.00012ddd7388bp-1022},
    };
    for (const Point& p : points) {
        std::vector<Elements> in(info(p.op).arity, Elements(p.dtype));
        in[0].add_bits(bits_of(p.x, p.dtype));
        if (in.size() > 1) in[1].add_bits(bits_of(p.y, p.dtype));
        for (const bool afn : {false, true}) sweep(p.op, p.dtype, in, afn, false);
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
