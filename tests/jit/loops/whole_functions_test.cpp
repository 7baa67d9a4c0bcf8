// Functions of whole arrays in kernels. Expected values are those of NumPy's functions of the same names.
#include "tests/jit/support.h"
#include "tests/runtime/check_error.h"

#include <cmath>
#include <complex>
#include <limits>

#include <fmt/format.h>

using namespace kiln;
using kiln::test::check_values;
using kiln::test::error_of;

namespace {

Array counting(const Shape& shape, DType dtype = DType::f64) {
    std::int64_t n = 1;
    for (const std::int64_t extent : shape) n *= extent;
    return arange(n).astype(dtype).reshape(shape);
}

bool equal_all(const Array& a, const Array& b) { return all(a == b).item<bool>(); }

/// What a kernel that stores f(a) gives, in all ways to run it.
template <class F> Array stored(F f, const Array& a, const Shape& shape, DType dtype = DType::f64) {
    const auto kernel = [&](const JitOptions& options) {
        const Array out = empty(shape, dtype);
        jit("stored", [&](In x, Out y) { y = f(x); }, options)(a, out);
        return out;
    };
    const Array result = kernel({});
    for (const JitOptions& options : {JitOptions{.parallel = true}, JitOptions{.checked = true}})
        CHECK(equal_all(kernel(options), result));
    return result;
}

}  // namespace

TEST_CASE("statements: var, standard_deviation", "[jit][statements]") {
    const Array a = Array::of({{1.0, 2.0, 6.0}, {3.0, 3.0, 3.0}});
    check_values(stored([](In x) { return var(x, {.axis = 1}); }, a, {2}), {14.0 / 3, 0});
    check_values(stored([](In x) { return standard_deviation(x, {.axis = 0, .keepdims = true}); },
                        a, {1, 3}),
                 {1, 0.5, 1.5});
    check_values(stored([](In x) { return var(x); }, a, {}), {14.0 / 6});
    check_values(stored([](In x) { return var(x); }, Array::of({1, 3}), {}),
                 {1});  // of integers in f64
    using Z = std::complex<double>;
    check_values(stored([](In x) { return var(x); }, Array::of({Z(1, 1), Z(-1, -1)}), {}), {2});
    const Array out = empty({3}, f64);  // before and after what it is of changes
    const Array data = a.copy();
    jit([](InOut x, Out y) {
        const Scratch spread = standard_deviation(x, {.axis = 0});
        x -= mean(x, {.axis = 0});
        y = spread + sum(x, {.axis = 0});
    })(data, out);
    check_values(out, {1, 0.5, 1.5});
    check_values(data, {-1, -0.5, 1.5, 1, 0.5, -1.5});
}

TEST_CASE("statements: transpose by a list, swapaxes, flip", "[jit][statements]") {
    const Array a = counting({2, 3, 4});
    const auto same = [](const Array& got, const Array& want) { CHECK(equal_all(got, want)); };
    same(stored([](In x) { return transpose(x, {2, 0, 1}); }, a, {4, 2, 3}),
         a.transpose({2, 0, 1}));
    same(stored([](In x) { return transpose(x, {1, -1, 0}); }, a, {3, 4, 2}),
         a.transpose({1, 2, 0}));
    same(stored([](In x) { return swapaxes(x, 0, -1); }, a, {4, 3, 2}), swapaxes(a, 0, 2));
    for (int axis = -3; axis < 3; ++axis) {
        same(stored([&](In x) { return flip(x, axis); }, a, {2, 3, 4}), a.flip(axis));
        same(stored([&](In x) { return flip(x + 1.0, axis); }, a, {2, 3, 4}), a.flip(axis) + 1.0);
    }
    same(stored([](In x) { return flip(x.slice(1, {}, {{}, {}, 2}), 1); }, a, {3, 2}),
         a(1, {}, Slice{.step = 2}).flip(1));
    same(stored([](In x) { return flip(transpose(x, {1, 0, 2}), 0); }, a, {3, 2, 4}),
         a.transpose({1, 0, 2}).flip(0));
    const Array v = counting({5});  // in place
    jit([](InOut x) { x.slice({0, 4}) += 10.0 * flip(x.slice({0, 4})); })(v);
    check_values(v, {30, 21, 12, 3, 4});
    const auto refused = [&](auto f) { jit([&](In x, Out y) { y = f(x); })(a, empty({1}, f64)); };
    KILN_CHECK_ERROR(refused([](In x) { return transpose(x, {0, 1}); }), shape,
                     "transpose of 3 dimensions by (0,1)");
    KILN_CHECK_ERROR(refused([](In x) { return transpose(x, {0, 1, 1}); }), shape,
                     "transpose of 3 dimensions by (0,1,1)");
    KILN_CHECK_ERROR(refused([](In x) { return flip(x, 3); }), shape,
                     "axis 3 of an array value of 3 dimensions");
}

TEST_CASE("statements: reshape", "[jit][statements]") {
    const Array a = counting({3, 4});
    check_values(stored([](In x) { return reshape(x, {2, -1}) * 2.0; }, a, {2, 6}),
                 {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22});
    check_values(stored([](In x) { return reshape(transpose(x), {-1}); }, a, {12}),
                 {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11});
    check_values(stored([](In x) { return sum(reshape(x, {2, 3, 2}), {.axis = 1}); }, a, {2, 2}),
                 {6, 9, 24, 27});
    check_values(stored([](In x) { return reshape(x.slice(1), {x.extent(1) / 2, 2}); }, a, {2, 2}),
                 {4, 5, 6, 7});
    check_values(stored([](In x) { return reshape(sum(x), {1, 1}); }, a, {1, 1}), {66});
    check_values(stored([](In x) { return reshape(x.slice({0, 1}, {0, 1}), {}); }, a, {}), {0});
    CHECK(stored([](In x) { return reshape(x, {3, -1}); }, empty({3, 0}, f64), {3, 0}).size() == 0);
    const Array out = empty({5, 2}, f64);
    KILN_CHECK_ERROR(jit([](In x, Out y) { y = reshape(x, {5, 2}); })(a, out), shape,
                     "cannot reshape (3,4) to (5,2)");
    KILN_CHECK_ERROR(jit([](In x, Out y) { y = reshape(x, {5, -1}); })(a, out), shape,
                     "cannot reshape (3,4) to (5,2)");
    KILN_CHECK_ERROR(jit([](In x, Out y) { y = reshape(x, {-1, -1}); })(a, out), shape,
                     "reshape with more than one extent of -1");
}

TEST_CASE("statements: concatenate, cumsum, eye", "[jit][statements]") {
    const Array a = counting({2, 3});
    check_values(stored([](In x) { return concatenate({x, x.slice({0, 1}) + 10.0}); }, a, {3, 3}),
                 {0, 1, 2, 3, 4, 5, 10, 11, 12});
    check_values(
        stored([](In x) { return concatenate({flip(x, 1), x.slice({}, {1, {}})}, -1); }, a, {2, 5}),
        {2, 1, 0, 1, 2, 5, 4, 3, 4, 5});
    check_values(stored([](In x) { return cumsum(x); }, a, {6}), {0, 1, 3, 6, 10, 15});
    check_values(stored([](In x) { return cumsum(x, 0); }, a, {2, 3}), {0, 1, 2, 3, 5, 7});
    check_values(stored([](In x) { return cumsum(x, 1); }, a, {2, 3}), {0, 1, 3, 3, 7, 12});
    check_values(
        stored([](In x) { return cumsum(x); }, Array::of({true, true, false, true}), {4}, i64),
        {1, 2, 2, 3});
    check_values(stored([](In x) { return eye(x.extent(1)) * 2.0; }, a, {3, 3}),
                 {2, 0, 0, 0, 2, 0, 0, 0, 2});
    const Array out = empty({4, 3}, f64);
    KILN_CHECK_ERROR(jit([](In x, Out y) { y = concatenate({x, x.slice({}, {0, 1})}); })(a, out),
                     shape, "cannot concatenate (2,3) and (2,1)");
    KILN_CHECK_ERROR(jit([](In x, Out y) { y = concatenate({x, x.slice(0)}); })(a, out), shape,
                     "concatenate of 2 and 1 dimensions");
}

TEST_CASE("statements: matmul", "[jit][statements]") {
    const Array a = counting({2, 3}), b = counting({3, 2}), v = Array::of({1.0, 2.0, 3.0});
    const Array stack = counting({4, 2, 3}), other = counting({4, 3, 2}),
                four = counting({5, 1, 3, 2});
    const auto agrees = [](const Array& x, const Array& y, const Array& want) {
        const Array got = empty(want.shape(), want.dtype());
        for (const bool parallel : {false, true}) {
            jit([](In p, In q, Out r) { r = matmul(p, q); }, {.parallel = parallel})(x, y, got);
            CHECK(equal_all(got, want));
        }
    };
    agrees(a, b, Array::of({{10.0, 13.0}, {28.0, 40.0}}));
    agrees(a, v, Array::of({8.0, 26.0}));
    agrees(v, b, Array::of({16.0, 22.0}));
    // The definition, matrix by matrix.
    const auto product = [](const Array& x, const Array& y) {
        const Array z = zeros({x.extent(0), y.extent(1)});
        for (std::int64_t i = 0; i < x.extent(0); ++i)
            for (std::int64_t j = 0; j < y.extent(1); ++j)
                for (std::int64_t k = 0; k < x.extent(1); ++k)
                    z.at<double>({i, j}) += x.at<double>({i, k}) * y.at<double>({k, j});
        return z;
    };
    const Array each = empty({4, 2, 2}, f64), shared = empty({4, 2, 2}, f64),
                rows = empty({4, 2}, f64), wide = empty({5, 4, 2, 2}, f64);
    for (std::int64_t s = 0; s < 4; ++s) {
        each(s).assign(product(stack(s), other(s)));
        shared(s).assign(product(stack(s), b));
        rows(s).assign(product(stack(s), v.reshape({3, 1})).reshape({2}));
        for (std::int64_t t = 0; t < 5; ++t) wide(t, s).assign(product(stack(s), four(t, 0)));
    }
    agrees(stack, other, each);
    agrees(stack, b, shared);
    agrees(stack, v, rows);
    agrees(stack, four, wide);
    agrees(a, other, [&] {
        const Array z = empty({4, 2, 2}, f64);
        for (std::int64_t s = 0; s < 4; ++s) z(s).assign(product(a, other(s)));
        return z;
    }());
    agrees(v, other, [&] {
        const Array z = empty({4, 2}, f64);
        for (std::int64_t s = 0; s < 4; ++s)
            z(s).assign(product(v.reshape({1, 3}), other(s)).reshape({2}));
        return z;
    }());
    KILN_CHECK_ERROR(jit([](In p, In q, Out r) { r = matmul(p, q); })(stack, stack, each), shape,
                     "matmul of (4,2,3) and (4,2,3): 3 columns, but 2 rows");
    KILN_CHECK_ERROR(jit([](In p, In q, Out r) { r = matmul(sum(p), q); })(stack, stack, each),
                     shape, "matmul of 0 and 3 dimensions");
}

TEST_CASE("statements: members of slices and values", "[jit][statements]") {
    const Array a = counting({2, 3});
    check_values(stored([](In x) { return x.slice(1).sum() + x.slice({}, 0).max(); }, a, {}), {15});
    check_values(stored([](In x) { return (x * 2.0).mean({.axis = 0}); }, a, {3}), {3, 5, 7});
    check_values(stored([](In x) { return (x * 2.0).min() + Value(x).sum(); }, a, {}), {15});
    check_values(
        stored([](In x) { return x.slice({}, {1, {}}).mean({.axis = 1, .keepdims = true}); }, a,
               {2, 1}),
        {1.5, 4.5});
}

TEST_CASE("statements: these functions in cores of gufuncs and in a prange", "[jit][statements]") {
    const Array a = counting({3, 4});
    const auto running =
        guvectorize("(n)->(n)", [](In x, Out y) { y = cumsum(flip(x)); }, {.parallel = true});
    check_values(running(a), {3, 5, 6, 6, 7, 13, 18, 22, 11, 21, 30, 38});
    check_values(running(a.transpose()), {8, 12, 12, 9, 14, 15, 10, 16, 18, 11, 18, 21});
    const Array out = empty({3, 2, 2}, f64);
    jit(
        [](In x, Out y) {
            for (Index i : prange(x.extent(0))) y.slice(i) = reshape(x.slice(i), {2, 2});
        },
        {.parallel = true})(a, out);
    CHECK(equal_all(out, a.reshape({3, 2, 2})));
}

TEST_CASE("statements: min and max of complex numbers", "[jit][statements]") {
    using Z = std::complex<double>;
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const Array a = Array::of({{Z(1, 5), Z(2, -1), Z(2, 3)}, {Z(2, 2), Z(-1, 0), Z(-1, -7)}});
    const auto is = [](const Array& got, std::initializer_list<Z> want) {
        CHECK(equal_all(got.reshape({got.size()}), Array::of(want)));
    };
    is(stored([](In x) { return max(x); }, a, {}, c128), {Z(2, 3)});
    is(stored([](In x) { return min(x, {.axis = 0}); }, a, {3}, c128),
       {Z(1, 5), Z(-1, 0), Z(-1, -7)});
    is(stored([](In x) { return (x * 2.0).max({.axis = 1, .keepdims = true}); }, a, {2, 1}, c128),
       {Z(4, 6), Z(4, 4)});
    const Array out = empty({}, c128);
    jit([](In x, Out y) { y = max(x); })(Array::of({Z(1, 0), Z(0, nan), Z(3, 0)}), out);
    CHECK(std::isnan(out.item<Z>().imag()));
    KILN_CHECK_ERROR(jit([](In x, Out y) { y = max(x); })(zeros({0}, c128), out), shape,
                     "zero-size array to a reduction which has no identity (min or max)");
}

TEST_CASE("statements: the plan has the arrays that functions compute into, by their lines",
          "[jit][statements]") {
    const auto lines = [](auto body) {  // of temporary arrays of functions, in the plan
        const Array a = counting({2, 3}), out = empty({6}, f64);
        const auto kernel = jit("arrays", body);
        kernel(a, out);
        const std::string plan = kernel.inspect(Artifact::plan, {f64[2], f64[1]});
        CHECK(plan.find("array_functions.cpp") == plan.npos);  // each line is one of this file
        std::vector<std::string> found;
        const std::string_view words = " computes into a temporary array";
        for (std::size_t at = plan.find(words); at != plan.npos; at = plan.find(words, at + 1)) {
            const std::size_t name = plan.find_last_of(" :", at - 1) + 1;
            found.push_back(plan.substr(name, at - name));
        }
        return found;
    };
    using Names = std::vector<std::string>;
    CHECK(lines([](In x, Out y) { y = reshape(x, {6}); }) == Names{"reshape"});
    CHECK(lines([](In x, Out y) { y = concatenate({x.slice(0), x.slice(1)}); }) ==
          Names{"concatenate"});
    CHECK(lines([](In x, Out y) { y = cumsum(x, 1).sum(); }) == Names{"cumsum"});
    CHECK(lines([](In x, Out y) { y = eye(x.extent(0)).sum(); }) == Names{"eye"});
    CHECK(lines([](In x, Out y) { y = flip(x + 1, 0).sum(); }) == Names{"flip"});
    CHECK(lines([](In x, Out y) { y = flip(x, 0).sum(); }).empty());
    CHECK(lines([](In x, Out y) {
              y = real(max(cast<std::complex<double>>(x), {.axis = 0})).sum();
          }) == Names{"max"});
    CHECK(lines([](In x, Out y) {
              const Scratch own(DType::f64, {x.extent(0)});
              own = x.sum();
              y = own.sum();
          }).empty());
}

TEST_CASE("statements: extents that no array has", "[jit][statements]") {
    const Array a = counting({2, 3}), none = zeros({0, 3}), out = empty({}, f64);
    for (const JitOptions& options : {JitOptions{}, JitOptions{.checked = true}}) {
        const auto by =
            jit("by", [](In x, Value n, Out y) { y = sum(reshape(x, {-1, n})); }, options);
        by(a, std::int64_t(2), out);
        check_values(out, {15});
        for (const Array& x : {a, none})  // not a division by zero
            CHECK(error_of([&] { by(x, std::int64_t(0), out); })
                      .message()
                      .starts_with("cannot reshape ("));
        const int line = __LINE__ + 1;
        const auto made = jit("made", [](Value n, Out y) { y = sum(eye(n)); }, options);
        CHECK(error_of([&] { made(std::int64_t(-3), out); }).message() ==
              fmt::format("the array made at line {} has shape (-3,-3)", line));
    }
    const auto refused = [&](auto body) { jit("refused", body)(a, out); };
    KILN_CHECK_ERROR(refused([](In x, Out y) { y = sum(eye(x.sum())); }), type,
                     "an extent is f64, not an integer");
    KILN_CHECK_ERROR(refused([](In x, Out y) { y = sum(reshape(x, {x.sum(), 2})); }), type,
                     "an extent is f64, not an integer");
    KILN_CHECK_ERROR(refused([](In x, Out y) { y = sum(reshape(x, {-1, 0})); }), shape,
                     "reshape with an extent of -1 beside 0");
}
