// A block gives no value.
// expect: kiln: a block of if_, else_if, else_ or while_ returns nothing
#include <kiln/kiln.h>

using namespace kiln;

auto f = vectorize([](Value n) {
    Var r = n;
#ifdef KILN_FAIL
    if_(n > 10, [&] { r = 10; }).else_if([&] { return n > 5; }, [&] { return r; });
#endif
    return r;
});
