// Functions of this program that kiln_kernels made kernels of: they give what the functions give.
#include "tests/jit/support.h"

#include <kiln/native.h>

#include <cmath>
#include <complex>
#include <cstdint>
#include <vector>

using namespace kiln;
using test::error_of;
using test::values;

namespace physics {
double damped(double x, double a);
}
template <class T> T cubed(T x);
extern template float cubed(float);
extern template int cubed(int);
void polar(double re, double im, double& r, double& angle);
int escape(std::complex<double> c, int limit);
void smooth(View<const double, 1> a, View<double, 1> b, double share);
double total(View<const double, 2> a);
void extremes(View<const float, 1> a, float& least, float& most);
void count(View<const int, 1> a, View<long, 1> bins);
double sieved(double x);
bool above(int x, int y);
int ratio(int x, int y);
int chosen(View<const long, 1> at);
int steps(View<int, 1> a);
double not_a_kernel(double x);

namespace {
Array numbers(std::int64_t n) {
    Array a = empty({n}, f64);
    for (std::int64_t i = 0; i < n; ++i)
        a.span<double>()[static_cast<std::size_t>(i)] = static_cast<double>(i * 37 % 101) / 8 - 3;
    return a;
}
/// What a call is refused with.
template <class F> std::string what(F call) { return error_of(call).message(); }
}  // namespace

TEST_CASE("functions of the program as element-wise kernels", "[jit][text][native]") {
    const Array x = numbers(100);
    const auto xs = x.span<const double>();
    const Array y = vectorize("damped", &physics::damped, {.parallel = true})(x, 0.5);
    for (std::size_t i = 0; i < 100; ++i)
        CHECK(std::abs(y.span<const double>()[i] - physics::damped(xs[i], 0.5)) <= 1e-15);

    const auto cube = vectorize("cubed", &cubed<float>);
    const Array floats = x.astype(f32), cubes = cube(floats);
    CHECK(cubes.dtype() == DType::f32);
    for (std::size_t i = 0; i < 100; ++i)
        CHECK(cubes.span<const float>()[i] == cubed(floats.span<const float>()[i]));
    CHECK(vectorize("cubed", &cubed<int>)(7).at<int>({}) == 343);

    const std::vector<Array> both = vectorize("polar", &polar).all(x, 2.0);
    for (std::size_t i = 0; i < 100; ++i) {
        double r = 0, angle = 0;
        polar(xs[i], 2.0, r, angle);
        CHECK(both[0].span<const double>()[i] == r);
        CHECK(std::abs(both[1].span<const double>()[i] - angle) <= 1e-15);
    }
    const std::vector<std::complex<double>> plane{{0, 0}, {-1, 0.3}, {0.4, 0.4}, {1, 1}};
    const Array steps = vectorize("escape", &escape)(plane, 50);
    for (std::size_t i = 0; i < plane.size(); ++i)
        CHECK(steps.span<const int>()[i] == escape(plane[i], 50));
}

TEST_CASE("functions of the program as loop kernels", "[jit][text][native]") {
    const Array x = numbers(60);
    Array y = zeros({60}), expected = zeros({60});
    jit("smooth", &smooth, {.parallel = true})(x, y, 0.5);
    smooth(x.view<const double, 1>(), expected.view<double, 1>(), 0.5);
    CHECK(values(y) == values(expected));

    const Array table = x.reshape({6, 10});
    CHECK(jit("total", &total, {.parallel = true})(table).get<double>() ==
          total(table.view<const double, 2>()));  // of eighths, exact in any order
    const Array floats = x.astype(f32);
    const auto [least, most] = jit("extremes", &extremes)(floats);
    float low = 0, high = 0;
    extremes(floats.view<const float, 1>(), low, high);
    CHECK(least.get<float>() == low);
    CHECK(most.get<float>() == high);

    const std::vector<int> at{1, 3, 3, 0, 3};
    Array bins = zeros({4}, i64);
    jit("count", &count, {.parallel = true})(at, bins);
    CHECK(values(bins) == std::vector<double>{1, 1, 0, 3});
    CHECK(jit("sieved", &sieved)(2.0).get<double>() == 198);
}

TEST_CASE("functions of the program: errors", "[jit][text][native]") {
    CHECK(what([] { vectorize("f", &not_a_kernel)(1.0); }) ==
          "no kernel was made of this function");
    CHECK(what([] { vectorize("sieved", &sieved)(1.0); })
              .starts_with("sieved is no element-wise kernel: an array of 100 elements in an "
                           "element-wise kernel"));
    CHECK(what([] { jit("total", &total)(ones({3, 3}, f32)); }) ==
          "an argument is f32[2], but parameter a of total is f64[2]");
    CHECK(what([] { vectorize("cubed", &cubed<float>)(ones({3})); }) ==
          "an array is f64, but parameter x of cubed<float> is f32");
    CHECK(error_of([] { vectorize("cubed", &cubed<float>)(ones({3})); }).hint() ==
          "convert it before the call");
}

TEST_CASE("functions of the program in checked mode", "[jit][text][native][checked]") {
    const Array x = Array::of({0, 1, 2}), y = Array::of({3, 4, 3});
    CHECK(values(vectorize(&above, {.checked = true})(x, y)) == std::vector<double>{0, 1, 0});
    CHECK(what([&] { vectorize(&ratio, {.checked = true})(x, y); }) ==
          "integer division by zero at index (0,)");
    CHECK_FALSE(jit(&above, {.checked = true})(0, 3).get<bool>());
    CHECK(what([] { jit(&ratio, {.checked = true})(0, 3); }) == "integer division by zero");
    const auto at = [](long one, long row, long column) {
        return jit(&chosen, {.checked = true})(Array::of({one, row, column})).get<int>();
    };
    CHECK(at(0, 1, 2) == 16);
    CHECK(what([&] { at(5, 0, 0); }) == "index 5 is outside of an array of 1 element");
    CHECK(what([&] { at(0, 0, 3); }) == "index 3 is outside of an array of 3 elements");
    CHECK(what([&] { at(0, -1, 3); }) == "index -1 is outside of an array of 2 elements");
}

TEST_CASE("functions of the program: remarks of their lines", "[jit][text][native]") {
    const auto remarks = [](bool parallel) {
        const auto kernel = jit(&steps, {.parallel = parallel});
        CHECK(kernel(zeros({9}, i32)).get<int>() == 36);
        std::vector<std::string> all;
        for (const Remark& r : kernel.remarks()) {
            CHECK(r.file.ends_with("native_kernels.cpp"));
            all.push_back(r.text);
        }
        return all;
    };
    const std::string wraps = "this for is a while: its counter has less than 32 bits and wraps";
    CHECK(remarks(false) == std::vector{wraps});
    CHECK(remarks(true) ==
          std::vector<std::string>{
              "as a prange: no iteration depends on another one, so threads may take them", wraps});
}
