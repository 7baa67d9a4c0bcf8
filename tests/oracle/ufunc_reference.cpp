#include "tests/oracle/ufunc_reference.h"

namespace kiln::test {
namespace {

std::size_t place(const Shape& shape, const Shape& index) {
    std::int64_t at = 0;
    for (int d = 0; d < shape.rank(); ++d) at = at * shape[d] + index[d];
    return static_cast<std::size_t>(at);
}

std::size_t count(const Shape& shape) {
    std::size_t n = 1;
    for (const std::int64_t extent : shape) n *= static_cast<std::size_t>(extent);
    return n;
}

}  // namespace

ReferenceArray::ReferenceArray(const Shape& given) : shape(given), elements(count(given)) {}
ReferenceArray::ReferenceArray(const Array& array) : shape(array.shape()) {
    for_each_index(shape, [&](const Shape& index) {
        elements.push_back(array.scalar_at(index).cast(DType::f64).get<double>());
    });
}
double& ReferenceArray::at(const Shape& index) { return elements[place(shape, index)]; }
double ReferenceArray::at(const Shape& index) const { return elements[place(shape, index)]; }

std::vector<ReferenceArray> reference_call(const ReferenceFunction& f, const Shape& shape,
                                           const std::vector<ReferenceArray>& inputs,
                                           const ReferenceArray* mask,
                                           const std::vector<ReferenceArray>& before) {
    std::vector<ReferenceArray> results = before;
    std::vector<double> arguments(inputs.size());
    for_each_index(shape, [&](const Shape& index) {
        if (mask != nullptr && mask->at(index) == 0) return;
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            Shape from = inputs[i].shape;
            const int missing = shape.rank() - from.rank();
            for (int d = 0; d < from.rank(); ++d) from[d] = from[d] == 1 ? 0 : index[d + missing];
            arguments[i] = inputs[i].at(from);
        }
        const std::vector<double> given = f(arguments);
        for (std::size_t o = 0; o < results.size(); ++o) results[o].at(index) = given[o];
    });
    return results;
}

std::optional<ReferenceArray> reference_reduce(const ReferenceUfunc& u, const ReferenceArray& x,
                                               unsigned bits, bool keepdims,
                                               std::optional<double> initial,
                                               const ReferenceArray* mask) {
    if (!initial) initial = u.identity;
    if (mask != nullptr && !initial) return std::nullopt;
    Shape kept, shape;
    bool nothing = false;
    for (int d = 0; d < x.shape.rank(); ++d) {
        const bool reduced = (bits >> d & 1U) != 0;
        nothing = nothing || (reduced && x.shape[d] == 0);
        kept.push_back(reduced ? 1 : x.shape[d]);
        if (!reduced || keepdims) shape.push_back(kept[d]);
    }
    ReferenceArray result(kept);
    if (nothing && !initial) return std::nullopt;
    std::vector<bool> begun(result.elements.size(), initial.has_value());
    if (initial) result.elements.assign(result.elements.size(), *initial);
    for_each_index(x.shape, [&](const Shape& index) {
        if (mask != nullptr && mask->at(index) == 0) return;
        Shape to = index;
        for (int d = 0; d < to.rank(); ++d)
            if ((bits >> d & 1U) != 0) to[d] = 0;
        const std::size_t at = place(kept, to);
        result.elements[at] = begun[at] ? u.f(result.elements[at], x.at(index)) : x.at(index);
        begun[at] = true;
    });
    result.shape = shape;
    return result;
}

ReferenceArray reference_accumulate(const ReferenceUfunc& u, const ReferenceArray& x, int axis) {
    ReferenceArray result = x;
    for_each_index(x.shape, [&](const Shape& index) {
        if (index[axis] == 0) return;
        Shape before = index;
        --before[axis];
        result.at(index) = u.f(result.at(before), x.at(index));
    });
    return result;
}

ReferenceArray reference_reduceat(const ReferenceUfunc& u, const ReferenceArray& x,
                                  const std::vector<std::int64_t>& starts, int axis) {
    Shape shape = x.shape;
    shape[axis] = static_cast<std::int64_t>(starts.size());
    ReferenceArray result(shape);
    for_each_index(shape, [&](const Shape& index) {
        const auto s = static_cast<std::size_t>(index[axis]);
        const std::int64_t last = s + 1 < starts.size() ? starts[s + 1] : x.shape[axis];
        Shape from = index;
        from[axis] = starts[s];
        double value = x.at(from);
        while (++from[axis] < last) value = u.f(value, x.at(from));
        result.at(index) = value;
    });
    return result;
}

ReferenceArray reference_outer(const ReferenceUfunc& u, const ReferenceArray& a,
                               const ReferenceArray& b) {
    Shape shape = a.shape;
    for (const std::int64_t extent : b.shape) shape.push_back(extent);
    ReferenceArray result(shape);
    std::size_t at = 0;
    for (const double x : a.elements)
        for (const double y : b.elements) result.elements[at++] = u.f(x, y);
    return result;
}

void reference_at(const ReferenceUfunc& u, ReferenceArray& x, const ReferenceArray& indices,
                  const ReferenceArray& values) {
    const std::size_t extent = static_cast<std::size_t>(x.shape[0]);
    const std::size_t row = extent == 0 ? 0 : x.elements.size() / extent;
    std::size_t next = 0;
    for (const double given : indices.elements) {
        const auto index =
            static_cast<std::size_t>(given < 0 ? given + static_cast<double>(extent) : given);
        for (std::size_t r = 0; r < row; ++r) {
            double& element = x.elements[index * row + r];
            element = u.f(element, values.elements[next++]);
        }
    }
}

}  // namespace kiln::test
