// Powers of complex numbers, each part by itself, against MPFR.
//
// KILN_SWEEP_POINTS=n tries n powers a dtype instead of a few thousand, and prints the largest
// errors as a table by what base and exponent are; KILN_SWEEP_SEED=n tries others.
#include "tests/accuracy/complex_reference.h"
#include "tests/accuracy/positions.h"
#include "tests/catch.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <random>

#include <fmt/format.h>

using namespace kiln;
using namespace kiln::test;
using ir::Op;
using Z = std::complex<double>;

namespace {

std::size_t environment_number(const char* name, std::size_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::stoull(text);
}

struct Power {
    Z a, b;
    std::string kind;
};

/// Random powers whose parts are in range or just beyond, of all kinds of bases and exponents.
class Powers {
  public:
    Powers(DType t, std::uint64_t seed) : wide_(t == DType::c128), engine_(seed) {}

    Power next() {
        static constexpr const char* bases[] = {"any",       "near 1",        "unit circle",
                                                "near axis", "near diagonal", "axis",
                                                "diagonal",  "whole",         "far"};
        static constexpr const char* exponents[] = {"whole",    "half",       "quarter",
                                                    "real",     "imaginary",  "complex",
                                                    "any size", "many turns", "cancelling"};
        const int base = below(9), exponent = below(9);
        const Z a = rounded(one_base(base));
        return {a, rounded(one_exponent(exponent, a)),
                fmt::format("{} ^ {}", bases[base], exponents[exponent])};
    }

  private:
    int below(int n) { return static_cast<int>(engine_() % static_cast<unsigned>(n)); }
    double unit() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
    double sign() { return (engine_() & 1) != 0 ? 1 : -1; }
    /// Of any size from 2^-spread to 2^spread.
    double number(int spread) {
        return sign() * std::ldexp(0.5 + unit(), below(2 * spread + 1) - spread);
    }
    Z rounded(Z z) const {
        return wide_ ? z : Z(static_cast<float>(z.real()), static_cast<float>(z.imag()));
    }
    Z turned(double x, double y) { return below(2) == 0 ? Z(x, y) : Z(y, x); }
    double beside(double x, int steps) {
        const double unit_of_x = std::ldexp(1.0, std::ilogb(x) - (wide_ ? 52 : 23));
        return x + (below(2 * steps + 1) - steps) * unit_of_x;
    }

    Z one_base(int kind) {
        const int far = wide_ ? 1000 : 120;
        const double x = number(20);
        switch (kind) {
            case 0: return {x, number(20)};
            case 1: return {number(1), number(1)};
            case 2: {
                const double turn = std::ldexp(unit(), -below(wide_ ? 54 : 24)), c = std::cos(turn);
                return turned(sign() * beside(c, 2),
                              sign() * beside(std::sqrt((1 - c) * (1 + c)) + 0x1p-100, 2));
            }
            case 3: return turned(x, x * std::ldexp(number(1), -below(wide_ ? 140 : 100)));
            case 4: return turned(x, sign() * beside(x, 3));
            case 5: return turned(below(3) == 0 ? std::round(8 * x) + 0.5 : x, 0.0 * sign());
            case 6: return turned(x, sign() * x);
            case 7: return {static_cast<double>(below(21) - 10), below(20) + 1.0};
            default: {
                const double size = number(far);
                return turned(size, std::ldexp(size, -below(20)));
            }
        }
    }
    Z one_exponent(int kind, Z a) {
        switch (kind) {
            case 0: return static_cast<double>(below(4) == 0 ? below(2001) - 1000 : below(21) - 10);
            case 1: return below(41) / 2.0 - 10;
            case 2: return below(81) / 4.0 - 10;
            case 3: return number(3);
            case 4: return {0, number(3)};
            case 5: return {number(2), number(2)};
            case 6: return Z(number(9), number(9)) / std::log(a);
            case 7: return Z(700 * (2 * unit() - 1), number(wide_ ? 46 : 24)) / std::log(a);
            default: return number(9) / std::log(a);  // an imaginary part of nearly 0
        }
    }

    bool wide_;
    std::mt19937_64 engine_;
};

struct Worst {
    double error[2] = {0, 0};
    std::string where[2];
};

constexpr double bound = 4;
constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double no_number = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_CASE("powers of complex numbers keep their error bound, each part by itself",
          "[accuracy][complex]") {
    const std::size_t asked = environment_number("KILN_SWEEP_POINTS", 0);
    const std::size_t seed = environment_number("KILN_SWEEP_SEED", 1);
    INFO("KILN_SWEEP_SEED=" << seed);
    for (const DType t : {DType::c64, DType::c128}) {
        Powers powers(t, seed);
        std::vector<Elements> in(2, Elements(t));
        std::vector<std::string> kinds;
        while (in[0].size() < (asked != 0 ? asked : 6000)) {
            const Power p = powers.next();
            if (!std::isfinite(std::abs(p.b)) || p.a == 0.0) continue;
            in[0].add(p.a);
            in[1].add(p.b);
            kinds.push_back(p.kind);
        }
        std::vector<Elements> results;
        for (const VectorIsa isa : host_isas()) {
            Evaluated e = evaluate_everywhere(isa, Op::pow, in);
            CHECK(e.disagreement == "");
            results.push_back(std::move(e.results));
        }
        ComplexReference reference(Op::pow, t);
        std::map<std::string, Worst> worst;
        for (std::size_t i = 0; i < in[0].size(); ++i) {
            reference.evaluate(in[0].complex(i), in[1].complex(i));
            // In units of the bound: where turns cancel, a part is as accurate as these are.
            const double lost = reference.turns() * (t == DType::c128 ? 0x1p-102 : 0x1p-50);
            const auto allowed = [&](double part) {
                const double unit = std::ldexp(std::fabs(part), t == DType::c128 ? -52 : -23);
                return std::max(1.0, lost / unit / bound);
            };
            for (std::size_t r = 0; r < results.size(); ++r) {
                const Z got = results[r].complex(i), exact = reference.rounded();
                const double errors[] = {reference.re_error(got.real()) / allowed(exact.real()),
                                         reference.im_error(got.imag()) / allowed(exact.imag())};
                Worst& w = worst[kinds[i]];
                for (std::size_t part = 0; part < 2; ++part) {
                    if (errors[part] <= w.error[part]) continue;
                    w.error[part] = errors[part];
                    w.where[part] =
                        fmt::format("{}: {} to {} gives {}, exact ({:a}, {:a})",
                                    name(host_isas()[r]), show(in[0], i), show(in[1], i),
                                    show(results[r], i), exact.real(), exact.imag());
                }
            }
        }
        for (const auto& [kind, w] : worst)
            for (std::size_t part = 0; part < 2; ++part) {
                if (asked != 0)
                    fmt::print("| {} | {} {} | {:.3f} | {} |\n", kind, name(t),
                               part == 0 ? "re" : "im", w.error[part], w.where[part]);
                INFO(kind << ", " << name(t) << ": " << w.where[part]);
                CHECK(w.error[part] <= bound);
            }
    }
}

TEST_CASE("small parts of powers of complex numbers", "[accuracy][complex]") {
    // (x + iy)^b = x^b + i b x^(b-1) y for y that is nothing beside x, of which x^b is exact here.
    struct Row {
        double x, b, power;
    };
    static constexpr Row rows[] = {
        {4, 1.5, 8},  {4, 2.5, 32}, {4, -0.5, 0.5},         {0.25, 4, 0x1p-8},
        {9, 1.5, 27}, {2, 5, 32},   {0x1p-100, 9, 0x1p-900}};
    for (const int exponent : {-60, -300, -600, -900}) {
        std::vector<Elements> in(2, Elements(DType::c128));
        for (const Row& row : rows) {
            in[0].add({row.x, 1.25 * std::ldexp(row.x, exponent)});
            in[1].add(row.b);
        }
        for (const VectorIsa isa : host_isas()) {
            const Evaluated e = evaluate_everywhere(isa, Op::pow, in);
            CHECK(e.disagreement == "");
            for (std::size_t i = 0; i < in[0].size(); ++i) {
                const Row& row = rows[i];
                const Z got = e.results.complex(i);
                INFO(show(in[0], i) << " to " << row.b << " gives " << show(e.results, i));
                const auto close = [](double part, double want) {
                    return error_in_ulps(part, Exact(want).get(), DType::f64) <= bound;
                };
                CHECK(close(got.real(), row.power));
                CHECK(close(got.imag(), std::ldexp(1.25 * row.b * row.power, exponent)));
            }
        }
    }
}

TEST_CASE("powers of complex numbers that are exact", "[accuracy][complex]") {
    struct Row {
        Z a, b, power;
    };
    static const Row rows[] = {
        {{1, 2}, 3.0, {-11, -2}},
        {{1, 2}, -1.0, {0.2, -0.4}},
        {{1, 2}, 2.0, {-3, 4}},
        {{1, 2}, 1.0, {1, 2}},
        {{1, 2}, 0.0, {1, 0}},
        {0.0, 0.0, {1, 0}},
        {0.0, {2, 1}, {0, 0}},
        {0.0, {0, 1}, {no_number, no_number}},
        // What vanishes is 0, at axes and diagonals.
        {{-1, 0}, 0.5, {0, 1}},
        {{-1, -0.0}, 0.5, {0, -1}},
        {{0, 1}, 1e15 + 2, {-1, 0}},
        {{0, -1}, 7.0, {0, 1}},
        {{-1, 0}, 1e300, {1, 0}},
        {{-1, 0}, {0, 0}, {1, 0}},
        {{1, 0}, {0, 1e300}, {1, 0}},
        {{0.5, 0}, {inf, 0}, {0, 0}},
        {{inf, 0}, -2.5, {0, 0}},
    };
    for (const DType t : {DType::c64, DType::c128}) {
        std::vector<Elements> in(2, Elements(t));
        for (const Row& row : rows) in[0].add(row.a), in[1].add(row.b);
        for (const VectorIsa isa : host_isas()) {
            const Evaluated e = evaluate_everywhere(isa, Op::pow, in);
            CHECK(e.disagreement == "");
            for (std::size_t i = 0; i < in[0].size(); ++i) {
                const Z got = e.results.complex(i), want = rows[i].power;
                INFO(show(in[0], i) << " to " << show(in[1], i) << " gives " << show(e.results, i));
                if (t == DType::c64 && std::abs(rows[i].b) > 1e6) continue;  // not an f32
                const auto same = [&](double part, double wanted) {
                    const double rounded =
                        t == DType::c64 ? static_cast<double>(static_cast<float>(wanted)) : wanted;
                    return part == rounded || (std::isnan(part) && std::isnan(wanted));
                };
                CHECK(same(got.real(), want.real()));
                CHECK(same(got.imag(), want.imag()));
            }
        }
    }
}
