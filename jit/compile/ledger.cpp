#include "jit/compile/ledger.h"

#include "jit/compile/compile.h"

#include <algorithm>

namespace kiln::engine {

void Ledger::miss() {
    const std::lock_guard lock(mutex_);
    ++made_.misses;
}

void Ledger::traced(double ms) {
    const kiln::detail::DefaultEnvironment environment;
    const std::lock_guard lock(mutex_);
    made_.trace_ms += ms;
}

void Ledger::add(const Compiled& made) {
    const std::vector<Remark> remarks = made.report.decisions.remarks();
    const std::lock_guard lock(mutex_);
    engine::add(made_, made.stats);
    for (const Remark& remark : remarks)
        if (std::ranges::find(remarks_, remark) == remarks_.end()) remarks_.push_back(remark);
}

void Ledger::note(Remark remark) {
    const std::lock_guard lock(mutex_);
    if (std::ranges::find(remarks_, remark) == remarks_.end())
        remarks_.push_back(std::move(remark));
}

Stats Ledger::stats() const {
    const std::lock_guard lock(mutex_);
    Stats sum = made_;
    sum.hits += hits_.total();
    return sum;
}

std::vector<Remark> Ledger::remarks() const {
    const std::lock_guard lock(mutex_);
    return remarks_;
}

}  // namespace kiln::engine
