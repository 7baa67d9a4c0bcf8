// Internal to codegen/cuda: what reductions of all forms share: totals and how they combine.
#pragma once
#include "codegen/cuda/kernel_text.h"
#include "dsl/ir/ir.h"

#include <functional>

namespace kiln::codegen {

class ReducingText : protected KernelText {
  protected:
    using KernelText::KernelText;

    /// The reductions of a stage or loop, whose states combine by functions of this kernel. They
    /// are called by `name` and a number.
    void set_totals(const std::vector<ir::StageReduction>& reductions);
    void contribute(ir::Id id, const ir::Node& n) override;
    std::string_view end_of_iteration(bool in_loop) const override;

    /// How a total is called at some place, by its number.
    using Name = std::function<std::string(std::size_t)>;
    std::string variable(std::size_t total) const;
    /// The array in which threads of a block leave theirs.
    std::string shared(std::size_t total) const { return variable(total) + "_shared"; }
    std::string partials(std::size_t total) const { return variable(total) + "_partials"; }
    /// T s = what changes nothing;
    void declare_neutral();
    /// first = first op second, for each total; states together.
    void combine(const Name& first, const Name& second);
    /// const auto row = [&](long long i, const T x_i, T& s) { body };
    void open_row(std::string_view name, const std::vector<std::uint32_t>& own_slots);
    std::string row_arguments() const;
    void declare_shared(std::int64_t elements);
    /// Adjacent pairs of `count` elements of the shared arrays, level by level, into the first.
    void combine_shared_pairs();
    /// Says by_shuffles, which fold asks for: how many elements a warp's first level by shuffles leaves.
    void declare_shuffles();
    /// The upper halves of the shared arrays to the lower ones, from `width` elements on to `last`.
    void fold(std::int64_t width, std::int64_t last);
    Name own() const {
        return [this](std::size_t t) { return variable(t); };
    }
    Name element_of_shared(std::string at) const {
        return [this, at](std::size_t t) { return fmt::format("{}[{}]", shared(t), at); };
    }
    /// s_shared[at] = s, for each total.
    void leave(std::string_view at) {
        for (std::size_t t = 0; t < totals_.size(); ++t)
            line("{}[{}] = {};", shared(t), at, variable(t));
    }
    void synchronise() { line("__syncthreads();"); }
    std::vector<CudaParameter> partials_parameters() const;

    /// The device functions that combine states, and the function of role `pairs`.
    std::string combine_functions();
    CudaTexts pairs_function();

    struct Total {
        ir::Reduction reduction = ir::Reduction::sum;
        std::uint32_t combine = ir::none;
        std::uint32_t slot = 0;
        DType dtype = DType::f64;
    };
    std::vector<Total> totals_;

  private:
    /// Whether lanes of a warp can give all totals to each other.
    bool can_shuffle() const;
    /// T s = s_shared[at];
    void take_shared(std::string_view at);
    /// const T s_other = that of the lane `width` further on.
    void shuffle();
    Name other() const {
        return [this](std::size_t t) { return variable(t) + "_other"; };
    }
};

}  // namespace kiln::codegen
