// What cupy.md shows: the kiln side of each pair, with results that are checked; on a device where there is one.
#include "../tutorial/check.h"

#include <kiln/cuda.h>
#include <kiln/kiln.h>
using namespace kiln;

int main() {
    const Array x = arange(1000.0), y = full({1000}, 2.0);

    auto squared_diff =
        vectorize("squared_diff", [](Value x, Value y) { return (x - y) * (x - y); });
    Array d = squared_diff(x, y);
    check(d.at<double>({5}) == 9.0, "an element-wise kernel");

    auto squares =
        map_reduce("squares", [](Value x) { return x * x; }, Reduce::sum, {.parallel = true});
    Array l2norm = sqrt(squares(y.reshape({10, 100}), {.axis = 1}));
    check(l2norm.at<double>({3}) == 20.0, "a reduction");

    auto f = jit([](In a, In b, Out c) { c = a * b + a; });
    const Array c = empty({1000});
    f(x, y, c);
    check(c.at<double>({7}) == 21.0, "fused statements");

    if (cuda::is_available()) {
        Array there = x.to(cuda());
        Array back = squared_diff(there, y.to(cuda())).to_host();
        check(back.at<double>({5}) == 9.0, "on the device");
    }
}
