// C++ text, as kernels are made of it: whatever the text is, an Error or a kernel.
#include "tests/fuzz/driver.h"

#include <kiln/kiln.h>
#include <kiln/text.h>

#include <string>

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

}  // namespace

int main(int argc, char** argv) {
    return fuzz(argc, argv, {{"text", seeds, [](const std::string& text) {
                                  const Ufunc f = text::vectorize(text, "f");
                                  static_cast<void>(f.inspect(Artifact::passes, {f64[1], f64[1]}));
                              }}});
}
