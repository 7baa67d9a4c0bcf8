// First calls and warm calls of kiln beside what C++ offers. Prints one JSON object a line:
// {"workload": ..., "variant": ..., "ns": ...}. The harness runs it several times.
//   latency first NAME   one first call in this fresh process, LLVM's start included
//   latency again        first calls of twenty kernels, which the disk cache should have
//   latency warm         the rest
#include <kiln/kiln.h>

#include <kiln/parallel.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

using namespace kiln;

namespace {

using Clock = std::chrono::steady_clock;
double ns_since(Clock::time_point start) {
    return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}
void report(const char* workload, const char* variant, double ns) {
    std::printf("{\"workload\": \"%s\", \"variant\": \"%s\", \"ns\": %.4g}\n", workload, variant,
                ns);
}
double median(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
}

// Kernels carry a captured constant, so that every round compiles anew instead of finding equal
// code in the cache.
Ufunc make_saxpy(double salt) {
    return vectorize("saxpy", [salt](Value a, Value x, Value y) { return a * x + y * salt; });
}
Ufunc make_black_scholes(double salt) {
    return vectorize("black_scholes", [salt](Value s, Value k, Value t) {
        const auto cdf = [](const Value& d) { return 0.5 + 0.5 * erf(d * 0.70710678118654752440); };
        const double rate = 0.02, vol = 0.3 * salt;
        const Value sd = vol * sqrt(t);
        const Value d1 = (log(s / k) + (rate + 0.5 * vol * vol) * t) / sd;
        return s * cdf(d1) - k * exp(-rate * t) * cdf(d1 - sd);
    });
}
/// `length` operations, each on the one before.
Ufunc make_chain(int length, double salt) {
    return vectorize("chain", [=](Value x) {
        Var v = x * salt;
        for (int i = 1; i < length; ++i) {
            switch (i % 4) {
                case 0: v = v * x; break;
                case 1: v = v + 0.25 * i; break;
                case 2: v = v - x; break;
                default: v = maximum(v, -2.0 * i); break;
            }
        }
        return Value(v);
    });
}
Ufunc make_mandelbrot(double salt) {
    return vectorize("mandelbrot", [salt](Value cr, Value ci) {
        Var zr = 0.0 * cr, zi = 0.0 * ci;
        Var n = i32(0);
        while_(n < 50 && zr * zr + zi * zi <= 4.0 * salt, [&] {
            const Value next = zr * zr - zi * zi + cr;
            zi = 2.0 * zr * zi + ci;
            zr = next;
            n += 1;
        });
        return Value(n);
    });
}

const Array& data() {
    static const Array x = linspace(0.5, 1.5, 1000);
    return x;
}
double first_call(std::string_view name, double salt) {
    const Array& x = data();
    const auto start = Clock::now();
    if (name == "saxpy")
        make_saxpy(salt)(2.0, x, x);
    else if (name == "black_scholes")
        make_black_scholes(salt)(x, x, x);
    else if (name == "mandelbrot")
        make_mandelbrot(salt)(x, x);
    else if (name == "chain_30")
        make_chain(30, salt)(x);
    else
        make_chain(500, salt)(x);
    return ns_since(start);
}

/// Of saxpy, chain_30, black_scholes and mandelbrot, five each. Only the first such process may
/// compile: what it prints is of no interest.
void first_calls_again() {
    double all = 0, slowest = 0;
    for (int i = 0; i < 5; ++i)
        for (const char* name : {"saxpy", "chain_30", "black_scholes", "mandelbrot"}) {
            const double ns = first_call(name, 1.0 + 0.125 * i);
            all += ns;
            slowest = std::max(slowest, ns);
        }
    const bool again = stats().compiles == 0;
    report("second_start", again ? "kiln, 20 first calls" : "compiled", all);
    report("second_start", again ? "kiln, the slowest" : "compiled", slowest);
}

[[gnu::noinline]] void plain_saxpy(double a, const double* x, const double* y, double* z,
                                   std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) z[i] = a * x[i] + y[i];
}

/// Median over rounds of the mean of many calls.
template <class F> double warm(F&& f) {
    std::vector<double> rounds;
    for (int r = 0; r < 41; ++r) {
        constexpr int calls = 20000;
        const auto start = Clock::now();
        for (int i = 0; i < calls; ++i) f();
        rounds.push_back(ns_since(start) / calls);
    }
    return median(std::move(rounds));
}

void warm_calls() {
    const double a = 2.0;
    std::vector<double> x{1.5}, y{2.5}, z{0};
    auto saxpy = vectorize("saxpy", [](Value a, Value x, Value y) { return a * x + y; });
    using Data = std::span<const double>;
    const auto bound = saxpy.bind<void(double, Data, Data, std::span<double>)>();
    using Plain = void(double, const double*, const double*, double*, std::int64_t);
    Plain* volatile pointer = plain_saxpy;
    const std::function<Plain> function = plain_saxpy;
    const char* const bind = "call bind size 1";
    report(bind, "function pointer", warm([&] { pointer(a, x.data(), y.data(), z.data(), 1); }));
    report(bind, "std::function", warm([&] { function(a, x.data(), y.data(), z.data(), 1); }));
    report(bind, "kiln", warm([&] { bound(a, Data(x), Data(y), std::span<double>(z)); }));
    const Array ax = ones({1}, f64), ay = ones({1}, f64);
    Array az = zeros({1}, f64);
    const Array s = full({}, f64(2.0));
    const char* const general = "call general size 1";
    report(general, "kiln", warm([&] { saxpy(s, ax, ay, {.out = az}); }));
    report(general, "kiln, weak scalar", warm([&] { saxpy(a, ax, ay, {.out = az}); }));
    report(general, "kiln, new output", warm([&] { saxpy(s, ax, ay); }));
}

/// Parallel loops of two pieces on two threads; launch(body) runs body(piece) for both.
template <class Launch> void fork_join(const char* variant, Launch launch) {
    const auto empty = [](std::int64_t) {};
    report("fork_join warm", variant, warm([&] { launch(empty); }));
    // Pieces that wait for each other, so that the second thread must take part; not for ever, in
    // case that one thread gets both.
    std::atomic<int> arrived{0};
    int expected = 0;
    const auto meet = [&](std::int64_t) {
        arrived.fetch_add(1);
        const auto start = Clock::now();
        while (arrived.load() < expected && ns_since(start) < 50e6) std::this_thread::yield();
    };
    std::vector<double> warm_times, idle_times;
    for (int r = 0; r < 400; ++r) {
        const bool idle = r % 10 == 0;
        if (idle) std::this_thread::sleep_for(std::chrono::milliseconds(10));
        expected += 2;
        const auto start = Clock::now();
        launch(meet);
        (idle ? idle_times : warm_times).push_back(ns_since(start));
    }
    report("fork_join warm, threads meet", variant, median(std::move(warm_times)));
    report("fork_join after 10 ms idle, threads meet", variant, median(std::move(idle_times)));
    std::vector<double> times;
    for (int r = 0; r < 40; ++r) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        const auto start = Clock::now();
        launch(empty);
        times.push_back(ns_since(start));
    }
    report("fork_join after 10 ms idle", variant, median(std::move(times)));
}
void fork_joins() {
    set_num_threads(2);
    fork_join("kiln", [](auto& body) {
        kiln::parallel_for(2, 1, [&](std::int64_t begin, std::int64_t end) {
            for (; begin < end; ++begin) body(begin);
        });
    });
    tbb::task_arena arena(2);
    fork_join("tbb", [&](auto& body) {
        arena.execute([&] {
            tbb::parallel_for(
                std::int64_t(0), std::int64_t(2), [&](std::int64_t i) { body(i); },
                tbb::simple_partitioner());
        });
    });
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 3 && std::string_view(argv[1]) == "first") {
        report((std::string("first_call ") + argv[2]).c_str(), "kiln, first of the process",
               first_call(argv[2], 1.0));
        return 0;
    }
    if (argc == 2 && std::string_view(argv[1]) == "again") {
        first_calls_again();
        return 0;
    }
    for (const char* name : {"saxpy", "chain_30", "black_scholes", "mandelbrot", "chain_500"}) {
        const int rounds = std::string_view(name) == "chain_500" ? 5 : 15;
        std::vector<double> times;
        for (int r = 0; r <= rounds; ++r) {
            const double ns = first_call(name, 1.0 + 1e-6 * (r + 1));
            if (r > 0) times.push_back(ns);  // the first of the process starts LLVM
        }
        report((std::string("first_call ") + name).c_str(), "kiln", median(std::move(times)));
    }
    warm_calls();
    fork_joins();
    return 0;
}
