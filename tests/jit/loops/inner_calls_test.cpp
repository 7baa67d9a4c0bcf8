// Ufuncs, generalised ufuncs and stencils that loop kernels call: their code becomes a part of the kernel.
#include "tests/jit/support.h"
#include "tests/threads.h"

#include <cmath>
#include <complex>
#include <random>

using namespace kiln;
using namespace kiln::test;

namespace {

Gufunc matmul() {
    return guvectorize("matmul", "(m,n),(n,p)->(m,p)", [](In a, In b, Out c) {
        for (Index i : range(a.extent(0)))
            for (Index j : range(b.extent(1))) {
                Var sum(c.dtype(), 0);
                for (Index k : range(a.extent(1))) sum += a(i, k) * b(k, j);
                c(i, j) = sum;
            }
    });
}
Gufunc running() {
    return guvectorize("running", "(n)->(n)", [](In x, Out y) {
        Var sum(y.dtype(), 0);
        for (Index i : range(x.extent(0))) {
            sum += x(i);
            y(i) = sum;
        }
    });
}
Array counting(const Shape& shape, DType dtype = DType::f64) {
    return arange(element_count(shape), dtype).reshape(shape);
}
bool noted(const std::vector<Remark>& remarks, std::string_view text) {
    for (const Remark& remark : remarks)
        if (remark.text.find(text) != std::string::npos) return true;
    return false;
}

}  // namespace

TEST_CASE("ufuncs in kernels: Values, numbers, whole arrays, several results",
          "[jit][program][call]") {
    const auto saxpy = vectorize("saxpy", [](Value a, Value x, Value y) { return a * x + y; });
    const auto parts = vectorize(
        "parts", [](Value a, Value b) { return std::pair(floor_divide(a, b), mod(a, b)); });
    const auto by_hand = jit([=](In x, Out out) {
        for (Index i : prange(x.extent(0))) out(i) = saxpy(2.0, x(i), 1.0);
    });
    const auto whole = jit([=](In x, Out out) { out = saxpy(x, 3.0, x.slice({{}, {}, -1})); });
    const auto both = jit([=](In x, Out out) {
        for (Index i : range(x.extent(0))) {
            const std::vector<Value> r = parts.all(x(i), 3);
            out(i) = 10 * r[0] + r[1];
        }
    });
    const std::vector<double> x{1, 2, 7};
    std::vector<double> out(3);
    by_hand(x, out);
    CHECK(out == std::vector<double>{3, 5, 15});
    whole(x, out);
    CHECK(out == std::vector<double>{10, 8, 22});
    both(x, out);
    CHECK(out == std::vector<double>{1, 2, 21});
    // C++ values are weak, as in calls: f32 stays f32.
    const auto type = jit([=](In a) -> Value { return saxpy(2.0, a(0), 1.0); });
    CHECK(type(std::vector<float>{1.5F}).dtype == DType::f32);
}

TEST_CASE("ufuncs in kernels: loops that are listed, errors", "[jit][program][call]") {
    const auto half = vectorize("half", [](Value x) { return x / 2; }, {f32(f32), f64(f64)});
    const auto caller = jit([=](In x, Out out) {
        for (Index i : prange(x.extent(0))) out(i) = half(x(i));
    });
    // i16 casts safely to f32, i32 to f64 alone.
    CHECK(jit([=](In a) -> Value { return half(a(0)); })(std::vector<std::int16_t>{3}).dtype ==
          DType::f32);
    CHECK(jit([=](In a) -> Value { return half(a(0)); })(std::vector<std::int32_t>{3}).dtype ==
          DType::f64);
    std::vector<double> out(1);
    Error e = error_of([&] { caller(std::vector<std::complex<double>>{{1, 1}}, out); });
    CHECK(e.kind() == ErrorKind::type);
    CHECK(e.message() == "no loop of half accepts (c128)");
    CHECK(e.line() == __LINE__ - 11);
    const auto wrong = jit([=](In x) -> Value { return half(x(0), 1.0); });
    e = error_of([&] { wrong(out); });
    CHECK(e.message() == "half takes 1 argument, 2 given");
    CHECK(e.line() == __LINE__ - 3);
    const auto two = vectorize("two", [](Value x) { return std::pair(x, x); });
    e = error_of([&] { jit([=](In x) -> Value { return two(x(0)); })(out); });
    CHECK(e.message() == "two has 2 outputs");
    CHECK(e.hint() == "call all(), which gives them in order");
}

TEST_CASE("generalised ufuncs in kernels: cores, stacks of them, slices", "[jit][program][call]") {
    const Gufunc product = matmul();
    // A B, and (A B) B, of numbers that f64 has: against plain loops.
    const Array a = counting({3, 4, 5}), b = counting({5, 5});
    const auto twice = jit(
        [=](In x, In y) {
            const InOut first = product(x, y);
            return Scratch(product(first, y));
        },
        {.parallel = true});
    const auto reference = [](const Array& p, const Array& q) {
        const Array r = zeros({p.extent(0), p.extent(1), q.extent(1)}, f64);
        for (std::int64_t s = 0; s < p.extent(0); ++s)
            for (std::int64_t i = 0; i < p.extent(1); ++i)
                for (std::int64_t j = 0; j < q.extent(1); ++j)
                    for (std::int64_t k = 0; k < q.extent(0); ++k)
                        r.at<double>({s, i, j}) += p.at<double>({s, i, k}) * q.at<double>({k, j});
        return r;
    };
    const Array want = reference(reference(a, b), b);
    for (const int threads : {1, 2, 3}) {
        const Threads limit(threads);
        const Array got = twice(a, b);
        REQUIRE(got.shape() == Shape{3, 4, 5});
        CHECK(values(got) == values(want));
    }
    // Slices are stored first, which is said; an array is both operands.
    const auto squares = jit([=](In x, Out out) {
        for (Index s : prange(x.extent(0))) out.slice(s) = product(x.slice(s), x.slice(s));
    });
    const Array square = counting({2, 3, 3}), out = zeros({2, 3, 3}, f64);
    squares(square, out);
    const Array zero = reference(square.slice(0, {0, 1}), square.index(0, 0)),
                one = reference(square.slice(0, {1, 2}), square.index(0, 1));
    CHECK(values(out.index(0, 0)) == values(zero));
    CHECK(values(out.index(0, 1)) == values(one));
    CHECK(noted(squares.remarks(), "argument 1 of matmul is stored in an array of its own"));
    const auto same = jit([=](In x) { return Scratch(product(x, x)); });
    CHECK(values(same(square.index(0, 0))) == values(zero));
}

TEST_CASE("generalised ufuncs in kernels: scalars, computed sizes, listed loops, several results",
          "[jit][program][call]") {
    const auto scaled = guvectorize("scaled", "(n),()->(n)", [](In x, Value k, Out y) {
        for (Index i : range(x.extent(0))) y(i) = x(i) * k;
    });
    const auto by_three = jit([=](In x) { return Scratch(scaled(x, 3.0)); });
    CHECK(values(by_three(counting({2, 3}))) == std::vector<double>{0, 3, 6, 9, 12, 15});
    // One factor a row.
    const auto by_rows = jit([=](In x, In k) { return Scratch(scaled(x, k)); });
    CHECK(values(by_rows(counting({2, 3}), std::vector<double>{1, -1})) ==
          std::vector<double>{0, 1, 2, -3, -4, -5});
    const auto convolve = guvectorize("convolve", "(n),(m)->(n+m-1)", [](In x, In h, Out y) {
        for (Index i : range(y.extent(0))) y(i) = 0;
        for (Index i : range(x.extent(0)))
            for (Index k : range(h.extent(0))) y(i + k) += x(i) * h(k);
    });
    const auto polynomial = jit([=](In x, In h) { return Scratch(convolve(x, h)); });
    // (1 + 2 x + 3 x^2) (1 + x)
    CHECK(values(polynomial(std::vector<double>{1, 2, 3}, std::vector<double>{1, 1})) ==
          std::vector<double>{1, 3, 5, 3});
    const auto extremes = guvectorize("extremes", "(n)->(),()", [](In x, Out low, Out high) {
        low() = min(x);
        high() = max(x);
    });
    const auto spread = jit([=](In x, Out out) {
        const std::vector<InOut> r = extremes.all(x);
        out = r[1] - r[0];
    });
    std::vector<double> out(2);
    spread(counting({2, 5}), out);
    CHECK(out == std::vector<double>{4, 4});
    const auto total = guvectorize("(n)->()", [](In x, Out s) { s() = sum(x); }, {f64(f64)});
    const auto of_ints = jit([=](In x) { return Scratch(total(x)); });
    CHECK(of_ints(counting({2, 3}, i32)).dtype() == f64);
    CHECK(values(of_ints(counting({2, 3}, i32))) == std::vector<double>{3, 12});
}

TEST_CASE("generalised ufuncs in kernels: in another one's core", "[jit][program][call]") {
    const Gufunc sums = running();
    const auto twice = guvectorize("twice", "(n)->(n)", [=](In x, Out y) { y = sums(sums(x)); });
    // Running sums of running sums of ones: 1, 3, 6, 10.
    CHECK(values(twice(ones({2, 4}, f64))) == std::vector<double>{1, 3, 6, 10, 1, 3, 6, 10});
}

TEST_CASE("generalised ufuncs in kernels: errors", "[jit][program][call]") {
    const Gufunc product = matmul();
    const auto caller = jit([=](In x, In y) { return Scratch(product(x, y)); });
    const unsigned line = __LINE__ - 1;
    Error e = error_of([&] { caller(counting({2, 3}), counting({4, 2})); });
    CHECK(e.kind() == ErrorKind::shape);
    CHECK(e.message() == "dimensions of a generalised ufunc's operands differ: 3 and 4");
    CHECK(e.line() == line);
    e = error_of([&] { caller(counting({2, 2, 3}), counting({3, 3, 2})); });
    CHECK(e.message() == "dimensions of a generalised ufunc's operands differ: 2 and 3");
    e = error_of([&] { caller(counting({3}), counting({3, 2})); });
    CHECK(e.message() == "argument 1 of matmul has 1 dimension, its core has 2");
    const auto few = jit([=](In x) { return Scratch(product(x)); });
    e = error_of([&] { few(counting({2, 2})); });
    CHECK(e.message() == "matmul takes 2 arguments, 1 given");
    CHECK(e.line() == __LINE__ - 3);
}

TEST_CASE("stencils in kernels", "[jit][program][call]") {
    const auto smooth = stencil("smooth", [](Neighbors a) -> Value { return 0.5 * (a(-1) + a(1)); },
                                {.boundary = Boundary::wrap});
    const auto steps = jit(
        [=](In x, Out out) {
            Scratch now(Value(x) * 1.0);
            for (Index t : range(3)) {
                static_cast<void>(t);
                now = smooth(now);
            }
            out = now;
        },
        {.parallel = true});
    std::vector<double> row{8, 0, 0, 0, 16, 0}, out(6), want = row;
    for (int t = 0; t < 3; ++t) {
        const std::vector<double> before = want;
        for (std::size_t i = 0; i < 6; ++i)
            want[i] = 0.5 * (before[(i + 5) % 6] + before[(i + 1) % 6]);
    }
    steps(row, out);
    CHECK(out == want);
    // Of a slice.
    const auto of_row = jit([=](In x) { return Scratch(smooth(x.slice(1))); });
    CHECK(values(of_row(counting({2, 4}))) == std::vector<double>{6, 5, 6, 5});
    CHECK(noted(of_row.remarks(), "argument 1 of smooth is stored in an array of its own"));
}
