// A map from call keys to values that readers search without a lock.
#pragma once
#include "jit/call/key.h"
#include "runtime/process.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace kiln::engine {

/// Grows, never forgets. find() takes no lock and allocates nothing; insert() locks. Values live as
/// long as the table.
///
/// Open addressing over atomic pointers to entries that never change. An entry is published by a
/// release store into its place; a full table is replaced by a larger one, and the old one is kept,
/// since readers may still be in it: all of them together are no larger than the newest.
template <class Value, class Key = CallKey> class HotTable {
  public:
    HotTable() { grow(initial_size); }
    HotTable(const HotTable&) = delete;
    HotTable& operator=(const HotTable&) = delete;

    /// The value of `key`, or null.
    Value* find(const Key& key) const {
        const Places* places = current_.load(std::memory_order_acquire);
        for (std::size_t i = key.hash();; ++i) {
            const Entry* entry = places->at[i & places->mask].load(std::memory_order_acquire);
            if (entry == nullptr) return nullptr;
            if (entry->key == key) return entry->value.get();
        }
    }

    /// The value of `key`: the given one, or the one that another thread put there before.
    Value* insert(const Key& key, std::unique_ptr<Value> value) {
        const std::lock_guard lock(mutex_);
        if (Value* existing = find(key)) return existing;
        if (2 * (entries_.size() + 1) > tables_.back()->mask + 1)
            grow(2 * (tables_.back()->mask + 1));
        entries_.push_back(std::make_unique<Entry>(Entry{key, std::move(value)}));
        put(*tables_.back(), entries_.back().get());
        return entries_.back()->value.get();
    }

  private:
    static constexpr std::size_t initial_size = 16;
    struct Entry {
        Key key;
        std::unique_ptr<Value> value;
    };
    struct Places {
        std::size_t mask;
        std::unique_ptr<std::atomic<const Entry*>[]> at;
    };

    static void put(Places& places, const Entry* entry) {
        std::size_t i = entry->key.hash();
        while (places.at[i & places.mask].load(std::memory_order_relaxed) != nullptr) ++i;
        places.at[i & places.mask].store(entry, std::memory_order_release);
    }
    void grow(std::size_t size) {
        tables_.push_back(std::make_unique<Places>(
            Places{size - 1, std::make_unique<std::atomic<const Entry*>[]>(size)}));
        for (const auto& entry : entries_) put(*tables_.back(), entry.get());
        current_.store(tables_.back().get(), std::memory_order_release);
    }

    std::atomic<const Places*> current_{nullptr};
    kiln::detail::Mutex mutex_;
    std::vector<std::unique_ptr<Entry>> entries_;
    std::vector<std::unique_ptr<Places>> tables_;
};

}  // namespace kiln::engine
