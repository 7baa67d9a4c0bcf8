// C++ text, as kernels are made of it: whatever the text is, an Error or a kernel.
#include "tests/fuzz/driver.h"

#include <kiln/kiln.h>
#include <kiln/text.h>

#include <cmath>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

using namespace kiln;
using namespace kiln::test;

namespace {

const std::vector<std::string> seeds{
    "double f(double x, double y) { if (x < y) return y; return std::sqrt(x) * 2 + y; }",
    "auto f(auto x, auto y) { int n = 0; while (x > 1 && n < 50) { x /= 2; ++n; } return n + y; }",
    "struct P { double a, b; };\ndouble f(double x, double y) {\n  P p{x, y};\n  for (int i = 0; i "
    "< 3; ++i) p.a += p.b * i;\n"
    "  return p.a;\n}",
    "template <class T> T clamp(T x) { return x < 0 ? T(0) : x; }\nconstexpr double t[] = {1, 2, "
    "3};\n"
    "double f(double x, double z) { const long y = long(z); switch (y) { case 0: return x; case 1: "
    "return t[1]; default: "
    "break; } return "
    "clamp(x) + t[y & 1]; }",
    "void f(double x, double y, double& a, int& b) { a = [=](double z) { return z * y; }(x); b = x "
    "> y; }",
};

/// A loop kernel, whatever it returns.
struct LoopKernel : JitKernel {
    explicit LoopKernel(text::detail::LoopFunction made)
        : JitKernel("f", std::move(made.params), std::move(made.function), std::move(made.options),
                    std::source_location::current()) {}
};

const std::vector<std::string> loop_seeds{
    "double f(View<const double, 1> x, View<double, 1> y) { double sum = 0; for (long i : "
    "prange(x.extent(0))) "
    "{ y(i) = 2 * x(i); sum += y(i); } return sum; }",
    "void f(View<const double, 1> x, View<double, 1> y) {\n  for (int i = 1; i < x.extent(0) - 1; "
    "++i) {\n    double a[3] "
    "= {x(i - 1), x(i), x(i + 1)};\n    for (int j = 0; j < 3; j += 2) { if (a[j] < 0) continue; "
    "y(i) += a[j]; }\n  }\n}",
    "template <class A> double length(const A& a) { double s = 0; for (long i = a.extent(0) - 1; i "
    ">= 0; --i) s += a(i) * "
    "a(i); return std::sqrt(s); }\nvoid f(View<const double, 1> x, View<double, 1> y) { y(0) = "
    "length(x); do y(0) /= "
    "2; while (y(0) > 1); }",
};
const std::vector<std::string> core_seeds{
    "void f(View<const double, 1> a, View<const double, 1> b, double& c) {\n  c = 0;\n  for (int i "
    "= 0; i < a.extent(0); ++i) "
    "c += a(i) * b(i);\n}",
};
const std::vector<std::string> stencil_seeds{
    "auto f(auto a) { return 0.25 * (a(0, 1) + a(1, 0) + a(0, -1) + a(-1, 0)); }",
    "double f(Neighbors<double, 2> a) { double s = 0; for (int i = -1; i <= 1; ++i) s += a(i, 0) * "
    "a.index(0); return s; }",
};

}  // namespace

int main(int argc, char** argv) {
    return fuzz(argc, argv,
                {{"text", seeds,
                  [](const std::string& text) {
                      const Ufunc f = text::vectorize(text, "f");
                      static_cast<void>(f.inspect(Artifact::passes, {f64[1], f64[1]}));
                  },
                  /*is_cpp=*/true},
                 {"text_loops", loop_seeds,
                  [](const std::string& text) {
                      const LoopKernel f(text::detail::loop_function(
                          text, "f", {.parallel = true}, std::source_location::current()));
                      static_cast<void>(f.inspect(Artifact::passes, {f64[1], f64[1]}));
                  },
                  /*is_cpp=*/true},
                 {"text_cores", core_seeds,
                  [](const std::string& text) {
                      const Gufunc f = text::guvectorize(text, "f", "(n),(n)->()");
                      static_cast<void>(f.inspect(Artifact::passes, {f64[2], f64[1]}));
                  },
                  true},
                 {"text_stencils", stencil_seeds,
                  [](const std::string& text) {
                      const Stencil f = text::stencil(
                          text, "f", {.neighborhood = {{-1, 1}, {-1, 1}}, .parallel = true});
                      static_cast<void>(f.inspect(Artifact::passes, {f64[2]}));
                  },
                  true}});
}
