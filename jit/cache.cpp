#include "jit/cache.h"

#include "dsl/ir/text.h"

#include <algorithm>
#include <condition_variable>
#include <exception>

namespace kiln::engine {

struct ProgramCache::Slot {
    std::mutex mutex;
    std::condition_variable finished;
    std::shared_ptr<const CompiledKernel> program;
    std::exception_ptr error;
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
    key += options.checked ? " checked\n" : "\n";
    if (options.scan) key += "scan " + std::string(ir::info(*options.scan).name) + '\n';
    if (has_checks) {
        for (const std::string& file : kernel.files) key += file + '\n';
    }
    return key + ir::print(kernel, {.locations = has_checks});
}

ProgramCache::Found ProgramCache::get(const std::string& key, const Compile& compile) {
    std::shared_ptr<Slot> slot;
    bool mine = false;
    {
        const std::lock_guard lock(mutex_);
        std::shared_ptr<Slot>& place = slots_[key];
        if (place == nullptr) {
            place = std::make_shared<Slot>();
            mine = true;
        }
        slot = place;
    }
    if (!mine) {
        std::unique_lock lock(slot->mutex);
        slot->finished.wait(lock,
                            [&] { return slot->program != nullptr || slot->error != nullptr; });
        if (slot->error != nullptr) std::rethrow_exception(slot->error);
        return {slot->program, false};
    }
    std::shared_ptr<const CompiledKernel> program;
    std::exception_ptr error;
    try {
        program = compile();
    } catch (...) {
        error = std::current_exception();
        const std::lock_guard lock(mutex_);
        slots_.erase(key);
    }
    {
        const std::lock_guard lock(slot->mutex);
        slot->program = program;
        slot->error = error;
    }
    slot->finished.notify_all();
    if (error != nullptr) std::rethrow_exception(error);
    return {std::move(program), true};
}

std::size_t ProgramCache::size() const {
    const std::lock_guard lock(mutex_);
    return slots_.size();
}

ProgramCache& ProgramCache::instance() {
    // Never destroyed: kernels may run while static objects are being destroyed.
    static auto& cache = *new ProgramCache();
    return cache;
}

}  // namespace kiln::engine
