// TSVC's loops: kiln's kernels beside the same loops in C++, compiled as this program is.
//
// A library for bench.py. Of many rounds, in which both take turns on the same data, the least time
// of each counts. Both get the same sequence of calls; data are as at first every few calls, so
// that no values grow.
#define KILN_TSVC_LENGTH 32000
#define KILN_TSVC_ROWS 256
#define KILN_TSVC_COLUMNS 256
#include "tests/bench/tsvc/loops.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>

namespace {

using namespace tsvc;

volatile double sink;

double microseconds(const std::function<void()>& f) {
    const auto start = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
        .count();
}

struct Bench {
    std::vector<std::string> only;
    double worst = 0;
    int slower = 0, all = 0;

    bool wanted(const char* name) const {
        return only.empty() || std::ranges::find(only, name) != only.end();
    }

    /// `reset` restores the data; kiln and plain make one call each.
    void run(const char* name, const std::function<void()>& reset,
             const std::function<void()>& kiln, const std::function<void()>& plain) {
        kiln();
        plain();
        constexpr int rounds = 40, calls = 4;
        double best[2] = {1e300, 1e300};
        for (int r = 0; r < rounds; ++r)
            for (int k = 0; k < 2; ++k) {
                const auto& f = (k + r) % 2 == 0 ? kiln : plain;
                reset();
                for (int c = 0; c < calls; ++c)
                    best[(k + r) % 2] = std::min(best[(k + r) % 2], microseconds(f));
            }
        const double ratio = best[0] / best[1];
        worst = std::max(worst, ratio);
        slower += ratio > 1.1 ? 1 : 0;
        ++all;
        std::printf("%-14s %10.2f %10.2f %8.2f%s\n", name, best[0], best[1], ratio,
                    ratio > 1.1 ? "  !" : "");
        std::fflush(stdout);
    }

    template <class F, class P> void lines(const char* name, F kernel, P plain) {
        if (!wanted(name)) return;
        static const Data fresh(0.9);
        Data x = fresh;
        const auto k = jit(name, kernel, {.fastmath = Fastmath::contract});
        run(name, [&] { x = fresh; }, [&] { k(x.a, x.b, x.c, x.d, x.e, x.at); }, [&] { plain(x); });
    }
    template <class F, class P> void tables(const char* name, F kernel, P plain) {
        if (!wanted(name)) return;
        static const Data fresh(0.9);
        Data x = fresh;
        const auto k = jit(name, kernel, {.fastmath = Fastmath::contract});
        run(
            name, [&] { x = fresh; },
            [&] {
                k(Array::over(x.aa.data(), {rows, columns}),
                  Array::over(x.bb.data(), {rows, columns}), x.a, x.b);
            },
            [&] { plain(x); });
    }
    template <class F, class P> void number(const char* name, F kernel, P plain) {
        if (!wanted(name)) return;
        Data x(0.9);
        const auto k = jit(name, kernel, {.fastmath = Fastmath::contract});
        run(
            name, [] {}, [&] { sink = k(x.a, x.b, x.c, x.at).template get<double>(); },
            [&] { sink = plain(x); });
    }
};

}  // namespace

/// Prints a line for each loop named, of all for none; the number of loops that are slower than
/// 1.1 times the C++ loop.
extern "C" int tsvc_run(const char* const* names, int count) {
    Bench bench;
    for (int i = 0; i < count; ++i) bench.only.emplace_back(names[i]);
    std::printf(
        "tsvc: microseconds of a loop over %d elements, the least of many\n"
        "%-14s %10s %10s %8s\n",
        n, "", "kiln", "C++", "x C++");
    linear_dependences(bench);
    conditions(bench);
    reductions(bench);
    recurrences(bench);
    searches_and_early_exits(bench);
    packing_gather_scatter(bench);
    std::printf("%d loops, %d slower than 1.1 x C++, the slowest %.2f x\n", bench.all, bench.slower,
                bench.worst);
    std::fflush(stdout);
    return bench.slower;
}
