// The shapes of a call of a generalised ufunc: which axes of its operands are core dimensions, how
// large these are, and what the loop goes over. Knows nothing of kernels.
#pragma once
#include "jit/call/operand.h"

#include <kiln/core_signature.h>
#include <kiln/reduce_options.h>

#include <array>
#include <optional>
#include <source_location>
#include <span>
#include <string>

namespace kiln::engine {

using kiln::detail::CoreSignature;

/// Which axes a call names.
struct CoreAxes {
    std::span<const Axes> axes = {};
    std::optional<int> axis = {};
    bool keepdims = false;
};

/// An operand as a stack of cores. A core has all dimensions of the signature; one that the operand
/// misses, or keeps as an extent of 1, is none of the operand's axes.
struct CoreOperand {
    int loop_rank = 0, core_rank = 0;
    std::array<std::int64_t, max_rank> loop_extents, loop_strides, core_extents, core_strides;
};

/// The shapes of one call.
class CoreCall {
  public:
    /// `operands`: inputs, then outputs, null where one is not given. `written`: inputs that are
    /// never broadcast. Errors: usage, shape, bounds.
    CoreCall(const std::string& name, const CoreSignature& signature, const CoreAxes& axes,
             std::span<const OperandView* const> operands, unsigned written,
             const std::source_location& where);

    const Shape& loop_shape() const { return loop_; }
    std::int64_t size(std::size_t dim) const { return sizes_[dim]; }
    bool is_missing(std::size_t dim) const { return (missing_ >> dim & 1U) != 0; }
    /// The shape of an output, given or not.
    Shape result_shape(std::size_t output) const;
    /// A new array for an output. Order::keep: its loop dimensions are in the memory order of the
    /// inputs', around cores in C order.
    Array make_result(std::size_t output, DType dtype, Order order,
                      std::span<const OperandView> inputs, Location where) const;
    /// The axis of an operand of this rank that goes with dimension `loop` of the loop; -1: none.
    int axis_of_loop(std::size_t operand, int loop, int rank) const;
    /// An array of an operand's shape, cut into cores.
    CoreOperand cores_of(std::size_t operand, const OperandView& view) const;

  private:
    static constexpr std::int64_t unknown = -1;
    std::string operand_name(std::size_t operand) const;
    void count_axes(std::span<const OperandView* const> operands, bool keepdims);
    void place_axes(const CoreAxes& axes);
    void check_axis() const;
    void find_sizes(std::span<const OperandView* const> operands);
    void set_size(std::size_t dim, std::size_t operand, std::int64_t size);
    void compute_size(std::size_t dim, std::size_t operand);
    void find_loop(std::span<const OperandView* const> operands, unsigned written);
    int axis_of(std::size_t operand, int core_axis, int rank) const;
    unsigned core_bits(std::size_t operand, int rank) const;

    const std::string& name_;
    const CoreSignature& signature_;
    std::source_location where_;  // a Location measures the file's name
    Shape loop_;
    unsigned missing_ = 0;
    bool keepdims_ = false;
    std::array<std::int64_t, CoreSignature::max_dims> sizes_;
    std::array<std::uint8_t, CoreSignature::max_dims> sized_by_;  // operand
    std::array<int, CoreSignature::max_operands> axes_count_{};   // of an operand's core
    std::array<std::array<std::int64_t, max_rank>, CoreSignature::max_operands> places_;
};

/// The loop of a call, its axes dropped, ordered and merged as far as that changes no result. Axis 0
/// is the outermost one.
struct LoopPlan {
    int rank = 0;
    std::array<std::int64_t, max_rank> extents;
    /// Of each operand, 0 where it is broadcast.
    std::array<std::array<std::int64_t, max_rank>, 2 * CoreSignature::max_operands> strides;
};
/// `first_output`: by whose strides axes are ordered. `as_written`: they stay as they are.
LoopPlan plan_loop(const Shape& loop, std::span<const CoreOperand> operands,
                   std::size_t first_output, bool as_written);

}  // namespace kiln::engine
