// The log, the times of calls and the trace, as those see them who have something to tell.
#pragma once
#include <kiln/observe.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace kiln::engine {

/// Reads KILN_LOG, KILN_TRACE and KILN_DUMP, once. Errors, with the line: usage, io.
void observe_as_environment_says(const Location& where);

namespace observed {
inline constexpr unsigned times = 1, trace = 2;
/// What is asked for of calls.
inline constinit std::atomic<unsigned> calls{0};
inline constinit std::atomic<LogLevel> log{LogLevel::off};
}  // namespace observed

inline bool calls_are_observed() { return observed::calls.load(std::memory_order_relaxed) != 0; }
inline bool is_traced() {
    return (observed::calls.load(std::memory_order_relaxed) & observed::trace) != 0;
}
inline bool is_logged(LogLevel level) {
    return level <= observed::log.load(std::memory_order_relaxed);
}

/// Not to be called by who is Busy, or holds a lock: the sink is the user's.
void log(LogLevel level, std::string_view kernel, const Location& where, std::string text);
/// log(... text()), which is made where it is wanted.
template <class F>
void log_if(LogLevel level, std::string_view kernel, const Location& where, const F& text) {
    if (is_logged(level)) [[unlikely]]
        log(level, kernel, where, text());
}

/// An event that took so long, and ended so long before now; `arguments`: `"bytes": 12`, or nothing.
void trace_event(std::string_view category, std::string_view name, double ms,
                 const std::string& arguments = {}, double ended_ms = 0);

/// The folder of KILN_DUMP; empty: there is none.
const std::string& dump_folder();
/// Writes FOLDER/NAME-KEY.SUFFIX. Errors: io.
void dump(std::string_view kernel, std::string_view key, std::string_view suffix,
          std::string_view text);

}  // namespace kiln::engine
