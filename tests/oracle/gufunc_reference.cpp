#include "tests/oracle/gufunc_reference.h"

#include <algorithm>
#include <set>

namespace kiln::test {

namespace {

using Index = std::vector<std::int64_t>;

/// Every index of a shape, in C order.
std::vector<Index> indices_of(const Index& shape) {
    std::vector<Index> all{{}};
    for (const std::int64_t extent : shape) {
        std::vector<Index> longer;
        for (const Index& index : all)
            for (std::int64_t i = 0; i < extent; ++i) {
                longer.push_back(index);
                longer.back().push_back(i);
            }
        all = std::move(longer);
    }
    return all;
}

/// Which axes of an operand are its core's, in the order of the signature, and which are the loop's.
struct Split {
    std::vector<int> core, loop;
};
Split split(int rank, std::size_t core, const std::vector<int>* given) {
    Split s;
    for (std::size_t k = 0; k < core; ++k) {
        const int axis =
            given != nullptr ? (*given)[k] : static_cast<int>(k) - static_cast<int>(core);
        s.core.push_back(axis < 0 ? axis + rank : axis);
    }
    for (int d = 0; d < rank; ++d)
        if (std::ranges::find(s.core, d) == s.core.end()) s.loop.push_back(d);
    return s;
}

bool is_optional(const std::string& name) { return name.back() == '?'; }

}  // namespace

std::vector<Array> reference_call(const ReferenceGufunc& f, const std::vector<Array>& inputs,
                                  const ReferenceAxes& axes) {
    std::set<std::string> missing;
    const auto present = [&](std::size_t operand) {
        std::vector<std::string> names;
        for (const std::string& name : f.dims[operand])
            if (!missing.contains(name)) names.push_back(name);
        return names;
    };
    for (std::size_t i = 0; i < f.inputs; ++i)
        for (const std::string& name : f.dims[i])
            if (static_cast<std::size_t>(inputs[i].rank()) < present(i).size() && is_optional(name))
                missing.insert(name);

    const auto given = [&](std::size_t operand) {
        return operand < axes.axes.size() ? &axes.axes[operand] : nullptr;
    };
    std::map<std::string, std::int64_t> sizes;
    std::vector<Split> splits;
    std::size_t loop_rank = 0;
    for (std::size_t i = 0; i < f.inputs; ++i) {
        const std::vector<std::string> names = present(i);
        splits.push_back(split(inputs[i].rank(), names.size(), given(i)));
        for (std::size_t k = 0; k < names.size(); ++k)
            sizes[names[k]] = inputs[i].extent(splits[i].core[k]);
        loop_rank = std::max(loop_rank, splits[i].loop.size());
    }
    Index loop(loop_rank, 1);
    for (std::size_t i = 0; i < f.inputs; ++i)
        for (std::size_t d = 0; d < splits[i].loop.size(); ++d) {
            const std::int64_t extent = inputs[i].extent(splits[i].loop[d]);
            if (extent != 1) loop[loop_rank - splits[i].loop.size() + d] = extent;
        }
    for (const std::string& name : missing) sizes[name] = 1;
    const auto size_of_dim = [&](const std::string& name) {
        const auto known = sizes.find(name);
        return known != sizes.end() ? known->second : f.computed(sizes);
    };

    std::vector<Array> results;
    std::vector<Split> outputs;
    for (std::size_t o = f.inputs; o < f.dims.size(); ++o) {
        const std::vector<std::string> names = present(o);
        const std::size_t kept = axes.keepdims ? splits[0].core.size() : names.size();
        const int rank = static_cast<int>(loop_rank + kept);
        const std::vector<int>* places = given(o);
        if (axes.keepdims && places == nullptr) places = given(0);
        outputs.push_back(split(rank, kept, places));
        Shape shape = Shape::filled(rank, 1);
        for (std::size_t d = 0; d < loop_rank; ++d) shape[outputs.back().loop[d]] = loop[d];
        for (std::size_t k = 0; k < names.size(); ++k)
            shape[outputs.back().core[k]] = size_of_dim(names[k]);
        results.push_back(zeros(shape, DType::f64));
    }

    for (const Index& at : indices_of(loop)) {
        std::vector<ReferenceCore> cores;
        for (std::size_t i = 0; i < f.dims.size(); ++i) {
            ReferenceCore core;
            for (const std::string& name : f.dims[i]) core.shape.push_back(size_of_dim(name));
            const Array& array = i < f.inputs ? inputs[i] : results[i - f.inputs];
            const Split& s = i < f.inputs ? splits[i] : outputs[i - f.inputs];
            // Missing dimensions have one index, 0, and no axis.
            const auto element = [&](const Index& in_core) {
                Shape index = Shape::filled(array.rank(), 0);
                const std::size_t offset = loop_rank - s.loop.size();
                for (std::size_t d = 0; d < s.loop.size(); ++d)
                    index[s.loop[d]] = array.extent(s.loop[d]) == 1 ? 0 : at[offset + d];
                for (std::size_t k = 0, axis = 0; k < f.dims[i].size(); ++k)
                    if (!missing.contains(f.dims[i][k])) index[s.core[axis++]] = in_core[k];
                return index;
            };
            for (const Index& in_core : indices_of(core.shape))
                core.elements.push_back(
                    array.scalar_at(element(in_core)).cast(DType::f64).get<double>());
            cores.push_back(std::move(core));
        }
        f.core(cores);
        for (std::size_t o = 0; o < outputs.size(); ++o) {
            const std::size_t i = f.inputs + o;
            std::size_t next = 0;
            for (const Index& in_core : indices_of(cores[i].shape)) {
                Shape index = Shape::filled(results[o].rank(), 0);
                for (std::size_t d = 0; d < loop_rank; ++d) index[outputs[o].loop[d]] = at[d];
                for (std::size_t k = 0, axis = 0; k < f.dims[i].size(); ++k)
                    if (!missing.contains(f.dims[i][k]))
                        index[outputs[o].core[axis++]] = in_core[k];
                results[o].at<double>(index) = cores[i].elements[next++];
            }
        }
    }
    return results;
}

}  // namespace kiln::test
