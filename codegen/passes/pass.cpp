#include "codegen/passes/pass.h"

#include "dsl/ir/slots.h"
#include "dsl/ir/text.h"

namespace kiln::codegen {
namespace {

using Pass = ir::Kernel (*)(const ir::Kernel&, PassContext&);
struct Row {
    std::string_view name;
    PassPhase phase;
    Pass pass;
    bool (*when)(const ir::Kernel& kernel, const PassOptions& options);
};

constexpr Row rows[] = {
#define KILN_PASS(id, phase, when, doc)                                                           \
    {#id, PassPhase::phase, run_##id,                                                             \
     []([[maybe_unused]] const ir::Kernel& kernel, [[maybe_unused]] const PassOptions& options) { \
         return when;                                                                             \
     }},
#include "codegen/passes.def"
#undef KILN_PASS
};

consteval std::size_t row_of(std::string_view name) {
    std::size_t i = 0;
    while (rows[i].name != name) ++i;
    return i;
}

/// Of values, the pass takes what combines states too: kernels that compute and nothing else.
void combines(const Row& row, ir::Kernel& kernel, PassContext& context) {
    if (kernel.combines.empty() || row.phase == PassPhase::kernels) return;
    PassContext own;
    own.options = context.options;
    own.options.checked = false;
    own.options.known.clear();  // they number the arguments of the program
    for (ir::Kernel& c : kernel.combines)
        if (row.when(c, own.options)) c = row.pass(c, own);
    context.decisions.add(own.decisions);
}

ir::Kernel step(const Row& row, ir::Kernel before, PassContext& context) {
    ir::Kernel after = row.pass(before, context);
    combines(row, after, context);
    if (context.options.verify) {
        std::string wrong = ir::verify(after);
        if (wrong.empty() && &row >= &rows[row_of("reductions")]) wrong = ir::verify_slots(after);
        if (!wrong.empty())
            throw Error(ErrorKind::internal,
                        "pass " + std::string(row.name) + " broke the kernel: " + wrong);
    }
    // Passes renumber nodes freely, so a change is one that shows in the text.
    if (context.observer && ir::print(before) != ir::print(after))
        context.observer(row.name, after);
    return after;
}

void make_strict(ir::Kernel& kernel) {
    for (ir::Node& n : kernel.nodes)
        if (n.kind == ir::NodeKind::op) n.fast = 0;
    for (ir::Kernel& c : kernel.combines) make_strict(c);
    for (ir::Kernel& k : kernel.outlined) make_strict(k);
}

}  // namespace

ir::Kernel run_value_passes(ir::Kernel kernel, const PassOptions& options) {
    PassContext context;
    context.options = options;
    context.options.unit_extents.clear();  // these number the arguments of the program
    context.options.known.clear();
    for (const Row& row : rows)
        if (row.phase != PassPhase::kernels && row.when(kernel, context.options))
            kernel = step(row, std::move(kernel), context);
    return kernel;
}

ir::Kernel run_passes(const ir::Kernel& original, PassContext& context) {
    const PassOptions& options = context.options;
    ir::Kernel kernel = original;
    if (options.strict) make_strict(kernel);
    for (const Row& row : rows)
        if (runs_for(row.phase, options.target) && row.when(kernel, options))
            kernel = step(row, std::move(kernel), context);
    if (options.strict) make_strict(kernel);  // what accumulates was made free to be reordered
    return kernel;
}

}  // namespace kiln::codegen
