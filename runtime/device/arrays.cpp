#include "runtime/device/arrays.h"

#include "runtime/device/at_line.h"
#include "runtime/device/memory.h"

#include <algorithm>
#include <memory>
#include <optional>

#include <fmt/format.h>

namespace kiln {

namespace {

/// The block that elements are in, where kiln has it.
const std::byte* block_of(const Array& array) {
    return static_cast<const std::byte*>(array.owner().get());
}

Array to_device(const Array& array, Location where) {
    const Array elements = array.contiguous(where);
    const Array made = device::make_array(array.shape(), array.dtype(), where);
    device::Device::get().write(made.address(), elements.data(),
                                static_cast<std::size_t>(elements.nbytes()));
    return made;
}

/// With gaps, all bytes between the first and the last element come along.
Array to_host(const Array& array, Location where) {
    device::Device& device = device::Device::get();
    device::note_use(block_of(array));
    const auto [low, high] = byte_extent(array);
    const bool whole = array.is_contiguous();
    const Array bytes = whole ? empty(array.shape(), array.dtype(), Order::c, where)
                              : empty(Shape{high - low}, DType::u8, Order::c, where);
    device.read(bytes.data(), low, static_cast<std::size_t>(bytes.nbytes()));
    if (whole) return bytes;
    return Array::from_memory(bytes.data() + (array.address() - low), array.dtype(), array.shape(),
                              array.strides(), bytes.owner(), true, where)
        .copy(Order::c, where);
}

}  // namespace

Array Array::to(Place place, Location where) const {
    if (place == place_) return *this;
    return device::at_line(where, [&] {
        return place.is_host() ? kiln::to_host(*this, where) : to_device(*this, where);
    });
}

namespace device {

Array array_over(std::byte* block, const Shape& shape, DType dtype, Location where) {
    constexpr auto release = [](std::byte* memory) { deallocate(memory); };
    std::unique_ptr<std::byte, decltype(release)> owner(block);
    return Array::from_device_memory(block, dtype, shape,
                                     Array::c_strides(shape, size_of(dtype), where),
                                     std::move(owner), true, where);
}

Array make_array(const Shape& shape, DType dtype, Location where) {
    std::int64_t bytes = static_cast<std::int64_t>(size_of(dtype));
    Array::c_strides(shape, size_of(dtype), where);  // checks the size
    for (const std::int64_t extent : shape) bytes *= extent;
    return at_line(where, [&] {
        return array_over(allocate(static_cast<std::size_t>(std::max<std::int64_t>(bytes, 1))),
                          shape, dtype, where);
    });
}

Array copied(const Array& array, Order order, Location where) {
    if (!array.is_contiguous() || (order == Order::fortran && !array.is_fortran()))
        throw Error(ErrorKind::unsupported,
                    fmt::format("a copy on a device of elements with gaps or in another order: "
                                "shape {}, strides {}",
                                to_string(array.shape()), to_string(array.strides())),
                    where, "a kernel copies them; to_host().copy() does on the host");
    return at_line(where, [&] {
        const Array made = make_array(array.shape(), array.dtype(), where);
        note_use(block_of(array));
        Device::get().copy(made.address(), array.address(),
                           static_cast<std::size_t>(array.nbytes()));
        return made;
    });
}

void assign(const Array& to, const Array& from, Location where) {
    if (to.shape() != from.shape() || to.dtype() != from.dtype() || !to.is_contiguous() ||
        !from.is_contiguous())
        throw Error(
            ErrorKind::usage,
            fmt::format("{} of shape {} on {} can't be assigned to {} of shape {} on {}",
                        name(from.dtype()), to_string(from.shape()), to_string(from.place()),
                        name(to.dtype()), to_string(to.shape()), to_string(to.place())),
            where, "to and from a device, both have one dtype and shape, and no gaps");
    at_line(where, [&] {
        Device& device = Device::get();
        const auto bytes = static_cast<std::size_t>(to.nbytes());
        if (from.place().is_host()) {
            note_use(block_of(to));
            device.write(to.address(), from.data(), bytes);
        } else if (to.place().is_host()) {
            note_use(block_of(from));
            device.read(to.data(), from.address(), bytes);
        } else {
            note_use(block_of(to));
            note_use(block_of(from));
            std::optional<Block>
                between;  // the device's copies are of memory that does not overlap
            const std::byte* source = from.address();
            if (may_share_memory(to, from)) {
                between.emplace(bytes);
                device.copy(between->data(), source, bytes);
                source = between->data();
            }
            device.copy(to.address(), source, bytes);
        }
    });
}

}  // namespace device
}  // namespace kiln
