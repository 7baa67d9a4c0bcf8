#include "jit/compile/cost.h"

namespace kiln::engine {

namespace {

/// What a node adds to the time of an iteration, in nanoseconds of one core with AVX2. Rough: it
/// only decides whether threads pay, and where they are cut.
double node_cost(const ir::Kernel& kernel, const ir::Node& node) {
    // Of the caches: where the choice is open, the operands fit them. (tests/bench --crossover.)
    constexpr double per_byte = 0.012;
    const bool wide = size_of(node.dtype) > 4;
    switch (node.kind) {
        case ir::NodeKind::op:
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
        case ir::NodeKind::load:
        case ir::NodeKind::store:
        case ir::NodeKind::atomic: {
            const ir::Param& param = kernel.params[node.aux];
            const double bytes = static_cast<double>(size_of(param.dtype));
            return param.layout == ir::Layout::uniform ? 0 : bytes * per_byte;
        }
        case ir::NodeKind::cast:
        case ir::NodeKind::read:
        case ir::NodeKind::write: return 0.05;
        case ir::NodeKind::call_pure:
        case ir::NodeKind::call: return 5;
        case ir::NodeKind::constant:
        case ir::NodeKind::param:
        case ir::NodeKind::extent:
        case ir::NodeKind::index:
        case ir::NodeKind::contribute:
        case ir::NodeKind::check:
        case ir::NodeKind::branch:
        case ir::NodeKind::loop:
        case ir::NodeKind::loop_while:
        case ir::NodeKind::break_:
        case ir::NodeKind::continue_:
        case ir::NodeKind::return_:
        case ir::NodeKind::whole:
        case ir::NodeKind::fold:
        case ir::NodeKind::permute:
        case ir::NodeKind::assign:
        case ir::NodeKind::allocate: return 0;
    }
    __builtin_unreachable();
}

double block_cost(const ir::Kernel& kernel, ir::Id block) {
    constexpr double repeats = 16;  // of a loop, where nothing is known of it
    if (block == ir::none) return 0;
    double cost = 0;
    for (const ir::Id id : kernel.blocks[block].nodes) {
        const ir::Node& node = kernel.node(id);
        cost += node_cost(kernel, node);
        if (node.kind == ir::NodeKind::branch) {
            cost += block_cost(kernel, node.aux) + block_cost(kernel, node.aux2);
        } else if (node.kind == ir::NodeKind::loop) {
            cost += repeats * block_cost(kernel, node.aux);
        } else if (node.kind == ir::NodeKind::loop_while) {
            cost += repeats * (block_cost(kernel, node.aux) + block_cost(kernel, node.aux2));
        }
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
