// A Var is no condition of a C++ if.
// expect: kiln: a Value has no truth value while a kernel is traced; use if_(...) or select(...)
#include <kiln/dsl.h>

using namespace kiln;

Value kernel(Value x, Value y) {
    Var z = x + y;
#ifdef KILN_FAIL
    if (z) return x;
#endif
    return z;
}
