// Calls: arguments, shapes, out, where, order, results.
#include "tests/jit/support.h"

using namespace kiln;
using namespace kiln::test;

TEST_CASE("arguments are arrays, spans, vectors and values", "[jit][call]") {
    const auto add = add_ufunc();
    const Array x = Array::of({1.0f, 2.0f, 3.0f});
    std::vector<float> v{10, 20, 30};
    check_values(add(x, x), {2, 4, 6});
    check_values(add(x, v), {11, 22, 33});
    check_values(add(std::span<const float>(v), x), {11, 22, 33});
    check_values(add(x, 0.5), {1.5, 2.5, 3.5});
    check_values(add(f32(1.0), x), {2, 3, 4});
    CHECK(add(x, v).dtype() == DType::f32);
    CHECK(add(2, 3).shape() == Shape{});
    check_values(add(2, 3), {5});
    CHECK(add(2, 3).dtype() == DType::i32);
}

TEST_CASE("generic, const reference, Var and captured lambdas", "[jit][call]") {
    const Array x = Array::of({1.0, 2.0});
    const double scale = 3;
    check_values(vectorize([](auto a, auto b) { return a * b; })(x, x), {1, 4});
    check_values(vectorize([](const Value& a) { return -a; })(x), {-1, -2});
    check_values(vectorize([=](Value a) { return a * scale; })(x), {3, 6});
    check_values(vectorize([](Value a) {
                     Var v = a;
                     v += 1;
                     return v;
                 })(x),
                 {2, 3});
    check_values(vectorize([] { return 7.0; })(), {7});
    check_values(
        vectorize([](Value a, Value b, Value c, Value d, Value e, Value f, Value g, Value h) {
            return a + b + c + d + e + f + g + h;
        })(x, x, x, x, x, x, x, x),
        {8, 16});
}

TEST_CASE("several results", "[jit][call]") {
    const auto both = vectorize("both", [](Value a, Value b) { return std::pair{a + b, a < b}; });
    const Array x = Array::of({1, 5, 3}), y = Array::of({2, 4, 3});
    const std::vector<Array> r = both.all(x, y);
    REQUIRE(r.size() == 2);
    check_values(r[0], {3, 9, 6});
    check_values(r[1], {1, 0, 0});
    CHECK(r[1].dtype() == DType::bool_);

    Array sum = zeros({3}, DType::i64), less = zeros({3}, DType::u8);
    const auto given = both.all(x, y, {.outs = {sum, less}});
    check_values(sum, {3, 9, 6});
    check_values(less, {1, 0, 0});
    CHECK(exactly_same(given[0], sum));
    CHECK(exactly_same(given[1], less));

    const Error two = error_of([&] { both(x, y); });
    CHECK(two.kind() == ErrorKind::usage);
    CHECK(two.message() == "both has 2 outputs");
    const Error one = error_of([&] { both.all(x, y, {.outs = {sum}}); });
    CHECK(one.kind() == ErrorKind::usage);
    CHECK(one.message() == "both has 2 outputs, 1 given");
    CHECK(one.line() == __LINE__ - 3);
}

TEST_CASE("the number of arguments", "[jit][call]") {
    const auto add = add_ufunc();
    const Error error = error_of([&] { add(1.0); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() == "add takes 2 arguments, 1 given");
    CHECK(error.line() == __LINE__ - 3);
    CHECK(std::string(error.what()) == "call_test.cpp:" + std::to_string(error.line()) +
                                           ": error: add takes 2 arguments, 1 given");
}

TEST_CASE("inputs broadcast", "[jit][broadcast]") {
    const auto add = add_ufunc();
    const auto shape = [&](Shape a, Shape b) { return add(zeros(a), zeros(b)).shape(); };
    CHECK(shape({2, 1, 2}, {1, 2, 2}) == Shape{2, 2, 2});
    CHECK(shape({0, 3}, {1, 3}) == Shape{0, 3});
    CHECK(shape({1}, {0}) == Shape{0});
    CHECK(shape({3, 4}, {4}) == Shape{3, 4});
    CHECK(shape({}, {2, 3}) == Shape{2, 3});
    CHECK(shape({1, 1}, {1}) == Shape{1, 1});

    const Array column = Array::of({{1.0}, {2.0}}), row = Array::of({10.0, 20.0, 30.0});
    check_values(add(column, row), {11, 21, 31, 12, 22, 32});

    const Error error = error_of([&] { add(zeros({3, 4}), zeros({5})); });
    CHECK(error.kind() == ErrorKind::shape);
    CHECK(error.message() == "cannot broadcast (3,4) with (5,)");
    CHECK(error.line() == __LINE__ - 3);
    CHECK(error_of([&] { shape({0, 3}, {2, 3}); }).message() ==
          "cannot broadcast (0,3) with (2,3)");
    CHECK(error_of([&] { shape({2, 3}, {3, 2}); }).message() ==
          "cannot broadcast (2,3) with (3,2)");
}

TEST_CASE("out takes part in broadcasting upwards only", "[jit][out]") {
    const auto add = add_ufunc();
    Array big = zeros({5, 4, 3});
    const Array row = Array::of({{1.0, 2.0, 3.0}});
    const Array result = add(row, row, {.out = big});
    CHECK(exactly_same(result, big));
    for (std::int64_t i = 0; i < big.size(); ++i) CHECK(at(big, i) == 2 * double(i % 3 + 1));

    Array column = zeros({3, 1});
    const Error error = error_of([&] { add(zeros({3, 4}), 1.0, {.out = column}); });
    CHECK(error.kind() == ErrorKind::shape);
    CHECK(error.message() ==
          "non-broadcastable output operand with shape (3,1) for the broadcast shape (3,4)");
    CHECK(error.line() == __LINE__ - 4);
    Array scalar = zeros({});
    CHECK(error_of([&] { add(zeros({1}), 1.0, {.out = scalar}); }).message() ==
          "non-broadcastable output operand with shape () for the broadcast shape (1,)");
    Array other = zeros({4, 1});
    CHECK(error_of([&] { add(zeros({4, 3}), 1.0, {.out = other}); }).message() ==
          "non-broadcastable output operand with shape (4,1) for the broadcast shape (4,3)");
}

TEST_CASE("out may be a span or a vector", "[jit][out]") {
    const auto add = add_ufunc();
    std::vector<float> v(3), w(3);
    const Array x = Array::of({1.0f, 2.0f, 3.0f});
    const Array r = add(x, 1, {.out = v});
    CHECK(v == std::vector<float>{2, 3, 4});
    CHECK(reinterpret_cast<float*>(r.data()) == v.data());
    add(x, x, {.out = std::span(w)});
    CHECK(w == std::vector<float>{2, 4, 6});
}

TEST_CASE("outputs that cannot be written", "[jit][out]") {
    const auto add = add_ufunc();
    const Array x = ones({3});
    const Array fixed = zeros({3}).as_read_only();
    const Error read_only = error_of([&] { add(x, 1.0, {.out = fixed}); });
    CHECK(read_only.kind() == ErrorKind::usage);
    CHECK(read_only.message() == "the output of add is read-only");
    CHECK(read_only.line() == __LINE__ - 3);

    double cell = 0;
    const Array broadcast = Array::over(&cell, {3}, Shape{0});
    const Error stride = error_of([&] { add(x, 1.0, {.out = broadcast}); });
    CHECK(stride.kind() == ErrorKind::usage);
    CHECK(stride.message() ==
          "the output of add has several indices for one element (strides (0,))");
    CHECK(cell == 0);
}

TEST_CASE("where selects elements", "[jit][where]") {
    const auto add = add_ufunc();
    const Array x = arange(7.0);
    Array mask = zeros({7}, DType::bool_);
    for (std::int64_t i = 1; i < 7; i += 2) mask.at<bool>({i}) = true;
    Array out = zeros({7});
    add(x, 1.0, {.out = out, .where = mask});
    check_values(out, {0, 2, 0, 4, 0, 6, 0});
    out.fill(-1.0);
    add(x, 1.0, {.out = out, .where = mask});
    check_values(out, {-1, 2, -1, 4, -1, 6, -1});
    check_values(add(x, 1.0, {.where = mask}), {0, 2, 0, 4, 0, 6, 0});
    check_values(add(x, 1.0, {.where = false}), {0, 0, 0, 0, 0, 0, 0});
    check_values(add(1.0, 1.0, {.where = mask}), {0, 2, 0, 2, 0, 2, 0});
    // A mask of another layout, and of one element.
    const Array odd = Array::of({true, false}).index(0, 0);
    check_values(add(x, 1.0, {.where = odd}), {1, 2, 3, 4, 5, 6, 7});

    const Error error = error_of([&] { add(x, 1.0, {.where = x}); });
    CHECK(error.kind() == ErrorKind::type);
    CHECK(error.message() == "where= of add is of dtype f64, not bool");
    CHECK(error.line() == __LINE__ - 3);
}

TEST_CASE("where with power in place, as NumPy documents it", "[jit][where]") {
    const auto power = vectorize("power", [](Value a, Value b) { return pow(a, b); });
    Array a = Array::of({{2, 3}, {4, 5}});
    power(a, Array::of({2, 3}), {.out = a, .where = Array::of({{false, true}, {true, false}})});
    check_values(a, {2, 27, 16, 5});
    const auto subtract = vectorize("subtract", [](Value x, Value y) { return x - y; });
    subtract(a, 2, {.out = a, .where = Array::of({true, false})});
    check_values(a, {0, 27, 14, 5});
}

TEST_CASE("masked-off elements are never written", "[jit][where]") {
    // The unselected half lies in memory that the call may not touch: it is checked by value here,
    // and by the sanitizers for writes of the same value.
    const auto add = add_ufunc();
    for (const std::int64_t n : {1, 7, 64, 1000}) {
        Array out = full({n}, -5.0), mask = zeros({n}, DType::bool_);
        for (std::int64_t i = 0; i < n; i += 3) mask.at<bool>({i}) = true;
        add(arange(n, DType::f64), 0.5, {.out = out, .where = mask});
        for (std::int64_t i = 0; i < n; ++i) {
            REQUIRE(out.at<double>({i}) == (i % 3 == 0 ? double(i) + 0.5 : -5.0));
        }
    }
}

TEST_CASE("the memory order of results", "[jit][order]") {
    const auto add = add_ufunc();
    const Array c = zeros({2, 3, 4}), f = zeros({2, 3, 4}, DType::f64, Order::fortran);
    CHECK(add(c, 1.0).is_contiguous());
    CHECK(add(f, 1.0).is_fortran());
    CHECK(add(f, f).is_fortran());
    CHECK(add(c, f).is_contiguous());
    CHECK(add(f, 1.0, {.order = Order::c}).is_contiguous());
    CHECK(add(c, 1.0, {.order = Order::fortran}).is_fortran());
    CHECK(add(f, 1.0, {.order = Order::any}).is_fortran());
    CHECK(add(c, 1.0, {.order = Order::any}).is_contiguous());
    CHECK(add(c, f, {.order = Order::any}).is_contiguous());
    // K keeps any order of axes, and ignores directions.
    const Array permuted = zeros({4, 2, 3}).transpose({1, 2, 0});
    CHECK(add(permuted, 1.0).strides() == permuted.strides());
    CHECK(add(c.flip(), 1.0).strides() == c.strides());
    CHECK(add(c, 1.0, {.where = true, .order = Order::fortran}).is_fortran());
}

TEST_CASE("zero-size calls run nothing and have the right dtype", "[jit][call]") {
    const auto add = add_ufunc();
    const Array r = add(zeros({0, 3}, DType::f32), zeros({1, 3}, DType::i32));
    CHECK(r.shape() == Shape{0, 3});
    CHECK(r.dtype() == DType::f64);
    Array out = zeros({0}, DType::f32);
    add(std::vector<float>{}, 1, {.out = out});
    CHECK(add.stats().compiles == 0);
}

TEST_CASE("what the lambda throws passes through", "[jit][call]") {
    struct Mine {};
    const auto bad = vectorize("bad", [](Value) -> Value { throw Mine{}; });
    CHECK_THROWS_AS(bad(1.0), Mine);
    CHECK_THROWS_AS(bad(1.0), Mine);
    const auto refused = vectorize("refused", [](Value a) { return a & 1.5; });
    const Error error = error_of([&] { refused(1.0); });
    CHECK(error.kind() == ErrorKind::type);
    CHECK(error.line() == __LINE__ - 3);
}

namespace {
template <std::size_t> struct OneOf {
    using type = Value;
};
/// f(x0, ..., xN-1) = x0 + ... + xN-1, of N arguments.
template <std::size_t... I> Ufunc total_of(std::index_sequence<I...>) {
    return vectorize("total", [](typename OneOf<I>::type... x) { return (... + x); });
}
template <std::size_t N> Ufunc total_of() { return total_of(std::make_index_sequence<N>()); }
}  // namespace

TEST_CASE("32 arguments and results", "[jit][call]") {
    const std::vector<double> one{1, 2, 3};
    const Array two(std::vector<double>{2, 4, 6});
    const Ufunc nine = total_of<9>();
    check_values(nine(one, 0, 1, 2, 3, 4, 5, 6, two), {24, 27, 30});
    const Ufunc most = total_of<31>();
    Array out = zeros({3});
    const auto x = [&](int i) { return 1.0 * i; };
    // 0 + ... + 29, and an array.
    const Array got =
        most(x(0), x(1), x(2), x(3), x(4), x(5), x(6), x(7), x(8), x(9), x(10), x(11), x(12), x(13),
             x(14), x(15), x(16), x(17), x(18), x(19), x(20), x(21), x(22), x(23), x(24), x(25),
             x(26), x(27), x(28), x(29), one, {.out = out});
    check_values(out, {436, 437, 438});
    CHECK(got.data() == out.data());
    // Every one is an array of its own, of a dtype and a layout of its own.
    std::vector<Array> arrays;
    std::vector<Arg> args;
    for (int i = 0; i < 31; ++i) {
        Array a = zeros({4, 6}, i % 3 == 0 ? f64 : i % 3 == 1 ? f32 : i32);
        a.fill(Scalar::of(i), {});
        arrays.push_back(i % 2 == 0 ? a.slice(1, {.step = 2}) : a.slice(1, {0, 3}));
    }
    for (const Array& a : arrays) args.emplace_back(a);
    const Array sums = most.all_of(args)[0];
    REQUIRE(sums.shape() == Shape{4, 3});
    for (std::int64_t i = 0; i < 12; ++i) CHECK(at(sums, i) == 465);
    // 16 results, one of which is stored where another one was read from.
    const auto many = vectorize("many", [](Value a) {
        std::array<Value, 16> r{a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a};
        return r;
    });
    CHECK(many.all(one).size() == 16);
    check_values(many.all(one)[15], {1, 2, 3});
}

TEST_CASE("loop kernels of 32 arguments", "[jit][call]") {
    const auto total = jit(
        [](Out out, Value x0, Value x1, Value x2, Value x3, Value x4, Value x5, Value x6, Value x7,
           Value x8, Value x9, Value x10, Value x11, Value x12, Value x13, Value x14, Value x15,
           Value x16, Value x17, Value x18, Value x19, Value x20, Value x21, Value x22, Value x23,
           Value x24, Value x25, Value x26, Value x27, Value x28, Value x29, Value x30) {
            out(0) = x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9 + x10 + x11 + x12 + x13 + x14 +
                     x15 + x16 + x17 + x18 + x19 + x20 + x21 + x22 + x23 + x24 + x25 + x26 + x27 +
                     x28 + x29 + x30;
        });
    std::vector<std::int64_t> out(1);
    total(out, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
          24, 25, 26, 27, 28, 29, 30);
    CHECK(out[0] == 465);
    // 17 arrays, and the key of the call tells them apart by their types.
    const auto last = jit([](In a0, In, In, In, In, In, In, In, In, In, In, In, In, In, In, In a15,
                             Out y) { y(0) = a15(0) - a0(0); });
    const std::vector<double> one{1}, two{2};
    const std::vector<float> three{3};
    std::vector<double> result(1);
    last(one, one, one, one, one, one, one, one, one, one, one, one, one, one, one, two, result);
    CHECK(result[0] == 1);
    last(one, one, one, one, one, one, one, one, one, one, one, one, one, one, one, three, result);
    CHECK(result[0] == 2);
}

TEST_CASE("more than 32 arguments and results are refused", "[jit][call]") {
    const auto add = add_ufunc();
    Array z = zeros({1});
    const auto outs = [&]<std::size_t... I>(std::index_sequence<I...>) {
        return Outs{(static_cast<void>(I), OutArg(z))...};
    };
    Error error = error_of([&] { add(1.0, 1.0, {.outs = outs(std::make_index_sequence<31>())}); });
    CHECK(error.message() ==
          "31 outputs given; add takes 2 arguments, and a kernel has at most 32 arguments and "
          "results");
    error = error_of([&] { outs(std::make_index_sequence<33>()); });
    CHECK(error.message() == "33 outputs given; a kernel has at most 32");
    CHECK(error_of([&] { add(1.0, 1.0, {.out = z, .outs = {z}}); }).message() ==
          "both .out and .outs of add are given");
    // Signatures, which list dtypes, have 12 of them.
    const Ufunc twelve = total_of<12>();
    CHECK(at(twelve.all_of(std::vector<Arg>(12, Arg(1.0)))[0], 0) == 12);
    CHECK(twelve.types().empty());
    error = error_of([&] { twelve.resolve({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}); });
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK(error.message() == "total has 13 arguments and results; a signature has at most 12");
}
