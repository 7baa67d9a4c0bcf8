// A Value cannot be assigned to, whatever is assigned.
// expect: kiln: a Value is immutable; use Var for a variable that changes
#include <kiln/dsl.h>

using namespace kiln;

Value kernel(Value x, Value y) {
    const Value z = x + y;
#ifdef KILN_FAIL
    x = z;
#endif
    return x + z;
}
