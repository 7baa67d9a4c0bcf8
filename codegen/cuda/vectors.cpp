// Vectors of the elements of adjacent iterations: what texts of maps and of rows of reductions share.
#include "codegen/cuda/kernel_text.h"

#include <algorithm>

namespace kiln::codegen {

using namespace ir;

bool KernelText::find_wide(Id body, std::initializer_list<std::int64_t> divides) {
    std::vector<bool> values;
    for (std::size_t p = 0; p < params_.size(); ++p) values.push_back(is_value(p));
    wide_ = wide_accesses(kernel_, body, values);
    const auto fits = [&](std::int64_t n) { return wide_.width != 0 && n % wide_.width == 0; };
    if (!std::ranges::all_of(divides, fits)) wide_ = {};
    for (const WideArray& a : wide_.arrays) {
        elements_[a.param] = unique(params_[a.param] + "_i");
        vectors_[a.param] = unique(fmt::format("{}_{}", params_[a.param], wide_.width));
        uses_[a.param].data = true;
    }
    return wide_.width != 0;
}

std::string KernelText::element_parameters() const {
    std::string list;
    for (const WideArray& a : wide_.arrays) {
        const std::string_view type = stored(kernel_.params[a.param].dtype);
        list += a.written ? fmt::format(", {}& {}", type, elements_[a.param])
                          : fmt::format(", const {} {}", type, elements_[a.param]);
    }
    return list;
}

std::string KernelText::elements(std::string_view i) const {
    std::string list;
    for (const WideArray& a : wide_.arrays) list += fmt::format(", {}[{}]", params_[a.param], i);
    return list;
}

std::string KernelText::elements_of_vectors(std::string_view j) const {
    std::string list;
    for (const WideArray& a : wide_.arrays) list += fmt::format(", {}.at[{}]", vector(a), j);
    return list;
}

std::string KernelText::are_aligned() const {
    std::string all;
    for (const WideArray& a : wide_.arrays)
        all += fmt::format("{}kiln_is_aligned<{}, {}>({})", all.empty() ? "" : " && ",
                           stored(kernel_.params[a.param].dtype), wide_.width, params_[a.param]);
    return all;
}

std::string KernelText::vector_type(const WideArray& a) const {
    return fmt::format("kiln_vector<{}, {}>", stored(kernel_.params[a.param].dtype), wide_.width);
}

void KernelText::load_vectors(std::string_view number) {
    for (const WideArray& a : wide_.arrays) {
        const std::string type = vector_type(a);
        if (!a.read)
            line("{} {};", type, vector(a));
        else
            line("{}{} {} = ((const {}*){})[{}];", a.written ? "" : "const ", type, vector(a), type,
                 params_[a.param], number);
    }
}

void KernelText::store_vectors(std::string_view number) {
    for (const WideArray& a : wide_.arrays)
        if (a.written)
            line("(({}*){})[{}] = {};", vector_type(a), params_[a.param], number, vector(a));
}

}  // namespace kiln::codegen
