// Arrays whose elements are on the device.
#pragma once
#include <kiln/array.h>

namespace kiln::device {

/// Uninitialised, in C order, for the stream of this thread. Errors: device.
Array make_array(const Shape& shape, DType dtype, Location where);
/// Takes a block of the device's memory over, for elements in C order.
Array array_over(std::byte* block, const Shape& shape, DType dtype, Location where);

/// What Array::copy and Array::assign are where a device has a part in it.
Array copied(const Array& array, Order order, Location where);
void assign(const Array& to, const Array& from, Location where);

}  // namespace kiln::device
