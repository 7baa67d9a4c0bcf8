// Scans: running sums, products and extremes along an axis.
#pragma once
#include <kiln/reduce.h>

namespace kiln {

/// The options of a scan, for designated initialisers: cumsum(x, {.axis = 1, .reverse = true}).
struct ScanOptions {
    /// Negative ones count from the last axis. None: the elements in C order, as one row.
    std::optional<int> axis = {};
    /// Element i combines the elements before it, without its own; the first one is the identity:
    /// 0 of sums, 1 of products, the opposite extreme of extremes.
    bool exclusive = false;
    bool reverse = false;  ///< from the last element to the first
    /// The dtype that is accumulated in (f16 and bf16 in f32) and of the result.
    std::optional<DType> dtype = {};
    OutArg out = {};       ///< of exactly the result's shape; may be or overlap the array
    bool parallel = true;  ///< large calls are split over threads
};

/// Running results of a reduction: element i combines the elements up to i along the axis. The
/// result has the shape of `x` (one row if no axis is named) and the dtype of the reduction's:
/// sums and products of bool and small integers are 64 bits wide.
///
/// Elements combine over a tree that shapes, strides and the kind of CPU alone determine, so a
/// result has the same bits for every number of threads. Along a contiguous axis real numbers
/// round differently than one after the other would (less, in general), and a running sum of
/// numbers >= 0 may step back by its last bit; along other axes it is one after the other.
///
/// Errors carry the line of the call: bounds (no such axis), shape (an output of another shape),
/// usage (an output that is read-only), type (a dtype that the reduction does not take; casting).
Array scan(Reduce reduction, const Array& x, const ScanOptions& options = {},
           std::source_location where = std::source_location::current());

/// A generated text of scan(reduction, x) for arrays of this type, compiling it where needed: that
/// of rows, in which the axis is contiguous. Errors: as of a scan; unsupported (the CPU has no such
/// text).
std::string inspect_scan(Reduce reduction, Artifact artifact, const ArgType& type,
                         std::source_location where = std::source_location::current());
/// Running sums and products along an axis. Errors: as of scan.
Array cumsum(const Array& x, const ScanOptions& options = {},
             std::source_location where = std::source_location::current());
Array cumprod(const Array& x, const ScanOptions& options = {},
              std::source_location where = std::source_location::current());
/// The smallest so far; NaN from the first NaN on.
Array cummin(const Array& x, const ScanOptions& options = {},
             std::source_location where = std::source_location::current());
/// The largest so far; NaN from the first NaN on.
Array cummax(const Array& x, const ScanOptions& options = {},
             std::source_location where = std::source_location::current());

}  // namespace kiln
