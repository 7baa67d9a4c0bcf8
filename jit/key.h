// The key of a call: everything that machine code is specialised by, and nothing else.
#pragma once
#include "jit/plan.h"

#include <array>
#include <bit>
#include <cstdint>
#include <optional>

namespace kiln::jit {

/// 24 bytes, compared and hashed as three words. Sizes and scalar values are never in it. Each
/// place of an operand holds dtype + 1 (0: no operand), whether it is weak, and its Layout.
class CallKey {
  public:
    CallKey(std::size_t inputs, Casting casting, std::optional<DType> dtype) {
        inputs_ = static_cast<std::uint8_t>(inputs);
        casting_ = static_cast<std::uint8_t>(casting);
        dtype_ = dtype ? place(*dtype) : std::uint8_t(0);
    }

    void set_input(std::size_t i, DType dtype, bool weak, ir::Layout layout) {
        input_places_[i] = static_cast<std::uint8_t>(place(dtype) | (weak ? weak_bit : 0) |
                                                     static_cast<unsigned>(layout) << layout_shift);
    }
    void set_where(ir::Layout layout) {
        where_ = static_cast<std::uint8_t>(1u + static_cast<unsigned>(layout));
    }
    /// The memory dtype of an output; `is_given` where the caller chose it. A key without outputs
    /// is that of contiguous ones which the call makes itself.
    void set_output(std::size_t i, DType dtype, ir::Layout layout, bool is_given) {
        if (is_given) flags_ |= given;
        if (!is_given && layout == ir::Layout::unit) return;
        output_places_[i] =
            static_cast<std::uint8_t>(place(dtype) | static_cast<unsigned>(layout) << layout_shift);
    }
    void set_streaming() { flags_ |= streaming; }

    std::size_t inputs() const { return inputs_; }
    bool has_where() const { return where_ != 0; }
    bool outputs_given() const { return (flags_ & given) != 0; }
    bool is_streaming() const { return (flags_ & streaming) != 0; }
    Casting casting() const { return static_cast<Casting>(casting_); }
    std::optional<DType> dtype() const {
        return dtype_ == 0 ? std::nullopt : std::optional(dtype_of_place(dtype_));
    }
    DType input_dtype(std::size_t i) const { return dtype_of_place(input_places_[i]); }
    bool input_weak(std::size_t i) const { return (input_places_[i] & weak_bit) != 0; }
    ir::Layout input_layout(std::size_t i) const { return layout_of_place(input_places_[i]); }
    ir::Layout where_layout() const { return static_cast<ir::Layout>(where_ - 1); }
    /// How many outputs were given.
    std::size_t outputs() const {
        std::size_t n = 0;
        while (n < output_places_.size() && output_places_[n] != 0) ++n;
        return n;
    }
    DType output_dtype(std::size_t i) const { return dtype_of_place(output_places_[i]); }
    ir::Layout output_layout(std::size_t i) const {
        return output_places_[i] == 0 ? ir::Layout::unit : layout_of_place(output_places_[i]);
    }

    /// The part that types follow from: all layouts strided, no streaming, outputs only where
    /// given.
    CallKey types() const {
        CallKey key = *this;
        for (std::uint8_t& p : key.input_places_) p &= type_bits;
        for (std::uint8_t& p : key.output_places_) {
            p = outputs_given() ? static_cast<std::uint8_t>(p & type_bits) : std::uint8_t(0);
        }
        if (has_where()) key.set_where(ir::Layout::strided);
        key.flags_ &= given;
        return key;
    }

    bool operator==(const CallKey& other) const { return words() == other.words(); }
    std::uint64_t hash() const {
        const auto w = words();
        std::uint64_t h = w[0] * 0x9e3779b97f4a7c15u;
        h = (h ^ (h >> 32) ^ w[1]) * 0xd6e8feb86659fd93u;
        h = (h ^ (h >> 32) ^ w[2]) * 0xd6e8feb86659fd93u;
        return h ^ (h >> 32);
    }

  private:
    static constexpr std::uint8_t given = 1, streaming = 2;  // flags
    static constexpr unsigned weak_bit = 1u << 5, layout_shift = 6, type_bits = (1u << 6) - 1;
    static_assert(dtype_count < 31 && static_cast<int>(ir::Layout::strided) == 0);

    static std::uint8_t place(DType dtype) {
        return static_cast<std::uint8_t>(static_cast<unsigned>(dtype) + 1);
    }
    static DType dtype_of_place(std::uint8_t p) { return static_cast<DType>((p & 31u) - 1); }
    static ir::Layout layout_of_place(std::uint8_t p) {
        return static_cast<ir::Layout>(p >> layout_shift);
    }
    std::array<std::uint64_t, 3> words() const {
        return std::bit_cast<std::array<std::uint64_t, 3>>(*this);
    }

    std::array<std::uint8_t, 8> input_places_{};
    std::array<std::uint8_t, 4> output_places_{};
    std::uint8_t inputs_ = 0, flags_ = 0, where_ = 0, casting_ = 0, dtype_ = 0;
    [[maybe_unused]] std::array<std::uint8_t, 7> unused_{};

    static_assert(max_inputs == 8 && max_outputs == 4);
};
static_assert(sizeof(CallKey) == 24);

}  // namespace kiln::jit
