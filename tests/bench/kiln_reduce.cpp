// kiln's variants of reductions.
#include "tests/bench/kiln_options.h"

namespace {

using kiln::Array;
using kiln::Reduce;
using kiln::Value;

template <Mode M> constexpr kiln::MapReduceOptions options() {
    return {.fastmath = is_fast(M), .parallel = is_parallel(M)};
}

template <class T, Mode M> void sqrt_sum(const Args* a) {
    static const auto f =
        kiln::map_reduce("sqrt_sum", [](Value x) { return sqrt(x); }, Reduce::sum, options<M>());
    f(array<T>(*a, 0, kiln::Shape(size(*a))), {.out = array<T>(*a, 1, kiln::Shape())});
}

template <class T, Mode M> void dot(const Args* a) {
    static const auto f =
        kiln::map_reduce("dot", [](Value x, Value y) { return x * y; }, Reduce::sum, options<M>());
    const kiln::Shape n(size(*a));
    f(array<T>(*a, 0, n), array<T>(*a, 1, n), {.out = array<T>(*a, 2, kiln::Shape())});
}

template <class T, Mode M, int Axis> void sum_axis(const Args* a) {
    static const auto f =
        kiln::map_reduce("sum", [](Value x) { return x; }, Reduce::sum, options<M>());
    const std::size_t n = size(*a);
    f(array<T>(*a, 0, {n, n}), {.axis = Axis, .out = array<T>(*a, 1, kiln::Shape(n))});
}
template <class T, Mode M> void sum_axis0(const Args* a) { sum_axis<T, M, 0>(a); }
template <class T, Mode M> void sum_axis1(const Args* a) { sum_axis<T, M, 1>(a); }

#define FAST(workload, T, f)                                      \
    {workload, dtype_name<T>, 1, "", f<T, Mode::fast_serial>}, {  \
        workload, dtype_name<T>, 0, "", f<T, Mode::fast_parallel> \
    }
#define STRICT(workload, T, f)                                            \
    {workload, dtype_name<T>, 1, "strict", f<T, Mode::strict_serial>}, {  \
        workload, dtype_name<T>, 0, "strict", f<T, Mode::strict_parallel> \
    }
// In a sum fastmath can change nothing: the order of its tree is fixed.
#define ROWS(T)                                                                          \
    FAST("sqrt_sum", T, sqrt_sum), STRICT("sqrt_sum", T, sqrt_sum), FAST("dot", T, dot), \
        STRICT("dot", T, dot), FAST("sum_axis0", T, sum_axis0), FAST("sum_axis1", T, sum_axis1)
constexpr Entry rows[] = {ROWS(float), ROWS(double), {}};

}  // namespace

extern "C" const Entry* table() { return rows; }
