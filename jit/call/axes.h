// The axes of arguments: which of them a call names, what is left without them, and the order in
// which they are walked.
#pragma once
#include "jit/call/operand.h"

#include <kiln/reduce_options.h>

#include <algorithm>
#include <span>
#include <string>

namespace kiln::engine {

/// The axis, counted from the first. Errors: bounds, "axis 2 of sort is out of bounds for an array
/// of rank 2".
int checked_axis(const std::string& name, std::int64_t axis, int rank, Location where);
/// Which axes of an array of this rank are named, as bits. Errors: bounds, usage (twice).
unsigned axis_bits(const std::string& name, const Axes& axes, int rank, Location where);
/// The shape of what is left when the axes in `bits` are reduced.
Shape reduced_shape(const Shape& shape, unsigned bits, bool keepdims);
/// The output of a call, which must have exactly the shape of the result, and whose dtype that of
/// the result casts to under same_kind. Errors: shape, usage, type.
Array checked_output(const std::string& name, const OutArg& out, const Shape& shape, DType result,
                     Location where);

/// The stride of `operand` along axis d of `shape`, 0 where it is broadcast.
inline std::int64_t broadcast_stride(const OperandView& operand, const Shape& shape, int d) {
    const int own = d - (shape.rank() - operand.rank);
    return own < 0 || operand.extents[own] == 1 ? 0 : operand.strides[own];
}

// Axes as lists of an extent and strides, outermost first.

/// Sorts by `weight`, the heaviest first; those of equal weight stay in order.
template <class Axis, class Weight> void sort_axes(std::span<Axis> axes, const Weight& weight) {
    // A stable insertion sort: std::stable_sort would allocate.
    for (auto next = axes.begin(); next != axes.end(); ++next) {
        const auto place =
            std::upper_bound(axes.begin(), next, *next,
                             [&](const Axis& a, const Axis& b) { return weight(a) > weight(b); });
        std::rotate(place, next, next + 1);
    }
}

/// Merges neighbours where one step of the outer axis is a whole run of the inner, which
/// one_run(outer, inner) tells; gives how many are left.
template <class Axis, class OneRun>
std::size_t merge_axes(std::span<Axis> axes, const OneRun& one_run) {
    if (axes.empty()) return 0;
    std::size_t last = 0;
    for (std::size_t a = 1; a < axes.size(); ++a) {
        if (one_run(axes[last], axes[a])) {
            const std::int64_t extent = axes[last].extent * axes[a].extent;
            axes[last] = axes[a];
            axes[last].extent = extent;
        } else {
            axes[++last] = axes[a];
        }
    }
    return last + 1;
}

}  // namespace kiln::engine
