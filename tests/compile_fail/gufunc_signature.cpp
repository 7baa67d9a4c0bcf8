// A literal signature is read by the compiler.
// expect: a comma or ) is expected
#include <kiln/kiln.h>

using namespace kiln;

auto f = guvectorize("f", "(n),(n)->()", [](In a, In b, Out c) { c() = sum(a * b); });
#ifdef KILN_FAIL
auto g = guvectorize("g", "(n),(n->()", [](In a, In b, Out c) { c() = sum(a * b); });
#endif
