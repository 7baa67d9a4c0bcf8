// How many iterations vector code runs at once:
//
//     kernel (...) reduce {        ->        kernel (...) reduce lanes(8, 4) tail 8 tree(8, 3) {
//
// Of maps, reductions and scans over one dimension, those that a program launches too. The order in
// which reductions and scans combine (ir::Lanes) is decided here, once, and a part of the key;
// lanes/facts.h has the reasons.
#include "codegen/lanes/facts.h"
#include "codegen/passes/pass.h"

#include <algorithm>

namespace kiln::codegen {

static void choose(ir::Kernel& kernel, VectorIsa isa) {
    for (ir::Kernel& k : kernel.outlined) choose(k, isa);
    const auto over_one = [](const ir::Stage& stage) { return stage.extents.size() <= 1; };
    if (!kernel.is_program() && std::ranges::all_of(kernel.stages, over_one))
        kernel.lanes = choose_lanes(kernel, analyse(kernel, isa != VectorIsa::sse2), isa);
}

ir::Kernel run_lanes(const ir::Kernel& kernel, PassContext& context) {
    ir::Kernel made = kernel;
    if (context.options.isa) choose(made, *context.options.isa);
    return made;
}

}  // namespace kiln::codegen
