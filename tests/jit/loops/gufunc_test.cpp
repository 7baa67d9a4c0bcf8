// Generalised ufuncs: signatures, shapes, axes, outputs, types, errors by their texts.
#include "tests/jit/support.h"
#include "tests/threads.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <random>
#include <thread>

using namespace kiln;
using namespace kiln::test;

namespace {

void matmul_core(In a, In b, Out c) {
    for (Index i : range(a.extent(0)))
        for (Index j : range(b.extent(1))) {
            Var sum(c.dtype(), 0);
            for (Index k : range(a.extent(1))) sum += a(i, k) * b(k, j);
            c(i, j) = sum;
        }
}
Gufunc matmul(GufuncOptions options = {}) {
    return guvectorize("matmul", "(m,n),(n,p)->(m,p)", matmul_core, std::move(options));
}
Gufunc inner(GufuncOptions options = {}) {
    return guvectorize(
        "inner", "(n),(n)->()",
        [](In a, In b, Out c) {
            Var sum(c.dtype(), 0);
            for (Index k : range(a.extent(0))) sum += a(k) * b(k);
            c() = sum;
        },
        std::move(options));
}
Gufunc running(GufuncOptions options = {}) {
    return guvectorize(
        "running", "(n)->(n)",
        [](In x, Out y) {
            Var sum(y.dtype(), 0);
            for (Index i : range(x.extent(0))) {
                sum += x(i);
                y(i) = sum;
            }
        },
        std::move(options));
}
Array counting(const Shape& shape, DType dtype = DType::f64) {
    return arange(element_count(shape), dtype).reshape(shape);
}
std::string message(const Error& e) { return e.message(); }

/// What is said of a signature that is read when the program runs.
template <class F> std::string fault(const std::string& signature, F lambda) {
    return message(error_of([&] { guvectorize("f", signature, lambda); }));
}
std::string with_caret(const std::string& signature, std::size_t at, const std::string& what) {
    return "the signature of f: " + what + "\n    " + signature + "\n    " + std::string(at, ' ') +
           "^";
}

}  // namespace

TEST_CASE("signatures: every fault is found at its character", "[jit][gufunc]") {
    const auto one = [](In, Out) {};
    const auto check = [&](const std::string& signature, std::size_t at, const std::string& what) {
        CHECK(fault(signature, one) == with_caret(signature, at, what));
    };
    check("", 0, "an operand is expected: ( ... )");
    check("(m", 2, "a comma or ) is expected");
    check("(m,n)(n)->()", 5, "-> or a comma and another operand are expected");
    check("(n)-(m)", 4, "-> is expected");
    check("(n)->", 5, "an operand is expected: ( ... )");
    check("->()", 0, "an operand is expected: ( ... )");
    check("(m)->(m)x", 8, "the signature goes on behind its outputs");
    check("(0)->()", 1, "a frozen size is positive");
    check("(-1)->()", 1, "a dimension is a name or a positive integer");
    check("(,)->()", 1, "a dimension is a name or a positive integer");
    check("(3x)->()", 2, "a dimension is a name or a positive integer");
    check("(n m)->()", 3, "a comma or ) is expected");
    check("(m?),(m)->()", 7, "? is missing: the dimension had one before");
    check("(m),(m?)->()", 6, "? behind a dimension that had none before");
    check("(2?),(2)->()", 7, "? is missing: the dimension had one before");
    check("(n+1)->()", 1, "sizes are only computed behind the arrow");
    check("((n))->()", 1, "sizes are only computed behind the arrow");
    check("(n)->(q+1)", 6, "a size is computed from a dimension of no input");
    check("(n)->(n+)", 8, "a dimension is a name or a positive integer");
    check("(n)->((n+1)", 11, "a comma or ) is expected");
    check("(n)->((n+1", 10, "an operator or ) is expected");
    check("(n)->(n+1?)", 9, "? belongs to a name or number by itself");
    check("(a,b,c,d,e,f,g,h,i)->()", 17, "an operand has at most 8 dimensions");
    std::string many = "()";
    for (int i = 1; i < 31; ++i) many += ",()";
    check(many + ",()->()", 97, "more than 32 operands");
    check("()->" + many + ",()", 97, "more than 32 operands");
    check("(99999999999999999999)->()", 1, "a size of 2^50 or more");
}

TEST_CASE("signatures fit the parameters", "[jit][gufunc]") {
    const std::string fewer = "the callable has fewer parameters than the signature operands",
                      more = "the callable has more parameters than the signature operands";
    CHECK(fault("(n),(n)->()", [](In, Out) {}) == with_caret("(n),(n)->()", 9, fewer));
    CHECK(fault("(n)->()", [](In, In, Out) {}) == with_caret("(n)->()", 7, more));
    CHECK(fault("(n)->()", [](In, InOut) {}) ==
          with_caret("(n)->()", 5, "the parameter for an output is an Out"));
    CHECK(fault("(n)->()", [](Out, Out) {}) ==
          with_caret("(n)->()", 0,
                     "the parameter for an input is an In, InOut or Value, not an Out"));
    CHECK(fault("(n),(n)->()", [](In, Value, Out) {}) ==
          with_caret("(n),(n)->()", 4,
                     "the parameter for an input with dimensions is an In or InOut"));
    CHECK(fault("(n), ()->()", [](In, In, Out) {}) ==
          with_caret("(n), ()->()", 5, "the parameter for an input () is a Value, or an InOut"));
}

TEST_CASE("what a generalised ufunc tells of itself", "[jit][gufunc]") {
    const Gufunc f = guvectorize("f", " ( m , n? ) -> ( ) ", [](In, Out s) { s() = 1; },
                                 {.results = {DType::i64}, .doc = "ones"});
    CHECK(f.name() == "f");
    CHECK(f.doc() == "ones");
    CHECK(f.signature() == " ( m , n? ) -> ( ) ");
    CHECK(f.nin() == 1);
    CHECK(f.nout() == 1);
    CHECK(f.nargs() == 2);
    CHECK(f(counting({2, 3})).dtype() == DType::i64);
    const Gufunc listed =
        guvectorize("(n)->()", [](In a, Out s) { s() = sum(a); }, {f32(f32), f64(f64)});
    CHECK(listed.types() == std::vector<Signature>{f32(f32), f64(f64)});
    CHECK(listed.name() == "gufunc");
}

TEST_CASE("cores are the last axes, loop dimensions broadcast", "[jit][gufunc]") {
    const Gufunc f = matmul();
    check_values(f(counting({2, 3}), counting({3, 2})), {10, 13, 28, 40});
    const Array a = counting({2, 1, 2, 2}), b = counting({3, 2, 2});
    const Array c = f(a, b);
    REQUIRE(c.shape() == Shape({2, 3, 2, 2}));
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 3; ++j)
            for (int r = 0; r < 2; ++r)
                for (int s = 0; s < 2; ++s) {
                    double sum = 0;
                    for (int k = 0; k < 2; ++k)
                        sum += a.at<double>({i, 0, r, k}) * b.at<double>({j, k, s});
                    CHECK(c.at<double>({i, j, r, s}) == sum);
                }
    check_values(inner()(counting({2, 3}), counting({3})), {5, 14});
    check_values(inner()(std::vector{1.0, 2.0}, std::vector{3.0, 4.0}), {11});
}

/// Wrong elements, by their bits, of products of `k` numbers; those of this test add in turn.
template <class T> int wrong_products(const Gufunc& f, DType dtype, std::int64_t k) {
    constexpr int count = 20, rows = 3, columns = 4;
    Array a = zeros({count, rows, k}, dtype), b = zeros({count, k, columns}, dtype);
    std::mt19937 random(1);
    std::uniform_real_distribution<double> some(-1000, 1000);
    for (Array* x : {&a, &b})
        std::generate_n(reinterpret_cast<T*>(x->data()), x->size(),
                        [&] { return T(some(random)); });
    const Array c = f(a, b);
    const T *x = reinterpret_cast<const T*>(a.data()), *y = reinterpret_cast<const T*>(b.data()),
            *z = reinterpret_cast<const T*>(c.data());
    int wrong = 0;
    for (std::int64_t i = 0; i < c.size(); ++i) {
        const std::int64_t core = i / (rows * columns), row = i / columns, column = i % columns;
        T sum = 0;
        for (std::int64_t l = 0; l < k; ++l) {
            const volatile T product = x[row * k + l] * y[(core * k + l) * columns + column];
            sum += product;
        }
        wrong += sum != z[i];
    }
    return wrong;
}

TEST_CASE("small products: no temporary, additions in turn", "[jit][gufunc]") {
    for (const bool parallel : {false, true}) {
        const Gufunc f = guvectorize("(m,n),(n,p)->(m,p)", [](In a, In b, Out c) { c = dot(a, b); },
                                     {.parallel = parallel});
        for (const std::int64_t k : {1, 2, 3, 5, 8, 9, 16}) {
            CHECK(wrong_products<double>(f, DType::f64, k) == 0);
            CHECK(wrong_products<float>(f, DType::f32, k) == 0);
            CHECK(wrong_products<std::int32_t>(f, DType::i32, k) == 0);
            const Array a = ones({9, 3, k}), b = ones({9, k, 4});
            const bool kept =
                f.inspect_call(Artifact::plan, {a, b}).find("kept: the sum") != std::string::npos;
            CHECK(kept == (k > 8));  // up to 8 the size is a constant
        }
    }
}

TEST_CASE("zero sizes: cores of none are computed, loops of none are not", "[jit][gufunc]") {
    check_values(inner()(zeros({2, 0}), zeros({0})), {0, 0});
    const Array none = inner()(zeros({0, 3}), counting({3}));
    CHECK(none.shape() == Shape({0}));
    const Array products = matmul()(zeros({2, 0}), zeros({0, 2}));
    check_values(products, {0, 0, 0, 0});
}

TEST_CASE("scalars are values, outputs without dimensions arrays of rank 0", "[jit][gufunc]") {
    const Gufunc f = guvectorize("(n),()->(n),()", [](In x, Value k, Out y, Out t) {
        y = x * k;
        t() = sum(x) * k;
    });
    const auto both = f.all(counting({2, 3}), std::vector{1.0, 10.0});
    REQUIRE(both.size() == 2);
    check_values(both[0], {0, 1, 2, 30, 40, 50});
    check_values(both[1], {3, 120});
    const auto same = f.all(counting({2, 3}), 2.0);
    check_values(same[0], {0, 2, 4, 6, 8, 10});
    const Gufunc plus = guvectorize("(),()->()", [](Value a, Value b, Out c) { c() = a + b; });
    check_values(plus(counting({2, 2}), counting({2})), {0, 2, 2, 4});
    check_values(plus(1.0, 2.0), {3});
}

TEST_CASE("frozen sizes, several times the same", "[jit][gufunc]") {
    const Gufunc cross = guvectorize("cross", "(3),(3)->(3)", [](In a, In b, Out c) {
        c(0) = a(1) * b(2) - a(2) * b(1);
        c(1) = a(2) * b(0) - a(0) * b(2);
        c(2) = a(0) * b(1) - a(1) * b(0);
    });
    check_values(cross(std::vector{1.0, 0.0, 0.0}, std::vector{0.0, 1.0, 0.0}), {0, 0, 1});
    const Error wrong = error_of([&] { cross(counting({3}), counting({2})); });
    CHECK(wrong.message() == "core dimension 3 of argument 2 of cross is 2");
    CHECK(wrong.hint() == "the signature is (3),(3)->(3)");
    CHECK(wrong.kind() == ErrorKind::shape);
}

TEST_CASE("optional dimensions are dropped from all operands", "[jit][gufunc]") {
    const Gufunc f = guvectorize("matmul", "(m?,n),(n,p?)->(m?,p?)", matmul_core);
    const Array a = counting({2, 3}), x = counting({3});
    const Array both = f(x, x);
    CHECK(both.shape() == Shape());
    check_values(both, {5});
    const Array right = f(a, x);
    CHECK(right.shape() == Shape({2}));
    check_values(right, {5, 14});
    const Array left = f(x, counting({4, 3, 2}));
    CHECK(left.shape() == Shape({4, 2}));
    check_values(left, {10, 13, 28, 31, 46, 49, 64, 67});
    CHECK(message(error_of([&] { f(1.0, x); })) ==
          "argument 1 of matmul has 0 dimensions, its core (m?,n) has 1");
}

TEST_CASE("sizes of outputs are computed", "[jit][gufunc]") {
    const Gufunc convolve = guvectorize("convolve", "(n),(m)->(n+m-1)", [](In x, In h, Out y) {
        for (Index i : range(y.extent(0))) {
            Var sum(y.dtype(), 0);
            for (Index k : range(h.extent(0)))
                if_(i - k >= 0 && i - k < x.extent(0), [&] { sum += x(i - k) * h(k); });
            y(i) = sum;
        }
    });
    check_values(convolve(std::vector{1.0, 2.0, 3.0}, std::vector{1.0, 1.0}), {1, 3, 5, 3});
    const Gufunc sizes =
        guvectorize("sizes", "(n),(m)->(n*(m+1)/2-3)", [](In, In, Out y) { y = 1; });
    CHECK(sizes(zeros({3}), zeros({4})).shape() == Shape({4}));
    CHECK(message(error_of([&] { sizes(zeros({1}), zeros({1})); })) ==
          "core dimension n*(m+1)/2-3 of the output of sizes would be -2");
    CHECK(message(error_of([&] { sizes(zeros({3}), zeros({4}), {.out = zeros({5})}); })) ==
          "core dimension n*(m+1)/2-3 of the output of sizes is 5, its size 4");
    const Gufunc quotient = guvectorize("q", "(n),(m)->(n/m)", [](In, In, Out y) { y = 1; });
    CHECK(message(error_of([&] { quotient(zeros({1}), zeros({0})); })) ==
          "core dimension n/m of the output of q would be no integer");
}

TEST_CASE("dimensions of outputs alone come with an output", "[jit][gufunc]") {
    const Gufunc f = guvectorize("fill", "()->(k)", [](Value v, Out y) { y = v; });
    const Error none = error_of([&] { f(1.0); });
    CHECK(none.message() == "nothing tells the size of core dimension k of fill");
    CHECK(none.hint() == "give an output that has it: {.out = array}");
    const Array out = zeros({2, 3});
    f(std::vector{1.0, 2.0}, {.out = out});
    check_values(out, {1, 1, 1, 2, 2, 2});
}

TEST_CASE("axis, axes and keepdims", "[jit][gufunc]") {
    const Array x = counting({2, 3});
    check_values(running()(x, {.axis = 0}), {0, 1, 2, 3, 5, 7});
    check_values(running()(x, {.axis = -1}), {0, 1, 3, 3, 7, 12});
    const Array kept = inner()(x, x, {.axis = 0, .keepdims = true});
    CHECK(kept.shape() == Shape({1, 3}));
    check_values(kept, {9, 17, 29});
    const Array last = inner()(x, x, {.keepdims = true});
    CHECK(last.shape() == Shape({2, 1}));
    check_values(last, {5, 50});
}

TEST_CASE("axes permute operands", "[jit][gufunc]") {
    const Array a = counting({3, 2, 4}), b = counting({4, 5, 3});
    // Cores of a are (2, 3), of b (3, 5); loops of 4.
    const Array c = matmul()(a, b, {.axes = {{1, 0}, {2, 1}, {2, 0}}});
    REQUIRE(c.shape() == Shape({5, 4, 2}));
    for (int l = 0; l < 4; ++l)
        for (int i = 0; i < 2; ++i)
            for (int j = 0; j < 5; ++j) {
                double sum = 0;
                for (int k = 0; k < 3; ++k)
                    sum += a.at<double>({k, i, l}) * b.at<double>({l, j, k});
                CHECK(c.at<double>({j, l, i}) == sum);
            }
    CHECK(inner()(a, a, {.axes = {0, 0}}).shape() == Shape({2, 4}));
    CHECK(inner()(a, a, {.axes = {{0}, {0}, {}}}).shape() == Shape({2, 4}));
    CHECK(inner()(a, a, {.axes = {1, 1}, .keepdims = true}).shape() == Shape({3, 1, 4}));
}

TEST_CASE("what axes, axis and keepdims refuse", "[jit][gufunc]") {
    const Array a = counting({2, 2});
    const auto of = [](auto&& f) { return message(error_of(f)); };
    CHECK(of([&] { matmul()(a, a, {.axis = 0}); }) ==
          "axis of matmul, whose signature is (m,n),(n,p)->(m,p)");
    CHECK(of([&] { inner()(a, a, {.axes = {0, 0}, .axis = 0}); }) ==
          "both axis and axes of inner are given");
    CHECK(of([&] { matmul()(a, a, {.keepdims = true}); }) ==
          "keepdims of matmul, whose signature is (m,n),(n,p)->(m,p)");
    CHECK(of([&] { matmul()(a, a, {.axes = {{0, 1}, {0, 1}}}); }) ==
          "axes of matmul has 2 entries for 3 operands");
    CHECK(of([&] { matmul()(a, a, {.axes = {{0, 1}, {0}, {0, 1}}}); }) ==
          "axes of 1 dimension for argument 2 of matmul, whose core has 2");
    CHECK(of([&] { matmul()(a, a, {.axes = {{0, 1}, {0, 0}, {0, 1}}}); }) ==
          "axis 0 of argument 2 of matmul is listed twice");
    CHECK(of([&] { inner()(a, a, {.axis = 2}); }) ==
          "axis 2 of argument 1 of inner is out of bounds for an array of rank 2");
    CHECK(of([&] { inner()(a, a, {.out = zeros({2, 2}), .keepdims = true}); }) ==
          "dimension 1 of the output of inner is 2, and 1 by keepdims");
}

TEST_CASE("outputs that are given", "[jit][gufunc]") {
    const Array a = counting({2, 2, 2}), out = zeros({3, 2, 2, 2});
    const Array c = matmul()(a, a, {.out = out});
    CHECK(c.data() == out.data());
    check_values(out.slice(0, {2, 3}), {2, 3, 6, 11, 46, 55, 66, 79});
    std::vector<double> sums(2);
    inner()(counting({2, 3}), 1.0 + counting({3}), {.out = sums});
    CHECK(sums == std::vector{8.0, 26.0});
    const auto of = [](auto&& f) { return message(error_of(f)); };
    CHECK(of([&] { matmul()(a, a, {.out = zeros({3, 2})}); }) ==
          "core dimension m of the output of matmul is 3, of argument 1 of matmul it is 2");
    CHECK(of([&] { matmul()(a, a, {.out = zeros({1, 2, 2})}); }) ==
          "the loop dimensions of matmul: non-broadcastable output operand with shape (1,) for the "
          "broadcast shape (2,)");
    CHECK(of([&] { matmul()(counting({2, 2, 2}), counting({3, 2, 2})); }) ==
          "the loop dimensions of matmul: cannot broadcast (2,) with (3,)");
    const Array fixed = Array::over(static_cast<const double*>(nullptr), {0, 2, 2});
    CHECK(of([&] { matmul()(zeros({0, 2, 2}), counting({2, 2}), {.out = fixed}); }) ==
          "the output of matmul is read-only");
    CHECK(of([&] { matmul()(a); }) == "matmul takes 2 arguments, 1 given");
    CHECK(of([&] { matmul()(a, a, {.outs = {out, out}}); }) == "matmul has 1 output, 2 given");
}

TEST_CASE("kernels with several outputs are called with all", "[jit][gufunc]") {
    const Gufunc f = guvectorize("sums", "(m,n)->(m),(n)", [](In a, Out rows, Out columns) {
        rows = sum(a, {.axis = 1});
        columns = sum(a, {.axis = 0});
    });
    const auto both = f.all(counting({2, 2, 3}));
    check_values(both[0], {3, 12, 21, 30});
    check_values(both[1], {3, 5, 7, 15, 17, 19});
    const Error one = error_of([&] { f(counting({2, 3})); });
    CHECK(one.message() == "sums has 2 outputs");
    CHECK(one.hint() == "call it with .all(...), which gives all of them");
}

TEST_CASE("in/out arguments are written in place and never broadcast", "[jit][gufunc]") {
    const Gufunc f = guvectorize("push", "(n),()->()", [](InOut a, Value k, Out first) {
        first() = a(0);
        a += k;
    });
    const Array a = counting({2, 3});
    check_values(f(a, std::vector{10.0, 20.0}), {0, 3});
    check_values(a, {10, 11, 12, 23, 24, 25});
    const auto of = [](auto&& g) { return message(error_of(g)); };
    CHECK(of([&] { f(counting({3}), std::vector{1.0, 2.0}); }) ==
          "the loop dimensions of push: non-broadcastable output operand with shape () for the "
          "broadcast shape (2,)");
    const Gufunc s = guvectorize("swap", "(),()->()", [](InOut a, InOut b, Out c) {
        const Value was = a();
        a() = b();
        b() = was;
        c() = was;
    });
    const Array x = counting({3}), y = 10.0 + counting({3});
    s(x, y);
    check_values(x, {10, 11, 12});
    check_values(y, {0, 1, 2});
    const Error scalar = error_of([&] { s(1.0, y); });
    CHECK(scalar.message() == "argument 1 of swap is a scalar, but p0 is written");
    CHECK(scalar.hint() == "pass an array of rank 0");
}

TEST_CASE("types: loops are chosen by the inputs alone", "[jit][gufunc]") {
    const Gufunc lazy = inner();
    CHECK(lazy(counting({3}, DType::f32), counting({3}, DType::i16)).dtype() == DType::f32);
    CHECK(lazy(counting({3}, DType::i32), counting({3}, DType::i32)).dtype() == DType::i32);
    CHECK(lazy(counting({3}, DType::i32), counting({3}), {.dtype = DType::f32}).dtype() ==
          DType::f32);
    const Array narrow = zeros({}, DType::f32);
    // Computed in f64: 2^24 + 1 and not 2^24.
    const double big = 16777216.0;
    lazy(std::vector{big, 1.0, -big}, std::vector{1.0, 1.0, 1.0}, {.out = narrow});
    check_values(narrow, {1});
    const Gufunc eager =
        guvectorize("eager", "(n),(n)->()", [](In a, In b, Out c) { c() = sum(a * b); },
                    {.signatures = {f32(f32, f32), f64(f64, f64)}});
    CHECK(eager(counting({3}, DType::i8), counting({3}, DType::i8)).dtype() == DType::f32);
    CHECK(eager(counting({3}, DType::i32), counting({3}, DType::i8)).dtype() == DType::f64);
    check_values(eager(counting({3}, DType::i32), counting({3}, DType::i8)), {5});
    const Error none = error_of([&] { eager(counting({3}, DType::c128), counting({3})); });
    CHECK(none.message() == "no loop of eager accepts (c128, f64)");
    const Error cast =
        error_of([&] { lazy(counting({3}), counting({3}), {.out = zeros({}, DType::i32)}); });
    CHECK(cast.message() == "cannot cast output of inner from f64 to i32 under same_kind");
    const Array whole = zeros({}, DType::i32);
    lazy(counting({3}), counting({3}), {.out = whole, .casting = Casting::unsafe});
    check_values(whole, {5});
    CHECK(message(error_of([&] {
              guvectorize("f", "(n)->()", [](In, Out) {}, {.signatures = {f64(f64, f64)}});
          })) == "f takes 1 argument and gives 1, its loop f64(f64, f64) does not");
    CHECK(message(error_of([&] {
              guvectorize("f", "(n)->()", [](In, Out) {}, {.results = {f64, f64}});
          })) == "f has 1 output, .results names 2");
}

TEST_CASE("overlap: as if all inputs were copied first", "[jit][gufunc]") {
    const Array a = counting({3, 2, 2}), expected = matmul()(a, a);
    const Array b = a.copy();
    matmul()(b, b, {.out = b});
    CHECK(values(b) == values(expected));
    const Array line = counting({10}), sums = running()(line.slice(0, {0, 8}));
    running()(line.slice(0, {0, 8}), {.out = line.slice(0, {2, 10})});
    CHECK(values(line.slice(0, {2, 10})) == values(sums));
    const Array back = counting({8});
    running()(back, {.out = back.flip(0)});
    check_values(back, {28, 21, 15, 10, 6, 3, 1, 0});
    // Outputs that meet are stored one after the other.
    const Gufunc two = guvectorize("two", "(n)->(n),(n)", [](In x, Out y, Out z) {
        y = x + 1;
        z = x + 2;
    });
    const Array both = zeros({4});
    two.all(counting({3}), {.outs = {both.slice(0, {0, 3}), both.slice(0, {1, 4})}});
    check_values(both, {1, 2, 3, 4});
}

TEST_CASE("checked: an element of an output that no core stores", "[jit][gufunc]") {
    const Gufunc f = guvectorize("some", "(n)->(n)",
                                 [](In x, Out y) {
                                     for (Index i : range(x.extent(0)))
                                         if_(x(i) != 4, [&] { y(i) = x(i); });
                                 },
                                 {.checked = true});
    const Error e = error_of([&] { f(counting({2, 3})); });
    CHECK(e.message() == "element (1,1) of the output is not written by some");
    CHECK(e.kind() == ErrorKind::bounds);
    check_values(f(10.0 + counting({2, 3})), {10, 11, 12, 13, 14, 15});
    const Gufunc whole = guvectorize("whole", "(n)->(n),()",
                                     [](In x, Out y, Out z) {
                                         y.slice({1, {}}) = x.slice({1, {}});
                                         z() = 1;
                                     },
                                     {.checked = true});
    CHECK(message(error_of([&] { whole.all(counting({2, 3})); })) ==
          "element (0,0) of output 1 is not written by whole");
    const Gufunc outside = guvectorize("outside", "(n)->(n)",
                                       [](In x, Out y) {
                                           for (Index i : range(x.extent(0))) y(i) = x(i + 1);
                                       },
                                       {.checked = true, .params = {"x", "y"}});
    CHECK(message(error_of([&] { outside(counting({2, 3})); })) ==
          "index (0,3) is outside of x of shape (2,3) in iteration 0");
}

TEST_CASE("the same bits for any number of threads", "[jit][gufunc]") {
    const Gufunc f = guvectorize("norm", "(n)->()", [](In x, Out y) { y() = sqrt(sum(x * x)); },
                                 {.parallel = true});
    for (const Shape& shape : {Shape{1000, 37}, Shape{5, 5000}, Shape{3, 400, 7}, Shape{20000}}) {
        Array x = empty(shape);
        for (std::int64_t i = 0; i < x.size(); ++i)
            reinterpret_cast<double*>(x.data())[i] = std::sin(static_cast<double>(i));
        std::vector<std::vector<double>> seen;
        for (const int threads : {1, 2, 3, 8}) {
            const Threads scope(threads);
            for (int call = 0; call < 3; ++call) seen.push_back(values(f(x)));
        }
        for (const auto& one : seen) CHECK(one == seen.front());
    }
}

TEST_CASE("copies that a call makes are remarks", "[jit][gufunc]") {
    const auto texts = [](const Gufunc& f) {
        std::vector<std::string> all;
        for (const Remark& remark : f.remarks())
            if (remark.text.find(" of running ") != std::string::npos) all.push_back(remark.text);
        return all;
    };
    const Gufunc f = running();
    const Array x = counting({2, 9});
    f(x);
    CHECK(texts(f).empty());
    for (int twice = 0; twice < 2; ++twice) f(x.astype(f32), {.dtype = f64});
    CHECK(texts(f) == std::vector<std::string>{
                          "argument 1 of running is copied: the kernel takes f64, not f32"});
    const Array narrow = zeros({2, 9}, f32);
    f(x, {.out = narrow});
    CHECK(
        texts(f).back() ==
        "the output of running goes through an array of its own: the kernel computes f64, not f32");
    const Gufunc g = running();
    g(x, {.out = x});
    CHECK(texts(g) ==
          std::vector<std::string>{
              "argument 1 of running is copied: it shares memory with what is written"});
}

TEST_CASE("sizes up to 8 are constants of code of their own, 16 combinations", "[jit][gufunc]") {
    const Gufunc f = running();
    CHECK(f.resolve({counting({5, 3})}).sizes ==
          std::vector<CoreResolution::Size>{{"n", 3, false, true}});
    CHECK(f.resolve({counting({5, 9})}).sizes ==
          std::vector<CoreResolution::Size>{{"n", 9, false, false}});
    const Gufunc g = matmul();
    for (int m = 1; m <= 4; ++m)
        for (int n = 1; n <= 4; ++n) g(ones({m, n}), ones({n, 1}));
    CHECK(g.remarks().empty());
    const auto more = g.resolve({ones({5, 2}), ones({2, 3})});
    CHECK(more.results == std::vector<Shape>{{5, 3}});
    for (const CoreResolution::Size& size : more.sizes) CHECK(!size.is_constant);
    check_values(g(ones({2, 5}), ones({5, 1})), {5, 5});
    REQUIRE(g.remarks().size() == 1);
    CHECK(g.remarks()[0].text ==
          "matmul has code for 16 combinations of core sizes; in that for others no size is a "
          "constant");
}

TEST_CASE("cores without gaps have one axis: strides are constants", "[jit][gufunc]") {
    const Gufunc f = matmul();
    const Array a = counting({9, 2, 2}), wide = counting({9, 2, 4});
    const auto rank_of_first = [&](const Array& x) {
        const std::string text = f.inspect_call(Artifact::ir, {x, a});
        return text.substr(text.find("p0: in f64["), 12);
    };
    CHECK(rank_of_first(a) == "p0: in f64[1");
    // Rows with gaps, columns in front of rows, one core for all.
    CHECK(rank_of_first(wide.slice(2, {0, 2})) == "p0: in f64[3");
    CHECK(rank_of_first(a.transpose({0, 2, 1})) == "p0: in f64[3");
    CHECK(rank_of_first(counting({2, 2})) == "p0: in f64[2");
    for (const Array& x : {a, wide.slice(2, {0, 2}), a.transpose({0, 2, 1}), a.flip(0)}) {
        const Array c = f(x, a);
        for (int l = 0; l < 9; ++l)
            for (int i = 0; i < 2; ++i)
                for (int j = 0; j < 2; ++j)
                    CHECK(c.at<double>({l, i, j}) ==
                          x.at<double>({l, i, 0}) * a.at<double>({l, 0, j}) +
                              x.at<double>({l, i, 1}) * a.at<double>({l, 1, j}));
    }
    // Arrays as a whole, found at the second one: the lambda runs again.
    int runs = 0;
    const Gufunc g = guvectorize("(n)->(n)", [&](In x, Out y) {
        ++runs;
        y(0) = x(0);
        y.slice({1, {}}) = x.slice({1, {}}) * 2;
    });
    check_values(g(counting({3, 2})), {0, 2, 2, 6, 4, 10});
    CHECK(runs == 2);
    check_values(g(counting({2, 3})), {0, 2, 4, 3, 8, 10});
    CHECK(runs == 3);
    // Subscripts that no proof knows of stay inside of their core.
    const Gufunc permuted = guvectorize("(4),(4)->(4)",
                                        [](In x, In places, Out y) {
                                            for (Index i : range(4)) y(places(i)) = x(i);
                                        },
                                        {.parallel = true});
    const Array places = Array::copy_of(std::span<const std::int64_t>(
                                            std::vector<std::int64_t>{3, 1, 0, 2, 0, 1, 2, 3}))
                             .reshape({2, 4});
    check_values(permuted(counting({2, 4}), places), {2, 1, 3, 0, 4, 5, 6, 7});
}

TEST_CASE("threads call for several sizes at once, the lambda runs on one of them",
          "[jit][gufunc]") {
    std::atomic<int> inside{0}, most{0}, wrong{0};
    const Gufunc f = guvectorize("(n)->()", [&](In x, Out y) {
        most = std::max(most.load(), ++inside);
        Var sum(y.dtype(), 0);
        for (Index i : range(x.extent(0))) sum += x(i);
        y() = sum;
        --inside;
    });
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int n = 1; n <= 10; ++n)
                for (const DType dtype : {DType::f64, DType::i32})
                    if (at(f(counting({3, n}, dtype)), 2) != 2 * n * n + n * (n - 1) / 2.0) ++wrong;
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(most == 1);
}

TEST_CASE("small products of matrices make no temporary", "[jit][gufunc]") {
    const Gufunc f =
        guvectorize("(m,n),(n,p)->(m,p)", [](In a, In b, Out c) { c = dot(a, b) + 1; });
    const auto plan = [&](const Array& a) { return f.inspect_call(Artifact::plan, {a, a}); };
    CHECK(plan(ones({5, 3, 3})).find("temporary") == std::string::npos);
    CHECK(plan(ones({5, 20, 20})).find("temporary") != std::string::npos);
    for (const int n : {1, 2, 3, 8, 16, 17, 20}) {
        const Array a = counting({4, n, n}), b = a.transpose({0, 2, 1}), c = f(a, b);
        for (int l = 0; l < 4; ++l)
            for (int i = 0; i < n; ++i)
                for (int j = 0; j < n; ++j) {
                    double sum = 1;
                    for (int k = 0; k < n; ++k)
                        sum += a.at<double>({l, i, k}) * a.at<double>({l, j, k});
                    if (c.at<double>({l, i, j}) != sum) CHECK(c.at<double>({l, i, j}) == sum);
                }
    }
}

TEST_CASE("resolve and inspect", "[jit][gufunc]") {
    const Gufunc f = guvectorize("matmul", "(m?,n),(n,p?)->(m?,p?)", matmul_core);
    const CoreResolution r = f.resolve({counting({7, 2, 3}, DType::f32), counting({3})});
    CHECK(r.loop == f64(f32, f64));
    CHECK(r.loop_shape == Shape({7}));
    CHECK(r.results == std::vector<Shape>{{7, 2}});
    CHECK(r.sizes == std::vector<CoreResolution::Size>{
                         {"m", 2, false, true}, {"n", 3, false, true}, {"p", 1, true, true}});
    CHECK(f.stats().compiles == 0);
    CHECK(f.inspect(Artifact::ir, {f64[3], f64[2]}).find("extent(p0, 1)") != std::string::npos);
    const std::string call = f.inspect_call(Artifact::ir, {counting({7, 2, 3}), counting({3, 2})});
    CHECK(call.find("i64(3)") != std::string::npos);
    CHECK(message(error_of([&] { f.inspect(Artifact::ir, {f64[3], f64[0]}); })) ==
          "argument 2 of matmul has 0 dimensions, its core has 2");
}

TEST_CASE("specialisations are the types of inputs that code was made for", "[jit][gufunc]") {
    const Gufunc f = guvectorize("total", "(n),()->()", [](In x, Value y, Out z) {
        Var sum(z.dtype(), y);
        for (Index i : range(x.extent(0))) sum += x(i);
        z() = sum;
    });
    using Types = std::vector<std::vector<ArgType>>;
    CHECK(f.specialisations().empty());
    f(counting({20}), 1.0);
    CHECK(f.specialisations() == Types{{f64[1], f64}});
    f(counting({5, 20}, DType::f32), counting({5}));
    f(counting({5, 20}, DType::f32), counting({5}));
    CHECK(f.specialisations() == Types{{f64[1], f64}, {f32[2], f64[1]}});
    f(counting({7, 6, 3}), counting({7, 6}));  // code for cores of 3 that follow each other
    CHECK(f.specialisations().back() == std::vector<ArgType>{f64[2], f64[1]});
    const auto last = f.specialisations().back();
    CHECK(f.inspect(Artifact::ir, last) == f.inspect(Artifact::ir, {f64[2], f64[1]}));
}

TEST_CASE("what a core may not do", "[jit][gufunc]") {
    const auto run = [](auto lambda) {
        return message(error_of([&] { guvectorize("f", "(n)->()", lambda)(counting({2, 3})); }));
    };
    CHECK(run([](In, Out) { return_(); }) == "return_() in a kernel that another kernel calls");
    CHECK(run([](In, Out) { break_(); }) == "break_() outside of a loop");
    CHECK(run([](In x, Out y) { y() = x; }) == "an array is used where one element is needed");
    CHECK(run([](In x, Out y) { y() = x(0, 0); }) ==
          "p0 has 1 dimension, but 2 subscripts are given");
    CHECK(run([](In x, Out y) { y() = x.extent(1); }) ==
          "p0 has 1 dimension, but its extent 1 is asked for");
}

// Strides, in elements, are those of numpy.matmul of NumPy 2.4.
TEST_CASE("gufunc: orders of results", "[jit][gufunc]") {
    const auto strides = [](const Array& a) {
        std::vector<std::int64_t> all;
        for (const std::int64_t s : a.strides()) all.push_back(s / 8);
        return all;
    };
    using List = std::vector<std::int64_t>;
    const Gufunc f = matmul();
    const Array a = counting({2, 3, 4, 5}), b = counting({5, 6});
    const Array swapped = a.transpose({1, 0, 2, 3});
    CHECK(strides(f(a, b)) == List{72, 24, 6, 1});
    CHECK(strides(f(swapped, b)) == List{24, 72, 6, 1});
    CHECK(strides(f(swapped, b, {.order = Order::c})) == List{48, 24, 6, 1});
    CHECK(strides(f(swapped, b, {.order = Order::fortran})) == List{1, 3, 6, 24});
    CHECK(strides(f(swapped, b, {.order = Order::any})) == List{48, 24, 6, 1});
    CHECK(strides(f(a.flip(1), b)) == List{72, 24, 6, 1});
    const Array x = counting({4, 5, 2, 3}), y = counting({5, 6, 2, 3});
    CHECK(strides(f(x, y, {.axes = {{0, 1}, {0, 1}, {0, 1}}})) == List{6, 1, 72, 24});
    const Array c = counting({5, 4, 3, 2}).transpose(), d = counting({6, 5, 3, 2}).transpose();
    CHECK(strides(f(c, d)) == List{24, 48, 6, 1});
    CHECK(strides(f(c, d, {.order = Order::any})) == List{1, 2, 6, 24});
    CHECK(values(f(swapped, b)) == values(f(swapped.copy(), b, {.order = Order::c})));
}

TEST_CASE("gufunc: large arrays of other dtypes are converted block by block", "[jit][gufunc]") {
    // The one loop is of f64: f32 in, f32 out.
    const auto scaled = guvectorize("(n),()->(n)",
                                    [](In x, Value k, Out y) {
                                        for (Index i : range(x.extent(0))) y(i) = x(i) * k + 1;
                                    },
                                    {f64(f64, f64)});
    for (const Shape& shape : {Shape{3000, 2, 50}, Shape{2, 3000, 50}, Shape{1, 6000, 50}}) {
        INFO(to_string(shape));
        const Array x = arange(element_count(shape), DType::i32).reshape(shape),
                    factor = zeros({2, 1});
        factor.at<double>({0, 0}) = 2;
        factor.at<double>({1, 0}) = 3;
        const Array k = shape[1] == 2   ? factor.index(1, 0)
                        : shape[0] == 2 ? factor
                                        : factor.slice(0, {0, 1});
        const Array out = zeros(shape, DType::f32);
        const Array got = scaled(x, k, {.out = out});
        CHECK(got.data() == out.data());
        std::int64_t wrong = 0;
        const float* const y = reinterpret_cast<const float*>(out.data());
        for (std::int64_t i = 0; i < x.size(); ++i) {
            const std::int64_t row = i / 50;
            const double factor_of = shape[1] == 2   ? (row % 2 == 0 ? 2 : 3)
                                     : shape[0] == 2 ? (row / 3000 == 0 ? 2 : 3)
                                                     : 2;
            wrong += y[i] != static_cast<float>(static_cast<double>(i) * factor_of + 1) ? 1 : 0;
        }
        CHECK(wrong == 0);
    }
    bool said = false;
    for (const Remark& remark : scaled.remarks())
        said = said || remark.text ==
                           "argument 1 of gufunc is copied, block by block: the kernel takes f64, "
                           "not i32";
    CHECK(said);
    // In place: as if the input were copied first, so it is, whole.
    const Array a = arange(300'000, DType::f32).reshape({6000, 50});
    const Array before = a.copy();
    scaled(a, 2.0, {.out = a.flip(0)});
    CHECK(a.at<float>({5999, 3}) == 2 * before.at<float>({0, 3}) + 1);
    CHECK(a.at<float>({0, 3}) == 2 * before.at<float>({5999, 3}) + 1);
}
