// Random calls of ufuncs against plain indexing (tests/oracle/ufunc_reference.h): shapes, strides, dtypes,
// masks, outputs that overlap inputs, scalars, orders, threads.
#include "tests/dice.h"
#include "tests/jit/support.h"
#include "tests/jit/ufunc/check_elements.h"
#include "tests/oracle/ufunc_reference.h"
#include "tests/random_calls.h"
#include "tests/strided_array.h"
#include "tests/threads.h"

#include <algorithm>
#include <cmath>
#include <optional>

using namespace kiln;
using namespace kiln::test;

namespace {

/// A ufunc whose results are whole numbers that all dtypes have, for such numbers from 0 to 20. In one run it
/// gets one list of dtypes: with all, the run spends its time compiling.
struct Kind {
    const char* name;
    std::size_t inputs;
    std::vector<DType> own_results;  ///< where they are not what the inputs promote to
    std::size_t results;
    ReferenceFunction reference;
    std::vector<Ufunc> forms;  ///< serial, parallel, checked
    std::vector<DType> dtypes;
};

template <class F>
Kind kind(const char* name, std::size_t inputs, std::size_t results, ReferenceFunction reference,
          F lambda, std::vector<DType> own_results = {}) {
    Kind made{name, inputs, std::move(own_results), results, std::move(reference), {}, {}};
    for (const UfuncOptions& options :
         {UfuncOptions{}, UfuncOptions{.parallel = true}, UfuncOptions{.checked = true}})
        made.forms.push_back(vectorize(name, lambda, options));
    return made;
}

using Arguments = std::vector<double>;

std::vector<Kind> all_kinds() {
    std::vector<Kind> all;
    all.push_back(kind(
        "twice", 1, 1, [](const Arguments& x) { return Arguments{2 * x[0] + 1}; },
        [](Value a) { return 2 * a + 1; }));
    all.push_back(kind(
        "mix", 2, 1, [](const Arguments& x) { return Arguments{3 * x[0] + x[1]}; },
        [](Value a, Value b) { return 3 * a + b; }));
    all.push_back(kind(
        "apart", 2, 1, [](const Arguments& x) { return Arguments{std::fabs(x[0] - x[1])}; },
        [](Value a, Value b) { return max(a, b) - min(a, b); }));
    all.push_back(kind(
        "less", 2, 1, [](const Arguments& x) { return Arguments{x[0] < x[1] ? 1. : 0.}; },
        [](Value a, Value b) { return a < b; }, {DType::bool_}));
    all.push_back(kind(
        "parts", 2, 2,
        [](const Arguments& x) {
            const double whole = std::floor(x[0] / (x[1] + 1));
            return Arguments{whole, x[0] - whole * (x[1] + 1)};
        },
        [](Value a, Value b) { return std::pair(floor_divide(a, b + 1), mod(a, b + 1)); }));
    all.push_back(kind(
        "choice", 3, 1,
        [](const Arguments& x) { return Arguments{x[0] > x[1] ? x[0] + x[2] : 2 * x[1]}; },
        [](Value a, Value b, Value c) { return select(a > b, a + c, 2 * b); }));
    // Runs until it is done, so lanes are masked.
    all.push_back(kind(
        "steps", 2, 1,
        [](const Arguments& x) {
            double n = 0;
            for (double v = x[0]; v < x[1]; v += 3) ++n;
            return Arguments{n};
        },
        [](Value a, Value b) {
            Var v(a), n(DType::i32, 0);
            while_(v < b, [&] {
                v += 3;
                n += 1;
            });
            return Value(n);
        },
        {DType::i32}));
    return all;
}

class Calls {
  public:
    explicit Calls(std::uint64_t seed) : dice_(seed), kinds_(all_kinds()) {
        static constexpr DType dtypes[] = {DType::i8,  DType::i16, DType::i32,  DType::i64,
                                           DType::u8,  DType::u16, DType::u32,  DType::u64,
                                           DType::f16, DType::f32, DType::bf16, DType::f64};
        for (Kind& k : kinds_)
            for (std::size_t i = 0; i < k.inputs; ++i)
                k.dtypes.push_back(k.name == std::string_view("steps") && i > 0
                                       ? k.dtypes[0]
                                       : dice_.pick(dtypes));
    }

    void one() {
        static constexpr int thread_counts[] = {1, 2, 3, 8};
        const Threads threads(dice_.pick(thread_counts));
        const Kind& kind = dice_.pick(kinds_);
        const Ufunc& f = dice_.pick(kind.forms);
        const Shape shape = any_shape();
        INFO(kind.name << to_string(shape));
        std::vector<Array> inputs;
        std::vector<ReferenceArray> given;
        for (const DType dtype : kind.dtypes) {
            inputs.push_back(array(inputs.empty() ? shape : narrowed(shape), dtype, 20));
            given.emplace_back(inputs.back());
        }
        CallOptions options;
        std::optional<Array> mask;
        std::optional<ReferenceArray> selected;
        if (dice_.chance(30)) {
            mask = array(narrowed(shape), DType::bool_, 1);
            options.where = *mask;
            selected.emplace(mask->broadcast_to(shape));
        }
        if (dice_.chance(10) && kind.name != std::string_view("steps")) options.dtype = DType::f64;
        static constexpr Order orders[] = {Order::keep, Order::c, Order::fortran, Order::any};
        options.order = dice_.pick(orders);
        const std::vector<DType> results = result_dtypes(kind, options.dtype);
        const std::vector<Array> outs =
            dice_.chance(50) ? outputs(shape, results, inputs) : std::vector<Array>();
        if (outs.size() == 1) options.out = outs[0];
        if (outs.size() == 2) options.outs = {outs[0], outs[1]};
        std::vector<ReferenceArray> before;
        for (std::size_t o = 0; o < kind.results; ++o)
            before.push_back(outs.empty() ? ReferenceArray(shape) : ReferenceArray(outs[o]));
        const std::vector<ReferenceArray> wanted =
            reference_call(kind.reference, shape, given, selected ? &*selected : nullptr, before);

        const std::vector<Array> got = called(f, inputs, options);
        REQUIRE(got.size() == wanted.size());
        for (std::size_t o = 0; o < got.size(); ++o) {
            REQUIRE(got[o].dtype() == (outs.empty() ? results[o] : outs[o].dtype()));
            check_elements(got[o], wanted[o]);
            if (outs.empty() && options.order == Order::c) REQUIRE(got[o].is_contiguous());
            if (outs.empty() && options.order == Order::fortran)
                REQUIRE(got[o].transpose().is_contiguous());
        }
    }

  private:
    Shape any_shape() {
        Shape s;
        if (dice_.chance(2)) {  // pieces, threads
            s.push_back(dice_.between(3000, 100'000));
            if (dice_.chance(30)) s.push_back(dice_.between(1, 3));
            return s;
        }
        const int rank = dice_.between(0, 5);
        for (int d = 0; d < rank; ++d)
            s.push_back(dice_.chance(6) ? 0 : dice_.between(1, dice_.chance(10) ? 40 : 4));
        return s;
    }
    /// A shape that broadcasts to `to`.
    Shape narrowed(const Shape& to) {
        Shape s = to;
        for (int d = 0; d < s.rank(); ++d) s[d] = dice_.chance(20) ? 1 : s[d];
        while (s.rank() > 0 && dice_.chance(15)) s.erase(0);
        return s;
    }
    Array array(const Shape& shape, DType dtype, int high) {
        const Array a = random_strided(dice_, shape, dtype, 40), values = empty(shape, DType::i32);
        for (std::int64_t i = 0; i < values.size(); ++i)
            reinterpret_cast<std::int32_t*>(values.data())[i] = dice_.between(0, high);
        a.assign(values, Casting::unsafe);
        return a;
    }
    static std::vector<DType> result_dtypes(const Kind& kind, std::optional<DType> dtype) {
        if (dtype) return std::vector(kind.results, *dtype);
        if (!kind.own_results.empty()) return kind.own_results;
        DType common = kind.dtypes[0];
        for (const DType d : kind.dtypes) common = promote(common, d);
        return std::vector(kind.results, common);
    }
    /// Apart from the inputs, or one of them, also backwards.
    std::vector<Array> outputs(const Shape& shape, const std::vector<DType>& results,
                               const std::vector<Array>& inputs) {
        std::vector<Array> outs;
        for (const DType result : results) {
            const Array& input = dice_.pick(inputs);
            if (results.size() == 1 && dice_.chance(30) && input.shape() == shape &&
                can_cast(result, input.dtype(), Casting::same_kind))
                outs.push_back(dice_.chance(50) || shape.rank() == 0
                                   ? input
                                   : input.flip(dice_.between(0, shape.rank() - 1)));
            else
                outs.push_back(array(shape, dice_.chance(70) ? result : DType::f64, 20));
        }
        return outs;
    }
    static std::vector<Array> called(const Ufunc& f, const std::vector<Array>& x,
                                     const CallOptions& options) {
        switch (x.size()) {
            case 1: return f.all(x[0], options);
            case 2: return f.all(x[0], x[1], options);
            default: return f.all(x[0], x[1], x[2], options);
        }
    }

    Dice dice_;
    std::vector<Kind> kinds_;
};

}  // namespace

// KILN_RANDOM_CALLS=1000000 for more of them, KILN_RANDOM_SEED for the same ones.
TEST_CASE("random calls give what plain indexing gives", "[jit][ufunc][random]") {
    const std::uint64_t seed = random_seed();
    INFO("seed " << seed);
    Dice seeds(seed);
    std::optional<Calls> calls;
    for (long call = 0, count = random_calls(10'000); call < count; ++call) {
        INFO("call " << call);
        if (call % calls_of_one_choice == 0) calls.emplace(seeds.bits());
        calls->one();
    }
}

TEST_CASE("random overlapping views are as if inputs were copied first", "[jit][random][overlap]") {
    const std::uint64_t seed = random_seed();
    INFO("seed " << seed);
    Dice dice(seed);
    const auto mix = vectorize("mix", [](Value a, Value b) { return 3 * a - b; });
    for (long round = 0, count = random_calls(400); round < count; ++round) {
        INFO("round " << round);
        // Three views of one buffer, of one shape.
        const Shape shape{dice.between(1, 4), dice.between(1, 5)};
        const Array buffer = arange(200, DType::f64);
        const auto view = [&] {
            const std::int64_t inner = dice.between(1, 2),
                               outer = inner * shape[1] + dice.between(0, 2);
            const Array v = Array::from_memory(buffer.data() + 8 * dice.between(0, 59), DType::f64,
                                               shape, Shape{8 * outer, 8 * inner}, buffer.owner());
            return dice.chance(33) ? v.flip(dice.between(0, 1)) : v;
        };
        const Array a = view(), out = view(), b = dice.chance(33) ? out : view();
        const Array a_before = a.copy(), b_before = b.copy(), all_before = buffer.copy();
        mix(a, b, {.out = out});
        std::vector<bool> written(200);
        for_each_index(shape, [&](const Shape& i) {
            if (out.at<double>(i) != 3 * a_before.at<double>(i) - b_before.at<double>(i))
                REQUIRE(out.at<double>(i) == 3 * a_before.at<double>(i) - b_before.at<double>(i));
            const std::byte* const at = reinterpret_cast<const std::byte*>(&out.at<double>(i));
            written[static_cast<std::size_t>((at - buffer.data()) / 8)] = true;
        });
        for (std::int64_t i = 0; i < 200; ++i) {
            if (!written[static_cast<std::size_t>(i)]) REQUIRE(at(buffer, i) == at(all_before, i));
        }
    }
}
