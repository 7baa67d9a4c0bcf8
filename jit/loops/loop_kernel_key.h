// The types of a call of a loop kernel.
#pragma once
#include "dsl/ir/ir.h"

#include <kiln/arguments.h>
#include <kiln/dtype.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace kiln::engine {

/// Those of a generalised ufunc in checked mode have an array more for each output.
inline constexpr std::size_t max_loop_kernel_args = 2 * kiln::detail::max_arguments;

/// The types of a call: for each argument its dtype, rank, layout, extents of 1 (for kernels that
/// take arrays as a whole), and whether it is a scalar; and whether arrays that are written overlap
/// others, or, if not, all arrays together are large.
class LoopKernelKey {
  public:
    LoopKernelKey() {}  // NOLINT(modernize-use-equals-default): words are set as they come into use
    LoopKernelKey(const LoopKernelKey& other) { *this = other; }
    LoopKernelKey& operator=(const LoopKernelKey& other) {
        count_ = other.count_;
        std::copy(other.words_, other.words_ + other.used(), words_);
        return *this;
    }
    void add_scalar(DType dtype) { put(place(dtype)); }
    /// `units`: a mask of the dimensions whose extent is 1, where that matters.
    void add_array(DType dtype, int rank, ir::Layout layout, std::uint8_t units) {
        put(place(dtype) | array_bit | static_cast<std::uint64_t>(rank) << 6 |
            static_cast<std::uint64_t>(layout) << layout_at |
            static_cast<std::uint64_t>(units) << units_at);
    }
    void set_overlap() { count_ |= overlap_bit; }
    void set_large() { count_ |= large_bit; }

    std::size_t size() const { return count_ & 0xff; }
    bool overlap() const { return (count_ & overlap_bit) != 0; }
    /// PassOptions::large.
    bool large() const { return (count_ & large_bit) != 0; }
    bool is_array(std::size_t i) const { return (get(i) & array_bit) != 0; }
    DType dtype(std::size_t i) const { return static_cast<DType>((get(i) & 31u) - 1); }
    int rank(std::size_t i) const { return static_cast<int>(get(i) >> 6 & 15u); }
    ir::Layout layout(std::size_t i) const {
        return static_cast<ir::Layout>(get(i) >> layout_at & 3u);
    }
    std::uint8_t units(std::size_t i) const {
        return static_cast<std::uint8_t>(get(i) >> units_at);
    }
    /// The number of the combination of values that the code is made for; 0: it is for any.
    void set_values(std::uint32_t number) {
        count_ = (count_ & 0xffffffffu) | std::uint64_t(number) << values_at;
    }
    std::uint32_t values() const { return static_cast<std::uint32_t>(count_ >> values_at); }
    void clear_units() { keep(~(std::uint64_t(0xff) << units_at)); }
    /// The part that a trace follows from: neither layouts nor extents of 1 nor values nor overlap nor
    /// size.
    LoopKernelKey types() const {
        LoopKernelKey key = *this;
        key.keep((std::uint64_t(1) << layout_at) - 1);
        key.count_ &= 0xffffffffu & ~(overlap_bit | large_bit);
        return key;
    }

    bool operator==(const LoopKernelKey& other) const {
        return count_ == other.count_ && std::equal(words_, words_ + used(), other.words_);
    }
    std::uint64_t hash() const {
        std::uint64_t h = count_;
        for (std::size_t w = 0; w < used(); ++w)
            h = (h ^ (h >> 32) ^ words_[w]) * 0xd6e8feb86659fd93u;
        return h ^ (h >> 32);
    }

  private:
    static constexpr std::size_t per_word = 2, bits = 32;
    static constexpr unsigned layout_at = 10, units_at = 12, values_at = 32;
    static constexpr std::uint64_t array_bit = 1u << 5, overlap_bit = 1u << 8, large_bit = 1u << 9;
    static_assert(max_loop_kernel_args < 256 && dtype_count < 31);
    std::size_t used() const { return (size() + per_word - 1) / per_word; }
    static std::uint64_t place(DType dtype) { return static_cast<std::uint64_t>(dtype) + 1; }
    void put(std::uint64_t value) {
        const std::size_t i = size();
        std::uint64_t& word = words_[i / per_word];
        word = i % per_word == 0 ? value : word | value << bits;
        ++count_;
    }
    /// Of each argument, the bits of `mask`.
    void keep(std::uint64_t mask) {
        mask &= (std::uint64_t(1) << bits) - 1;
        for (std::uint64_t* word = words_; word != words_ + used(); ++word)
            *word &= mask | mask << bits;
    }
    std::uint64_t get(std::size_t i) const { return words_[i / per_word] >> i % per_word * bits; }

    std::uint64_t count_ = 0;
    std::uint64_t words_[max_loop_kernel_args / per_word];  // the used() first ones
};

}  // namespace kiln::engine
