// Reductions: the facts of NumPy's reduce family, the fixed tree, accuracy, threads.
#include "tests/jit/support.h"
#include "tests/oracle/interpreter.h"
#include "tests/threads.h"

#include "dsl/ir/text.h"

#include <bit>
#include <cmath>
#include <complex>
#include <cstring>
#include <random>

using namespace kiln;
using kiln::test::Threads;
using test::check_values;
using test::error_of;

namespace {

/// The number of columns and of rows at which the tree is cut (jit/reduce/reduce.h).
constexpr std::int64_t block = 4096, block_of_rows = 128;

/// Reproducible numbers in [-1, 1), or small integers, of any dtype.
Array numbers(const Shape& shape, DType dtype, unsigned seed = 1) {
    std::mt19937 random(seed);
    const std::int64_t n = element_count(shape);
    std::vector<double> values;
    for (std::int64_t i = 0; i < n; ++i) {
        const double x = static_cast<double>(random()) / 2147483648.0 - 1;
        values.push_back(is_real(dtype) || is_complex(dtype) ? x : std::floor(50 * (x + 1)));
    }
    return Array(std::move(values)).reshape(shape).astype(dtype);
}

std::vector<std::byte> bytes(const Array& a) {
    const Array c = a.copy();
    return {c.data(), c.data() + c.nbytes()};
}

std::vector<bool> as_bools(const Array& a) {
    std::vector<bool> all;
    for (const double x : test::values(a)) all.push_back(x != 0);
    return all;
}

/// The sum over some axes, element by element in long double (exact for integers below 2^63).
std::vector<long double> plain_sums(const Array& x, const std::vector<int>& axes) {
    Shape kept;
    for (int d = 0; d < x.rank(); ++d) {
        if (std::find(axes.begin(), axes.end(), d) == axes.end()) kept.push_back(x.extent(d));
    }
    std::vector<long double> sums(static_cast<std::size_t>(element_count(kept)), 0);
    Shape index = Shape::filled(x.rank(), 0);
    for (std::int64_t i = 0; i < x.size(); ++i) {
        std::int64_t rest = i, at = 0;
        for (int d = x.rank(); d-- > 0;) {
            index[d] = rest % x.extent(d);
            rest /= x.extent(d);
        }
        for (int d = 0; d < x.rank(); ++d) {
            if (std::find(axes.begin(), axes.end(), d) == axes.end())
                at = at * x.extent(d) + index[d];
        }
        sums[static_cast<std::size_t>(at)] += x.scalar_at(index).cast(f64).get<double>();
    }
    return sums;
}

void check_sums(const Array& x, const std::vector<int>& axes, const Array& got, double tolerance) {
    const std::vector<long double> expected = plain_sums(x, axes);
    REQUIRE(static_cast<std::int64_t>(expected.size()) == got.size());
    const std::vector<double> values = test::values(got);
    for (std::size_t i = 0; i < values.size(); ++i) {
        INFO("element " << i << " of " << to_string(x.shape()));
        CHECK(std::abs(values[i] - static_cast<double>(expected[i])) <= tolerance);
    }
}

}  // namespace

TEST_CASE("reduce: axes, keepdims and shapes", "[jit][reduce]") {
    const Array m = arange(12).reshape({3, 4});
    CHECK(sum(m).shape() == Shape());
    CHECK(sum(m).item<std::int64_t>() == 66);
    check_values(sum(m, {.axis = 0}), {12, 15, 18, 21});
    check_values(sum(m, {.axis = 1}), {6, 22, 38});
    check_values(sum(m, {.axis = -1}), {6, 22, 38});
    check_values(sum(m, {.axis = {0, 1}}), {66});
    check_values(sum(m, {.axis = {1, -2}}), {66});
    CHECK(sum(m, {.axis = 0, .keepdims = true}).shape() == Shape{1, 4});
    CHECK(sum(m, {.axis = 1, .keepdims = true}).shape() == Shape{3, 1});
    CHECK(sum(m, {.keepdims = true}).shape() == Shape{1, 1});
    const Array same = sum(m, {.axis = Axes::none()});
    CHECK(same.shape() == Shape{3, 4});
    CHECK(test::values(same) == test::values(m));
    CHECK(amax(m, {.axis = 0}).dtype() == DType::i64);
    check_values(prod(Array::of({1, 2, 3, 4})), {24});
    check_values(amin(m, {.axis = 1}), {0, 4, 8});
    check_values(amax(m.flip(0), {.axis = 1}), {11, 7, 3});
    check_values(sum(Array::of(f64(2.5))), {2.5});
    check_values(sum(Array::of(f64(2.5)), {.axis = 0}), {2.5});
}

TEST_CASE("reduce: errors", "[jit][reduce]") {
    const Array m = ones({2, 3});
    const auto line = static_cast<std::uint32_t>(__LINE__ + 1);
    const Error axis = error_of([&] { sum(m, {.axis = 2}); });
    CHECK(axis.kind() == ErrorKind::bounds);
    CHECK(axis.message() == "axis 2 of sum is out of bounds for an array of rank 2");
    CHECK(axis.line() == line);
    CHECK(error_of([&] { sum(m, {.axis = -3}); }).kind() == ErrorKind::bounds);
    const Error twice = error_of([&] { sum(m, {.axis = {1, -1}}); });
    CHECK(twice.kind() == ErrorKind::usage);
    CHECK(twice.message() == "axis -1 of sum is listed twice");

    const Error empty_max = error_of([&] { amax(zeros({0})); });
    CHECK(empty_max.kind() == ErrorKind::shape);
    CHECK(empty_max.message() ==
          "zero-size array to reduction operation maximum which has no identity");
    CHECK(error_of([&] { amin(zeros({0})); }).message() ==
          "zero-size array to reduction operation minimum which has no identity");
    CHECK(error_of([&] { amax(zeros({0, 5}), {.axis = 0}); }).kind() == ErrorKind::shape);
    CHECK(error_of([&] { amax(zeros({0, 0, 5}), {.axis = 1}); }).kind() == ErrorKind::shape);
    CHECK(amax(zeros({0, 5}), {.axis = 1}).shape() == Shape(0));

    const Array wrong = zeros({1});
    const Error shape = error_of([&] { sum(m, {.axis = 0, .out = wrong}); });
    CHECK(shape.kind() == ErrorKind::shape);
    CHECK(shape.message() == "the output of sum has shape (1,), its result (3,)");
    CHECK(error_of([&] {
              sum(ones({1, 1}), {.axis = 1, .keepdims = true, .out = zeros({3, 1})});
          }).kind() == ErrorKind::shape);
    CHECK(error_of([&] { sum(m, {.axis = 0, .out = zeros({3}).as_read_only()}); }).kind() ==
          ErrorKind::usage);
    const Array integers = zeros({3}, i32);
    CHECK(error_of([&] { sum(m, {.axis = 0, .out = integers}); }).message() ==
          "cannot cast output of sum from f64 to i32 under same_kind");
    const Array mask = ones({2, 3}, DType::bool_);
    CHECK(error_of([&] { amax(m, {.where = mask}); }).message() ==
          "reduction operation maximum has no identity, so a where= mask needs an initial= value");
    CHECK(error_of([&] { sum(m, {.where = m}); }).kind() == ErrorKind::type);
    const auto bits = map_reduce("bits", [](Value x) { return x; }, Reduce::any_bit);
    CHECK(error_of([&] { bits(zeros({3}, c64)); }).message() == "bits: bit_or does not reduce c64");
    CHECK(error_of([&] { sum(m, {.dtype = i32}); }).kind() == ErrorKind::type);
    CHECK(error_of([&] { sum(zeros({3}, i32), {.initial = 1.5}); }).kind() == ErrorKind::type);
    CHECK(error_of([&] { sum(m, {.initial = m}); }).kind() == ErrorKind::usage);
}

TEST_CASE("reduce: empty arrays give the identity", "[jit][reduce]") {
    check_values(sum(zeros({0})), {0});
    CHECK(!std::signbit(sum(zeros({0})).item<double>()));
    check_values(prod(zeros({0})), {1});
    check_values(sum(zeros({0, 3}), {.axis = 0}), {0, 0, 0});
    CHECK(sum(zeros({0, 3}), {.axis = 1}).shape() == Shape(0));
    check_values(amax(zeros({0}), {.initial = 0.0}), {0});
    check_values(sum(zeros({0}), {.initial = 4.0}), {4});
    CHECK(all(zeros({0})).item<bool>());
    CHECK(!any(zeros({0})).item<bool>());
    const auto bits = map_reduce("bits", [](Value a) { return a; }, Reduce::all_bits);
    CHECK(bits(zeros({0}, u8)).item<std::uint8_t>() == 255);
}

TEST_CASE("reduce: initial and where", "[jit][reduce]") {
    check_values(sum(ones({2, 3, 5}), {.axis = {0, 2}, .initial = 2.0}), {12, 12, 12});
    check_values(amin(Array::of({5}), {.initial = 4}), {4});
    const Array m = arange(9).reshape({3, 3});
    const Array mask = Array::of({false, true, true}).reshape({3, 1});
    const Array across = Array::of({false, true, true});
    check_values(sum(m, {.axis = 0, .where = across}), {0, 12, 15});
    check_values(sum(m, {.axis = 0, .where = mask}), {9, 11, 13});
    check_values(sum(m, {.axis = 1, .where = across}), {3, 9, 15});
    check_values(amax(m, {.axis = 0, .initial = -1, .where = Array::of({false, true, false})}),
                 {-1, 7, -1});
    const Array none = zeros({3}, DType::bool_);
    const Array zero = sum(ones({3}), {.where = none});
    check_values(zero, {0});
    CHECK(!std::signbit(zero.item<double>()));
}

TEST_CASE("reduce: what is accumulated in", "[jit][reduce]") {
    CHECK(sum(ones({300}, i8)).dtype() == DType::i64);
    CHECK(sum(ones({300}, i8)).item<std::int64_t>() == 300);
    CHECK(sum(ones({300}, u16)).dtype() == DType::u64);
    CHECK(sum(ones({300}, DType::bool_)).item<std::int64_t>() == 300);
    CHECK(prod(full({3}, i8(100))).item<std::int64_t>() == 1'000'000);
    CHECK(sum(ones({300}, i8), {.dtype = i8}).item<std::int8_t>() == 44);
    CHECK(sum(ones({300}, i8), {.dtype = f32}).item<float>() == 300);
    CHECK(amax(ones({300}, i8)).dtype() == DType::i8);
    CHECK(amin(ones({3}, DType::bool_)).dtype() == DType::bool_);
    CHECK(sum(full({3}, std::int64_t(1) << 62)).item<std::int64_t>() ==
          static_cast<std::int64_t>(std::uint64_t(3) << 62));
    // 1 + 2048 ones: beyond 2048 every second integer is missing in f16, so it is summed in f32.
    const Array halves = ones({4001}, f16);
    CHECK(sum(halves).dtype() == DType::f16);
    CHECK(sum(halves).item().cast(f64).get<double>() == 4000);  // 4001 to even
    const Array out = zeros({}, f32);
    CHECK(exactly_same(sum(ones({5}), {.out = out}), out));
    check_values(out, {5});
}

TEST_CASE("reduce: all dtypes, along both axes", "[jit][reduce]") {
    for (std::size_t i = 0; i < dtype_count; ++i) {
        const auto dtype = static_cast<DType>(i);
        INFO(std::string(name(dtype)));
        const Array x = numbers({37, 301}, dtype);
        const double tolerance = is_integer(dtype) || is_bool(dtype)           ? 0
                                 : dtype == DType::f16 || dtype == DType::bf16 ? 0.5
                                                                               : 1e-4;
        check_sums(x, {0}, sum(x, {.axis = 0}), tolerance);
        check_sums(x, {1}, sum(x, {.axis = 1}), tolerance);
        check_sums(x, {0, 1}, sum(x), 10 * tolerance);
        if (is_complex(dtype)) continue;
        double low = 1e30, high = -1e30;
        for (const double v : test::values(x)) {
            low = std::min(low, v);
            high = std::max(high, v);
        }
        check_values(amin(x), {low});
        check_values(amax(x), {high});
        check_values(amax(amax(x, {.axis = 0})), {high});
        CHECK(amax(x).dtype() == dtype);
        CHECK(any(x).item<bool>());
        CHECK(!any(zeros({301}, dtype)).item<bool>());
        CHECK(all(ones({301}, dtype), {.axis = 0}).item<bool>());
    }
}

TEST_CASE("reduce: complex sums and products", "[jit][reduce]") {
    using C = std::complex<double>;
    const Array z = Array::of({C(1, 2), C(3, -1), C(0, 1)});
    CHECK(sum(z).item<C>() == C(4, 2));
    CHECK(prod(z).item<C>() == C(1, 2) * C(3, -1) * C(0, 1));
    CHECK(prod(z.astype(c64)).item<std::complex<float>>() == std::complex<float>(-5, 5));
    std::vector<C> many(1000, C(0, 1));
    CHECK(prod(Array(many)).item<C>() == C(1, 0));
    CHECK(prod(Array(many).reshape({500, 2}), {.axis = 0}).at<C>(1) == C(1, 0));
    CHECK(dot(z, z).item<C>() == C(1, 2) * C(1, 2) + C(3, -1) * C(3, -1) + C(-1, 0));
}

TEST_CASE("reduce: NaN, infinities, signs of zeros", "[jit][reduce]") {
    const double nan = std::nan(""), inf = INFINITY;
    for (const std::int64_t n : {3, 100, 5000}) {
        for (const std::int64_t at : {std::int64_t(0), n / 2, n - 1}) {
            const Array x = ones({n});
            x.at<double>(at) = nan;
            CHECK(std::isnan(amax(x).item<double>()));
            CHECK(std::isnan(amin(x).item<double>()));
            CHECK(std::isnan(sum(x).item<double>()));
            x.at<double>(at) = -inf;
            CHECK(amin(x).item<double>() == -inf);
            CHECK(amax(x).item<double>() == (n == 1 ? -inf : 1));
        }
        CHECK(amax(full({n}, -inf)).item<double>() == -inf);
        CHECK(amin(full({n}, inf)).item<double>() == inf);
        CHECK(std::signbit(sum(full({n}, -0.0)).item<double>()));
        CHECK(std::isnan(sum(full({n}, inf), {.initial = -inf}).item<double>()));
    }
}

TEST_CASE("reduce: sizes around the blocks, the same bits on any number of threads",
          "[jit][reduce]") {
    const auto product = map_reduce("product", [](Value a, Value b) { return a * b; }, Reduce::sum,
                                    {.parallel = true});
    for (const std::int64_t n :
         {std::int64_t(0), std::int64_t(1), std::int64_t(2), std::int64_t(15), block - 1, block,
          block + 1, 3 * block, std::int64_t(1'000'003)}) {
        INFO(n);
        const Array x = numbers({n}, f32, 1), y = numbers({n}, f32, 2), k = numbers({n}, i32, 3);
        std::optional<std::array<std::vector<std::byte>, 4>> first;
        for (const int threads : {1, 2, 3, 8}) {
            const Threads limit(threads);
            const std::array<std::vector<std::byte>, 4> now{bytes(sum(x)), bytes(product(x, y)),
                                                            bytes(sum(k)), bytes(sum(x.flip()))};
            if (first) CHECK(now == *first);
            first = now;
        }
        check_sums(x, {0}, sum(x), 1e-3);
        check_sums(k, {0}, sum(k), 0);
        long double expected = 0;
        for (std::int64_t i = 0; i < n; ++i)
            expected += static_cast<long double>(x.at<float>(i)) * y.at<float>(i);
        CHECK(std::abs(test::at(product(x, y), 0) - static_cast<double>(expected)) < 1e-3);
    }
}

TEST_CASE("reduce: rows of any number, along axis 0 and 1, on any number of threads",
          "[jit][reduce]") {
    for (const std::int64_t rows :
         {std::int64_t(1), std::int64_t(2), std::int64_t(7), std::int64_t(8), std::int64_t(9),
          std::int64_t(16), std::int64_t(17), block_of_rows - 1, block_of_rows, block_of_rows + 1,
          block_of_rows + 8, std::int64_t(2500)}) {
        for (const std::int64_t columns : {1, 3, 40, 100, 700}) {
            INFO(rows << " x " << columns);
            const Array x = numbers({rows, columns}, f64);
            std::optional<std::array<std::vector<std::byte>, 4>> first;
            for (const int threads : {1, 2, 3, 8}) {
                const Threads limit(threads);
                const std::array<std::vector<std::byte>, 4> now{
                    bytes(sum(x, {.axis = 0})), bytes(sum(x, {.axis = 1})),
                    bytes(sum(x.transpose(), {.axis = 0})), bytes(amax(x, {.axis = 0}))};
                if (first) CHECK(now == *first);
                first = now;
            }
            check_sums(x, {0}, sum(x, {.axis = 0}), 1e-11);
            check_sums(x, {1}, sum(x, {.axis = 1}), 1e-11);
        }
    }
}

TEST_CASE("reduce: large arrays by axis, the same bits on any number of threads", "[jit][reduce]") {
    const Array x = numbers({1111, 1003}, f32);
    for (const int axis : {0, 1}) {
        std::optional<std::vector<std::byte>> first;
        for (const int threads : {1, 2, 3, 8}) {
            const Threads limit(threads);
            const std::vector<std::byte> now = bytes(sum(x, {.axis = axis}));
            if (first) CHECK(now == *first);
            first = now;
        }
        check_sums(x, {axis}, sum(x, {.axis = axis}), 1e-4);
    }
}

TEST_CASE("reduce: axes of three dimensions, transposed, reversed, sliced", "[jit][reduce]") {
    const Array base = numbers({6, 40, 21}, i32);
    const std::vector<std::vector<int>> choices = {{0},    {1},    {2},      {0, 1},
                                                   {0, 2}, {1, 2}, {0, 1, 2}};
    const std::vector<Array> views = {
        base,
        base.transpose(),
        base.transpose({1, 2, 0}),
        base.flip(),
        base.flip(1),
        base({}, Slice{{}, {}, 2}, Slice{{}, {}, -3}),
        base(Slice{1, 4}, {}, Slice{2, 19}),
        base.index(1, 3).broadcast_to({5, 6, 21}),
    };
    for (std::size_t v = 0; v < views.size(); ++v) {
        for (const std::vector<int>& axes : choices) {
            INFO("view " << v << ", " << axes.size() << " axes from " << axes[0]);
            const Axes given = axes.size() == 1   ? Axes(axes[0])
                               : axes.size() == 2 ? Axes{axes[0], axes[1]}
                                                  : Axes::all();
            check_sums(views[v], axes, sum(views[v], {.axis = given}), 0);
            const Array x = views[v].astype(f64);
            check_sums(x, axes, sum(views[v], {.axis = given, .dtype = f64}), 0);
        }
    }
}

TEST_CASE("reduce: slices of NumPy's sizes", "[jit][reduce]") {
    for (const std::int64_t n : {0, 1, 2, 7, 8, 9, 15, 16, 19, 127, 128, 1024, 1235}) {
        const Array x = numbers({n}, f64);
        for (const std::int64_t step : {1, 2, -3}) {
            const Array s = x(Slice{{}, {}, step});
            check_sums(s, {0}, sum(s), 1e-12);
            std::vector<bool> bits = as_bools(s);
            CHECK(any(s).item<bool>() == (s.size() > 0));
            CHECK(all(s).item<bool>());
        }
    }
}

TEST_CASE("reduce: accuracy of sums", "[jit][reduce]") {
    const Array tenths = full({10'000'000}, 0.1F);
    CHECK(std::abs(sum(tenths).item<float>() - 1e6F) < 20);
    CHECK(std::abs(test::at(sum(tenths.reshape({10'000, 1'000}), {.axis = 0}), 5) - 1000) < 0.02);
    CHECK(std::abs(sum(full({500}, 0.1)).item<double>() - 50) < 1e-13);
    CHECK(std::abs(test::add_ufunc().reduce(full({500}, 0.1)).item<double>() - 50) < 1e-13);
    CHECK(std::abs(test::at(sum(full({500, 3}, 0.1), {.axis = 0}), 1) - 50) < 1e-13);
}

TEST_CASE("reduce: functions of several arrays", "[jit][reduce]") {
    const auto distance =
        map_reduce("distance", [](Value a, Value b) { return (a - b) * (a - b); }, Reduce::sum);
    const Array points = Array::of({{0.0, 3.0}, {4.0, 0.0}, {1.0, 1.0}});
    const Array origin = Array::of({0.0, 0.0});
    check_values(distance(points, origin, {.axis = 1}), {9, 16, 2});
    check_values(distance(points, origin, {.axis = 0}), {17, 10});
    check_values(distance(points, 1.0, {.axis = 1}), {5, 10, 0});
    const std::vector<float> v{1, 2, 3};
    check_values(distance(v, std::span<const float>(v)), {0});
    const auto branches = map_reduce(
        "branches",
        [](Value a) {
            Var r(a);
            if_(a < 0.0, [&] { r = -a; });
            return r;
        },
        Reduce::max);
    const Array x = numbers({5000}, f64);
    double expected = 0;
    for (const double e : test::values(x)) expected = std::max(expected, std::abs(e));
    check_values(branches(x), {expected});
    check_values(amax(branches(x.reshape({1000, 5}), {.axis = 0})), {expected});
    const auto count = map_reduce("count", [](Value a) { return a > 0.5; }, Reduce::sum);
    std::int64_t number = 0;
    for (const double e : test::values(x)) number += e > 0.5;
    CHECK(count(x).item<std::int64_t>() == number);
    CHECK(error_of([&] { distance(points, ones({3, 3})); }).message() ==
          "distance: cannot broadcast (3,2) with (3,3)");
}

TEST_CASE("reduce: dot", "[jit][reduce]") {
    check_values(dot(Array::of({1.0, 2.0}), Array::of({3.0, 4.0})), {11});
    check_values(dot(zeros({0}), zeros({0})), {0});
    const Error sizes = error_of([] { dot(ones({3}), ones({2})); });
    CHECK(sizes.kind() == ErrorKind::shape);
    CHECK(sizes.message() == "dot of shapes (3,) and (2,): size 3 is different from 2");
    CHECK(error_of([] { dot(ones({3}), ones({1})); }).kind() == ErrorKind::shape);
    CHECK(error_of([] { dot(ones({3, 2}), ones({2})); }).kind() == ErrorKind::unsupported);
    check_values(dot(ones({3, 2}), ones({2}), {.axis = 1}), {2, 2, 2});
    CHECK(error_of([] { dot(ones({3, 2}), ones({3}), {.axis = 1}); }).message() ==
          "dot: cannot broadcast (3,2) with (3,)");
    const Array many = ones({}).broadcast_to({std::int64_t(1) << 33, 1});
    CHECK(error_of([&] { dot(many, many.transpose(), {.axis = 1}); }).message() ==
          "shape (8589934592,8589934592) has more than 2^63 - 1 elements");
}

TEST_CASE("reduce: outputs that overlap the inputs", "[jit][reduce]") {
    const Array x = arange(12, f64).reshape({3, 4});
    const Array first = x.index(0, 1);
    sum(x, {.axis = 0, .out = first});
    check_values(first, {12, 15, 18, 21});
    const Array strided = zeros({8});
    sum(x, {.axis = 0, .out = strided(Slice{{}, {}, -2})});
    CHECK(strided.at<double>(7) == test::at(sum(x, {.axis = 0}), 0));
    CHECK(strided.at<double>(6) == 0);
}

TEST_CASE("reduce: ufuncs of one operation", "[jit][reduce]") {
    const Ufunc add = test::add_ufunc();
    const Array m = arange(6).reshape({2, 3});
    check_values(add.reduce(m), {3, 5, 7});
    check_values(add.reduce(m, {.axis = Axes::all()}), {15});
    check_values(add.reduce(m, {.axis = 1, .keepdims = true}), {3, 12});
    CHECK(add.reduce(ones({300}, i8)).item<std::int64_t>() == 300);
    const auto mul = vectorize("mul", [](Value a, Value b) { return a * b; });
    check_values(mul.reduce(Array::of({1.0, 2.0, 5.0})), {10});
    const auto least = vectorize("least", [](Value a, Value b) { return minimum(a, b); });
    check_values(least.reduce(Array::of({3.0, std::nan(""), 1.0}),
                              {.initial = 9.0, .where = Array::of({true, false, true})}),
                 {1});
    const auto most = vectorize("most", [](Value a, Value b) { return max(a, b); });
    check_values(most.reduce(Array::of({3, 7, 5})), {7});
    CHECK(error_of([&] { most.reduce(zeros({0})); }).message() ==
          "zero-size array to reduction operation maximum which has no identity");
    const auto both = vectorize("both", [](Value a, Value b) { return a && b; });
    CHECK(!both.reduce(Array::of({3.0, 0.0})).item<bool>());
    CHECK(both.reduce(Array::of({3.0, 2.0})).dtype() == DType::bool_);
    const auto bits = vectorize("bits", [](Value a, Value b) { return a ^ b; });
    check_values(bits.reduce(Array::of({3, 5, 9})), {15});

    // Any other kernel goes from element to element.
    const auto divide = vectorize("divide", [](Value a, Value b) { return a / b; });
    check_values(divide.reduce(Array::of({{64, 100}, {4, 10}, {2, 5}})), {8, 2});
    const auto twice = vectorize("twice", [](Value a, Value b) { return a + b + b; });
    check_values(twice.reduce(Array::of({1, 2, 3})), {11});
    check_values(twice.accumulate(Array::of({1, 2, 3}), {.axis = 0}).index(0, -1), {11});
    const auto negative = vectorize("negative", [](Value a) { return -a; });
    const auto line = static_cast<std::uint32_t>(__LINE__ + 1);
    const Error error = error_of([&] { negative.reduce(m); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.line() == line);
    CHECK(error.message() == "negative.reduce takes a kernel of 2 arguments, not of 1");
}

TEST_CASE("reduce: checks report the index", "[jit][reduce]") {
    const auto quotients = map_reduce("quotients", [](Value a, Value b) { return a / b; },
                                      Reduce::sum, {.parallel = true, .checked = true});
    const Array a = ones({300, 500}, i32), b = ones({300, 500}, i32);
    check_values(quotients(a, b), {150'000});
    b.at<std::int32_t>({200, 7}) = 0;
    b.at<std::int32_t>({17, 450}) = 0;
    for (const int axis : {0, 1}) {
        const Error error = error_of([&] { quotients(a, b, {.axis = axis}); });
        CHECK(error.kind() == ErrorKind::usage);
        if (axis == 1) CHECK(error.message() == "integer division by zero at index (17,450)");
    }
    CHECK(error_of([&] { quotients(a, b); }).message() ==
          "integer division by zero at index (17,450)");
    const Array c = ones({10'000}, i32);
    c.at<std::int32_t>(9'999) = 0;
    CHECK(error_of([&] { quotients(a.reshape({150'000})(Slice{0, 10'000}), c); }).message() ==
          "integer division by zero at index (9999,)");
}

TEST_CASE("reduce: the kernel of rows is what the interpreter runs", "[jit][reduce]") {
    const auto dots = map_reduce("dots", [](Value a, Value b) { return a * b; }, Reduce::sum);
    const Array x = numbers({10, 777}, i64, 4), y = numbers({10, 777}, i64, 5);
    const Array got = dots(x, y, {.axis = 1});
    const ir::Kernel kernel = ir::parse(dots.inspect(Artifact::ir, {i64[1], i64[1]}));
    for (std::int64_t r = 0; r < 10; ++r) {
        std::int64_t total = 0;
        const auto row = [&](const Array& a) {
            return oracle::Argument::array(a.index(0, r).data(), {777}, {8});
        };
        const std::vector<oracle::Argument> arguments{row(x), row(y),
                                                      oracle::Argument::array(&total, {}, {})};
        CHECK(!oracle::interpret(kernel, arguments));
        CHECK(got.at<std::int64_t>(r) == total);
    }
}
