// Sorting along an axis.
#pragma once
#include <kiln/arguments.h>

#include <optional>
#include <source_location>

namespace kiln {

/// The options of sort and argsort, for designated initialisers.
struct SortOptions {
    /// Negative ones count from the last axis. std::nullopt: the elements in C order, as one row.
    std::optional<int> axis = -1;
    OutArg out = {};       ///< of exactly the result's shape; sort may be given its own array
    bool parallel = true;  ///< large calls are split over threads
};

/// The elements in ascending order along an axis, in a new array. NaN come last; complex numbers
/// are ordered by real part, then by imaginary part; -0 stands before +0.
///
/// Errors carry the line of the call: bounds (no such axis), shape (an output of another shape),
/// usage (an output that is read-only), type (an output that the result does not cast to).
Array sort(const Array& x, const SortOptions& options = {},
           std::source_location where = std::source_location::current());
/// The positions, i64, that put the elements in ascending order; equal elements stay in order.
Array argsort(const Array& x, const SortOptions& options = {},
              std::source_location where = std::source_location::current());

}  // namespace kiln
