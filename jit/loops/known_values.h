// The values that a kernel's code is made for: .specialise.
#pragma once
#include "codegen/passes/pass.h"
#include "jit/call/operand.h"
#include "jit/compile/hot_table.h"
#include "jit/loops/loop_kernel_key.h"

#include <kiln/jit.h>

#include <array>
#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace kiln::engine {

/// Of a call: of each scalar that .specialise names its bits, of each array its extents, in order.
class ValueWords {
  public:
    static constexpr std::size_t most = 32;
    /// Whether there was room.
    bool add(std::uint64_t word) {
        if (count_ == most) return false;
        words_[count_++] = word;
        return true;
    }
    std::uint64_t operator[](std::size_t i) const { return words_[i]; }
    bool operator==(const ValueWords& other) const {
        bool equal = count_ == other.count_;
        for (std::size_t i = 0; i < count_ && equal; ++i) equal = words_[i] == other.words_[i];
        return equal;
    }
    std::uint64_t hash() const {
        std::uint64_t h = count_;
        for (std::size_t i = 0; i < count_; ++i)
            h = (h ^ h >> 32 ^ words_[i]) * 0xd6e8feb86659fd93u;
        return h ^ h >> 32;
    }

  private:
    std::array<std::uint64_t, most> words_{};
    std::size_t count_ = 0;
};

/// Thread-safe; combinations that have a number are found without a lock.
class KnownValues {
  public:
    /// Errors: usage (a name that no parameter has).
    KnownValues(const std::string& kernel, const JitOptions& options, std::size_t params,
                Location where);

    bool any() const { return !params_.empty(); }
    /// The number of the call's combination of values, from 1 on; 0 where as many have one as may.
    /// Errors: type (a complex number), usage (more than ValueWords::most values).
    std::uint32_t number_of(std::span<const OperandView> views, const std::source_location& where);
    /// What the values of that number are for the types of a key; nothing for number 0.
    std::vector<codegen::KnownNumber> numbers(const LoopKernelKey& key) const;
    /// Once: that a combination got no number.
    std::optional<std::string> take_remark();

  private:
    const std::string kernel_;
    std::vector<std::uint32_t> params_;  ///< in their order
    std::string names_;
    const std::size_t most_;
    HotTable<std::uint32_t, ValueWords> numbers_;
    std::atomic<std::size_t> count_{0};
    std::atomic<bool> is_told_{false};
    mutable kiln::detail::Mutex mutex_;
    std::vector<ValueWords> words_;  ///< by number - 1
};

}  // namespace kiln::engine
