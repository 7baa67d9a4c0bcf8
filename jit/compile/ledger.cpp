#include "jit/compile/ledger.h"

#include "jit/compile/backend.h"
#include "jit/compile/lowered.h"

#include <algorithm>

namespace kiln::engine {

void Ledger::miss() {
    const std::lock_guard lock(mutex_);
    ++made_.misses;
}

void Ledger::traced(double ms, const std::vector<Remark>& notes) {
    const kiln::detail::DefaultEnvironment environment;
    const std::lock_guard lock(mutex_);
    made_.trace_ms += ms;
    for (const Remark& remark : notes) add_note(remark);
}

void Ledger::add(const Stats& made, std::shared_ptr<const PassReport> report) {
    const std::lock_guard lock(mutex_);
    engine::add(made_, made);
    if (report == nullptr || report->is_silent()) return;
    if (std::ranges::find(reports_, report) == reports_.end())
        reports_.push_back(std::move(report));
}

void Ledger::add_late(const CompiledCode& code) {
    if (const auto made = code.take_late_times()) add(*made);
}

void Ledger::specialised(std::vector<ArgType> types) {
    const std::lock_guard lock(mutex_);
    std::erase(specialisations_, types);
    specialisations_.push_back(std::move(types));
}

void Ledger::note(Remark remark) {
    const std::lock_guard lock(mutex_);
    add_note(std::move(remark));
}
void Ledger::add_note(Remark remark) {
    if (std::ranges::find(notes_, remark) == notes_.end()) notes_.push_back(std::move(remark));
}

Stats Ledger::stats() const {
    const std::lock_guard lock(mutex_);
    Stats sum = made_;
    sum.hits += hits_.total();
    return sum;
}

std::vector<std::vector<ArgType>> Ledger::specialisations() const {
    const std::lock_guard lock(mutex_);
    return specialisations_;
}

std::vector<Remark> Ledger::remarks() const {
    std::vector<Remark> list;
    const auto add = [&](const std::vector<Remark>& more) {
        for (const Remark& remark : more)
            if (std::ranges::find(list, remark) == list.end()) list.push_back(remark);
    };
    const std::lock_guard lock(mutex_);
    for (const auto& report : reports_) add(report->words().decisions.remarks());
    add(notes_);
    return list;
}

}  // namespace kiln::engine
