// A Value is no condition of a C++ if.
// expect: kiln: a Value has no truth value while a kernel is traced; use if_(...) or select(...)
#include <kiln/dsl.h>

using namespace kiln;

Value kernel(Value x, Value y) {
    Var z = 0.0;
#ifdef KILN_FAIL
    if (x < y) z = 1.0;
#endif
    return z + x;
}
