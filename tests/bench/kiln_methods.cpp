// kiln's variants of the methods of ufuncs.
#include "tests/bench/kiln_options.h"

namespace {

using kiln::Array;
using kiln::Value;

// On one thread: it adds in order.
void add_at(const Args* a) {
    const kiln::Shape n(size(*a));
    const Array& sums = array<double>(*a, 2, kiln::Shape(size(*a, 1)));
    sums.fill(0.0);
    kiln::ufunc::add.at(sums, array<std::int64_t>(*a, 0, n), array<double>(*a, 1, n));
}

template <bool Parallel> void reduceat(const Args* a) {
    static const auto f =
        kiln::vectorize("add", [](Value x, Value y) { return x + y; }, {.parallel = Parallel});
    const kiln::Shape segments(size(*a, 1));
    f.reduceat(array<double>(*a, 0, kiln::Shape(size(*a))), array<std::int64_t>(*a, 1, segments),
               {.out = array<double>(*a, 2, segments)});
}

constexpr Entry rows[] = {{"add_at", "f64", 1, "", add_at},
                          {"reduceat", "f64", 1, "", reduceat<false>},
                          {"reduceat", "f64", 0, "", reduceat<true>},
                          {}};

}  // namespace

extern "C" const Entry* table() { return rows; }
