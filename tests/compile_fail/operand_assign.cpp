// A parameter that takes any operand is no variable.
// expect: kiln: an Operand is immutable; use Var for a variable that changes
#include <kiln/kiln.h>

using namespace kiln;

Value half(Operand x) {
#ifdef KILN_FAIL
    while_(Value(x) > 1, [&] { x = x * 0.5; });
#endif
    return x * 0.5;
}
