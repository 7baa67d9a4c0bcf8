// Statistics of arrays: means, variances, positions of extremes.
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
/// all numbers. Errors: shape ("attempt to get argmin of an empty sequence"), type (complex
/// numbers).
Array argmin(const Array& x, const PositionOptions& options = {},
             std::source_location where = std::source_location::current());
/// The position of the largest element, with the same rules; a NaN counts as larger.
Array argmax(const Array& x, const PositionOptions& options = {},
             std::source_location where = std::source_location::current());

}  // namespace kiln
