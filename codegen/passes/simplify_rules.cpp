// The rules of the simplify pass, one row each: operation, dtypes of its operands for which the
// rule is legal, fast flags that it needs, and the rule itself: its result, or none where it does
// not match. The first that matches is taken, and its result is simplified in turn.
#include "codegen/passes/simplify.h"

#include <bit>
#include <cmath>
#include <limits>

namespace kiln::codegen {
namespace {

using namespace ir;

// Dtypes for which a rule is legal.
constexpr unsigned booleans = 1, signed_ints = 2, unsigned_ints = 4, floats = 8;
constexpr unsigned ints = signed_ints | unsigned_ints, numbers = ints | floats,
                   all = numbers | booleans;

unsigned domain_of(DType t) {
    switch (kind_of(t)) {
        case Kind::boolean: return booleans;
        case Kind::signed_integer: return signed_ints;
        case Kind::unsigned_integer: return unsigned_ints;
        case Kind::real: return floats;
        case Kind::complex: return 0;
    }
    __builtin_unreachable();
}

constexpr std::uint8_t strict = 0;
constexpr std::uint8_t nsz = fast::nsz, nnan = fast::nnan, ninf = fast::ninf, arcp = fast::arcp;

struct Rule {
    Op op;
    unsigned domain;
    std::uint8_t needs;
    Id (*apply)(const Match&);
};

Id first(const Match& m) { return m[0]; }

/// The comparison that holds exactly when `op` does not.
Op negated(Op op) {
    switch (op) {
        case Op::eq: return Op::ne;
        case Op::ne: return Op::eq;
        case Op::lt: return Op::ge;
        case Op::le: return Op::gt;
        case Op::gt: return Op::le;
        case Op::ge: return Op::lt;
        default: return op;
    }
}

/// !(a == b) -> a != b, of floats too; !(a < b) -> a >= b not for floats: NaN fails both.
Id negated_comparison(const Match& m) {
    if (m.node(0).kind != NodeKind::op) return none;
    const Op comparison = m.node(0).op, other = negated(comparison);
    if (other == comparison) return none;
    const Id a = m.of(0, comparison, 0), b = m.of(0, comparison, 1);
    const bool unordered =
        is_real(m.kernel().node(a).dtype) && comparison != Op::eq && comparison != Op::ne;
    return unordered ? none : m.make(other, {a, b});
}

/// floor(floor(x)) -> floor(x) and the like: the inner result has no fraction.
Id already_rounded(const Match& m) {
    for (const Op inner : {Op::floor, Op::ceil, Op::trunc, Op::rint})
        if (m.of(0, inner) != none) return m[0];
    return none;
}

#define KILN_WHEN(condition, form) [](const Match& m) -> Id { return (condition) ? (form) : none; }

constexpr Rule rules[] = {
    // --- sums: -0.0 is the neutral element of floats, +0.0 changes the sign of -0.0 ---
    {Op::add, ints, strict, KILN_WHEN(m.is(1, 0), m[0])},                          // x + 0
    {Op::add, floats, strict, KILN_WHEN(m.is(1, -0.0), m[0])},                     // x + -0.0
    {Op::add, floats, nsz, KILN_WHEN(m.is(1, 0.0), m[0])},                         // x + 0.0
    {Op::add, booleans, strict, KILN_WHEN(m.is(1, 0) || m.same(0, 1), m[0])},      // b | false
    {Op::sub, numbers, strict, KILN_WHEN(m.is(1, 0), m[0])},                       // x - 0
    {Op::sub, floats, nsz, KILN_WHEN(m.is(1, -0.0), m[0])},                        // x - -0.0
    {Op::sub, ints, strict, KILN_WHEN(m.same(0, 1), m.constant(0))},               // x - x
    {Op::sub, floats, nnan, KILN_WHEN(m.same(0, 1), m.constant(0))},               // inf - inf
    {Op::sub, ints, strict, KILN_WHEN(m.is(0, 0), m.make(Op::neg, {m[1]}))},       // 0 - x
    {Op::sub, floats, strict, KILN_WHEN(m.is(0, -0.0), m.make(Op::neg, {m[1]}))},  // -0.0 - x
    {Op::neg, numbers, strict, [](const Match& m) { return m.of(0, Op::neg); }},   // -(-x)

    // --- products: 0 * inf is NaN, 0 * -1 is -0 ---
    {Op::mul, numbers, strict, KILN_WHEN(m.is(1, 1), m[0])},  // x * 1
    {Op::mul, floats | signed_ints, strict,
     KILN_WHEN(m.is(1, -1), m.make(Op::neg, {m[0]}))},                         // x * -1
    {Op::mul, ints, strict, KILN_WHEN(m.is(1, 0), m[1])},                      // x * 0
    {Op::mul, floats, nnan | nsz, KILN_WHEN(m.is(1, 0), m[1])},                // x * 0.0
    {Op::mul, booleans, strict, KILN_WHEN(m.is(1, 1) || m.same(0, 1), m[0])},  // b & true

    // --- quotients: 2^k has an exact reciprocal; x/0 and MIN/-1 keep integers from more ---
    {Op::div, numbers, strict, KILN_WHEN(m.is(1, 1), m[0])},  // x / 1
    {Op::true_divide, floats, strict, KILN_WHEN(m.is(1, 1), m[0])},
    {Op::div, floats, strict,
     KILN_WHEN(m.exact_reciprocal(1) != none, m.make(Op::mul, {m[0], m.exact_reciprocal(1)}))},
    {Op::true_divide, floats, strict,
     KILN_WHEN(m.exact_reciprocal(1) != none, m.make(Op::mul, {m[0], m.exact_reciprocal(1)}))},
    {Op::div, floats, arcp,
     KILN_WHEN(m.is_constant(1), m.make(Op::mul, {m[0], m.make(Op::div, {m.constant(1), m[1]})}))},
    {Op::true_divide, floats, arcp,
     KILN_WHEN(m.is_constant(1), m.make(Op::mul, {m[0], m.make(Op::div, {m.constant(1), m[1]})}))},
    {Op::floor_divide, ints, strict, KILN_WHEN(m.is(1, 1), m[0])},  // x // 1
    {Op::floor_divide, ints, strict,
     KILN_WHEN(m.power_of_two(1) > 0,
               m.make(Op::shr, {m[0], m.integer_constant(m.power_of_two(1))}))},
    {Op::mod, ints, strict,
     KILN_WHEN(m.power_of_two(1) >= 0,
               m.make(Op::bit_and, {m[0], m.integer_constant(m.integer(1) - 1)}))},
    {Op::rem, ints, strict, KILN_WHEN(m.is(1, 1), m.constant(0))},  // x % 1
    {Op::rem, unsigned_ints, strict,
     KILN_WHEN(m.power_of_two(1) > 0,
               m.make(Op::bit_and, {m[0], m.integer_constant(m.integer(1) - 1)}))},

    // --- bits ---
    {Op::bit_and, ints | booleans, strict, KILN_WHEN(m.is(1, 0), m[1])},    // x & 0
    {Op::bit_and, ints | booleans, strict, KILN_WHEN(m.same(0, 1), m[0])},  // x & x
    {Op::bit_and, signed_ints, strict, KILN_WHEN(m.is(1, -1), m[0])},       // x & ~0
    {Op::bit_and, booleans, strict, KILN_WHEN(m.is(1, 1), m[0])},
    {Op::bit_or, ints | booleans, strict, KILN_WHEN(m.is(1, 0) || m.same(0, 1), m[0])},  // x | 0
    {Op::bit_or, booleans, strict, KILN_WHEN(m.is(1, 1), m[1])},
    {Op::bit_xor, ints | booleans, strict, KILN_WHEN(m.is(1, 0), m[0])},             // x ^ 0
    {Op::bit_xor, ints | booleans, strict, KILN_WHEN(m.same(0, 1), m.constant(0))},  // x ^ x
    {Op::bit_not, ints | booleans, strict,
     [](const Match& m) { return m.of(0, Op::bit_not); }},               // ~~x
    {Op::shl, ints, strict, KILN_WHEN(m.is(1, 0) || m.is(0, 0), m[0])},  // x << 0, 0 << n
    {Op::shr, ints, strict, KILN_WHEN(m.is(1, 0) || m.is(0, 0), m[0])},  // x >> 0, 0 >> n

    // --- logic and comparisons ---
    {Op::logical_not, booleans, strict,
     [](const Match& m) { return m.of(0, Op::logical_not); }},  // !!b
    {Op::logical_not, booleans, strict, negated_comparison},
    {Op::logical_and, booleans, strict, KILN_WHEN(m.is(1, 1) || m.same(0, 1), m[0])},  // b && true
    {Op::logical_and, booleans, strict, KILN_WHEN(m.is(1, 0), m[1])},                  // b && false
    {Op::logical_or, booleans, strict, KILN_WHEN(m.is(1, 0) || m.same(0, 1), m[0])},   // b || false
    {Op::logical_or, booleans, strict, KILN_WHEN(m.is(1, 1), m[1])},                   // b || true
    {Op::logical_xor, booleans, strict, KILN_WHEN(m.is(1, 0), m[0])},
    {Op::logical_xor, booleans, strict, KILN_WHEN(m.is(1, 1), m.make(Op::logical_not, {m[0]}))},
    {Op::ne, booleans, strict, KILN_WHEN(m.is(1, 0), m[0])},  // b != false
    {Op::eq, booleans, strict, KILN_WHEN(m.is(1, 1), m[0])},  // b == true
    {Op::eq, booleans, strict, KILN_WHEN(m.is(1, 0), m.make(Op::logical_not, {m[0]}))},
    {Op::eq, ints | booleans, strict, KILN_WHEN(m.same(0, 1), m.truth(true))},  // floats: NaN
    {Op::le, ints | booleans, strict, KILN_WHEN(m.same(0, 1), m.truth(true))},
    {Op::ge, ints | booleans, strict, KILN_WHEN(m.same(0, 1), m.truth(true))},
    {Op::ne, ints | booleans, strict, KILN_WHEN(m.same(0, 1), m.truth(false))},  // floats: isnan
    {Op::lt, all, strict, KILN_WHEN(m.same(0, 1), m.truth(false))},
    {Op::gt, all, strict, KILN_WHEN(m.same(0, 1), m.truth(false))},
    {Op::ge, unsigned_ints, strict, KILN_WHEN(m.is(1, 0), m.truth(true))},   // u >= 0
    {Op::lt, unsigned_ints, strict, KILN_WHEN(m.is(1, 0), m.truth(false))},  // u < 0
    {Op::select, booleans, strict, KILN_WHEN(m.is_constant(0), m.is(0, 1) ? m[1] : m[2])},
    {Op::select, booleans, strict, KILN_WHEN(m.same(1, 2), m[1])},  // c ? a : a
    {Op::select, booleans, strict,
     KILN_WHEN(m.of(0, Op::logical_not) != none,
               m.make(Op::select, {m.of(0, Op::logical_not), m[2], m[1]}))},
    {Op::select, booleans, strict, KILN_WHEN(is_bool(m.result) && m.is(1, 1) && m.is(2, 0), m[0])},
    {Op::select, booleans, strict,
     KILN_WHEN(is_bool(m.result) && m.is(1, 0) && m.is(2, 1), m.make(Op::logical_not, {m[0]}))},

    // --- magnitudes and rounding ---
    {Op::minimum, all, strict, KILN_WHEN(m.same(0, 1), m[0])},
    {Op::maximum, all, strict, KILN_WHEN(m.same(0, 1), m[0])},
    {Op::fmin, all, strict, KILN_WHEN(m.same(0, 1), m[0])},
    {Op::fmax, all, strict, KILN_WHEN(m.same(0, 1), m[0])},
    {Op::abs, unsigned_ints | booleans, strict, first},
    {Op::abs, numbers, strict, KILN_WHEN(m.of(0, Op::abs) != none, m[0])},  // ||x||
    {Op::abs, numbers, strict,
     KILN_WHEN(m.of(0, Op::neg) != none, m.make(Op::abs, {m.of(0, Op::neg)}))},
    {Op::floor, ints | booleans, strict, first},
    {Op::ceil, ints | booleans, strict, first},
    {Op::trunc, ints | booleans, strict, first},
    {Op::rint, ints | booleans, strict, first},
    {Op::floor, floats, strict, already_rounded},
    {Op::ceil, floats, strict, already_rounded},
    {Op::trunc, floats, strict, already_rounded},
    {Op::rint, floats, strict, already_rounded},
    {Op::isnan, ints | booleans, strict, KILN_WHEN(true, m.truth(false))},
    {Op::isinf, ints | booleans, strict, KILN_WHEN(true, m.truth(false))},
    {Op::isfinite, ints | booleans, strict, KILN_WHEN(true, m.truth(true))},

    // --- powers: C99 fixes pow(x, 0) and pow(1, y) as 1, for NaN too; x*x and 1/x round once, so
    //     they are at least as accurate. pow(x, 0.5) differs from sqrt at -0 and -inf. ---
    {Op::pow, numbers, strict, KILN_WHEN(m.is(1, 0), m.constant(1))},
    {Op::pow, floats, strict, KILN_WHEN(m.is(1, -0.0), m.constant(1))},
    {Op::pow, numbers, strict, KILN_WHEN(m.is(1, 1), m[0])},
    {Op::pow, floats, strict, KILN_WHEN(m.is(0, 1), m[0])},
    {Op::pow, numbers, strict, KILN_WHEN(m.is(1, 2), m.make(Op::mul, {m[0], m[0]}))},
    {Op::pow, floats, strict,
     KILN_WHEN(m.is(1, -1), m.make(Op::true_divide, {m.constant(1), m[0]}))},
    {Op::pow, floats, nsz | ninf, KILN_WHEN(m.is(1, 0.5), m.make(Op::sqrt, {m[0]}))},

    // --- parts of complex numbers, and of real ones ---
    {Op::real, all, strict, first},
    {Op::imag, all, strict, KILN_WHEN(true, m.constant(0))},
    {Op::conj, all, strict, first},
};

#undef KILN_WHEN

}  // namespace

bool Match::is(std::size_t i, double value) const {
    if (!is_constant(i)) return false;
    const Scalar want = Scalar::of(value).cast(dtype(i));
    std::uint64_t bits = 0;
    std::memcpy(&bits, want.bytes.data(), size_of(want.dtype));
    return bits == node(i).imm;
}

std::int64_t Match::integer(std::size_t i) const {
    if (!is_constant(i) || !is_integer(dtype(i))) return std::numeric_limits<std::int64_t>::min();
    return kernel().constant(operands_[i]).cast(DType::i64).get<std::int64_t>();
}

int Match::power_of_two(std::size_t i) const {
    const std::int64_t value = integer(i);
    return value > 0 && std::has_single_bit(static_cast<std::uint64_t>(value))
               ? std::countr_zero(static_cast<std::uint64_t>(value))
               : -1;
}

Id Match::exact_reciprocal(std::size_t i) const {
    if (!is_constant(i) || (dtype(i) != DType::f32 && dtype(i) != DType::f64)) return none;
    const double value = kernel().constant(operands_[i]).cast(DType::f64).get<double>();
    int exponent = 0;
    const bool power = std::fabs(std::frexp(value, &exponent)) == 0.5;
    const int limit = dtype(i) == DType::f64 ? 1021 : 125;
    return power && std::abs(exponent) < limit ? constant(1 / value) : none;
}

Id Match::of(std::size_t i, Op inner, std::size_t operand) const {
    const Node& n = node(i);
    return n.kind == NodeKind::op && n.op == inner ? kernel().operand(operands_[i], operand) : none;
}

Id apply_rules(const Match& match) {
    const unsigned domain = domain_of(match.dtype(0));
    for (const Rule& rule : rules) {
        if (rule.op != match.op || (rule.domain & domain) == 0) continue;
        if ((match.fast & rule.needs) != rule.needs) continue;
        if (const Id result = rule.apply(match); result != none) {
            if (rule.needs != strict) match.context().applied(match.op, rule.needs);
            return result;
        }
    }
    return none;
}

}  // namespace kiln::codegen
