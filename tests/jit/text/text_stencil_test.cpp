// Stencils from text: what plain loops give, what the same stencil as a lambda is, and what is refused.
#include "tests/jit/support.h"

#include <kiln/text.h>

#include <algorithm>

using namespace kiln;
using test::error_of;
using test::values;

namespace {

constexpr const char* sources = R"(
auto mean(auto a) { return 0.25 * (a(0, 1) + a(1, 0) + a(0, -1) + a(-1, 0)); }

float weighted(Neighbors<float, 1> a, View<const float, 1> w, int scale) {
    float sum = 0;
    for (int k = 0; k < 3; ++k) sum += a(k - 1) * w(k);
    return sum * scale + a.index(0);
}

double median(Neighbors<double, 1> a) {
    double low = a(-1), middle = a(0), high = a(1);
    if (low > middle) std::swap(low, middle);
    if (middle > high) std::swap(middle, high);
    if (low > middle) std::swap(low, middle);
    return middle;
}
)";

Array field() {
    Array a = empty({5, 7}, f64);
    double x = 1;
    for (double& one : a.span<double>()) one = x = 37 * x - 11 * static_cast<int>(37 * x / 11) + 1;
    return a;
}

}  // namespace

TEST_CASE("stencils from text are those of lambdas", "[jit][text]") {
    const auto lambda = stencil("mean",
                                [](Neighbors a) -> Value {
                                    const Value right = a(0, 1);
                                    const Value two = right + a(1, 0);
                                    const Value three = two + a(0, -1);
                                    return 0.25 * (three + a(-1, 0));
                                },
                                {.params = {"a"}});
    const Stencil mean = text::stencil(sources, "mean");
    const auto without_lines = [](const std::string& text) {
        std::string all;
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = std::min(text.find('\n', at), text.size());
            const std::string line = text.substr(at, end - at);
            all += line.substr(0, line.find("  ; ")) + "\n";
            at = end + 1;
        }
        return all;
    };
    CHECK(without_lines(mean.inspect(Artifact::ir, {f64[2]})) ==
          without_lines(lambda.inspect(Artifact::ir, {f64[2]})));
}

TEST_CASE("stencils from text give what plain loops give", "[jit][text]") {
    const Array a = field();
    const auto in = a.view<const double, 2>();
    const Array smooth =
        text::stencil(sources, "mean", {.boundary = Boundary::nearest, .parallel = true})(a);
    const auto got = smooth.view<const double, 2>();
    for (std::int64_t i = 0; i < 5; ++i)
        for (std::int64_t j = 0; j < 7; ++j) {
            const auto at = [&](std::int64_t y, std::int64_t x) {
                return in(std::clamp<std::int64_t>(y, 0, 4), std::clamp<std::int64_t>(x, 0, 6));
            };
            CHECK(got(i, j) == 0.25 * (at(i, j + 1) + at(i + 1, j) + at(i, j - 1) + at(i - 1, j)));
        }

    const std::vector<float> x{1, 2, 4, 8}, w{3, 5, 7};
    CHECK(values(text::stencil(sources, "weighted", {.cval = -1, .neighborhood = {{-1, 1}}})(x, w,
                                                                                             2)) ==
          std::vector<double>{-1, 2 * (3 + 10 + 28) + 1, 2 * (6 + 20 + 56) + 2, -1});
    const std::vector<double> y{5, 1, 4, 2, 3};
    CHECK(values(text::stencil(sources, "median", {.boundary = Boundary::mirror})(y)) ==
          std::vector<double>{1, 4, 2, 3, 2});
}

TEST_CASE("stencils from text: errors", "[jit][text]") {
    const auto what = [](const char* code, StencilOptions options = {}) {
        return std::string(error_of([&] { text::stencil(code, "f", options)(ones({8})); }).what());
    };
    CHECK(what("double f(Neighbors<double, 1> a) {\n    return a(0, 1);\n}") ==
          "text:2: error: a has 1 dimension, but 2 subscripts are given\n    return a(0, 1);\n"
          "           ^");
    CHECK(what("double f(Neighbors<double, 1> a) {\n    return a(1.0);\n}") ==
          "text:2: error: a subscript is double, not an integer (write static_cast<long>(...))\n"
          "    return a(1.0);\n             ^");
    CHECK(
        what("double f(Neighbors<double, 1> a) {\n    return a(2);\n}", {.neighborhood = {{-1, 1}}})
            .starts_with("text:2: error: "));
    CHECK(what("float f(Neighbors<float, 1> a) { return a(0); }")
              .ends_with("an argument is f64[1], but parameter a of f is f32[1] (convert it before "
                         "the call, or "
                         "declare the parameter as auto)"));
    CHECK(what("void f(Neighbors<double, 1> a) {}")
              .ends_with("f does not return its only result (a stencil returns the element that it "
                         "computes)"));
    CHECK(what("double f(Neighbors<double, 1> a) {\n    a(0) = 1;\n    return 1;\n}") ==
          "text:2: error: expression is not assignable\n    a(0) = 1;\n         ^");
    CHECK(std::string(error_of([] { text::jit<Scalar>(sources, "median"); }).what())
              .ends_with("parameter a of median is indexed relative to an element (use "
                         "text::stencil, or declare it as View<const T, Rank>)"));
}
