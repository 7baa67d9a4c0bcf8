#include "jit/compile/function_numbers.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace kiln::engine {
namespace {

template <class F> void each_call(ir::Kernel& kernel, const F& f) {
    for (ir::Node& n : kernel.nodes)
        if (n.kind == ir::NodeKind::call || n.kind == ir::NodeKind::call_pure) f(n);
    for (ir::Kernel& outlined : kernel.outlined) each_call(outlined, f);
}

}  // namespace

void number_functions(ir::Kernel& kernel) {
    if (kernel.functions.empty()) return;
    std::vector<std::uint32_t> used;
    each_call(kernel, [&](const ir::Node& n) { used.push_back(n.aux); });
    std::ranges::sort(used, {}, [&](std::uint32_t f) {
        return std::pair(std::string_view(kernel.functions[f].name), f);
    });
    used.erase(std::ranges::unique(used).begin(), used.end());
    each_call(kernel, [&](ir::Node& n) {
        n.aux = static_cast<std::uint32_t>(std::ranges::find(used, n.aux) - used.begin());
    });
    std::vector<ir::HostFunction> functions;
    for (const std::uint32_t f : used) functions.push_back(std::move(kernel.functions[f]));
    kernel.functions = std::move(functions);
    // Outlined programs have those of the program that launches them.
    for (ir::Kernel& outlined : kernel.outlined)
        if (outlined.is_program()) outlined.functions = kernel.functions;
}

}  // namespace kiln::engine
