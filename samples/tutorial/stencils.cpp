// Chapter 6: an element from its neighbours.
#include "check.h"

#include <kiln/kiln.h>
using namespace kiln;

int main() {
    // Subscripts are relative. How far they reach is found out; beyond the edge `boundary` says what is there.
    const auto smooth = stencil(
        "smooth",
        [](Neighbors a) -> Value { return 0.25 * (a(0, 1) + a(1, 0) + a(0, -1) + a(-1, 0)); },
        {.boundary = Boundary::nearest, .parallel = true});
    Array plate = zeros({5, 6});
    plate.at<double>({2, 2}) = 16;
    const Array once = smooth(plate);
    check(once.at<double>({2, 2}) == 0 && once.at<double>({2, 3}) == 4,
          "heat went to the neighbours");
    plate.at<double>({0, 0}) = 8;
    check(smooth(plate).at<double>({0, 0}) == 4,
          "two of a corner's neighbours are the corner itself");

    // Several arrays, one of them at the element itself; wrapping around; a dtype of the caller's.
    const auto upwind = stencil(
        [](Neighbors u, Neighbors speed) -> Value { return u(0) - speed(0) * (u(0) - u(-1)); },
        {.boundary = Boundary::wrap});
    const Array moved = upwind(arange(4.0), full({4}, 1.0));
    check(moved.at<double>(0) == 3 && moved.at<double>(3) == 2, "each has what its left one had");
}
