// Chapter 1: a function of numbers becomes a function of arrays.
#include "check.h"

#include <kiln/kiln.h>

#include <vector>
using namespace kiln;

int main() {
    // The lambda runs once for each combination of argument types, on Values that record what is done to
    // them. Nothing is compiled here yet.
    const auto saxpy = vectorize("saxpy", [](Value a, Value x, Value y) { return a * x + y; });

    const Array x = linspace(0.0, 1.0, 5);  // 0, 0.25, 0.5, 0.75, 1
    const Array z = saxpy(2.0, x, 1.0);     // compiled now, for (number, f64[1], number)
    check(z.at<double>(2) == 2.0, "2 * 0.5 + 1 is 2");
    check(saxpy.stats().compiles + saxpy.stats().loads == 1,
          "one kernel was made, or found on the disk");

    // Shapes broadcast as in NumPy: a column and a row give a table.
    const Array table = saxpy(10.0, arange(3.0).reshape({3, 1}), arange(4.0));
    check(table.shape() == Shape{3, 4} && table.at<double>({2, 3}) == 23, "10 * 2 + 3 is 23");

    // Memory of the program's own is used as it is: spans and vectors are arguments, `out` is where it goes.
    std::vector<double> prices{1, 2, 3}, doubled(3);
    saxpy(2.0, prices, 0.0, {.out = doubled});
    check(doubled == std::vector<double>{2, 4, 6}, "results are in the program's vector");
}
