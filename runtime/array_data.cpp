// Array: making, copying, converting and writing elements.
#include <kiln/array.h>
#include <kiln/environment.h>
#include <kiln/memory.h>

#include "runtime/cast.h"
#include "runtime/device/arrays.h"
#include "runtime/strided.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <memory>
#include <string>

namespace kiln {

namespace {

struct BlockDeleter {
    std::size_t bytes;
    void operator()(void* block) const noexcept { deallocate(block, bytes); }
};

void check_cast(DType from, DType to, Casting casting, Location where) {
    if (can_cast(from, to, casting)) return;
    throw Error(ErrorKind::type,
                "cannot cast " + std::string(name(from)) + " to " + std::string(name(to)) +
                    " under casting '" + std::string(name(casting)) + "'",
                where, "Casting::unsafe allows it");
}

void check_no_zero_stride(const Array& array, Location where) {
    for (int d = 0; d < array.rank(); ++d) {
        if (array.extent(d) > 1 && array.stride(d) == 0 && array.size() != 0) {
            throw Error(ErrorKind::usage,
                        "cannot write to an array of shape " + to_string(array.shape()) +
                            " whose stride along axis " + std::to_string(d) + " is zero",
                        where, "several elements share one address; copy() separates them");
        }
    }
}

/// Converts element by element; the shapes are equal and the memory is disjoint.
void copy_elements(const Array& to, const Array& from) {
    const detail::DefaultEnvironment environment;
    const detail::CastRow row = detail::cast_row(from.dtype(), to.dtype());
    detail::StridedLoop<2>(to.shape(), {to.data(), from.data()}, {to.strides(), from.strides()})
        .run([&](const auto& at, const auto& strides, std::int64_t n) {
            row(at[0], strides[0], at[1], strides[1], n);
        });
}

}  // namespace

Array Array::of(const Scalar& value, Location where) {
    return copy_of_bytes(value.bytes.data(), value.dtype, Shape{}, where);
}

Array Array::copy_of_bytes(const void* values, DType dtype, const Shape& shape, Location where) {
    const Array result = kiln::empty(shape, dtype, Order::c, where);
    if (result.size() != 0)
        std::memcpy(result.data(), values, static_cast<std::size_t>(result.nbytes()));
    return result;
}

Array Array::copy(Order order, Location where) const {
    if (!place_.is_host()) return device::copied(*this, order, where);
    const Array result = empty_like(*this, dtype_, order, where);
    copy_elements(result, *this);
    return result;
}

Array Array::astype(DType dtype, Casting casting, Order order, Location where) const {
    check_cast(dtype_, dtype, casting, where);
    check_on_host(where);
    const Array result = empty_like(*this, dtype, order, where);
    copy_elements(result, *this);
    return result;
}

Array Array::contiguous(Location where) const {
    return is_contiguous() && is_aligned() ? *this : copy(Order::c, where);
}

void Array::fill(const Scalar& value, Location where) const {
    check_writeable(where);
    check_on_host(where);
    check_no_zero_stride(*this, where);
    Scalar converted = value.cast(dtype_);
    const detail::CastRow row = detail::cast_row(dtype_, dtype_);
    detail::StridedLoop<1>(shape_, {data_}, {strides_})
        .run([&](const auto& at, const auto& strides, std::int64_t n) {
            row(at[0], strides[0], converted.bytes.data(), 0, n);
        });
}

void Array::assign(const Array& source, Casting casting, Location where) const {
    check_writeable(where);
    check_cast(source.dtype(), dtype_, casting, where);
    check_no_zero_stride(*this, where);
    if (exactly_same(*this, source)) return;
    if (!place_.is_host() || !source.place_.is_host()) return device::assign(*this, source, where);
    Array fitting = source;
    while (fitting.rank() > rank() && fitting.extent(0) == 1) fitting = fitting.squeeze(0, where);
    // Before the copy of an overlapping source: a small one need not be stretched in memory.
    if (may_share_memory(*this, source)) fitting = fitting.copy(Order::keep, where);
    copy_elements(*this, fitting.broadcast_to(shape_, where));
}

// -- factories -------------------------------------------------------------------------------

Array Array::make(const Shape& shape, DType dtype, bool fortran, Content content, Location where) {
    Array result;
    result.dtype_ = dtype;
    result.shape_ = shape;
    result.strides_ =
        fortran ? f_strides(shape, size_of(dtype), where) : c_strides(shape, size_of(dtype), where);
    result.size_ = 1;
    for (const std::int64_t extent : shape) result.size_ *= extent;
    const auto bytes = static_cast<std::size_t>(result.nbytes());
    void* const block =
        content == Content::zero ? allocate_zeroed(bytes, where) : allocate(bytes, where);
    result.data_ = static_cast<std::byte*>(block);
    result.owner_ = std::unique_ptr<void, BlockDeleter>(block, BlockDeleter{bytes});
    return result;
}

Array empty(const Shape& shape, DType dtype, Order order, Location where) {
    return Array::make(shape, dtype, order == Order::fortran, Array::Content::uninitialised, where);
}

Array zeros(const Shape& shape, DType dtype, Order order, Location where) {
    return Array::make(shape, dtype, order == Order::fortran, Array::Content::zero, where);
}

Array ones(const Shape& shape, DType dtype, Order order, Location where) {
    const Array result = empty(shape, dtype, order, where);
    result.fill(1, where);
    return result;
}

Array full(const Shape& shape, const Scalar& value, Location where) {
    const Array result = empty(shape, value.dtype, Order::c, where);
    result.fill(value, where);
    return result;
}

Array empty_like(const Array& like, std::optional<DType> dtype, Order order, Location where) {
    const DType type = dtype.value_or(like.dtype());
    const Shape& shape = like.shape();
    if (order != Order::keep || like.is_contiguous()) {
        const bool fortran = order == Order::fortran ||
                             (order == Order::any && like.is_fortran() && !like.is_contiguous());
        return empty(shape, type, fortran ? Order::fortran : Order::c, where);
    }
    // The axes from the outermost in memory to the innermost, by insertion sort. Axes of extent 1
    // have no place of their own, so they are passed over.
    Shape axes;
    for (int d = 0; d < shape.rank(); ++d) {
        int place = d;
        for (int k = d; k-- > 0;) {
            const int outer = static_cast<int>(axes[k]);
            if (shape[outer] == 1 || shape[d] == 1) continue;
            if (std::abs(like.stride(outer)) >= std::abs(like.stride(d))) break;
            place = k;
        }
        axes.insert(place, d);
    }
    Shape extents = axes, inverse = axes;
    for (int k = 0; k < axes.rank(); ++k) {
        extents[k] = shape[static_cast<int>(axes[k])];
        inverse[static_cast<int>(axes[k])] = k;
    }
    return empty(extents, type, Order::c, where).transpose(inverse, where);
}

namespace {

/// Not inlined, so that what `make` has is in registers.
template <class T, class Make>
[[gnu::noinline]] void generate_elements(T* elements, std::int64_t n, Make make) {
    for (std::int64_t i = 0; i < n; ++i) elements[i] = convert<T>(make(i));
}

/// A rank-1 array of make(i) converted to `dtype`.
template <class Make> Array generate(std::int64_t n, DType dtype, Location where, Make make) {
    const Array result = empty(Shape(n), dtype, Order::c, where);
    visit_dtype(dtype, [&](auto type) {
        using T = typename decltype(type)::type;
        generate_elements(reinterpret_cast<T*>(result.data()), n, make);
    });
    return result;
}

void check_step(bool is_zero, Location where) {
    if (is_zero) throw Error(ErrorKind::usage, "arange step cannot be zero", where);
}

[[noreturn]] void throw_long_arange(const std::string& start, const std::string& stop,
                                    const std::string& step, Location where) {
    throw Error(
        ErrorKind::shape,
        "arange from " + start + " to " + stop + " by " + step + " has more than 2^63 - 1 elements",
        where);
}

/// Values of C++ integers, sums of two and their distances.
__extension__ using Wide = __int128;

Wide value_of(detail::AnyInteger x) {
    return x.negative ? Wide(static_cast<std::int64_t>(x.bits)) : Wide(x.bits);
}

std::string text_of(detail::AnyInteger x) {
    return x.negative ? std::to_string(static_cast<std::int64_t>(x.bits)) : std::to_string(x.bits);
}

template <class T> bool fits(Wide value) {
    return value >= std::numeric_limits<T>::min() && value <= std::numeric_limits<T>::max();
}

}  // namespace

namespace detail {

Array arange_integer(AnyInteger start, AnyInteger stop, AnyInteger step, std::optional<DType> dtype,
                     Location where) {
    const DefaultEnvironment environment;
    const Wide from = value_of(start), to = value_of(stop), pace = value_of(step);
    check_step(pace == 0, where);
    Wide count = 0;
    if (pace > 0 ? to > from : to < from)
        count = pace > 0 ? (to - from - 1) / pace + 1 : (to - from + 1) / pace + 1;
    if (!fits<std::int64_t>(count))
        throw_long_arange(text_of(start), text_of(stop), text_of(step), where);
    const auto n = static_cast<std::int64_t>(count);
    const Wide last = n == 0 ? from : from + (count - 1) * pace;
    const bool is_signed = n == 0 || (fits<std::int64_t>(from) && fits<std::int64_t>(last));
    const bool is_unsigned = fits<std::uint64_t>(from) && fits<std::uint64_t>(last);
    const DType natural = is_signed ? DType::i64 : is_unsigned ? DType::u64 : DType::f64;
    const DType type = dtype.value_or(natural);
    // Modulo 2^64 an element is exact where all are of one of the two.
    const auto bits = [first = start.bits, by = step.bits](std::int64_t i) {
        return first + static_cast<std::uint64_t>(i) * by;
    };
    if (is_signed)
        return generate(n, type, where,
                        [=](std::int64_t i) { return static_cast<std::int64_t>(bits(i)); });
    if (is_unsigned) return generate(n, type, where, bits);
    return generate(n, type, where, [=](std::int64_t i) { return from + i * pace; });
}

Array arange_real(double start, double stop, double step, DType dtype, Location where) {
    const DefaultEnvironment environment;
    in_order(start), in_order(stop), in_order(step);
    check_step(step == 0, where);
    if (!std::isfinite(start) || !std::isfinite(stop) || std::isnan(step))
        throw Error(
            ErrorKind::usage,
            fmt::format("arange needs finite values, not {} to {} by {}", start, stop, step),
            where);
    // The distance may be over the largest number, though neither end is.
    const double distance = stop - start;
    const double steps =
        std::isfinite(distance) ? distance / step : (stop / 2 - start / 2) / step * 2;
    // A quotient that underflows to zero is one step, as is a part of an infinite one.
    const double count = steps == 0 && stop != start && !std::signbit(steps) ? 1 : std::ceil(steps);
    if (count >= 0x1p63)
        throw_long_arange(fmt::to_string(start), fmt::to_string(stop), fmt::to_string(step), where);
    // NumPy's spacing: the difference of the first two elements as they are rounded.
    const double spacing = (start + step) - start;
    const auto n = static_cast<std::int64_t>(std::max(count, 0.0));
    if (n <= 1) return generate(n, dtype, where, [=](std::int64_t) { return start; });
    if (std::isfinite(count * spacing)) {
        return generate(n, dtype, where,
                        [=](std::int64_t i) { return start + static_cast<double>(i) * spacing; });
    }
    return generate(n, dtype, where, [=](std::int64_t i) {
        return 2 * (start / 2 + static_cast<double>(i) * (spacing / 2));
    });
}

}  // namespace detail

Array linspace(double start, double stop, std::int64_t n, bool endpoint, DType dtype,
               Location where) {
    if (n < 0) {
        throw Error(ErrorKind::usage,
                    "linspace of " + std::to_string(n) + " values: the number cannot be negative",
                    where);
    }
    const bool whole = is_integer(dtype);
    if (whole && !(std::isfinite(start) && std::isfinite(stop))) {
        throw Error(ErrorKind::usage,
                    fmt::format("linspace of {} needs finite ends, not {} and {}", name(dtype),
                                start, stop),
                    where);
    }
    const detail::DefaultEnvironment environment;
    detail::in_order(start), detail::in_order(stop);
    const double intervals = static_cast<double>(endpoint ? n - 1 : n);
    // The distance of finite ends may be over the largest number: then all is halved on the way.
    const bool halved = std::isfinite(start) && std::isfinite(stop) && std::isinf(stop - start);
    const double scale = halved ? 0.5 : 1, back = 1 / scale;
    const double first = start * scale, distance = stop * scale - first;
    const double step = distance / intervals;
    const auto value = [=](std::int64_t i) {
        // A step that underflows to zero would lose the distance.
        const double offset = step == 0 ? static_cast<double>(i) / intervals * distance
                                        : static_cast<double>(i) * step;
        return (offset + first) * back;
    };
    const Array result =
        whole ? generate(n, dtype, where, [=](std::int64_t i) { return std::floor(value(i)); })
              : generate(n, dtype, where, value);
    const auto put = [&](std::int64_t i, double x) {
        result.slice(0, {i, i + 1}).fill(whole ? std::floor(x) : x, where);
    };
    if (endpoint && n > 1) put(n - 1, stop);
    if (n > 0) put(0, start);
    return result;
}

}  // namespace kiln
