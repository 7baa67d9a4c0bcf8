// Random calls of the methods of ufuncs against plain indexing (tests/oracle/ufunc_reference.h): shapes,
// strides, dtypes, axes, masks, outputs that overlap, threads.
#include "tests/dice.h"
#include "tests/jit/support.h"
#include "tests/jit/ufunc/check_elements.h"
#include "tests/oracle/ufunc_reference.h"
#include "tests/random_calls.h"
#include "tests/strided_array.h"
#include "tests/threads.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <optional>

using namespace kiln;
using namespace kiln::test;

namespace {

/// Values of a ufunc's arguments, and what reducing them gives.
struct Kind {
    const char* name;
    ReferenceUfunc reference;
    bool reorderable;
    int low, high;             ///< the values it is tried with
    bool accumulates_in_64;    ///< bool and small integers, as NumPy's add and multiply
    bool may_grow;             ///< results leave the range of small dtypes
    std::vector<Ufunc> forms;  ///< serial and parallel ones
};

std::vector<Kind> all_kinds() {
    const auto forms = [](auto lambda, UfuncOptions options = {}) {
        UfuncOptions parallel = options;
        parallel.parallel = true;
        return std::vector{vectorize("f", lambda, options), vectorize("f", lambda, parallel)};
    };
    const auto mix = [](double a, double b) { return std::fmod(3 * a + b, 101); };
    const auto turn = [](double a, double b) { return std::fmod(a + b, 97); };
    std::vector<Kind> all;
    all.push_back(
        {"add", {std::plus<double>(), 0}, true, -9, 9, true, true, forms([](Value a, Value b) {
             return a + b;
         })});
    all.push_back({"multiply",
                   {std::multiplies<double>(), 1},
                   true,
                   -1,
                   1,
                   true,
                   false,
                   forms([](Value a, Value b) { return a * b; })});
    all.push_back({"maximum",
                   {[](double a, double b) { return std::max(a, b); }, {}},
                   true,
                   -50,
                   50,
                   false,
                   false,
                   forms([](Value a, Value b) { return max(a, b); })});
    all.push_back({"minimum",
                   {[](double a, double b) { return std::min(a, b); }, {}},
                   true,
                   -50,
                   50,
                   false,
                   false,
                   forms([](Value a, Value b) { return min(a, b); })});
    // In order: nothing says that they are associative.
    all.push_back({"mix", {mix, {}}, false, 0, 20, false, true, forms([](Value a, Value b) {
                       return (3 * a + b) % 101;
                   })});
    all.push_back({"subtract",
                   {std::minus<double>(), {}},
                   false,
                   -9,
                   9,
                   false,
                   true,
                   forms([](Value a, Value b) { return a - b; })});
    // Associative by declaration, and no operation that is known.
    all.push_back({"turn",
                   {turn, 0},
                   true,
                   0,
                   96,
                   false,
                   true,
                   forms([](Value a, Value b) { return (a + b) % 97; },
                         {.identity = 0, .associative = true})});
    return all;
}

class Calls {
  public:
    explicit Calls(std::uint64_t seed) : dice_(seed), kinds_(all_kinds()) {}

    void one() {
        static constexpr int thread_counts[] = {1, 2, 3, 8};
        const Threads threads(dice_.pick(thread_counts));
        const Kind& kind = dice_.pick(kinds_);
        const Ufunc& f = dice_.pick(kind.forms);
        INFO(kind.name << (&f == &kind.forms[0] ? "" : " parallel"));
        switch (dice_.below(5)) {
            case 0: return accumulate(kind, f);
            case 1: return reduceat(kind, f);
            case 2: return outer(kind, f);
            case 3: return at(kind, f);
            default: return reduce(kind, f);
        }
    }

  private:
    Shape shape(int least_rank, std::int64_t least = 0) {
        Shape s;
        if (dice_.chance(4)) {  // a long axis: blocks, pieces, threads
            if (dice_.chance(50)) s.push_back(dice_.between(1, 3));
            s.push_back(dice_.between(3000, 20'000));
            if (dice_.chance(30)) s.push_back(dice_.between(1, 3));
            return s;
        }
        const int rank = dice_.between(least_rank, 4);
        for (int d = 0; d < rank; ++d)
            s.push_back(dice_.chance(6) ? least : dice_.between(1, dice_.chance(10) ? 40 : 6));
        return s;
    }
    /// Dtypes in which all values and results are exact.
    DType dtype(const Kind& kind) {
        static constexpr DType wide[] = {DType::i32, DType::i64, DType::f32, DType::f64};
        static constexpr DType small[] = {DType::i8,  DType::i16, DType::i32,
                                          DType::i64, DType::f32, DType::f64};
        return kind.may_grow && !kind.accumulates_in_64 ? dice_.pick(wide) : dice_.pick(small);
    }
    DType result_of(const Kind& kind, DType x) const {
        return kind.accumulates_in_64 && is_integer(x) ? DType::i64 : x;
    }
    Array strided(const Shape& shape, DType dtype) {
        return random_strided(dice_, shape, dtype, 40);
    }
    Array array(const Shape& shape, DType dtype, int low, int high) {
        const Array a = strided(shape, dtype), values = empty(shape, DType::i32);
        for (std::int64_t i = 0; i < values.size(); ++i)
            reinterpret_cast<std::int32_t*>(values.data())[i] = dice_.between(low, high);
        a.assign(values, Casting::unsafe);
        return a;
    }
    Array array(const Shape& shape, const Kind& kind) {
        return array(shape, dtype(kind), kind.low, kind.high);
    }
    /// An output: apart from x, or over it where that is of its shape.
    Array output(const Shape& shape, DType result, const Array& x) {
        if (dice_.chance(40) && x.shape() == shape &&
            can_cast(result, x.dtype(), Casting::same_kind) && x.dtype() == result)
            return dice_.chance(50) || x.rank() == 0
                       ? x
                       : x.flip(static_cast<int>(dice_.below(static_cast<std::size_t>(x.rank()))));
        return strided(shape, dice_.chance(70) ? result : DType::f64);
    }
    void compare(const Array& given, const ReferenceArray& wanted, DType dtype) {
        REQUIRE(given.dtype() == dtype);
        check_elements(given, wanted);
    }
    static Axes axes_of(const std::vector<int>& list) {
        switch (list.size()) {
            case 0: return Axes::none();
            case 1: return {list[0]};
            case 2: return {list[0], list[1]};
            case 3: return {list[0], list[1], list[2]};
            default: return {list[0], list[1], list[2], list[3]};
        }
    }

    void reduce(const Kind& kind, const Ufunc& f) {
        const Array x = array(shape(1), kind);
        const int rank = x.rank();
        ReduceOptions options;
        unsigned bits = 1;
        if (dice_.chance(20)) {
            options.axis = Axes::all();
            bits = (1U << rank) - 1;
        } else if (dice_.chance(80)) {
            std::vector<int> list;
            bits = 0;
            for (int d = 0; d < rank; ++d) {
                if (!dice_.chance(50)) continue;
                bits |= 1U << d;
                list.push_back(dice_.chance(50) ? d : d - rank);
            }
            options.axis = axes_of(list);
        }
        options.keepdims = dice_.chance(30);
        std::optional<double> initial;
        if (dice_.chance(25)) {
            const int value = dice_.between(std::max(kind.low, 0), kind.high);
            initial = value;
            options.initial = Arg(value);
        }
        std::optional<Array> mask;
        std::optional<ReferenceArray> selected;
        if (dice_.chance(25)) {
            Shape narrowed = x.shape();
            for (int d = 0; d < rank; ++d)
                if (dice_.chance(30)) narrowed[d] = 1;
            mask = array(narrowed, DType::bool_, 0, 1);
            options.where = Arg(*mask);
            selected.emplace(mask->broadcast_to(x.shape()));
        }
        const ReferenceArray before(x);
        const std::optional<ReferenceArray> wanted =
            reference_reduce(kind.reference, before, bits, options.keepdims, initial,
                             selected ? &*selected : nullptr);
        DType dtype = result_of(kind, x.dtype());
        Array out;  // options only refer to it
        INFO("reduce of " << name(x.dtype()) << to_string(x.shape()) << ", axes " << bits
                          << (mask ? ", mask" : "") << (initial ? ", initial" : ""));
        if (wanted && dice_.chance(40)) {
            out = output(wanted->shape, dtype, x);
            dtype = out.dtype();
            options.out = out;
        }
        const bool several = std::popcount(bits) > 1 && !kind.reorderable;
        if (several || !wanted) {
            try {
                f.reduce(x, options);
                FAIL("no error");
            } catch (const Error& e) {
                CHECK(e.kind() == (several ? ErrorKind::usage : ErrorKind::shape));
            }
            return;
        }
        compare(f.reduce(x, options), *wanted, dtype);
    }

    void accumulate(const Kind& kind, const Ufunc& f) {
        const Array x = array(shape(1), kind);
        const int axis = dice_.between(0, x.rank() - 1);
        const ReferenceArray wanted = reference_accumulate(kind.reference, ReferenceArray(x), axis);
        AccumulateOptions options{.axis = dice_.chance(50) ? axis : axis - x.rank()};
        DType dtype = result_of(kind, x.dtype());
        Array out;  // options only refer to it
        if (dice_.chance(40)) {
            out = output(x.shape(), dtype, x);
            dtype = out.dtype();
            options.out = out;
        }
        INFO("accumulate of " << name(x.dtype()) << to_string(x.shape()) << ", axis " << axis);
        compare(f.accumulate(x, options), wanted, dtype);
    }

    void reduceat(const Kind& kind, const Ufunc& f) {
        const Array x = array(shape(1, 1), kind);
        const int axis = dice_.between(0, x.rank() - 1);
        std::vector<std::int64_t> starts(dice_.below(8));
        for (std::int64_t& s : starts)
            s = static_cast<std::int64_t>(dice_.below(static_cast<std::size_t>(x.extent(axis))));
        if (dice_.chance(50)) std::ranges::sort(starts);
        const ReferenceArray wanted =
            reference_reduceat(kind.reference, ReferenceArray(x), starts, axis);
        ReduceAtOptions options{.axis = dice_.chance(50) ? axis : axis - x.rank()};
        DType dtype = result_of(kind, x.dtype());
        Array out;  // options only refer to it
        if (dice_.chance(40)) {
            out = output(wanted.shape, dtype, x);
            dtype = out.dtype();
            options.out = out;
        }
        INFO("reduceat of " << name(x.dtype()) << to_string(x.shape()) << ", axis " << axis << ", "
                            << starts.size() << " segments");
        compare(f.reduceat(x, starts, options), wanted, dtype);
    }

    void outer(const Kind& kind, const Ufunc& f) {
        const auto small = [&] {
            Shape s;
            const int rank = dice_.between(0, 2);
            for (int d = 0; d < rank; ++d) s.push_back(dice_.between(dice_.chance(6) ? 0 : 1, 6));
            return s;
        };
        const DType type = dtype(kind);
        const Array a = array(small(), type, kind.low, kind.high),
                    b = array(small(), type, kind.low, kind.high);
        INFO("outer of " << to_string(a.shape()) << " and " << to_string(b.shape()));
        compare(f.outer(a, b),
                reference_outer(kind.reference, ReferenceArray(a), ReferenceArray(b)), type);
    }

    void at(const Kind& kind, const Ufunc& f) {
        DType type = dtype(kind);
        if (kind.may_grow && size_of(type) < 4) type = DType::i32;
        const Array x = array(shape(1, 1), type, kind.low, kind.high);
        Shape places;
        const int rank = dice_.between(0, 2);
        for (int d = 0; d < rank; ++d) places.push_back(dice_.between(0, 8));
        const auto extent = static_cast<int>(x.extent(0));
        const bool negative = dice_.chance(40);
        const Array indices = array(places, dice_.chance(70) ? DType::i64 : DType::i32,
                                    negative ? -extent : 0, extent - 1);
        Shape all = places;
        for (int d = 1; d < x.rank(); ++d) all.push_back(x.extent(d));
        Shape narrowed = all;
        while (narrowed.rank() > 0 && dice_.chance(25)) narrowed.erase(0);
        for (int d = 0; d < narrowed.rank(); ++d)
            if (dice_.chance(25)) narrowed[d] = 1;
        const Array values = array(narrowed, type, kind.low, kind.high);
        ReferenceArray wanted(x);
        reference_at(kind.reference, wanted, ReferenceArray(indices),
                     ReferenceArray(values.broadcast_to(all)));
        INFO("at of " << name(type) << to_string(x.shape()) << ", indices " << to_string(places)
                      << ", values " << to_string(narrowed));
        f.at(x, indices, values);
        compare(x, wanted, type);
    }

    Dice dice_;
    std::vector<Kind> kinds_;
};

}  // namespace

// KILN_RANDOM_CALLS=1000000 for more of them, KILN_RANDOM_SEED for the same ones.
TEST_CASE("random calls of methods of ufuncs give what plain indexing gives",
          "[jit][ufunc][random]") {
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
