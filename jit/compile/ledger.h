// What a kernel tells of its calls and compiles.
#pragma once
#include "jit/compile/counters.h"
#include "jit/compile/spread_counter.h"
#include "runtime/process.h"

#include <kiln/inspect.h>

#include <mutex>
#include <vector>

namespace kiln::engine {

struct Compiled;

/// The counters and remarks of one kernel, which takes part in kiln::stats() as long as this lives,
/// and with what it counted afterwards. Thread-safe; `hit` takes no lock.
class Ledger {
  public:
    Ledger() = default;
    Ledger(const Ledger&) = delete;
    Ledger& operator=(const Ledger&) = delete;

    /// A call that found its code.
    void hit() { hits_.increment(); }
    /// A call that didn't.
    void miss();
    void called(bool found) { found ? hit() : miss(); }
    void traced(double ms);
    /// A compile. Equal remarks are kept once: threads that wait for one compile, and variants of
    /// one kernel, have the same to say.
    void add(const Compiled& made);
    /// What is to be said beside compiles; once.
    void note(Remark remark);

    Stats stats() const;
    std::vector<Remark> remarks() const;

  private:
    kiln::detail::SpreadCounter hits_;
    mutable kiln::detail::Mutex mutex_;  // of what follows
    Stats made_;                         // without hits
    std::vector<Remark> remarks_;
    const Counted counted_{[this] { return stats(); }};
};

}  // namespace kiln::engine
