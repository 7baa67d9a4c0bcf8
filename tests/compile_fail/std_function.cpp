// Functions of the standard library take numbers: the last word says what takes Values.
// expect: kiln: vectorize needs a callable that takes a fixed number, 0 to 31, of Values, and
// compiles for them (functions of Values are kiln's: kiln::sin(x), not std::sin(x))
#include <kiln/kiln.h>

#include <cmath>

using namespace kiln;

auto good = vectorize([](Value x) { return sin(x); });
#ifdef KILN_FAIL
auto bad = vectorize([](Value x) { return std::sin(x); });
#endif
