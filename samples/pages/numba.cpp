// What numba.md shows: the kiln side of each pair, with results that are checked.
#include "../tutorial/check.h"

#include <kiln/kiln.h>
#include <kiln/random.h>

#include <cmath>
using namespace kiln;

int main() {
    const Array x = linspace(0.0, 1.0, 1001), y = full({1001}, 1.0);

    auto saxpy = vectorize([](Value a, Value x, Value y) { return a * x + y; },
                           {.fastmath = true, .parallel = true});
    Array z = saxpy(2.0, x, y);
    check(z.at<double>({1000}) == 3.0, "vectorize");

    auto add =
        vectorize("add", [](Value a, Value b) { return a + b; }, {f32(f32, f32), f64(f64, f64)});
    check(add(x, y).dtype() == f64, "signatures");

    auto norm = jit(
        [](In a) -> Value {
            Var sum(f64, 0);
            for (Index i : prange(a.extent(0))) sum += a(i) * a(i);
            return sqrt(sum);
        },
        {.parallel = true});
    const double length = norm(y).get<double>();
    check(std::abs(length - std::sqrt(1001.0)) < 1e-12, "prange and a reduction");

    auto collatz = vectorize([](Value n) {
        Var k(i64, 0), v = n;
        while_(v != 1, [&] {
            if_(v % 2 == 0, [&] { v = v / 2; }).else_([&] { v = 3 * v + 1; });
            k += 1;
        });
        return Value(k);
    });
    check(collatz(Array::of({std::int64_t(27)})).item<std::int64_t>() == 111, "branches and loops");

    auto matmul = guvectorize("(m,n),(n,p)->(m,p)", [](In a, In b, Out c) {
        for (Index i : range(a.extent(0)))
            for (Index j : range(b.extent(1))) {
                Var sum(c.dtype(), 0);
                for (Index k : range(a.extent(1))) sum += a(i, k) * b(k, j);
                c(i, j) = sum;
            }
    });
    check(matmul(full({5, 2, 3}, 1.0), full({3, 2}, 2.0)).at<double>({4, 1, 1}) == 6.0,
          "guvectorize");

    auto mean = stencil(
        [](Neighbors a) -> Value { return 0.25 * (a(0, 1) + a(1, 0) + a(0, -1) + a(-1, 0)); });
    check(mean(full({4, 4}, 1.0)).at<double>({1, 1}) == 1.0, "stencil");

    auto square = vectorize([](Value x) { return x * x; });
    check(!square.inspect(Artifact::assembly, {f64[1]}).empty(), "inspect");
}
