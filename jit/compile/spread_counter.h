// Counting what many threads do often.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

namespace kiln::detail {

/// A count that many threads increment. The first threads of the process have places of their own,
/// which they add to without a locked instruction; the others share one.
class SpreadCounter {
  public:
    void increment() {
        const std::size_t place = place_of_thread();
        std::atomic<std::uint64_t>& count = places_[place].count;
        if (place != shared) {
            count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        } else {
            count.fetch_add(1, std::memory_order_relaxed);
        }
    }
    std::uint64_t total() const {
        std::uint64_t sum = 0;
        for (const Place& place : places_) sum += place.count.load(std::memory_order_relaxed);
        return sum;
    }

  private:
    static constexpr std::size_t shared = 7;
    static std::size_t place_of_thread() {
        static constinit std::atomic<std::size_t> threads{0};
        thread_local const std::size_t mine =
            std::min(threads.fetch_add(1, std::memory_order_relaxed), shared);
        return mine;
    }
    struct alignas(64) Place {
        std::atomic<std::uint64_t> count{0};
    };
    std::array<Place, shared + 1> places_{};
};

}  // namespace kiln::detail
