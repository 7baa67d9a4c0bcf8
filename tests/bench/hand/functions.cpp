// Written by hand: what the machine can do on work that is bound by arithmetic, with elementary
// functions inlined or from SLEEF. clang only.
#include "tests/bench/drivers.h"
#include "tests/bench/hand/vmath.h"

#include <sleef.h>

namespace {

// Where elementary functions come from. A policy has registers (in flight at once), V, One (the
// policy for a single register), exp, log, sincos, cdf.

template <class E, int Registers> struct Inlined {
    using T = E;
    static constexpr int registers = Registers, N = lanes<T> * Registers;
    using V = Vec<T, N>;
    using One = Inlined<T, 1>;
    static V exp(V x) { return vexp<T, N>(x); }
    static V log(V x) { return vlog<T, N>(x); }
    static void sincos(V x, V& s, V& c) { vsincos<T, N>(x, s, c); }
    static V cdf(V x) { return vcdf<T, N>(x); }
};
template <class T> struct Sleef;
#ifdef __AVX512F__
#define KILN_SLEEF(function, f64_f32) Sleef_##function##f64_f32##avx512f
#define KILN_SLEEF_F64 d8_u10
#define KILN_SLEEF_F32 f16_u10
#else
#define KILN_SLEEF(function, f64_f32) Sleef_##function##f64_f32##avx2
#define KILN_SLEEF_F64 d4_u10
#define KILN_SLEEF_F32 f8_u10
#endif
#define KILN_CALL(function, kind) KILN_SLEEF(function, kind)
#define KILN_SLEEF_POLICY(E, kind)                                              \
    template <> struct Sleef<E> {                                               \
        using T = E;                                                            \
        static constexpr int registers = 1;                                     \
        using V = Vec<T, lanes<T>>;                                             \
        using One = Sleef;                                                      \
        static V exp(V x) { return KILN_CALL(exp, kind)(x); }                   \
        static V log(V x) { return KILN_CALL(log, kind)(x); }                   \
        static void sincos(V x, V& s, V& c) {                                   \
            const auto both = KILN_CALL(sincos, kind)(x);                       \
            s = both.x;                                                         \
            c = both.y;                                                         \
        }                                                                       \
        static V cdf(V x) {                                                     \
            const V e = KILN_CALL(erf, kind)(x * V(T(0.70710678118654752440))); \
            return fma(e, V(T(0.5)), V(T(0.5)));                                \
        }                                                                       \
    };
KILN_SLEEF_POLICY(double, KILN_SLEEF_F64)
KILN_SLEEF_POLICY(float, KILN_SLEEF_F32)

/// Applies formula F over policy M: as many registers at once as M wants, then one.
template <template <class> class F, class M, class... X>
void map_formula(const Args& a, std::size_t i, std::size_t to, typename M::T* r, const X*... x) {
    using T = typename M::T;
    if constexpr (M::registers > 1)
        i = map_whole<T, lanes<T> * M::registers>(i, to, r, F<M>(a), x...);
    map<T, 1>(i, to, r, F<typename M::One>(a), x...);
}

template <class M> struct CallPrice {
    using V = typename M::V;
    using T = typename M::T;
    T rate, vol, drift;
    explicit CallPrice(const Args& a)
        : rate(scalar<T>(a, 0)), vol(scalar<T>(a, 1)), drift(rate + T(0.5) * vol * vol) {}
    V operator()(V s, V k, V t) const {
        const V sd = vsqrt(t) * V(vol);
        const V d1 = (M::log(s / k) + t * V(drift)) / sd;
        return s * M::cdf(d1) - k * M::exp(t * V(-rate)) * M::cdf(d1 - sd);
    }
};
template <class M> struct BlackScholes : Elementwise<typename M::T> {
    using T = typename M::T;
    static constexpr const char* name = "black_scholes";
    static void range(const Args& a, std::size_t from, std::size_t to) {
        map_formula<CallPrice, M>(a, from, to, output<T>(a, 3), input<T>(a, 0), input<T>(a, 1),
                                  input<T>(a, 2));
    }
};

template <class M> struct ChainFormula {
    static constexpr const char* name = "chain";
    using V = typename M::V;
    explicit ChainFormula(const Args&) {}
    V operator()(V x) const {
        V s, c;
        M::sincos(x, s, c);
        return s * s + c * c + M::exp(-x * x) * V(typename M::T(0.5));
    }
};
template <class M> struct ExpFormula {
    static constexpr const char* name = "fn_exp";
    explicit ExpFormula(const Args&) {}
    typename M::V operator()(typename M::V x) const { return M::exp(x); }
};
template <class M> struct LogFormula {
    static constexpr const char* name = "fn_log";
    explicit LogFormula(const Args&) {}
    typename M::V operator()(typename M::V x) const { return M::log(x); }
};
template <class M> struct SinCosFormula {
    static constexpr const char* name = "fn_sincos";
    explicit SinCosFormula(const Args&) {}
    typename M::V operator()(typename M::V x) const {
        typename M::V s, c;
        M::sincos(x, s, c);
        return s + c;
    }
};
template <class M> struct CdfFormula {
    static constexpr const char* name = "fn_cdf";
    explicit CdfFormula(const Args&) {}
    typename M::V operator()(typename M::V x) const { return M::cdf(x); }
};
/// A formula of one array.
template <template <class> class F, class M> struct Unary : Elementwise<typename M::T> {
    using T = typename M::T;
    static constexpr const char* name = F<M>::name;
    static void range(const Args& a, std::size_t from, std::size_t to) {
        map_formula<F, M>(a, from, to, output<T>(a, 1), input<T>(a, 0));
    }
};

/// Two registers of pixels advance together, to cover the latency of the recurrence; whether all
/// are done is tested every four steps.
template <class E> struct Mandelbrot {
    using T = E;
    static constexpr const char* name = "mandelbrot";
    static std::size_t extent(const Args& a) { return size(a); }
    static std::size_t grain(const Args&) { return 8; }
    static constexpr int N = lanes<T> * 2;
    using V = Vec<T, N>;
    static VecI<T, N> count(V cr, V ci, std::int64_t limit) {
        V zr = 0, zi = 0;
        VecI<T, N> counts = 0;
        std::int64_t k = 0;
        const auto step = [&] {
            const V rr = zr * zr, ii = zi * zi;
            const VecI<T, N> inside = rr + ii <= V(T(4));
            counts -= inside;
            zi = fma(zr + zr, zi, ci);
            zr = rr - ii + cr;
            return inside;
        };
        for (; k + 4 <= limit; k += 4) {
            VecI<T, N> inside;
#pragma clang loop unroll(full)
            for (int c = 0; c < 4; ++c) inside = step();
            if (!any<T, N>(inside)) return counts;
        }
        for (; k < limit; ++k) step();
        return counts;
    }
    static void range(const Args& a, std::size_t from, std::size_t to) {
        const T *xs = input<T>(a, 0), *ys = input<T>(a, 1);
        const std::size_t side = size(a);
        for (std::size_t row = from; row < to; ++row) {
            std::int32_t* r = output<std::int32_t>(a, 2) + row * side;
            for (std::size_t col = 0; col < side; col += N) {
                V cr = 0;
                const std::size_t width = std::min<std::size_t>(N, side - col);
                if (width == N)
                    cr = load<T, N>(xs + col);
                else
                    for (std::size_t i = 0; i < width; ++i) cr[i] = xs[col + i];
                const auto counts =
                    __builtin_convertvector(count(cr, V(ys[row]), a.n[1]), Vec<std::int32_t, N>);
                if (width == N)
                    store<std::int32_t, N>(r + col, counts);
                else
                    for (std::size_t i = 0; i < width; ++i) r[col + i] = counts[i];
            }
        }
    }
};

template <class T> using Inlined2 = Inlined<T, 2>;
template <class T> using Inlined4 = Inlined<T, 4>;

#define BOTH(tag, ...) \
    serial_row<__VA_ARGS__>(tag), tbb_row<__VA_ARGS__>(tag[0] ? tag " tbb" : "tbb")
#define FUNCTION(F, T)                                                                       \
    serial_row<Unary<F, Inlined2<T>>>(""), serial_row<Unary<F, Inlined4<T>>>("4 registers"), \
        serial_row<Unary<F, Sleef<T>>>("sleef")
#define ROWS(T)                                                                                   \
    BOTH("", BlackScholes<Inlined2<T>>), BOTH("sleef", BlackScholes<Sleef<T>>),                   \
        BOTH("", Unary<ChainFormula, Inlined2<T>>), BOTH("sleef", Unary<ChainFormula, Sleef<T>>), \
        BOTH("", Mandelbrot<T>), FUNCTION(ExpFormula, T), FUNCTION(LogFormula, T),                \
        FUNCTION(SinCosFormula, T), FUNCTION(CdfFormula, T)
constexpr Entry rows[] = {ROWS(float), ROWS(double), {}};

}  // namespace

extern "C" const Entry* table() { return rows; }
