// The key of a call: everything that machine code is specialised by, and nothing else.
#pragma once
#include "jit/call/plan.h"

#include <cstdint>
#include <optional>

namespace kiln::engine {

/// A few words, so that a call makes, hashes and compares it in registers (bytes in memory read
/// back as words would stall on store forwarding). Sizes and scalar values are never in it.
///   words 0 to 3: a byte an input, from the first one on, and a byte an output, from the last one back;
///   word 4: where, casting, dtype, flags;  word 5: the number of inputs
/// The byte of an operand holds dtype + 1 (0: no operand), whether it is weak, and its Layout.
class CallKey {
  public:
    CallKey(std::size_t inputs, Casting casting, std::optional<DType> dtype)
        : rest_(static_cast<std::uint64_t>(casting) << casting_at | (dtype ? place(*dtype) : 0)
                                                                        << dtype_at),
          count_(inputs) {}

    void set_input(std::size_t i, DType dtype, bool weak, ir::Layout layout) {
        put(operands_[i / 8], i % 8, place(dtype) | (weak ? weak_bit : 0) | layout_bits(layout));
    }
    void set_where(ir::Layout layout) {
        put(rest_, where_byte, 1 + static_cast<std::uint64_t>(layout));
    }
    /// The memory dtype of an output; `is_given` where the caller chose it. A key without outputs
    /// is that of contiguous ones which the call makes itself.
    void set_output(std::size_t i, DType dtype, ir::Layout layout, bool is_given) {
        if (is_given) rest_ |= given;
        if (!is_given && layout == ir::Layout::unit) return;
        put(operands_[3 - i / 8], 7 - i % 8, place(dtype) | layout_bits(layout));
    }
    void set_streaming() { rest_ |= streaming; }

    std::size_t inputs() const { return count_; }
    bool has_where() const { return byte(rest_, where_byte) != 0; }
    bool outputs_given() const { return (rest_ & given) != 0; }
    bool is_streaming() const { return (rest_ & streaming) != 0; }
    Casting casting() const { return static_cast<Casting>(rest_ >> casting_at & 0xff); }
    std::optional<DType> dtype() const {
        const std::uint64_t p = rest_ >> dtype_at & 0xff;
        return p == 0 ? std::nullopt : std::optional(dtype_of_place(p));
    }
    DType input_dtype(std::size_t i) const { return dtype_of_place(input(i)); }
    bool input_weak(std::size_t i) const { return (input(i) & weak_bit) != 0; }
    ir::Layout input_layout(std::size_t i) const { return layout_of_place(input(i)); }
    ir::Layout where_layout() const { return static_cast<ir::Layout>(byte(rest_, where_byte) - 1); }
    /// How many outputs were given.
    std::size_t outputs() const {
        std::size_t n = 0;
        while (n + count_ < max_arguments && output(n) != 0) ++n;
        return n;
    }
    DType output_dtype(std::size_t i) const { return dtype_of_place(output(i)); }
    ir::Layout output_layout(std::size_t i) const {
        return output(i) == 0 ? ir::Layout::unit : layout_of_place(output(i));
    }

    /// The part that types follow from: all layouts strided, no streaming, outputs only where
    /// given.
    CallKey types() const {
        CallKey key = *this;
        key.rest_ &= ~streaming;
        std::size_t left = count_;  // inputs in this word and those behind it
        for (std::uint64_t& word : key.operands_) {
            const std::uint64_t of_inputs =
                left >= 8 ? ~std::uint64_t(0) : (std::uint64_t(1) << 8 * left) - 1;
            word &= 0x0101010101010101u * type_bits;
            if (!outputs_given()) word &= of_inputs;
            left -= left >= 8 ? 8 : left;
        }
        if (has_where()) key.set_where(ir::Layout::strided);
        return key;
    }

    bool operator==(const CallKey&) const = default;
    std::uint64_t hash() const {
        std::uint64_t h = operands_[0] * 0x9e3779b97f4a7c15u + operands_[1] * 0xc2b2ae3d27d4eb4fu +
                          operands_[2] * 0x165667b19e3779f9u + operands_[3] * 0xd6e8feb86659fd93u;
        h = (h ^ (h >> 32) ^ rest_) * 0xd6e8feb86659fd93u;
        h = (h ^ (h >> 32) ^ count_) * 0xd6e8feb86659fd93u;
        return h ^ (h >> 32);
    }

  private:
    static constexpr std::uint64_t weak_bit = 1u << 5, type_bits = (1u << 6) - 1;
    static constexpr unsigned layout_shift = 6, casting_at = 40, dtype_at = 48, flags_at = 56;
    static constexpr std::uint64_t given = std::uint64_t(1) << flags_at,
                                   streaming = std::uint64_t(2) << flags_at;
    static constexpr std::size_t where_byte = 0;
    static_assert(dtype_count < 31 && static_cast<int>(ir::Layout::strided) == 0);
    static_assert(max_arguments == 32);

    static std::uint64_t place(DType dtype) { return static_cast<std::uint64_t>(dtype) + 1; }
    static DType dtype_of_place(std::uint64_t p) { return static_cast<DType>((p & 31u) - 1); }
    static std::uint64_t layout_bits(ir::Layout layout) {
        return static_cast<std::uint64_t>(layout) << layout_shift;
    }
    static ir::Layout layout_of_place(std::uint64_t p) {
        return static_cast<ir::Layout>(p >> layout_shift);
    }
    static std::uint64_t byte(std::uint64_t word, std::size_t i) { return word >> 8 * i & 0xff; }
    static void put(std::uint64_t& word, std::size_t i, std::uint64_t value) {
        word = (word & ~(std::uint64_t(0xff) << 8 * i)) | value << 8 * i;
    }

    std::uint64_t input(std::size_t i) const { return byte(operands_[i / 8], i % 8); }
    std::uint64_t output(std::size_t i) const { return byte(operands_[3 - i / 8], 7 - i % 8); }

    std::uint64_t operands_[4] = {}, rest_ = 0, count_ = 0;
};
static_assert(sizeof(CallKey) == 48);

}  // namespace kiln::engine
