// What a call costs beside its arithmetic, and first calls: rows for versions.py, which times them in
// several builds of kiln in turn.
#include <kiln/kiln.h>

#include <chrono>
#include <cstdint>
#include <iterator>
#include <span>

using namespace kiln;

namespace {

using Clock = std::chrono::steady_clock;
std::int64_t ns_since(Clock::time_point start) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

/// Nanoseconds of `repeats` calls, after a first one.
template <class F> std::int64_t timed(std::int64_t repeats, const F& call) {
    call();
    const auto start = Clock::now();
    for (std::int64_t r = 0; r < repeats; ++r) call();
    return ns_since(start);
}

Array ramp(const Shape& shape) { return linspace(0.5, 1.5, element_count(shape)).reshape(shape); }

const Ufunc& saxpy() {
    static const auto f = vectorize("saxpy", [](Value a, Value x, Value y) { return a * x + y; });
    return f;
}
template <int N> std::int64_t bound(std::int64_t repeats) {
    using Data = std::span<const double>;
    static const auto f = saxpy().bind<void(double, Data, Data, std::span<double>)>();
    alignas(4096) static double x[N]{1.5}, y[N + 64]{2.5}, z[N + 128];
    return timed(repeats, [] { f(2.0, Data(x, N), Data(y, N), std::span<double>(z, N)); });
}
template <int N> std::int64_t general(std::int64_t repeats) {
    static const Array a = full({}, 2.0), x = ramp({N}), y = ramp({N});
    static Array z = zeros({N});
    return timed(repeats, [] { saxpy()(a, x, y, {.out = z}); });
}
std::int64_t weak_scalar(std::int64_t repeats) {
    static const Array x = ramp({1}), y = ramp({1});
    static Array z = zeros({1});
    return timed(repeats, [] { saxpy()(2.0, x, y, {.out = z}); });
}
std::int64_t new_output(std::int64_t repeats) {
    static const Array x = ramp({1}), y = ramp({1});
    return timed(repeats, [] { saxpy()(2.0, x, y); });
}
std::int64_t two_dimensions(std::int64_t repeats) {
    static const Array x = ramp({3, 4}), y = ramp({4});
    static Array z = zeros({3, 4});
    return timed(repeats, [] { saxpy()(2.0, x, y, {.out = z}); });
}
std::int64_t jit_value(std::int64_t repeats) {
    static const auto f = jit("one", [](Value x) -> Value { return x + 1; });
    return timed(repeats, [] { f(1.0); });
}
std::int64_t jit_one(std::int64_t repeats) {
    static const auto f = jit("one", [](InOut x) { x(0) = x(0) * 0.5; });
    static Array x = ramp({1});
    return timed(repeats, [] { f(x); });
}
template <int N> std::int64_t jit_loop(std::int64_t repeats) {
    static const auto f = jit("loop", [](Value a, In x, In y, Out z) {
        for (Index i : range(z.extent(0))) z(i) = a * x(i) + y(i);
    });
    static const Array x = ramp({N}), y = ramp({N});
    static Array z = zeros({N});
    return timed(repeats, [] { f(2.0, x, y, z); });
}
template <int N> std::int64_t jit_statement(std::int64_t repeats) {
    static const auto f = jit("loop", [](Value a, In x, In y, Out z) { z = a * x + y; });
    static const Array x = ramp({N}), y = ramp({N});
    static Array z = zeros({N});
    return timed(repeats, [] { f(2.0, x, y, z); });
}
template <int N> std::int64_t jit_sum(std::int64_t repeats) {
    static const auto f = jit("sum", [](In x) -> Value {
        Var s(f64, 0);
        for (Index i : prange(x.extent(0))) s += x(i);
        return s;
    });
    static const Array x = ramp({N});
    return timed(repeats, [] { f(x); });
}
template <int N> std::int64_t jit_rows(std::int64_t repeats) {
    static const auto f = jit("rows", [](In x, Out z) {
        for (Index i : prange(x.extent(0)))
            for (Index j : range(x.extent(1))) z(i, j) = exp(x(i, j));
    });
    static const Array x = ramp({N, N});
    static Array z = zeros({N, N});
    return timed(repeats, [] { f(x, z); });
}
template <int N> std::int64_t reduction(std::int64_t repeats) {
    static const auto f = map_reduce("sum", [](Value x) { return x * x; }, Reduce::sum);
    static const Array x = ramp({N}), z = full({}, 0.0);
    return timed(repeats, [] { f(x, {.out = z}); });
}
std::int64_t running_sum(std::int64_t repeats) {
    static const Array x = ramp({8});
    static Array z = zeros({8});
    return timed(repeats, [] { cumsum(x, {.out = z}); });
}
std::int64_t small_stencil(std::int64_t repeats) {
    static const auto f = stencil(
        [](Neighbors a) -> Value { return 0.25 * (a(0, 1) + a(1, 0) + a(0, -1) + a(-1, 0)); });
    static const Array x = ramp({4, 4});
    return timed(repeats, [] { f(x); });
}

// First calls: `salt` is a constant of each kernel, so that no two have equal code.
std::int64_t first_saxpy(double salt) {
    static const Array x = ramp({100});
    const auto start = Clock::now();
    vectorize([=](Value a, Value x, Value y) { return a * x + y * salt; })(2.0, x, x);
    return ns_since(start);
}
std::int64_t first_black_scholes(double salt) {
    static const Array x = ramp({100});
    const auto start = Clock::now();
    vectorize([=](Value s, Value k, Value t) {
        const auto cdf = [](const Value& d) { return 0.5 + 0.5 * erf(d * 0.70710678118654752440); };
        const double rate = 0.02, vol = 0.3 * salt;
        const Value sd = vol * sqrt(t);
        const Value d1 = (log(s / k) + (rate + 0.5 * vol * vol) * t) / sd;
        return s * cdf(d1) - k * exp(-rate * t) * cdf(d1 - sd);
    })(x, x, x);
    return ns_since(start);
}
std::int64_t first_ufunc_mandelbrot(double salt) {
    static const Array x = ramp({100});
    const auto start = Clock::now();
    vectorize([=](Value cr, Value ci) {
        Var zr = 0.0 * cr, zi = 0.0 * ci;
        Var n = i32(0);
        while_(n < 50 && zr * zr + zi * zi <= 4.0 * salt, [&] {
            const Value next = zr * zr - zi * zi + cr;
            zi = 2.0 * zr * zi + ci;
            zr = next;
            n += 1;
        });
        return Value(n);
    })(x, x);
    return ns_since(start);
}
std::int64_t first_reduction(double salt) {
    static const Array x = ramp({100});
    const auto start = Clock::now();
    map_reduce([=](Value x, Value y) { return x * y * salt; }, Reduce::sum)(x, x);
    return ns_since(start);
}
std::int64_t first_stencil(double salt) {
    static const Array x = ramp({16, 16});
    const auto start = Clock::now();
    stencil([=](Neighbors a) -> Value { return salt * (a(0, 1) + a(1, 0) + a(0, -1) + a(-1, 0)); })(
        x);
    return ns_since(start);
}
std::int64_t first_loop(double salt) {
    static const Array x = ramp({100});
    static Array z = zeros({100});
    const auto start = Clock::now();
    jit([=](In x, Out z) {
        for (Index i : range(x.extent(0))) z(i) = x(i) * salt + 1;
    })(x, z);
    return ns_since(start);
}
std::int64_t first_loop_sum(double salt) {
    static const Array x = ramp({100});
    const auto start = Clock::now();
    jit([=](In x) -> Value {
        Var s(f64, 0);
        for (Index i : prange(x.extent(0))) s += x(i) * salt;
        return s;
    })(x);
    return ns_since(start);
}
std::int64_t first_matmul(double salt) {
    static const Array x = ramp({16, 16});
    static Array z = zeros({16, 16});
    const auto start = Clock::now();
    jit([=](In a, In b, Out c) {
        for (Index i : prange(c.extent(0)))
            for (Index j : range(c.extent(1))) {
                Var s(f64, salt);
                for (Index k : range(a.extent(1))) s += a(i, k) * b(k, j);
                c(i, j) = s;
            }
    })(x, x, z);
    return ns_since(start);
}
std::int64_t first_loop_mandelbrot(double salt) {
    static Array z = zeros({16, 16}, i32);
    const auto start = Clock::now();
    jit([=](Out steps, Value limit) {
        for (Index row : prange(steps.extent(0)))
            for (Index col : range(steps.extent(1))) {
                const Value cx = col * (salt / 16) - 2.0, cy = row * (2.0 / 16) - 1.0;
                Var x(f64, 0), y(f64, 0);
                Var n(i32, 0);
                while_(n < limit && x * x + y * y <= 4.0, [&] {
                    const Value t = x * x - y * y + cx;
                    y = 2.0 * x * y + cy;
                    x = t;
                    n += 1;
                });
                steps(row, col) = n;
            }
    })(z, 20);
    return ns_since(start);
}
std::int64_t first_jacobi(double salt) {
    static Array x = ramp({16, 16}), z = zeros({16, 16});
    const auto start = Clock::now();
    jit([=](InOut b, InOut a, Value pairs) {
        const auto sweep = [=](const InOut& from, const InOut& to) {
            for (Index i : prange(1, from.extent(0) - 1))
                for (Index j : range(1, from.extent(1) - 1))
                    to(i, j) =
                        salt * (from(i - 1, j) + from(i + 1, j) + from(i, j - 1) + from(i, j + 1));
        };
        for (Index t : range(pairs)) {
            (void)t;
            sweep(a, b);
            sweep(b, a);
        }
    })(x, z, 2);
    return ns_since(start);
}
std::int64_t first_statement(double salt) {
    static const Array x = ramp({100});
    static Array z = zeros({100});
    const auto start = Clock::now();
    jit([=](In x, In y, Out z) { z = x * salt + y; })(x, x, z);
    return ns_since(start);
}
std::int64_t first_broadcast_statement(double salt) {
    static const Array x = ramp({16, 16}), y = ramp({16});
    static Array z = zeros({16, 16});
    const auto start = Clock::now();
    jit([=](In x, In y, Out z) { z = x * salt + exp(y); })(x, y, z);
    return ns_since(start);
}
std::int64_t first_logistic(double salt) {
    static const Array x = ramp({16, 8}), y = ramp({16});
    static Array w = zeros({8});
    const auto start = Clock::now();
    jit([=](In x, In y, InOut w) { w -= dot((1.0 / (1.0 + exp(-y * dot(x, w))) - salt) * y, x); })(
        x, y, w);
    return ns_since(start);
}
std::int64_t first_sieve(double salt) {
    static Array z = zeros({100}, u8);
    const auto first = static_cast<std::int64_t>(salt * 1e6);
    const auto start = Clock::now();
    jit([=](Out flags) {
        for (Index v : prange(flags.extent(0))) {
            Var prime(bool_, v >= 2);
            const Value last = cast<std::int64_t>(sqrt(cast<double>(v)));
            for (Index i : range(2, last + 1)) if_(v % i == 0, [&] { prime = false; });
            flags(v) = cast<std::uint8_t>(prime && v != first);
        }
    })(z);
    return ns_since(start);
}

template <std::int64_t (*First)(double)> std::int64_t first(std::int64_t repeats) {
    static double salt = 1;
    std::int64_t sum = 0;
    for (std::int64_t r = 0; r < repeats; ++r) sum += First(salt += 1e-6);
    return sum;
}

struct Row {
    const char* name;
    std::int64_t (*run)(std::int64_t repeats);  // gives nanoseconds
};
constexpr Row rows[] = {
    {"call bind 1", bound<1>},
    {"call bind 16", bound<16>},
    {"call bind 1000", bound<1000>},
    {"call ufunc 1", general<1>},
    {"call ufunc 1000", general<1000>},
    {"call ufunc weak scalar 1", weak_scalar},
    {"call ufunc new output 1", new_output},
    {"call ufunc 3 x 4", two_dimensions},
    {"call jit value", jit_value},
    {"call jit element", jit_one},
    {"call jit loop 1", jit_loop<1>},
    {"call jit loop 1000", jit_loop<1000>},
    {"call jit statement 1", jit_statement<1>},
    {"call jit statement 1000", jit_statement<1000>},
    {"call jit sum 1", jit_sum<1>},
    {"call jit sum 1000", jit_sum<1000>},
    {"call jit rows 2", jit_rows<2>},
    {"call jit rows 30", jit_rows<30>},
    {"call reduction 1", reduction<1>},
    {"call reduction 1000", reduction<1000>},
    {"call cumsum 8", running_sum},
    {"call stencil 4 x 4", small_stencil},
    {"first saxpy", first<first_saxpy>},
    {"first black_scholes", first<first_black_scholes>},
    {"first ufunc mandelbrot", first<first_ufunc_mandelbrot>},
    {"first reduction", first<first_reduction>},
    {"first stencil", first<first_stencil>},
    {"first loop", first<first_loop>},
    {"first loop sum", first<first_loop_sum>},
    {"first matmul", first<first_matmul>},
    {"first loop mandelbrot", first<first_loop_mandelbrot>},
    {"first jacobi", first<first_jacobi>},
    {"first statement", first<first_statement>},
    {"first broadcast statement", first<first_broadcast_statement>},
    {"first logistic", first<first_logistic>},
    {"first sieve", first<first_sieve>},
};

}  // namespace

extern "C" std::int64_t calls_count() { return std::ssize(rows); }
extern "C" const char* calls_name(std::int64_t row) { return rows[row].name; }
extern "C" std::int64_t calls_run(std::int64_t row, std::int64_t repeats) {
    return rows[row].run(repeats);
}
