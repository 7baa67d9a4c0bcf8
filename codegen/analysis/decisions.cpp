#include "codegen/analysis/decisions.h"

#include <algorithm>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

constexpr DecisionInfo table[] = {
#define KILN_DECISION(id, shown, name, doc) {#id, Shown::shown, name, doc},
#include "codegen/decisions.def"
#undef KILN_DECISION
};

}  // namespace

const DecisionInfo& info(DecisionKind kind) { return table[static_cast<std::size_t>(kind)]; }

std::string Decision::sentence() const {
    const std::string_view name = info(kind).name;
    if (name.empty()) return text;
    return fmt::format("{}{}: {}", done ? "" : "not ", name, text);
}

void Decisions::done(DecisionKind kind, const Location& at, std::string text,
                     Decision::Numbers numbers) {
    add({kind, true, std::string(at.file), at.line, std::move(text), std::move(numbers)});
}

void Decisions::refused(DecisionKind kind, const Location& at, std::string reason) {
    add({kind, false, std::string(at.file), at.line, std::move(reason)});
}

void Decisions::add(Decision made) {
    if (std::ranges::find(all_, made) == all_.end()) all_.push_back(std::move(made));
}

std::vector<Remark> Decisions::remarks(Shown where) const {
    std::vector<Remark> list;
    for (const Decision& d : all_)
        if (info(d.kind).shown == where) list.push_back({d.file, d.line, d.sentence()});
    return list;
}

std::string line_of(const ir::Kernel& kernel, ir::Id node) {
    const Location l = kernel.location(kernel.nodes[node].loc);
    return fmt::format("{}:{}", l.short_file(), l.line);
}

std::string place_of(const ir::Kernel& kernel, ir::Id node) {
    const Location l = kernel.location(kernel.nodes[node].loc);
    return l.line == 0 ? "of the kernel" : "at " + line_of(kernel, node);
}

}  // namespace kiln::codegen
