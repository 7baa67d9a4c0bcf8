// Computations that a loop repeats with the same operands move before it:
//
//     for %2 = 0 to n parallel {                  %3 = exp %0
//       %3 = exp %0                               for %2 = 0 to n parallel {
//       %4 = load x[%2]                  ->         %4 = load x[%2]
//       %5 = mul %4, %3                             %5 = mul %4, %3
//       store y[%2], %5                             store y[%2], %5
//     }                                           }
//
// Legal where
//  1. the node is an operation or a cast of scalars: pure, and nothing traps, so that it may run
//     where the loop has no iteration;
//  2. its operands are defined outside of the loop, and are no extents of arrays that it makes;
//  3. it stands in the body itself, or in the condition of a while loop, and not in an arm of a
//     branch: what only some iterations compute is not computed for the others;
//  4. the mode is not the checked one, in which a division that runs may be a fault.
// Loads and reads stay, since what they give depends on what is written before them, and so do
// calls of functions of the host. Inner loops come first, so that a node may move through several.
// The pass comes before fusion, which foresees how the lanes of a loop sum from what the loop has
// in it.
#include "codegen/passes/pass.h"
#include "dsl/ir/editor.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

class Licm {
  public:
    Licm(Kernel kernel, PassContext& context)
        : editor_(std::move(kernel)),
          k_(editor_.kernel()),
          context_(context),
          inside_(k_.nodes.size(), none),
          made_(k_.params.size(), none) {}

    Kernel run() {
        for (const Stage& stage : k_.stages) visit(stage.body);
        for (const auto& [node, loop] : moved_) remark(node, loop);
        return editor_.finish();
    }

  private:
    void visit(Id block) {
        std::vector<Id> kept;
        for (const Id id : std::vector(k_.blocks[block].nodes)) {
            const Node n = k_.nodes[id];
            for (const Id inner : blocks_of(n)) visit(inner);
            if (is_loop(n.kind)) {
                mark(id);
                for (const Id inner : blocks_of(n)) hoist(inner, id, kept);
            }
            kept.push_back(id);
        }
        if (kept.size() != k_.blocks[block].nodes.size()) editor_.list(block, std::move(kept));
    }

    /// Notes what is defined in a loop; its own index too.
    void mark(Id loop) {
        walk_node(k_, loop, [&](Id id) {
            inside_[id] = loop;
            const Effects e = effects_of(k_.nodes[id]);
            if (e.any(effect::allocates)) made_[e.array] = loop;
        });
    }

    void hoist(Id block, Id loop, std::vector<Id>& before) {
        std::vector<Id> kept;
        for (const Id id : k_.blocks[block].nodes) {
            const Node& n = k_.nodes[id];
            const bool pure = is_computation(n.kind) && n.rank == 0;
            const bool fixed = std::ranges::all_of(k_.operands_of(n), [&](Id x) {
                const Node& operand = k_.nodes[x];
                if (operand.kind == NodeKind::extent && made_[operand.aux] == loop) return false;
                return inside_[x] != loop;
            });
            if (!pure || !fixed) {
                kept.push_back(id);
                continue;
            }
            inside_[id] = none;
            before.push_back(id);
            moved_[id] = loop;
        }
        if (kept.size() != k_.blocks[block].nodes.size()) editor_.list(block, std::move(kept));
    }

    void remark(Id node, Id loop) {
        const Node& n = k_.nodes[node];
        const Location at = k_.location(n.loc);
        if (at.line == 0 || n.kind == NodeKind::cast) return;
        const bool parallel = k_.nodes[loop].kind == NodeKind::loop && k_.nodes[loop].aux2 != none;
        context_.decisions.done(DecisionKind::hoisted, at,
                                fmt::format("{} out of the {}loop at {}", info(n.op).name,
                                            parallel ? "parallel " : "", line_of(k_, loop)));
    }

    Editor editor_;
    const Kernel& k_;
    PassContext& context_;
    std::vector<Id> inside_;  // per node: the loop being looked at that it is defined in
    std::vector<Id> made_;    // per parameter: the loop being looked at that makes the array
    std::map<Id, Id> moved_;  // node -> the outermost loop that it left
};

}  // namespace

ir::Kernel run_licm(const ir::Kernel& kernel, PassContext& context) {
    return Licm(kernel, context).run();
}

}  // namespace kiln::codegen
