// The log, timed calls, the trace, the texts of KILN_DUMP.
#include "tests/jit/support.h"
#include "tests/regex.h"
#include "tests/scratch_folder.h"

#include <kiln/observe.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

using namespace kiln;
using namespace kiln::test;

namespace {

std::string content(const std::filesystem::path& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

/// What is logged while it lives.
class Log {
  public:
    explicit Log(LogLevel level) {
        set_log(level, [this](const LogEntry& entry) {
            const std::lock_guard lock(mutex_);
            entries_.push_back(entry);
            lines_.push_back(entry.to_string());
        });
    }
    ~Log() { set_log(LogLevel::off, {}); }
    std::vector<std::string> take() {
        const std::lock_guard lock(mutex_);
        return std::exchange(lines_, {});
    }

  private:
    std::mutex mutex_;
    std::vector<LogEntry> entries_;
    std::vector<std::string> lines_;
};

auto plus(double salt) {
    return vectorize("plus", [=](Value x) { return x + salt; });
}

}  // namespace

TEST_CASE("the log has a line for each kernel that is compiled", "[jit][observe]") {
    Log log(LogLevel::info);
    const auto f = plus(0.123001);
    const std::uint32_t line = __LINE__ - 8;
    f(arange(3.0));
    const auto first = log.take();
    REQUIRE(first.size() == 1);
    INFO(first[0]);
    CHECK(matches(first[0], "observe_test\\.cpp:" + std::to_string(line) +
                                ": info: plus: (compiled|loaded) in [0-9.]+ ms: .*"));
    f(arange(3.0));
    CHECK(log.take().empty());
    plus(0.123001)(arange(3.0));  // equal code
    CHECK(log.take().empty());

    Log all(LogLevel::debug);
    plus(0.123001)(arange(3.0));
    const auto shared = all.take();
    REQUIRE(shared.size() == 1);
    CHECK(matches(shared[0], ".*: debug: plus: has the code of an equal kernel: [0-9.]+ ms"));
}

TEST_CASE("what a log function throws and calls is its own affair", "[jit][observe]") {
    const auto inner = plus(0.123002);
    set_log(LogLevel::debug, [&](const LogEntry&) {
        inner(arange(2.0));
        throw std::runtime_error("no log");
    });
    CHECK(at(plus(0.123003)(arange(2.0)), 1) == 1.123003);
    set_log(LogLevel::off, {});
    CHECK(inner.stats().misses == 1);
    CHECK(LogEntry{LogLevel::warning, "", {}, "text"}.to_string() == "warning: text");
    CHECK(LogEntry{LogLevel::debug, "f", {"a/b.cpp", 3}, "text"}.to_string() ==
          "b.cpp:3: debug: f: text");
}

TEST_CASE("calls are timed where that is asked for", "[jit][observe]") {
    const auto f = vectorize("timed sum", [](Value x, Value y) { return x + y; });
    const auto g = jit("timed add", [](In x, Value v, Out y) {
        for (Index i : prange(x.extent(0))) y(i) = x(i) + v;
    });
    const auto dot = guvectorize("timed dot", "(n),(n)->()", [](In a, In b, Out c) {
        Var sum(f64, 0);
        for (Index i : range(a.extent(0))) sum += a(i) * b(i);
        c = sum;
    });
    const auto times_of = [](const std::string& kernel) {
        for (const CallTimes& one : call_times())
            if (one.kernel == kernel) return one;
        return CallTimes();
    };
    const Array x = arange(1000.0), y = ones({1000});
    const Array large = ones({200, 1000}), column = ones({200, 1});
    f(x, y);
    CHECK(times_of("timed sum").calls == 0);
    CHECK_FALSE(time_calls(true));
    f(x, y);
    f(x, 2.0);
    f(large, column);
    g(x, 1.0, y);
    dot(large, x);
    CHECK(time_calls(false));
    f(x, y);
    g(x, 1.0, y);
    const CallTimes of_f = times_of("timed sum"), of_g = times_of("timed add"),
                    of_dot = times_of("timed dot");
    CHECK(of_f.calls == 3);
    CHECK(of_f.bytes == 8 * (3 * 1000 + 2 * 1000 + 2 * 200'000 + 200));
    CHECK(of_f.ms > 0);
    CHECK(of_f.gigabytes_per_second() ==
          Approx(static_cast<double>(of_f.bytes) / (of_f.ms * 1e-3) / 1e9));
    CHECK(of_g.calls == 1);
    CHECK(of_g.bytes == 16'000);
    CHECK(of_dot.calls == 1);
    CHECK(of_dot.bytes >= 8 * 200'200);
    CHECK(CallTimes().gigabytes_per_second() == 0);
    const auto all = call_times();
    for (std::size_t i = 1; i < all.size(); ++i) CHECK(all[i - 1].ms >= all[i].ms);
}

TEST_CASE("a trace is a list of events, whole at any time", "[jit][observe]") {
    const ScratchFolder folder;
    const auto file = folder.path / "trace.json";
    start_trace(file.string());
    CHECK(content(file) == "[\n]\n");
    const auto f = jit("a \"quoted\" name", [](InOut x) {
        for (Index i : range(x.extent(0))) x(i) += 0.1230041;
    });
    const Array x = ones({10});
    f(x);
    f(x);
    stop_trace();
    f(x);
    const std::string text = content(file);
    CHECK(text.starts_with("[\n{\"ph\": \"X\", "));
    CHECK(text.ends_with("}}\n]\n"));
    const std::string event =
        R"re(\{"ph": "X", "cat": "(compile|call)", "name": "((?:[^"\\]|\\.)*)", "ts": ([0-9.]+), "dur": ([0-9.]+), "pid": [0-9]+, "tid": [0-9]+, "args": \{(.*)\}\},?)re";
    std::istringstream lines(text);
    std::string one;
    int calls = 0, whole = 0, events = 0;
    std::set<std::string> phases;
    while (std::getline(lines, one)) {
        if (one == "[" || one == "]") continue;
        INFO(one);
        REQUIRE(matches(one, event));
        const std::vector<std::string> parts = all_matches(one, event)[0].parts;
        ++events;
        const bool is_kernel = parts[2] == R"(a \"quoted\" name)";
        calls += parts[1] == "call";
        if (parts[1] == "call") {
            CHECK(is_kernel);
            CHECK(parts[5] == "\"bytes\": 80");
        } else if (is_kernel) {
            ++whole;
            CHECK(matches(parts[5], "\"outcome\": \"(compiled|loaded)\""));
        } else {
            phases.insert(parts[2]);
            CHECK(parts[5] == R"("kernel": "a \"quoted\" name")");
        }
    }
    CHECK(calls == 2);
    CHECK(whole == 1);
    CHECK(phases.contains("trace"));
    CHECK(events >= 4);
    const Error error = error_of([&] { start_trace((folder.path / "no" / "file").string()); });
    CHECK(error.kind() == ErrorKind::io);
    CHECK(error.message() ==
          "cannot write " + (folder.path / "no" / "file").string() + ": No such file or directory");
}

// In a process of its own: the environment is read once.
TEST_CASE("a child that is observed", "[.observed_child]") {
    const auto f = jit("a/kernel", [](InOut x) {
        for (Index i : prange(x.extent(0))) x(i) = x(i) * 0.1230051;
    });
    const Array x = ones({10});
    f(x);
    CHECK(at(x, 3) == 0.1230051);
}

namespace {

/// What this program's child writes, under variables of the environment.
std::string child_says(const std::string& variables) {
    const ScratchFolder folder;
    const std::string file = (folder.path / "said").string();
    const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
    const std::string command =
        variables + " '" + self + "' '[.observed_child]' >'" + file + "' 2>&1";
    static_cast<void>(std::system(command.c_str()));
    // Catch breaks lines.
    return replaced(content(file), "\\s+", " ");
}

}  // namespace

TEST_CASE("the environment asks for the log, the trace and texts", "[jit][observe]") {
    const ScratchFolder folder;
    const std::string trace = (folder.path / "trace.json").string(),
                      texts = (folder.path / "texts").string();
    const std::string said = child_says("KILN_CACHE=off KILN_LOG=info KILN_TRACE='" + trace +
                                        "' KILN_DUMP='" + texts + "'");
    INFO(said);
    CHECK(is_found(said,
                   "kiln: observe_test\\.cpp:[0-9]+: info: a/kernel: compiled in [0-9.]+ ms: "
                   "passes [0-9.]+, .*codegen [0-9.]+"));
    CHECK(content(trace).find(R"("name": "codegen")") != std::string::npos);
    CHECK(content(trace).find(R"("name": "trace")") != std::string::npos);
    CHECK(content(trace).find(R"("cat": "call", "name": "a/kernel")") != std::string::npos);
    std::map<std::string, std::string> by_suffix;
    for (const auto& entry : std::filesystem::directory_iterator(texts)) {
        const std::string name = entry.path().filename().string();
        CHECK(matches(name, "a_kernel-[0-9a-f]{16}\\..*"));
        by_suffix[name.substr(name.find('.') + 1)] = content(entry.path());
    }
    CHECK(by_suffix.size() == 6);
    CHECK(by_suffix["ir"].find("for %") != std::string::npos);
    CHECK(by_suffix["passes"].starts_with("; after "));
    CHECK(by_suffix["passed"].find("launch") != std::string::npos);
    CHECK(by_suffix["ll"].find("define") != std::string::npos);
    CHECK(by_suffix["opt.ll"].find("define") != std::string::npos);
    CHECK(by_suffix["s"].find("ret") != std::string::npos);

    CHECK(child_says("KILN_LOG=off").find("kiln:") == std::string::npos);
    CHECK(child_says("KILN_LOG=loud")
              .find("error: KILN_LOG is 'loud' (off, warning, info and debug are "
                    "known)") != std::string::npos);
    CHECK(child_says("KILN_TRACE=/no/file")
              .find("error: cannot write /no/file: No such file or "
                    "directory") != std::string::npos);
    CHECK(child_says("KILN_CACHE=off KILN_DUMP=/no/folder")
              .find("error: cannot write /no/folder/a_kernel-") != std::string::npos);
    // What cannot be done is a warning.
    CHECK(child_says("KILN_LOG=warning KILN_CACHE=on KILN_CACHE_DIR=/proc/1")
              .find("kiln: warning: the disk cache ") != std::string::npos);
}
