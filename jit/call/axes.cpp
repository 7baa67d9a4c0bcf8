#include "jit/call/axes.h"

#include "jit/call/signature.h"

#include <fmt/format.h>

namespace kiln::engine {

int checked_axis(const std::string& name, std::int64_t axis, int rank, Location where) {
    const std::int64_t counted = axis < 0 ? axis + rank : axis;
    if (counted >= 0 && counted < rank) return static_cast<int>(counted);
    throw Error(
        ErrorKind::bounds,
        fmt::format("axis {} of {} is out of bounds for an array of rank {}", axis, name, rank),
        where);
}

unsigned axis_bits(const std::string& name, const Axes& axes, int rank, Location where) {
    if (axes.is_all()) return (1U << rank) - 1;
    unsigned bits = 0;
    for (const std::int64_t given : axes.list()) {
        // NumPy: a scalar may be reduced along its axis 0.
        if (rank == 0 && (given == 0 || given == -1)) continue;
        const int axis = checked_axis(name, given, rank, where);
        if ((bits >> axis & 1U) != 0) {
            throw Error(ErrorKind::usage, fmt::format("axis {} of {} is listed twice", given, name),
                        where);
        }
        bits |= 1U << axis;
    }
    return bits;
}

Shape reduced_shape(const Shape& shape, unsigned bits, bool keepdims) {
    Shape result;
    for (int d = 0; d < shape.rank(); ++d) {
        if ((bits >> d & 1U) == 0) {
            result.push_back(shape[d]);
        } else if (keepdims) {
            result.push_back(1);
        }
    }
    return result;
}

Array checked_output(const std::string& name, const OutArg& out, const Shape& shape, DType result,
                     Location where) {
    Array array = kiln::detail::handle_of(out);
    check_on_host(array, where);
    if (array.shape() != shape) {
        throw Error(ErrorKind::shape,
                    fmt::format("the output of {} has shape {}, its result {}", name,
                                to_string(array.shape()), to_string(shape)),
                    where, "an output of a reduction is never broadcast");
    }
    if (array.read_only()) {
        throw Error(ErrorKind::usage, fmt::format("the output of {} is read-only", name), where,
                    "write to a copy()");
    }
    if (has_internal_overlap(array)) {
        throw Error(ErrorKind::usage,
                    fmt::format("the output of {} has several indices for one element (strides {})",
                                name, to_string(array.strides())),
                    where, "a broadcast array cannot be written; write to a copy()");
    }
    check_output_cast(name, result, array.dtype(), Casting::same_kind, where);
    return array;
}

}  // namespace kiln::engine
