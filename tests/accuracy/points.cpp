#include "tests/accuracy/points.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace kiln::test {

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

}  // namespace

double to_dtype(double x, DType t) { return Scalar::of(x).cast(t).cast(DType::f64).get<double>(); }
std::uint64_t bits_of(double x, DType t) {
    const Scalar s = Scalar::of(x).cast(t);
    std::uint64_t bits = 0;
    std::memcpy(&bits, s.bytes.data(), size_of(t));
    return bits;
}

Points::Points(Op op, DType t, std::uint64_t seed)
    : op_(op),
      dtype_(t),
      engine_(seed * 4096 + static_cast<unsigned>(op) * 31U + static_cast<unsigned>(t)) {
    for (const Domain& d : domains)
        if (d.op == op) {
            low_ = t == DType::f64 ? d.low : d.low32;
            high_ = t == DType::f64 ? d.high : d.high32;
        }
}

std::vector<Elements> Points::make(std::size_t count) {
    std::vector<Elements> in(info(op_).arity, Elements(dtype_));
    const std::vector<double> special = specials();
    if (info(op_).arity == 1) {
        for (const double x : special) in[0].add_bits(bits_of(x, dtype_));
    } else {
        for (const double x : special)
            for (const double y : special) add(in, {x, y});
    }
    while (in[0].size() < count) add(in, any());
    return in;
}

std::array<double, 2> Points::any() {
    const double x = one();
    return {x, info(op_).arity == 1 ? 0 : partner(x)};
}

void Points::add(std::vector<Elements>& in, std::array<double, 2> point) const {
    for (std::size_t k = 0; k < in.size(); ++k) in[k].add_bits(bits_of(point[k], dtype_));
}

std::vector<double> Points::specials() const {
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

double Points::neighbour(double x, double towards) const {
    if (dtype_ == DType::f64) return std::nextafter(x, towards);
    const double rounded = to_dtype(x, dtype_);
    if (dtype_ == DType::f32)
        return std::nextafterf(static_cast<float>(rounded), static_cast<float>(towards));
    return to_dtype(rounded * (towards > 0 ? 1.01 : 0.99), dtype_);
}

double Points::one() {
    switch (engine_() % 6) {
        case 0: {  // any bits
            Elements e(dtype_, 1);
            e.set_bits(0, engine_());
            return e.value(0);
        }
        case 1: {  // any magnitude around 1
            const double x = std::ldexp(0.5 + unit(), static_cast<int>(engine_() % 80) - 40);
            return (engine_() & 1) != 0 ? x : -x;
        }
        case 2:
            if (op_ == Op::sin || op_ == Op::cos || op_ == Op::tan) return near_a_quarter_turn();
            [[fallthrough]];
        case 3: {  // near a threshold
            const double c =
                critical[engine_() % std::size(critical)] * ((engine_() & 1) != 0 ? 1 : -1);
            return c * (1 + (unit() - 0.5) * std::ldexp(1.0, -static_cast<int>(engine_() % 40)));
        }
        default: return low_ + unit() * (high_ - low_);
    }
}

/// The number next to a multiple of pi/2 of any magnitude, or one near it.
double Points::near_a_quarter_turn() {
    // To 2^-10 of the unit in a double's last place.
    const int bits = static_cast<int>(engine_() % 62);
    const auto multiple = static_cast<long double>(engine_() >> (63 - bits));
    const long double turn = multiple * 1.57079632679489661923132169163975144L;
    const double off = std::ldexp(unit() - 0.5, -static_cast<int>(engine_() % 60));
    const double x = to_dtype(static_cast<double>(turn + (engine_() % 2 == 0 ? off : 0)), dtype_);
    return (engine_() & 1) != 0 ? x : -x;
}

/// A second operand that makes an interesting pair.
double Points::partner(double x) {
    if (engine_() % 4 == 0) return one();
    if (op_ != Op::pow) return x * std::ldexp(unit() - 0.5, static_cast<int>(engine_() % 60) - 30);
    const double a = std::fabs(to_dtype(x, dtype_));
    if (a == 0 || a == 1 || !std::isfinite(a)) return std::floor(20 * unit()) - 10;
    const double range = dtype_ == DType::f64 ? 1080 : dtype_ == DType::f16 ? 20 : 150;
    const double y = (2 * unit() - 1) * range / std::log2(a);  // a result of any magnitude
    return x < 0 ? std::rint(y) : y;
}

}  // namespace kiln::test
