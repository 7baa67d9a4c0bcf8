// Looks for the largest errors of elementary functions where they are likely: the worst points
// found so far have offspring near them, beside numbers next to multiples of pi/2 and fresh random
// points. The errors that guide the search are against long double; those reported, and held
// against the bounds, are against MPFR.
//
// KILN_SEARCH_POINTS=n tries n points a function, dtype, tier and vector unit instead of some
// thousand, and prints a table; KILN_SWEEP_ONLY=name one function, KILN_SWEEP_SEED=n other points.
#include "dsl/ir/scalar_ops.h"
#include "tests/accuracy/points.h"
#include "tests/accuracy/reference.h"
#include "tests/catch.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
#include <mpfr.h>
#include <functional>

using namespace kiln;
using namespace kiln::test;
using ir::Op;

namespace {

namespace scalar = ir::scalar;

/// The folds of ops.def in long double, within a thousandth of a double's ULP.
long double in_long_double(Op op, long double a, [[maybe_unused]] long double b) {
    using T = long double;
    switch (op) {
#define KILN_FUNCTION(id, arity, rule, fold, sleef, cuda, ulp, fast_ulp, doc) \
    case Op::id: return static_cast<T>(fold);
#include <kiln/ops.def>
#undef KILN_FUNCTION
        default: return 0;
    }
}

std::size_t environment_number(const char* name, std::size_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::stoull(text);
}

using Point = std::array<double, 2>;
struct Found {
    double error = 0;
    Point at{};
};

/// For every power of two the numbers of the dtype nearest to multiples of pi/2, relative to their
/// last place: denominators of the convergents of 2^e 2/pi, times 2^e.
std::vector<double> nearest_to_quarter_turns(DType t) {
    const int bits = t == DType::f32 ? 24 : 53, highest = t == DType::f32 ? 127 : 1023;
    std::vector<double> found;
    mpfr_t c, whole;
    mpfr_inits2(1400, c, whole, nullptr);
    for (int e = -bits; e <= highest - bits + 1; ++e) {
        mpfr_const_pi(c, MPFR_RNDN);
        mpfr_d_div(c, std::ldexp(1.0, 1), c, MPFR_RNDN);
        mpfr_mul_2si(c, c, e, MPFR_RNDN);
        double before = 0, q = 1;  // denominators, exact below 2^53
        for (int i = 0; i < 80; ++i) {
            mpfr_floor(whole, c);
            mpfr_sub(c, c, whole, MPFR_RNDN);
            mpfr_ui_div(c, 1, c, MPFR_RNDN);
            mpfr_floor(whole, c);
            const double next = before + mpfr_get_d(whole, MPFR_RNDN) * q;
            if (next >= std::ldexp(1.0, bits)) break;
            before = q;
            q = next;
            if (q >= std::ldexp(1.0, bits - 6)) found.push_back(std::ldexp(q, e));
        }
    }
    mpfr_clears(c, whole, nullptr);
    return found;
}

class Search {
  public:
    Search(Op op, DType t, bool afn, VectorIsa isa)
        : op_(op),
          dtype_(t),
          arity_(info(op).arity),
          seed_(environment_number("KILN_SWEEP_SEED", 1)),
          points_(op, t, seed_),
          engine_(seed_),
          program_(compile_for(
              isa, op_kernel(op, t, ir::Layout::unit, afn ? ir::fast::afn : std::uint8_t(0)))) {}

    Found run(std::size_t count) {
        std::vector<Point> batch;
        if (op_ == Op::sin || op_ == Op::cos || op_ == Op::tan)
            for (const double x : nearest_to_quarter_turns(dtype_)) batch.push_back({x, 0});
        for (std::size_t tried = 0; tried < count; tried += batch.size(), batch.clear()) {
            while (batch.size() < batch_size) batch.push_back(next());
            measure(batch);
        }
        return confirmed();
    }

  private:
    static constexpr std::size_t batch_size = 2048, kept = 192;

    Point next() {
        if (best_.empty() || engine_() % 4 == 0) return points_.any();
        // Those at the front are the worst.
        const std::size_t rank = engine_() % best_.size() * (engine_() % 1024) / 1024;
        Point p = best_[rank].at;
        const std::size_t which = arity_ == 2 ? engine_() % 3 : 0;
        for (std::size_t k = 0; k < arity_; ++k)
            if (which == k || which == 2) p[k] = near(p[k]);
        return p;
    }

    /// x with its last bits changed, more or fewer of them, or another exponent.
    double near(double x) {
        const int digits = dtype_ == DType::f32 ? 23 : 52;
        if (engine_() % 16 == 0) return x * std::ldexp(1.0, static_cast<int>(engine_() % 5) - 2);
        const auto reach = std::uint64_t(1) << (engine_() % static_cast<unsigned>(digits));
        Elements e(dtype_);
        e.add_bits(bits_of(x, dtype_));
        const std::uint64_t step = engine_() % reach + 1;
        e.set_bits(0, engine_() % 2 == 0 ? e.bits(0) + step : e.bits(0) - step);
        return e.value(0);
    }

    void measure(std::span<const Point> batch) {
        std::vector<Elements> in(arity_, Elements(dtype_));
        for (const Point& p : batch)
            for (std::size_t k = 0; k < arity_; ++k) in[k].add_bits(bits_of(p[k], dtype_));
        const Elements results = values(in);
        for (std::size_t i = 0; i < batch.size(); ++i) {
            const Point at{in[0].value(i), arity_ == 2 ? in[1].value(i) : 0};
            const double error = estimate(at, results.value(i));
            if (best_.size() == kept && error <= best_.back().error) continue;
            if (std::ranges::any_of(best_, [&](const Found& f) { return f.at == at; })) continue;
            const auto place = std::ranges::upper_bound(best_, error, std::greater{},
                                                        [](const Found& f) { return f.error; });
            best_.insert(place, {error, at});
            if (best_.size() > kept) best_.pop_back();
        }
    }

    Elements values(std::span<const Elements> in) const {
        Elements results(dtype_, in[0].size());
        std::vector<engine::Operand> operands;
        const auto size = static_cast<std::int64_t>(size_of(dtype_));
        for (const Elements& e : in)
            operands.push_back({const_cast<std::byte*>(e.bytes.data()), size, 0});
        operands.push_back({results.bytes.data(), size, 0});
        run_map(*program_, operands, static_cast<std::int64_t>(results.size()));
        return results;
    }

    /// The error in ULP against long double; 0 where the exact value is no number or out of range.
    double estimate(const Point& at, double result) const {
        const long double exact = in_long_double(op_, at[0], at[1]);
        const int lowest = dtype_ == DType::f32 ? -126 : -1022,
                  digits = dtype_ == DType::f32 ? 24 : 53;
        if (!std::isfinite(exact) || !std::isfinite(result) || exact == 0) return 0;
        const int unit = std::max(std::ilogb(exact), lowest) - (digits - 1);
        return static_cast<double>(std::fabs(std::scalbn(exact - result, -unit)));
    }

    /// The worst of the best against MPFR.
    Found confirmed() const {
        std::vector<Elements> in(arity_, Elements(dtype_));
        for (const Found& f : best_)
            for (std::size_t k = 0; k < arity_; ++k) in[k].add_bits(bits_of(f.at[k], dtype_));
        const Elements results = values(in);
        Reference reference(op_, dtype_);
        Found worst;
        for (std::size_t i = 0; i < best_.size(); ++i) {
            reference.evaluate(std::span(best_[i].at).first(arity_));
            const double error = reference.error(results.value(i));
            if (error > worst.error) worst = {error, best_[i].at};
        }
        return worst;
    }

    Op op_;
    DType dtype_;
    std::size_t arity_;
    std::uint64_t seed_;
    Points points_;
    std::mt19937_64 engine_;
    std::unique_ptr<engine::CompiledCode> program_;
    std::vector<Found> best_;  // the worst first
};

}  // namespace

TEST_CASE("the largest errors that a search finds are within the bounds", "[accuracy][search]") {
    const std::size_t asked = environment_number("KILN_SEARCH_POINTS", 0);
    const char* only = std::getenv("KILN_SWEEP_ONLY");
    for (std::size_t i = 0; i < ir::op_count; ++i) {
        const auto op = static_cast<Op>(i);
        if (!ir::is_elementary(op) || (only != nullptr && info(op).name != only)) continue;
        for (const DType t : {DType::f32, DType::f64})
            for (const bool afn : {false, true})
                for (const VectorIsa isa : {host_isas().front(), VectorIsa::sse2}) {
                    if (isa == VectorIsa::sse2 && (afn || host_isas().size() == 1)) continue;
                    const Found worst = Search(op, t, afn, isa).run(asked != 0 ? asked : 10000);
                    const std::string what = fmt::format(
                        "{} | {}{} | {} | {:.4f} | {:a}, {:a}", info(op).name, name(t),
                        afn ? " afn" : "", name(isa), worst.error, worst.at[0], worst.at[1]);
                    if (asked != 0) {
                        fmt::print("| {} |\n", what);
                        std::fflush(stdout);
                    }
                    INFO(what);
                    CHECK(worst.error <= (afn ? info(op).fast_ulp : info(op).ulp));
                }
    }
}
