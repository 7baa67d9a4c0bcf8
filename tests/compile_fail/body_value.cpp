// A block gives no value.
// expect: kiln: a block of if_, else_if, else_ or while_ returns nothing
// expect: return_()
#include <kiln/kiln.h>

using namespace kiln;

auto f = vectorize([](Value n) {
    Var r = n;
    if_(n > 10, [&] { r = 10; }).else_([&] { r = 20; });
#ifdef KILN_FAIL
    if_(n > 10, [&] { return Value(10); });
#endif
    return r;
});
