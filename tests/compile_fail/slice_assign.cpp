// Whether `p = q` stores elements cannot be seen from slices that have names.
// expect: kiln: p = q of slices
#include <kiln/kiln.h>

using namespace kiln;

auto f = jit([](InOut a, InOut b) {
    auto p = a.slice({0, 2}), q = b.slice({0, 2});
    p = Value(q);
    a.slice({0, 2}) = b.slice({1, 3});
#ifdef KILN_FAIL
    p = q;
#endif
});
