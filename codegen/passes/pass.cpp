#include "codegen/passes/pass.h"

#include "dsl/ir/text.h"

namespace kiln::codegen {
namespace {

using Pass = ir::Kernel (*)(const ir::Kernel&, PassContext&);

ir::Kernel step(std::string_view name, Pass pass, ir::Kernel before, PassContext& context) {
    ir::Kernel after = pass(before, context);
    if (context.options.verify) {
        if (const std::string wrong = ir::verify(after); !wrong.empty())
            throw Error(ErrorKind::internal,
                        "pass " + std::string(name) + " broke the kernel: " + wrong);
    }
    // Passes renumber nodes freely, so a change is one that shows in the text.
    if (context.observer && ir::print(before) != ir::print(after)) context.observer(name, after);
    return after;
}

void make_strict(ir::Kernel& kernel) {
    for (ir::Node& n : kernel.nodes)
        if (n.kind == ir::NodeKind::op) n.fast = 0;
    for (ir::Kernel& k : kernel.outlined) make_strict(k);
}

}  // namespace

ir::Kernel run_passes(const ir::Kernel& original, PassContext& context) {
    const PassOptions& options = context.options;
    ir::Kernel kernel = original;
    if (options.strict) make_strict(kernel);
#define KILN_PASS(id, phase, when, doc)                       \
    if (runs_for(PassPhase::phase, options.target) && (when)) \
        kernel = step(#id, run_##id, std::move(kernel), context);
#include "codegen/passes.def"
#undef KILN_PASS
    if (options.strict) make_strict(kernel);  // what accumulates was made free to be reordered
    return kernel;
}

}  // namespace kiln::codegen
