// A Value is no condition of the ternary operator.
// expect: kiln: a Value has no truth value while a kernel is traced; use if_(...) or select(...)
#include <kiln/dsl.h>

using namespace kiln;

Value kernel(Value x, Value y) {
    Value z = select(x < y, x, y);
#ifdef KILN_FAIL
    return x < y ? x : y;
#endif
    return z;
}
