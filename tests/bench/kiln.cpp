// kiln's variants, through bind handles.
#include <kiln/kiln.h>

#include "tests/bench/abi.h"

namespace {

using kiln::UfuncOptions;
using kiln::Value;

enum class Mode : std::uint8_t { strict_serial, strict_parallel, fast_serial, fast_parallel };
constexpr UfuncOptions options(Mode m) {
    UfuncOptions o;
    o.fastmath = m == Mode::fast_serial || m == Mode::fast_parallel;
    o.parallel = m == Mode::strict_parallel || m == Mode::fast_parallel;
    return o;
}
template <class T> std::span<const T> in(const Args& a, int i) { return {input<T>(a, i), size(a)}; }
template <class T> std::span<T> out(const Args& a, int i) { return {output<T>(a, i), size(a)}; }

template <class T, Mode M> void saxpy(const Args* a) {
    static const auto f = kiln::vectorize("saxpy", [](Value k, Value x, Value y) { return k * x + y; }, options(M));
    static const auto call = f.template bind<void(T, std::span<const T>, std::span<const T>, std::span<T>)>();
    call(static_cast<T>(a->s[0]), in<T>(*a, 0), in<T>(*a, 1), out<T>(*a, 2));
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
    call(in<T>(*a, 0), in<T>(*a, 1), in<T>(*a, 2), static_cast<T>(a->s[0]), static_cast<T>(a->s[1]), out<T>(*a, 3));
}

template <class T, Mode M> void chain(const Args* a) {
    static const auto f = kiln::vectorize(
        "chain", [](Value x) { return sin(x) * sin(x) + cos(x) * cos(x) + exp(-x * x) / 2; }, options(M));
    static const auto call = f.template bind<void(std::span<const T>, std::span<T>)>();
    call(in<T>(*a, 0), out<T>(*a, 1));
}

#define MODES(workload, f, T)                                                                   \
    {workload, dtype_name<T>, 1, "strict", f<T, Mode::strict_serial>},                          \
        {workload, dtype_name<T>, 0, "strict", f<T, Mode::strict_parallel>},                    \
        {workload, dtype_name<T>, 1, "", f<T, Mode::fast_serial>},                              \
        {workload, dtype_name<T>, 0, "", f<T, Mode::fast_parallel>}
#define ROWS(workload, f) MODES(workload, f, float), MODES(workload, f, double)
constexpr Entry rows[] = {ROWS("saxpy", saxpy), ROWS("black_scholes", black_scholes), ROWS("chain", chain), {}};

}  // namespace

extern "C" const Entry* table() { return rows; }
