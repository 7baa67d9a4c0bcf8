#include "jit/compile/misses.h"

#include "jit/compile/key_parts.h"
#include "runtime/text.h"

#include <algorithm>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace kiln::engine {
namespace {

/// A key, and its kernel's lines as numbers in order, so that what two have in common is quickly counted.
struct Known {
    explicit Known(std::string_view key) : parts(key_parts(key)) {
        for (const std::string_view line : parts.lines)
            numbers.push_back(std::hash<std::string_view>()(line));
        std::ranges::sort(numbers);
    }
    /// Of their lines, which part both have.
    double likeness(const Known& other) const {
        std::vector<std::size_t> both;
        std::ranges::set_intersection(numbers, other.numbers, std::back_inserter(both));
        const std::size_t all = std::max(numbers.size(), other.numbers.size());
        return all == 0 ? 1 : static_cast<double>(both.size()) / static_cast<double>(all);
    }
    KeyParts parts;
    std::vector<std::size_t> numbers;
};

/// Below that two kernels have no more to do with each other than any two.
constexpr double least_likeness = 0.6;

std::string line_difference(const KeyParts& there, const KeyParts& here) {
    const auto [a, b] = std::ranges::mismatch(there.lines, here.lines);
    if (a == there.lines.end() && b == here.lines.end()) return {};
    return fmt::format("its kernel has '{}', not '{}'",
                       a == there.lines.end() ? "" : detail::trimmed(*a),
                       b == here.lines.end() ? "" : detail::trimmed(*b));
}

std::string differences(const KeyParts& there, const KeyParts& here) {
    std::string text = field_differences(there, here);
    const std::string line = line_difference(there, here);
    return text + (text.empty() || line.empty() ? "" : "; ") + line;
}

}  // namespace

void Misses::note(Miss miss) {
    const std::lock_guard lock(mutex_);
    bytes_ += miss.key.size();
    misses_.push_back(std::move(miss));
    while (misses_.size() > most || bytes_ > most_bytes) {
        bytes_ -= misses_.front().key.size();
        misses_.pop_front();
    }
}

std::vector<DiskCacheMiss> Misses::explain(const std::vector<DiskCache::Entry>& entries) const {
    std::deque<Miss> misses;
    {
        const std::lock_guard lock(mutex_);
        misses = misses_;
    }
    std::vector<std::pair<const DiskCache::Entry*, Known>> known;
    for (const DiskCache::Entry& e : entries)
        if (e.is_whole && e.kind == DiskCache::Kind::code && e.key.starts_with("x86-64/"))
            known.emplace_back(&e, Known(e.key));
    std::vector<DiskCacheMiss> all;
    for (const Miss& miss : misses) {
        DiskCacheMiss& told =
            all.emplace_back(DiskCacheMiss{miss.kernel, miss.file, miss.line, miss.why, {}});
        if (!miss.why.empty()) continue;
        const Known mine(miss.key);
        // The kernel first, then the fewest words about the rest.
        std::pair best{-least_likeness, std::size_t(0)};
        for (const auto& [entry, other] : known) {
            if (entry->key == miss.key) continue;  // stored since
            const std::pair order{-mine.likeness(other),
                                  field_differences(other.parts, mine.parts).size()};
            if (order > best || (order == best && !told.nearest.empty())) continue;
            best = order;
            told.nearest = entry->path;
            told.reason = differences(other.parts, mine.parts);
        }
        if (told.nearest.empty()) told.reason = "no entry is of such a kernel";
    }
    return all;
}

Misses& Misses::instance() {
    static constinit kiln::detail::Lazy<Misses> misses;
    return misses.get();
}

}  // namespace kiln::engine

namespace kiln {

std::vector<DiskCacheMiss> explain_disk_cache() {
    return engine::Misses::instance().explain(engine::DiskCache::instance().entries());
}

}  // namespace kiln
