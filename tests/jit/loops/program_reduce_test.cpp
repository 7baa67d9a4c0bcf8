// Reductions of parallel loops: declared ones, positions of extremes, and what is refused; and
// parallel loops inside of others.
#include "dsl/ir/text.h"
#include "tests/jit/support.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace kiln;
using kiln::test::error_of;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

TEST_CASE("reduce: declared reductions of every kind", "[jit][program][reduce]") {
    for (const bool parallel : {false, true}) {
        const auto f = jit(
            [](In x) {
                Var sum(DType::i64, 5), product(DType::f64, 1.0), least(DType::f64, infinity),
                    most(DType::f64, -infinity), bits(DType::u8, std::uint8_t(255)),
                    some(DType::u8, std::uint8_t(0)), odd(DType::u8, std::uint8_t(0));
                Var all_positive(true), any_large(false);
                for (Index i : prange(x.extent(0))) {
                    reduce(sum, Reduce::sum, i);
                    reduce(product, Reduce::product, 1.0 + 1.0 / (x(i) + 1.0));
                    reduce(least, Reduce::min, x(i));
                    reduce(most, Reduce::max, x(i));
                    reduce(bits, Reduce::all_bits, cast<std::uint8_t>(i | 64));
                    reduce(some, Reduce::any_bit, cast<std::uint8_t>(i & 3));
                    reduce(odd, Reduce::parity, cast<std::uint8_t>(i));
                    reduce(all_positive, Reduce::all, x(i) >= 0.0);
                    reduce(any_large, Reduce::any, x(i) > 4000.0);
                }
                return std::tuple(Value(sum), Value(product), Value(least), Value(most),
                                  Value(bits), Value(some), Value(odd), Value(all_positive),
                                  Value(any_large));
            },
            {.parallel = parallel});
        for (const std::int64_t n : {0, 1, 3, 1024, 5000}) {
            const auto [sum, product, least, most, bits, some, odd, all, any] =
                f(arange(n, DType::f64));
            CHECK(sum.get<std::int64_t>() == 5 + n * (n - 1) / 2);
            CHECK(product.get<double>() == Approx(static_cast<double>(n + 1)).epsilon(1e-12));
            CHECK(least.get<double>() == (n == 0 ? infinity : 0.0));
            CHECK(most.get<double>() == (n == 0 ? -infinity : static_cast<double>(n - 1)));
            std::uint8_t both = 255, either = 0, parity = 0;
            for (std::int64_t i = 0; i < n; ++i) {
                both &= static_cast<std::uint8_t>(i | 64);
                either |= static_cast<std::uint8_t>(i & 3);
                parity ^= static_cast<std::uint8_t>(i);
            }
            CHECK(bits.get<std::uint8_t>() == both);
            CHECK(some.get<std::uint8_t>() == either);
            CHECK(odd.get<std::uint8_t>() == parity);
            CHECK(all.get<bool>());
            CHECK(any.get<bool>() == (n > 4001));
        }
    }
}

TEST_CASE("reduce: outside of a prange it is one step", "[jit][program][reduce]") {
    const auto f = jit([](In x) -> Value {
        Var sum(DType::f64, 1.0);
        for (Index i : range(x.extent(0))) {
            reduce(sum, Reduce::sum, x(i));
            sum = sum * 2.0;
        }
        return sum;
    });
    CHECK(f(std::vector<double>{1, 2}).get<double>() == 12);
}

struct Extremes {
    std::int64_t least_at, most_at;
    double least, most;
};

auto positions_kernel(bool parallel) {
    return jit(
        [](In x) {
            Var least(x.dtype(), x(0)), least_at(DType::i64, 0);
            Var most(x.dtype(), x(0)), most_at(DType::i64, 0);
            for (Index i : prange(x.extent(0))) {
                reduce_argmin(least, least_at, x(i), i);
                reduce_argmax(most, most_at, x(i), i);
            }
            return std::tuple(Value(least_at), Value(most_at), Value(least), Value(most));
        },
        {.parallel = parallel});
}

/// np.argmin and np.argmax: the first occurrence; a NaN wins.
template <class T> std::size_t first_extreme(const std::vector<T>& x, bool least) {
    std::size_t at = 0;
    for (std::size_t i = 1; i < x.size(); ++i) {
        const bool nan = x[i] != x[i], had_nan = x[at] != x[at];
        if (!had_nan && (nan || (least ? x[i] < x[at] : x[i] > x[at]))) at = i;
    }
    return at;
}

template <class T> void check_positions(const std::vector<T>& x) {
    for (const bool parallel : {false, true}) {
        static const auto serial_kernel = positions_kernel(false),
                          parallel_kernel = positions_kernel(true);
        const auto [least_at, most_at, least, most] =
            (parallel ? parallel_kernel : serial_kernel)(x);
        const std::size_t lowest = first_extreme(x, true), highest = first_extreme(x, false);
        CHECK(least_at.template get<std::int64_t>() == static_cast<std::int64_t>(lowest));
        CHECK(most_at.template get<std::int64_t>() == static_cast<std::int64_t>(highest));
        const auto same = [](T a, T b) { return a == b || (a != a && b != b); };
        CHECK(same(least.template get<T>(), x[lowest]));
        CHECK(same(most.template get<T>(), x[highest]));
    }
}

TEST_CASE("reduce_argmin, reduce_argmax: the first occurrence", "[jit][program][reduce]") {
    check_positions<double>({3.0});
    check_positions<double>({3.0, 1.0, 1.0, 3.0, 2.0});
    check_positions<std::int32_t>({-5, 7, -5, 7});
    check_positions<std::uint64_t>({5, ~std::uint64_t(0), 5, 0, 0});
    for (const std::size_t n : {1023U, 1024U, 1025U, 300000U}) {
        std::vector<double> x(n);
        // Few different values, so that there are many ties, in every block.
        for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<double>(i * 7919 % 101);
        check_positions(x);
        x[n / 2] = -1;
        x[n - 1] = -1;
        x[n / 3] = 1000;
        check_positions(x);
        std::vector<float> same(n, 2.5F);
        check_positions(same);
    }
}

TEST_CASE("reduce_argmin, reduce_argmax: the first NaN wins", "[jit][program][reduce]") {
    const double nan = std::nan("");
    check_positions<double>({nan});
    check_positions<double>({1.0, nan, -infinity, nan});
    check_positions<double>({nan, 1.0, nan});
    std::vector<double> x(100000, 1.0);
    x[70000] = nan;
    x[99999] = nan;
    check_positions(x);
    std::vector<double> zeros_of_both_signs{0.0, -0.0, 0.0};
    check_positions(zeros_of_both_signs);
}

TEST_CASE("reduce_argmin: the same for any number of threads, and from the given start",
          "[jit][program][reduce]") {
    const auto f = jit(
        [](In x, Value start, Value start_at) {
            Var least(DType::f64, start);
            Var at(DType::i32, start_at);
            for (Index i : prange(x.extent(0)))
                if_(x(i) > 0.0, [&] { reduce_argmin(least, at, x(i), cast<std::int32_t>(i)); });
            return std::pair(Value(least), Value(at));
        },
        {.parallel = true});
    std::vector<double> x(200000);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i * 31 % 1009) - 500;
    // The first i with i * 31 % 1009 == 501.
    std::int32_t expected = 0;
    while (expected * 31 % 1009 != 501) ++expected;
    const int before = num_threads();
    for (const int threads : {1, 2, 3, 8}) {
        set_num_threads(threads);
        const auto [least, at] = f(x, infinity, std::int32_t(-1));
        CHECK(least.get<double>() == 1);
        CHECK(at.get<std::int32_t>() == expected);
        // What was there before counts once, and first where it is as small.
        const auto [same, first] = f(x, 1.0, std::int32_t(-7));
        CHECK(same.get<double>() == 1);
        CHECK(first.get<std::int32_t>() == -7);
        const auto [none, nowhere] = f(std::vector<double>(5, -1.0), infinity, std::int32_t(-1));
        CHECK(none.get<double>() == infinity);
        CHECK(nowhere.get<std::int32_t>() == -1);
    }
    set_num_threads(before);
}

TEST_CASE("reduce: the text of a loop says what it reduces", "[jit][program][reduce]") {
    const std::string all = positions_kernel(true).inspect(Artifact::passes, {f64[1]});
    const std::string text = all.substr(all.find('\n', all.rfind("; after ")) + 1);
    CHECK(text.find("parallel automatic 0 (c0 -> (v0, v1), c1 -> (v2, v3))") != std::string::npos);
    CHECK(text.find(
              "  c0 = kernel argmin(a0: value f64, a1: value i64, b0: value f64, b1: value i64, "
              "r0: out f64 unit, r1: out i64 unit) combine {") != std::string::npos);
    const ir::Kernel kernel = ir::parse(text);
    CHECK(ir::verify(kernel).empty());
    CHECK(ir::print(kernel) == text.substr(0, text.find_last_not_of('\n') + 2));
    const auto broken = [&](std::string from, std::string to) {
        std::string other = text;
        other.replace(other.find(from), from.size(), to);
        return ir::verify(ir::parse(other));
    };
    CHECK(broken("c0 -> (v0, v1), ", "c0 -> (v0), ").find("is not a state of c0") !=
          std::string::npos);
    CHECK(broken("c0 -> (v0, v1), ", "c0 -> (v1, v0), ").find("is not a state of c0") !=
          std::string::npos);
    CHECK(broken("c1 -> (v2, v3)", "c2 -> (v2, v3)").find("combination 2 of 2") !=
          std::string::npos);
    CHECK(broken("c1 -> (v2, v3)", "c1 -> (v2, v1)").find("two reductions into one slot") !=
          std::string::npos);
    CHECK(broken("b1: value i64, r0", "b1: value i32, r0").find("states of different dtypes") !=
          std::string::npos);
}

template <class F> Error refusal(F f) {
    const auto kernel = jit(std::move(f), {.params = {"x"}});
    return error_of([&] { kernel.inspect(Artifact::passes, {f64[1]}); });
}

/// The Vars of the macro below are declared where it stands.
std::string at_line(std::string text, std::uint32_t line) {
    const std::size_t at = text.find("{}");
    return at == std::string::npos ? text : text.replace(at, 2, std::to_string(line));
}

#define CHECK_REFUSAL(kind_, text, hint_, ...)                            \
    do {                                                                  \
        const Error error = refusal([](In x) {                            \
            Var v(DType::f64, 0.0), w(DType::f64, 0.0), n(DType::i64, 0); \
            for (Index i : prange(x.extent(0))) {                         \
                static_cast<void>(i);                                     \
                __VA_ARGS__;                                              \
            }                                                             \
            return std::tuple(Value(v), Value(w), Value(n));              \
        });                                                               \
        CHECK(error.kind() == ErrorKind::kind_);                          \
        CHECK(error.line() == std::source_location::current().line());    \
        CHECK(error.message() == at_line(text, error.line()));            \
        CHECK(error.hint() == (hint_));                                   \
    } while (false)

TEST_CASE("reduce: what is refused", "[jit][program][reduce]") {
    const std::string declare =
        "declare it inside, or only accumulate into it: += -= *= /= &= |= ^=, v = minimum(v, e), "
        "v = maximum(v, e), reduce, reduce_argmin, reduce_argmax";
    SECTION("mixed operators") {
        const std::string one = "a Var has one reduction in a loop";
        CHECK_REFUSAL(
            usage,
            "iterations of a prange accumulate into the Var of line {} (f64) by sum and by product",
            one, v += x(i);
            v *= 2.0);
        CHECK_REFUSAL(
            usage,
            "iterations of a prange accumulate into the Var of line {} (f64) by min and by max",
            one, v = min(v, x(i));
            reduce(v, Reduce::max, x(i)));
        CHECK_REFUSAL(
            usage,
            "iterations of a prange accumulate into the Var of line {} (f64) by sum and by argmin",
            one, v += 1.0;
            reduce_argmin(v, n, x(i), i));
        CHECK_REFUSAL(usage,
                      "iterations of a prange accumulate into the Var of line {} (f64) by argmin "
                      "and by argmax",
                      one, reduce_argmin(v, n, x(i), i);
                      reduce_argmax(v, n, x(i), i));
        CHECK_REFUSAL(
            usage,
            "iterations of a prange accumulate into the Var of line {} (f64) by min and by argmin",
            one, v = min(v, x(i));
            reduce_argmin(v, n, x(i), i));
    }
    SECTION("other uses") {
        const std::string read =
            "an iteration of a prange reads the Var of line {} (f64), which others accumulate into";
        const std::string read_position =
            "an iteration of a prange reads the Var of line {} (i64), which others accumulate into";
        const std::string after = "its value is known after the loop only";
        CHECK_REFUSAL(usage, read, after, v += x(i); w += v * 2.0);
        CHECK_REFUSAL(usage, read, after, v += x(i); if_(v > 3.0, [&] { w += 1.0; }));
        CHECK_REFUSAL(usage, read, after, reduce_argmin(v, n, x(i), i); w += v);
        CHECK_REFUSAL(usage, read_position, after, reduce_argmin(v, n, x(i), i);
                      w += cast<double>(n));
        const std::string written =
            "iterations of a prange write the Var of line {} (f64), which is declared outside of "
            "it";
        const std::string counted =
            "iterations of a prange write the Var of line {} (i64), which is declared outside of "
            "it";
        CHECK_REFUSAL(usage, written, declare, v = x(i));
        CHECK_REFUSAL(usage, written, declare, v = v * v);
        CHECK_REFUSAL(usage, written, declare, v = 1.0 - v);
        CHECK_REFUSAL(usage, written, declare, v = v / 2.0 + 1.0);
        CHECK_REFUSAL(usage, counted, declare, n /= 2);
        CHECK_REFUSAL(usage, counted, declare, n %= 2);
        CHECK_REFUSAL(usage, counted, declare, n <<= 1);
        CHECK_REFUSAL(usage, counted, declare, reduce_argmin(n, n, i, i));
        CHECK_REFUSAL(usage, written, declare, if_(x(i) < v, [&] {
                          v = x(i);
                          n = i;
                      }));
    }
    SECTION("a shared Local") {
        CHECK(refusal([](In x) {
                  Local l(DType::f64, 4);
                  for (Index i : prange(x.extent(0))) l(i % 4) = x(i);
                  return Value(l(0));
              }).message() == "iterations of a prange share the Local of line " +
                                  std::to_string(__LINE__ - 5) + " (f64[4]), which they write");
    }
    SECTION("16-bit floats") {
        for (const DType t : {DType::f16, DType::bf16}) {
            const Error error = refusal([=](In x) -> Value {
                Var v(t, 0);
                for (Index i : prange(x.extent(0))) v += cast(t, x(i));
                return v;
            });
            CHECK(error.line() == __LINE__ - 3);
            CHECK(error.message() == "a reduction into the Var of line " +
                                         std::to_string(__LINE__ - 6) + " (" +
                                         std::string(name(t)) + ") would round after every step");
            CHECK(error.hint() == "accumulate in f32: Var v(DType::f32, ...)");
        }
    }
    SECTION("positions") {
        CHECK_REFUSAL(usage,
                      "the Var of line {} (i64), the position of a reduction, is declared inside "
                      "of the prange",
                      "declare it before the loop", Var at(DType::i64, 0);
                      reduce_argmin(v, at, x(i), i));
        CHECK_REFUSAL(
            type, "a position is kept in a Var of an integer type, not in the Var of line {} (f64)",
            "write Var at(DType::i64, -1)", reduce_argmin(v, w, x(i), i));
    }
    SECTION("types") {
        CHECK_REFUSAL(type, "cannot store f64 into the Var of line {} (i64) without narrowing",
                      "write cast<std::int64_t>(...)", reduce(n, Reduce::sum, x(i)));
        CHECK_REFUSAL(type, "all reduces into a bool Var, not into the Var of line {} (i64)", "",
                      reduce(n, Reduce::all, x(i) > 0.0));
    }
    SECTION("unsafe_races leaves it to the user") {
        const auto kernel = jit([](In x) -> Value {
            Var any(DType::f64, 0.0);
            for (Index i : prange(x.extent(0), {.unsafe_races = true}))
                if_(x(i) > 2.0, [&] { any = x(i); });
            return any;
        });
        CHECK(kernel(std::vector<double>{1, 2, 3}).get<double>() == 3);
    }
}

TEST_CASE("nested prange: the inner one is a serial loop, with a remark",
          "[jit][program][reduce]") {
    const auto f = jit(
        [](InOut a) {
            Var total(DType::f64, 0.0);
            for (Index i : prange(a.extent(0))) {
                Var row(DType::f64, 0.0);
                for (Index j : prange(a.extent(1))) {
                    a(i, j) = 10.0 * cast<double>(i) + cast<double>(j);
                    row += a(i, j);
                    total += a(i, j);
                }
                a(i, 0) = row;
            }
            return Value(total);
        },
        {.parallel = true});
    const auto line = static_cast<std::uint32_t>(__LINE__ - 10);
    const Array a = zeros({4, 3});
    // Rows 10 i + (0, 1, 2): 30 i + 3 each.
    CHECK(f(a).get<double>() == 30 * 6 + 4 * 3);
    for (int i = 0; i < 4; ++i) CHECK(a.view<double, 2>()(i, 0) == 30 * i + 3);
    const std::vector<Remark> remarks = f.remarks();
    REQUIRE(std::ranges::any_of(remarks, [&](const Remark& r) {
        return r.line == line &&
               r.text == "this prange runs serially: it is inside of the one at line " +
                             std::to_string(line - 2);
    }));
    // As a serial loop, an inner one may even use what earlier iterations of it made.
    const auto running = jit([](InOut b) {
        for (Index i : prange(b.extent(0)))
            for (Index j : prange(1, b.extent(1))) b(i, j) = b(i, j) + b(i, j - 1);
    });
    const Array b = ones({3, 50});
    running(b);
    CHECK(b.view<double, 2>()(2, 49) == 50);
}

}  // namespace
