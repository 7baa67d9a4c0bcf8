// kiln's variants as loop kernels: what jit makes of the plain loops.
#include "tests/bench/kiln_options.h"

namespace {

using namespace kiln;

template <Mode M> JitOptions options() {
    return {.fastmath = is_fast(M), .parallel = is_parallel(M)};
}

template <class T, Mode M> void mandelbrot(const Args* a) {
    static const auto f = jit(
        "mandelbrot",
        [](In xs, In ys, Out counts, Value limit) {
            for (Index row : prange(counts.extent(0)))
                for (Index column : range(counts.extent(1))) {
                    const Value cr = xs(column), ci = ys(row);
                    Var zr(xs.dtype(), 0), zi(xs.dtype(), 0);
                    Var k(i32, 0);
                    while_([&] { return k < limit && zr * zr + zi * zi <= 4; },
                           [&] {
                               const Value next = zr * zr - zi * zi + cr;
                               zi = 2 * zr * zi + ci;
                               zr = next;
                               k += 1;
                           });
                    counts(row, column) = k;
                }
        },
        options<M>());
    const std::size_t side = size(*a);
    f(array<T>(*a, 0, Shape(side)), array<T>(*a, 1, Shape(side)),
      array<std::int32_t>(*a, 2, {side, side}), static_cast<std::int32_t>(a->n[1]));
}

/// The user's loops in the order of memory, or the first axis innermost.
template <class T, Mode M, bool Bad> void add2_3d(const Args* a) {
    static const auto f = jit(
        "add2",
        [](In x, Out z) {
            const auto n = [&](int axis) { return x.extent(axis); };
            if constexpr (Bad) {
                for (Index k : prange(n(2)))
                    for (Index j : range(n(1)))
                        for (Index i : range(n(0))) z(i, j, k) = x(i, j, k) + 2;
            } else {
                for (Index i : prange(n(0)))
                    for (Index j : range(n(1)))
                        for (Index k : range(n(2))) z(i, j, k) = x(i, j, k) + 2;
            }
        },
        options<M>());
    const Shape cube{size(*a), size(*a), size(*a)};
    f(array<T>(*a, 0, cube), array<T>(*a, 1, cube));
}
template <class T, Mode M> void add2_good(const Args* a) { add2_3d<T, M, false>(a); }
template <class T, Mode M> void add2_bad(const Args* a) { add2_3d<T, M, true>(a); }

template <class T, Mode M> void outer(const Args* a) {
    static const auto f = jit(
        "outer",
        [](In y, In x, Out z) {
            for (Index i : prange(y.extent(0)))
                for (Index j : range(x.extent(0))) z(i, j) = y(i) * x(j);
        },
        options<M>());
    const std::size_t n = size(*a);
    f(array<T>(*a, 0, Shape(n)), array<T>(*a, 1, Shape(n)), array<T>(*a, 2, {n, n}));
}

template <class T, Mode M> void sqrt_sum(const Args* a) {
    static const auto f = jit(
        "sqrt_sum",
        [](In x) -> Value {
            Var sum(x.dtype(), 0);
            for (Index i : prange(x.extent(0))) sum += sqrt(x(i));
            return sum;
        },
        options<M>());
    *output<T>(*a, 1) = f(array<T>(*a, 0, Shape(size(*a)))).template get<T>();
}

#define ROW(workload, T, f)                                          \
    {workload, dtype_name<T>, 1, "jit", f<T, Mode::fast_serial>}, {  \
        workload, dtype_name<T>, 0, "jit", f<T, Mode::fast_parallel> \
    }
#define ROWS(workload, f) ROW(workload, float, f), ROW(workload, double, f)
constexpr Entry rows[] = {ROWS("mandelbrot", mandelbrot),       ROW("add2_3d", double, add2_good),
                          ROW("add2_3d_bad", double, add2_bad), ROWS("outer", outer),
                          ROWS("sqrt_sum", sqrt_sum),           {}};

}  // namespace

extern "C" const Entry* table() { return rows; }
