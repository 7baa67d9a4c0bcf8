// Errors of the driver get the line of the user's call.
#pragma once
#include <kiln/error.h>

#include <utility>

namespace kiln::device {

/// f(); an Error without a line gets this one.
template <class F> decltype(auto) at_line(const Location& where, F&& f) {
    try {
        return std::forward<F>(f)();
    } catch (const Error& error) {
        if (error.line() != 0) throw;
        throw Error(error.kind(), error.message(), where, error.hint());
    }
}

}  // namespace kiln::device
