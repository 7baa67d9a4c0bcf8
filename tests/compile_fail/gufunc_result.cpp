// A core returns nothing.
// expect: kiln: the lambda of guvectorize stores its results, in Out parameters
#include <kiln/kiln.h>

using namespace kiln;

auto f = guvectorize("(n)->()", [](In a, Out c) { c() = sum(a); });
#ifdef KILN_FAIL
auto g = guvectorize("(n)->()", [](In a, Out c) -> Value {
    c() = sum(a);
    return a(0);
});
#endif
