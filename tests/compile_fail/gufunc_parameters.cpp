// A literal signature is checked against the parameters of the lambda.
// expect: the parameter for an input () is a Value, or an InOut
#include <kiln/kiln.h>

using namespace kiln;

auto f = guvectorize("(n),()->(n)", [](In a, Value k, Out c) { c = a * k; });
#ifdef KILN_FAIL
auto g = guvectorize("(n),()->(n)", [](In a, In k, Out c) { c = a * k; });
#endif
