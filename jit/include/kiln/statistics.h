// Statistics of arrays: means, variances, positions of extremes, quantiles, histograms.
//
// All of them take vectors and spans without a copy, work along any axes, and give the same bits
// for any number of threads. Errors carry the line of the call: bounds (no such axis), usage (an
// axis listed twice; an output that is read-only), shape (an output of another shape), type (a
// dtype that the function does not take; an output that the result does not cast to).
#pragma once
#include <kiln/reduce.h>

namespace kiln {

/// The options of mean, var and standard_deviation, for designated initialisers.
struct MomentOptions {
    Axes axis = {};         ///< all by default
    bool keepdims = false;  ///< reduced axes stay, with extent 1
    /// var and standard_deviation divide by the number of elements less this.
    double ddof = 0;
    /// The dtype that is computed in, real or complex: f64 by default for integers and bool, else
    /// that of the array (f32 for f16 and bf16).
    std::optional<DType> dtype = {};
    OutArg out = {};       ///< of exactly the result's shape; may overlap the array
    bool parallel = true;  ///< large calls are split over threads
};

/// The arithmetic mean: sum / number of elements; NaN where there are none.
Array mean(const Array& x, const MomentOptions& options = {},
           std::source_location where = std::source_location::current());

/// The variance: mean of |x - mean(x)|^2, real also of complex numbers. The array is read once, in
/// chunks whose means and squared deviations are merged (Chan, Golub, LeVeque), so that it neither
/// cancels nor overflows where the mean is large beside the deviations. As NumPy: NaN where there
/// are no elements, infinite or NaN where ddof leaves none to divide by.
Array var(const Array& x, const MomentOptions& options = {},
          std::source_location where = std::source_location::current());
/// sqrt(var(x)): NumPy's std, whose name is taken in C++.
Array standard_deviation(const Array& x, const MomentOptions& options = {},
                         std::source_location where = std::source_location::current());

/// The options of argmin and argmax, for designated initialisers.
struct PositionOptions {
    std::optional<int> axis = {};  ///< none: of all elements, counted in C order
    bool keepdims = false;         ///< reduced axes stay, with extent 1
    OutArg out = {};               ///< of exactly the result's shape
    bool parallel = true;          ///< large calls are split over threads
};

/// The position of the smallest element, i64: the first of equal ones; a NaN counts as smaller than
/// all numbers. Complex numbers are in the order of sort. Errors: shape ("attempt to get argmin of an
/// empty sequence", also where there is no result to find).
Array argmin(const Array& x, const PositionOptions& options = {},
             std::source_location where = std::source_location::current());
/// The position of the largest element, with the same rules; a NaN counts as larger.
Array argmax(const Array& x, const PositionOptions& options = {},
             std::source_location where = std::source_location::current());

/// The options of median, quantile and percentile, for designated initialisers.
struct QuantileOptions {
    Axes axis = {};         ///< all by default
    bool keepdims = false;  ///< reduced axes stay, with extent 1
    OutArg out = {};        ///< of exactly the result's shape; may overlap the array
    bool parallel = true;   ///< large calls are split over threads
};

/// The middle of the sorted elements (as sort has them), the mean of the two in the middle if their number
/// is even; f64 of integers (of their exact values, rounded once) and bool, else the dtype of the
/// array. NaN where there are no elements, or where one is NaN.
Array median(const Array& x, const QuantileOptions& options = {},
             std::source_location where = std::source_location::current());
/// The element at position q * (n - 1) of the n sorted elements, linearly interpolated between its
/// neighbours (an infinite neighbour is the value anywhere between it and a finite one); other
/// rules as of median. Several q give an axis of them before the others. Errors:
/// usage (q outside of [0, 1]), type (complex numbers).
Array quantile(const Array& x, double q, const QuantileOptions& options = {},
               std::source_location where = std::source_location::current());
Array quantile(const Array& x, const std::vector<double>& q, const QuantileOptions& options = {},
               std::source_location where = std::source_location::current());
/// quantile with q in percent, in [0, 100].
Array percentile(const Array& x, double q, const QuantileOptions& options = {},
                 std::source_location where = std::source_location::current());
Array percentile(const Array& x, const std::vector<double>& q, const QuantileOptions& options = {},
                 std::source_location where = std::source_location::current());

/// The options of histogram, for designated initialisers.
struct HistogramOptions {
    /// The lowest and the highest edge; elements outside are not counted. None: the smallest and
    /// the largest element. Where the two are equal they move half a unit apart each, or to the
    /// next numbers where those are further.
    std::optional<std::pair<double, double>> range = {};
    /// What each element counts: of the shape of the array. Counts are then f64.
    std::optional<Array> weights = {};
    /// Counts are divided by their sum and by the widths of the bins, and are f64.
    bool density = false;
    bool parallel = true;  ///< large calls are split over threads
};

/// How many elements lie in each bin, and the edges of the bins: bin i has the elements x with
/// edges[i] <= x < edges[i + 1], the last one also those equal to its right edge. NaN are not
/// counted. Counts are i64, or f64 (see the options); edges are f64; of bins of equal width over
/// f32, f16 or bf16 they are f32. Elements are compared as numbers of the edges' dtype, to which
/// 64-bit integers round.
struct Histogram {
    Array counts, edges;  ///< of the bins, and between which they lie
};

/// A histogram of `bins` bins of equal width. Errors: usage (fewer than one bin; more bins than
/// there are numbers in the range; a range that is not finite, also of elements that are not, or
/// whose ends are swapped), type (complex numbers), shape (weights of another shape).
Histogram histogram(const Array& x, int bins = 10, const HistogramOptions& options = {},
                    std::source_location where = std::source_location::current());
/// A histogram of bins between the given edges, which ascend (`range` is not used). Errors: usage
/// (no edges, or some that do not ascend), type, shape.
Histogram histogram(const Array& x, const std::vector<double>& edges,
                    const HistogramOptions& options = {},
                    std::source_location where = std::source_location::current());

}  // namespace kiln
