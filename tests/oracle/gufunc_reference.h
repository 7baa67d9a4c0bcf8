// Generalised ufuncs by plain indexing: one core at a time, in f64, as slow as it is simple.
#pragma once
#include <kiln/array.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace kiln::test {

/// A core: elements in C order.
struct ReferenceCore {
    std::vector<std::int64_t> shape;
    std::vector<double> elements;
    std::size_t size() const { return elements.size(); }
    double& operator()(std::int64_t i) { return elements[static_cast<std::size_t>(i)]; }
    double& operator()(std::int64_t i, std::int64_t j) { return (*this)(i * shape[1] + j); }
};

/// A generalised ufunc as the reference knows it.
struct ReferenceGufunc {
    std::string signature;
    /// Names of the core dimensions of each operand, inputs first; optional ones end in "?".
    std::vector<std::vector<std::string>> dims;
    std::size_t inputs;
    /// The size of a dimension that no input has.
    std::function<std::int64_t(const std::map<std::string, std::int64_t>&)> computed;
    /// Stores the outputs, which come after the inputs.
    std::function<void(std::vector<ReferenceCore>&)> core;
};

struct ReferenceAxes {
    std::vector<std::vector<int>> axes;  ///< of each operand, or none
    bool keepdims = false;
};

/// The results as f64, in the shapes that a call gives. The call has to be a right one.
std::vector<Array> reference_call(const ReferenceGufunc& f, const std::vector<Array>& inputs,
                                  const ReferenceAxes& axes);

}  // namespace kiln::test
