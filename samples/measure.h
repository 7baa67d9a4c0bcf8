// What the samples share: a clock, medians, and the comparison with a plain loop.
#pragma once
#include <kiln/kiln.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <span>
#include <vector>

namespace samples {

/// How long f() takes, in milliseconds.
template <class F> double milliseconds(F&& f) {
    const auto start = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
}

/// Median milliseconds of each way to do a job, after one round that warms up. The ways take turns,
/// so that a change of the clock speed or of the machine's load meets all of them alike.
inline std::vector<double> medians(int rounds, const std::vector<std::function<void()>>& ways) {
    std::vector<std::vector<double>> times(ways.size());
    for (const auto& way : ways) way();
    for (int round = 0; round < rounds; ++round) {
        for (std::size_t k = 0; k < ways.size(); ++k) times[k].push_back(milliseconds(ways[k]));
    }
    std::vector<double> result;
    for (auto& t : times) {
        std::nth_element(t.begin(), t.begin() + rounds / 2, t.end());
        result.push_back(t[static_cast<std::size_t>(rounds) / 2]);
    }
    return result;
}

/// How long the first call with new argument types takes, in milliseconds. Prints where the time
/// went: the rest of it is the call's own work.
template <class F> double first_call(const char* what, F&& call) {
    const kiln::Stats before = kiln::stats();
    const double ms = milliseconds(call);
    const kiln::Stats s = kiln::stats();
    if (s.compiles == before.compiles) {
        std::printf(
            "%s: first call %.1f ms (trace %.2f, passes %.2f, disk cache %.2f, link %.2f)\n", what,
            ms, s.trace_ms - before.trace_ms, s.passes_ms - before.passes_ms,
            s.disk_ms - before.disk_ms, s.link_ms - before.link_ms);
        return ms;
    }
    std::printf(
        "%s: first call %.1f ms (open the compiler %.1f, trace %.2f, passes %.2f, emit %.1f, "
        "optimise %.1f, machine code %.1f, link %.1f)\n",
        what, ms, s.load_ms - before.load_ms, s.trace_ms - before.trace_ms,
        s.passes_ms - before.passes_ms, s.emit_ms - before.emit_ms,
        s.optimize_ms - before.optimize_ms, s.codegen_ms - before.codegen_ms,
        s.link_ms - before.link_ms);
    return ms;
}

/// Whether |got[i] - want[i]| <= tolerance(i) for all i. Prints the verdict, and the first element
/// that is off. A NaN is off.
template <class T, class Tolerance>
bool agree(const char* what, std::span<const T> got, std::span<const T> want,
           Tolerance&& tolerance) {
    if (got.size() != want.size()) {
        std::printf("WRONG  %s: %zu elements instead of %zu\n", what, got.size(), want.size());
        return false;
    }
    double largest = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double g = static_cast<double>(got[i]), w = static_cast<double>(want[i]);
        if (!(std::abs(g - w) <= static_cast<double>(tolerance(i)))) {
            std::printf("WRONG  %s: element %zu is %.17g instead of %.17g\n", what, i, g, w);
            return false;
        }
        largest = std::max(largest, std::abs(g - w));
    }
    std::printf("right  %s (%zu elements, largest difference %.2g)\n", what, got.size(), largest);
    return true;
}

}  // namespace samples
