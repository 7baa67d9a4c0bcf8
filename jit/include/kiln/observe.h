// What kiln tells of its work while a program runs: a log, how long calls take, a trace. Nothing
// is told, and nothing is measured, unless the program or its environment asks for it:
//   KILN_LOG=warning|info|debug   the log, on standard error
//   KILN_TRACE=FILE               start_trace(FILE)
//   KILN_DUMP=FOLDER              the texts of each kernel that is compiled or loaded: NAME-KEY.ir
//                                 (as traced), .passes (after each pass), .passed (after all), and of
//                                 the CPU's .ll, .opt.ll (LLVM IR, before and after LLVM's optimiser)
//                                 and .s (assembler)
// They are read when the first kernel is called. Errors of that call: usage (another word), io (a
// file that cannot be written).
#pragma once
#include <kiln/error.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace kiln {

enum class LogLevel : std::uint8_t {
    off,
    warning,  ///< what does less than was asked for: a disk cache that cannot be used
    info,     ///< kernels that are compiled or loaded, and how long that took
    debug     ///< remarks, kernels that share code
};

/// A line of the log.
struct LogEntry {
    LogLevel level = LogLevel::info;  ///< how much it matters
    std::string kernel;               ///< its name; empty where it is about none
    Location where = {};              ///< of the kernel, as long as the call lasts
    std::string text;                 ///< what is told, without the kernel and the line
    /// "saxpy.cpp:12: info: saxpy: compiled in 8.1 ms"
    std::string to_string() const;
};

/// Entries of this level, and of those above it in LogLevel, go to `sink` from now on, in place of
/// where KILN_LOG sends them. It is called by the thread that does the work, so by several at once;
/// what it throws is dropped; calls of kernels in it are not logged. An empty one: there is no log.
void set_log(LogLevel level, std::function<void(const LogEntry&)> sink);

/// What calls of kernels of one name took.
struct CallTimes {
    std::string kernel;       ///< its name
    std::uint64_t calls = 0;  ///< how many were timed
    double ms = 0;            ///< milliseconds, summed; compiles are no part of them
    std::uint64_t bytes = 0;  ///< of the arrays that calls were given and gave, each counted once
    /// 10^9 bytes a second; 0 where no time has passed.
    double gigabytes_per_second() const {
        return ms == 0 ? 0 : static_cast<double>(bytes) / ms * 1e-6;
    }
};
/// Whether calls of kernels are timed from now on. Gives what was set before. A call takes some 0.1 us
/// longer. Timed are calls of jit, vectorize, guvectorize and stencils on the CPU; not those of `bind`,
/// reductions, scans, kernels with .verify, and devices.
bool time_calls(bool on);
/// What was timed so far, what took most first.
std::vector<CallTimes> call_times();

/// Writes what happens from now on to a file that Chrome's tracing page and Perfetto read: JSON, a
/// list of events with begin and duration in microseconds. One for each kernel that is compiled or
/// loaded, one for each phase of that (of the code generator's, their durations are measured, and they
/// are put behind each other), and one for each call that time_calls would time, with the bytes of its
/// arrays. The file is whole after each event. A forked child writes none. Errors: io.
void start_trace(const std::string& file);
void stop_trace();

}  // namespace kiln
