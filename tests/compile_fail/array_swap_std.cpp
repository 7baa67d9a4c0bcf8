// What is never assigned cannot be swapped by the standard library either.
// expect: kiln: an In is only read
// expect: kiln: a Local is not assigned as a whole
// expect: kiln: a Value is immutable
// expect: kiln: p = q of elements
#include <kiln/kiln.h>

using namespace kiln;

auto f = jit([](In a, In b, InOut c) {
    Local l(f64, 4), m(f64, 4);
    Value x = a(0), y = b(0);
    auto p = c(0), q = c(1);
    swap(p, q);
#ifdef KILN_FAIL
    std::swap(a, b);
    std::swap(l, m);
    std::swap(x, y);
    p = q;
#endif
});
