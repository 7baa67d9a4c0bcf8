// Which loops of a program may store past the caches.
#include "codegen/lanes/vector_loops.h"
#include "dsl/ir/effects.h"

#include <algorithm>

namespace kiln::codegen {
namespace {

using namespace ir;

/// What bodies that are bound by memory have at most, operations.
constexpr unsigned few_operations = 16;

class StreamedLoops {
  public:
    explicit StreamedLoops(const Kernel& kernel) : k_(kernel), touched_(kernel.params.size(), 0) {
        for (const Node& n : kernel.nodes)
            if (const Effects e = effects_of(n); e.any(effect::loads | effect::stores))
                ++touched_[e.array];
    }

    /// Of the nests that stand in no other loop: one that does may come back to the arrays.
    std::vector<StreamedLoop> run() {
        for (const Id id : k_.blocks[k_.stages[0].body].nodes)
            if (k_.nodes[id].kind == NodeKind::loop) try_nest(id);
        return std::move(found_);
    }

  private:
    void try_nest(Id loop) {
        std::vector<Id> loops;
        std::vector<std::uint32_t> arrays;
        unsigned operations = 0;
        bool own = false;
        for (Id next = loop; next != none;) {
            const Node& head = k_.nodes[next];
            const Node& step = k_.nodes[k_.operand(next, 2)];
            const ParallelLoop* parallel = k_.parallel(head);
            if (step.kind != NodeKind::constant || step.imm != 1) return;
            if (parallel != nullptr && !parallel->reductions.empty()) return;
            loops.push_back(next);
            next = none;
            for (const Id id : k_.blocks[head.aux].nodes) {
                const Node& n = k_.nodes[id];
                const Effects e = effects_of(n);
                constexpr effect::Mask inner = effect::counts | effect::in_parallel;
                if (!e.only(effect::loads | effect::stores | inner)) return;
                if (e.any(inner) && next != none) return;
                if (n.kind == NodeKind::op && is_elementary(n.op)) return;
                if (is_computation(n.kind)) ++operations;
                if (e.array != none) arrays.push_back(e.array);
                own =
                    own || (e.any(effect::stores) && is_made_by_kernel(k_.params[e.array].access));
                if (e.any(inner)) next = id;
            }
        }
        if (operations > few_operations || !fills(loops)) return;
        std::ranges::sort(arrays);
        arrays.erase(std::ranges::unique(arrays).begin(), arrays.end());
        found_.push_back({loops.back(), std::move(arrays), own});
    }

    /// Whether there are stores, and each is its array's only access and goes to
    /// another element in each iteration of the nest, along rows.
    bool fills(const std::vector<Id>& loops) const {
        bool any = false;
        for (const Id loop : loops)
            for (const Id id : k_.blocks[k_.nodes[loop].aux].nodes) {
                const Node& n = k_.nodes[id];
                if (n.kind != NodeKind::store) continue;
                any = true;
                const auto at = subscripts_of(k_, n);
                const bool each = std::ranges::all_of(
                    loops, [&](Id index) { return std::ranges::find(at, index) != at.end(); });
                if (!each || touched_[n.aux] != 1 || k_.params[n.aux].layout != Layout::unit ||
                    at.back() != loop)
                    return false;
            }
        return any;
    }

    const Kernel& k_;
    std::vector<unsigned> touched_;  // per parameter: accesses
    std::vector<StreamedLoop> found_;
};

}  // namespace

std::vector<StreamedLoop> find_streamed_loops(const Kernel& kernel) {
    return StreamedLoops(kernel).run();
}

}  // namespace kiln::codegen
