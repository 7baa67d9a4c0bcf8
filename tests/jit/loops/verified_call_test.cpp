// .verify: the optimised form of a kernel beside the unfused, serial, strict one.
#include "tests/jit/support.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <thread>

using namespace kiln;
using namespace kiln::test;

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();

/// The distance of two positive numbers, as their bits count.
std::uint64_t bits_between(double a, double b) {
    const auto x = std::bit_cast<std::uint64_t>(a), y = std::bit_cast<std::uint64_t>(b);
    return std::max(x, y) - std::min(x, y);
}
std::uint64_t bits_between(float a, float b) {
    const auto x = std::bit_cast<std::uint32_t>(a), y = std::bit_cast<std::uint32_t>(b);
    return std::max(x, y) - std::min(x, y);
}

/// (x - c) + c, which these flags make x.
auto there_and_back(std::optional<std::uint64_t> limit = {}) {
    return jit("there_and_back",
               [](In x, Value c, Out y) {
                   for (Index i : prange(x.extent(0))) y(i) = (x(i) - c) + c;
               },
               {.fastmath = Fastmath::reassoc | Fastmath::nsz,
                .parallel = true,
                .verify = true,
                .verify_ulps = limit,
                .params = {"x", "c", "y"}});
}

TEST_CASE("verify: the first element that fastmath changes, both values, their distance",
          "[jit][program][verify]") {
    const auto f = there_and_back();
    // Near 2^54 doubles are the even numbers, of ties the multiples of 4: 4 and 8 survive, 1 comes
    // back as 0, 3 as 4.
    const double c = 0x1p54;
    std::vector<double> x{4, 8, 3, 1, 8}, y(5);
    f(x, c, y);
    CHECK(y == x);
    const std::vector<Difference> found = f.differences();
    REQUIRE(found.size() == 1);
    CHECK(found[0].what == "y");
    CHECK(found[0].index == Shape{2});
    CHECK(found[0].value.get<double>() == 3);
    CHECK(found[0].expected.get<double>() == 4);
    CHECK(found[0].ulps == std::uint64_t(1) << 51);  // between 2 and 4 they are 2^-51 apart
    CHECK(found[0].count == 2);
    CHECK(found[0].most_ulps == bits_between(0.0, 1.0));
    CHECK(found[0].text() ==
          "y(2) is 3, expected 4 (2251799813685248 ULPs); 2 elements differ, the "
          "farthest by 4607182418800017408 ULPs");
    // The next call starts anew.
    x = {4, 8};
    y.resize(2);
    f(x, c, y);
    CHECK(f.differences().empty());
}

TEST_CASE("verify: each thread is told of its own last call", "[jit][program][verify]") {
    const auto f = there_and_back();
    std::vector<double> x{4, 3}, y(2);
    f(x, 0x1p54, y);
    std::size_t before = 7, own = 7;
    std::thread other([&] {
        before = f.differences().size();
        std::vector<double> exact{4, 8}, z(2);
        f(exact, 0x1p54, z);
        own = f.differences().size();
    });
    other.join();
    CHECK(before == 0);
    CHECK(own == 0);
    REQUIRE(f.differences().size() == 1);
    CHECK(f.differences()[0].index == Shape{1});
}

TEST_CASE("verify: beyond verify_ulps it is an error, with everything written",
          "[jit][program][verify]") {
    const auto strict = there_and_back(0);
    const std::vector<double> x{8, 3}, exact{8, 4};
    std::vector<double> y(2);
    std::uint32_t line = 0;
    const Error error = error_of([&] {
        line = __LINE__ + 1;
        strict(x, 0x1p54, y);
    });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.line() == line);
    CHECK(error.message() ==
          "there_and_back is not what its plain form gives: y(1) is 3, expected 4 "
          "(2251799813685248 ULPs)");
    CHECK(error.hint() ==
          "unfused, serial and strict it gives what is expected; .verify_ulps allows 0");
    CHECK(y == x);
    CHECK(strict.differences().size() == 1);
    CHECK_NOTHROW(strict(exact, 0x1p54, y));
    CHECK_NOTHROW(there_and_back(std::uint64_t(1) << 51)(x, 0x1p54, y));
    CHECK_THROWS(there_and_back((std::uint64_t(1) << 51) - 1)(x, 0x1p54, y));
}

TEST_CASE("verify: NaN and infinities", "[jit][program][verify]") {
    const auto f = there_and_back();
    // With c = inf, the strict form is NaN everywhere.
    std::vector<double> x{nan, inf, 0.5}, y(3);
    f(x, inf, y);
    const std::vector<Difference> found = f.differences();
    REQUIRE(found.size() == 1);
    CHECK(found[0].index == Shape{1});
    CHECK(found[0].value.get<double>() == inf);
    CHECK(std::isnan(found[0].expected.get<double>()));
    CHECK(found[0].ulps == ~std::uint64_t(0));
    CHECK(found[0].count == 2);
    CHECK(
        found[0].text() ==
        "y(1) is inf, expected nan (NaN against a number); 2 elements differ, the farthest by NaN "
        "against a number");
}

TEST_CASE("verify: a sum that fastmath reorders", "[jit][program][verify]") {
    const auto sum = jit(
        [](In x) {
            Var s(DType::f32, 0.0f);
            for (Index i : range(x.extent(0))) s += x(i);
            return std::tuple(Value(s), x.extent(0));
        },
        {.fastmath = true, .verify = true});
    std::vector<float> x(1000);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = 1.0f / static_cast<float>(i + 1);
    const auto [value, count] = sum(x);
    float expected = 0;
    for (const float e : x) expected += e;
    REQUIRE(value.get<float>() != expected);  // else this says nothing
    const std::vector<Difference> found = sum.differences();
    REQUIRE(found.size() == 1);
    CHECK(found[0].what == "result 0");
    CHECK(found[0].index.empty());
    CHECK(found[0].value.get<float>() == value.get<float>());
    CHECK(found[0].expected.get<float>() == expected);
    CHECK(found[0].ulps == bits_between(value.get<float>(), expected));
    CHECK(found[0].count == 1);
    CHECK(count.get<std::int64_t>() == 1000);
}

/// A race: iteration i reads what iteration i - 1 writes. As lanes, which exp makes of it, element
/// 2 is made of the element 1 from before.
template <class Step> auto race(Step step) {
    return jit(
        [step](In x, InOut a) {
            for (Index i : prange(1, a.extent(0), {.unsafe_races = true}))
                a(i) = step(a(i - 1), exp(x(i)));
        },
        {.verify = true, .params = {"x", "a"}});
}

void check_race(const Array& a, const auto& kernel, double value, double expected,
                std::uint64_t ulps) {
    INFO(name(a.dtype()));
    kernel(zeros({40}, DType::f32), a);
    const std::vector<Difference> found = kernel.differences();
    REQUIRE(found.size() == 1);
    CHECK(found[0].what == "a");
    CHECK(found[0].index == Shape{2});
    CHECK(found[0].value.dtype == a.dtype());
    CHECK(found[0].value.cast(DType::f64).get<double>() == value);
    CHECK(found[0].expected.cast(DType::f64).get<double>() == expected);
    CHECK(found[0].ulps == ulps);
}

TEST_CASE("verify: races between iterations, of every dtype", "[jit][program][verify]") {
    const std::pair<DType, std::uint64_t> one_to_two[] = {
        {DType::i8, 1},        {DType::i16, 1},
        {DType::i32, 1},       {DType::i64, 1},
        {DType::u8, 1},        {DType::u16, 1},
        {DType::u32, 1},       {DType::u64, 1},
        {DType::f16, 1 << 10}, {DType::bf16, 1 << 7},
        {DType::f32, 1 << 23}, {DType::f64, std::uint64_t(1) << 52},
        {DType::c64, 1 << 23}, {DType::c128, std::uint64_t(1) << 52}};
    for (const auto& [dtype, ulps] : one_to_two) {
        const auto kernel =
            race([t = dtype](Value before, Value one) { return before + cast(t, one); });
        check_race(zeros({40}, dtype), kernel, 1, 2, ulps);
        const Array wide = zeros({80}, dtype);
        check_race(wide.slice(0, {{}, {}, 2}), kernel, 1, 2, ulps);
    }
    const auto toggled = race([](Value before, Value one) { return before != (one > 0.5); });
    check_race(zeros({40}, DType::bool_), toggled, 1, 0, 1);
}

TEST_CASE("verify: ULPs across zero", "[jit][program][verify]") {
    // 1.5, 0.5, -0.5 ... against 1.5, 0.5, 1 ...
    const auto down = race([](Value before, Value one) { return before - one; });
    const Array a = full({40}, 2.0f);
    a.view<float, 1>()(0) = 1.5f;
    check_race(a, down, 1, -0.5, bits_between(0.0f, 1.0f) + bits_between(0.0f, 0.5f));
    // -0 and 0 are the same: only every second element differs.
    const auto flip = race([](Value before, Value one) { return -(before * one); });
    const Array b = full({40}, -0.0);
    flip(zeros({40}, DType::f32), b);
    CHECK(flip.differences().empty());
}

TEST_CASE("verify: arrays that share memory are copied so that they share it",
          "[jit][program][verify]") {
    const auto shift = jit(
        [](In x, Out y, InOut other) {
            for (Index i : range(x.extent(0))) y(i) = x(i) + 1.0;
            for (Index i : range(x.extent(0))) other(i) += y(i);
        },
        {.verify = true, .verify_ulps = 0});
    const Array a = arange(20.0), z = ones({9});
    // y is one element behind x: a running sum. The gaps between the elements are others' memory.
    shift(a.slice(0, {0, 18, 2}), a.slice(0, {2, 20, 2}), z);
    CHECK(shift.differences().empty());
    for (int i = 0; i < 10; ++i) CHECK(at(a, 2 * i) == i);
    for (int i = 0; i < 10; ++i) CHECK(at(a, 2 * i + 1) == 2 * i + 1);
    for (int i = 0; i < 9; ++i) CHECK(at(z, i) == i + 2);
    // A read-only, broadcast, reversed view of what is written.
    const auto fill = jit(
        [](In x, Out y) {
            for (Index i : range(y.extent(0))) y(i) = x(i) + 2.0;
        },
        {.verify = true, .verify_ulps = 0});
    const Array b = arange(1.0, 7.0);
    fill(b.slice(0, {2, 3}).broadcast_to({6}), b);
    CHECK(values(b) == std::vector<double>{5, 5, 5, 7, 7, 7});
    fill(b.flip(), b);
    CHECK(values(b) == std::vector<double>{9, 9, 9, 11, 11, 11});
    CHECK(fill.differences().empty());
}

TEST_CASE("verify: results, temporaries, fusion, reductions, and arrays of no elements",
          "[jit][program][verify]") {
    const auto f = jit(
        [](In x, Out y) {
            Scratch t(x * 2.0);
            y = t + 1.0;
            Var most(DType::f64, -inf), sum(DType::i64, 0);
            for (Index i : prange(x.extent(0))) {
                most = max(most, x(i));
                sum += cast<std::int64_t>(x(i));
            }
            Scratch kept(x * x);
            return std::tuple(Value(most), kept, Value(sum));
        },
        {.parallel = true, .verify = true, .verify_ulps = 0});
    for (const std::int64_t n : {0, 1, 7, 100'000}) {
        const Array x = arange(static_cast<double>(n)), y = empty({n});
        const auto [most, kept, sum] = f(x, y);
        CHECK(f.differences().empty());
        CHECK(most.get<double>() == (n == 0 ? -inf : static_cast<double>(n - 1)));
        CHECK(kept.shape() == Shape{n});
        CHECK(sum.get<std::int64_t>() == n * (n - 1) / 2);
        if (n > 1) CHECK(at(kept, n - 1) == static_cast<double>((n - 1) * (n - 1)));
        if (n > 1) CHECK(at(y, n - 1) == 2.0 * static_cast<double>(n - 1) + 1);
    }
    CHECK(f.stats().misses == 2);  // extents of 1 are of the type where whole arrays are used
    CHECK(f.stats().hits == 2);
    // Rank 0, and a result of several dimensions with a planted difference.
    const auto g = jit(
        [](In x, Out y, Value c) {
            y() = x(0, 0);
            return Scratch((x - c) + c);
        },
        {.fastmath = Fastmath::reassoc | Fastmath::nsz, .verify = true, .params = {"x", "y", "c"}});
    const Array x = Array::of({{4.0, 8.0}, {8.0, 1.0}}), y = zeros({});
    const Array z = g(x, y, 0x1p54);
    CHECK(values(z) == values(x));
    REQUIRE(g.differences().size() == 1);
    CHECK(g.differences()[0].text() == "result(1, 1) is 1, expected 0 (4607182418800017408 ULPs)");
}

TEST_CASE("verify: fast(...) is strict in the plain form; faults are found once",
          "[jit][program][verify]") {
    const auto f = jit(
        [](In x, Out y, Value c) {
            for (Index i : range(x.extent(0)))
                y(i) = fast(Fastmath::reassoc | Fastmath::nsz, [&] { return (x(i) - c) + c; });
        },
        {.checked = true, .verify = true, .params = {"x", "y", "c"}});
    std::vector<double> x{4, 1}, y(2), shorter(1);
    f(x, y, 0x1p54);
    REQUIRE(f.differences().size() == 1);
    CHECK(f.differences()[0].index == Shape{1});
    CHECK(error_of([&] { f(x, shorter, 0x1p54); }).message() ==
          "index (1,) is outside of y of shape (1,)");
}

TEST_CASE("verify: the shapes of results may differ too", "[jit][program][verify]") {
    const auto f = jit(
        [](In x, Value c) {
            Scratch s(DType::f64, {2, cast<std::int64_t>((x(0) - c) + c)});
            s = x(0);
            return s;
        },
        {.fastmath = Fastmath::reassoc | Fastmath::nsz, .verify = true});
    CHECK(f(std::vector<double>{3}, 0x1p54).shape() == Shape{2, 3});
    REQUIRE(f.differences().size() == 1);
    CHECK(f.differences()[0].text() == "the shape of result(1) is 3, expected 4 (1 ULP)");
}

}  // namespace
