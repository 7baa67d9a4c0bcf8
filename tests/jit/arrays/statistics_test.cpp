// Means, variances and positions of extremes: NumPy's rules, plain loops, threads.
#include "tests/jit/support.h"
#include "tests/runtime/check_error.h"
#include "tests/threads.h"

#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <random>

using namespace kiln;
using kiln::test::Threads;
using test::check_values;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
const double not_a_number = std::nan("");

/// Reproducible numbers around `centre`; integers where the dtype is one.
Array numbers(const Shape& shape, DType dtype, double centre = 0, double spread = 50) {
    std::mt19937 random(7);
    std::vector<double> values;
    for (std::int64_t i = 0; i < element_count(shape); ++i) {
        const double x = centre + spread * (static_cast<double>(random()) / 2147483648.0 - 1);
        values.push_back(is_real(dtype) || is_complex(dtype) ? x : std::floor(std::abs(x)));
    }
    return Array(std::move(values)).reshape(shape).astype(dtype);
}

/// The elements in C order (test::values takes a second for a million of them).
std::vector<double> plain(const Array& a) {
    const Array wide = a.astype(f64, Casting::unsafe, Order::c);
    const auto span = wide.span<const double>();
    return {span.begin(), span.end()};
}

std::vector<std::byte> bytes(const Array& a) {
    const Array c = a.copy();
    return {c.data(), c.data() + c.nbytes()};
}

/// Calls f(kept index, elements along the axis) for each place of the other axes, in C order.
template <class F> void along(const Array& x, int axis, F&& f) {
    std::vector<int> rest;
    Shape permutation;
    for (int d = 0; d < x.rank(); ++d)
        if (d != axis) permutation.push_back(d);
    permutation.push_back(axis);
    const Array turned = x.transpose(permutation);
    const std::vector<double> all = plain(turned);
    const auto n = static_cast<std::size_t>(x.extent(axis));
    for (std::size_t k = 0; k * n < all.size(); ++k)
        f(k, std::vector<double>(all.begin() + static_cast<std::ptrdiff_t>(k * n),
                                 all.begin() + static_cast<std::ptrdiff_t>((k + 1) * n)));
}

struct Exact {
    long double mean = 0, var = 0;
};
Exact exact(const std::vector<double>& x, double ddof = 0) {
    Exact e;
    for (const double v : x) e.mean += v;
    e.mean /= static_cast<long double>(x.size());
    for (const double v : x) e.var += (v - e.mean) * (v - e.mean);
    e.var /= static_cast<long double>(x.size()) - ddof;
    return e;
}

/// NumPy's argmin and argmax of a vector.
std::int64_t first_extreme(const std::vector<double>& x, bool largest) {
    std::size_t best = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        if (std::isnan(x[i])) return static_cast<std::int64_t>(i);
        if (largest ? x[i] > x[best] : x[i] < x[best]) best = i;
    }
    return static_cast<std::int64_t>(best);
}

/// Arrays on which the walk differs: rows, columns, transposed, backwards, gaps, several chunks.
std::vector<Array> layouts(DType dtype) {
    const Array a = numbers({7, 11, 13}, dtype), wide = numbers({5, 70'000}, dtype),
                tall = numbers({20'000, 9}, dtype), square = numbers({700, 1300}, dtype);
    return {a,
            a.transpose(),
            a.flip(),
            a(Slice{{}, {}, 2}, Slice{{}, {}, -3}),
            wide,
            wide.transpose(),
            wide.flip(1),
            tall,
            tall(Slice{}, Slice{0, 1, 1}),
            square,
            square.transpose()(Slice{1, {}, 2})};
}

}  // namespace

TEST_CASE("mean: dtypes and axes", "[jit][statistics]") {
    const Array m = arange(12).reshape({3, 4});
    CHECK(mean(m).dtype() == f64);
    CHECK(mean(m).shape() == Shape());
    check_values(mean(m), {5.5});
    check_values(mean(m, {.axis = 0}), {4, 5, 6, 7});
    check_values(mean(m, {.axis = 1}), {1.5, 5.5, 9.5});
    CHECK(mean(m, {.axis = 1, .keepdims = true}).shape() == Shape{3, 1});
    CHECK(mean(m.astype(f32)).dtype() == f32);
    check_values(mean(Array::of({true, false, true, true})), {0.75});
    check_values(mean(Array::of({std::complex<double>(1, 2), std::complex<double>(3, 4)})), {2});
    CHECK(mean(Array::of({std::complex<float>(1, 2), {3, 4}})).item<std::complex<float>>() ==
          std::complex<float>(2, 3));
    // The sum of these does not fit in f16.
    const Array half = full({1000}, 1000.0F).astype(f16);
    CHECK(mean(half).dtype() == f16);
    check_values(mean(half), {1000});
    check_values(mean(m, {.dtype = f32}), {5.5});
    CHECK(mean(m, {.dtype = f32}).dtype() == f32);
    CHECK(std::isnan(mean(zeros({0})).item<double>()));
    CHECK(mean(zeros({0, 3}), {.axis = 1}).shape() == Shape(0));
    const Array out = zeros({4}, f32);
    mean(m, {.axis = 0, .out = out});
    check_values(out, {4, 5, 6, 7});
}

TEST_CASE("var and standard_deviation: NumPy's rules", "[jit][statistics]") {
    const Array m = Array::of({{1.0, 2.0}, {3.0, 4.0}});
    check_values(var(m), {1.25});
    check_values(standard_deviation(m), {std::sqrt(1.25)});
    check_values(var(m, {.axis = 0}), {1, 1});
    check_values(var(m, {.axis = 1, .keepdims = true}), {0.25, 0.25});
    CHECK(var(m, {.axis = {0, 1}, .keepdims = true}).shape() == Shape{1, 1});
    check_values(var(m, {.ddof = 1}), {5.0 / 3});
    check_values(var(Array::of({1, 2, 3, 4})), {1.25});
    CHECK(var(Array::of({1, 2, 3, 4})).dtype() == f64);
    CHECK(var(m.astype(f32)).dtype() == f32);
    CHECK(var(m.astype(f16)).dtype() == f16);
    check_values(var(Array::of({true, false})), {0.25});
    // |x - mean|^2 of complex numbers is real.
    const Array z = Array::of({std::complex<double>(1, 2), {3, 4}, {5, -6}});
    CHECK(var(z).dtype() == f64);
    CHECK(var(z).item<double>() == Approx(8.0 / 3 + 56.0 / 3));
    CHECK(var(z.astype(c64)).dtype() == f32);
    check_values(var(Array::of({3.5})), {0});
    CHECK(std::isnan(var(Array::of({3.5}), {.ddof = 1}).item<double>()));
    CHECK(var(Array::of({1.0, 2.0}), {.ddof = 2}).item<double>() == inf);
    CHECK(std::isnan(var(zeros({0})).item<double>()));
    CHECK(std::isnan(var(zeros({0, 2}), {.axis = 0}).scalar_at({1}).get<double>()));
    CHECK(var(zeros({0, 2}), {.axis = 1}).shape() == Shape(0));
    CHECK(std::isnan(var(Array::of({1.0, not_a_number})).item<double>()));
    check_values(var(m, {.axis = Axes::none()}), {0, 0, 0, 0});
    const Array in_place = Array::of({1.0, 2.0});
    var(m, {.axis = 0, .out = in_place});
    check_values(in_place, {1, 1});
}

TEST_CASE("var does not cancel", "[jit][statistics]") {
    // The sum of squares less the square of the sum would have no digit left.
    for (const std::int64_t n : {1000, 100'000, 1'000'003}) {
        Array x = empty({n});
        for (std::int64_t i = 0; i < n; ++i) x.at<double>({i}) = 1e9 + static_cast<double>(i % 4);
        const std::vector<double> all = plain(x);
        CHECK(var(x).item<double>() == Approx(static_cast<double>(exact(all).var)).epsilon(1e-9));
    }
    Array f = empty({300'000}, f32);
    for (std::int64_t i = 0; i < f.size(); ++i)
        f.at<float>({i}) = 4096.0F + static_cast<float>(i % 4);
    CHECK(var(f).item<float>() == Approx(1.25).epsilon(1e-5));
    // The first element is far off.
    Array off = numbers({200'000}, f64, 0, 1);
    off.at<double>({0}) = 1e6;
    CHECK(var(off).item<double>() ==
          Approx(static_cast<double>(exact(plain(off)).var)).epsilon(1e-12));
}

TEST_CASE("var of the largest numbers", "[jit][statistics]") {
    // Sums of them overflow, their variance need not.
    const double inf = std::numeric_limits<double>::infinity();
    for (const std::int64_t n : {4, 1024, 1 << 20}) check_values(var(full({n}, 0x1p1023)), {0});
    check_values(var(full({1024, 2}, -0x1p1023), {.axis = 0}), {0, 0});
    // Where the mean is rounded, deviations from it are no less than an ULP, whose square
    // overflows.
    CHECK_FALSE(std::isnan(var(full({1'000'000}, 1.7e308)).item<double>()));
    CHECK_FALSE(std::isnan(var(full({1000, 1000}, -1.7e308)).item<double>()));
    check_values(var(Array::of({0x1p1023, 0x1.8p1023}).astype(c128)), {inf});
    check_values(var(Array::of({-1.7e308, 1.7e308})), {inf});
    Array halves = full({1'000'000}, 1.7e308);
    halves.slice(0, {0, 500'000}).fill(-1.7e308);
    check_values(var(halves), {inf});
    halves.slice(0, {999'999, {}}).fill(inf);
    CHECK(std::isnan(var(halves).item<double>()));
    CHECK(std::isnan(var(Array::of({inf, 1.0})).item<double>()));
}

TEST_CASE("var of numbers beside ones that are not finite", "[jit][statistics]") {
    // An infinity or a NaN is the matter of its own column alone.
    struct Row {
        DType dtype;
        double spread, near;
    };
    for (const auto& [dtype, spread, near] :
         {Row{f16, 0.01, 2e-3}, Row{f16, 2, 2e-3}, Row{f32, 1e-18, 1e-5}, Row{f64, 1e-150, 1e-12},
          Row{bf16, 1e-3, 2e-2}}) {
        for (const double odd : {inf, -inf, not_a_number}) {
            const Array x = numbers({64, 5}, f64, 0, spread).astype(dtype);
            x.slice(0, {7, 8}).slice(1, {2, 3}).fill(odd);
            const Array wide = x.astype(f64), found = var(x, {.axis = 0, .dtype = f64});
            const Array narrow = var(x, {.axis = 0});
            along(wide, 0, [&](std::size_t k, const std::vector<double>& column) {
                CAPTURE(dtype, spread, odd, k);
                const auto at = static_cast<std::int64_t>(k);
                if (k == 2) {
                    CHECK(std::isnan(found.at<double>({at})));
                    return;
                }
                const auto expected = static_cast<double>(exact(column).var);
                CHECK(found.at<double>({at}) == Approx(expected).epsilon(1e-12));
                if (dtype != f16 || spread == 2)
                    CHECK(narrow.astype(f64).at<double>({at}) == Approx(expected).epsilon(near));
            });
        }
    }
}

TEST_CASE("mean and var of any layout", "[jit][statistics]") {
    for (const DType dtype : {f64, f32, i32, u8}) {
        const double near = dtype == f32 ? 2e-6 : 1e-13;
        for (const Array& x : layouts(dtype)) {
            for (int axis = 0; axis < x.rank(); ++axis) {
                const Array m = mean(x, {.axis = axis}), v = var(x, {.axis = axis, .ddof = 1});
                const std::vector<double> means = plain(m), vars = plain(v);
                bool right = true;
                along(x, axis, [&](std::size_t k, const std::vector<double>& values) {
                    if (values.size() < 2) return;
                    const Exact e = exact(values, 1);
                    right = right &&
                            std::abs(means[k] - static_cast<double>(e.mean)) < near * 100 &&
                            std::abs(vars[k] / static_cast<double>(e.var) - 1) < near * 10;
                });
                INFO(to_string(x.shape()) << " axis " << axis << " " << name(dtype));
                CHECK(right);
            }
            const Exact e = exact(plain(x));
            CHECK(var(x).item().cast(f64).get<double>() ==
                  Approx(static_cast<double>(e.var)).epsilon(near * 10));
        }
    }
}

TEST_CASE("argmin and argmax: NumPy's rules", "[jit][statistics]") {
    const Array m = Array::of({{3, 1, 2}, {1, 5, 5}});
    CHECK(argmin(m).dtype() == i64);
    CHECK(argmin(m).shape() == Shape());
    check_values(argmin(m), {1});
    check_values(argmax(m), {4});
    check_values(argmin(m, {.axis = 0}), {1, 0, 0});
    check_values(argmax(m, {.axis = -1}), {0, 1});
    CHECK(argmax(m, {.axis = 1, .keepdims = true}).shape() == Shape{2, 1});
    CHECK(argmax(m, {.keepdims = true}).shape() == Shape{1, 1});
    // Counted in C order of the indices, whatever the memory order is.
    check_values(argmax(m.transpose()), {3});
    check_values(argmax(m.flip()), {0});
    // NaN wins, the first one of them; zeros are equal whatever their sign.
    check_values(argmin(Array::of({2.0, not_a_number, 1.0, not_a_number})), {1});
    check_values(argmax(Array::of({2.0, not_a_number, 1.0, not_a_number})), {1});
    check_values(argmin(Array::of({0.0, -0.0})), {0});
    check_values(argmax(Array::of({-0.0, 0.0})), {0});
    check_values(argmin(Array::of({inf, inf})), {0});
    check_values(argmax(Array::of({-inf, -inf})), {0});
    check_values(argmax(Array::of({false, true, true})), {1});
    check_values(argmin(Array::of({true, true})), {0});
    check_values(argmax(Array::of({1.0F, 3.0F, 3.0F}).astype(f16)), {1});
    check_values(argmax(Array::of(f64(3))), {0});
    CHECK(argmin(zeros({0, 3}), {.axis = 1}).shape() == Shape(0));
    const Array out = zeros({3}, i64);
    argmin(m, {.axis = 0, .out = out});
    check_values(out, {1, 0, 0});
}

TEST_CASE("argmin and argmax of nothing", "[jit][statistics]") {
    for (const Shape& shape : {Shape{0}, Shape{0, 3}, Shape{0, 0}}) {
        KILN_CHECK_ERROR(argmin(zeros(shape)), shape, "attempt to get argmin of an empty sequence");
        KILN_CHECK_ERROR(argmax(zeros(shape), {.axis = 0}), shape,
                         "attempt to get argmax of an empty sequence");
    }
    CHECK(argmax(zeros({0, 3}), {.axis = 1}).shape() == Shape{0});
}

TEST_CASE("argmin and argmax of any layout", "[jit][statistics]") {
    for (const DType dtype : {f64, f32, i8, u16, i64}) {
        for (Array x : layouts(dtype)) {
            for (int axis = 0; axis < x.rank(); ++axis) {
                const std::vector<double> least = plain(argmin(x, {.axis = axis})),
                                          most = plain(argmax(x, {.axis = axis}));
                bool right = true;
                along(x, axis, [&](std::size_t k, const std::vector<double>& values) {
                    right = right && least[k] == double(first_extreme(values, false)) &&
                            most[k] == double(first_extreme(values, true));
                });
                INFO(to_string(x.shape()) << " axis " << axis << " " << name(dtype));
                CHECK(right);
            }
            check_values(argmin(x), {double(first_extreme(plain(x), false))});
            check_values(argmax(x), {double(first_extreme(plain(x), true))});
        }
    }
}

TEST_CASE("ties and NaN in different chunks", "[jit][statistics]") {
    const std::int64_t n = 1'000'000;
    Array x = zeros({n});
    x.at<double>({300'000}) = x.at<double>({900'000}) = 5;
    x.at<double>({299'999}) = x.at<double>({700'000}) = -5;
    check_values(argmax(x), {300'000});
    check_values(argmin(x), {299'999});
    x.at<double>({800'000}) = x.at<double>({600'001}) = not_a_number;
    check_values(argmax(x), {600'001});
    check_values(argmin(x), {600'001});
    x.at<double>({0}) = not_a_number;
    check_values(argmax(x), {0});
}

TEST_CASE("statistics: the same bits for any number of threads", "[jit][statistics]") {
    const std::int64_t chunk = 262'144 / 8;
    std::vector<Array> arrays{numbers({1500, 1300}, f64), numbers({1300, 1500}, f32).transpose()};
    for (const std::int64_t n : {std::int64_t(1), chunk - 1, chunk, chunk + 1, 10 * chunk + 7})
        arrays.push_back(numbers({n}, f64, 3));
    for (const Array& x : arrays) {
        std::vector<std::vector<std::byte>> first;
        for (const int threads : {1, 2, 3, 8}) {
            const Threads scope(threads);
            std::vector<std::vector<std::byte>> now;
            for (int axis = 0; axis < x.rank(); ++axis) {
                now.push_back(bytes(mean(x, {.axis = axis})));
                now.push_back(bytes(var(x, {.axis = axis})));
                now.push_back(bytes(argmin(x, {.axis = axis})));
            }
            now.push_back(bytes(mean(x)));
            now.push_back(bytes(var(x)));
            now.push_back(bytes(var(x, {.parallel = false})));
            now.push_back(bytes(argmax(x)));
            if (first.empty()) first = now;
            CHECK(now == first);
            CHECK(now[now.size() - 3] == now[now.size() - 2]);
        }
    }
}

TEST_CASE("statistics: errors", "[jit][statistics]") {
    const Array m = ones({2, 3}), z = m.astype(c64), none = zeros({0});
    KILN_CHECK_ERROR(mean(m, {.axis = 2}), bounds,
                     "axis 2 of mean is out of bounds for an array of rank 2");
    KILN_CHECK_ERROR(var(m, {.axis = {0, -2}}), usage, "axis -2 of var is listed twice");
    KILN_CHECK_ERROR(var(m, {.dtype = i32}), type,
                     "var computes in real or complex numbers, dtype i32 was asked for");
    KILN_CHECK_ERROR(mean(z, {.dtype = f64}), type,
                     "cannot cast values of mean from c64 to f64 under same_kind");
    KILN_CHECK_ERROR(standard_deviation(m, {.out = zeros({1})}), shape,
                     "the output of standard_deviation has shape (1,), its result ()");
    KILN_CHECK_ERROR(argmin(none), shape, "attempt to get argmin of an empty sequence");
    KILN_CHECK_ERROR(argmax(zeros({0, 3}), {.axis = 0}), shape,
                     "attempt to get argmax of an empty sequence");
    KILN_CHECK_ERROR(argmax(m, {.axis = -3}), bounds,
                     "axis -3 of argmax is out of bounds for an array of rank 2");
    KILN_CHECK_ERROR(argmax(m, {.out = zeros({}, i32).as_read_only()}), usage,
                     "the output of argmax is read-only");
    KILN_CHECK_ERROR(argmax(m, {.axis = 0, .out = zeros({3}, u8)}), type,
                     "cannot cast output of argmax from i64 to u8 under same_kind");
}

TEST_CASE("argmin, argmax of complex numbers: by real parts, then by imaginary ones",
          "[jit][arrays]") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    using Z = std::complex<double>;
    const Array x = Array::of({{Z(1, 5), Z(2, -1), Z(2, 3)}, {Z(2, 3), Z(-1, 0), Z(-1, -7)}});
    for (const DType t : {c64, c128}) {
        const Array z = x.astype(t);
        check_values(argmax(z), {2});
        check_values(argmin(z), {5});
        check_values(argmax(z, {.axis = 0}), {1, 0, 0});
        check_values(argmin(z, {.axis = 1, .keepdims = true}), {0, 2});
        check_values(argmax(z.transpose(), {.axis = 0}), {2, 0});
    }
    check_values(argmax(Array::of({Z(9, 0), Z(0, nan), Z(nan, 0)})), {1});
    check_values(argmin(Array::of({Z(-9, 0), Z(nan, 1), Z(0, nan)})), {1});
}
