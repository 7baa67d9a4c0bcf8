// Functions of whole arrays in kernels that pick, order and place elements: values from NumPy's definitions.
#include "tests/jit/support.h"
#include "tests/threads.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

using namespace kiln;
using namespace kiln::test;

namespace {

Array counting(const Shape& shape, DType dtype = DType::f64) {
    return arange(element_count(shape), dtype).reshape(shape);
}
/// f(x) of a kernel as an array.
template <class F> Array of(F f, const Array& x) {
    return jit([f](In a) { return Scratch(Value(f(a))); }, {.parallel = true})(x);
}
template <class F> Array of(F f, const Array& x, const Array& y) {
    return jit([f](In a, In b) { return Scratch(Value(f(a, b))); }, {.parallel = true})(x, y);
}
void check(const Array& got, const Shape& shape, const std::vector<double>& want) {
    CHECK(got.shape() == shape);
    CHECK(values(got) == want);
}
Array indices(std::vector<std::int64_t> list) { return Array(std::move(list)); }

}  // namespace

TEST_CASE("statements: arange, take", "[jit][statements]") {
    const Array a = counting({3, 4});
    check(of([](In x) { return arange(x.extent(1)) * x.extent(0); }, a), {4}, {0, 3, 6, 9});
    check(of([](In x) { return arange(x.extent(1) - 4); }, a), {0}, {});
    // numpy.take(a, [2, 0, -1], axis)
    const Array i = indices({2, 0, -1});
    check(of([](In x, In k) { return take(x, k, 0); }, a, i), {3, 4},
          {8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11});
    check(of([](In x, In k) { return take(x, k, 1); }, a, i), {3, 3},
          {2, 0, 3, 6, 4, 7, 10, 8, 11});
    check(of([](In x, In k) { return take(x, k, -1); }, a, i), {3, 3},
          {2, 0, 3, 6, 4, 7, 10, 8, 11});
    check(of([](In x, In k) { return take(x, k); }, a, i), {3}, {2, 0, 11});
    // Indices of two dimensions, of a value and a slice; one index.
    check(of([](In x, In k) { return take(2.0 * x, reshape(k, {3, 1}), 1); }, a, i), {3, 3, 1},
          {4, 0, 6, 12, 8, 14, 20, 16, 22});
    check(of([](In x, In k) { return take(x.slice({1, {}}, {{}, {}, 2}), k.slice({0, 2}) - 1, 0); },
             a, indices({2, 1})),
          {2, 2}, {8, 10, 4, 6});
    check(of([](In x) { return take(x, 1, 0); }, a), {4}, {4, 5, 6, 7});
    check(of([](In x, In k) { return take(x, k, 0); }, a, Array(std::vector<std::uint8_t>{1})),
          {1, 4}, {4, 5, 6, 7});
    // Into the array that it is taken from.
    const Array v = counting({5});
    jit([](InOut x, In k) { x = take(x, k); })(v, indices({4, 3, 2, 1, 0}));
    check(v, {5}, {4, 3, 2, 1, 0});
    const auto beyond = jit([](In x, In k) { return Scratch(take(x, k, 0)); }, {.checked = true});
    CHECK(error_of([&] { beyond(a, indices({0, 3})); }).kind() == ErrorKind::bounds);
    const Error e = error_of([&] { of([](In x, In k) { return take(x, k, 0); }, a, a); });
    CHECK(e.message() == "take by indices of dtype f64, not integers");
    CHECK(e.line() == __LINE__ - 2);
}

TEST_CASE("statements: compress, repeat, stack, count_nonzero", "[jit][statements]") {
    const Array a = counting({3, 4});
    check(of([](In x) { return compress(x % 3.0 == 0.0, x); }, a), {4}, {0, 3, 6, 9});
    check(of([](In x) { return compress(x < 0.0, x); }, a), {0}, {});
    check(of([](In x) { return compress(transpose(x) > 8.0, transpose(x)); }, a), {3}, {9, 10, 11});
    // numpy.repeat
    check(of([](In x) { return repeat(x.slice({0, 2}, {0, 2}), 2); }, a), {8},
          {0, 0, 1, 1, 4, 4, 5, 5});
    check(of([](In x) { return repeat(x.slice({0, 2}, {0, 2}), 2, 0); }, a), {4, 2},
          {0, 1, 0, 1, 4, 5, 4, 5});
    check(of([](In x) { return repeat(x.slice({0, 2}, {0, 2}), x.extent(0), -1); }, a), {2, 6},
          {0, 0, 0, 1, 1, 1, 4, 4, 4, 5, 5, 5});
    check(of([](In x) { return repeat(x, 0); }, a), {0}, {});
    // numpy.stack
    check(of([](In x) { return stack({x.slice(0), x.slice(2)}); }, a), {2, 4},
          {0, 1, 2, 3, 8, 9, 10, 11});
    check(of([](In x) { return stack({x.slice(0), 2.0 * x.slice(1)}, -1); }, a), {4, 2},
          {0, 8, 1, 10, 2, 12, 3, 14});
    check(of([](In x) { return stack({x, x}, 1); }, counting({2, 2})), {2, 2, 2},
          {0, 1, 0, 1, 2, 3, 2, 3});
    check(of([](In x) { return count_nonzero(x - 5.0); }, a), {}, {11});
    check(of([](In x) { return count_nonzero(x > 4.0, {.axis = 0}); }, a), {4}, {1, 2, 2, 2});
    CHECK(of([](In x) { return count_nonzero(x > 4.0, {.axis = 0}); }, a).dtype() == i64);
    Error e = error_of([&] { of([](In x) { return compress(x, x); }, a); });
    CHECK(e.message() == "compress by a mask of dtype f64, not bool");
    e = error_of([&] { of([](In x, In m) { return compress(m > 0.0, x); }, a, counting({3, 3})); });
    CHECK(e.kind() == ErrorKind::shape);
    CHECK(e.message() == "cannot broadcast (3,4) with (3,3)");
}

TEST_CASE("statements: argmin, argmax", "[jit][statements]") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const Array a = Array(std::vector<double>{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 9}).reshape({3, 4});
    check(of([](In x) { return argmin(x); }, a), {}, {1});
    check(of([](In x) { return argmax(x); }, a), {}, {5});
    check(of([](In x) { return argmax(x, 0); }, a), {4}, {1, 1, 2, 2});
    check(of([](In x) { return argmin(x, 1); }, a), {3}, {1, 2, 1});
    check(of([](In x) { return argmax(transpose(x) * -1.0, -1); }, a), {4}, {0, 0, 1, 0});
    CHECK(of([](In x) { return argmin(x, 1); }, a).dtype() == i64);
    const Array n = Array(std::vector<double>{1, nan, 0, nan});
    check(of([](In x) { return argmin(x); }, n), {}, {1});
    check(of([](In x) { return argmax(x); }, n), {}, {1});
    const Array ints = Array(std::vector<std::int32_t>{-7, 3, -7});
    check(of([](In x) { return argmin(x); }, ints), {}, {0});
    // For each iteration of a prange.
    const auto rows = jit(
        [](In x, Out out) {
            for (Index i : prange(x.extent(0))) out(i) = argmax(x.slice(i));
        },
        {.parallel = true});
    std::vector<std::int64_t> out(3);
    rows(a, out);
    CHECK(out == std::vector<std::int64_t>{2, 1, 3});
    Error e = error_of([&] { of([](In x) { return argmax(x, 1); }, empty({2, 0}, f64)); });
    CHECK(e.kind() == ErrorKind::shape);
    e = error_of([&] { of([](In x) { return argmax(x); }, empty({2}, DType::c128)); });
    CHECK(e.message() == "argmax of complex numbers");
}

TEST_CASE("statements: sort", "[jit][statements]") {
    std::mt19937 engine(5);
    for (const std::int64_t n : {0, 1, 2, 3, 7, 64, 1000}) {
        std::vector<double> x(static_cast<std::size_t>(n));
        for (double& e : x) e = static_cast<double>(engine() % 50);
        std::vector<double> want = x;
        std::ranges::sort(want);
        CHECK(values(of([](In v) { return sort(v); }, Array(x))) == want);
    }
    const Array a = Array(std::vector<double>{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 9}).reshape({3, 4});
    check(of([](In x) { return sort(x); }, a), {3, 4}, {1, 1, 3, 4, 2, 5, 6, 9, 3, 5, 5, 9});
    check(of([](In x) { return sort(x, 0); }, a), {3, 4}, {3, 1, 2, 1, 5, 3, 4, 6, 5, 9, 5, 9});
    check(of([](In x) { return sort(-transpose(x), 1); }, a), {4, 3},
          {-5, -5, -3, -9, -3, -1, -5, -4, -2, -9, -6, -1});
    check(a, {3, 4}, {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 9});
    check(of([](In x) { return sort(x); }, Array(std::vector<std::uint8_t>{200, 3, 100})), {3},
          {3, 100, 200});
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::vector<double> last =
        values(of([](In x) { return sort(x); }, Array(std::vector<double>{nan, 2, nan, -1})));
    CHECK((last[0] == -1 && last[1] == 2 && std::isnan(last[2]) && std::isnan(last[3])));
    // A median of each row, on any number of threads.
    const auto medians = jit(
        [](In x, Out out) {
            for (Index i : prange(x.extent(0))) {
                const Scratch row(sort(x.slice(i)));
                out(i) = 0.5 * (row(1) + row(2));
            }
        },
        {.parallel = true});
    for (const int threads : {1, 2, 3, 8}) {
        const Threads limit(threads);
        std::vector<double> out(3);
        medians(a, out);
        CHECK(out == std::vector<double>{2, 5.5, 5});
    }
    const Error e = error_of([&] { of([](In x) { return sort(x, 2); }, a); });
    CHECK(e.message() == "axis 2 of an array value of 2 dimensions");
}
