// A Value cannot be assigned a temporary.
// expect: kiln: a Value is immutable; use Var for a variable that changes
#include <kiln/dsl.h>

using namespace kiln;

Value kernel(Value x, Value y) {
    Value z = x;
#ifdef KILN_FAIL
    z = x + y;
#endif
    return z;
}
