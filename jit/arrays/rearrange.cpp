// Joining arrays, and taking elements by index or mask: copies of bytes.
#include "jit/call/axes.h"

#include <kiln/array_functions.h>

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace kiln {
namespace {

/// An array as (outer, along, inner) around one of its axes; inner in bytes, all without gaps.
struct Around {
    std::int64_t outer = 1, along, inner;
    Around(const Array& x, int axis) : along(x.extent(axis)) {
        for (int d = 0; d < axis; ++d) outer *= x.extent(d);
        inner = static_cast<std::int64_t>(size_of(x.dtype()));
        for (int d = axis + 1; d < x.rank(); ++d) inner *= x.extent(d);
    }
};

template <std::size_t N> void copy_slices(const Around& from, const std::byte* source,
                                          std::byte* to, std::span<const std::int64_t> indices) {
    const auto inner = N != 0 ? N : static_cast<std::size_t>(from.inner);
    for (std::int64_t o = 0; o < from.outer; ++o) {
        const std::byte* const block = source + o * from.along * from.inner;
        for (const std::int64_t i : indices) {
            std::memcpy(to, block + i * from.inner, inner);
            to += inner;
        }
    }
}

/// The slices of contiguous x at these indices along an axis, which are within its extent.
Array gather(const Array& x, int axis, std::span<const std::int64_t> indices, const Shape& shape,
             Location where) {
    const Array source = x.contiguous(where), result = empty(shape, x.dtype(), Order::c, where);
    if (result.size() == 0) return result;
    const Around from(source, axis);
    switch (from.inner) {  // sizes of elements, which become single moves
        case 1: copy_slices<1>(from, source.data(), result.data(), indices); break;
        case 2: copy_slices<2>(from, source.data(), result.data(), indices); break;
        case 4: copy_slices<4>(from, source.data(), result.data(), indices); break;
        case 8: copy_slices<8>(from, source.data(), result.data(), indices); break;
        case 16: copy_slices<16>(from, source.data(), result.data(), indices); break;
        default: copy_slices<0>(from, source.data(), result.data(), indices); break;
    }
    return result;
}

/// Integers as i64, in C order, negative ones counted from the end. Of u64 none is negative.
Array places(const char* name, const Array& indices, std::int64_t extent, Location where) {
    if (!is_integer(indices.dtype())) {
        throw Error(ErrorKind::type,
                    fmt::format("the indices of {} are of dtype {}, not integers", name,
                                kiln::name(indices.dtype())),
                    where, "convert with astype(i64)");
    }
    const Array all = indices.astype(DType::i64, Casting::unsafe, Order::c, where)
                          .copy(Order::c, where)
                          .reshape(Shape(indices.size()), where);
    const bool is_u64 = indices.dtype() == DType::u64;
    const std::int64_t lowest = is_u64 ? 0 : -extent;
    for (std::int64_t& index : all.span<std::int64_t>()) {
        if (index < lowest || index >= extent) {
            const std::string value =
                is_u64 ? fmt::to_string(static_cast<std::uint64_t>(index)) : fmt::to_string(index);
            throw Error(ErrorKind::bounds,
                        fmt::format("index {} of {} is out of bounds for an axis of extent {}",
                                    value, name, extent),
                        where);
        }
        if (index < 0) index += extent;
    }
    return all;
}

Array flat(const Array& x, Location where) {
    return x.contiguous(where).reshape(Shape(x.size()), where);
}

struct Pair {
    std::uint64_t first, second;
};

void check_mask(const Array& mask, Location where) {
    if (mask.dtype() == DType::bool_) return;
    throw Error(ErrorKind::type,
                fmt::format("the mask of compress is of dtype {}, not bool", name(mask.dtype())),
                where, "compare or convert with astype(DType::bool_)");
}

/// The elements of a mask in C order; any byte but 0 is true.
std::span<const std::uint8_t> bytes_of(const Array& row) {
    return {reinterpret_cast<const std::uint8_t*>(row.data()),
            static_cast<std::size_t>(row.size())};
}
std::size_t count_true(std::span<const std::uint8_t> bytes) {
    std::size_t count = 0;
    for (const std::uint8_t b : bytes) count += b != 0 ? 1 : 0;
    return count;
}

std::vector<std::int64_t> true_places(const Array& mask, Location where) {
    const Array row = flat(mask, where);
    const std::span<const std::uint8_t> bytes = bytes_of(row);
    std::vector<std::int64_t> all(count_true(bytes));
    // Without branches: masks are hard to predict. What is stored for false is overwritten.
    std::size_t found = 0;
    for (std::size_t i = 0; found < all.size(); ++i) {
        all[found] = static_cast<std::int64_t>(i);
        found += bytes[i] != 0 ? 1 : 0;
    }
    return all;
}

/// The elements of a row, of `T`'s size, where the mask is true.
template <class T> void copy_where(std::span<const std::uint8_t> mask, const std::byte* from,
                                   std::byte* to, std::size_t count) {
    std::size_t found = 0;
    for (std::size_t i = 0; found < count; ++i) {
        std::memcpy(to + found * sizeof(T), from + i * sizeof(T), sizeof(T));
        found += mask[i] != 0 ? 1 : 0;
    }
}

/// The elements of a row where the mask is true; both without gaps.
Array compress_row(const Array& mask, const Array& x, Location where) {
    const std::span<const std::uint8_t> bytes = bytes_of(mask);
    const std::size_t count = count_true(bytes);
    const Array result = empty(Shape(count), x.dtype(), Order::c, where);
    switch (x.item_size()) {
        case 1: copy_where<std::uint8_t>(bytes, x.data(), result.data(), count); break;
        case 2: copy_where<std::uint16_t>(bytes, x.data(), result.data(), count); break;
        case 4: copy_where<std::uint32_t>(bytes, x.data(), result.data(), count); break;
        case 8: copy_where<std::uint64_t>(bytes, x.data(), result.data(), count); break;
        default: copy_where<Pair>(bytes, x.data(), result.data(), count); break;
    }
    return result;
}

}  // namespace

Array concatenate(std::span<const Array> arrays, const ConcatenateOptions& options,
                  std::source_location where) {
    if (arrays.empty())
        throw Error(ErrorKind::usage, "concatenate of no arrays", where, "there is no dtype then");
    const Array& first = arrays.front();
    const int rank = first.rank() + (options.new_axis ? 1 : 0);
    const int axis = engine::checked_axis("concatenate", options.axis, rank, where);
    DType dtype = first.dtype();
    std::vector<Array> parts;
    Shape shape;
    for (std::size_t k = 0; k < arrays.size(); ++k) {
        dtype = promote(dtype, arrays[k].dtype());
        parts.push_back(options.new_axis ? arrays[k].expand_dims(axis, where) : arrays[k]);
        const Shape& part = parts.back().shape();
        bool fits = part.rank() == rank;
        for (int d = 0; fits && k > 0 && d < rank; ++d) fits = d == axis || part[d] == shape[d];
        if (!fits) {
            throw Error(ErrorKind::shape,
                        fmt::format("array {} of concatenate has shape {}, the first one {}", k + 1,
                                    to_string(arrays[k].shape()), to_string(first.shape())),
                        where,
                        options.new_axis ? "arrays along an axis of their own have one shape"
                                         : "extents differ along the axis alone");
        }
        if (k == 0)
            shape = part;
        else
            shape[axis] += part[axis];
    }
    const Array result = empty(shape, dtype, Order::c, where);
    std::int64_t at = 0;
    for (const Array& part : parts) {
        const std::int64_t next = at + part.extent(axis);
        result.slice(axis, {at, next}, where).assign(part, Casting::safe, where);
        at = next;
    }
    return result;
}

Array repeat(const Array& x, std::int64_t count, std::optional<int> axis,
             std::source_location where) {
    if (count < 0)
        throw Error(ErrorKind::usage, fmt::format("repeat of {} times", count), where,
                    "a count is not negative");
    const Array source = axis ? x : flat(x, where);
    const int along = engine::checked_axis("repeat", axis.value_or(0), source.rank(), where);
    Shape shape = source.shape();
    if (__builtin_mul_overflow(shape[along], count, &shape[along]))
        throw Error(ErrorKind::shape,
                    fmt::format("repeat of {} times of {} elements", count, source.extent(along)),
                    where, "an extent is below 2^63");
    // The axis and those before it are one, as are those behind it.
    std::int64_t first = 1, behind = 1;
    for (int d = 0; d <= along; ++d) first *= source.extent(d);
    for (int d = along + 1; d < source.rank(); ++d) behind *= source.extent(d);
    return source.contiguous(where)
        .reshape({first, 1, behind}, where)
        .broadcast_to({first, count, behind}, where)
        .copy(Order::c, where)
        .reshape(shape, where);
}

Array take(const Array& x, const Array& indices, std::optional<int> axis,
           std::source_location where) {
    const Array source = axis ? x : flat(x, where);
    const int along = engine::checked_axis("take", axis.value_or(0), source.rank(), where);
    const Array all = places("take", indices, source.extent(along), where);
    if (source.rank() - 1 + indices.rank() > max_rank)
        throw Error(
            ErrorKind::shape,
            fmt::format("take of {} dimensions by indices of {}", source.rank(), indices.rank()),
            where, fmt::format("a result has at most {}", max_rank));
    Shape shape;
    for (int d = 0; d < along; ++d) shape.push_back(source.extent(d));
    for (const std::int64_t extent : indices.shape()) shape.push_back(extent);
    for (int d = along + 1; d < source.rank(); ++d) shape.push_back(source.extent(d));
    return gather(source, along, all.span<const std::int64_t>(), shape, where);
}

void put(const Array& x, const Array& indices, const Array& values, std::source_location where) {
    if (x.read_only() || has_internal_overlap(x)) {
        throw Error(
            ErrorKind::usage,
            fmt::format("the array of put is {}", x.read_only() ? "read-only" : "broadcast"), where,
            "write to a copy()");
    }
    const Array all = places("put", indices, x.size(), where);
    if (!can_cast(values.dtype(), x.dtype(), Casting::same_kind)) {
        throw Error(ErrorKind::type,
                    fmt::format("cannot cast the values of put from {} to {} under same_kind",
                                name(values.dtype()), name(x.dtype())),
                    where, "convert with astype");
    }
    const Array given = values.broadcast_to(indices.shape(), where)
                            .astype(x.dtype(), Casting::same_kind, Order::c, where)
                            .copy(Order::c, where);
    const Array work = x.contiguous(where);
    const std::size_t item = size_of(x.dtype());
    const std::byte* from = given.data();
    for (const std::int64_t index : all.span<const std::int64_t>()) {
        std::memcpy(work.data() + static_cast<std::size_t>(index) * item, from, item);
        from += item;
    }
    if (work.data() != x.data()) x.assign(work, Casting::same_kind, where);
}

Array compress(const Array& mask, const Array& x, std::optional<int> axis,
               std::source_location where) {
    check_mask(mask, where);
    const int along = axis ? engine::checked_axis("compress", *axis, x.rank(), where) : 0;
    const Shape wanted = axis ? Shape(x.extent(along)) : x.shape();
    if (mask.shape() != wanted) {
        throw Error(ErrorKind::shape,
                    fmt::format("the mask of compress has shape {}, not {}",
                                to_string(mask.shape()), to_string(wanted)),
                    where);
    }
    if (!axis || x.rank() == 1) return compress_row(flat(mask, where), flat(x, where), where);
    const std::vector<std::int64_t> found = true_places(mask, where);
    const Array& source = x;
    Shape shape = source.shape();
    shape[along] = static_cast<std::int64_t>(found.size());
    return gather(source, along, found, shape, where);
}

Array argwhere(const Array& x, std::source_location where) {
    const std::vector<std::int64_t> found = true_places(x.astype(DType::bool_), where);
    const Array result =
        empty({static_cast<std::int64_t>(found.size()), x.rank()}, DType::i64, Order::c, where);
    const std::span<std::int64_t> rows = result.span<std::int64_t>();
    for (std::size_t k = 0; k < found.size(); ++k) {
        std::int64_t rest = found[k];
        for (int d = x.rank(); d-- > 0; rest /= x.extent(d))
            rows[k * static_cast<std::size_t>(x.rank()) + static_cast<std::size_t>(d)] =
                rest % x.extent(d);
    }
    return result;
}

Array swapaxes(const Array& x, int a, int b, std::source_location where) {
    const int first = engine::checked_axis("swapaxes", a, x.rank(), where),
              second = engine::checked_axis("swapaxes", b, x.rank(), where);
    Shape order = x.shape();
    for (int d = 0; d < x.rank(); ++d) order[d] = d == first ? second : d == second ? first : d;
    return x.transpose(order, where);
}

Array eye(std::int64_t rows, std::optional<std::int64_t> columns, std::int64_t offset, DType dtype,
          std::source_location where) {
    const std::int64_t wide = columns.value_or(rows);
    const Array result = zeros({rows, wide}, dtype, Order::c, where);
    const std::int64_t first = std::max<std::int64_t>(0, -offset),
                       left = std::max<std::int64_t>(0, offset);
    const std::int64_t length = std::min(rows - first, wide - left);
    if (length <= 0) return result;
    const auto item = static_cast<std::int64_t>(size_of(dtype));
    Array::from_memory(result.data() + (first * wide + left) * item, dtype, Shape(length),
                       Shape((wide + 1) * item), result.owner(), true, where)
        .fill(Scalar::of(1).cast(dtype), where);
    return result;
}

}  // namespace kiln
