// The length of a Local is known while the kernel is traced.
// expect: kiln: the length of a Local is a C++ integer; a Scratch has extents
#include <kiln/kiln.h>

using namespace kiln;

auto f = jit([](Value n) {
    Scratch s(f64, {n});
#ifdef KILN_FAIL
    Local l(f64, n);
#endif
    return s;
});
