// Random numbers that are the same on every machine, which std's distributions do not promise.
#pragma once
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <random>

namespace kiln::test {

class Dice {
  public:
    explicit Dice(std::uint64_t seed) : engine_(seed) {}
    std::uint64_t bits() { return engine_(); }
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(engine_() % n); }
    int between(int low, int high) {
        return low + static_cast<int>(below(static_cast<std::size_t>(high - low + 1)));
    }
    /// In [0, 1).
    double unit() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
    bool chance(unsigned percent) { return engine_() % 100 < percent; }
    template <class C> const auto& pick(const C& items) { return items[below(std::size(items))]; }

  private:
    std::mt19937_64 engine_;
};

}  // namespace kiln::test
