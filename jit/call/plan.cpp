#include "jit/call/plan.h"
#include "jit/call/axes.h"
#include "jit/call/threads.h"
#include "runtime/device/arrays.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace kiln::engine {

namespace {

/// Extends `shape` by the extents of `operand`; false where they disagree.
bool broadcast_into(Shape& shape, const OperandView& operand) {
    while (shape.rank() < operand.rank) shape.insert(0, 1);
    const int offset = shape.rank() - operand.rank;
    for (int d = 0; d < operand.rank; ++d) {
        std::int64_t& extent = shape[offset + d];
        if (extent == operand.extents[d] || operand.extents[d] == 1) continue;
        if (extent != 1) return false;
        extent = operand.extents[d];
    }
    return true;
}

}  // namespace

Shape call_shape(std::span<const OperandView> inputs, std::span<const OperandView> outputs,
                 Location where) {
    Shape shape;
    const auto add = [&](const OperandView& operand) {
        const Shape before = shape;
        if (broadcast_into(shape, operand)) return;
        // Two inputs that disagree with each other say more than the broadcast of all so far.
        for (const OperandView& earlier : inputs) {
            if (&earlier == &operand) break;
            Shape pair = earlier.shape();
            if (!broadcast_into(pair, operand)) {
                detail::throw_cannot_broadcast(earlier.shape(), operand.shape(), where);
            }
        }
        detail::throw_cannot_broadcast(before, operand.shape(), where);
    };
    for (const OperandView& input : inputs) add(input);
    for (const OperandView& output : outputs) {
        const Shape before = shape;
        if (broadcast_into(shape, output)) continue;
        throw Error(ErrorKind::shape,
                    "non-broadcastable output operand with shape " + to_string(output.shape()) +
                        " for the broadcast shape " + to_string(before),
                    where,
                    "an output has the broadcast shape of the inputs, or one they broadcast to");
    }
    for (const OperandView& output : outputs) {
        if (output.shape() == shape) continue;
        throw Error(ErrorKind::shape,
                    "non-broadcastable output operand with shape " + to_string(output.shape()) +
                        " for the broadcast shape " + to_string(shape),
                    where,
                    "an output has the broadcast shape of the inputs, or one they broadcast to");
    }
    return shape;
}

std::array<int, max_rank> memory_order(const Shape& shape, std::span<const OperandView> inputs) {
    const int rank = shape.rank();
    std::array<int, max_rank> order{};  // innermost first while sorting
    for (int k = 0; k < rank; ++k) order[static_cast<std::size_t>(k)] = rank - 1 - k;
    // Insertion sort, since "runs faster than" is no strict order: axes along which an input is
    // broadcast compare with nothing.
    for (std::size_t i = 1; i < static_cast<std::size_t>(rank); ++i) {
        const int axis = order[i];
        std::size_t place = i;
        for (std::size_t j = i; j-- > 0;) {
            bool known = false, before = false;
            for (const OperandView& input : inputs) {
                const std::int64_t mine = std::abs(broadcast_stride(input, shape, axis));
                const std::int64_t its = std::abs(broadcast_stride(input, shape, order[j]));
                if (mine == 0 || its == 0) continue;
                before = mine < its && (!known || before);
                known = true;
            }
            if (known && !before) break;
            if (known) place = j;
        }
        std::rotate(order.begin() + static_cast<std::ptrdiff_t>(place),
                    order.begin() + static_cast<std::ptrdiff_t>(i),
                    order.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    }
    std::reverse(order.begin(), order.begin() + rank);
    return order;
}

namespace {
bool is_fortran(const OperandView& operand) {
    std::int64_t expected = operand.item();
    for (int d = 0; d < operand.rank; ++d) {
        if (operand.extents[d] == 1) continue;
        if (operand.strides[d] != expected) return false;
        expected *= operand.extents[d];
    }
    return true;
}
}  // namespace

Order fortran_or_c(std::span<const OperandView> inputs) {
    bool fortran = false, only_c = false;
    for (const OperandView& input : inputs) {
        if (input.rank < 2) continue;
        const bool f = is_fortran(input);
        fortran = fortran || (f && !input.is_contiguous());
        only_c = only_c || !f;
    }
    return fortran && !only_c ? Order::fortran : Order::c;
}

namespace {

Array make_on_device(const Shape& shape, DType dtype, Order order, bool zeroed, Location where) {
    Shape extents = shape;
    if (order == Order::fortran) std::reverse(extents.begin(), extents.end());
    const Array made = zeroed ? zeros(extents, dtype, Order::c, where).to(cuda(), where)
                              : device::make_array(extents, dtype, where);
    return order == Order::fortran ? made.transpose() : made;
}

}  // namespace

Array allocate_result(const Shape& shape, DType dtype, Order order,
                      std::span<const OperandView> inputs, bool zeroed, Place place,
                      Location where) {
    const auto make = [&](const Shape& s, Order o) {
        if (!place.is_host()) return make_on_device(s, dtype, o, zeroed, where);
        return zeroed ? zeros(s, dtype, o, where) : empty(s, dtype, o, where);
    };
    if (order == Order::any) order = fortran_or_c(inputs);
    if (order != Order::keep || shape.rank() < 2) {
        return make(shape, order == Order::fortran ? Order::fortran : Order::c);
    }
    const std::array<int, max_rank> axes = memory_order(shape, inputs);
    bool in_order = true;
    Shape permuted = shape, inverse = shape;
    for (int k = 0; k < shape.rank(); ++k) {
        const int axis = axes[static_cast<std::size_t>(k)];
        in_order = in_order && axis == k;
        permuted[k] = shape[axis];
        inverse[axis] = k;
    }
    if (in_order) return make(shape, Order::c);
    return make(permuted, Order::c).transpose(inverse, where);
}

Array allocate_reduced(const Shape& shape, unsigned bits, bool keepdims, DType dtype, Order order,
                       std::span<const OperandView> inputs, Location where) {
    if (order == Order::any) order = fortran_or_c(inputs);
    if (order != Order::keep)
        return empty(reduced_shape(shape, bits, keepdims), dtype, order, where);
    const Shape kept = reduced_shape(shape, bits, false);
    std::array<OperandView, max_operands> views;
    std::array<std::array<std::int64_t, max_rank>, max_operands> strides;
    std::size_t count = 0;
    for (const OperandView& input : inputs) {
        if (input.rank == 0) continue;
        std::size_t at = 0;
        for (int d = 0; d < shape.rank(); ++d)
            if ((bits >> d & 1U) == 0) strides[count][at++] = broadcast_stride(input, shape, d);
        views[count] = input;
        views[count].extents = kept.begin();
        views[count].strides = strides[count].data();
        views[count].rank = kept.rank();
        ++count;
    }
    Array made =
        allocate_result(kept, dtype, order, std::span(views).first(count), false, Place(), where);
    if (keepdims)
        for (int d = 0; d < shape.rank(); ++d)
            if ((bits >> d & 1U) != 0) made = made.expand_dims(d, where);
    return made;
}

namespace {

struct Axis {
    std::int64_t extent;
    std::array<std::int64_t, max_operands> strides;
};

struct AxisList {
    std::array<Axis, max_rank> list;
    std::size_t count = 0;
};

/// Makes the axis the last one, the others keeping their order.
void move_to_back(AxisList& axes, std::size_t axis) {
    std::rotate(axes.list.begin() + static_cast<std::ptrdiff_t>(axis),
                axes.list.begin() + static_cast<std::ptrdiff_t>(axis) + 1,
                axes.list.begin() + static_cast<std::ptrdiff_t>(axes.count));
}

/// Reverses axes along which the first output runs backwards, and sorts them by its strides.
void reorder(AxisList& axes, CallPlan& plan, std::size_t operands, std::size_t first_output) {
    for (std::size_t a = 0; a < axes.count; ++a) {
        Axis& axis = axes.list[a];
        if (axis.strides[first_output] >= 0) continue;
        for (std::size_t k = 0; k < operands; ++k) {
            plan.operands[k].data += axis.strides[k] * (axis.extent - 1);
            axis.strides[k] = -axis.strides[k];
        }
    }
    sort_axes(std::span(axes.list).first(axes.count),
              [&](const Axis& axis) { return axis.strides[first_output]; });
}

void coalesce(AxisList& axes, std::size_t operands) {
    axes.count = merge_axes(
        std::span(axes.list).first(axes.count), [&](const Axis& outer, const Axis& inner) {
            bool whole = true;
            for (std::size_t k = 0; k < operands; ++k)
                whole = whole && outer.strides[k] == inner.strides[k] * inner.extent;
            return whole;
        });
}

/// Moves the axis with most contiguous operands to the back, if any has more than the last one.
void choose_inner(AxisList& axes, std::span<const OperandView> operands) {
    const auto contiguous = [&](const Axis& axis) {
        int count = 0;
        for (std::size_t k = 0; k < operands.size(); ++k) {
            count += axis.strides[k] == operands[k].item();
        }
        return count;
    };
    std::size_t best = axes.count - 1;
    int most = contiguous(axes.list[best]);
    for (std::size_t a = axes.count - 1; a-- > 0;) {
        if (const int count = contiguous(axes.list[a]); count > most) {
            best = a;
            most = count;
        }
    }
    move_to_back(axes, best);
}

}  // namespace

void make_call_plan(CallPlan& plan, const Shape& shape, std::span<const OperandView> operands,
                    int first_output, bool logical_order) {
    const std::size_t count = operands.size();
    plan.operand_count = static_cast<int>(count);
    AxisList axes;
    for (int d = 0; d < shape.rank(); ++d) {
        if (shape[d] == 1) continue;
        Axis& axis = axes.list[axes.count++];
        axis.extent = shape[d];
        for (std::size_t k = 0; k < count; ++k) {
            axis.strides[k] = broadcast_stride(operands[k], shape, d);
        }
    }
    for (std::size_t k = 0; k < count; ++k) plan.operands[k].data = operands[k].data;
    if (!logical_order) reorder(axes, plan, count, static_cast<std::size_t>(first_output));
    coalesce(axes, count);
    if (!logical_order && axes.count > 1) choose_inner(axes, operands);

    plan.columns = axes.count > 0 ? axes.list[axes.count - 1].extent : 1;
    plan.rows = axes.count > 1 ? axes.list[axes.count - 2].extent : 1;
    plan.outer_rank = axes.count > 2 ? static_cast<int>(axes.count) - 2 : 0;
    plan.total_rows = plan.rows;
    for (std::size_t a = 0; a < static_cast<std::size_t>(plan.outer_rank); ++a) {
        plan.outer_extents[a] = axes.list[a].extent;
        plan.total_rows *= axes.list[a].extent;
    }
    for (std::size_t k = 0; k < count; ++k) {
        PlannedOperand& planned = plan.operands[k];
        const std::int64_t item = operands[k].item();
        // A single iteration takes any stride; these are the layouts that longer calls have too.
        planned.inner = axes.count > 0       ? axes.list[axes.count - 1].strides[k]
                        : operands[k].scalar ? 0
                                             : item;
        planned.outer = axes.count > 1 ? axes.list[axes.count - 2].strides[k] : 0;
        for (std::size_t a = 0; a < static_cast<std::size_t>(plan.outer_rank); ++a) {
            planned.strides[a] = axes.list[a].strides[k];
        }
        planned.layout = layout_of(planned.inner, operands[k].dtype);
    }
}

}  // namespace kiln::engine
