// kiln's operators do not take part where no operand is a Value, a Var or an Index.
// expect-gcc: no match for 'operator+'
// expect-clang: invalid operands to binary expression
#include <kiln/dsl.h>

using namespace kiln;

struct Mine {};

#ifdef KILN_FAIL
auto sum = f64(1.0) + f64(2.0);
auto mixed = Mine{} + 1.0;
#endif
