// A Value cannot be assigned a C++ value.
// expect: kiln: a Value is immutable; use Var for a variable that changes
#include <kiln/dsl.h>

using namespace kiln;

Value kernel(Value x, Value y) {
    Value z = x + y;
#ifdef KILN_FAIL
    z = 1.0;
#endif
    return z;
}
