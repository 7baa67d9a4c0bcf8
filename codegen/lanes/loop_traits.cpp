// What of a program decides which of LLVM's passes its functions need.
#include "codegen/lanes/loop_traits.h"
#include "codegen/analysis/loop_facts.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace kiln::codegen {

using ir::Id;
using ir::Node;
using ir::NodeKind;

namespace {

struct Access {
    Id node;
    bool stores;
};

class Finder {
  public:
    explicit Finder(const ir::Kernel& kernel) : kernel_(kernel) {
        traits_.loop_of.assign(kernel.nodes.size(), ir::none);
        traits_.carries.assign(kernel.nodes.size(), false);
        traits_.scatters.assign(kernel.nodes.size(), false);
    }

    LoopTraits find() {
        ir::walk(kernel_, [&](Id id, const ir::Around& around) { note(id, around.loop); });
        find_loaded_subscripts();
        return std::move(traits_);
    }

  private:
    void note(Id id, Id loop) {
        traits_.loop_of[id] = loop;
        if (loop != ir::none)
            traits_.carries[loop] = traits_.carries[loop] || meets_another(id, loop);
    }

    /// Whether the loop accesses the array of `id` at other subscripts, and one of the two stores.
    bool meets_another(Id id, Id loop) {
        const Node& n = kernel_.nodes[id];
        const ir::Effects e = ir::effects_of(n);
        const bool local = e.slot != ir::none;
        if (!e.any(ir::effect::accesses) || !e.only(ir::effect::accesses) ||
            (local && kernel_.slots[n.aux].length <= 1))
            return false;
        const bool stores = e.any(ir::effect::stores | ir::effect::writes);
        const auto at = [&](Id access) {
            return ir::subscripts_of(kernel_, kernel_.nodes[access]);
        };
        auto& others = accesses_[{loop, local, n.aux}];
        const bool met = std::ranges::any_of(others, [&](const Access& other) {
            return (stores || other.stores) && !std::ranges::equal(at(id), at(other.node));
        });
        others.push_back({id, stores});
        return met;
    }

    void find_loaded_subscripts() {
        std::vector<bool> loaded(kernel_.nodes.size(), false), no(kernel_.nodes.size(), false);
        for (Id id = 0; id < kernel_.nodes.size(); ++id) {
            const Node& n = kernel_.nodes[id];
            const Id loop = traits_.loop_of[id];
            const auto operands = kernel_.operands_of(id);
            const auto depends = [&](Id x) { return x < id && loaded[x]; };
            const bool any = std::ranges::any_of(operands, depends);
            loaded[id] = n.kind == NodeKind::load || any;
            const bool loads =
                n.kind == NodeKind::load || (n.kind == NodeKind::launch && loads_at(id, depends));
            traits_.loads_subscripts = traits_.loads_subscripts || (loads && any);
            if (loop == ir::none) continue;
            if (n.kind == NodeKind::store) {
                const auto subscripts = operands.first(operands.size() - 1);
                if (std::ranges::any_of(subscripts, depends))
                    traits_.scatters[loop] = true;
                else
                    no[loop] = true;
            }
            if (n.kind == NodeKind::op && is_slow(n.op)) no[loop] = true;
        }
        for (Id loop = 0; loop < no.size(); ++loop)
            if (no[loop]) traits_.scatters[loop] = false;
    }

    /// Whether a launch reads an array at subscripts that depend on what was loaded.
    template <class F> bool loads_at(Id id, const F& depends) const {
        const ir::Launch& launch = kernel_.launches[kernel_.nodes[id].aux];
        auto x = kernel_.operands_of(id).subspan(3);
        for (std::size_t p = 0; p < launch.arguments.size(); ++p) {
            const ir::Argument& a = launch.arguments[p];
            const bool in = kernel_.outlined[launch.kernel].params[p].access == ir::Access::in;
            const auto own = x.first(a.operands());
            if (a.is_element() && in && std::ranges::any_of(own, depends)) return true;
            x = x.subspan(a.operands());
        }
        return false;
    }

    const ir::Kernel& kernel_;
    LoopTraits traits_;
    /// By loop, and by array: whether it is the program's own, and its number.
    std::map<std::tuple<Id, bool, std::uint32_t>, std::vector<Access>> accesses_;
};

}  // namespace

bool LoopTraits::is_invariant_branch(const ir::Kernel& kernel, Id branch) const {
    const Id loop = loop_of[branch], condition = kernel.operand(branch, 0);
    return loop != ir::none &&
           (ir::is_leaf(kernel.nodes[condition].kind) || loop_of[condition] != loop);
}

LoopTraits find_loop_traits(const ir::Kernel& kernel) { return Finder(kernel).find(); }

}  // namespace kiln::codegen
