// Random programs of parallel loops that sum floats: fused they have the bits of the unfused form.
#include "tests/catch.h"
#include "tests/dice.h"

#include <kiln/kiln.h>

#include <array>
#include <cmath>
#include <numeric>
#include <vector>

using namespace kiln;

namespace {

/// Draws one program from a seed, the same in each of its traces.
class Sums {
  public:
    Sums(std::uint64_t seed, std::vector<const In*> in) : dice_(seed), in_(std::move(in)) {}

    /// Up to four sums, into `out`.
    void run(const Out& out) {
        const Value n = in_[0]->extent(0);
        const Scratch narrow(f32, {n}), wide(f64, {n});
        scratch_ = {&narrow, &wide};
        for (Index i : prange(n)) {
            narrow(i) = cast<float>((*in_[0])(i)) * 0.5F;
            wide(i) = cast<double>((*in_[1])(i)) + 1.0;
        }
        const int loops = dice_.between(2, 4);
        for (int loop = 0; loop < loops; ++loop) {
            if (loop + 1 < loops && dice_.chance(25))
                store(n);
            else
                out(loop) = sum(n);
        }
    }

  private:
    Value cast_to(bool f32, const Value& v) { return f32 ? cast<float>(v) : cast<double>(v); }

    void store(const Value& n) {
        const bool narrow = dice_.chance(50);
        const int depth = dice_.between(0, 3);
        for (Index i : prange(n)) (*scratch_[narrow ? 0 : 1])(i) = cast_to(narrow, value(i, depth));
    }

    Value sum(const Value& n) {
        const bool narrow = dice_.chance(50);
        const int depth = dice_.between(0, 4);
        Var total(narrow ? f32 : f64, 0.0F);
        for (Index i : prange(n)) {
            const Value x = value(i, depth);
            switch (dice_.below(6)) {
                case 0: total += cast_to(narrow, inner(x)); break;
                case 1: if_(x > 3, [&] { total += cast_to(narrow, x); }); break;
                case 2: {
                    Var v = sin(cast<float>(x));
                    v = cast<float>(x);
                    total += cast_to(narrow, v);
                    break;
                }
                default: total += cast_to(narrow, x);
            }
        }
        return cast<double>(total);
    }

    Value inner(const Value& x) {
        Var sum(f64, 0.0);
        for (Index j : range(dice_.between(3, 5))) sum = sum + cast<double>(x) * j;
        return sum;
    }

    Value leaf(const Index& i) {
        const std::size_t which = dice_.below(8);
        if (which < 2) return (*scratch_[which])(i);
        return which == 7 ? Value(1.25F) : Value((*in_[which % in_.size()])(i));
    }

    Value value(const Index& i, int depth) {
        if (depth == 0) return leaf(i);
        const Value x = value(i, depth - 1);
        switch (dice_.below(14)) {
            case 0:
            case 1: return x + value(i, depth - 1);
            case 2: return x * leaf(i);
            case 3: return x - value(i, depth - 1);
            case 4: return cast<float>(cast<double>(x));
            case 5: return cast<double>(x);
            case 6: return cast<float>(x);
            case 7: return dice_.chance(30) ? sin(cast<double>(x)) : x;
            case 8: return pow(cast<double>(x), 2.0);
            case 9: return select(x > leaf(i), x, leaf(i));
            case 10: return abs(x) / 2;
            case 11: return minimum(x, leaf(i));
            case 12: return sqrt(abs(cast<double>(x)));
            default: return cast<std::int32_t>(x);
        }
    }

    test::Dice dice_;
    std::vector<const In*> in_;
    std::vector<const Scratch*> scratch_;
};

Array elements(test::Dice& dice, std::int64_t n) {
    const Array a = zeros({n});
    for (double& x : a.span<double>()) x = dice.unit() * 99;
    return a.astype(dice.pick(std::array{f32, f64, f32, f64, f16, bf16, i32, i64, u8, i16}));
}

TEST_CASE("fuse: random sums keep their bits", "[codegen][fuse]") {
    unsigned fused_programs = 0;
    std::vector<std::uint64_t> seeds(20);
    std::iota(seeds.begin(), seeds.end(), std::uint64_t(1));
    // Loops whose lanes change by what passes take from them.
    seeds.insert(seeds.end(), {153, 182, 320});
    for (const std::uint64_t seed : seeds) {
        INFO("seed " << seed);
        test::Dice dice(seed);
        const std::int64_t n = dice.chance(30) ? dice.between(300, 800) : dice.between(9000, 12000);
        const Array a = elements(dice, n), b = elements(dice, n), c = elements(dice, n);
        const auto build = [seed](bool fuse) {
            return jit([seed](In x, In y, In z, Out out) { Sums(seed, {&x, &y, &z}).run(out); },
                       {.parallel = true, .fuse = fuse});
        };
        const Array first = zeros({4}), second = zeros({4});
        const auto fused = build(true);
        fused(a, b, c, first);
        build(false)(a, b, c, second);
        if (fused.parallel_diagnostics().find(": fused: ") != std::string::npos) ++fused_programs;
        for (int i = 0; i < 4; ++i) {
            const double x = first.view<double, 1>()(i), y = second.view<double, 1>()(i);
            CHECK((x == y || (std::isnan(x) && std::isnan(y))));
        }
    }
    CHECK(fused_programs > 15);
}

}  // namespace
