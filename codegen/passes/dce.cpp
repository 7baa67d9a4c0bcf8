// Drops what nothing depends on (codegen/analysis/dead_code.cpp lists what is live).
#include "codegen/analysis/dead_code.h"
#include "codegen/passes/pass.h"
#include "dsl/ir/walk.h"

#include <set>
#include <string_view>
#include <utility>

namespace kiln::codegen {

namespace {

/// The lines of the user's loops.
std::set<std::pair<std::string_view, std::uint32_t>> lines_of_loops(const ir::Kernel& kernel) {
    std::set<std::pair<std::string_view, std::uint32_t>> lines;
    ir::walk(kernel, [&](ir::Id id) {
        const ir::Node& n = kernel.nodes[id];
        if (n.kind != ir::NodeKind::loop && n.kind != ir::NodeKind::loop_while) return;
        if (const Location at = kernel.location(n.loc); at.line != 0)
            lines.emplace(at.file, at.line);
    });
    return lines;
}

}  // namespace

ir::Kernel run_dce(const ir::Kernel& kernel, PassContext& context) {
    ir::Kernel after = without_dead_code(kernel, context.options.checked);
    if (!kernel.is_program()) return after;
    const auto left = lines_of_loops(after);
    for (const auto& [file, line] : lines_of_loops(kernel))
        if (!left.contains({file, line}))
            context.decisions.done(DecisionKind::dropped, {file, line},
                                   "nothing depends on what the loop computes: it is gone");
    return after;
}

}  // namespace kiln::codegen
