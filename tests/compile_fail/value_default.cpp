// A Value has no default: it is always the result of something.
// expect-gcc: no matching function for call to 'kiln::Value::Value()'
// expect-clang: no matching constructor for initialization of 'Value'
#include <kiln/dsl.h>

using namespace kiln;

Value kernel(Value x) {
#ifdef KILN_FAIL
    Value y;
#endif
    return x;
}
