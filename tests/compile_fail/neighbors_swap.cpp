// The arrays of a stencil cannot change roles.
// expect: kiln: the arrays of a stencil are only read, and cannot be swapped
#include <kiln/kiln.h>

using namespace kiln;

auto f = stencil([](Neighbors a, Neighbors b) {
#ifdef KILN_FAIL
    std::swap(a, b);
    a = b;
#endif
    return a(0) - b(0);
});
