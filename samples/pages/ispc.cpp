// What ispc.md shows: the kiln side of each pair, with results that are checked.
#include "../tutorial/check.h"

#include <kiln/kiln.h>
using namespace kiln;

int main() {
    auto simple = jit(
        [](In vin, Out vout) {
            for (Index i : prange(vin.extent(0))) {
                const Value v = vin(i);
                if_(v < 3, [&] { vout(i) = v * v; }).else_([&] { vout(i) = sqrt(v); });
            }
        },
        {.parallel = true});
    const Array vin = arange(16.0).astype(f32), vout = empty({16}, f32);
    simple(vin, vout);
    check(vout.at<float>({2}) == 4.0f && vout.at<float>({9}) == 3.0f, "branches of lanes");

    auto mandel = vectorize(
        [](Value cr, Value ci, Value limit) {
            Var re = cr, im = ci;
            Var n(i32, 0);
            while_(n < limit && re * re + im * im <= 4, [&] {
                const Value t = re * re - im * im + cr;
                im = 2 * re * im + ci;
                re = t;
                n += 1;
            });
            return Value(n);
        },
        {.parallel = true});
    check(mandel(Array::of({0.0f, 2.0f}), 0.0f, 100).at<std::int32_t>({0}) == 100,
          "loops of lanes");

    auto total = jit(
        [](In a) -> Value {
            Var sum(f32, 0);
            for (Index i : prange(a.extent(0))) sum += a(i);
            return sum;
        },
        {.parallel = true});
    check(total(vin).get<float>() == 120.0f, "reduce_add");
}
