// A kernel returns what it computes.
// expect: kiln: an element-wise kernel returns a Value
#include <kiln/vectorize.h>

using namespace kiln;

auto good = vectorize([](Value x) { return x; });
#ifdef KILN_FAIL
auto bad = vectorize([](Value x) { x + 1; });
#endif
