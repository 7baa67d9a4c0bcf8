#include "codegen/passes/kernel_plan.h"

#include "codegen/abi.h"
#include "codegen/analysis/lane_loops.h"
#include "codegen/analysis/loop_facts.h"
#include "codegen/lanes/facts.h"
#include "codegen/trees.h"
#include "dsl/ir/combines.h"
#include "dsl/ir/describe.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

class Planner {
  public:
    Planner(const Kernel& traced, const Kernel& compiled, const PassContext& context,
            const PlanTarget& target)
        : traced_(traced),
          k_(compiled),
          owners_(compiled),
          context_(context),
          target_(target),
          device_(context.options.target == PassTarget::gpu) {}

    KernelPlan run() {
        const bool program = k_.is_program();
        for (const Stage& stage : traced_.stages) {
            if (!program && !stage.extents.empty())
                kind(traced_, stage.loc, stage.reductions.empty() ? "element-wise" : "reduction");
            name_kinds(stage.body);
        }
        Decisions all = context_.decisions;
        decisions_ = &all;
        if (program) {
            if (!target_.threads && !device_) say_one_thread(traced_, all);
            loops(k_.stages[0].body, false);
        } else {
            for (const Stage& stage : k_.stages)
                if (!stage.extents.empty()) elements(stage);
        }
        for (const Decision& d : all.all()) at(d.file, d.line).decisions.push_back(d);
        KernelPlan plan{k_.name, std::string(device_ ? "cuda" : name(target_.isa)),
                        std::move(loops_)};
        std::ranges::sort(plan.loops, [](const PlannedLoop& a, const PlannedLoop& b) {
            return std::pair(a.file, a.line) < std::pair(b.file, b.line);
        });
        return plan;
    }

  private:
    // --- what the user wrote ---

    PlannedLoop& at(std::string_view file, std::uint32_t line) {
        for (PlannedLoop& l : loops_)
            if (l.file == file && l.line == line) return l;
        loops_.push_back({std::string(file), line, {}, {}});
        return loops_.back();
    }
    void kind(const Kernel& kernel, std::uint32_t loc, const char* name) {
        const Location l = kernel.location(loc);
        auto& kinds = at(l.file, l.line).kinds;
        if (std::ranges::find(kinds, name) == kinds.end()) kinds.emplace_back(name);
    }
    void name_kinds(Id block) {
        walk(traced_, block, [&](Id id) {
            const Node& n = traced_.nodes[id];
            if (n.kind == NodeKind::loop)
                kind(traced_, n.loc, traced_.parallel(n) != nullptr ? "prange" : "range");
            if (n.kind == NodeKind::loop_while) kind(traced_, n.loc, "while");
            if (n.kind == NodeKind::assign) kind(traced_, n.loc, "statement");
            if (n.kind == NodeKind::fold) kind(traced_, n.loc, "reduction");
        });
    }

    // --- what the code will be ---

    Location location(Id id) const { return k_.location(k_.nodes[id].loc); }

    void lanes(const Kernel& kernel, const Location& where, std::string_view what) {
        const Lanes chosen =
            kernel.lanes == Lanes{}
                ? choose_lanes(kernel, analyse(kernel, target_.isa != VectorIsa::sse2), target_.isa)
                : kernel.lanes;
        decisions_->done(DecisionKind::lanes, where,
                         fmt::format("{} x {}{}", chosen.of_register, chosen.registers, what),
                         {{"lanes", chosen.of_register}, {"registers", chosen.registers}});
        totals(kernel, where, chosen.of_register * chosen.registers);
    }

    /// Where a reduction to several totals keeps those of groups of steps.
    void totals(const Kernel& kernel, const Location& where, unsigned at_once) {
        std::int64_t count = 0;
        for (const Stage& stage : kernel.stages)
            count += static_cast<std::int64_t>(stage.reductions.size());
        if (count < 2) return;
        const bool fit = two_levels_fit(kernel, at_once, target_.isa);
        decisions_->done(DecisionKind::reduction, where,
                         fmt::format("the {} totals of a group of steps stay in {}", count,
                                     fit ? "registers" : "memory, since registers are too few"),
                         {{"totals", count}});
    }

    void elements(const Stage& stage) {
        const Location where = k_.location(stage.loc);
        if (device_) {
            threads_of_device(where, k_, tree::vector_block_iterations);
            decisions_->done(DecisionKind::threads, where,
                             "a launch for each row, where the rows of a call are apart");
            return layouts(where);
        }
        lanes(k_, where, "");
        layouts(where);
        for (std::size_t i = 0; i < stage.reductions.size();
             i += entries_of(k_, stage.reductions[i]))
            decisions_->done(
                DecisionKind::reduction, where,
                fmt::format("{}: a tree over the lanes, pair by pair over blocks of {} "
                            "columns",
                            name_of(k_, stage.reductions[i]), tree::block_columns));
        if (k_.form == Form::scan)
            decisions_->done(
                DecisionKind::reduction, where,
                fmt::format("running {}: a tree over the lanes; blocks of {} columns begin with "
                            "the total of those before them, {} KB of blocks for a thread at once",
                            info(k_.scan).name, tree::scan_columns, tree::scan_group_bytes / 1024));
        if (k_.form == Form::map)
            decisions_->done(DecisionKind::streamed, where,
                             fmt::format("contiguous outputs, where all operands take {} MB{}",
                                         abi::streaming_bytes / 1'000'000, code_of_large_calls),
                             {{"bytes", abi::streaming_bytes}});
        if (target_.threads && target_.elements_for_threads > 0)
            decisions_->done(DecisionKind::threads, where,
                             fmt::format("from {} elements on", target_.elements_for_threads),
                             {{"elements", target_.elements_for_threads}});
    }

    static bool has_loop(const Kernel& kernel, Id block) {
        return any_in(kernel, block, [&](Id id) { return is_loop(kernel.nodes[id].kind); });
    }

    /// Who takes the iterations of a launched kernel.
    void threads_of_device(const Location& where, const Kernel& kernel, std::int64_t block,
                           bool loops = false) {
        const std::int64_t piece = kernel.form == Form::scan     ? kernel.lanes.of_register
                                   : kernel.form == Form::reduce ? block
                                                                 : 1;
        decisions_->done(
            DecisionKind::threads, where,
            piece == 1 ? fmt::format("of the device, one for an iteration{}",
                                     loops ? ", which runs the loops in it alone" : "")
                       : fmt::format("of the device, a block of them for {} iterations", piece),
            {{"iterations", piece}});
    }

    /// What the code is for: other calls have code of their own.
    void layouts(const Location& where) {
        std::string text;
        bool others = false;
        for (const Param& p : k_.params) {
            if (p.access == Access::value || p.rank == 0) continue;
            others = true;
            text += (text.empty() ? "" : ", ") + p.name +
                    (p.layout == Layout::unit      ? " contiguous"
                     : p.layout == Layout::uniform ? " one element"
                                                   : " strided");
        }
        if (others)
            decisions_->done(
                DecisionKind::layouts, where,
                text + "; calls whose inner axis lies otherwise have code of their own");
    }

    void loops(Id block, bool parallel) {
        walk(k_, block, [&](Id id) {
            if (k_.nodes[id].kind == NodeKind::launch)
                launched(id, parallel);
            else if (k_.nodes[id].kind == NodeKind::loop)
                loop(id, parallel);
            else
                return Walk::on;
            return Walk::skip;
        });
    }

    static constexpr const char* code_of_large_calls =
        "; calls with so much have code of their own, made at the first";

    /// Whether a launch beside what is told of stores past the caches, where the arrays are large.
    enum class Streams : std::uint8_t { no, in_large_calls, in_any_call };

    /// Code for arguments that are not large has no such launches, but of loops that fill arrays of
    /// the kernel's own: those may be larger.
    Streams streams_of(const Launch& launch) const {
        const auto& params = k_.outlined[launch.kernel].params;
        bool own = false;
        for (std::size_t p = 0; p < params.size(); ++p) {
            const Argument& a = launch.arguments[p];
            own = own || (a.kind == Argument::Kind::array && params[p].access != Access::in &&
                          is_made_by_kernel(k_.params[a.target].access));
        }
        return own ? Streams::in_any_call : Streams::in_large_calls;
    }

    void launched(Id id, bool parallel, Streams streams = Streams::no) {
        const Node& n = k_.nodes[id];
        const Launch& launch = k_.launches[n.aux];
        if (n.aux2 != none) {  // beside what says the rest
            for (const Id usual : k_.blocks[n.aux2].nodes)
                if (k_.nodes[usual].kind == NodeKind::loop)
                    loop(usual, parallel, streams_of(launch));
                else if (k_.nodes[usual].kind == NodeKind::launch)
                    launched(usual, parallel, streams_of(launch));
            return;
        }
        if (k_.outlined[launch.kernel].is_program()) return program(launch.kernel, streams);
        const ParallelLoop* const declared = parallel ? nullptr : k_.parallel(n);
        if (declared != nullptr) deal_out(id, *declared);
        if (streams != Streams::no) say_streamed(id, streams);
        const Kernel& kernel = k_.outlined[launch.kernel];
        if (device_) {
            const Tree* const tree = k_.tree(n);
            return threads_of_device(location(id), kernel,
                                     tree == nullptr ? tree::vector_block_iterations : tree->block,
                                     has_loop(kernel, kernel.stages[0].body));
        }
        lanes(kernel, location(id),
              kernel.form == Form::scan     ? ", running results"
              : kernel.form == Form::reduce ? ", whose totals are combined by a tree"
                                            : "");
    }

    /// A program that this one launches.
    void program(std::uint32_t number, Streams streams) {
        const Kernel& launched = k_.outlined[number];
        Planner inside(traced_, launched, context_, target_);
        inside.program_ = number + 1;
        inside.decisions_ = decisions_;
        inside.names_ = &k_;
        inside.loop(launched_loop(launched), false, streams);
    }

    void loop(Id id, bool parallel, Streams streams = Streams::no) {
        const Node& n = k_.nodes[id];
        const ParallelLoop* const declared = parallel ? nullptr : k_.parallel(n);
        if (declared != nullptr) deal_out(id, *declared);
        if (device_) {
            if (declared != nullptr && !is_alone(location(id)))
                threads_of_device(location(id), k_, 1, has_loop(k_, n.aux));
            return loops(n.aux, parallel || declared != nullptr);
        }
        if (streams != Streams::no) say_streamed(id, streams);
        if (const Tree* const tree = declared == nullptr ? k_.tree(n) : nullptr)
            combined_pairwise("sum", id, tree->block);
        stays_scalar(id);
        loops(n.aux, parallel || declared != nullptr);
    }

    void say_streamed(Id id, Streams streams) {
        decisions_->done(DecisionKind::streamed, location(id),
                         fmt::format("where the arrays of the loops take {} MB{}",
                                     abi::streaming_bytes / 1'000'000,
                                     streams == Streams::in_any_call ? "" : code_of_large_calls),
                         {{"bytes", abi::streaming_bytes}});
    }

    /// Whether the pass `programs` says that one thread runs the loop.
    bool is_alone(const Location& where) const {
        return std::ranges::any_of(context_.decisions.all(), [&](const Decision& d) {
            return d.kind == DecisionKind::serial && d.line == where.line && d.file == where.file;
        });
    }

    void deal_out(Id id, const ParallelLoop& loop) {
        const bool even = is_even(k_, id);
        if (target_.threads && !device_) {
            const std::int64_t least = even ? target_.even_us : target_.uneven_us;
            const char* const how = loop.schedule == Schedule::automatic ? "automatic"
                                    : loop.schedule == Schedule::static_ ? "static"
                                    : loop.schedule == Schedule::dynamic ? "dynamic"
                                                                         : "guided";
            std::string text = fmt::format("schedule {}", how);
            if (loop.schedule == Schedule::automatic)
                text += fmt::format(", from {} us of work on", least);
            decisions_->done(DecisionKind::threads, location(id), std::move(text),
                             {{"microseconds", least}});
        }
        for (std::size_t i = 0; i < loop.reductions.size();
             i += entries_of(k_, loop.reductions[i])) {
            const StageReduction& r = loop.reductions[i];
            combined_pairwise(fmt::format("{} of {}", name_of(k_, r),
                                          describe_slot(*names_, r.target, location(id))),
                              id, k_.tree(k_.nodes[id])->block);
        }
    }

    void combined_pairwise(std::string_view what, Id loop, std::int64_t block) {
        decisions_->done(
            DecisionKind::reduction, location(loop),
            fmt::format("{}: {}combined pair by pair", what,
                        block == 1 ? "" : fmt::format("blocks of {} iterations, ", block)),
            {{"block", block}});
    }

    /// Says why the loop runs as no lanes, unless it has loops.
    void stays_scalar(Id id) {
        const Location where = location(id);
        if (context_.options.checked) {
            decisions_->refused(DecisionKind::lanes, where,
                                "every access of a checked kernel is tested by itself");
            return;
        }
        LaneRefusal why;
        if (context_.options.noalias) {
            const auto found = find_lane_loop(k_, owners_, id, false, &why);
            if (found && found->plain) why = {plain_in_nest, none, true};
        } else {
            why = {"arrays that the call writes overlap others", none, false};
        }
        if (is_even(k_, id))
            innermost(id, where, why);
        else if (k_.parallel(k_.nodes[id]) != nullptr && why.node != none &&
                 k_.nodes[why.node].kind != NodeKind::launch)
            decisions_->refused(DecisionKind::lanes, where, reason(id, why));
    }

    /// Of a loop without loops: what LLVM's vectoriser made of it, which looks at all of them.
    void innermost(Id id, const Location& where, const LaneRefusal& why) {
        const VectorisedLoop* const llvm = by_llvm(id);
        strided_loads(id, where);
        if (llvm != nullptr && llvm->lanes > 1)
            decisions_->done(
                DecisionKind::lanes, where,
                fmt::format("{} x {}, by LLVM's vectoriser{}", llvm->lanes, llvm->registers,
                            why.left_to_llvm ? ": " + reason(id, why) : ""),
                {{"lanes", llvm->lanes}, {"registers", llvm->registers}});
        else if (!why.left_to_llvm)
            decisions_->refused(DecisionKind::lanes, where, reason(id, why));
        else if (llvm != nullptr)
            decisions_->refused(DecisionKind::lanes, where,
                                llvm->refused.empty()
                                    ? "left to LLVM's vectoriser, for which it is not worth it"
                                    : "left to LLVM's vectoriser: " + llvm->refused);
        else
            decisions_->refused(DecisionKind::lanes, where,
                                "left to LLVM, which has unrolled it or made nothing of it");
    }

    /// Elements for vectors that lie apart.
    void strided_loads(Id loop, const Location& where) {
        walk(k_, k_.nodes[loop].aux, [&](Id id) {
            if (k_.nodes[id].kind != NodeKind::load) return;
            const Location at = location(id);
            for (const StridedLoads& s : target_.llvm.strided) {
                if (s.line != at.line || s.file != at.file) continue;
                const auto elements =
                    fmt::format("elements of {} bytes, {} apart", s.bytes, s.step);
                if (s.joined)
                    decisions_->done(DecisionKind::strided, where, elements, {{"step", s.step}});
                else
                    decisions_->refused(DecisionKind::strided, where,
                                        elements + ": too far for it to be worth it");
            }
        });
    }

    /// The loop may be there several times: the widest one.
    const VectorisedLoop* by_llvm(Id loop) {
        if (places_.empty())
            walk(k_, [&](Id id) {
                if (k_.nodes[id].kind == NodeKind::loop)
                    places_.emplace(id, static_cast<unsigned>(places_.size()));
            });
        const unsigned place = places_.at(loop);
        const VectorisedLoop* widest = nullptr;
        for (const VectorisedLoop& v : target_.llvm.vectorised)
            if (v.program == program_ && v.loop == place &&
                (widest == nullptr || v.lanes > widest->lanes))
                widest = &v;
        return widest;
    }

    std::string reason(Id loop, const LaneRefusal& why) const {
        if (why.node == none || k_.location(k_.nodes[why.node].loc).line == 0 ||
            line_of(k_, why.node) == line_of(k_, loop))
            return std::string(why.reason);
        return fmt::format("{} ({})", why.reason, line_of(k_, why.node));
    }

    const Kernel& traced_;
    const Kernel& k_;
    const SlotOwners owners_;
    const PassContext& context_;
    const PlanTarget& target_;
    const bool device_;
    const Kernel* names_ = &k_;  // which declares the variables
    unsigned program_ = 0;       // as of VectorisedLoop
    Decisions* decisions_ = nullptr;
    std::vector<PlannedLoop> loops_;
    std::map<Id, unsigned> places_;  // of loops, in the text
};

}  // namespace

void say_one_thread(const Kernel& traced, Decisions& decisions) {
    walk(traced, [&](Id id) {
        const Node& n = traced.nodes[id];
        if (!effects_of(n).any(effect::in_parallel)) return Walk::on;
        if (const Location at = traced.location(n.loc); at.line != 0)
            decisions.done(
                DecisionKind::serial, at,
                "this prange runs on one thread: the kernel was not given .parallel = true");
        return Walk::skip;
    });
}

KernelPlan make_kernel_plan(const Kernel& traced, const Kernel& compiled,
                            const PassContext& context, const PlanTarget& target) {
    return Planner(traced, compiled, context, target).run();
}

std::string KernelPlan::text() const {
    std::string out = fmt::format("{} on {}\n", kernel, unit);
    for (const PlannedLoop& loop : loops) {
        if (loop.line == 0)
            out += "of the kernel:";
        else
            out += fmt::format("{}:{}:", Location{loop.file, loop.line}.short_file(), loop.line);
        for (std::size_t i = 0; i < loop.kinds.size(); ++i)
            out += (i == 0 ? " " : ", ") + loop.kinds[i];
        out += '\n';
        for (const Decision& d : loop.decisions) out += "  " + d.sentence() + '\n';
    }
    return out;
}

std::string json_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) < 0x20)
            out += fmt::format("\\u{:04x}", static_cast<int>(c));
        else
            out += c;
    }
    return out + '"';
}

std::string KernelPlan::json() const {
    const auto list = [](const auto& items, const auto& show) {
        std::string out = "[";
        for (const auto& item : items) out += (out.size() == 1 ? "" : ", ") + show(item);
        return out + ']';
    };
    const auto decision = [](const Decision& d) {
        std::string out = fmt::format("{{\"what\": {}, \"done\": {}, \"text\": {}",
                                      json_string(info(d.kind).id), d.done, json_string(d.text));
        for (const auto& [what, number] : d.numbers)
            out += fmt::format(", {}: {}", json_string(what), number);
        return out + '}';
    };
    const auto loop = [&](const PlannedLoop& l) {
        return fmt::format("{{\"file\": {}, \"line\": {}, \"kinds\": {}, \"decisions\": {}}}",
                           json_string(l.file), l.line,
                           list(l.kinds, [](const std::string& k) { return json_string(k); }),
                           list(l.decisions, decision));
    };
    return fmt::format("{{\"kernel\": {}, \"unit\": {}, \"loops\": {}}}", json_string(kernel),
                       json_string(unit), list(loops, loop));
}

}  // namespace kiln::codegen
