// A number is not a set of fast-math flags.
// expect: Fastmath
#include <kiln/dsl.h>

using namespace kiln;

constexpr Fastmath flags = Fastmath::nnan | Fastmath::nsz;
#ifdef KILN_FAIL
constexpr Fastmath number = 3;
#endif
