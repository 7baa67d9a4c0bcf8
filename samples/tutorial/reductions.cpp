// Chapter 4: many numbers become few.
#include "check.h"

#include <kiln/kiln.h>

#include <cmath>
using namespace kiln;

int main() {
    const Array x = arange(12.0).reshape({3, 4});
    check(sum(x).item<double>() == 66, "all of it");
    check(sum(x, {.axis = 0}).at<double>(3) == 21, "columns: 3 + 7 + 11");
    check(mean(x, {.axis = 1, .keepdims = true}).shape() == Shape{3, 1},
          "rows, of which an axis stays");

    // In a loop kernel a Var that a prange adds to is a reduction. Its order is fixed, so the result has the
    // same bits on any number of threads.
    const auto norm = jit("norm",
                          [](In v) -> Value {
                              Var squares(f64, 0);
                              for (Index i : prange(v.extent(0))) squares += v(i) * v(i);
                              return sqrt(squares);
                          },
                          {.parallel = true});
    const Array v = sqrt(arange(1e6));
    set_num_threads(1);
    const double serial = norm(v).get<double>();
    set_num_threads(max_threads());
    check(norm(v).get<double>() == serial, "the same bits on one thread and on all");

    // A function of elements, and a state that combines: mean and variance in one pass.
    const auto moments = reduction(std::tuple(0.0, 0.0, 0.0), [](auto a, auto b) {
        auto [na, mean_a, squares_a] = a;
        auto [nb, mean_b, squares_b] = b;
        const Value n = na + nb, d = mean_b - mean_a, share = nb / max(n, 1);
        return std::tuple(n, mean_a + d * share, squares_a + squares_b + d * d * na * share);
    });
    const auto variance = map_reduce(
        "variance", [](Value e) { return std::tuple(1, e, 0); }, moments,
        [](auto s) { return s[2] / s[0]; });
    check(std::abs(variance(x).item<double>() - 143.0 / 12) < 1e-12, "(12 * 12 - 1) / 12");
}
