// Methods of ufuncs of any kernel: reduce, accumulate, reduceat, outer, at, resolve, identities.
// Expected values are NumPy's, or a plain loop's.
#include "tests/dice.h"
#include "tests/jit/support.h"
#include "tests/threads.h"

#include <cmath>
#include <limits>

using namespace kiln;
using kiln::test::check_values;
using kiln::test::error_of;

namespace {

/// 10 a + b: neither associative nor commutative.
Ufunc digits(UfuncOptions options = {}) {
    return vectorize("digits", [](Value a, Value b) { return 10 * a + b; }, std::move(options));
}
Ufunc subtraction() {
    return vectorize("subtraction", [](Value a, Value b) { return a - b; });
}

Array matrix() { return Array::of({{1, 2, 3}, {4, 5, 6}}); }

}  // namespace

TEST_CASE("reduce: any kernel, in order along an axis", "[jit][ufunc][methods]") {
    const Ufunc f = digits();
    const Array m = matrix();
    check_values(f.reduce(Array::of({1, 2, 3, 4})), {1234});
    check_values(f.reduce(m), {14, 25, 36});
    check_values(f.reduce(m, {.axis = 1}), {123, 456});
    check_values(f.reduce(m, {.axis = -1, .keepdims = true}), {123, 456});
    CHECK(f.reduce(m, {.axis = -1, .keepdims = true}).shape() == Shape{2, 1});
    check_values(f.reduce(m.transpose(), {.axis = 0}), {123, 456});
    check_values(f.reduce(m.flip(), {.axis = 1}), {654, 321});
    check_values(f.reduce(m, {.axis = Axes::none()}), {1, 2, 3, 4, 5, 6});
    check_values(f.reduce(m, {.axis = 1, .initial = 9}), {9123, 9456});
    const Array mask = Array::of({{true, false, true}, {false, false, false}});
    check_values(f.reduce(m, {.axis = 1, .initial = 9, .where = mask}), {913, 9});
    check_values(f.reduce(m, {.initial = 9, .where = Array::of({true, false, true})}),
                 {914, 9, 936});
    CHECK(f.reduce(m, {.dtype = f64}).dtype() == DType::f64);
    const Array out = zeros({3}, DType::i64);
    CHECK(exactly_same(f.reduce(m, {.out = out}), out));
    check_values(out, {14, 25, 36});
    Array in_place = Array::of({{1, 2}, {3, 4}});
    f.reduce(in_place, {.axis = 1, .out = in_place(Slice{}, 0)});
    check_values(in_place, {12, 2, 34, 4});
    const Array cube = arange(24).reshape({2, 3, 4});
    check_values(f.reduce(cube, {.axis = 1, .order = Order::fortran}),
                 {48, 159, 270, 381, 1380, 1491, 1602, 1713});
    CHECK(f.reduce(cube, {.axis = 1, .order = Order::fortran}).is_fortran());
    CHECK(f.reduce(zeros({3, 0}), {.axis = 0}).shape() == Shape(0));
    const auto quotient = vectorize("quotient", [](Value a, Value b) { return true_divide(a, b); });
    check_values(quotient.reduce(Array::of({64, 4, 2})), {8});
    CHECK(quotient.reduce(Array::of({64, 4, 2})).dtype() == DType::f64);
}

TEST_CASE("reduce: results in the memory order of the axes that stay", "[jit][ufunc][methods]") {
    const Ufunc f = subtraction();  // in order; sum by a tree
    // The strides are NumPy's for order="K", in elements.
    const auto check = [&](const Array& x, int axis, const Shape& strides) {
        INFO("axis " << axis << " of strides " << to_string(x.strides()));
        for (const bool by_sum : {true, false}) {
            const auto reduced = [&](Order order, bool keepdims) {
                const ReduceOptions options{.axis = axis, .keepdims = keepdims, .order = order};
                return by_sum ? sum(x, options) : f.reduce(x, options);
            };
            const Array kept = reduced(Order::keep, false), with_axis = reduced(Order::keep, true);
            for (int d = 0; d < 2; ++d) {
                CHECK(kept.strides()[d] == 8 * strides[d]);
                CHECK(with_axis.strides()[d < axis ? d : d + 1] == 8 * strides[d]);
            }
            CHECK(with_axis.shape()[axis] == 1);
            CHECK(reduced(Order::any, false).is_fortran() == x.is_fortran());
            for (std::int64_t i = 0; i < kept.shape()[0]; ++i)
                for (std::int64_t j = 0; j < kept.shape()[1]; ++j) {
                    double want = 0;
                    for (std::int64_t k = 0; k < x.shape()[axis]; ++k) {
                        const double part = axis == 0   ? x.at<double>({k, i, j})
                                            : axis == 1 ? x.at<double>({i, k, j})
                                                        : x.at<double>({i, j, k});
                        want = k == 0 || by_sum ? want + part : want - part;
                    }
                    REQUIRE(kept.at<double>({i, j}) == want);
                    REQUIRE(reduced(Order::any, false).at<double>({i, j}) == want);
                }
        }
    };
    const Array c = arange(24).astype(DType::f64).reshape({2, 3, 4}),
                fortran = c.copy(Order::fortran),
                mixed = arange(24).astype(DType::f64).reshape({4, 2, 3}).transpose({1, 2, 0});
    check(c, 0, {4, 1});
    check(c, 2, {3, 1});
    check(fortran, 0, {1, 3});
    check(fortran, 1, {1, 2});
    check(fortran, 2, {1, 2});
    check(mixed, 0, {1, 3});
    check(mixed, 1, {1, 2});
    check(mixed, 2, {3, 1});
    // Several inputs, one of them broadcast.
    const auto product = map_reduce([](Value a, Value b) { return a * b; }, Reduce::sum);
    const Array made = product(fortran, ones({4}), ReduceOptions{.axis = 1, .order = Order::keep});
    CHECK(made.strides() == Shape({8, 16}));
    CHECK(made.at<double>({1, 0}) == 12 + 16 + 20);
}

TEST_CASE("reduce: several axes of what is declared associative", "[jit][ufunc][methods]") {
    const Array cube = arange(24).reshape({2, 3, 4}).astype(i64);
    check_values(ufunc::fmax.reduce(cube, {.axis = {0, 2}}), {15, 19, 23});
    check_values(ufunc::fmax.reduce(cube, {.axis = Axes::all()}), {23});
    check_values(ufunc::gcd.reduce(Array::of({{12, 18}, {30, 42}}), {.axis = Axes::all()}), {6});
    check_values(ufunc::lcm.reduce(Array::of({{2, 3}, {4, 5}}), {.axis = {0, 1}}), {60});
    check_values(
        ufunc::logical_xor.reduce(Array::of({{true, true}, {true, false}}), {.axis = Axes::all()}),
        {1});
    // Matrices apart, one after the other: 2 x 2 products in their order.
    const auto last = vectorize("last", [](Value, Value b) { return b; }, {.associative = true});
    check_values(last.reduce(cube, {.axis = {0, 2}}), {15, 19, 23});
    const auto line = static_cast<std::uint32_t>(__LINE__ + 1);
    const Error error = error_of([&] { digits().reduce(cube, {.axis = {0, 1}}); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.line() == line);
    CHECK(error.message() ==
          "reduction operation digits is not reorderable, so at most one axis may be specified");
}

TEST_CASE("reduce: long rows of associative kernels, on any number of threads",
          "[jit][ufunc][methods]") {
    // The last of all but zeros: associative, not commutative.
    const auto last = vectorize("last", [](Value a, Value b) { return select(b == 0, a, b); },
                                {.parallel = true, .identity = 0, .associative = true});
    for (const std::int64_t n : {4095, 4096, 4097, 10007}) {
        Array x = zeros({n}, DType::i64);
        x.index(0, n / 3).fill(7);
        x.index(0, n / 2).fill(5);
        check_values(last.reduce(x), {5});
        x.index(0, n - 1).fill(3);
        check_values(last.reduce(x), {3});
        check_values(last.reduce(x.flip()), {7});
    }
    test::Dice dice(1);
    std::vector<double> weights(20011);
    for (double& w : weights) w = -30 * (static_cast<double>(dice.below(1000001)) / 1e6);
    long double sum = 0;
    for (const double w : weights) sum += std::exp(static_cast<long double>(w));
    const auto total = [&](int threads) {
        const test::Threads few(threads);
        return ufunc::logaddexp.reduce(weights).item<double>();
    };
    CHECK(total(1) == Approx(static_cast<double>(std::log(sum))).epsilon(1e-13));
    for (const int threads : {2, 3, 8}) CHECK(total(threads) == total(1));
}

TEST_CASE("reduce: identities", "[jit][ufunc][methods]") {
    const Array nothing = zeros({0, 3});
    check_values(ufunc::logaddexp.reduce(nothing), {-HUGE_VAL, -HUGE_VAL, -HUGE_VAL});
    check_values(ufunc::hypot.reduce(nothing), {0, 0, 0});
    CHECK(error_of([&] { ufunc::fmax.reduce(nothing); }).message() ==
          "zero-size array to reduction operation fmax which has no identity");
    CHECK(error_of([&] { digits().reduce(nothing); }).message() ==
          "zero-size array to reduction operation digits which has no identity");
    check_values(digits().reduce(nothing, {.initial = 2}), {2, 2, 2});
    CHECK(error_of([&] {
              digits().reduce(matrix(), {.where = Array::of({true, false, true})});
          }).message() ==
          "reduction operation digits has no identity, so a where= mask needs an initial= value");
    check_values(
        ufunc::hypot.reduce(Array::of({3.0, 9.0, 4.0}), {.where = Array::of({true, false, true})}),
        {5});
    const auto right = vectorize("right", [](Value a, Value b) { return a + b + a * b; },
                                 {.identity = 0, .associative = true});
    CHECK(right.identity()->cast(DType::f64).get<double>() == 0);
    check_values(right.reduce(zeros({0})), {0});
    check_values(right.reduce(Array::of({1.0, 2.0})), {5});
    const auto wrong = vectorize("wrong", [](Value a, Value b) { return a + b + a * b; },
                                 {.identity = 1, .associative = true});
    const auto line = static_cast<std::uint32_t>(__LINE__ + 1);
    const Error error = error_of([&] { wrong.reduce(zeros({0})); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.line() == line);
    CHECK(error.message() == "1. is no identity of wrong: wrong(1., 1.) is 3.");
    const auto plus = vectorize("plus", [](Value a, Value b) { return a + b; });
    CHECK(plus.identity()->cast(DType::i64).get<std::int64_t>() == 0);
    CHECK_FALSE(subtraction().identity());
}

TEST_CASE("reduce: kernels that are not declared associative say that they go in order",
          "[jit][ufunc][methods]") {
    const auto line = static_cast<std::uint32_t>(__LINE__ + 1);
    const Ufunc f = vectorize("f", [](Value a, Value b) { return a - b; });
    CHECK(f.remarks().empty());
    f.reduce(matrix());
    f.reduce(matrix());
    REQUIRE(f.remarks().size() == 1);
    CHECK(f.remarks()[0].line == line);
    CHECK(f.remarks()[0].text ==
          "f.reduce combines one element after the other: the kernel is not declared .associative");
    const auto planned = [](const Ufunc& of) {
        const std::string text = of.inspect(Artifact::plan, {f64[1], f64[1]});
        return text.substr(text.find("  reduce: "));
    };
    CHECK(planned(f) == "  reduce: one element after the other: not declared .associative\n");
    CHECK(planned(ufunc::logaddexp) == "  reduce: in order, long rows in pieces side by side\n");
    CHECK(planned(ufunc::add) == "  reduce: over a fixed tree\n");
    CHECK(f.inspect(Artifact::plan_json, {f64[1], f64[1]})
              .find("{\"what\": \"method\", \"done\": true, \"text\": \"one element after the "
                    "other: not declared .associative\"}") != std::string::npos);
    ufunc::logaddexp.reduce(zeros({3}));
    for (const Remark& remark : ufunc::logaddexp->remarks())
        CHECK(remark.text.find("one element after the other") == std::string::npos);
}

TEST_CASE("reduce: checked kernels report what fails", "[jit][ufunc][methods]") {
    const auto line = static_cast<std::uint32_t>(__LINE__ + 1);
    const auto f = vectorize("f", [](Value a, Value b) { return a / b; }, {.checked = true});
    check_values(f.reduce(Array::of({12, 3, 2})), {2});
    const Error error = error_of([&] { f.reduce(Array::of({12, 0, 2})); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.line() == line);
    CHECK(error.message() == "integer division by zero in iteration 0");
}

TEST_CASE("accumulate: any kernel", "[jit][ufunc][methods]") {
    const Ufunc f = digits();
    check_values(f.accumulate(Array::of({1, 2, 3, 4})), {1, 12, 123, 1234});
    check_values(f.accumulate(matrix(), {.axis = 1}), {1, 12, 123, 4, 45, 456});
    check_values(f.accumulate(matrix()), {1, 2, 3, 14, 25, 36});
    check_values(f.accumulate(matrix().transpose(), {.axis = 0}), {1, 4, 12, 45, 123, 456});
    CHECK(f.accumulate(matrix(), {.dtype = f32}).dtype() == DType::f32);
    const auto quotient = vectorize("quotient", [](Value a, Value b) { return true_divide(a, b); });
    check_values(quotient.accumulate(Array::of({64, 4, 2})), {64, 16, 8});
    check_values(ufunc::fmax.accumulate(Array::of({1.0, std::nan(""), 3.0, 2.0})), {1, 1, 3, 3});
    CHECK(f.accumulate(zeros({0, 2})).shape() == Shape{0, 2});
}

TEST_CASE("reduceat: segments", "[jit][ufunc][methods]") {
    // NumPy's example.
    check_values(ufunc::add.reduceat(arange(8), Array::of({0, 4, 1, 5, 2, 6, 3, 7})),
                 {6, 4, 10, 5, 14, 6, 18, 7});
    const Ufunc f = digits();
    check_values(f.reduceat(Array::of({1, 2, 3, 4, 5}), Array::of({0, 2, 2, 4, 1})),
                 {12, 3, 34, 5, 2345});
    check_values(f.reduceat(matrix(), Array::of({1, 0}), {.axis = 1}), {2, 123, 5, 456});
    check_values(f.reduceat(matrix(), Array::of({1, 0}), {.axis = 0}), {4, 5, 6, 14, 25, 36});
    CHECK(ufunc::add.reduceat(ones({4}, i8), Array::of({0})).dtype() == DType::i64);
    CHECK(ufunc::add.reduceat(ones({4}), zeros({0}, DType::i64)).shape() == Shape(0));
    const Array out = zeros({2});
    ufunc::add.reduceat(arange(4), Array::of({0, 2}), {.out = out});
    check_values(out, {1, 5});
    // Long segments are sums as sum() makes them.
    const Array x = linspace(0, 1, 5000);
    const Array sums = ufunc::add.reduceat(x, Array::of({0, 1000}));
    CHECK(test::at(sums, 0) == sum(x(Slice{0, 1000})).item<double>());
    CHECK(test::at(sums, 1) == sum(x(Slice{1000, 5000})).item<double>());

    const auto line = static_cast<std::uint32_t>(__LINE__ + 1);
    const Error error = error_of([&] { ufunc::add.reduceat(x, Array::of({0, 5000})); });
    CHECK(error.kind() == ErrorKind::bounds);
    CHECK(error.line() == line);
    CHECK(error.message() ==
          "index 5000 of add.reduceat is out of bounds for an axis of extent 5000");
    CHECK(error_of([&] { ufunc::add.reduceat(x, Array::of({-1})); }).message() ==
          "index -1 of add.reduceat is out of bounds for an axis of extent 5000");
    CHECK(error_of([&] { ufunc::add.reduceat(x, Array::of({0.5})); }).message() ==
          "the indices of add.reduceat are of dtype f64, not integers");
    CHECK(error_of([&] { ufunc::add.reduceat(x, Array::of({{0, 1}})); }).message() ==
          "the indices of add.reduceat have shape (1,2); they are a row");
}

TEST_CASE("outer: every pair", "[jit][ufunc][methods]") {
    const Array a = Array::of({1, 2}), b = Array::of({{3, 4, 5}});
    const Array products = ufunc::multiply.outer(a, b);
    CHECK(products.shape() == Shape{2, 1, 3});
    check_values(products, {3, 4, 5, 6, 8, 10});
    check_values(digits().outer(a, a), {11, 12, 21, 22});
    check_values(ufunc::less.outer(a, a, {.out = zeros({2, 2})}), {0, 1, 0, 0});
    check_values(ufunc::add.outer(a, 1), {2, 3});
    CHECK(ufunc::add.outer(Array::of({std::int8_t(1)}), 1).dtype() == DType::i8);
    const Array deep = zeros({1, 1, 1, 1, 1});
    CHECK(error_of([&] { ufunc::add.outer(deep, deep); }).message() ==
          "add.outer of arrays of rank 5 and 5 has more than 8 axes");
    CHECK(error_of([&] { ufunc::exp->outer(a, a); }).message() ==
          "exp.outer takes a kernel of 2 arguments, not of 1");
}

TEST_CASE("at: repeated indices accumulate, in order", "[jit][ufunc][methods]") {
    Array counts = zeros({4}, DType::i64);
    ufunc::add.at(counts, Array::of({0, 1, 1, -1, 1}), 1);
    check_values(counts, {1, 3, 0, 1});
    Array x = Array::of({1, 2});
    digits().at(x, Array::of({0, 1, 0}), Array::of({3, 4, 5}));
    check_values(x, {135, 24});
    Array rows = zeros({3, 2});
    ufunc::add.at(rows, Array::of({2, 0, 2}), Array::of({{1.0, 2.0}, {3.0, 4.0}, {5.0, 6.0}}));
    check_values(rows, {3, 4, 0, 0, 6, 8});
    ufunc::subtract.at(rows, 0, Array::of({1.0, 1.0}));
    check_values(rows, {2, 3, 0, 0, 6, 8});
    ufunc::add.at(rows, {Array::of({0, 0, 1}), Array::of({0, 0, -1})}, 10.0);
    check_values(rows, {22, 3, 0, 10, 6, 8});
    Array strided = zeros({6});
    ufunc::add.at(strided(Slice{{}, {}, 2}), Array::of({1, 1}), 1);
    check_values(strided, {0, 0, 2, 0, 0, 0});
    Array y = Array::of({1.0, 4.0, 9.0});
    ufunc::sqrt.at(y, Array::of({1, 2, 2}));
    CHECK(test::at(y, 1) == 2);
    CHECK(test::at(y, 2) == std::sqrt(3.0));
    // Values that are elements of the array itself are read first.
    Array self = Array::of({1, 2, 3});
    ufunc::add.at(self, Array::of({0, 1, 2}), self.flip());
    check_values(self, {4, 4, 4});

    const auto line = static_cast<std::uint32_t>(__LINE__ + 1);
    const Error error = error_of([&] { ufunc::add.at(counts, Array::of({0, 4}), 1); });
    CHECK(error.kind() == ErrorKind::bounds);
    CHECK(error.line() == line);
    CHECK(error.message() == "index 4 of add.at is out of bounds for axis 0 of extent 4");
    check_values(counts, {1, 3, 0, 1});
    CHECK(error_of([&] { ufunc::add.at(counts, 0, 0.5); }).message() ==
          "cannot cast output of add.at from f64 to i64 under same_kind");
    CHECK(error_of([&] { ufunc::add.at(counts, Array::of({0.0}), 1); }).message() ==
          "the indices of add.at are of dtype f64, not integers");
    CHECK(error_of([&] { ufunc::add.at(counts, {0, 0}, 1); }).message() ==
          "add.at has indices along 2 axes of an array of 1");
    CHECK(error_of([&] { ufunc::add.at(counts.as_read_only(), 0, 1); }).message() ==
          "the array of add.at is read-only");
    CHECK(error_of([&] { ufunc::add->at(counts, 0); }).message() ==
          "add.at without values takes a kernel of 1 argument and one result, not of 2 and 1");
}

TEST_CASE("methods: the same bits for any number of threads", "[jit][ufunc][methods]") {
    const auto f =
        vectorize("f", [](Value a, Value b) { return a * 0.75 + b; }, {.parallel = true});
    const Array x = sin(arange(300.0 * 400.0).reshape({300, 400}));
    const auto all = [&](int threads) {
        const test::Threads few(threads);
        Array target = x.copy();
        f.at(target, arange(300).astype(i64), x(7));
        return std::vector<Array>{f.reduce(x),
                                  f.reduce(x, {.axis = 1}),
                                  f.accumulate(x, {.axis = 0}),
                                  f.accumulate(x, {.axis = 1}),
                                  f.reduceat(x, Array::of({0, 17, 200}), {.axis = 0}),
                                  target,
                                  f.outer(x(0), x(1))};
    };
    const std::vector<Array> one = all(1);
    for (const int threads : {2, 3, 8}) {
        const std::vector<Array> other = all(threads);
        for (std::size_t k = 0; k < one.size(); ++k)
            CHECK(amax(one[k] != other[k]).item<bool>() == false);
    }
}

TEST_CASE("resolve: loop and results as data", "[jit][ufunc][methods]") {
    const Array x = zeros({2}, DType::f32), i = zeros({2}, DType::i8);
    const Resolution r = ufunc::add->resolve({x, 1});
    CHECK(r.results == std::vector{DType::f32});
    CHECK(r.loop.inputs == 2);
    CHECK(r.loop.types[0] == DType::f32);
    CHECK(ufunc::add->resolve({i, 1}).results == std::vector{DType::i8});
    CHECK(ufunc::add->resolve({i, 1.0}).results == std::vector{DType::f64});
    CHECK(ufunc::frexp->resolve({x}).results == std::vector{DType::f32, DType::i32});
    CHECK(ufunc::add->resolve({x, x}, {.out = zeros({2})}).results == std::vector{DType::f64});
    const auto eager =
        vectorize("eager", [](Value a, Value b) { return a + b; }, {f32(f32, f32), f64(f64, f64)});
    CHECK(eager.resolve({i, x}).loop == f32(f32, f32));
    CHECK(eager.resolve({zeros({1}, DType::i32), x}).loop == f64(f64, f64));
    CHECK(eager.types() == std::vector{f32(f32, f32), f64(f64, f64)});
    const auto lazy = vectorize("lazy", [](Value a, Value b) { return a < b; });
    CHECK(lazy.types().empty());
    lazy(x, x);
    lazy(i, x);
    CHECK(lazy.types() == std::vector{bool_(f32, f32), bool_(i8, f32)});
    CHECK(lazy.nin() == 2);
    CHECK(lazy.nout() == 1);
    const auto three = vectorize("three", [](Value a) { return std::tuple{a, std::pair{a, a}}; },
                                 {.doc = "thrice"});
    CHECK(three.nout() == 3);
    CHECK(three.doc() == "thrice");
    CHECK(three.signature() == "()->(),(),()");
    const auto line = static_cast<std::uint32_t>(__LINE__ + 1);
    const Error error = error_of([&] { eager.resolve({zeros({1}, DType::c64), x}); });
    CHECK(error.line() == line);
    CHECK(error.message() == "no loop of eager accepts (c64, f32)");
}

namespace {

/// Element by element, in the order that is documented.
class Slow {
  public:
    static std::int64_t step(std::int64_t a, std::int64_t b) {
        return static_cast<std::int64_t>(3 * static_cast<std::uint64_t>(a) -
                                         7 * static_cast<std::uint64_t>(b));
    }
    static std::int64_t get(const Array& a, const Shape& index) {
        return a.scalar_at(index).get<std::int64_t>();
    }
    /// Calls f(index) for all indices of a shape, in C order.
    template <class F> static void each(const Shape& shape, F&& f) {
        if (element_count(shape) == 0) return;
        Shape index = Shape::filled(shape.rank(), 0);
        while (true) {
            f(index);
            int d = shape.rank() - 1;
            for (; d >= 0 && ++index[d] == shape[d]; --d) index[d] = 0;
            if (d < 0) return;
        }
    }
    static std::int64_t fold(const Array& x, Shape index, int axis, std::int64_t first,
                             std::int64_t last) {
        index[axis] = first;
        std::int64_t result = get(x, index);
        for (std::int64_t i = first + 1; i < last; ++i) {
            index[axis] = i;
            result = step(result, get(x, index));
        }
        return result;
    }
};

/// A random array of i64 in random layout.
Array random_array(test::Dice& dice, int rank) {
    Shape shape = Shape::filled(rank, 1);
    for (int d = 0; d < rank; ++d) shape[d] = dice.between(1, dice.chance(10) ? 40 : 6);
    Shape wide = shape, order = shape;
    for (int d = 0; d < rank; ++d) {
        order[d] = d;
        std::swap(order[d], order[dice.between(0, d)]);
    }
    for (int d = 0; d < rank; ++d) wide[d] = 2 * shape[static_cast<int>(order[d])];
    Shape inverse = order;
    for (int d = 0; d < rank; ++d) inverse[static_cast<int>(order[d])] = d;
    Array all = empty(wide, DType::i64);
    for (std::int64_t& value : all.span<std::int64_t>())
        value = static_cast<std::int64_t>(dice.bits());
    Array x = all.transpose(inverse);
    for (int d = 0; d < rank; ++d) {
        const bool gaps = dice.chance(30);
        x = x.slice(d, {0, gaps ? 2 * shape[d] : shape[d], gaps ? 2 : 1});
        if (dice.chance(20)) x = x.flip(d);
    }
    return x;
}

}  // namespace

TEST_CASE("methods: random arrays, against a loop over elements", "[jit][ufunc][methods]") {
    const auto f =
        vectorize("f", [](Value a, Value b) { return 3 * a - 7 * b; }, {.parallel = true});
    for (std::uint64_t seed = 1; seed <= 150; ++seed) {
        INFO("seed " << seed);
        test::Dice dice(seed);
        const int rank = dice.between(1, 4), axis = dice.between(0, rank - 1);
        const Array x = random_array(dice, rank);
        const std::int64_t n = x.extent(axis);
        const auto unequal = [](const Array& a, const Array& b) {
            return a.shape() != b.shape() || amax(a != b).item<bool>();
        };
        const Array total = f.reduce(x, {.axis = axis, .keepdims = true}),
                    running = f.accumulate(x, {.axis = axis});
        Array total_wanted = empty(total.shape(), DType::i64),
              running_wanted = empty(x.shape(), DType::i64);
        Slow::each(x.shape(), [&](const Shape& index) {
            running_wanted.at<std::int64_t>(index) = Slow::fold(x, index, axis, 0, index[axis] + 1);
            if (index[axis] == 0)
                total_wanted.at<std::int64_t>(index) = Slow::fold(x, index, axis, 0, n);
        });
        CHECK_FALSE(unequal(total, total_wanted));
        CHECK_FALSE(unequal(running, running_wanted));

        std::vector<std::int64_t> first;
        for (int k = dice.between(1, 6); k > 0; --k)
            first.push_back(static_cast<std::int64_t>(dice.below(static_cast<std::size_t>(n))));
        const Array parts = f.reduceat(x, first, {.axis = axis});
        Array parts_wanted = empty(parts.shape(), DType::i64);
        Slow::each(parts.shape(), [&](const Shape& index) {
            const auto s = static_cast<std::size_t>(index[axis]);
            const std::int64_t end = s + 1 < first.size() ? first[s + 1] : n;
            parts_wanted.at<std::int64_t>(index) = Slow::fold(x, index, axis, first[s], end);
        });
        CHECK_FALSE(unequal(parts, parts_wanted));

        // Rows of x, several times, with the rows of another array.
        Array changed = x.copy(), changed_wanted = x.copy();
        std::vector<std::int64_t> rows;
        for (int k = dice.between(1, 8); k > 0; --k)
            rows.push_back(
                static_cast<std::int64_t>(dice.below(2 * static_cast<std::size_t>(x.extent(0)))) -
                x.extent(0));
        Shape shape = x.shape();
        shape[0] = static_cast<std::int64_t>(rows.size());
        const Array values = x.index(0, 0).broadcast_to(shape);
        f.at(changed, rows, values);
        Slow::each(shape, [&](const Shape& index) {
            Shape at = index;
            const std::int64_t row = rows[static_cast<std::size_t>(index[0])];
            at[0] = row < 0 ? row + x.extent(0) : row;
            std::int64_t& element = changed_wanted.at<std::int64_t>(at);
            element = Slow::step(element, Slow::get(values, index));
        });
        CHECK_FALSE(unequal(changed, changed_wanted));

        const Array row = random_array(dice, dice.between(1, 2));
        const Array pairs = f.outer(x, row);
        Array pairs_wanted = empty(pairs.shape(), DType::i64);
        Slow::each(pairs.shape(), [&](const Shape& index) {
            Shape left = x.shape(), right = row.shape();
            for (int d = 0; d < rank; ++d) left[d] = index[d];
            for (int d = 0; d < row.rank(); ++d) right[d] = index[rank + d];
            pairs_wanted.at<std::int64_t>(index) =
                Slow::step(Slow::get(x, left), Slow::get(row, right));
        });
        CHECK_FALSE(unequal(pairs, pairs_wanted));
    }
}

TEST_CASE("at: many indices, from the end, and one that is out of bounds",
          "[jit][ufunc][methods]") {
    const std::int64_t n = 30'000;
    const auto f = test::add_ufunc();
    const Array all = arange(n) % 7;
    const Array counts = zeros({7}, DType::i64);
    f.at(counts, all, 1);
    test::check_values(counts, {4286, 4286, 4286, 4286, 4286, 4285, 4285});
    f.at(counts, all - 7, 1);  // the same places
    test::check_values(counts, {8572, 8572, 8572, 8572, 8572, 8570, 8570});
    for (const std::int64_t wrong :
         {std::int64_t(7), std::int64_t(-8), std::numeric_limits<std::int64_t>::min(),
          std::numeric_limits<std::int64_t>::max()}) {
        const Array bad = all.copy();
        bad.at<std::int64_t>({n - 2}) = wrong;
        const Error e = test::error_of([&] { f.at(counts, bad, 1); });
        CHECK(e.kind() == ErrorKind::bounds);
        CHECK(e.message() == "index " + std::to_string(wrong) +
                                 " of add.at is out of bounds for axis 0 of extent 7");
    }
    test::check_values(counts, {8572, 8572, 8572, 8572, 8572, 8570, 8570});  // all or nothing
}
