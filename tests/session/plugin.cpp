// A plugin that exports kernels.
#include <kiln/kiln.h>
#include <kiln/named.h>

using namespace kiln;

static const auto scaled = vectorize("scaled", [](Value a, Value x) { return a * x; });
KILN_EXPORT(scaled)

static auto rows = guvectorize("rows", "(n)->()", [](In a, Out total) {
    Var s(total.dtype(), 0);
    for (Index i : range(a.extent(0))) s += a(i);
    total() = s;
});
KILN_EXPORT(rows)

static Array grid = arange(4);
KILN_EXPORT(grid)
