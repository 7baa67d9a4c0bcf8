// kiln's variants of element-wise workloads: through bind handles where operands are rows of
// memory, through general calls where they are arrays of more dimensions.
#include "tests/bench/kiln_options.h"

#include <algorithm>

namespace {

using kiln::Array;
using kiln::UfuncOptions;
using kiln::Value;
using kiln::Var;

UfuncOptions options(Mode m) {
    UfuncOptions o;
    o.fastmath = is_fast(m);
    o.parallel = is_parallel(m);
    return o;
}
template <class T> std::span<const T> in(const Args& a, int i) { return {input<T>(a, i), size(a)}; }
template <class T> std::span<T> out(const Args& a, int i) { return {output<T>(a, i), size(a)}; }
template <Mode M> const kiln::Ufunc& saxpy_ufunc() {
    static const auto f =
        kiln::vectorize("saxpy", [](Value k, Value x, Value y) { return k * x + y; }, options(M));
    return f;
}
// Out of line, so that calls keep no registers for it.
template <class Signature> [[gnu::noinline]] auto handle(const kiln::Ufunc& f) {
    return f.bind<Signature>();
}
template <class T, Mode M> void saxpy(const Args* a) {
    using Data = std::span<const T>;
    static const auto call = handle<void(T, Data, Data, std::span<T>)>(saxpy_ufunc<M>());
    call(scalar<T>(*a, 0), in<T>(*a, 0), in<T>(*a, 1), out<T>(*a, 2));
}
/// A new array for each result.
template <class T, Mode M> void fresh(const Args* a) {
    const kiln::Shape n(size(*a));
    const Array z = saxpy_ufunc<M>()(a->s[0], array<T>(*a, 0, n), array<T>(*a, 1, n));
    if (a->n[1]) std::copy_n(reinterpret_cast<const T*>(z.data()), size(*a), output<T>(*a, 2));
}

Value cdf(const Value& d) { return 0.5 + 0.5 * erf(d * 0.70710678118654752440); }

template <class T, Mode M> void black_scholes(const Args* a) {
    static const auto f = kiln::vectorize(
        "black_scholes",
        [](Value spot, Value strike, Value time, Value rate, Value vol) {
            const Value sd = vol * sqrt(time);
            const Value d1 = (log(spot / strike) + (rate + 0.5 * vol * vol) * time) / sd;
            return spot * cdf(d1) - strike * exp(-rate * time) * cdf(d1 - sd);
        },
        options(M));
    using Data = std::span<const T>;
    static const auto call = f.template bind<void(Data, Data, Data, T, T, std::span<T>)>();
    call(in<T>(*a, 0), in<T>(*a, 1), in<T>(*a, 2), scalar<T>(*a, 0), scalar<T>(*a, 1),
         out<T>(*a, 3));
}

/// A function of one array.
template <class F, class T, Mode M> void unary(const Args* a) {
    static const auto f = kiln::vectorize(F::name, F::call, options(M));
    static const auto call = f.template bind<void(std::span<const T>, std::span<T>)>();
    call(in<T>(*a, 0), out<T>(*a, 1));
}
struct Chain {
    static constexpr const char* name = "chain";
    static Value call(Value x) { return sin(x) * sin(x) + cos(x) * cos(x) + exp(-x * x) / 2; }
};
struct Exp {
    static constexpr const char* name = "fn_exp";
    static Value call(Value x) { return exp(x); }
};
struct Log {
    static constexpr const char* name = "fn_log";
    static Value call(Value x) { return log(x); }
};
struct SinCos {
    static constexpr const char* name = "fn_sincos";
    static Value call(Value x) { return sin(x) + cos(x); }
};
struct Cdf {
    static constexpr const char* name = "fn_cdf";
    static Value call(Value x) { return cdf(x); }
};

template <class T, Mode M> void mandelbrot(const Args* a) {
    static const auto f = kiln::vectorize(
        "mandelbrot",
        [](Value cr, Value ci, Value limit) {
            Var zr = 0 * cr, zi = 0 * ci;
            Var n = kiln::i32(0);
            while_(n < limit && zr * zr + zi * zi <= 4, [&] {
                const Value next = zr * zr - zi * zi + cr;
                zi = 2 * zr * zi + ci;
                zr = next;
                n += 1;
            });
            return Value(n);
        },
        options(M));
    const std::size_t side = size(*a);
    f(array<T>(*a, 0, {1, side}), array<T>(*a, 1, {side, 1}), static_cast<std::int32_t>(a->n[1]),
      {.out = array<std::int32_t>(*a, 2, {side, side})});
}

template <class T, Mode M, bool Bad> void add2_3d(const Args* a) {
    static const auto f = kiln::vectorize("add2", [](Value x) { return x + 2; }, options(M));
    const kiln::Shape cube{size(*a), size(*a), size(*a)};
    const Array &x = array<T>(*a, 0, cube), &z = array<T>(*a, 1, cube);
    if constexpr (Bad)
        f(x.transpose(), {.out = z.transpose()});
    else
        f(x, {.out = z});
}
template <class T, Mode M> void add2_good(const Args* a) { add2_3d<T, M, false>(a); }
template <class T, Mode M> void add2_bad(const Args* a) { add2_3d<T, M, true>(a); }

template <class T, Mode M> void outer(const Args* a) {
    static const auto f =
        kiln::vectorize("outer", [](Value y, Value x) { return y * x; }, options(M));
    const std::size_t n = size(*a);
    f(array<T>(*a, 0, {n, std::size_t(1)}), array<T>(*a, 1, {std::size_t(1), n}),
      {.out = array<T>(*a, 2, {n, n})});
}

// Where fastmath can change nothing, there are no rows of the other kind.
#define PLAIN(workload, T, ...)                                             \
    {workload, dtype_name<T>, 1, "", __VA_ARGS__<T, Mode::fast_serial>}, {  \
        workload, dtype_name<T>, 0, "", __VA_ARGS__<T, Mode::fast_parallel> \
    }
#define MODES(workload, T, f)                                                                   \
    PLAIN(workload, T, f), {workload, dtype_name<T>, 1, "strict", f<T, Mode::strict_serial>}, { \
        workload, dtype_name<T>, 0, "strict", f<T, Mode::strict_parallel>                       \
    }
#define ROWS(workload, f) MODES(workload, float, f), MODES(workload, double, f)
#define UNARY(F)                                                             \
    {F::name, "f32", 1, "", unary<F, float, Mode::fast_serial>},             \
        {F::name, "f32", 1, "strict", unary<F, float, Mode::strict_serial>}, \
        {F::name, "f64", 1, "", unary<F, double, Mode::fast_serial>}, {      \
        F::name, "f64", 1, "strict", unary<F, double, Mode::strict_serial>   \
    }
#define UNARY_PARALLEL(F)                                                      \
    {F::name, "f32", 0, "", unary<F, float, Mode::fast_parallel>},             \
        {F::name, "f32", 0, "strict", unary<F, float, Mode::strict_parallel>}, \
        {F::name, "f64", 0, "", unary<F, double, Mode::fast_parallel>}, {      \
        F::name, "f64", 0, "strict", unary<F, double, Mode::strict_parallel>   \
    }
constexpr Entry rows[] = {ROWS("saxpy", saxpy),
                          PLAIN("fresh", double, fresh),
                          ROWS("black_scholes", black_scholes),
                          UNARY(Chain),
                          UNARY_PARALLEL(Chain),
                          ROWS("mandelbrot", mandelbrot),
                          PLAIN("add2_3d", double, add2_good),
                          PLAIN("add2_3d_bad", double, add2_bad),
                          PLAIN("outer", float, outer),
                          PLAIN("outer", double, outer),
                          UNARY(Exp),
                          UNARY(Log),
                          UNARY(SinCos),
                          UNARY(Cdf),
                          {}};

}  // namespace

extern "C" const Entry* table() { return rows; }
