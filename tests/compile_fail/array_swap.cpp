// The arrays of a kernel cannot change roles.
// expect: kiln: the arrays of a kernel cannot be swapped
#include <kiln/kiln.h>

using namespace kiln;
using std::swap;

auto f = jit([](InOut a, InOut b) {
    swap(a(0), b(0));
#ifdef KILN_FAIL
    swap(a, b);
#endif
});
