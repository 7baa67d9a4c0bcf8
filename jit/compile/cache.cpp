#include "jit/compile/cache.h"

#include "dsl/ir/text.h"
#include "jit/compile/debugging.h"
#include "runtime/process.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <list>
#include <unordered_map>

#include <fmt/format.h>

namespace kiln::engine {

/// A kernel, from when its compile begins. Users are counted here instead of in one shared_ptr:
/// so that a program which nobody has any more can come into use again.
struct CodeCache::Slot {
    std::unique_ptr<const CompiledKernel> kernel;
    std::exception_ptr error;
    bool done = false;
    std::size_t users = 0;
    const std::string* key = nullptr;  ///< the table's
    std::list<Slot*> place{this};      ///< its node, unless that is in Table::kept
    const std::list<Slot*>::iterator node = place.begin();
};

struct CodeCache::Table {
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
        while (kept.size() > limits.kernels || kept_bytes > limits.bytes) {
            Slot& last = *kept.back();
            last.place.splice(last.place.begin(), kept, last.node);
            kept_bytes -= bytes(last);
            const auto dead = slots.extract(*last.key);
            lock.unlock();
            dead.mapped()->kernel.reset();
            lock.lock();
        }
    }
};

namespace {

bool refers_to_lines(const ir::Kernel& kernel, const CompileOptions& options) {
    return options.checked || std::ranges::any_of(kernel.nodes, [](const ir::Node& n) {
               return n.kind == ir::NodeKind::check;
           });
}

/// Code knows functions of the host by their numbers, which the text of a kernel does not tell.
void add_functions(const ir::Kernel& kernel, std::string& key) {
    for (const ir::Node& n : kernel.nodes)
        if (n.kind == ir::NodeKind::call || n.kind == ir::NodeKind::call_pure)
            key += fmt::format("function {} is {}\n", n.aux, kernel.functions[n.aux].name);
    for (const ir::Kernel& outlined : kernel.outlined) add_functions(outlined, key);
}

/// Whatever the names and lines were: those of a location's place remain, and nodes that share one.
void forget_lines(ir::Kernel& kernel) {
    kernel.name.clear();
    for (ir::Param& p : kernel.params) p.name.clear();
    for (ir::Slot& s : kernel.slots) s.name.clear();
    kernel.files = {"source"};
    for (std::uint32_t i = 1; i < kernel.locations.size(); ++i) kernel.locations[i] = {0, i};
    for (ir::Kernel& outlined : kernel.outlined) forget_lines(outlined);
}

}  // namespace

std::string content_key(const ir::Kernel& kernel, const CompileOptions& options,
                        std::string_view target_id) {
    const bool has_lines = debugging() != Debugging::off || refers_to_lines(kernel, options);
    // All of its fields: with a new one, this does not compile.
    const auto& [streaming, noalias, checked, flags_of_data, most_threads, least_blocks] = options;
    std::string key(target_id);
    key += streaming ? "\nstreaming" : "\n";
    key += noalias ? " noalias" : "";
    key += flags_of_data ? " flags" : "";
    key += checked ? " checked" : "";
    if (most_threads != 0) key += fmt::format(" {} threads", most_threads);
    if (least_blocks != 0) key += fmt::format(" {} blocks", least_blocks);
    key += '\n';
    if (has_lines) {
        for (const std::string& file : kernel.files) key += file + '\n';
    }
    add_functions(kernel, key);
    return key + ir::print(kernel, {.locations = has_lines});
}

std::string portable_key(const std::string& key, const ir::Kernel& kernel,
                         const CompileOptions& options, std::string_view target_id) {
    if (debugging() != Debugging::off || !refers_to_lines(kernel, options)) return key;
    ir::Kernel nameless = kernel;
    forget_lines(nameless);
    return content_key(nameless, options, target_id);
}

std::string content_symbol(std::string_view key) {
    // FNV-1a, twice: the second one of every byte and its place.
    std::uint64_t a = 0xcbf29ce484222325u, b = 0x84222325cbf29ce4u;
    for (const char c : key) {
        a = (a ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
        b = (b + static_cast<unsigned char>(c) + (a >> 32)) * 0x9e3779b97f4a7c15u;
    }
    return fmt::format("kiln_{:016x}{:016x}", a, b ^ b >> 29);
}

CodeCache::CodeCache(Limits limits) : table_(std::make_shared<Table>(limits)) {}

std::shared_ptr<const CompiledKernel> CodeCache::use(std::shared_ptr<Table> table,
                                                     std::shared_ptr<Slot> slot) {
    const CompiledKernel* const kernel = slot->kernel.get();
    return {kernel, [table = std::move(table), slot = std::move(slot)](const CompiledKernel*) {
                table->end_use(*slot);
            }};
}

CodeCache::Found CodeCache::get(const std::string& key, const Compile& compile) {
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
        slot->kernel = compile();
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

std::size_t CodeCache::size() const {
    const std::lock_guard lock(table_->mutex);
    return table_->slots.size();
}

CodeCache& CodeCache::instance() {
    static constinit kiln::detail::Lazy<CodeCache> cache;
    return cache.get();
}

}  // namespace kiln::engine
