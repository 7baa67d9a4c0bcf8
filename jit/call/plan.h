// How the elements of a call are walked: broadcasting, the order of the axes, and which of them the
// compiled loop sees. Knows nothing of kernels but their entry.
#pragma once
#include "codegen/abi.h"
#include "dsl/ir/ir.h"
#include "jit/call/operand.h"

#include <array>
#include <functional>
#include <span>

namespace kiln::engine {

using abi::Fault;
using abi::MapFrame;
using abi::MapFunction;
using abi::Operand;

/// The shape of a call: the broadcast of the inputs and, upwards only, of the outputs that are
/// given. Shape errors: "cannot broadcast (3,4) with (5,)"; "non-broadcastable output operand with
/// shape (3,1) for the broadcast shape (3,4)".
Shape call_shape(std::span<const OperandView> inputs, std::span<const OperandView> outputs,
                 Location where);

/// The axes of `shape` in the memory order of the inputs, outermost first. Inputs that disagree leave two
/// axes in C order.
std::array<int, max_rank> memory_order(const Shape& shape, std::span<const OperandView> inputs);
/// Order::any as what it is for these inputs: Fortran where all are and none is only C, else C.
Order fortran_or_c(std::span<const OperandView> inputs);

/// A new array for a result of the call. Order::keep takes the axis order of the inputs where they
/// agree on one, else C; Order::any is Fortran where all inputs are Fortran and none is only C.
/// Zeroed if `zeroed`, else uninitialised.
Array allocate_result(const Shape& shape, DType dtype, Order order,
                      std::span<const OperandView> inputs, bool zeroed, Place place,
                      Location where);
/// The same for what a reduction leaves of inputs that broadcast to `shape`, by the axes that are not
/// in `bits`; on the host, uninitialised.
Array allocate_reduced(const Shape& shape, unsigned bits, bool keepdims, DType dtype, Order order,
                       std::span<const OperandView> inputs, Location where);

/// One operand of a plan. Element (outer axes i, row r, column c) is at
/// data + sum of i[k] * strides[k] + r * outer + c * inner.
struct PlannedOperand {
    std::byte* data;
    std::int64_t inner, outer;
    std::array<std::int64_t, max_rank> strides;
    ir::Layout layout;  ///< of the inner axis
};

/// A call's iteration space as slabs of rows x columns, walked by an odometer over `outer_extents`
/// (outermost first).
struct CallPlan {
    int operand_count = 0;
    int outer_rank = 0;
    std::int64_t columns = 1, rows = 1;
    std::int64_t total_rows = 1;  ///< rows times all outer extents
    std::array<std::int64_t, max_rank> outer_extents;
    std::array<PlannedOperand, max_operands> operands;
};

/// Plans a call over `shape` (no extent 0). Axes of extent 1 go; axes along which the first output
/// runs backwards are reversed; the axes are ordered by the strides of the first output, and merged
/// where all operands allow it; the inner axis is the one along which most operands are contiguous.
/// With `logical_order` the iterations stay in the C order of `shape` (axes are only merged), so
/// that row * columns + column is an element's logical index.
/// `first_output` is the position of the first output among `operands`.
void make_call_plan(CallPlan& plan, const Shape& shape, std::span<const OperandView> operands,
                    int first_output, bool logical_order);

/// A failed check of a call: what failed, and the index of the iteration in plan order.
struct CallFault {
    std::int64_t code = abi::no_fault;  ///< as Fault::code
    std::int64_t index = 0;
};

/// Part of a plan: rows and columns of [begin, end).
struct Region {
    std::int64_t row_begin, row_end;  ///< of total_rows
    std::int64_t column_begin, column_end;
};

/// Runs a region in plan order; `fault` keeps the failure with the lowest index.
void run_region(const CallPlan& plan, MapFunction entry, const Region& region, CallFault& fault);

/// Runs all of a plan, over threads where that pays. `cost` is the estimated time of one iteration
/// in nanoseconds, or 0 for a serial run. Results do not depend on how the plan is cut.
CallFault run_call_plan(const CallPlan& plan, MapFunction entry, double cost);
/// The same in one piece, of what is no function of this machine.
CallFault run_call_plan(const CallPlan& plan, const std::function<void(const MapFrame*)>& run);

/// Iterations from which run_plan uses threads, for a given cost.
std::int64_t parallel_threshold(double cost);

}  // namespace kiln::engine
