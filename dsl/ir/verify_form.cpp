#include "dsl/ir/verify_form.h"

#include "dsl/ir/combines.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/evaluate.h"
#include "dsl/ir/text_tables.h"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

namespace kiln::ir {
namespace {

struct Violation {
    std::string text;
};

class Forms {
  public:
    explicit Forms(const Kernel& kernel) : k_(kernel) {}

    /// That the stages are those of the kernel's form.
    void check_form() const {
        const auto is = [&](bool holds, std::string_view what) {
            require(holds, [&] {
                return fmt::format("a {} {}", text::form_names[std::size_t(k_.form)], what);
            });
        };
        require(std::size_t(k_.form) < text::form_names.size(),
                [&] { return fmt::format("form {}", unsigned(k_.form)); });
        require(std::size_t(k_.scan) < std::size(reduction_table) &&
                    (k_.form == Form::scan || k_.scan == Reduction::sum),
                [] { return std::string("combines as a scan, and is none"); });
        const Lanes& l = k_.lanes;
        const bool chosen = std::has_single_bit(l.of_register) &&
                            l.of_register <= (k_.form == Form::scan ? 1024 : 64) &&
                            std::has_single_bit(l.registers) && l.registers <= 4;
        is(l == Lanes{} || (chosen && k_.form != Form::program && k_.form != Form::threads),
           "has lanes that no vector unit has");
        const bool combines = k_.form == Form::reduce || k_.form == Form::scan;
        const bool tail = l.tail == 0
                              ? !(combines && chosen)
                              : chosen && std::has_single_bit(l.tail) && l.tail <= l.of_register;
        is(tail && (l.levels != 0) == (chosen && k_.form == Form::reduce) &&
               (l.levels == 0 ? l.fan_in == 0
                              : l.fan_in > 1 && l.fan_in <= 64 && l.levels > 1 && l.levels <= 4),
           "has lanes without the order in which it combines, or one that is none");
        const auto spans = [](const Stage& s) { return !s.extents.empty(); };
        const auto reduces = [](const Stage& s) { return !s.reductions.empty(); };
        const auto& stages = k_.stages;
        switch (k_.form) {
            case Form::map:
                is(std::ranges::all_of(stages, spans), "has a stage without extents");
                is(std::ranges::none_of(stages, reduces), "has a stage with reductions");
                break;
            case Form::reduce: {
                const auto at = std::ranges::find_if(stages, spans);
                is(std::ranges::count_if(stages, spans) == 1 && reduces(*at) &&
                       std::ranges::count_if(stages, reduces) == 1,
                   "has no one stage over extents with reductions");
                is(at - stages.begin() < 2 && stages.end() - at < 3,
                   "has several stages before, or after, that with its reductions");
                break;
            }
            case Form::scan: check_scan(is); break;
            case Form::program:
                is(stages.size() == 1 && !spans(stages[0]) && !reduces(stages[0]),
                   "is not one stage without extents and reductions");
                break;
            case Form::threads:
                is(stages.size() == 1 && !spans(stages[0]) && !reduces(stages[0]) &&
                       k_.parallel_loops.empty(),
                   "is not one stage without extents and reductions, or has parallel loops");
                break;
            case Form::combine: check_combine(is); break;
        }
    }
    template <class F> void check_scan(const F& is) const {
        is(k_.stages.size() == 1 && !k_.stages[0].extents.empty() &&
               k_.stages[0].reductions.empty(),
           "is not one stage over extents without reductions");
        is(k_.params.size() > 1 && k_.params.back().access == Access::out,
           "has no output behind its carry");
        const auto carry = static_cast<std::uint32_t>(k_.params.size() - 2);
        is(k_.params[carry].layout == Layout::uniform &&
               k_.params[carry].dtype == k_.params.back().dtype,
           "has a carry that differs from element to element, or is of another dtype than its "
           "output");
        is(std::ranges::count(k_.params, Access::out, &Param::access) == 1 &&
               std::ranges::none_of(
                   k_.nodes,
                   [&](const Node& n) { return n.kind == NodeKind::load && n.aux == carry; }),
           "has several outputs, or loads its carry");
        is(reduces_into(k_.scan, k_.params.back().dtype), "does not combine its output's dtype");
    }

    template <class F> void check_combine(const F& is) const {
        const std::size_t n = state_size(k_);
        is(n > 0 && k_.params.size() == 3 * n, "has no states of one size");
        for (std::size_t p = 0; p < k_.params.size(); ++p)
            is(k_.params[p].rank == 0 && !k_.params[p].weak &&
                   k_.params[p].dtype == k_.params[p % n].dtype &&
                   k_.params[p].access == (p < 2 * n ? Access::value : Access::out),
               "has states of different dtypes, or values where outputs are");
        is(k_.stages.size() == 2 && k_.prologue == none && k_.slots.empty() &&
               std::ranges::all_of(
                   k_.stages,
                   [](const Stage& s) { return s.extents.empty() && s.reductions.empty(); }),
           "is not two stages without extents and reductions");
        const auto stores = [](const Node& x) { return x.kind == NodeKind::store; };
        is(std::ranges::all_of(k_.nodes,
                               [&](const Node& x) {
                                   return is_leaf(x.kind) || is_computation(x.kind) || stores(x);
                               }),
           "does more than compute");
        for (const Stage& stage : k_.stages)
            for (std::size_t p = 2 * n; p < 3 * n; ++p)
                is(std::ranges::count_if(
                       k_.blocks[stage.body].nodes,
                       [&](Id id) { return stores(k_.nodes[id]) && k_.nodes[id].aux == p; }) == 1,
                   "does not store each value of its result once");
    }

  private:
    template <class F> static void require(bool holds, F&& text) {
        if (!holds) throw Violation{text()};
    }

    const Kernel& k_;
};

}  // namespace

bool reduces_into(Reduction r, DType t) {
    const Rule rule = info(info(r).op).rule;
    return rule == Rule::logical || exact_result(rule, t) == t;
}

std::string wrong_form(const Kernel& kernel) {
    try {
        Forms(kernel).check_form();
    } catch (const Violation& violation) {
        return violation.text;
    }
    return {};
}

}  // namespace kiln::ir
