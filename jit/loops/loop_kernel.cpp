// Loop kernels: from a call to types, a trace, machine code.
#include "jit/loops/loop_kernel.h"

#include "codegen/lanes/data_flags.h"
#include "dsl/ir/text.h"
#include "dsl/trace/trace.h"
#include "jit/call/signature.h"
#include "jit/compile/checked_mode.h"
#include "jit/loops/run_loop_kernel.h"
#include "jit/loops/verified_call.h"

#include <kiln/environment.h>
#include <kiln/host_function.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include <fmt/format.h>

namespace kiln {
namespace detail {
namespace {

using engine::OperandView;
using engine::ProgramKey;

double ms_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
}

bool writes(KernelParam p) { return p == KernelParam::out || p == KernelParam::inout; }

ir::Access access_of(KernelParam p) {
    switch (p) {
        case KernelParam::value: return ir::Access::value;
        case KernelParam::in: return ir::Access::in;
        case KernelParam::out: return ir::Access::out;
        case KernelParam::inout: return ir::Access::inout;
    }
    __builtin_unreachable();
}

/// Whether elements that follow each other on the last axis do so in memory.
ir::Layout layout_of(const OperandView& v) {
    const int last = v.rank - 1;
    if (v.rank == 0 || v.extents[last] <= 1 || v.strides[last] == v.item()) return ir::Layout::unit;
    return ir::Layout::strided;
}

std::uint8_t units_of(const OperandView& v) {
    unsigned mask = 0;
    for (int d = 0; d < v.rank; ++d)
        if (v.extents[d] == 1) mask |= 1U << d;
    return static_cast<std::uint8_t>(mask);
}

bool takes_whole_arrays(const ir::Kernel& kernel) {
    return std::ranges::any_of(kernel.nodes, [](const ir::Node& n) {
        return n.kind == ir::NodeKind::whole || n.kind == ir::NodeKind::assign;
    });
}

JitOptions with_environment(JitOptions options) {
    options.checked = options.checked || engine::all_checked();
    return options;
}

/// The kernels whose bodies this thread is in. A forked child knows nothing of other threads'.
class BeingTraced {
  public:
    explicit BeingTraced(const JitState* kernel)
        : kernel_(kernel), outer_(std::exchange(innermost_, this)) {}
    ~BeingTraced() { innermost_ = outer_; }
    BeingTraced(const BeingTraced&) = delete;
    BeingTraced& operator=(const BeingTraced&) = delete;
    static bool is(const JitState* kernel) {
        for (const BeingTraced* at = innermost_; at != nullptr; at = at->outer_)
            if (at->kernel_ == kernel) return true;
        return false;
    }

  private:
    static inline constinit thread_local const BeingTraced* innermost_ = nullptr;
    const JitState* kernel_;
    const BeingTraced* outer_;
};

void make_strict(ir::Kernel& kernel) {
    for (ir::Node& n : kernel.nodes) n.fast = 0;
}

/// The array that `copy` is a copy of, made last of all: where a lambda returns several Scratch
/// arrays, its tuple holds copies, and the arrays themselves may be given away. Else `copy`.
std::uint32_t original_of(const ir::Builder& b, std::uint32_t copy) {
    const ir::Kernel& kernel = b.kernel();
    const auto& nodes = b.current_block().nodes;
    for (std::size_t i = nodes.size(); i-- > 0;) {
        const ir::Node& n = kernel.node(nodes[i]);
        if (n.kind == ir::NodeKind::whole || n.kind == ir::NodeKind::allocate) continue;
        if (n.kind != ir::NodeKind::assign || n.operand_count != 1) break;
        const ir::Node& value = kernel.node(kernel.operand(nodes[i], 0));
        if (value.kind != ir::NodeKind::whole || value.operand_count != 0) break;
        const ir::Access access = kernel.params[value.aux].access;
        if (!ir::is_made_by_kernel(access)) break;
        if (n.aux != copy) continue;
        return access == ir::Access::local ? value.aux : copy;  // else it is given away already
    }
    return copy;
}

/// Whether a text speaks of p0, p1 ..., which stand for parameters without names.
bool has_default_name(std::string_view text) {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    const auto is_word = [&](char c) {
        return is_digit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    };
    for (std::size_t i = 0; i + 1 < text.size(); ++i)
        if (text[i] == 'p' && is_digit(text[i + 1]) && (i == 0 || !is_word(text[i - 1])))
            return true;
    return false;
}

/// Of each outermost prange: that a kernel which is not parallel runs it on one thread.
void remark_pranges(const ir::Kernel& kernel, ir::Id block, codegen::PassContext& context) {
    for (const ir::Id id : kernel.blocks[block].nodes) {
        const ir::Node& n = kernel.nodes[id];
        if (n.kind == ir::NodeKind::loop && kernel.parallel(n) != nullptr) {
            const Location at = kernel.location(n.loc);
            if (at.line != 0)
                context.decisions.done(
                    codegen::DecisionKind::serial, at,
                    "this prange runs on one thread: jit was not given .parallel = true");
            continue;
        }
        const bool loops = n.kind == ir::NodeKind::loop || n.kind == ir::NodeKind::loop_while;
        if (loops || n.kind == ir::NodeKind::branch) remark_pranges(kernel, n.aux, context);
        if ((n.kind == ir::NodeKind::loop_while || n.kind == ir::NodeKind::branch) &&
            n.aux2 != ir::none)
            remark_pranges(kernel, n.aux2, context);
    }
}

}  // namespace

JitState::JitState(std::string name, std::vector<KernelParam> params, KernelFunction function,
                   JitOptions options, Location where)
    : name_(std::move(name)),
      params_(std::move(params)),
      function_(std::move(function)),
      options_(with_environment(std::move(options))),
      where_(where) {
    if (params_.size() > engine::max_program_args)
        throw Error(ErrorKind::usage,
                    fmt::format("{} has {} parameters; at most {}", name_, params_.size(),
                                engine::max_program_args),
                    where);
    engine::check_param_names(name_, params_.size(), options_.params, where);
    engine::check_cpu_target(name_, "a loop kernel", options_.target, where);
}

std::string JitState::param_name(std::size_t i) const {
    return options_.params.empty() ? fmt::format("p{}", i) : options_.params[i];
}

codegen::PassContext JitState::pass_context(const ProgramKey& key, Form form) const {
    codegen::PassContext context;
    context.options.checked = options_.checked;
    context.options.noalias = !key.overlap() && form == Form::optimised;
    context.options.fuse = options_.fuse && form == Form::optimised;
    context.options.reassociate = options_.fastmath.has(Fastmath::reassoc);
    context.options.threads = options_.parallel;
    for (std::size_t i = 0; i < key.size(); ++i)
        context.options.unit_extents.push_back(key.is_array(i) ? key.units(i) : 0);
    context.options.verify = engine::verify_passes;
    return context;
}

// ------------------------------------------------------------------------------ tracing

engine::TracedProgram JitState::trace(const ProgramKey& key, Location where) {
    const DefaultEnvironment environment;
    const auto start = std::chrono::steady_clock::now();
    come_first_at_exit();  // the kernel may be a static object
    const std::lock_guard tracing(tracing_);
    dsl::Trace trace(name_);
    ir::Builder& b = trace.builder();
    b.set_location(where_);
    b.set_fast(options_.fastmath.bits);
    trace.set_checked(options_.checked);
    std::vector<KernelItem> items;
    for (std::size_t i = 0; i < params_.size(); ++i) {
        const bool array = params_[i] != KernelParam::value;
        const std::uint32_t param =
            b.add_param({.name = param_name(i),
                         .dtype = key.dtype(i),
                         .rank = static_cast<std::uint8_t>(array ? key.rank(i) : 0),
                         .access = access_of(params_[i]),
                         .layout = array ? key.layout(i) : ir::Layout::strided});
        if (array)
            items.emplace_back(trace.array(param));
        else
            items.emplace_back(trace.value(b.param(param)));
    }
    b.begin_stage({}, false);
    const std::vector<KernelItem> results = traced_body(items);
    trace.check_results(results.size());
    engine::TracedProgram traced;
    std::vector<std::uint32_t> arrays;
    for (const KernelItem& item : results) {
        if (const auto* array = std::get_if<KernelArray>(&item)) {
            const std::uint32_t param = trace.param(*array, where);
            if (!ir::is_made_by_kernel(b.kernel().params[param].access))
                throw Error(ErrorKind::usage, "a kernel returns an array that is its argument",
                            where_, "the caller has it already");
            const std::uint32_t original = original_of(b, param);
            b.param_info(original).access = ir::Access::result;
            traced.results.push_back(original);
        } else {
            const ir::Id value = result_node(trace, std::get<Value>(item));
            const std::uint32_t param =
                b.add_param({.name = fmt::format("result{}", traced.results.size()),
                             .dtype = b.dtype(value),
                             .access = ir::Access::out,
                             .layout = ir::Layout::unit});
            b.store(param, {}, b.cast(value, b.dtype(value)));
            traced.results.push_back(param);
        }
    }
    b.end();
    traced.functions = trace.host_functions();
    traced.kernel = trace.finish();
    traced.trace_ms = ms_since(start);
    return traced;
}

ir::Id JitState::result_node(dsl::Trace& trace, const Value& result) const {
    const ir::Builder& b = trace.builder();
    const ir::Id id = trace.use_any(result);
    if (b.node(id).rank == 0) return id;
    const Location line = trace.line_of(result);
    throw Error(
        ErrorKind::shape,
        fmt::format("an array is used where one element is needed: {} returns it as a Value",
                    name_),
        line.line == 0 ? where_ : line,
        "return a Scratch: `-> Scratch { ...; return Scratch(value); }`");
}

std::vector<KernelItem> JitState::traced_body(std::span<const KernelItem> items) {
    const BeingTraced scope(this);
    return function_(items);
}

std::vector<KernelItem> JitState::inline_call(std::span<const KernelItem> args, Location where) {
    const std::lock_guard tracing(tracing_);
    dsl::Trace& trace = dsl::Trace::current(where);
    if (BeingTraced::is(this))
        throw Error(ErrorKind::usage, fmt::format("kernel {} calls itself", name_), where,
                    "kernels that are called become part of their caller: write a loop");
    if (args.size() != params_.size())
        throw Error(ErrorKind::usage,
                    fmt::format("{} takes {} argument{}, {} given", name_, params_.size(),
                                params_.size() == 1 ? "" : "s", args.size()),
                    where);
    ir::Builder& b = trace.builder();
    b.set_location(where);
    std::vector<KernelItem> items;
    for (std::size_t i = 0; i < args.size(); ++i) {
        const auto* array = std::get_if<KernelArray>(&args[i]);
        if ((array != nullptr) != (params_[i] != KernelParam::value))
            throw Error(ErrorKind::usage,
                        fmt::format("argument {} of {} is {}, but {} is {}", i + 1, name_,
                                    array != nullptr ? "an array" : "a scalar", param_name(i),
                                    array != nullptr ? "a scalar" : "an array"),
                        where);
        if (array == nullptr) {
            const ir::Id id = trace.id(std::get<Value>(args[i]));
            items.emplace_back(trace.value(b.cast(id, b.dtype(id))));
            continue;
        }
        const ir::Param& p = b.kernel().params[trace.param(*array, where)];
        if (writes(params_[i]) && p.access == ir::Access::in)
            throw Error(
                ErrorKind::usage,
                fmt::format("argument {} of {} is {}, which is only read, but {} is written", i + 1,
                            name_, p.name, param_name(i)),
                where, "declare it as InOut");
        items.emplace_back(*array);
    }
    return trace.call(options_.fastmath.bits, [&] { return traced_body(items); });
}

std::unique_ptr<engine::ProgramVariant> JitState::compile(engine::TracedProgram traced,
                                                          const ProgramKey& key,
                                                          engine::BackendId id, Form form) {
    const DefaultEnvironment environment;
    const bool plain = form == Form::plain, noalias = !key.overlap() && !plain;
    Stats stats;
    stats.misses = plain ? 0 : 1;
    stats.trace_ms = traced.trace_ms;
    codegen::PassContext context = pass_context(key, form);
    auto start = std::chrono::steady_clock::now();
    if (plain) make_strict(traced.kernel);
    ir::Kernel kernel = codegen::run_passes(traced.kernel, context);
    if (!options_.parallel) remark_pranges(traced.kernel, traced.kernel.stages[0].body, context);
    if (plain) make_strict(kernel);  // what accumulates was made free to be reordered
    stats.passes_ms = ms_since(start);
    start = std::chrono::steady_clock::now();
    engine::Backend& compiler = *engine::at_line(where_, [&] { return &engine::backend(id); });
    stats.load_ms = ms_since(start);
    const engine::CompileOptions options{.noalias = noalias,
                                         .checked = options_.checked,
                                         .flags_of_data = codegen::raises_flags_of_data(kernel)};
    auto made = std::make_unique<engine::ProgramVariant>();
    made->results = std::move(traced.results);
    made->serial = key.overlap() || plain;
    made->drops_flags = !options.flags_of_data;
    for (const ir::Param& p : kernel.params) {
        made->offsets.push_back(static_cast<std::uint32_t>(made->frame_words));
        made->makes_arrays = made->makes_arrays || ir::is_made_by_kernel(p.access);
        made->frame_words += p.access == ir::Access::value ? 2 : 1 + 2U * p.rank;
    }
    const auto found = engine::at_line(where_, [&] {
        return engine::ProgramCache::instance().get(
            engine::content_key(kernel, options, compiler.target_id()), [&] {
                auto compiled = std::make_unique<engine::CompiledKernel>();
                compiled->program = compiler.compile(kernel, options);
                compiled->kernel = std::move(kernel);
                return compiled;
            });
    });
    if (found.compiled) {
        const engine::PhaseTimes times = found.program->program->times();
        stats.compiles = 1;
        stats.load_ms += times.load;
        stats.emit_ms = times.emit;
        stats.optimize_ms = times.optimize;
        stats.codegen_ms = times.codegen;
        stats.link_ms = times.link;
    }
    made->program = found.program;
    // The code's own list: equal code may come from a kernel with a call that was dropped, to a
    // function that this one does not know and the code does not call.
    for (const ir::HostFunction& f : found.program->kernel.functions) {
        const auto known = traced.functions.find(f.name);
        if (known == traced.functions.end()) {
            made->functions.emplace_back();
            continue;
        }
        const auto& host = *static_cast<const HostFunctionInfo*>(known->second.get());
        made->functions.push_back({host.thunk, host.target});
    }
    made->entry = found.program->program->program_entry();
    const std::lock_guard lock(mutex_);
    engine::add(made_, stats);
    if (plain) return made;
    diagnostics_ = {true, context.loops_found, context.loops_left, context.decisions.remarks(),
                    context.decisions.remarks(codegen::Shown::hoisted)};
    for (const Remark& remark : diagnostics_.remarks)
        if (std::ranges::find(remarks_, remark) == remarks_.end()) remarks_.push_back(remark);
    return made;
}

const engine::ProgramVariant& JitState::variant(const ProgramKey& key, Form form, Location where) {
    auto& variants = form == Form::optimised ? variants_ : plain_;
    if (const engine::ProgramVariant* found = variants.find(key)) {
        if (form == Form::optimised) hits_.increment();
        return *found;
    }
    const DefaultEnvironment environment;
    engine::TracedProgram traced = trace(key, where);
    ProgramKey used = key;
    if (!takes_whole_arrays(traced.kernel)) {
        units_matter_ = false;
        used.clear_units();
    }
    auto made = compile(std::move(traced), used, engine::BackendId::cpu, form);
    return *variants.insert(used, std::move(made));
}

// ------------------------------------------------------------------------------ calls

void JitState::check_argument(std::size_t i, const OperandView& view, Location where) const {
    const bool array = params_[i] != KernelParam::value;
    if (array && view.scalar)
        throw Error(ErrorKind::usage,
                    fmt::format("argument {} of {} is a scalar, but {} is an array", i + 1, name_,
                                param_name(i)),
                    where, "declare the parameter as Value");
    if (!array && !view.scalar && view.rank != 0)
        throw Error(ErrorKind::usage,
                    fmt::format("argument {} of {} is an array of shape {}, but {} is a scalar",
                                i + 1, name_, to_string(view.shape()), param_name(i)),
                    where, "declare the parameter as In, Out or InOut");
    if (!writes(params_[i])) return;
    if (view.read_only)
        throw Error(ErrorKind::usage,
                    fmt::format("argument {} of {} is read-only, but {} is written", i + 1, name_,
                                param_name(i)),
                    where);
    for (int d = 0; d < view.rank; ++d)
        if (view.strides[d] == 0 && view.extents[d] > 1)
            throw Error(ErrorKind::usage,
                        fmt::format("argument {} of {} has several indices for one element, but {} "
                                    "is written",
                                    i + 1, name_, param_name(i)),
                        where, "write to a copy of the broadcast array");
}

void JitState::call(std::span<const JitArg* const> args, std::vector<JitValue>* results,
                    Location where) {
    try {
        call_checked(args, results, where);
    } catch (const Error& error) {
        if (!options_.params.empty() || !error.hint().empty() || !has_default_name(error.message()))
            throw;
        throw Error(error.kind(), error.message(), {error.file(), error.line()},
                    "p0 is the first parameter; .params names them");
    }
}

void JitState::call_checked(std::span<const JitArg* const> args, std::vector<JitValue>* results,
                            Location where) {
    if (args.size() != params_.size())
        throw Error(ErrorKind::usage,
                    fmt::format("{} takes {} argument{}, {} given", name_, params_.size(),
                                params_.size() == 1 ? "" : "s", args.size()),
                    where);
    const DefaultEnvironment environment(options_.verify ? FloatFlags::dropped : FloatFlags::raised,
                                         options_.keep_flush_to_zero);
    std::array<OperandView, engine::max_program_args> views;
    std::array<CallAccess::Row, engine::max_program_args> rows;
    for (std::size_t i = 0; i < args.size(); ++i) {
        CallAccess::view(args[i]->arg(), views[i], rows[i]);
        check_argument(i, views[i], where);
    }
    const std::span used(views.data(), args.size());
    if (options_.verify) {
        call_verified(used, environment, results, where);
        return;
    }
    const engine::ProgramVariant& code = variant(key_of(used), Form::optimised, where);
    engine::run_program(code, used, options_.parallel, environment, results, where);
}

ProgramKey JitState::key_of(std::span<const OperandView> views) const {
    ProgramKey key;
    bool any_written = false;
    const bool units_matter = units_matter_;
    for (std::size_t i = 0; i < views.size(); ++i) {
        if (params_[i] == KernelParam::value)
            key.add_scalar(views[i].dtype);
        else
            key.add_array(views[i].dtype, views[i].rank, layout_of(views[i]),
                          units_matter ? units_of(views[i]) : std::uint8_t(0));
        any_written = any_written || writes(params_[i]);
    }
    const auto overlaps = [&] {
        struct Bytes {
            const std::byte *low, *high;
            bool written;
        };
        std::array<Bytes, engine::max_program_args> arrays;
        std::size_t count = 0;
        bool any = false;
        for (std::size_t i = 0; i < views.size(); ++i) {
            if (params_[i] == KernelParam::value) continue;
            const auto [low, high] = views[i].byte_extent();
            const bool written = writes(params_[i]);
            for (std::size_t j = 0; j < count; ++j) {
                const Bytes& other = arrays[j];
                any |= (written | other.written) & (low < other.high) & (other.low < high);
            }
            arrays[count++] = {low, high, written};
        }
        return any;
    };
    if (any_written && overlaps()) key.set_overlap();
    return key;
}

void JitState::call_verified(std::span<const OperandView> views,
                             const DefaultEnvironment& environment, std::vector<JitValue>* results,
                             Location where) {
    std::vector<OperandView> copies(views.begin(), views.end());
    std::vector<bool> written;
    for (const KernelParam p : params_) written.push_back(writes(p));
    const engine::CopiedArguments owner(copies, written, where);
    std::vector<JitValue> own_results, expected_results;
    const engine::ProgramVariant& code = variant(key_of(views), Form::optimised, where);
    engine::run_program(code, views, options_.parallel, environment, &own_results, where);
    const engine::ProgramVariant& plain = variant(key_of(copies), Form::plain, where);
    engine::run_program(plain, copies, false, environment, &expected_results, where);
    compare(views, copies, own_results, expected_results, where);
    if (results != nullptr) *results = std::move(own_results);
}

void JitState::compare(std::span<const OperandView> views,
                       std::span<const OperandView> expected_views,
                       const std::vector<JitValue>& results, const std::vector<JitValue>& expected,
                       Location where) {
    std::vector<Difference> found;
    const auto add = [&](std::optional<Difference> difference) {
        if (difference) found.push_back(std::move(*difference));
    };
    for (std::size_t i = 0; i < views.size(); ++i)
        if (writes(params_[i])) add(engine::compare(param_name(i), views[i], expected_views[i]));
    for (std::size_t i = 0; i < results.size(); ++i)
        add(engine::compare(results.size() == 1 ? "result" : fmt::format("result {}", i),
                            results[i], expected[i]));
    const auto beyond = std::ranges::find_if(found, [&](const Difference& d) {
        return options_.verify_ulps && d.most_ulps > *options_.verify_ulps;
    });
    const std::string text = beyond == found.end() ? std::string() : beyond->text();
    {
        const std::lock_guard lock(mutex_);
        differences_ = std::move(found);
    }
    if (!text.empty())
        throw Error(
            ErrorKind::usage, fmt::format("{} is not what its plain form gives: {}", name_, text),
            where,
            fmt::format("unfused, serial and strict it gives what is expected; .verify_ulps "
                        "allows {}",
                        *options_.verify_ulps));
}

std::vector<Difference> JitState::differences() const {
    const std::lock_guard lock(mutex_);
    return differences_;
}

std::string JitState::inspect(Artifact artifact, std::span<const ArgType> types, Location where) {
    const DefaultEnvironment environment;
    if (types.size() != params_.size())
        throw Error(ErrorKind::usage,
                    fmt::format("{} takes {} argument{}, {} types given", name_, params_.size(),
                                params_.size() == 1 ? "" : "s", types.size()),
                    where);
    ProgramKey key;
    for (std::size_t i = 0; i < types.size(); ++i) {
        if (params_[i] == KernelParam::value)
            key.add_scalar(types[i].dtype);
        else
            key.add_array(types[i].dtype, types[i].rank, ir::Layout::unit, 0);
    }
    switch (artifact) {
        case Artifact::ir: return ir::print(trace(key, where).kernel);
        case Artifact::passes: {
            std::string text;
            codegen::PassContext context = pass_context(key, Form::optimised);
            context.observer = [&](std::string_view pass, const ir::Kernel& after) {
                text += fmt::format("; after {}\n{}\n", pass, ir::print(after));
            };
            codegen::run_passes(trace(key, where).kernel, context);
            return text;
        }
        case Artifact::llvm:
        case Artifact::llvm_opt:
        case Artifact::assembly:
            return variant(key, Form::optimised, where).program->program->text(artifact);
        case Artifact::cuda:
        case Artifact::ptx:
            return compile(trace(key, where), key, engine::BackendId::cuda, Form::optimised)
                ->program->program->text(artifact);
    }
    __builtin_unreachable();
}

std::vector<Remark> JitState::remarks() const {
    const std::lock_guard lock(mutex_);
    return remarks_;
}

std::string JitState::parallel_diagnostics(int level, DiagnosticsFormat format) const {
    const std::lock_guard lock(mutex_);
    if (!diagnostics_.made) return {};
    const auto file = [](const Remark& r) {
        return std::string_view(r.file).substr(r.file.rfind('/') + 1);
    };
    std::string text;
    if (format == DiagnosticsFormat::text) {
        text = fmt::format("{}: {} parallel loops found, {} left\n", name_, diagnostics_.found,
                           diagnostics_.left);
        if (level > 0)
            for (const Remark& r : diagnostics_.remarks)
                text += fmt::format("  {}:{}: {}\n", file(r), r.line, r.text);
        if (level > 1)
            for (const Remark& r : diagnostics_.hoisted)
                text += fmt::format("  {}:{}: {}\n", file(r), r.line, r.text);
        return text;
    }
    const auto quoted = [](std::string_view s) {
        std::string out = "\"";
        for (const char c : s) {
            if (c == '"' || c == '\\') out += '\\';
            if (static_cast<unsigned char>(c) < 0x20)
                out += fmt::format("\\u{:04x}", static_cast<int>(c));
            else
                out += c;
        }
        return out + '"';
    };
    const auto list = [&](const std::vector<Remark>& remarks, bool wanted) {
        std::string all = "[";
        for (std::size_t i = 0; wanted && i < remarks.size(); ++i) {
            const Remark& r = remarks[i];
            all += fmt::format("{}{{\"file\": {}, \"line\": {}, \"text\": {}}}", i == 0 ? "" : ", ",
                               quoted(r.file), r.line, quoted(r.text));
        }
        return all + ']';
    };
    text =
        fmt::format("{{\"kernel\": {}, \"found\": {}, \"left\": {}, \"remarks\": {}", quoted(name_),
                    diagnostics_.found, diagnostics_.left, list(diagnostics_.remarks, level > 0));
    if (level > 1) text += ", \"hoisted\": " + list(diagnostics_.hoisted, true);
    return text + '}';
}

Stats JitState::stats() const {
    const std::lock_guard lock(mutex_);
    Stats sum = made_;
    sum.hits += hits_.total();
    return sum;
}

}  // namespace detail

// ------------------------------------------------------------------------------ the handle

JitKernel::JitKernel(std::string name, std::vector<detail::KernelParam> params,
                     detail::KernelFunction function, JitOptions options,
                     std::source_location where)
    : state_(std::make_shared<detail::JitState>(std::move(name), std::move(params),
                                                std::move(function), std::move(options), where)) {}

const std::string& JitKernel::name() const { return state_->name(); }
std::string JitKernel::parallel_diagnostics(int level, DiagnosticsFormat format) const {
    return state_->parallel_diagnostics(level, format);
}
std::vector<Remark> JitKernel::remarks() const { return state_->remarks(); }
Stats JitKernel::stats() const { return state_->stats(); }
std::vector<Difference> JitKernel::differences() const { return state_->differences(); }

std::string JitKernel::inspect(Artifact artifact, std::initializer_list<ArgType> types,
                               std::source_location where) const {
    return state_->inspect(artifact, std::span(types.begin(), types.size()), where);
}

std::vector<detail::JitValue> JitKernel::call(std::span<const JitArg* const> args,
                                              std::source_location where) const {
    std::vector<detail::JitValue> results;
    state_->call(args, &results, where);
    return results;
}

std::vector<detail::KernelItem> JitKernel::inline_call(std::span<const detail::KernelItem> args,
                                                       std::source_location where) const {
    return state_->inline_call(args, where);
}

void JitKernel::call_in_place(std::span<const JitArg* const> args,
                              std::source_location where) const {
    state_->call(args, nullptr, where);
}

}  // namespace kiln
