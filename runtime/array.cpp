// Array: what it is and its views. What makes or writes elements is in array_data.cpp.
#include <kiln/array.h>

#include "runtime/strided.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

namespace kiln {

namespace {

[[noreturn]] void throw_too_large(const Shape& shape, std::size_t item_size, Location where) {
    element_count(shape, where);  // has better words for a negative extent
    throw Error(ErrorKind::shape,
                "shape " + to_string(shape) + " with elements of " + std::to_string(item_size) +
                    " bytes takes more than 2^63 - 1 bytes",
                where);
}

/// No two elements of an array lie further apart: more than any address space has, and so little
/// that sums and products of extents and strides do not overflow.
constexpr std::int64_t longest_reach = std::int64_t(1) << 61;

/// How far the elements of these strides reach below and above the first; nothing if that is over
/// longest_reach, or beyond the addresses that there are from `data` on.
bool is_within_reach(const void* data, const Shape& shape, const Shape& strides) {
    std::uint64_t below = 0, above = 0;
    for (int d = 0; d < shape.rank(); ++d) {
        if (shape[d] <= 1) continue;
        const auto bits = static_cast<std::uint64_t>(strides[d]);
        std::uint64_t& reach = strides[d] < 0 ? below : above;
        std::uint64_t more = 0;
        if (__builtin_mul_overflow(strides[d] < 0 ? 0 - bits : bits,
                                   static_cast<std::uint64_t>(shape[d] - 1), &more) ||
            __builtin_add_overflow(reach, more, &reach) ||
            reach > static_cast<std::uint64_t>(longest_reach)) {
            return false;
        }
    }
    const std::uint64_t address = reinterpret_cast<std::uintptr_t>(data);
    return below <= address && above <= std::numeric_limits<std::uint64_t>::max() - address;
}

/// The positions of one axis that a slice takes: `count` of them from `first` on.
struct Range {
    std::int64_t first;
    std::int64_t count;
};
Range resolve(const Slice& slice, std::int64_t extent) {
    // Before the first and after the last position that the direction can reach.
    const std::int64_t lowest = slice.step < 0 ? -1 : 0;
    const std::int64_t highest = slice.step < 0 ? extent - 1 : extent;
    const auto place = [&](std::int64_t at) {
        if (at < 0) at += extent;  // cannot overflow: the signs differ
        return std::clamp(at, lowest, highest);
    };
    const std::int64_t start = slice.start      ? place(*slice.start)
                               : slice.step < 0 ? highest
                                                : lowest;
    const std::int64_t stop = slice.stop ? place(*slice.stop) : slice.step < 0 ? lowest : highest;
    if (slice.step > 0) {
        return {start, stop > start ? (stop - start - 1) / slice.step + 1 : 0};
    }
    // Division by a negative step truncates to the same count, and -INT64_MIN is never formed.
    return {start, start > stop ? (stop - start + 1) / slice.step + 1 : 0};
}

/// Strides that read an array of shape `from` as `to`, which it must broadcast to.
Shape broadcast_strides(const Shape& from, const Shape& strides, const Shape& to) {
    Shape result = Shape::filled(to.rank(), 0);
    for (int d = 1; d <= from.rank(); ++d) {
        if (from[from.rank() - d] != 1 || to[to.rank() - d] == 1) {
            result[to.rank() - d] = strides[from.rank() - d];
        }
    }
    return result;
}

/// Strides that show the elements of (shape, strides) in C order as `target`, where they exist.
/// Both shapes have the same size, not 0. Walks groups of axes of equal product on the two sides;
/// within a group the old axes must be evenly spaced.
std::optional<Shape> reshape_strides(const Shape& shape, const Shape& strides, const Shape& target,
                                     std::int64_t item_size) {
    Shape from, from_strides;
    for (int d = 0; d < shape.rank(); ++d) {
        if (shape[d] == 1) continue;
        from.push_back(shape[d]);
        from_strides.push_back(strides[d]);
    }
    Shape result = Shape::filled(target.rank(), item_size);
    int i = 0, j = 0;
    while (i < from.rank() && j < target.rank()) {
        int i_end = i + 1, j_end = j + 1;
        std::int64_t from_size = from[i], target_size = target[j];
        while (from_size != target_size) {
            if (from_size < target_size) {
                from_size *= from[i_end++];
            } else {
                target_size *= target[j_end++];
            }
        }
        for (int k = i; k + 1 < i_end; ++k) {
            if (from_strides[k] != from_strides[k + 1] * from[k + 1]) return std::nullopt;
        }
        std::int64_t stride = from_strides[i_end - 1];
        for (int k = j_end; k-- > j;) {
            result[k] = stride;
            stride *= target[k];
        }
        i = i_end;
        j = j_end;
    }
    return result;
}

}  // namespace

Shape Array::c_strides(const Shape& shape, std::size_t item_size, Location where) {
    Shape strides = shape;
    std::int64_t stride = static_cast<std::int64_t>(item_size);
    bool fits = true;
    for (int d = shape.rank(); d-- > 0;) {
        strides[d] = stride;
        fits = fits && shape[d] >= 0 &&
               !__builtin_mul_overflow(stride, std::max<std::int64_t>(shape[d], 1), &stride);
    }
    if (!fits) throw_too_large(shape, item_size, where);
    return strides;
}

Shape Array::f_strides(const Shape& shape, std::size_t item_size, Location where) {
    Shape reversed = shape;
    std::reverse(reversed.begin(), reversed.end());
    Shape strides = c_strides(reversed, item_size, where);
    std::reverse(strides.begin(), strides.end());
    return strides;
}

Array Array::from_memory(const void* data, DType dtype, const Shape& shape,
                         const Shape& byte_strides, Shared<void> owner, bool writeable,
                         Location where) {
    if (shape.rank() != byte_strides.rank()) {
        throw Error(ErrorKind::shape,
                    "shape " + to_string(shape) + " and strides " + to_string(byte_strides) +
                        " differ in rank",
                    where);
    }
    const Shape contiguous = c_strides(shape, size_of(dtype), where);  // checks the size
    Array result;
    result.size_ = element_count(shape, where);
    if (data == nullptr && result.size_ != 0) {
        throw Error(ErrorKind::usage, "null data for an array of shape " + to_string(shape), where);
    }
    result.data_ = static_cast<std::byte*>(const_cast<void*>(data));
    result.dtype_ = dtype;
    result.shape_ = shape;
    result.strides_ = byte_strides;
    if (!is_within_reach(data, shape, byte_strides)) {
        if (result.size_ != 0) {
            throw Error(ErrorKind::shape,
                        "the elements of shape " + to_string(shape) + " with strides " +
                            to_string(byte_strides) + " lie beyond all addresses",
                        where, "strides are in bytes");
        }
        result.strides_ = contiguous;  // strides that no element follows
    }
    result.owner_ = std::move(owner);
    result.writeable_ = writeable;
    return result;
}

Array Array::from_device_memory(void* address, DType dtype, const Shape& shape,
                                const Shape& byte_strides, Shared<void> owner, bool writeable,
                                Location where) {
    Array result =
        from_memory(address, dtype, shape, byte_strides, std::move(owner), writeable, where);
    result.place_ = cuda();
    return result;
}

// -- checks ----------------------------------------------------------------------------------

void Array::throw_ragged_rows(std::size_t first, std::size_t other, Location where) {
    throw Error(
        ErrorKind::shape,
        "rows of different lengths: " + std::to_string(first) + " and " + std::to_string(other),
        where);
}

void Array::throw_wrong_size(std::int64_t size, const Shape& shape, Location where) {
    throw Error(ErrorKind::shape,
                std::to_string(size) + " values do not fill shape " + to_string(shape) +
                    " of size " + std::to_string(element_count(shape, where)),
                where);
}

void Array::throw_on_device(Location where) const {
    throw Error(ErrorKind::usage,
                "the array is on " + to_string(place_) +
                    ": its elements can't be read or written on the host",
                where, "to_host() copies it");
}

void Array::throw_bad_view(DType dtype, int rank, bool reads_only, Location where) const {
    check_on_host(where);
    check_dtype(dtype, where);
    if (rank != this->rank()) {
        throw Error(ErrorKind::shape,
                    "the array has rank " + std::to_string(this->rank()) + " (shape " +
                        to_string(shape_) + "), not rank " + std::to_string(rank),
                    where);
    }
    if (!reads_only) check_writeable(where);
    throw Error(ErrorKind::usage,
                "the memory of the array is not aligned for " + std::string(name(dtype)), where,
                "copy() gives an aligned array");
}

void Array::check_dtype(DType dtype, Location where) const {
    if (dtype == dtype_) return;
    throw Error(
        ErrorKind::type,
        "the array holds " + std::string(name(dtype_)) + ", not " + std::string(name(dtype)), where,
        "astype() converts");
}

void Array::check_contiguous(Location where) const {
    if (is_contiguous()) return;
    throw Error(ErrorKind::usage,
                "the array is not contiguous: shape " + to_string(shape_) + ", strides " +
                    to_string(strides_),
                where, "contiguous() copies where needed");
}

void Array::check_writeable(Location where) const {
    if (writeable_) return;
    throw Error(ErrorKind::usage, "the array is read-only", where, "copy() gives one that is not");
}

int Array::normalize_axis(int axis, Location where) const {
    if (axis < -rank() || axis >= rank()) {
        throw Error(ErrorKind::shape,
                    "axis " + std::to_string(axis) + " is out of range for an array of rank " +
                        std::to_string(rank()),
                    where);
    }
    return axis < 0 ? axis + rank() : axis;
}

std::byte* Array::element(const Shape& index, Location where) const {
    std::byte* at = data_;
    bool inside = index.rank() == rank();
    if (!inside) {
        throw Error(
            ErrorKind::shape,
            "index " + to_string(index) + " has another rank than shape " + to_string(shape_),
            where);
    }
    for (int d = 0; d < rank(); ++d) inside = inside && index[d] >= 0 && index[d] < shape_[d];
    if (!inside) detail::throw_out_of_bounds(index, shape_, where);
    for (int d = 0; d < rank(); ++d) at += index[d] * strides_[d];
    return at;
}

Scalar Array::scalar_at(const Shape& index, Location where) const {
    check_on_host(where);
    Scalar value;
    value.dtype = dtype_;
    std::memcpy(value.bytes.data(), element(index, where), item_size());
    if (is_bool(dtype_) && value.bytes[0] != std::byte(0)) value.bytes[0] = std::byte(1);
    return value;
}

Scalar Array::item(Location where) const {
    if (size_ != 1) {
        throw Error(ErrorKind::shape,
                    "item() needs an array of size 1, not of shape " + to_string(shape_), where);
    }
    if (!place_.is_host()) return to_host(where).item(where);
    return scalar_at(Shape::filled(rank(), 0), where);
}

// -- views -----------------------------------------------------------------------------------

Array Array::slice(int axis, const Slice& range, Location where) const {
    axis = normalize_axis(axis, where);
    if (range.step == 0) throw Error(ErrorKind::usage, "slice step cannot be zero", where);
    const auto [first, count] = resolve(range, shape_[axis]);
    Array result = *this;
    result.shape_[axis] = count;
    // The stride matters only between two elements; a huge step over one element must not overflow.
    if (count > 1) result.strides_[axis] = strides_[axis] * range.step;
    result.size_ = element_count(result.shape_, where);
    if (result.size_ != 0) result.data_ += first * strides_[axis];
    return result;
}

Array Array::index(int axis, std::int64_t i, Location where) const {
    axis = normalize_axis(axis, where);
    const std::int64_t extent = shape_[axis];
    if (i < -extent || i >= extent) {
        throw Error(ErrorKind::bounds,
                    "index " + std::to_string(i) + " is out of bounds for axis " +
                        std::to_string(axis) + " of shape " + to_string(shape_),
                    where);
    }
    Array result = *this;
    result.shape_.erase(axis);
    result.strides_.erase(axis);
    result.size_ = element_count(result.shape_, where);
    if (result.size_ != 0) result.data_ += (i < 0 ? i + extent : i) * strides_[axis];
    return result;
}

Array Array::operator()(Subscript a, Subscript b, Subscript c, Subscript d, Subscript e,
                        Subscript f, Subscript g, Subscript h) const {
    Array result = *this;
    int axis = 0, given = 0;
    for (const Subscript* subscript : {&a, &b, &c, &d, &e, &f, &g, &h}) {
        if (subscript->kind == Subscript::Kind::absent) break;
        if (++given > rank()) {
            throw Error(ErrorKind::shape,
                        "too many subscripts for an array of shape " + to_string(shape_),
                        subscript->where);
        }
        if (subscript->kind == Subscript::Kind::index) {
            result = result.index(axis, subscript->index, subscript->where);
        } else {
            result = result.slice(axis++, subscript->slice, subscript->where);
        }
    }
    return result;
}

Array Array::transpose() const {
    Array result = *this;
    std::reverse(result.shape_.begin(), result.shape_.end());
    std::reverse(result.strides_.begin(), result.strides_.end());
    return result;
}

Array Array::transpose(const Shape& permutation, Location where) const {
    Array result = *this;
    std::array<bool, max_rank> seen{};
    bool valid = permutation.rank() == rank();
    for (int d = 0; valid && d < rank(); ++d) {
        const std::int64_t axis = permutation[d] < 0 ? permutation[d] + rank() : permutation[d];
        valid = axis >= 0 && axis < rank() &&
                !std::exchange(seen[static_cast<std::size_t>(axis)], true);
        if (!valid) break;
        result.shape_[d] = shape_[static_cast<int>(axis)];
        result.strides_[d] = strides_[static_cast<int>(axis)];
    }
    if (!valid) {
        throw Error(ErrorKind::shape,
                    to_string(permutation) + " is not a permutation of the axes of shape " +
                        to_string(shape_),
                    where);
    }
    return result;
}

Array Array::reshape(const Shape& shape, Location where) const {
    Shape target = shape;
    int inferred = -1;
    for (int d = 0; d < shape.rank(); ++d) {
        if (shape[d] != -1) continue;
        if (inferred >= 0) {
            throw Error(ErrorKind::shape, "only one extent may be -1 in " + to_string(shape),
                        where);
        }
        inferred = d;
        target[d] = 1;
    }
    const std::int64_t known = element_count(target, where);
    if (inferred >= 0 && known != 0 && size_ % known == 0) target[inferred] = size_ / known;
    if (inferred >= 0 ? known == 0 || size_ % known != 0 : known != size_) {
        throw Error(ErrorKind::shape,
                    "cannot reshape " + to_string(shape_) + " of size " + std::to_string(size_) +
                        " to " + to_string(shape) +
                        (inferred < 0 ? " of size " + std::to_string(known) : std::string()),
                    where);
    }
    Array result = *this;
    result.shape_ = target;
    if (size_ == 0) {
        result.strides_ = c_strides(target, item_size(), where);
        return result;
    }
    const auto strides =
        reshape_strides(shape_, strides_, target, static_cast<std::int64_t>(item_size()));
    if (!strides) return copy(Order::c, where).reshape(target, where);
    result.strides_ = *strides;
    return result;
}

Array Array::broadcast_to(const Shape& shape, Location where) const {
    if (!can_broadcast(shape_, shape)) detail::throw_cannot_broadcast(shape_, shape, where);
    c_strides(shape, item_size(), where);  // checks the size
    Array result = *this;
    result.shape_ = shape;
    result.strides_ = broadcast_strides(shape_, strides_, shape);
    result.size_ = element_count(shape, where);
    result.writeable_ = false;
    return result;
}

Array Array::squeeze() const {
    Array result = *this;
    for (int d = rank(); d-- > 0;) {
        if (shape_[d] != 1) continue;
        result.shape_.erase(d);
        result.strides_.erase(d);
    }
    return result;
}

Array Array::squeeze(int axis, Location where) const {
    axis = normalize_axis(axis, where);
    if (shape_[axis] != 1) {
        throw Error(ErrorKind::shape,
                    "cannot squeeze axis " + std::to_string(axis) + " of shape " +
                        to_string(shape_) + ": its extent is not 1",
                    where);
    }
    return index(axis, 0, where);
}

Array Array::expand_dims(int axis, Location where) const {
    const int position = axis < 0 ? axis + rank() + 1 : axis;
    if (position < 0 || position > rank()) {
        throw Error(ErrorKind::shape,
                    "axis " + std::to_string(axis) +
                        " is out of range for a new axis of an array of rank " +
                        std::to_string(rank()),
                    where);
    }
    if (rank() == max_rank) {
        throw Error(ErrorKind::shape, "an array of rank 8 takes no further axis", where);
    }
    Array result = *this;
    // As long as the axis after it, so that C-contiguous memory still looks so to strict readers.
    const std::int64_t stride =
        position < rank() ? strides_[position] * std::max<std::int64_t>(shape_[position], 1)
                          : static_cast<std::int64_t>(item_size());
    result.shape_.insert(position, 1);
    result.strides_.insert(position, stride);
    return result;
}

Array Array::flip(int axis, Location where) const { return slice(axis, Slice{{}, {}, -1}, where); }

Array Array::flip() const {
    Array result = *this;
    for (int d = 0; d < rank(); ++d) result = result.flip(d);
    return result;
}

Array Array::as_read_only() const {
    Array result = *this;
    result.writeable_ = false;
    return result;
}

// -- relations -------------------------------------------------------------------------------

std::pair<const std::byte*, const std::byte*> byte_extent(const Array& a) {
    const std::byte *low = a.address(), *high = a.address();
    if (a.size() == 0) return {low, high};
    for (int d = 0; d < a.rank(); ++d) {
        const std::int64_t reach = a.stride(d) * (a.extent(d) - 1);
        (reach < 0 ? low : high) += reach;
    }
    return {low, high + a.item_size()};
}

bool may_share_memory(const Array& a, const Array& b) {
    if (a.size() == 0 || b.size() == 0 || a.place() != b.place()) return false;
    const auto [a_low, a_high] = byte_extent(a);
    const auto [b_low, b_high] = byte_extent(b);
    return a_low < b_high && b_low < a_high;
}

bool exactly_same(const Array& a, const Array& b) {
    return a.address() == b.address() && a.place() == b.place() && a.dtype() == b.dtype() &&
           a.shape() == b.shape() && a.strides() == b.strides();
}

bool has_internal_overlap(const Array& a) {
    if (a.size() == 0) return false;
    std::array<std::pair<std::int64_t, std::int64_t>, max_rank> axes{};  // (distance, extent)
    std::size_t count = 0;
    for (int d = 0; d < a.rank(); ++d) {
        if (a.extent(d) > 1) axes[count++] = {std::abs(a.stride(d)), a.extent(d)};
    }
    detail::insertion_sort(axes.data(), count, std::less<>());
    // From the finest axis on: each step must clear everything that the finer axes reach.
    std::int64_t reach = static_cast<std::int64_t>(a.item_size());
    for (std::size_t k = 0; k < count; ++k) {
        if (axes[k].first < reach) return true;
        reach += axes[k].first * (axes[k].second - 1);
    }
    return false;
}

}  // namespace kiln
