// Random programs of nests: rows, products, loops in the wrong order, sweeps over time,
// recurrences, chains, accumulation into arrays, of matrices and vectors of many dtypes. They are
// what passes look for: each row of passes.def must have changed some of the programs, or refused
// them, if that is all it does.
//
// Three forms of one kernel must give the same bits: optimised and serial, optimised on threads,
// and checked, which those passes leave alone. Where all operations are exact, or rounded once, so
// must the interpreter of the IR, of the program as it is and behind each pass.
#include "codegen/passes/pass.h"
#include "dsl/ir/text.h"
#include "tests/dice.h"
#include "tests/jit/support.h"
#include "tests/oracle/interpreter.h"
#include "tests/threads.h"

#include <array>
#include <cmath>
#include <complex>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <sstream>

using namespace kiln;
using namespace kiln::test;

namespace {

/// What a program works on: a, b (n, m), c (m, n), d (2, n, m), x (m), y (n).
enum Which : std::size_t { A, B, C, D, X, Y, operand_count };

struct Sizes {
    std::int64_t n, m;
    std::vector<std::int64_t> shape(std::size_t operand) const {
        switch (operand) {
            case C: return {m, n};
            case D: return {2, n, m};
            case X: return {m};
            case Y: return {n};
            default: return {n, m};
        }
    }
};

/// What is known of a program once it is traced.
struct Known {
    bool exact = true;   // operations are exact or rounded once, and sums are exact or in order
    bool races = false;  // iterations of a prange meet in an array
};

/// Writes one random program while it is traced.
class Nests {
  public:
    Nests(std::uint64_t seed, const InOut& a, const In& b, const In& c, const InOut& d,
          const InOut& x, const InOut& y, const Value& steps)
        : dice_(seed), a_(a), b_(b), c_(c), d_(d), x_(x), y_(y), steps_(steps) {}

    Known run() {
        const std::size_t sections = 1 + dice_.below(3);
        for (std::size_t s = 0; s < sections; ++s) section();
        if (dice_.chance(3)) race();
        return known_;
    }

  private:
    void section() {
        switch (dice_.below(15)) {
            case 0: chain(); break;
            case 1: wrong_order(); break;
            case 2: wrong_order_3d(); break;
            case 3: product(); break;
            case 4: rows_to_values(); break;
            case 5: rows_to_row(); break;
            case 6: recurrence(); break;
            case 7: functions_between_loops(); break;
            case 8: sweeps_2d(); break;
            case 9: sweeps_1d(); break;
            case 10: accumulate(); break;
            case 11: total(); break;
            case 12: sum_in_while(); break;
            case 13: scaled_integers(); break;
            default: not_a_number(); break;
        }
    }

    DType type() const { return a_.dtype(); }
    Value n() const { return a_.extent(0); }
    Value m() const { return a_.extent(1); }
    Value as(const Value& v) const { return cast(type(), v); }

    /// Of two values of the arrays' dtype: never larger than they are, so that chains stay finite.
    Value mix(const Value& u, const Value& v) {
        const bool orders = !is_complex(type());
        switch (dice_.below(orders ? 6 : 3)) {
            case 0: return as(u * 0.5 + v * 0.25);
            case 1: return as(u - v * 0.5);
            case 2: return as(v * 0.75);
            case 3: return as(min(u, v));
            case 4: return as(max(u, as(v * 0.5)));
            default: return as(select(u < v, v, u - v));
        }
    }

    /// A loop that may be parallel, to be made at once.
    Range loop(const Value& begin, const Value& end, bool parallel) {
        return parallel ? prange(begin, end) : range(begin, end);
    }

    /// Neighbouring loops over one domain.
    void chain() {
        const std::size_t count = 2 + dice_.below(3);
        const bool flat = dice_.chance(50), parallel = dice_.chance(80);
        for (std::size_t s = 0; s < count; ++s) {
            if (flat) {
                for (Index j : loop(0, m(), parallel)) x_(j) = mix(x_(j), a_(0, j));
            } else {
                for (Index i : loop(0, n(), parallel))
                    for (Index j : range(m()))
                        if (s % 2 == 0)
                            a_(i, j) = mix(a_(i, j), b_(i, j));
                        else
                            d_(1, i, j) = mix(a_(i, j), d_(1, i, j));
            }
        }
    }

    void wrong_order() {
        const bool parallel = dice_.chance(30), shifts = dice_.chance(30);
        const int by = shifts ? 1 : 0;
        for (Index j : loop(by, m(), parallel))
            for (Index i : range(n())) a_(i, j) = mix(a_(i, j), b_(i, j - by));
    }

    void wrong_order_3d() {
        const std::size_t order = dice_.below(6);
        constexpr int axes[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
        const auto& axis = axes[order];
        const bool parallel = dice_.chance(30);
        for (Index p : loop(0, d_.extent(axis[0]), parallel))
            for (Index q : range(d_.extent(axis[1])))
                for (Index r : range(d_.extent(axis[2]))) {
                    const Index* at[3];
                    at[axis[0]] = &p;
                    at[axis[1]] = &q;
                    at[axis[2]] = &r;
                    d_(*at[0], *at[1], *at[2]) =
                        mix(d_(*at[0], *at[1], *at[2]), a_(*at[1], *at[2]));
                }
    }

    /// a += b[:, :k] * c[:k, :] in some order of the loops, over a square part.
    void product() {
        const Value k = min(n(), m());
        const std::size_t order = dice_.below(6);
        const auto step = [&](const Value& i, const Value& j, const Value& l) {
            a_(i, j) += as(as(b_(i, l) * 0.125) * c_(l, j));
        };
        const Value limit[3] = {k, k, k};
        constexpr int axes[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
        for (Index p : range(limit[0]))
            for (Index q : range(limit[1]))
                for (Index r : range(limit[2])) {
                    const Index* at[3];
                    at[axes[order][0]] = &p;
                    at[axes[order][1]] = &q;
                    at[axes[order][2]] = &r;
                    step(*at[0], *at[1], *at[2]);
                }
    }

    void rows_to_values() {
        const bool parallel = dice_.chance(50), largest = !is_complex(type()) && dice_.chance(30);
        for (Index i : loop(0, n(), parallel)) {
            Var r(type(), 0);
            for (Index j : range(m())) {
                if (largest)
                    r = max(r, as(b_(i, j) * x_(j)));
                else
                    r += as(b_(i, j) * x_(j));
            }
            y_(i) = as(r * 0.125);
        }
    }

    void rows_to_row() {
        for (Index i : range(n()))
            for (Index j : range(m())) x_(j) += as(b_(i, j) * y_(i));
    }

    void recurrence() {
        const bool parallel = dice_.chance(50), keeps = dice_.chance(50);
        for (Index i : loop(0, n(), parallel)) {
            Var r(type(), 1);
            for (Index j : range(m())) {
                r = as(r * 0.5 + b_(i, j));
                if (keeps) a_(i, j) = r;
            }
            y_(i) = r;
        }
    }

    void functions_between_loops() {
        if (!is_real(type())) return recurrence();
        known_.exact = false;
        const bool twice = dice_.chance(50);
        for (Index i : range(n())) {
            Var r(type(), 0);
            for (Index j : range(m())) r += as(b_(i, j) * 0.0625);
            const Value once = as(exp(-abs(r))), t = twice ? as(sin(once) + 1.0) : once;
            for (Index j : range(m())) x_(j) += as(t * b_(i, j));
        }
    }

    void sweeps_2d() {
        const bool diagonal = dice_.chance(50);
        for ([[maybe_unused]] Index t : range(steps_)) {
            for (Index i : range(1, n() - 1))
                for (Index j : range(1, m() - 1))
                    d_(0, i, j) =
                        as((a_(i - 1, j) + a_(i + 1, j) + a_(i, diagonal ? j - 1 : j + 0)) * 0.25);
            for (Index i : range(1, n() - 1))
                for (Index j : range(1, m() - 1))
                    a_(i, j) = as((d_(0, i, j - 1) + d_(0, i, j + 1)) * 0.5);
        }
    }

    void sweeps_1d() {
        const bool wide = dice_.chance(40);
        const int reach = wide ? 2 : 1;
        for ([[maybe_unused]] Index t : range(steps_)) {
            for (Index j : range(reach, m() - reach))
                a_(0, j) = as((x_(j - reach) + x_(j + 1)) * 0.5);
            for (Index j : range(reach, m() - reach))
                x_(j) = as(a_(0, j - 1) * 0.25 + a_(0, j) * 0.5);
        }
    }

    bool is_16_bit() const { return type() == DType::f16 || type() == DType::bf16; }

    /// Sums of arrays are trees; those of b, in eighths, are exact but for 16 bits.
    void accumulate() {
        if (is_16_bit()) known_.exact = false;
        x_ += as(b_.sum({.axis = 0}));
    }

    /// A reduction over a parallel loop: an exact one, so that its order does not show.
    void total() {
        if (is_complex(type()) || is_16_bit()) return chain();
        const bool sums = is_integer(type()) || dice_.chance(50);
        Var r(type(), 0);
        for (Index i : prange(n()))
            for (Index j : range(m())) {
                if (sums)
                    r += b_(i, j);
                else
                    r = max(r, b_(i, j));
            }
        y_(0) = r;
    }

    /// The same by a loop that only its condition ends.
    void sum_in_while() {
        if (is_16_bit()) return chain();
        Var r(type(), 0);
        for (Index i : prange(n())) {
            Var j(DType::i64, 0);
            while_([&] { return j < m(); },
                   [&] {
                       r += b_(i, j);
                       j += 1;
                   });
        }
        y_(0) = r;
    }

    /// Points of a square, as random ones are made, within a circle or not.
    void scaled_integers() {
        for (Index i : range(n()))
            for (Index j : range(m())) {
                const Value u =
                    cast<float>(cast<std::int32_t>((i * 73 + j * 41) & 1023)) * 0x1p-10F;
                const Value v =
                    cast<float>(cast<std::int32_t>((i * 19 + j * 89) & 1023)) * 0x1p-10F;
                a_(i, j) = select(u * u + v * v < 0.5F, a_(i, j), b_(i, j));
            }
    }

    void not_a_number() {
        if (!is_real(type())) return recurrence();
        for (Index i : range(n()))
            for (Index j : range(m())) {
                const Value half = as(b_(i, j) * 0.5);
                a_(i, j) = select(isnan(half), x_(j), half);
            }
    }

    /// Every iteration stores to one element.
    void race() {
        known_.races = true;
        for (Index i : prange(n())) a_(0, 0) = b_(i, 0);
    }

    Dice dice_;
    const InOut& a_;
    const In &b_, &c_;
    const InOut &d_, &x_, &y_;
    const Value& steps_;
    Known known_;
};

constexpr DType types[] = {DType::f64, DType::f32,  DType::i32, DType::i64, DType::i16,
                           DType::f16, DType::bf16, DType::c64, DType::c128};

Array random_array(Dice& dice, DType t, const std::vector<std::int64_t>& shape) {
    const Array made = empty(Shape(std::span<const std::int64_t>(shape)), t);
    for (std::int64_t i = 0; i < made.size(); ++i) {
        const double value = static_cast<double>(dice.below(64)) / 8 - 4;
        const double part = static_cast<double>(dice.below(64)) / 8 - 4;
        const Scalar s = is_complex(t) ? Scalar::of(std::complex<double>(value, part)).cast(t)
                                       : Scalar::of(value).cast(t);
        std::memcpy(made.data() + static_cast<std::int64_t>(size_of(t)) * i, s.bytes.data(),
                    size_of(t));
    }
    return made;
}

using Operands = std::array<Array, operand_count>;

Operands copies(const Operands& from) {
    Operands made = from;
    for (Array& x : made) x = x.copy();
    return made;
}

/// Equal bytes, or NaN where the other has one.
bool same_part(const std::byte* u, const std::byte* v, DType t) {
    if (std::memcmp(u, v, size_of(t)) == 0) return true;
    if (is_complex(t)) {
        const DType part = t == DType::c64 ? DType::f32 : DType::f64;
        return same_part(u, v, part) && same_part(u + size_of(part), v + size_of(part), part);
    }
    if (!is_real(t)) return false;
    Scalar a, b;
    a.dtype = b.dtype = t;
    std::memcpy(a.bytes.data(), u, size_of(t));
    std::memcpy(b.bytes.data(), v, size_of(t));
    return std::isnan(a.cast(DType::f64).get<double>()) &&
           std::isnan(b.cast(DType::f64).get<double>());
}

std::string difference(const Operands& got, const Operands& wanted) {
    for (std::size_t o = 0; o < operand_count; ++o) {
        const DType t = got[o].dtype();
        const auto size = static_cast<std::int64_t>(size_of(t));
        for (std::int64_t i = 0; i < got[o].size(); ++i) {
            if (same_part(got[o].data() + i * size, wanted[o].data() + i * size, t)) continue;
            std::ostringstream out;
            out << "array " << "abcdxy"[o] << ", element " << i << " of " << got[o].size();
            return out.str();
        }
    }
    return {};
}

/// Which passes changed which programs.
using Fired = std::map<std::string, int>;

std::set<std::string> changed_by(const std::string& texts) {
    std::set<std::string> passes;
    std::istringstream lines(texts);
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with("; after ")) passes.insert(line.substr(8));
    return passes;
}

/// The races pass refuses the program; whether it does.
bool is_refused(const JitKernel& form, std::initializer_list<ArgType> signature) {
    const Error error = error_of([&] { form.inspect(Artifact::passes, signature); });
    return error.kind() == ErrorKind::usage &&
           error.message().find("may touch the same element of") != std::string::npos;
}

/// The program with those of its serial loops shared whose iterations do not depend on each other.
ir::Kernel shared_form(ir::Kernel kernel) {
    for (ir::Node& n : kernel.nodes)
        if (n.kind == ir::NodeKind::loop && n.aux2 == ir::none) n.fast |= ir::loop_flag::shareable;
    codegen::PassContext context;
    context.options.verify = true;
    return codegen::run_share(kernel, context);
}

/// What the interpreter makes of a form of the program.
Operands interpreted(const ir::Kernel& form, const Operands& start, const Sizes& sizes, DType t,
                     std::int64_t steps) {
    Operands got = copies(start);
    std::vector<oracle::Argument> arguments;
    for (std::size_t o = 0; o < operand_count; ++o)
        arguments.push_back(oracle::Argument::array(got[o].data(), t, sizes.shape(o)));
    arguments.push_back(oracle::Argument::value(Scalar::of(steps)));
    arguments.resize(form.params.size());  // arrays that it makes
    oracle::interpret(form, arguments);
    return got;
}

/// Pass by pass, up to those that outline: f(name of the pass, what it left).
template <class F> void each_pass(const ir::Kernel& kernel, F&& f) {
    codegen::PassContext context;
    context.options.verify = context.options.noalias = context.options.fuse = true;
    context.observer = [&](std::string_view pass, const ir::Kernel& after) {
        if (after.outlined.empty()) f(pass, after);
    };
    codegen::run_passes(kernel, context);
}

void check(std::uint64_t seed, Fired& fired) {
    Dice dice(seed * 104729 + 7);
    const DType t = types[dice.below(std::size(types))];
    Known known;
    const auto program = [seed, &known](InOut a, In b, In c, InOut d, InOut x, InOut y,
                                        Value steps) {
        known = Nests(seed, a, b, c, d, x, y, steps).run();
    };
    // Nothing is infinite or NaN in these dtypes, so that these flags change no result.
    const bool fast = (t == DType::f32 || t == DType::f64) && dice.chance(50);
    const Fastmath flags = fast ? Fastmath::nnan | Fastmath::ninf : Fastmath();
    const auto plain = jit("nests", program, {.fastmath = flags}),
               threads = jit("nests", program, {.fastmath = flags, .parallel = true}),
               checked = jit("nests", program, {.fastmath = flags, .checked = true}),
               special =
                   jit("nests", program,
                       {.fastmath = flags, .specialise = {"p6", dice.chance(50) ? "p0" : "p3"}});
    const std::initializer_list<ArgType> signature = {{t, 2}, {t, 2}, {t, 2}, {t, 3},
                                                      {t, 1}, {t, 1}, i64};
    const std::string text = plain.inspect(Artifact::ir, signature);
    INFO("seed " << seed << ", " << name(t) << "\n" << text);
    if (known.races) {
        for (const JitKernel* form : {&plain, &threads, &checked})
            REQUIRE(is_refused(*form, signature));
        ++fired["races"];
        return;
    }
    std::set<std::string> changed = changed_by(plain.inspect(Artifact::passes, signature));
    changed.merge(changed_by(checked.inspect(Artifact::passes, signature)));
    for (const std::string& pass : changed) ++fired[pass];
    const ir::Kernel kernel = ir::parse(text), shared = shared_form(kernel);
    if (shared.parallel_loops.size() > kernel.parallel_loops.size()) ++fired["share"];
    constexpr Sizes all_sizes[] = {{3, 3}, {5, 37}, {70, 21}, {41, 330}, {3, 4100}};
    for (const Sizes& sizes : all_sizes) {
        Operands start;
        for (std::size_t o = 0; o < operand_count; ++o)
            start[o] = random_array(dice, t, sizes.shape(o));
        const std::int64_t steps = static_cast<std::int64_t>(dice.below(12));
        const auto call = [&](const auto& form, const Operands& on) {
            form(on[A], on[B], on[C], on[D], on[X], on[Y], steps);
        };
        INFO("n " << sizes.n << ", m " << sizes.m << ", steps " << steps);
        Operands wanted = copies(start), got = copies(start);
        call(checked, wanted);
        call(plain, got);
        REQUIRE(difference(got, wanted).empty());
        got = copies(start);
        changed = changed_by(special.inspect_call(
            Artifact::passes, {got[A], got[B], got[C], got[D], got[X], got[Y], steps}));
        fired["known"] += changed.contains("known");
        call(special, got);
        REQUIRE(difference(got, wanted).empty());
        got = copies(start);
        {
            const Threads scope(3);
            call(threads, got);
        }
        REQUIRE(difference(got, wanted).empty());
        if (!known.exact || sizes.n * sizes.m > 2000) continue;
        for (const ir::Kernel* form : {&kernel, &shared}) {
            INFO("the interpreter" << (form == &shared ? ", loops shared" : ""));
            REQUIRE(difference(interpreted(*form, start, sizes, t, steps), wanted).empty());
        }
        if (&sizes != &all_sizes[1]) continue;  // the smaller one with four at once, and a rest
        each_pass(kernel, [&](std::string_view pass, const ir::Kernel& after) {
            if (difference(interpreted(after, start, sizes, t, steps), wanted).empty()) return;
            FAIL("the interpreter, after pass " << pass << ":\n" << ir::print(after));
        });
    }
}

TEST_CASE("random nests of loops: optimised, on threads, checked, and interpreted",
          "[jit][program][random]") {
    // KILN_RANDOM_PROGRAMS=first:count runs others; a failure prints its seed.
    std::uint64_t first = 1, count = 120;
    const char* const asked = std::getenv("KILN_RANDOM_PROGRAMS");
    if (asked != nullptr) std::sscanf(asked, "%lu:%lu", &first, &count);
    Fired fired;
    for (std::uint64_t seed = first; seed < first + count; ++seed) check(seed, fired);
    if (asked != nullptr) return;
    std::string counts;
    const auto must_have_fired = [&](const char* pass) {
        INFO(pass);
        CHECK(fired[pass] > 0);
        counts += " " + std::string(pass) + " " + std::to_string(fired[pass]);
    };
#define KILN_PASS(id, ...) must_have_fired(#id);
#include "codegen/passes.def"
#undef KILN_PASS
    WARN("of " << count << " programs, changed by" << counts);
}

}  // namespace
