#include <kiln/shape.h>

#include <limits>

namespace kiln {

std::string to_string(const Shape& shape) {
    std::string text = "(";
    for (int d = 0; d < shape.rank(); ++d) {
        if (d != 0) text += ',';
        text += std::to_string(shape[d]);
    }
    if (shape.rank() == 1) text += ',';
    return text + ')';
}

std::int64_t element_count(const Shape& shape, Location where) {
    // Axes of extent 0 are left out of the product that must fit, as in NumPy: otherwise the
    // strides of a zero-size array could overflow.
    std::int64_t product = 1;
    bool is_empty = false;
    for (const std::int64_t extent : shape) {
        if (extent < 0) {
            throw Error(ErrorKind::shape, "negative extent in shape " + to_string(shape), where);
        }
        if (extent == 0) {
            is_empty = true;
        } else if (__builtin_mul_overflow(product, extent, &product)) {
            throw Error(ErrorKind::shape,
                        "shape " + to_string(shape) + " has more than 2^63 - 1 elements", where);
        }
    }
    return is_empty ? 0 : product;
}

Shape broadcast_shapes(std::span<const Shape> shapes, Location where) {
    Shape result;
    for (const Shape& shape : shapes) {
        if (shape.rank() > result.rank()) {
            Shape wider = Shape::filled(shape.rank(), 1);
            for (int d = 1; d <= result.rank(); ++d)
                wider[wider.rank() - d] = result[result.rank() - d];
            result = wider;
        }
        for (int d = 1; d <= shape.rank(); ++d) {
            std::int64_t& extent = result[result.rank() - d];
            const std::int64_t other = shape[shape.rank() - d];
            if (extent == 1) {
                extent = other;
            } else if (other != 1 && other != extent) {
                // Blame the operand that this one disagrees with, not the shape put together so
                // far.
                for (const Shape& earlier : shapes) {
                    if (d <= earlier.rank() && earlier[earlier.rank() - d] == extent) {
                        detail::throw_cannot_broadcast(earlier, shape, where);
                    }
                }
            }
        }
    }
    return result;
}

Shape broadcast_shapes(std::initializer_list<Shape> shapes, Location where) {
    return broadcast_shapes(std::span<const Shape>(shapes.begin(), shapes.size()), where);
}

bool can_broadcast(const Shape& from, const Shape& to) {
    if (from.rank() > to.rank()) return false;
    for (int d = 1; d <= from.rank(); ++d) {
        const std::int64_t extent = from[from.rank() - d];
        if (extent != 1 && extent != to[to.rank() - d]) return false;
    }
    return true;
}

namespace detail {

void throw_rank_too_high(std::size_t rank) {
    throw Error(ErrorKind::shape, "rank " + std::to_string(rank) + " is over the limit of " +
                                      std::to_string(max_rank) + " axes");
}

void throw_cannot_broadcast(const Shape& a, const Shape& b, Location where) {
    throw Error(ErrorKind::shape, "cannot broadcast " + to_string(a) + " with " + to_string(b),
                where, "extents must be equal or 1, counted from the last axis");
}

void throw_out_of_bounds(const Shape& index, const Shape& shape, Location where) {
    throw Error(ErrorKind::bounds,
                "index " + to_string(index) + " is out of bounds for shape " + to_string(shape),
                where);
}

}  // namespace detail
}  // namespace kiln
