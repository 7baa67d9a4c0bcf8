#include "jit/compile/observe.h"

#include "codegen/passes/kernel_plan.h"
#include "jit/compile/observed_call.h"
#include "runtime/process.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include <fmt/format.h>

namespace kiln {
namespace engine {
namespace {

using Sink = std::function<void(const LogEntry&)>;

constexpr std::array<std::string_view, 4> level_names{"off", "warning", "info", "debug"};
std::string_view name(LogLevel level) { return level_names[static_cast<std::size_t>(level)]; }

const char* variable(const char* name) {
    const char* const text = std::getenv(name);
    return text != nullptr && *text != '\0' ? text : nullptr;
}

[[noreturn]] void cannot_write(const std::string& path, int error) {
    throw Error(ErrorKind::io, "cannot write " + path + ": " + std::strerror(error));
}

bool write_all(int file, std::string_view text, off_t at) {
    while (!text.empty()) {
        const ssize_t n = pwrite(file, text.data(), text.size(), at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(n));
        at += n;
    }
    return true;
}

/// A list of JSON that is whole after each event.
class TraceFile {
  public:
    /// Errors: io.
    explicit TraceFile(const std::string& path)
        : file_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
        if (file_ < 0 || !write_all(file_, "[\n]\n", 0)) {
            const int error = errno;
            if (file_ >= 0) close(file_);
            cannot_write(path, error);
        }
    }
    ~TraceFile() { close(file_); }
    TraceFile(const TraceFile&) = delete;
    TraceFile& operator=(const TraceFile&) = delete;

    void add(const std::string& event) {
        if (kiln::detail::fork_generation() != generation_) return;  // the parent's file
        const std::string text = (end_ == 2 ? "" : ",\n") + event + "\n]\n";
        if (write_all(file_, text, end_ == 2 ? end_ : end_ - 1))
            end_ = (end_ == 2 ? end_ : end_ - 1) + static_cast<off_t>(text.size()) - 2;
    }

  private:
    const int file_;
    off_t end_ = 2;  ///< where the list is closed
    const std::uint64_t generation_ = kiln::detail::fork_generation();
};

struct Observer {
    kiln::detail::Mutex mutex;  // of what follows
    std::shared_ptr<const Sink> sink;
    bool is_own = false;  ///< the program set the sink
    std::shared_ptr<TraceFile> trace;
    std::map<std::string, CallTimes> times;

    static Observer& instance() {
        static constinit kiln::detail::Lazy<Observer> observer;
        return observer.get();
    }
};

void set_calls(unsigned bit, bool on) {
    on ? observed::calls.fetch_or(bit) : observed::calls.fetch_and(~bit);
}

/// `over_own` = false: not where the program has set its own.
void set_sink(LogLevel level, Sink sink, bool over_own) {
    Observer& observer = Observer::instance();
    auto made = sink ? std::make_shared<const Sink>(std::move(sink)) : nullptr;
    const std::lock_guard lock(observer.mutex);
    if (observer.is_own && !over_own) return;
    observer.is_own = over_own;
    observed::log = made != nullptr ? level : LogLevel::off;
    observer.sink.swap(made);
}

void to_standard_error(const LogEntry& entry) {
    const std::string line = "kiln: " + entry.to_string() + '\n';
    std::string_view left = line;
    while (!left.empty()) {
        const ssize_t n = ::write(STDERR_FILENO, left.data(), left.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        left.remove_prefix(static_cast<std::size_t>(n));
    }
}

/// What the environment asks for.
struct Wishes {
    std::string dump;

    static const Wishes& once() {
        static constinit kiln::detail::Lazy<Wishes> wishes;
        return wishes.get([] { return std::make_unique<Wishes>(read()); });
    }

  private:
    static Wishes read() {
        if (const char* const text = variable("KILN_LOG")) {
            std::size_t level = 0;
            while (level < level_names.size() && level_names[level] != text) ++level;
            if (level == level_names.size())
                throw Error(ErrorKind::usage, fmt::format("KILN_LOG is '{}'", text), {},
                            "off, warning, info and debug are known");
            set_sink(static_cast<LogLevel>(level), to_standard_error, /*over_own=*/false);
        }
        if (const char* const file = variable("KILN_TRACE")) start_trace(file);
        const char* const folder = variable("KILN_DUMP");
        return {folder == nullptr ? "" : folder};
    }
};

}  // namespace

void observe_as_environment_says(const Location& where) {
    try {
        Wishes::once();
    } catch (const Error& error) {
        throw Error(error.kind(), error.message(), where, error.hint());
    }
}
const std::string& dump_folder() { return Wishes::once().dump; }

void log(LogLevel level, std::string_view kernel, const Location& where, std::string text) {
    static constinit thread_local bool is_logging = false;
    if (is_logging) return;
    Observer& observer = Observer::instance();
    std::shared_ptr<const Sink> sink;
    {
        const std::lock_guard lock(observer.mutex);
        sink = observer.sink;
    }
    if (sink == nullptr) return;
    is_logging = true;
    try {
        (*sink)({level, std::string(kernel), where, std::move(text)});
    } catch (...) {
        // It is the program's log that fails, not the kernel.
    }
    is_logging = false;
}

void trace_event(std::string_view category, std::string_view name, double ms,
                 const std::string& arguments, double ended_ms) {
    if (!is_traced()) return;
    const std::chrono::duration<double, std::micro> now =
        std::chrono::steady_clock::now().time_since_epoch();
    const std::string event = fmt::format(
        R"({{"ph": "X", "cat": {}, "name": {}, "ts": {:.3f}, "dur": {:.3f}, "pid": {}, "tid": {}, "args": {{{}}}}})",
        codegen::json_string(category), codegen::json_string(name),
        now.count() - 1000 * (ended_ms + ms), 1000 * ms, getpid(), gettid(), arguments);
    Observer& observer = Observer::instance();
    const std::lock_guard lock(observer.mutex);
    if (observer.trace != nullptr) observer.trace->add(event);
}

ObservedCall::~ObservedCall() {
    const double ms = watch_.ms();
    const unsigned wanted = observed::calls.load(std::memory_order_relaxed);
    try {
        if ((wanted & observed::times) != 0) {
            Observer& observer = Observer::instance();
            const std::lock_guard lock(observer.mutex);
            CallTimes& times = observer.times[std::string(kernel_)];
            ++times.calls;
            times.ms += ms;
            times.bytes += bytes_;
        }
        if ((wanted & observed::trace) != 0)
            trace_event("call", kernel_, ms, fmt::format(R"("bytes": {})", bytes_));
    } catch (const std::bad_alloc&) {
        // A call less.
    }
}

void dump(std::string_view kernel, std::string_view key, std::string_view suffix,
          std::string_view text) {
    std::string file(kernel);
    for (char& c : file)
        if (c == '/' || static_cast<unsigned char>(c) < 0x20) c = '_';
    mkdir(dump_folder().c_str(), 0777);  // which may be there
    const std::string path =
        fmt::format("{}/{}-{}.{}", dump_folder(), file.substr(0, 100), key.substr(0, 16), suffix);
    const int made = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    const bool written = made >= 0 && write_all(made, text, 0);
    const int error = errno;
    if (made >= 0) close(made);
    if (!written) cannot_write(path, error);
}

}  // namespace engine

std::string LogEntry::to_string() const {
    std::string line;
    if (!where.file.empty()) line = fmt::format("{}:{}: ", where.short_file(), where.line);
    line += fmt::format("{}: ", engine::name(level));
    if (!kernel.empty()) line += kernel + ": ";
    return line + text;
}

void set_log(LogLevel level, std::function<void(const LogEntry&)> sink) {
    engine::set_sink(level, std::move(sink), /*over_own=*/true);
}

bool time_calls(bool on) {
    const unsigned before = on ? engine::observed::calls.fetch_or(engine::observed::times)
                               : engine::observed::calls.fetch_and(~engine::observed::times);
    return (before & engine::observed::times) != 0;
}

std::vector<CallTimes> call_times() {
    std::vector<CallTimes> all;
    engine::Observer& observer = engine::Observer::instance();
    {
        const std::lock_guard lock(observer.mutex);
        for (const auto& [kernel, times] : observer.times) {
            all.push_back(times);
            all.back().kernel = kernel;
        }
    }
    std::ranges::sort(all, std::ranges::greater(), &CallTimes::ms);
    return all;
}

void start_trace(const std::string& file) {
    auto made = std::make_shared<engine::TraceFile>(file);
    engine::Observer& observer = engine::Observer::instance();
    const std::lock_guard lock(observer.mutex);
    observer.trace.swap(made);
    engine::set_calls(engine::observed::trace, true);
}

void stop_trace() {
    engine::Observer& observer = engine::Observer::instance();
    const std::lock_guard lock(observer.mutex);
    engine::set_calls(engine::observed::trace, false);
    observer.trace = nullptr;
}

}  // namespace kiln
