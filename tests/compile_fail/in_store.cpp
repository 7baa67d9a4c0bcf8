// An In is only read, element by element, as a whole and in parts.
// expect: kiln: only elements of InOut, Out, Scratch and Local arrays are stored to
// expect: kiln: an In is only read
#include <kiln/kiln.h>

using namespace kiln;

auto f = jit([](In x, InOut y) {
    y(0) = x(0);
    y(1) += x(1);
    y = x;
#ifdef KILN_FAIL
    x(0) = 1.0;
    x(1) += y(1);
    x = y;
    x += 1.0;
#endif
});
