// The number of arguments must be known.
// expect: kiln: vectorize needs a callable that takes a fixed number, 0 to 31, of Values
#include <kiln/vectorize.h>

using namespace kiln;

auto good = vectorize([](auto x, auto y) { return x + y; });
#ifdef KILN_FAIL
auto bad = vectorize([](auto... x) { return (1 + ... + x); });
#endif
