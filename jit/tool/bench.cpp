// kiln bench: how long warm calls of a function take, beside those of another one.
#include "codegen/passes/kernel_plan.h"
#include "jit/tool/command.h"
#include "jit/tool/kernel_run.h"
#include "jit/tool/text_options.h"

#include <kiln/parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>

#include <fmt/format.h>

namespace kiln::tool {
namespace {

using Clock = std::chrono::steady_clock;

/// A kernel whose calls are timed, many at a time.
class Rival {
  public:
    Rival(const Arguments& arguments, const std::string& file, const std::string& function)
        : name_(function), file_(file) {
        const text::Source source = text_library().file(file, {});
        run_ = make_run(arguments, mode_of(arguments, source, function), source, function,
                        std::span(arguments.words()).subspan(1));
        run_.call();  // compiles
        run_.call();
        constexpr double round = 2e-3;
        const double once = seconds(1);
        calls_ = static_cast<int>(std::clamp(round / std::max(once, 1e-9), 1.0, 1e6));
    }
    /// The time of a call in ns, of a round of them.
    double round() const { return 1e9 * seconds(calls_) / calls_; }
    const std::string& name() const { return name_; }
    const std::string& file() const { return file_; }

  private:
    double seconds(int calls) const {
        const Clock::time_point start = Clock::now();
        for (int i = 0; i < calls; ++i) run_.call();
        return std::chrono::duration<double>(Clock::now() - start).count();
    }

    std::string name_, file_;
    KernelRun run_;
    int calls_ = 1;
};

/// The median of rounds, and the quartiles around it.
struct Spread {
    double low, median, high;
    explicit Spread(std::vector<double> all) {
        std::ranges::sort(all);
        const auto at = [&](double part) {
            return all[static_cast<std::size_t>(part * static_cast<double>(all.size() - 1) + 0.5)];
        };
        low = at(0.25);
        median = at(0.5);
        high = at(0.75);
    }
    std::string json() const {
        return fmt::format("{{\"median\": {:.6g}, \"low\": {:.6g}, \"high\": {:.6g}}}", median, low,
                           high);
    }
};

std::string time_text(double ns) {
    return ns < 1e3   ? fmt::format("{:.1f} ns", ns)
           : ns < 1e6 ? fmt::format("{:.2f} us", ns * 1e-3)
                      : fmt::format("{:.2f} ms", ns * 1e-6);
}

struct Measured {
    std::vector<double> first, second, ratios;
};

/// Rounds of both in turn, so that what else the machine does meets both.
Measured measure(const Rival& first, const std::optional<Rival>& second, int rounds) {
    Measured all;
    for (int i = 0; i < rounds; ++i) {
        all.first.push_back(first.round());
        if (!second) continue;
        all.second.push_back(second->round());
        all.ratios.push_back(all.first.back() / all.second.back());
    }
    return all;
}

std::string json_of(const Rival& rival, const Spread& ns) {
    return fmt::format("{{\"kernel\": {}, \"file\": {}, \"ns\": {}}}",
                       codegen::json_string(rival.name()), codegen::json_string(rival.file()),
                       ns.json());
}

std::string json_of(const Rival& first, const std::optional<Rival>& second, const Measured& all,
                    int rounds) {
    const std::string against =
        second ? fmt::format(",\n \"against\": {},\n \"ratio\": {}",
                             json_of(*second, Spread(all.second)), Spread(all.ratios).json())
               : "";
    return fmt::format("{{\"rounds\": {}, \"threads\": {},\n \"of\": {}{}}}\n", rounds,
                       num_threads(), json_of(first, Spread(all.first)), against);
}

std::string text_of(const Rival& first, const std::optional<Rival>& second, const Measured& all,
                    int rounds) {
    const auto line = [](const std::string& what, const std::string& median, const std::string& low,
                         const std::string& high) {
        return fmt::format("{:<32} {:>10}  ({} to {})\n", what, median, low, high);
    };
    const auto of = [&](const Rival& rival, const Spread& s) {
        return line(fmt::format("{} of {}", rival.name(), rival.file()), time_text(s.median),
                    time_text(s.low), time_text(s.high));
    };
    std::string text = of(first, Spread(all.first));
    if (second) {
        const Spread ratio(all.ratios);
        const auto number = [](double x) { return fmt::format("{:.3f}", x); };
        text += of(*second, Spread(all.second)) +
                line("ratio", number(ratio.median), number(ratio.low), number(ratio.high));
    }
    return text + fmt::format("medians of {} rounds, and the quartiles around them\n", rounds);
}

}  // namespace

Status bench(const Arguments& arguments) {
    if (arguments.words().empty()) throw UsageError("kiln bench needs a file");
    if (!arguments.has("--kernel")) throw UsageError("kiln bench needs --kernel F");
    const int rounds = whole_number(arguments, "--rounds", 51);
    if (arguments.has("--threads")) set_num_threads(whole_number(arguments, "--threads", 1), {});
    const std::string file = arguments.words()[0], function = arguments.value("--kernel");
    const Rival first(arguments, file, function);
    std::optional<Rival> second;
    if (arguments.has("--against") || arguments.has("--against-file"))
        second.emplace(arguments, arguments.value("--against-file", file),
                       arguments.value("--against", function));
    const Measured all = measure(first, second, rounds);
    const std::string text = arguments.has("--json") ? json_of(first, second, all, rounds)
                                                     : text_of(first, second, all, rounds);
    std::fputs(text.c_str(), stdout);
    return Status::good;
}

}  // namespace kiln::tool
