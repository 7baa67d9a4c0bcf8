// Chapter 5: statements on whole arrays.
#include "check.h"

#include <kiln/kiln.h>

#include <cmath>
using namespace kiln;

int main() {
    // Outside of kernels every operator makes an array. In a kernel they are loops over elements, and loops that
    // may be one become one: nothing is stored on the way.
    const auto scores = jit("scores",
                            [](In x, Out z) {
                                z = (x - mean(x)) / standard_deviation(x);
                                z = select(abs(z) > 2, 0.0, z);
                            },
                            {.parallel = true});
    const Array x = arange(100.0), z = zeros({100});
    scores(x, z);
    const double deviation = std::sqrt((100.0 * 100 - 1) / 12);
    check(std::abs(z.at<double>(99) - 49.5 / deviation) < 1e-14, "(99 - 49.5) over the deviation");

    // Slices and broadcasting are NumPy's; dot is a product of matrices.
    const auto gradient =
        jit("gradient", [](In X, In y, In w, Out g) { g = dot(dot(X, w) - y, X) / y.extent(0); });
    const Array X = arange(6.0).reshape({3, 2}), y = ones({3}), w = ones({2}), g = zeros({2});
    gradient(X, y, w, g);  // residuals 0, 4, 8
    check(g.at<double>(0) == (4 * 2 + 8 * 4) / 3.0 && g.at<double>(1) == (4 * 3 + 8 * 5) / 3.0,
          "by hand");
    std::puts(
        scores.parallel_diagnostics().c_str());  // which loops were fused, and which not and why
}
