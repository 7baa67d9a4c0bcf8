// What a kernel tells of its calls and compiles.
#pragma once
#include "jit/compile/counters.h"
#include "jit/compile/spread_counter.h"
#include "runtime/process.h"

#include <kiln/dtype.h>
#include <kiln/inspect.h>

#include <memory>
#include <mutex>
#include <vector>

namespace kiln::engine {

class CompiledCode;
class PassReport;

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
    /// `notes`: what the trace had to say.
    void traced(double ms, const std::vector<Remark>& notes = {});
    /// A compile, and what its passes had to say where that is for the user.
    void add(const Stats& made, std::shared_ptr<const PassReport> report = nullptr);
    /// f(), which may have `code` compiled further: PTX is made when it is first needed.
    template <class F> auto with_late_compile(const CompiledCode& code, F&& f) {
        struct After {
            Ledger& ledger;
            const CompiledCode& code;
            ~After() { ledger.add_late(code); }
        } const after{*this, code};
        return f();
    }
    /// The types of a call that was specialised. Each list is kept once, the last one at the end.
    void specialised(std::vector<ArgType> types);
    /// What is to be said beside compiles.
    void note(Remark remark);

    Stats stats() const;
    /// Equal ones once: threads that wait for one compile, and variants of one kernel, have the same
    /// to say.
    std::vector<Remark> remarks() const;
    std::vector<std::vector<ArgType>> specialisations() const;

  private:
    void add_late(const CompiledCode& code);
    void add_note(Remark remark);  // under the lock

    kiln::detail::SpreadCounter hits_;
    mutable kiln::detail::Mutex mutex_;  // of what follows
    Stats made_;                         // without hits
    std::vector<std::shared_ptr<const PassReport>> reports_;
    std::vector<Remark> notes_;
    std::vector<std::vector<ArgType>> specialisations_;
    const Counted counted_{[this] { return stats(); }};
};

}  // namespace kiln::engine
