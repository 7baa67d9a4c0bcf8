// Element-wise functions of CUDA text on the simulator: values, dtypes, shapes, numbers, outputs, errors.
#include "tests/jit/support.h"

#include <cmath>

using namespace kiln;
using Catch::Matchers::Contains;

namespace {

const RawOptions simulated{.target = BackendTarget::sim};

template <class F> std::string error_of(F&& f) {
    try {
        f();
    } catch (const Error& e) {
        return e.message() + " @" + std::to_string(e.line());
    }
    return "no error";
}

}  // namespace

TEST_CASE("raw elementwise: a letter is the dtype of the arrays", "[jit][sim][raw]") {
    const auto product =
        cuda::raw_elementwise("T x, T y", "T z", "z = x * y", "product", simulated);
    CHECK(product.name() == "product");
    for (const DType t : {f32, f64, i32, i64, u8}) {
        INFO(name(t));
        const Array x = arange(11).astype(t), z = product(x, x);
        CHECK(z.dtype() == t);
        CHECK(z.shape() == Shape({11}));
        CHECK(z(7).astype(f64).item<double>() == 49);
    }
    const Array x = arange(600.0).reshape({20, 30}), column = arange(20.0).reshape({20, 1});
    const Array z = product(x, column);
    CHECK(z.shape() == Shape({20, 30}));
    CHECK(z(19, 29).item<double>() == 599.0 * 19);
    CHECK(product(x.transpose(), x.transpose())(29, 19).item<double>() == 599.0 * 599);
    CHECK(product(x(Slice{0, 20, 2}), 3)(9, 1).item<double>() == 541.0 * 3);
    CHECK(product(2.5, arange(3).astype(f32)).dtype() == f32);
    CHECK(product(6, 7).item<std::int64_t>() == 42);
    CHECK(product(zeros({0, 3}), 1.0).shape() == Shape({0, 3}));
}

TEST_CASE("raw elementwise: types by name, several outputs, statements", "[jit][sim][raw]") {
    const auto parts = cuda::raw_elementwise("T x, float scale", "T whole, f64 rest, i64 at", R"(
        T scaled = x * scale;
        whole = floor(scaled);
        rest = scaled - whole;
        at = 10 * i)",
                                             "parts", simulated);
    const Array x = arange(9.0), whole = zeros({9}), rest = zeros({9}), at = zeros({9}, i64);
    CHECK(parts(x, 0.25f, whole, rest, at).data() == whole.data());
    for (std::int64_t i = 0; i < 9; ++i) {
        const double scaled = 0.25 * static_cast<double>(i);
        CHECK(whole.at<double>({i}) == std::floor(scaled));
        CHECK(rest.at<double>({i}) == scaled - std::floor(scaled));
        CHECK(at.at<std::int64_t>({i}) == 10 * i);
    }
    const auto above =
        cuda::raw_elementwise("T x, T limit", "bool y", "y = x > limit", "above", simulated);
    const Array y = above(arange(5), 2);
    CHECK(y.dtype() == bool_);
    CHECK((!y(2).item<bool>() && y(3).item<bool>()));
    const Array a = arange(4.0);
    cuda::raw_elementwise("T x", "T y", "y = x + 1", "next", simulated)(a, a);
    CHECK(a(3).item<double>() == 4);
}

TEST_CASE("raw elementwise: errors", "[jit][sim][raw]") {
    const auto made = [](const char* in, const char* out) {
        return error_of([&] { cuda::raw_elementwise(in, out, "", "f", simulated); });
    };
    const auto line = [](int at) { return " @" + std::to_string(at); };
    CHECK(made("T x, thing y", "T z").starts_with("'thing y' is no parameter of f"));
    CHECK(made("T x, T", "T z").starts_with("'T' is no parameter of f"));
    CHECK(made("T x", "").starts_with("f has no output"));
    CHECK(made("T x", "U z").starts_with("no input of f says what U is, the type of z"));
    const auto f = cuda::raw_elementwise("T x, T y, i32 k", "T z", "z = x + y * k", "f", simulated);
    const Array one = ones({3}), other = ones({3}, f32);
    CHECK(error_of([&] { f(one, other, 1); }) ==
          "argument 2 of f has elements of f32, but T is f64 by argument 1" + line(__LINE__ - 1));
    CHECK(error_of([&] { f(one, one, one); }) ==
          "argument 3 of f has elements of f64, but k is i32" + line(__LINE__ - 1));
    CHECK(error_of([&] { f(one, one); }) == "f takes 3 arguments, 2 given" + line(__LINE__));
    CHECK(error_of([&] { f(one, ones({4}), 1); }) ==
          "cannot broadcast (3,) with (4,)" + line(__LINE__ - 1));
    CHECK(error_of([&] { f(one, one, 1, zeros({4})); }) ==
          "z of f has shape (4,), its inputs have (3,)" + line(__LINE__ - 1));
    CHECK(error_of([&] { f(one, one, 1, zeros({6})(Slice{0, 6, 2})); }) ==
          "z of f is not contiguous" + line(__LINE__ - 1));
    CHECK(error_of([&] { f(one, one, 1, 2.0); }) ==
          "argument 4 of f is a number, but z is an output" + line(__LINE__ - 1));
    CHECK_THAT(error_of([&] { f(ones({3}, f16), 1, 1); }),
               Contains("x of f is f16, for which CUDA text has no type of its own"));
    const auto wrong = cuda::raw_elementwise("T x", "T y", "y = unknown", "wrong", simulated);
    const int at = __LINE__ - 1;
    const std::string told = error_of([&] { wrong(one); });
    CHECK(told.starts_with("the text of wrong does not compile: "));
    CHECK(told.ends_with(line(at)));
}
