#include "codegen/analysis/decisions.h"

#include "dsl/ir/walk.h"

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

void Decisions::add(const Decisions& other) {
    for (const Decision& d : other.all_) add(d);
}

LoopLines::LoopLines(const ir::Kernel& kernel) : kernel_(kernel), lines_(kernel.nodes.size(), 0) {
    for (const ir::Stage& stage : kernel.stages)
        ir::walk(kernel, stage.body, [&](ir::Id id, const ir::Around& around) {
            const std::uint32_t loop =
                around.loop != ir::none ? kernel.nodes[around.loop].loc : stage.loc;
            lines_[id] = kernel.location(loop).line != 0 ? loop : kernel.nodes[id].loc;
        });
}

Location LoopLines::of(ir::Id node) const { return kernel_.location(lines_[node]); }

void Tally::add(const Location& at, std::string_view what) {
    ++counts_[{std::string(at.file), at.line}][std::string(what)];
}

void Tally::tell(Decisions& decisions, DecisionKind kind, std::string_view what) const {
    for (const auto& [place, counts] : counts_) {
        std::string text(what);
        std::int64_t all = 0;
        for (const auto& [name, count] : counts) {
            text += all == 0 ? ": " : ", ";
            text += count == 1 ? name : fmt::format("{} x {}", name, count);
            all += count;
        }
        decisions.done(kind, {place.first.c_str(), place.second}, std::move(text),
                       {{"operations", all}});
    }
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
