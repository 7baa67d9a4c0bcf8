#include "jit/compile/cache.h"

#include "dsl/ir/text.h"
#include "runtime/process.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <list>
#include <unordered_map>

namespace kiln::engine {

/// A program, from when its compile begins. Users are counted here instead of in one shared_ptr:
/// so that a program which nobody has any more can come into use again.
struct ProgramCache::Slot {
    std::unique_ptr<const CompiledKernel> program;
    std::exception_ptr error;
    bool done = false;
    std::size_t users = 0;
    const std::string* key = nullptr;  ///< the table's
    std::list<Slot*> place{this};      ///< its node, unless that is in Table::kept
    const std::list<Slot*>::iterator node = place.begin();
};

struct ProgramCache::Table {
    explicit Table(Limits l) : limits(l) {}
    const Limits limits;
    kiln::detail::Mutex mutex;  // of what follows, and of the slots
    std::condition_variable_any finished;
    std::unordered_map<std::string, std::shared_ptr<Slot>> slots;
    std::list<Slot*> kept;  ///< without users, the last one first
    std::size_t kept_bytes = 0;

    /// An estimate: kernel, object and code take some ten times what the kernel takes as text.
    static std::size_t bytes(const Slot& slot) { return 10 * slot.key->size(); }
    void keep(Slot& slot) noexcept {
        kept.splice(kept.begin(), slot.place);
        kept_bytes += bytes(slot);
    }
    void begin_use(Slot& slot) noexcept {
        if (slot.users++ > 0 || !slot.place.empty()) return;
        slot.place.splice(slot.place.begin(), kept, slot.node);
        kept_bytes -= bytes(slot);
    }
    /// Also destroys what is too much to keep; outside of the lock, since that takes others.
    void end_use(Slot& slot) noexcept {
        const kiln::detail::Busy busy;
        std::unique_lock lock(mutex);
        if (--slot.users > 0) return;
        keep(slot);
        while (kept.size() > limits.programs || kept_bytes > limits.bytes) {
            Slot& last = *kept.back();
            last.place.splice(last.place.begin(), kept, last.node);
            kept_bytes -= bytes(last);
            const auto dead = slots.extract(*last.key);
            lock.unlock();
            dead.mapped()->program.reset();
            lock.lock();
        }
    }
};

std::string content_key(const ir::Kernel& kernel, const CompileOptions& options,
                        std::string_view target_id) {
    const bool has_checks =
        options.checked || std::ranges::any_of(kernel.nodes, [](const ir::Node& n) {
            return n.kind == ir::NodeKind::check;
        });
    std::string key(target_id);
    key += options.streaming ? "\nstreaming" : "\n";
    key += options.noalias ? " noalias" : "";
    key += options.flags_of_data ? " flags" : "";
    key += options.checked ? " checked\n" : "\n";
    if (options.scan) key += "scan " + std::string(ir::info(*options.scan).name) + '\n';
    if (has_checks) {
        for (const std::string& file : kernel.files) key += file + '\n';
    }
    return key + ir::print(kernel, {.locations = has_checks});
}

ProgramCache::ProgramCache(Limits limits) : table_(std::make_shared<Table>(limits)) {}

std::shared_ptr<const CompiledKernel> ProgramCache::use(std::shared_ptr<Table> table,
                                                        std::shared_ptr<Slot> slot) {
    const CompiledKernel* const program = slot->program.get();
    return {program, [table = std::move(table), slot = std::move(slot)](const CompiledKernel*) {
                table->end_use(*slot);
            }};
}

ProgramCache::Found ProgramCache::get(const std::string& key, const Compile& compile) {
    const kiln::detail::Busy busy;  // who waits for a compile, and who makes it
    auto slot = std::make_shared<Slot>();
    std::unique_lock lock(table_->mutex);
    const auto [at, mine] = table_->slots.try_emplace(key, slot);
    if (!mine) {
        slot = at->second;
        table_->begin_use(*slot);  // or it could be gone again after the wait
        table_->finished.wait(lock, [&] { return slot->done; });
        lock.unlock();
        if (slot->error != nullptr) std::rethrow_exception(slot->error);
        return {use(table_, std::move(slot)), false};
    }
    slot->key = &at->first;
    table_->begin_use(*slot);
    lock.unlock();
    try {
        slot->program = compile();
    } catch (...) {
        slot->error = std::current_exception();
    }
    lock.lock();
    slot->done = true;
    if (slot->error != nullptr) table_->slots.erase(key);
    lock.unlock();
    table_->finished.notify_all();
    if (slot->error != nullptr) std::rethrow_exception(slot->error);
    return {use(table_, std::move(slot)), true};
}

std::size_t ProgramCache::size() const {
    const std::lock_guard lock(table_->mutex);
    return table_->slots.size();
}

ProgramCache& ProgramCache::instance() {
    static constinit kiln::detail::Lazy<ProgramCache> cache;
    return cache.get();
}

}  // namespace kiln::engine
