// The index of a loop cannot be changed by its body.
// expect: kiln: a Value is immutable; use Var for a variable that changes
#include <kiln/dsl.h>

using namespace kiln;

Value kernel(Value x) {
    Var sum(f64, 0);
    for (Index i : range(10)) {
        sum += i * x;
#ifdef KILN_FAIL
        i += 1;
#endif
    }
    return sum;
}
