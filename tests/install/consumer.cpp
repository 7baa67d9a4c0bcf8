#include <kiln/kiln.h>

#include <cstdio>
#include <vector>

int main() {
    using namespace kiln;
    const auto saxpy =
        vectorize("saxpy", [](Value a, Value x, Value y) { return a * x + y; }, {.parallel = true});
    const WarmUp warming = warm_up({{saxpy, {f64, f64[1], f64[1]}}});  // on a thread of its own

    std::vector<double> x(1000, 2.0), y(1000, 1.0);
    try {
        saxpy(10.0, x, y, {.out = y});  // on the program's memory, without copies
    } catch (const Error& error) {
        std::puts(error.what());
        return 1;
    }
    std::puts(y[999] == 21 ? "saxpy is right" : "saxpy is wrong");
    return y[999] == 21 ? 0 : 1;
}
