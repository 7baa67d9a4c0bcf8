// A call that is timed, traced, or both.
#pragma once
#include "jit/compile/observe.h"
#include "jit/compile/stopwatch.h"

namespace kiln::engine {

/// From when it is made on, without compiles. Only to be made where calls_are_observed().
class ObservedCall {
  public:
    /// The kernel's name outlives it.
    ObservedCall(std::string_view kernel, std::int64_t bytes)
        : kernel_(kernel), bytes_(static_cast<std::uint64_t>(bytes)) {}
    ~ObservedCall();
    ObservedCall(const ObservedCall&) = delete;
    ObservedCall& operator=(const ObservedCall&) = delete;

  private:
    const std::string_view kernel_;
    const std::uint64_t bytes_;
    const Stopwatch watch_;
};

}  // namespace kiln::engine
