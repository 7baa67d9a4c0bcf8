// kiln's variants as generalised ufuncs: cores of small arrays, for stacks of them.
#include "tests/bench/gufuncs.h"
#include "tests/bench/kiln_options.h"

namespace {

using namespace kiln;
using gufuncs::row, gufuncs::signal, gufuncs::softmax_columns, gufuncs::taps;

template <Mode M> GufuncOptions options() {
    return {.fastmath = is_fast(M), .parallel = is_parallel(M)};
}

template <class T, Mode M> void softmax(const Args* a) {
    static const auto f = guvectorize(
        "softmax", "(n)->(n)",
        [](In x, Out y) {
            y = exp(x - max(x));
            y /= sum(y);
        },
        options<M>());
    const Shape shape{size(*a), softmax_columns};
    f(array<T>(*a, 0, shape), {.out = array<T>(*a, 1, shape)});
}

template <class T, Mode M, std::size_t N> void matmul(const Args* a) {
    static const auto f = guvectorize(
        "matmul", "(m,n),(n,p)->(m,p)",
        [](In x, In y, Out z) {
            for (Index i : range(x.extent(0)))
                for (Index j : range(y.extent(1))) {
                    Var sum(z.dtype(), 0);
                    for (Index k : range(x.extent(1))) sum += x(i, k) * y(k, j);
                    z(i, j) = sum;
                }
        },
        options<M>());
    const Shape shape{size(*a), N, N};
    f(array<T>(*a, 0, shape), array<T>(*a, 1, shape), {.out = array<T>(*a, 2, shape)});
}
template <class T, Mode M> void matmul4(const Args* a) { matmul<T, M, 4>(a); }
template <class T, Mode M> void matmul32(const Args* a) { matmul<T, M, 32>(a); }

template <class T, Mode M> void cross(const Args* a) {
    static const auto f = guvectorize(
        "cross", "(3),(3)->(3)",
        [](In x, In y, Out z) {
            z(0) = x(1) * y(2) - x(2) * y(1);
            z(1) = x(2) * y(0) - x(0) * y(2);
            z(2) = x(0) * y(1) - x(1) * y(0);
        },
        options<M>());
    const Shape shape{size(*a), 3};
    f(array<T>(*a, 0, shape), array<T>(*a, 1, shape), {.out = array<T>(*a, 2, shape)});
}

template <class T, Mode M> void tridiagonal(const Args* a) {
    static const auto f = guvectorize(
        "tridiagonal", "(n),(n),(n),(n)->(n)",
        [](In lower, In middle, In upper, In right, Out x) {
            const Value n = x.extent(0);
            Scratch c(x.dtype(), {n});
            c(0) = upper(0) / middle(0);
            x(0) = right(0) / middle(0);
            for (Index i : range(1, n)) {
                const Value scale = 1 / (middle(i) - lower(i) * c(i - 1));
                c(i) = upper(i) * scale;
                x(i) = (right(i) - lower(i) * x(i - 1)) * scale;
            }
            for (Index i : range(n - 2, -1, -1)) x(i) -= c(i) * x(i + 1);
        },
        options<M>());
    const Shape shape{size(*a), row};
    f(array<T>(*a, 0, shape), array<T>(*a, 1, shape), array<T>(*a, 2, shape),
      array<T>(*a, 3, shape), {.out = array<T>(*a, 4, shape)});
}

template <class T, Mode M> void fir(const Args* a) {
    static const auto f = guvectorize(
        "fir", "(n),(k)->(n-k+1)",
        [](In x, In h, Out y) {
            for (Index i : range(y.extent(0))) {
                Var sum(y.dtype(), 0);
                for (Index k : range(h.extent(0))) sum += x(i + k) * h(k);
                y(i) = sum;
            }
        },
        options<M>());
    f(array<T>(*a, 0, {size(*a), signal}), array<T>(*a, 1, Shape(taps)),
      {.out = array<T>(*a, 2, {size(*a), signal - taps + 1})});
}

#define ROW(workload, T, f)                                                         \
    {workload, dtype_name<T>, 1, "guvectorize", f<T, Mode::fast_serial>},           \
        {workload, dtype_name<T>, 0, "guvectorize", f<T, Mode::fast_parallel>}, {   \
        workload, dtype_name<T>, 1, "guvectorize strict", f<T, Mode::strict_serial> \
    }
constexpr Entry rows[] = {ROW("softmax", float, softmax),  ROW("matmul4", float, matmul4),
                          ROW("matmul4", double, matmul4), ROW("matmul32", double, matmul32),
                          ROW("cross", double, cross),     ROW("tridiagonal", double, tridiagonal),
                          ROW("fir", float, fir),          {}};

}  // namespace

extern "C" const Entry* table() { return rows; }
