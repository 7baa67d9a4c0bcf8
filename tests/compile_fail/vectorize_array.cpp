// Kernels over arrays are not element-wise.
// expect: kernels over whole arrays (In, Out, InOut) are made by jit
#include <kiln/kiln.h>

using namespace kiln;

auto good = jit([](In x, Out y) { y = x; });
#ifdef KILN_FAIL
auto bad = vectorize([](In x, Value y) { return x(0) + y; });
#endif
