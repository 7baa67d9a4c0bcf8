// The methods of ufuncs by plain indexing: one element after the other, in f64, as slow as it is simple.
#pragma once
#include <kiln/array.h>

#include <functional>
#include <optional>
#include <vector>

namespace kiln::test {

/// A ufunc of two arguments as the reference knows it. All values that tests make are whole numbers
/// that f64 and the dtypes of the calls have, so the order of a tree shows nowhere but in `f` itself.
struct ReferenceUfunc {
    std::function<double(double, double)> f;
    std::optional<double> identity;
};

/// The elements of an array, or of a result.
struct ReferenceArray {
    Shape shape;
    std::vector<double> elements;  ///< in C order

    ReferenceArray() = default;
    explicit ReferenceArray(const Shape& shape);
    explicit ReferenceArray(const Array& array);
    double& at(const Shape& index);
    double at(const Shape& index) const;
};

/// Calls f(index) for every index of the shape, in C order.
template <class F> void for_each_index(const Shape& shape, F&& f) {
    for (const std::int64_t extent : shape)
        if (extent == 0) return;
    Shape index = Shape::filled(shape.rank(), 0);
    for (;;) {
        f(index);
        int d = shape.rank();
        while (d-- > 0 && ++index[d] == shape[d]) index[d] = 0;
        if (d < 0) return;
    }
}

/// Gives the results of one element for its arguments.
using ReferenceFunction = std::function<std::vector<double>(const std::vector<double>&)>;
/// f of every element of inputs that broadcast to `shape`: one array a result. Where the mask, of that
/// shape, is 0, an element is the one of `before`.
std::vector<ReferenceArray> reference_call(const ReferenceFunction& f, const Shape& shape,
                                           const std::vector<ReferenceArray>& inputs,
                                           const ReferenceArray* mask,
                                           const std::vector<ReferenceArray>& before);

/// f over the axes in `bits`, in C order; none where an element of the result is made of nothing.
std::optional<ReferenceArray> reference_reduce(const ReferenceUfunc& u, const ReferenceArray& x,
                                               unsigned bits, bool keepdims,
                                               std::optional<double> initial,
                                               const ReferenceArray* mask);
ReferenceArray reference_accumulate(const ReferenceUfunc& u, const ReferenceArray& x, int axis);
ReferenceArray reference_reduceat(const ReferenceUfunc& u, const ReferenceArray& x,
                                  const std::vector<std::int64_t>& starts, int axis);
ReferenceArray reference_outer(const ReferenceUfunc& u, const ReferenceArray& a,
                               const ReferenceArray& b);
/// x[index along the first axis, ...] = f(x[...], values[...]), one after the other; `values` has the
/// shape of the indices and of the rest of x.
void reference_at(const ReferenceUfunc& u, ReferenceArray& x, const ReferenceArray& indices,
                  const ReferenceArray& values);

}  // namespace kiln::test
