// A kernel returns Values, not strings.
// expect: kiln: an element-wise kernel returns a Value, or a pair, tuple or array of Values
#include <kiln/vectorize.h>

using namespace kiln;

auto good = vectorize([](Value x) { return std::pair{x, 2.0}; });
#ifdef KILN_FAIL
auto bad = vectorize([](Value x) { return std::pair{x, "two"}; });
#endif
