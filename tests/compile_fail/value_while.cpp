// A Value is no condition of a C++ while.
// expect: kiln: a Value has no truth value while a kernel is traced; use if_(...) or select(...)
#include <kiln/dsl.h>

using namespace kiln;

Value kernel(Value x, Value y) {
    Var z = 0.0;
#ifdef KILN_FAIL
    while (z < y) z += x;
#endif
    return z;
}
