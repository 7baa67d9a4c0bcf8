// How many iterations vector code runs at once:
//
//     kernel (...) reduce {        ->        kernel (...) reduce lanes(8, 4) tail 8 tree(8, 3) {
//
// Of maps, reductions and scans over one dimension, those that a program launches too. The order in
// which reductions and scans combine (ir::Lanes) is decided here, once, and a part of the key;
// lanes/facts.h has the reasons. A device has the order of the widest vectors.
//
// What fills no register is left to single lanes in maps that become part of a loop: rows of a few
// elements take twice the time under masks, whose stores the loads of the next row wait for.
#include "codegen/lanes/facts.h"
#include "codegen/passes/pass.h"
#include "codegen/trees.h"

#include <algorithm>

namespace kiln::codegen {

namespace {

void choose(ir::Kernel& kernel, VectorIsa isa) {
    for (ir::Kernel& k : kernel.outlined) choose(k, isa);
    const auto over_one = [](const ir::Stage& stage) { return stage.extents.size() <= 1; };
    if (!kernel.is_program() && std::ranges::all_of(kernel.stages, over_one))
        kernel.lanes = choose_lanes(kernel, analyse(kernel, isa != VectorIsa::sse2), isa);
    for (const ir::Launch& launch : kernel.launches)
        if (ir::Kernel& k = kernel.outlined[launch.kernel];
            launch.in_place && k.form == ir::Form::map)
            k.lanes.tail = 1;
}

/// Of a device: reductions combine as those of the widest vectors do, a warp beside a step of lanes;
/// of scans a block of threads takes a chunk.
void choose_for_device(ir::Kernel& kernel) {
    for (ir::Kernel& k : kernel.outlined) choose_for_device(k);
    if (kernel.form == ir::Form::reduce) choose(kernel, VectorIsa::avx512);
    if (kernel.form == ir::Form::scan)
        kernel.lanes = {.of_register = tree::device_scan_chunk,
                        .registers = 1,
                        .tail = tree::device_scan_chunk};
}

}  // namespace

ir::Kernel run_lanes(const ir::Kernel& kernel, PassContext& context) {
    ir::Kernel made = kernel;
    if (context.options.target == PassTarget::gpu)
        choose_for_device(made);
    else if (context.options.isa)
        choose(made, *context.options.isa);
    return made;
}

}  // namespace kiln::codegen
