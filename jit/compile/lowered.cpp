#include "jit/compile/lowered.h"

#include <cstring>
#include <mutex>
#include <utility>

namespace kiln::engine {
namespace {

/// Of the operations and their operands: kernels that differ in anything else are told apart by ==.
std::size_t hash_of(const ir::Kernel& kernel) {
    static_assert(sizeof(ir::Node) % sizeof(std::uint64_t) == 0);
    std::uint64_t h = kernel.nodes.size();
    const auto add = [&](std::uint64_t word) { h = (h ^ h >> 32 ^ word) * 0xd6e8feb86659fd93u; };
    for (const ir::Node& n : kernel.nodes) {
        std::uint64_t words[sizeof n / sizeof(std::uint64_t)];
        std::memcpy(words, &n, sizeof n);
        for (const std::uint64_t word : words) add(word);
    }
    for (const ir::Id operand : kernel.operands) add(operand);
    for (const ir::Param& p : kernel.params)
        add(static_cast<std::uint64_t>(p.dtype) << 16 | static_cast<std::uint64_t>(p.rank) << 8 |
            static_cast<std::uint64_t>(p.layout));
    return h ^ h >> 32;
}

}  // namespace

const PassWords& PassReport::words() const {
    const std::lock_guard lock(mutex_);
    if (find_ != nullptr) words_ = std::exchange(find_, nullptr)();
    return words_;
}

bool PassReport::is_silent() const {
    const std::lock_guard lock(mutex_);
    return find_ == nullptr && words_.decisions.all().empty();
}

/// Kernels take some two times what they take as text, before the passes and after.
std::size_t LoweredCache::Entry::bytes() const { return 5 * lowered->key.size(); }

std::shared_ptr<const Lowered> LoweredCache::find(std::size_t hash, const LoweringInput& input) {
    const auto [first, last] = by_hash_.equal_range(hash);
    for (auto at = first; at != last; ++at) {
        if (at->second->input != input) continue;
        entries_.splice(entries_.begin(), entries_, at->second);
        return at->second->lowered;
    }
    return nullptr;
}

std::shared_ptr<const Lowered> LoweredCache::get(LoweringInput input, const Lower& lower) {
    const std::size_t hash = hash_of(input.kernel);
    {
        const std::lock_guard lock(mutex_);
        if (auto found = find(hash, input)) return found;
    }
    auto made = lower(input);
    Entries dead;  // destroyed without the lock
    const std::lock_guard lock(mutex_);
    if (auto found = find(hash, input)) return found;
    entries_.push_front({hash, std::move(input), made});
    by_hash_.emplace(hash, entries_.begin());
    bytes_ += entries_.front().bytes();
    while (entries_.size() > limits_.kernels || bytes_ > limits_.bytes) {
        const auto last = std::prev(entries_.end());
        bytes_ -= last->bytes();
        const auto [from, to] = by_hash_.equal_range(last->hash);
        for (auto at = from; at != to; ++at) {
            if (at->second != last) continue;
            by_hash_.erase(at);
            break;
        }
        dead.splice(dead.begin(), entries_, last);
    }
    return made;
}

std::size_t LoweredCache::size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
}

LoweredCache& LoweredCache::instance() {
    static constinit kiln::detail::Lazy<LoweredCache> cache;
    return cache.get();
}

}  // namespace kiln::engine
