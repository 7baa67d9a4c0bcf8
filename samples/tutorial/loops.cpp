// Chapter 3: kernels with loops.
#include "check.h"

#include <kiln/kiln.h>
using namespace kiln;

int main() {
    // In, Out and InOut are arrays. Value is immutable; Var is a variable. Conditions on data are if_ and
    // while_, as `if (x < 0)` would be decided once, while the lambda runs: it does not compile.
    const auto steps_to_one =
        jit("steps_to_one",
            [](In start, Out steps) {
                for (Index i : prange(start.extent(0))) {
                    Var n(start(i));
                    Var count(i64, 0);
                    while_(n > 1, [&] {
                        if_(n % 2 == 0, [&] { n = n / 2; }).else_([&] { n = 3 * n + 1; });
                        count += 1;
                    });
                    steps(i) = count;
                }
            },
            {.parallel =
                 true});  // iterations of a prange do not depend on each other: threads take pieces

    const Array start = arange(std::int64_t(1), std::int64_t(28));
    const Array steps = zeros({27}, i64);
    steps_to_one(start, steps);
    check(steps.at<std::int64_t>(26) == 111, "27 takes 111 steps");

    // A prange whose iterations would meet is refused when it is traced, with both lines.
    const auto running = jit("running", [](InOut x) {
        for (Index i : prange(1, x.extent(0))) x(i) += x(i - 1);
    });
    bool refused = false;
    try {
        running(arange(4.0));
    } catch (const Error& error) {
        refused = true;
        std::puts(error.what());
    }
    check(refused, "each element needs the one before it: that is a range, or cumsum");
}
