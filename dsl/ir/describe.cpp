#include "dsl/ir/describe.h"

#include <algorithm>

#include <fmt/format.h>

namespace kiln::ir {
namespace {

/// "line 12", or "wave.cpp:12".
std::string line_text(const Location& line, const Location& at) {
    if (line.file == at.file || at.line == 0) return fmt::format("line {}", line.line);
    return fmt::format("{}:{}", line.short_file(), line.line);
}

/// The line of the first node of this kind on parameter or slot `target`: the one that declares it.
/// Programs that this one launches have its numbers.
Location first(const Kernel& kernel, NodeKind kind, std::uint32_t target) {
    const auto node = std::ranges::find_if(
        kernel.nodes, [&](const Node& n) { return n.kind == kind && n.aux == target; });
    if (node != kernel.nodes.end()) return kernel.location(node->loc);
    for (const Kernel& k : kernel.outlined)
        if (k.is_program())
            if (const Location inside = first(k, kind, target); inside.line != 0) return inside;
    return {};
}

/// The first line that reads or writes a Var; the standard library's have none.
Location first_use(const Kernel& kernel, std::uint32_t slot) {
    for (const Node& n : kernel.nodes)
        if ((n.kind == NodeKind::read || n.kind == NodeKind::write) && n.aux == slot &&
            kernel.location(n.loc).line != 0)
            return kernel.location(n.loc);
    for (const Kernel& k : kernel.outlined)
        if (k.is_program())
            if (const Location inside = first_use(k, slot); inside.line != 0) return inside;
    return {};
}

/// Whether a variable's name is the user's. Those that front ends and passes make up have a number behind
/// their letters, or a space in them; what they make of a variable has more behind an underscore.
bool has_name(const Slot& slot) {
    std::string_view name = slot.name;
    name = name.substr(0, name.find('_', 1));
    const bool numbered = !name.empty() && name.back() >= '0' && name.back() <= '9';
    return !name.empty() && !numbered && name.find(' ') == std::string_view::npos;
}

}  // namespace

std::string describe_slot(const Kernel& kernel, std::uint32_t slot, const Location& at,
                          bool typed) {
    const Slot& s = kernel.slots[slot];
    const Location line = first(kernel, NodeKind::write, slot);
    std::string text = s.name;
    if (has_name(s) && line.line != 0)
        text = fmt::format("the {} {}", s.length == 1 ? "variable" : "array", s.name);
    else if (line.line != 0)
        text = fmt::format("the {} of {}", s.length == 1 ? "Var" : "Local", line_text(line, at));
    else if (const Location use = first_use(kernel, slot); use.line != 0)
        text = fmt::format("the Var that is first used at {}", line_text(use, at));
    if (!typed) return text;
    if (s.length > 1) return text + fmt::format(" ({}[{}])", name(s.dtype), s.length);
    return text + fmt::format(" ({})", name(s.dtype));
}

Location declared_at(const Kernel& kernel, std::uint32_t slot) {
    return first(kernel, NodeKind::write, slot);
}

bool has_name(const Param& param) { return !is_made_by_kernel(param.access); }

std::string describe_array(const Kernel& kernel, std::uint32_t param, const Location& at) {
    const Param& p = kernel.params[param];
    const Location line = has_name(p) ? Location{} : first(kernel, NodeKind::allocate, param);
    return line.line == 0 ? p.name : "the array made at " + line_text(line, at);
}

}  // namespace kiln::ir
