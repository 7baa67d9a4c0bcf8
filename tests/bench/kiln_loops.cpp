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

/// Running sums, one after the other for every number of threads.
template <class T, Mode M> void cumsum(const Args* a) {
    static const auto f = jit(
        "cumsum",
        [](In x, Out z) {
            Var sum(x.dtype(), 0);
            for (Index i : range(x.extent(0))) {
                sum += x(i);
                z(i) = sum;
            }
        },
        options<M>());
    f(array<T>(*a, 0, Shape(size(*a))), array<T>(*a, 1, Shape(size(*a))));
}

/// Gradient descent on the logistic loss: n rows of d features.
template <class T, Mode M, bool Loops> void logistic(const Args* a) {
    static const auto f = jit(
        "logistic",
        [](In x, In y, InOut w, Value iterations) {
            w = 0;
            for (Index step : range(iterations)) {
                (void)step;
                if constexpr (!Loops) {
                    w -= dot((1.0 / (1.0 + exp(-y * dot(x, w))) - 1.0) * y, x);
                } else {
                    const Value n = x.extent(0), d = x.extent(1);
                    const std::int64_t blocks = 16;
                    Scratch parts(x.dtype(), {blocks, d});
                    for (Index b : prange(blocks)) {
                        for (Index j : range(d)) parts(b, j) = 0;
                        for (Index i : range(n * b / blocks, n * (b + 1) / blocks)) {
                            Var z(x.dtype(), 0);
                            for (Index j : range(d)) z += x(i, j) * w(j);
                            const Value g = (1.0 / (1.0 + exp(-y(i) * z)) - 1.0) * y(i);
                            for (Index j : range(d)) parts(b, j) += g * x(i, j);
                        }
                    }
                    for (Index b : range(blocks))
                        for (Index j : range(d)) w(j) -= parts(b, j);
                }
            }
        },
        options<M>());
    const std::size_t n = size(*a), d = size(*a, 1);
    f(array<T>(*a, 0, {n, d}), array<T>(*a, 1, Shape(n)), array<T>(*a, 2, Shape(d)), a->n[2]);
}
template <class T, Mode M> void logistic_arrays(const Args* a) { logistic<T, M, false>(a); }
template <class T, Mode M> void logistic_loops(const Args* a) { logistic<T, M, true>(a); }

template <class T, Mode M> void jacobi(const Args* a) {
    static const auto f = jit(
        "jacobi",
        [](InOut b, InOut a, Value pairs) {
            const auto sweep = [](const InOut& from, const InOut& to) {
                for (Index i : prange(1, from.extent(0) - 1))
                    for (Index j : range(1, from.extent(1) - 1))
                        to(i, j) = 0.25 * (from(i - 1, j) + from(i + 1, j) + from(i, j - 1) +
                                           from(i, j + 1));
            };
            for (Index t : range(pairs)) {
                (void)t;
                sweep(a, b);
                sweep(b, a);
            }
        },
        options<M>());
    const Shape square{size(*a), size(*a)};
    f(array<T>(*a, 0, square), array<T>(*a, 1, square), a->n[1] / 2);
}

/// All divisors up to the root of each number.
template <class, Mode M> void primes(const Args* a) {
    static const auto f = jit(
        "primes",
        [](Out flags) {
            for (Index v : prange(flags.extent(0))) {
                Var prime(bool_, v >= 2);
                const Value last = cast<std::int64_t>(sqrt(cast<double>(v)));
                for (Index i : range(2, last + 1)) if_(v % i == 0, [&] { prime = false; });
                flags(v) = cast<std::uint8_t>(prime);
            }
        },
        options<M>());
    f(array<std::uint8_t>(*a, 0, Shape(size(*a) + 1)));
}

constexpr std::int64_t seed = 12345;
template <class T> void set_pi(const Args* a, std::int64_t hits) {
    *output<T>(*a, 0) =
        static_cast<T>(4.0 * static_cast<double>(hits) / static_cast<double>(a->n[0]));
}

/// Points whose coordinates are hashes of their number.
template <class T, Mode M> void pi(const Args* a) {
    static const auto f = jit(
        "pi",
        [](Value n) -> Value {
            const auto coordinate = [](Var h) {
                h ^= h >> 16;
                h *= 0x7feb352dU;
                h ^= h >> 15;
                h *= 0x846ca68bU;
                h ^= h >> 16;
                return cast<float>(cast<std::int32_t>(h >> 8)) * 0x1p-24f;
            };
            Var hits(i64, 0);
            for (Index i : prange(n)) {
                const Value at = cast<std::uint32_t>(2 * i + seed);
                const Value x = coordinate(at), y = coordinate(at + 1);
                hits += cast<std::int64_t>(x * x + y * y < 1);
            }
            return hits;
        },
        options<M>());
    set_pi<T>(a, f(a->n[0]).template get<std::int64_t>());
}

/// Points from the language's random numbers: as many as one evaluation has bits for.
template <class T, Mode M> void pi_philox(const Args* a) {
    static const auto f = jit(
        "pi_philox",
        [](Value draws) -> Value {
            Var hits(i64, 0);
            for (Index i : prange(draws)) {
                const auto u = random::uniforms<T>(seed, 0, i);
                for (std::size_t k = 0; k + 1 < u.size(); k += 2)
                    hits += cast<std::int64_t>(u[k] * u[k] + u[k + 1] * u[k + 1] < 1);
            }
            return hits;
        },
        options<M>());
    const std::int64_t points = random::per_draw<T> / 2;
    set_pi<T>(a, f(a->n[0] / points).template get<std::int64_t>());
}

#define ROW(workload, T, f)                                          \
    {workload, dtype_name<T>, 1, "jit", f<T, Mode::fast_serial>}, {  \
        workload, dtype_name<T>, 0, "jit", f<T, Mode::fast_parallel> \
    }
#define STRICT(workload, T, f)                                                \
    {workload, dtype_name<T>, 1, "jit strict", f<T, Mode::strict_serial>}, {  \
        workload, dtype_name<T>, 0, "jit strict", f<T, Mode::strict_parallel> \
    }
#define ROWS(workload, f) ROW(workload, float, f), ROW(workload, double, f)
constexpr Entry rows[] = {
    ROWS("mandelbrot", mandelbrot),
    ROW("add2_3d", double, add2_good),
    ROW("add2_3d_bad", double, add2_bad),
    ROWS("outer", outer),
    ROWS("sqrt_sum", sqrt_sum),
    STRICT("sqrt_sum", float, sqrt_sum),
    STRICT("sqrt_sum", double, sqrt_sum),
    {"cumsum", "f32", 1, "jit", cumsum<float, Mode::fast_serial>},
    {"cumsum", "f64", 1, "jit", cumsum<double, Mode::fast_serial>},
    ROWS("logistic", logistic_arrays),
    {"logistic", "f32", 1, "jit loops", logistic_loops<float, Mode::fast_serial>},
    {"logistic", "f32", 0, "jit loops", logistic_loops<float, Mode::fast_parallel>},
    {"logistic", "f64", 1, "jit loops", logistic_loops<double, Mode::fast_serial>},
    {"logistic", "f64", 0, "jit loops", logistic_loops<double, Mode::fast_parallel>},
    ROWS("jacobi", jacobi),
    ROW("primes", double, primes),
    ROW("pi", float, pi),
    ROWS("pi_philox", pi_philox),
    {}};

}  // namespace

extern "C" const Entry* table() { return rows; }
