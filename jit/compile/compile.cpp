#include "jit/compile/compile.h"

#include "codegen/lanes/data_flags.h"
#include "codegen/passes/kernel_plan.h"
#include "dsl/ir/text.h"
#include "jit/call/plan.h"
#include "jit/call/threads.h"
#include "jit/compile/cost.h"
#include "jit/compile/debugging.h"
#include "jit/compile/disk_cache.h"
#include "jit/compile/function_numbers.h"
#include "jit/compile/misses.h"
#include "jit/compile/native_code.h"
#include "jit/compile/passed_kernel.h"
#include "jit/compile/stopwatch.h"
#include "jit/compile/target.h"
#include "jit/compile/tell.h"

#include <kiln/environment.h>

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace kiln::engine {

#ifdef NDEBUG
std::atomic<bool> verify_passes{false};
#else
std::atomic<bool> verify_passes{true};
#endif

namespace {

constexpr std::string_view kind_names[] = {
#define KILN_KERNEL_KIND(id, name) name,
#include "jit/compile/kernel_kinds.def"
#undef KILN_KERNEL_KIND
};

constexpr std::optional<BackendTarget> makers[] = {
#define KILN_ARTIFACT(id, maker, doc) maker,
#include <kiln/artifacts.def>
#undef KILN_ARTIFACT
};

/// f(), with the owner's line in errors that know none.
template <class F> auto for_owner(const KernelOwner& owner, F&& f) {
    try {
        return f();
    } catch (const Error& error) {
        const Location where =
            error.line() != 0 ? Location{error.file(), error.line()} : owner.where;
        if (error.kind() == ErrorKind::unsupported && owner.kind != KernelKind::element_wise)
            throw Error(error.kind(),
                        fmt::format("{} is {}: {}", owner.name, name(owner.kind), error.message()),
                        where, error.hint());
        if (error.line() != 0) throw;
        throw Error(error.kind(), error.message(), where, error.hint());
    }
}

codegen::PassContext context_of(codegen::PassOptions options, BackendTarget target,
                                const KernelOwner& owner) {
    codegen::PassContext context;
    context.options = std::move(options);
    for_owner(owner, [&] {
        context.options.fma = has_fma(target);
        if (target == BackendTarget::cpu) context.options.isa = CpuTarget::once().isa;
        if (target == BackendTarget::cpu && debugging() == Debugging::debugger) {
            // What was written is what runs.
            context.options.plain = true;
            context.options.noalias = context.options.fuse = context.options.threads = false;
        }
        if (target != BackendTarget::cpu) context.options.target = codegen::PassTarget::gpu;
    });
    context.options.verify = verify_passes;
    return context;
}

/// What becomes of the kernel's loops.
codegen::KernelPlan plan_of(Job& job, const KernelOwner& owner, const Inspection& of) {
    const ir::Kernel& traced = job.kernel;
    codegen::PassContext context = context_of(std::move(job.passes), owner.target, owner);
    const ir::Kernel after = codegen::run_passes(traced, context);
    const bool threads = context.options.threads;
    CompileOptions options = job.code;
    options.flags_of_data = options.flags_of_data && codegen::raises_flags_of_data(after);
    return for_owner(owner, [&] {
        codegen::LoopsByLlvm llvm;
        if (after.is_program()) llvm = backend(owner.target).loops_by_llvm(after, options);
        codegen::KernelPlan plan = codegen::make_kernel_plan(
            traced, after, context,
            {.isa = CpuTarget::host().isa,
             .threads = threads,
             .elements_for_threads =
                 after.is_program() ? 0 : parallel_threshold(estimate_cost(after)),
             .even_us = even_loop_us,
             .uneven_us = uneven_loop_us,
             .llvm = std::move(llvm)});
        if (!plan.loops.empty())
            std::ranges::copy(of.decisions, std::back_inserter(plan.loops.back().decisions));
        return plan;
    });
}

/// f of the code for a target: what calls run, or what is compiled for this alone.
template <class F>
auto of_code(BackendTarget target, const KernelOwner& owner, Ledger& ledger, const Inspection& of,
             const F& f) {
    const auto told = [&](const CompiledCode& code) {
        return ledger.with_late_compile(code, [&] { return f(code); });
    };
    if (target == owner.target) return told(of.code());
    const Compiled made = compile(of.job(), target, owner);
    ledger.add(made.stats, made.report);
    return for_owner(owner, [&] { return told(*made.kernel->code); });
}

/// The kernel after each pass that changed it, each headed by the name of the pass.
std::string pass_texts(Job& job, const KernelOwner& owner) {
    std::string text;
    codegen::PassContext context = context_of(std::move(job.passes), owner.target, owner);
    context.observer = [&](std::string_view pass, const ir::Kernel& after) {
        text += fmt::format("; after {}\n{}\n", pass, ir::print(after));
    };
    codegen::run_passes(job.kernel, context);
    return text;
}

ir::Kernel run_passes(const LoweringInput& from, PassWords& words) {
    codegen::PassContext context;
    context.options = from.passes;
    ir::Kernel kernel = codegen::run_passes(from.kernel, context);
    if (!from.passes.threads && from.passes.target == codegen::PassTarget::cpu)
        codegen::say_one_thread(from.kernel, context.decisions);
    words = {std::move(context.decisions), context.loops_found, context.loops_left};
    return kernel;
}

PassedKernel lower(const LoweringInput& from, PassWords& words) {
    ir::Kernel kernel = run_passes(from, words);
    number_functions(kernel);
    CompileOptions options = from.code;
    options.flags_of_data = options.flags_of_data && codegen::raises_flags_of_data(kernel);
    std::string key = content_key(kernel, options, from.target_id);
    return {std::move(kernel), options, std::move(key)};
}

std::shared_ptr<const Lowered> lowered(PassedKernel passed,
                                       std::shared_ptr<const PassReport> report) {
    return std::make_shared<const Lowered>(Lowered{std::move(passed.kernel), passed.options,
                                                   std::move(passed.key), std::move(report)});
}

/// The key with another target's name, where that of this one stands.
std::string with_target(std::string_view key, const std::string& target) {
    return target + std::string(key.substr(key.find('\n')));
}

/// What was found under the key, for this CPU or for its level, in bundles, or for this CPU in the folder.
/// `look` gets a key, and gives something that is false where it has no use for what is there.
template <class F> auto look_up(const std::string& key, DiskCache& disk, DiskCache::Kind kind,
                                F look, std::string* why = nullptr) {
    if (disk.has_bundles())
        for (const std::string& one : {key, with_target(key, portable_target_id())})
            if (auto found = look(one, disk.find_bundled(one, kind))) return found;
    return look(key, disk.find(key, kind, why));
}

/// What the passes made of it in another process, if these bytes say that; the report runs them when it is
/// asked for.
std::shared_ptr<const Lowered> lowered_of(const LoweringInput& from,
                                          const std::optional<std::vector<std::byte>>& bytes) {
    auto passed = bytes ? passed_kernel_of(*bytes) : std::nullopt;
    if (!passed || (from.passes.verify && !ir::verify(passed->kernel).empty())) return nullptr;
    passed->key = with_target(passed->key, from.target_id);
    return lowered(std::move(*passed), std::make_shared<const PassReport>([from] {
                       const kiln::detail::DefaultEnvironment environment;
                       PassWords words;
                       run_passes(from, words);
                       return words;
                   }));
}

/// From the disk cache, where there is one, or by the passes and then put there.
std::shared_ptr<const Lowered> lower(const LoweringInput& from, DiskCache* disk, Stats& stats) {
    const bool is_kept = disk != nullptr && disk->reads();
    std::string key;
    if (is_kept) {
        const Stopwatch reading;
        key = passed_key(from);
        auto found =
            look_up(key, *disk, DiskCache::Kind::passes,
                    [&](const std::string&, const auto& bytes) { return lowered_of(from, bytes); });
        stats.disk_ms += tell_phase("disk", from.kernel.name, reading);
        if (found != nullptr) return found;
    }
    const Stopwatch passes;
    PassWords words;
    PassedKernel passed = lower(from, words);
    stats.passes_ms += tell_phase("passes", from.kernel.name, passes);
    if (is_kept) {
        const Stopwatch writing;
        disk->insert(key, bytes_of(passed), DiskCache::Kind::passes);
        stats.disk_ms += tell_phase("disk", from.kernel.name, writing);
    }
    return lowered(std::move(passed), std::make_shared<const PassReport>(std::move(words)));
}

std::unique_ptr<CompiledCode> compiled_code(BackendTarget target, const ir::Kernel& kernel,
                                            const CompileOptions& options, std::string_view key,
                                            Stats& stats) {
    const Stopwatch opening;
    Backend& compiler = backend(target);
    stats.load_ms += tell_phase("load", kernel.name, opening);
    auto code = compiler.compile(kernel, options, content_symbol(key));
    stats.compiles = 1;
    add(stats, code->times());
    tell_phases(kernel.name, code->times());
    return code;
}

/// The code of an object that was found under the key; null where there is none, or it cannot be loaded,
/// as `why` then says.
std::unique_ptr<CompiledCode> loaded_code(const ir::Kernel& kernel, const CompileOptions& options,
                                          const std::string& key,
                                          std::optional<std::vector<std::byte>> object,
                                          Stats& stats, std::string& why) {
    if (!object) return nullptr;
    try {
        auto code =
            load_native(kernel, options, content_symbol(key), std::move(*object), {}, nullptr);
        stats.loads = 1;
        add(stats, code->times());
        return code;
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::internal) throw;
        // Stored by what knew other kinds of objects, or functions.
        DiskCache::instance().refuse(key);
        why = "its entry could not be loaded: " + error.message();
        return nullptr;
    }
}

/// From the disk cache, or compiled and put there.
std::unique_ptr<CompiledCode> native_code(const ir::Kernel& kernel, const CompileOptions& options,
                                          const std::string& content, const KernelOwner& owner,
                                          Stats& stats) {
    const std::string key = portable_key(content, kernel, options, target_id(BackendTarget::cpu));
    DiskCache& disk = DiskCache::instance();
    std::string why;
    const Stopwatch reading;
    auto found = look_up(
        key, disk, DiskCache::Kind::code,
        [&](const std::string& one, auto object) {
            return loaded_code(kernel, options, one, std::move(object), stats, why);
        },
        &why);
    stats.disk_ms += tell_phase("disk", kernel.name, reading) - stats.link_ms;
    if (found != nullptr) return found;
    if (why.starts_with("its entry")) log(LogLevel::warning, owner.name, owner.where, why);
    Misses::instance().note(
        {owner.name, std::string(owner.where.file), owner.where.line, key, std::move(why)});
    auto code = compiled_code(BackendTarget::cpu, kernel, options, key, stats);
    const Stopwatch writing;
    disk.insert(key, code->binary());
    stats.disk_ms += tell_phase("disk", kernel.name, writing);
    return code;
}

}  // namespace

std::string_view name(KernelKind kind) { return kind_names[static_cast<std::size_t>(kind)]; }

Passed passed_for(codegen::VectorIsa isa, Job job, const KernelOwner& owner) {
    codegen::PassContext context = context_of(std::move(job.passes), BackendTarget::cpu, owner);
    context.options.isa = isa;
    context.options.fma = isa != codegen::VectorIsa::sse2;
    Passed made{codegen::run_passes(job.kernel, context), job.code};
    made.options.flags_of_data =
        made.options.flags_of_data && codegen::raises_flags_of_data(made.kernel);
    return made;
}

Compiled compile(Job job, BackendTarget target, const KernelOwner& owner) {
    const kiln::detail::DefaultEnvironment environment;
    observe_as_environment_says(owner.where);
    const Stopwatch watch;
    Compiled made;
    codegen::PassOptions passes = context_of(std::move(job.passes), target, owner).options;
    LoweringInput input{std::move(job.kernel), std::move(passes), job.code,
                        for_owner(owner, [&] { return target_id(target); })};
    // Other targets keep their texts instead.
    DiskCache* const disk = target != BackendTarget::cpu
                                ? nullptr
                                : for_owner(owner, [] { return &DiskCache::instance(); });
    const bool is_dumped = !dump_folder().empty();
    const std::optional<LoweringInput> traced = is_dumped ? std::optional(input) : std::nullopt;
    const auto lowered = LoweredCache::instance().get(
        std::move(input), [&](const LoweringInput& from) { return lower(from, disk, made.stats); });
    made.drops_flags = !lowered->options.flags_of_data;
    made.report = lowered->report;
    auto found = for_owner(owner, [&] {
        return CodeCache::instance().get(lowered->key, [&] {
            const auto& [kernel, options, key, report] = *lowered;
            auto compiled = std::make_unique<CompiledKernel>();
            compiled->code = target == BackendTarget::cpu
                                 ? native_code(kernel, options, key, owner, made.stats)
                                 : compiled_code(target, kernel, options, key, made.stats);
            compiled->kernel = kernel;
            return compiled;
        });
    });
    made.kernel = std::move(found.kernel);
    if (is_dumped && found.compiled)
        for_owner(owner, [&] {
            dump_texts(traced->kernel, traced->passes, *lowered, *made.kernel->code, target);
        });
    tell_compiled(made, found.compiled, owner, watch);
    return made;
}

std::string inspect(Artifact artifact, const KernelOwner& owner, Ledger& ledger,
                    const Inspection& of) {
    const kiln::detail::DefaultEnvironment environment;
    if (const auto maker = makers[static_cast<std::size_t>(artifact)]) {
        if (*maker == BackendTarget::cpu && owner.kind == KernelKind::threads)
            throw Error(
                ErrorKind::unsupported,
                fmt::format("{} is an explicit kernel, which is no code of the CPU", owner.name),
                owner.where, "its texts are ir, passes, plan, cuda, ptx and resources");
        return of_code(*maker, owner, ledger, of,
                       [&](const CompiledCode& code) { return code.text(artifact); });
    }
    Job job = of.job();
    switch (artifact) {
        case Artifact::ir: return ir::print(job.kernel);
        case Artifact::passes: return pass_texts(job, owner);
        case Artifact::plan: return plan_of(job, owner, of).text();
        case Artifact::plan_json: return plan_of(job, owner, of).json();
        case Artifact::llvm:
        case Artifact::llvm_opt:
        case Artifact::llvm_opt_lines:
        case Artifact::cfg:
        case Artifact::assembly:
        case Artifact::assembly_lines:
        case Artifact::cuda:
        case Artifact::ptx:
        case Artifact::resources: break;  // of a backend
    }
    __builtin_unreachable();
}

std::vector<KernelAttributes> attributes(const KernelOwner& owner, Ledger& ledger,
                                         const Inspection& of) {
    const kiln::detail::DefaultEnvironment environment;
    return of_code(BackendTarget::cuda, owner, ledger, of,
                   [](const CompiledCode& code) { return code.attributes(); });
}

}  // namespace kiln::engine
