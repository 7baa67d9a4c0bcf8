// How many iterations vector code runs at once:
//
//     kernel (...) reduce {        ->        kernel (...) reduce lanes(8, 4) {
//
// Of maps, reductions and scans over one dimension, those that a program launches too. The order in
// which a reduction combines follows from its lanes, so that this is decided here, once, and a part
// of the key; lanes/facts.h has the reasons.
#include "codegen/lanes/facts.h"
#include "codegen/passes/pass.h"

#include <algorithm>

namespace kiln::codegen {

static void choose(ir::Kernel& kernel, VectorIsa isa) {
    std::size_t accumulators = 0;
    for (const ir::Stage& stage : kernel.stages) {
        if (stage.extents.size() > 1) return;
        accumulators += stage.reductions.size();
    }
    const LaneChoice choice =
        choose_lanes(analyse(kernel, isa != VectorIsa::sse2), accumulators, isa);
    kernel.lanes = {choice.lanes, choice.registers};
}

ir::Kernel run_lanes(const ir::Kernel& kernel, PassContext& context) {
    ir::Kernel made = kernel;
    if (!context.options.isa) return made;
    if (made.is_program())
        for (ir::Kernel& k : made.outlined) choose(k, *context.options.isa);
    else
        choose(made, *context.options.isa);
    return made;
}

}  // namespace kiln::codegen
