// Counters of the process: the sum over all kernels, alive and gone.
#pragma once
#include <kiln/inspect.h>

#include <functional>

namespace kiln::engine {

void add(Stats& sum, const Stats& more);

/// Takes part in kiln::stats(): as long as it lives with what `counted` gives then, afterwards with
/// what it gave last. A kernel's state has one as its last member, so that the others outlive it.
class Counted {
  public:
    /// `counted` may be called by any thread.
    explicit Counted(std::function<Stats()> counted);
    ~Counted();
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

  private:
    friend Stats kiln::stats();
    const std::function<Stats()> counted_;
};

}  // namespace kiln::engine
