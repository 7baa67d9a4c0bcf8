// One computation in the forms in which it can be written: tests/jit/loops/forms_test.cpp compares their
// values, tests/bench/forms.cpp their times.
#pragma once
#include <kiln/kiln.h>

#include <cstdint>

namespace kiln::forms {

enum class Loop : std::uint8_t { serial, parallel };
inline Range over(Loop loop, const Operand& begin, const Operand& end) {
    return loop == Loop::parallel ? prange(begin, end) : range(begin, end);
}

/// u = a * b - a.
inline auto map_loop(Loop loop, const JitOptions& options = {}) {
    return jit(
        [=](In a, In b, Out u) {
            for (Index i : over(loop, 0, a.extent(0))) u(i) = a(i) * b(i) - a(i);
        },
        options);
}
inline auto map_statement() {
    return jit([](In a, In b, Out u) { u = a * b - a; });
}
inline Ufunc map_ufunc() {
    return vectorize([](Value a, Value b) { return a * b - a; });
}
/// x += y a, for the elements of x from `first` on.
inline auto transposed(Loop loop, std::int64_t first = 0, const JitOptions& options = {}) {
    return jit(
        [=](In a, In y, InOut x) {
            for (Index i : over(loop, first, x.extent(0)))
                for (Index j : range(y.extent(0))) x(i) += a(j, i) * y(j);
        },
        options);
}
/// c += a b.
inline auto product_of_elements(Fastmath fast) {
    return jit(
        [](In a, In b, InOut c) {
            for (Index i : range(c.extent(0)))
                for (Index j : range(c.extent(1)))
                    for (Index k : range(a.extent(1))) c(i, j) += a(i, k) * b(k, j);
        },
        {.fastmath = fast});
}
/// c = a b.
inline auto product_of_vars(Fastmath fast) {
    return jit(
        [](In a, In b, InOut c) {
            for (Index i : range(c.extent(0)))
                for (Index j : range(c.extent(1))) {
                    Var s(f64, 0);
                    for (Index k : range(a.extent(1))) s += a(i, k) * b(k, j);
                    c(i, j) = s;
                }
        },
        {.fastmath = fast});
}
/// o = (x y) y, for each matrix of x.
inline auto batch(Loop loop) {
    return jit([=](In x, In y, Out o) {
        for (Index b : over(loop, 0, x.extent(0))) o.slice(b) = dot(dot(x.slice(b), y), y);
    });
}

}  // namespace kiln::forms
