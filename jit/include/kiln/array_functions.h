// NumPy's functions that put arrays together, and take elements from them by index or mask. Results are
// new arrays in C order; vectors and spans convert to Array without a copy.
#pragma once
#include <kiln/arguments.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <source_location>
#include <span>

namespace kiln {

/// The options of concatenate, for designated initialisers.
struct ConcatenateOptions {
    int axis = 0;           ///< negative ones count from the last axis
    bool new_axis = false;  ///< the arrays lie along an axis of their own: NumPy's stack
};

/// The arrays one after the other along an axis, in the dtype that they promote to. Errors: usage (no
/// arrays), bounds (no such axis), shape (ranks, or extents along other axes, that differ).
Array concatenate(std::span<const Array> arrays, const ConcatenateOptions& options = {},
                  std::source_location where = std::source_location::current());
inline Array concatenate(std::initializer_list<Array> arrays,
                         const ConcatenateOptions& options = {},
                         std::source_location where = std::source_location::current()) {
    return concatenate(std::span(arrays.begin(), arrays.size()), options, where);
}

/// Every element `count` times, along an axis or (std::nullopt) of the elements in C order. Errors: usage
/// (a negative count), bounds (no such axis).
Array repeat(const Array& x, std::int64_t count, std::optional<int> axis = {},
             std::source_location where = std::source_location::current());

/// The elements at `indices`, integers of any shape, along an axis, whose place their axes take; or
/// (std::nullopt) of the elements in C order. Negative indices count from the end. Errors: type (indices
/// that are no integers), bounds (no such axis or element).
Array take(const Array& x, const Array& indices, std::optional<int> axis = {},
           std::source_location where = std::source_location::current());
/// Stores `values`, which broadcast to the shape of the indices, at these places of the elements in C
/// order, one after the other: of repeated indices the last one counts. Errors: as of take; usage (an array
/// that is read-only or broadcast), shape, type (values that do not cast under same_kind).
void put(const Array& x, const Array& indices, const Array& values,
         std::source_location where = std::source_location::current());
/// The elements where `mask` is true, in C order; `mask` has the shape of x. With an axis, the slices along it
/// where a mask of its extent is true. Errors: type (a mask that is not bool), shape, bounds (no such axis).
Array compress(const Array& mask, const Array& x, std::optional<int> axis = {},
               std::source_location where = std::source_location::current());
/// The indices of the elements that are not 0, in C order: i64, a row for each element.
Array argwhere(const Array& x, std::source_location where = std::source_location::current());

/// x with two axes exchanged: a view. Errors: bounds (no such axis).
Array swapaxes(const Array& x, int a, int b,
               std::source_location where = std::source_location::current());

/// Ones on a diagonal, `offset` above the main one, else zeros. Errors: shape (a negative extent).
Array eye(std::int64_t rows, std::optional<std::int64_t> columns = {}, std::int64_t offset = 0,
          DType dtype = DType::f64, std::source_location where = std::source_location::current());

}  // namespace kiln
