// kiln's variants of scans.
#include "tests/bench/kiln_options.h"

namespace {

template <class T, bool Parallel> void cumsum(const Args* a) {
    const kiln::Shape n(size(*a));
    kiln::cumsum(array<T>(*a, 0, n), {.out = array<T>(*a, 1, n), .parallel = Parallel});
}

#define ROWS(T)                                           \
    {"cumsum", dtype_name<T>, 1, "", cumsum<T, false>}, { \
        "cumsum", dtype_name<T>, 0, "", cumsum<T, true>   \
    }
constexpr Entry rows[] = {ROWS(float), ROWS(double), {}};

}  // namespace

extern "C" const Entry* table() { return rows; }
