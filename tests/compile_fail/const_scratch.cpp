// A lambda with [=] has copies of the kernel's own arrays, so it cannot store to them.
// expect: kiln: only elements of InOut and Out arrays, and of Scratch and Local ones that are not
// const
#include <kiln/kiln.h>

using namespace kiln;

auto f = jit([](In x) {
    Scratch s(f64, {x.extent(0)});
    Local l(f64, 4);
    s(0) = 1.0;
    if_(x(0) > 0, [&] { s(1) = l(0); });
#ifdef KILN_FAIL
    if_(x(0) > 0, [=] { s(1) = 2.0; });
    if_(x(0) > 0, [=] { l(1) = 2.0; });
    if_(x(0) > 0, [=] { s.slice({1, 2}) = 2.0; });
#endif
    return s;
});
