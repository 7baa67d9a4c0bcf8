#include "jit/compile/cost.h"

#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

namespace kiln::engine {

namespace {

/// What a node adds to the time of an iteration, in nanoseconds of one core with AVX2. Rough: it
/// only decides whether threads pay, and where they are cut.
double node_cost(const ir::Kernel& kernel, const ir::Node& node) {
    // Of the caches: where the choice is open, the operands fit them. (tests/bench --crossover.)
    constexpr double per_byte = 0.012;
    const bool wide = size_of(node.dtype) > 4;
    if (node.kind == ir::NodeKind::op) {
        if (ir::is_elementary(node.op)) return wide ? 1.4 : 0.5;  // inlined
        switch (node.op) {
            case ir::Op::div:
            case ir::Op::rem:
            case ir::Op::true_divide:
            case ir::Op::floor_divide:
            case ir::Op::mod:
            case ir::Op::fmod:
            case ir::Op::sqrt: return is_integer(node.dtype) ? 1 : wide ? 0.7 : 0.2;
            default: return wide ? 0.1 : 0.05;
        }
    }
    const ir::Effects e = ir::effects_of(node);
    if (e.any(ir::effect::calls | ir::effect::calls_pure)) return 5;
    if (e.any(ir::effect::loads | ir::effect::stores)) {
        const ir::Param& param = kernel.params[e.array];
        const double bytes = static_cast<double>(size_of(param.dtype));
        return param.layout == ir::Layout::uniform ? 0 : bytes * per_byte;
    }
    return node.kind == ir::NodeKind::cast || e.slot != ir::none ? 0.05 : 0;
}

double block_cost(const ir::Kernel& kernel, ir::Id block) {
    constexpr double repeats = 16;  // of a loop, where nothing is known of it
    double cost = 0;
    for (const ir::Id id : kernel.blocks[block].nodes) {
        const ir::Node& node = kernel.node(id);
        cost += node_cost(kernel, node);
        for (const ir::Id inner : ir::blocks_of(node))
            cost += (ir::is_loop(node.kind) ? repeats : 1) * block_cost(kernel, inner);
    }
    return cost;
}

}  // namespace

double estimate_cost(const ir::Kernel& kernel) {
    double cost = 0;
    for (const ir::Stage& stage : kernel.stages) cost += block_cost(kernel, stage.body);
    return cost;
}

}  // namespace kiln::engine
