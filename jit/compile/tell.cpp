#include "jit/compile/tell.h"

#include "codegen/passes/kernel_plan.h"
#include "dsl/ir/text.h"

#include <array>
#include <utility>

#include <fmt/format.h>

namespace kiln::engine {
namespace {

struct Phase {
    std::string_view name;
    double Stats::* ms;
};
/// In their order.
constexpr std::array<Phase, 7> phases{{{"passes", &Stats::passes_ms},
                                       {"disk", &Stats::disk_ms},
                                       {"load", &Stats::load_ms},
                                       {"emit", &Stats::emit_ms},
                                       {"optimize", &Stats::optimize_ms},
                                       {"codegen", &Stats::codegen_ms},
                                       {"link", &Stats::link_ms}}};

std::string of_kernel(const std::string& kernel) {
    return R"("kernel": )" + codegen::json_string(kernel);
}

/// "8.1 ms: passes 0.3, emit 0.2, optimize 3.1, codegen 4.2".
std::string times_text(double all, const Stats& times) {
    std::string text;
    for (const Phase& phase : phases)
        if (times.*phase.ms >= 0.005)
            text +=
                fmt::format("{}{} {:.2f}", text.empty() ? ": " : ", ", phase.name, times.*phase.ms);
    return fmt::format("{:.2f} ms{}", all, text);
}

std::string_view outcome(const Compiled& made) {
    if (made.stats.compiles != 0) return "compiled";
    return made.stats.loads != 0 ? "loaded" : "shared";
}

}  // namespace

double tell_phase(std::string_view phase, const std::string& kernel, const Stopwatch& since) {
    const double ms = since.ms();
    if (is_traced()) [[unlikely]]
        trace_event("compile", phase, ms, of_kernel(kernel));
    return ms;
}

void tell_phases(const std::string& kernel, const Stats& times) {
    if (!is_traced()) return;
    double left = 0;
    for (const Phase& phase : phases) left += times.*phase.ms;
    for (const Phase& phase : phases) {
        const double ms = times.*phase.ms;
        left -= ms;
        if (ms != 0) trace_event("compile", phase.name, ms, of_kernel(kernel), left);
    }
}

void tell_compiled(const Compiled& made, bool is_new, const KernelOwner& owner,
                   const Stopwatch& since) {
    const double ms = since.ms();
    if (is_new && is_traced())
        trace_event("compile", owner.name, ms, fmt::format(R"("outcome": "{}")", outcome(made)));
    log_if(is_new ? LogLevel::info : LogLevel::debug, owner.name, owner.where, [&] {
        if (!is_new) return fmt::format("has the code of an equal kernel: {:.2f} ms", ms);
        return fmt::format("{} in {}", outcome(made), times_text(ms, made.stats));
    });
    // Of what was found in the disk cache, remarks take the passes that it spared.
    if (!is_logged(LogLevel::debug) || made.stats.compiles == 0) return;
    for (const Remark& remark : made.report->words().decisions.remarks())
        log(LogLevel::debug, owner.name, {std::string_view(remark.file), remark.line}, remark.text);
}

void dump_texts(const ir::Kernel& traced, codegen::PassOptions passes, const Lowered& lowered,
                const CompiledCode& code, BackendTarget target) {
    if (dump_folder().empty()) return;
    const std::string symbol = content_symbol(lowered.key);
    const std::string_view key = std::string_view(symbol).substr(symbol.rfind('_') + 1);
    const auto put = [&](std::string_view suffix, const std::string& text) {
        dump(traced.name, key, suffix, text);
    };
    put("ir", ir::print(traced));
    std::string texts;
    codegen::PassContext context;
    context.options = std::move(passes);
    context.observer = [&](std::string_view pass, const ir::Kernel& after) {
        texts += fmt::format("; after {}\n{}\n", pass, ir::print(after));
    };
    codegen::run_passes(traced, context);
    put("passes", texts);
    put("passed", ir::print(lowered.kernel));
    if (target == BackendTarget::cpu) {
        put("ll", code.text(Artifact::llvm));
        put("opt.ll", code.text(Artifact::llvm_opt));
        put("s", code.text(Artifact::assembly));
    } else if (target == BackendTarget::cuda) {
        put("cu", code.text(Artifact::cuda));
    }
}

}  // namespace kiln::engine
