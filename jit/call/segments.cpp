#include "jit/call/segments.h"

#include <algorithm>
#include <span>

#include <fmt/format.h>

namespace kiln::engine {

Array integer_indices(const std::string& label, const Arg& indices, Location where) {
    const Array given = kiln::detail::handle_of(indices, where);
    if (!is_integer(given.dtype())) {
        throw Error(ErrorKind::type,
                    fmt::format("the indices of {} are of dtype {}, not integers", label,
                                kiln::name(given.dtype())),
                    where, "convert with astype(i64)");
    }
    if (given.dtype() == DType::i64) return given.contiguous(where);
    return given.astype(DType::i64, Casting::unsafe, Order::c, where);
}

std::pair<Array, Array> segments_of(const std::string& label, const Array& indices,
                                    std::int64_t extent, Location where) {
    if (indices.rank() != 1) {
        throw Error(ErrorKind::shape,
                    fmt::format("the indices of {} have shape {}; they are a row", label,
                                to_string(indices.shape())),
                    where);
    }
    const Array last = empty(indices.shape(), DType::i64, Order::c, where);
    const std::span<const std::int64_t> from = indices.span<const std::int64_t>();
    const std::span<std::int64_t> to = last.span<std::int64_t>();
    for (std::size_t i = 0; i < from.size(); ++i) {
        if (from[i] < 0 || from[i] >= extent) {
            throw Error(ErrorKind::bounds,
                        fmt::format("index {} of {} is out of bounds for an axis of extent {}",
                                    from[i], label, extent),
                        where);
        }
        const std::int64_t next = i + 1 < from.size() ? from[i + 1] : extent;
        to[i] = std::max(next, from[i] + 1);
    }
    return {indices, last};
}

}  // namespace kiln::engine
