// kiln run: a function of a file of C++ over numbers and arrays in files.
#include "codegen/passes/kernel_plan.h"
#include "jit/tool/command.h"
#include "jit/tool/kernel_run.h"
#include "jit/tool/text_options.h"

#include <kiln/npy.h>
#include <kiln/parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>

#include <fmt/format.h>

namespace kiln::tool {
namespace {

using text::Mode;
using Result = KernelRun::Result;
using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// What a run gave, and how long it took.
struct Outcome {
    std::vector<Result> results = {};
    double parse_ms = 0, first_ms = 0;
    Stats stats = {};
    std::optional<double> warm_ns = {};
    int repeat = 0;
};

std::string words_of(const Result& result) {
    if (const auto* s = std::get_if<Scalar>(&result)) return digits(*s);
    const Array& a = std::get<Array>(result);
    return a.rank() == 0 ? digits(a.scalar_at({})) : to_string(a);
}

/// Arrays that a file takes, and those that nothing takes: they are printed.
std::vector<Result> save(const KernelRun& run, std::vector<Result> results) {
    std::size_t next = 0;
    for (const Given& one : run.given) {
        if (one.word.to.empty()) continue;
        const bool is_result = one.word.kind == RunArgument::Kind::output &&
                               next < results.size() &&
                               std::holds_alternative<Array>(results[next]);
        save_npy(one.word.to, is_result ? std::get<Array>(results[next]) : one.array, false, {});
        if (is_result) ++next;
    }
    results.erase(results.begin(), results.begin() + static_cast<std::ptrdiff_t>(next));
    return results;
}

std::string json_of(const std::string& function, Mode mode, const Outcome& o) {
    const DiskCacheInfo disk = disk_cache_info();
    const std::string_view cache = o.stats.loads > 0 ? "hit" : disk.reads ? "miss" : "off";
    const auto misses = o.stats.loads > 0 ? std::vector<DiskCacheMiss>() : explain_disk_cache();
    const std::string why =
        misses.empty() ? ""
                       : fmt::format(", \"why\": {}", codegen::json_string(misses.back().reason));
    std::string results;
    for (const Result& r : o.results)
        results += (results.empty() ? "" : ", ") + codegen::json_string(words_of(r));
    const Stats& s = o.stats;
    return fmt::format(
        "{{\"kernel\": {}, \"mode\": {}, \"threads\": {}, \"cache\": \"{}\"{},\n"
        " \"first_call_ms\": {{\"read\": {:.3f}, \"call\": {:.3f}, \"trace\": {:.3f}, \"passes\": "
        "{:.3f}, \"disk\": {:.3f}, \"load\": {:.3f}, \"emit\": {:.3f}, \"optimize\": {:.3f}, "
        "\"codegen\": {:.3f}, \"link\": {:.3f}}},\n"
        " \"repeat\": {}, \"warm_ns\": {},\n \"results\": [{}]}}\n",
        codegen::json_string(function), codegen::json_string(std::string(name_of(mode))),
        num_threads(), cache, why, o.parse_ms, o.first_ms, s.trace_ms, s.passes_ms, s.disk_ms,
        s.load_ms, s.emit_ms, s.optimize_ms, s.codegen_ms, s.link_ms, o.repeat,
        o.warm_ns ? fmt::format("{:.1f}", *o.warm_ns) : "null", results);
}

/// Median of K warm calls, which begin with what the first one left.
double warm_ns(const KernelRun& run, int repeat) {
    std::vector<double> seconds;
    for (int i = 0; i < repeat; ++i) {
        const Clock::time_point start = Clock::now();
        run.call();
        seconds.push_back(since(start));
    }
    std::ranges::nth_element(seconds, seconds.begin() + repeat / 2);
    return 1e9 * seconds[static_cast<std::size_t>(repeat) / 2];
}

}  // namespace

Status run(const Arguments& arguments) {
    if (arguments.words().empty()) throw UsageError("kiln run needs a file");
    if (!arguments.has("--kernel")) throw UsageError("kiln run needs --kernel F");
    const int repeat = whole_number(arguments, "--repeat", 0);
    if (arguments.has("--threads")) set_num_threads(whole_number(arguments, "--threads", 1), {});
    const std::string function = arguments.value("--kernel");

    const Clock::time_point start = Clock::now();
    const text::Source source = text_library().file(arguments.words()[0], {});
    const Mode mode = mode_of(arguments, source, function);
    const KernelRun run =
        make_run(arguments, mode, source, function, std::span(arguments.words()).subspan(1));
    Outcome outcome{.parse_ms = 1e3 * since(start)};
    const Clock::time_point called = Clock::now();
    outcome.results = run.call();
    outcome.first_ms = 1e3 * since(called);
    outcome.stats = stats();
    outcome.results = save(run, std::move(outcome.results));
    if (repeat > 0) {
        outcome.repeat = repeat;
        outcome.warm_ns = warm_ns(run, repeat);
    }
    std::string text;
    if (arguments.has("--json")) {
        text = json_of(function, mode, outcome);
    } else {
        for (const Result& r : outcome.results) text += words_of(r) + "\n";
        if (repeat > 0)
            text += fmt::format("first call {:.1f} ms, then {:.0f} ns (median of {})\n",
                                outcome.first_ms, *outcome.warm_ns, repeat);
    }
    std::fputs(text.c_str(), stdout);
    return Status::good;
}

}  // namespace kiln::tool
