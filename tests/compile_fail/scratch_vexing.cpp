// `Scratch t(Value(a));` declares a function.
// expect: kiln: this is a function: `Scratch t(Value(a));` declares one; write `Scratch t(a);`
#include <kiln/kiln.h>

using namespace kiln;

auto f = jit([](In a) {
    Scratch copy(a);
#ifdef KILN_FAIL
    Scratch t(Value(a));
    copy = copy + t;
#endif
    return copy;
});
