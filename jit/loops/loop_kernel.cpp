// Loop kernels: from a call to types, a trace, machine code.
#include "jit/loops/loop_kernel.h"

#include "dsl/trace/trace.h"
#include "jit/call/signature.h"
#include "jit/compile/checked_mode.h"
#include "jit/compile/observed_call.h"
#include "jit/compile/stopwatch.h"
#include "jit/compile/tell.h"
#include "jit/loops/device_call.h"
#include "jit/loops/run_loop_kernel.h"
#include "jit/loops/verified_call.h"

#include <kiln/environment.h>
#include <kiln/host_function.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace kiln {
namespace detail {
namespace {

using engine::LoopKernelKey;
using engine::OperandView;

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

JitOptions with_environment(JitOptions options, engine::KernelKind kind) {
    options.checked = options.checked || engine::all_checked();
    if (kind == engine::KernelKind::threads) {  // no CPU has them, and nobody checks them
        options.checked = false;
        if (engine::cpu_or_simulator() == BackendTarget::sim) options.target = BackendTarget::sim;
        return options;
    }
    const bool for_cpu_alone = options.checked || options.verify || options.keep_flush_to_zero;
    if (options.target == BackendTarget::cpu && !for_cpu_alone)
        options.target = engine::cpu_or_simulator();
    return options;
}

/// The kernels whose bodies this thread is in. A forked child knows nothing of other threads'.
class BeingTraced {
  public:
    explicit BeingTraced(const LoopKernelState* kernel)
        : kernel_(kernel), outer_(std::exchange(innermost_, this)) {}
    ~BeingTraced() { innermost_ = outer_; }
    BeingTraced(const BeingTraced&) = delete;
    BeingTraced& operator=(const BeingTraced&) = delete;
    static bool is(const LoopKernelState* kernel) {
        for (const BeingTraced* at = innermost_; at != nullptr; at = at->outer_)
            if (at->kernel_ == kernel) return true;
        return false;
    }

  private:
    static inline constinit thread_local const BeingTraced* innermost_ = nullptr;
    const LoopKernelState* kernel_;
    const BeingTraced* outer_;
};

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

/// A number that no other thread of the process has or had.
std::uint64_t this_thread() {
    static std::atomic<std::uint64_t> threads{0};
    static thread_local const std::uint64_t mine = ++threads;
    return mine;
}

}  // namespace

LoopKernelState::LoopKernelState(engine::KernelKind kind, std::string name,
                                 std::vector<KernelParam> params, KernelFunction function,
                                 JitOptions options, Location where,
                                 const engine::CompileOptions& code)
    : kind_(kind),
      name_(std::move(name)),
      params_(std::move(params)),
      function_(std::move(function)),
      options_(with_environment(std::move(options), kind)),
      code_(code),
      where_(where),
      values_(name_, options_, params_.size(), where) {
    if (params_.size() > engine::max_loop_kernel_args)
        throw Error(ErrorKind::usage,
                    fmt::format("{} has {} parameters; at most {}", name_, params_.size(),
                                engine::max_loop_kernel_args),
                    where);
    engine::check_param_names(name_, params_.size(), options_.params, where);
    check_device_options(options_.target, where);
}

/// What only the CPU has.
void LoopKernelState::check_device_options(BackendTarget target, Location where) const {
    if (target == BackendTarget::cpu) return;
    const auto refuse = [&](const char* option) {
        throw Error(ErrorKind::unsupported,
                    fmt::format("{} has .{}, which no target but the CPU has", name_, option),
                    where);
    };
    if (options_.checked) refuse("checked");
    if (options_.verify) refuse("verify");
    if (options_.keep_flush_to_zero) refuse("keep_flush_to_zero");
}

std::string LoopKernelState::param_name(std::size_t i) const {
    return options_.params.empty() ? fmt::format("p{}", i) : options_.params[i];
}

// ------------------------------------------------------------------------------ tracing

const engine::TracedLoopKernel& LoopKernelState::traced(const LoopKernelKey& types,
                                                        Location where) {
    if (const engine::TracedLoopKernel* found = traced_.find(types)) return *found;
    const DefaultEnvironment environment;
    engine::observe_as_environment_says(where_);
    come_first_at_exit();  // the kernel may be a static object
    const std::lock_guard tracing(tracing_);
    if (const engine::TracedLoopKernel* found = traced_.find(types)) return *found;
    const engine::Stopwatch watch;
    auto made = trace(types, where);
    ledger_.traced(engine::tell_phase("trace", name_, watch), made->notes);
    return *traced_.insert(types, std::move(made));
}

std::unique_ptr<engine::TracedLoopKernel> LoopKernelState::trace(const LoopKernelKey& types,
                                                                 Location where) {
    dsl::Trace trace(name_);
    ir::Builder& b = trace.builder();
    b.set_location(where_);
    b.set_fast(options_.fastmath.bits);
    trace.set_checked(options_.checked);
    trace.set_shares_loops(options_.parallel);
    std::vector<KernelItem> items;
    for (std::size_t i = 0; i < params_.size(); ++i) {
        const bool array = params_[i] != KernelParam::value;
        const std::uint32_t param =
            b.add_param({.name = param_name(i),
                         .dtype = types.dtype(i),
                         .rank = static_cast<std::uint8_t>(array ? types.rank(i) : 0),
                         .access = access_of(params_[i])});
        if (array)
            items.emplace_back(trace.array(param));
        else
            items.emplace_back(trace.value(b.param(param)));
    }
    b.set_form(kind_ == engine::KernelKind::threads ? ir::Form::threads : ir::Form::program);
    b.begin_stage({}, false);
    const std::vector<KernelItem> results = traced_body(items);
    trace.check_results(results.size());
    auto traced = std::make_unique<engine::TracedLoopKernel>();
    for (const KernelItem& item : results) {
        if (const auto* array = std::get_if<KernelArray>(&item)) {
            const std::uint32_t param = trace.param(*array, where);
            if (!ir::is_made_by_kernel(b.kernel().params[param].access))
                throw Error(ErrorKind::usage, "a kernel returns an array that is its argument",
                            where_, "the caller has it already");
            const std::uint32_t original = original_of(b, param);
            b.param_info(original).access = ir::Access::result;
            traced->results.push_back(original);
        } else {
            const ir::Id value = result_node(trace, std::get<Value>(item));
            const std::uint32_t param =
                b.add_param({.name = fmt::format("result{}", traced->results.size()),
                             .dtype = b.dtype(value),
                             .access = ir::Access::out,
                             .layout = ir::Layout::unit});
            b.store(param, {}, b.cast(value, b.dtype(value)));
            traced->results.push_back(param);
        }
    }
    b.end();
    traced->functions = trace.host_functions();
    traced->notes = trace.notes();
    traced->kernel = trace.finish();
    traced->takes_whole_arrays = takes_whole_arrays(traced->kernel);
    return traced;
}

ir::Id LoopKernelState::result_node(dsl::Trace& trace, const Value& result) const {
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

std::vector<KernelItem> LoopKernelState::traced_body(std::span<const KernelItem> items) {
    const BeingTraced scope(this);
    return function_(items);
}

bool is_array_value(dsl::Trace& trace, const Value& value) {
    return trace.builder().node(trace.use_any(Operand(value, {}))).rank != 0;
}

KernelArray stored_argument(dsl::Trace& trace, const Value& value, const std::string& what,
                            const std::source_location& where) {
    trace.note(where, fmt::format("{} is stored in an array of its own: it is a slice or another "
                                  "value of whole arrays",
                                  what));
    return Scratch(value, where);
}

std::vector<KernelItem> LoopKernelState::inline_call(std::span<const KernelItem> args,
                                                     const std::source_location& where) {
    const std::lock_guard tracing(tracing_);
    dsl::Trace& trace = dsl::Trace::current(where);
    if (BeingTraced::is(this))
        throw Error(ErrorKind::usage, fmt::format("kernel {} calls itself", name_), where,
                    "kernels that are called become part of their caller: write a loop");
    engine::check_arity(name_, params_.size(), args.size(), where);
    ir::Builder& b = trace.builder();
    b.set_location(where);
    std::vector<KernelItem> items;
    for (std::size_t i = 0; i < args.size(); ++i) {
        const auto* array = std::get_if<KernelArray>(&args[i]);
        if (array == nullptr && params_[i] == KernelParam::in &&
            is_array_value(trace, std::get<Value>(args[i]))) {
            items.emplace_back(stored_argument(trace, std::get<Value>(args[i]),
                                               fmt::format("argument {} of {}", i + 1, name_),
                                               where));
            continue;
        }
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

// ------------------------------------------------------------------------------ compiling

engine::Job LoopKernelState::job(const engine::TracedLoopKernel& traced, const LoopKernelKey& key,
                                 Form form) const {
    const bool optimised = form != Form::plain, noalias = !key.overlap() && optimised;
    engine::Job job{.kernel = traced.kernel,
                    .passes = {.checked = options_.checked,
                               .noalias = noalias,
                               .fuse = options_.fuse && optimised,
                               .reassociate = options_.fastmath.has(Fastmath::reassoc),
                               .strict = !optimised,
                               .threads = options_.parallel,
                               .large = key.large()},
                    .code = code_};
    job.code.noalias = noalias;
    job.code.checked = options_.checked;
    job.code.flags_of_data = true;
    for (std::size_t i = 0; i < key.size(); ++i) {
        if (key.is_array(i)) job.kernel.params[i].layout = key.layout(i);
        job.passes.unit_extents.push_back(key.is_array(i) ? key.units(i) : 0);
    }
    job.passes.known = values_.numbers(key);
    return job;
}

std::unique_ptr<engine::LoopKernelVariant> LoopKernelState::compile(
    const engine::TracedLoopKernel& traced, const LoopKernelKey& key, Form form) {
    const bool plain = form == Form::plain;
    const engine::Compiled compiled =
        engine::compile(job(traced, key, form), target_of(form), owner(form));
    auto made = std::make_unique<engine::LoopKernelVariant>();
    made->kernel = compiled.kernel;
    made->entry = compiled.kernel->code->program_entry();
    made->results = traced.results;
    made->serial = key.overlap() || plain;
    made->drops_flags = compiled.drops_flags;
    const ir::Kernel& kernel = compiled.kernel->kernel;
    for (const ir::Param& p : kernel.params) {
        made->offsets.push_back(static_cast<std::uint32_t>(made->frame_words));
        made->makes_arrays = made->makes_arrays || ir::is_made_by_kernel(p.access);
        made->frame_words += abi::program_word::count(p);
    }
    for (const ir::HostFunction& f : kernel.functions) {
        const auto& host =
            *static_cast<const HostFunctionInfo*>(traced.functions.find(f.name)->second.get());
        made->functions.push_back({host.thunk, host.target});
    }
    if (plain) {
        ledger_.add(compiled.stats);  // what is decided about the plain form is nobody's
        return made;
    }
    ledger_.miss();
    ledger_.add(compiled.stats, compiled.report);
    std::vector<ArgType> types(key.size());
    for (std::size_t i = 0; i < key.size(); ++i)
        types[i] = {key.dtype(i), static_cast<std::uint8_t>(key.is_array(i) ? key.rank(i) : 0)};
    ledger_.specialised(std::move(types));
    const std::lock_guard lock(mutex_);
    reports_.emplace_back(key, compiled.report);
    return made;
}

LoopKernelState::Variants& LoopKernelState::variants_of(Form form) {
    switch (form) {
        case Form::optimised: return variants_;
        case Form::plain: return plain_;
        case Form::device: return of_device_;
    }
    __builtin_unreachable();
}

const engine::LoopKernelVariant& LoopKernelState::variant_for(std::span<const OperandView> views,
                                                              Form form,
                                                              const std::source_location& where) {
    const auto& variants = variants_of(form);
    LoopKernelKey key = key_of(views, units_matter_.load(std::memory_order_relaxed));
    const bool by_value = values_.any() && form != Form::plain;
    if (by_value) [[unlikely]]
        key.set_values(number_of_values(views, where));
    if (const engine::LoopKernelVariant* found = variants.find(key)) [[likely]] {
        if (form != Form::plain) ledger_.hit();
        return *found;
    }
    return variant(by_value ? whole_key_of(views, where) : key_of(views, true), form, where);
}

/// Of the code that a call runs.
LoopKernelKey LoopKernelState::whole_key_of(std::span<const OperandView> views,
                                            const std::source_location& where) {
    LoopKernelKey key = key_of(views, true);
    if (values_.any()) key.set_values(number_of_values(views, where));
    return key;
}

std::uint32_t LoopKernelState::number_of_values(std::span<const OperandView> views,
                                                const std::source_location& where) {
    const std::uint32_t number = values_.number_of(views, where);
    if (number == 0)
        if (auto remark = values_.take_remark())
            ledger_.note({std::string(where_.file), where_.line, std::move(*remark)});
    return number;
}

const engine::LoopKernelVariant& LoopKernelState::variant(LoopKernelKey key, Form form,
                                                          Location where) {
    const DefaultEnvironment environment;
    const engine::TracedLoopKernel& of = traced(key.types(), where);
    if (of.takes_whole_arrays)
        units_matter_ = true;
    else
        key.clear_units();
    auto& variants = variants_of(form);
    if (const engine::LoopKernelVariant* found = variants.find(key)) {
        if (form != Form::plain) ledger_.hit();
        return *found;
    }
    return *variants.insert(key, compile(of, key, form));
}

// ------------------------------------------------------------------------------ calls

namespace {
/// Whether all indices along an axis mean one element.
bool repeats_elements(const OperandView& view) {
    for (int d = 0; d < view.rank; ++d)
        if (view.strides[d] == 0 && view.extents[d] > 1) return true;
    return false;
}

struct Volume {
    std::int64_t bytes;  ///< of all elements
    bool contiguous;     ///< in C order; true also of what has none
};
Volume volume_of(const OperandView& view) {
    Volume all{view.item(), true};
    for (int d = view.rank; d-- > 0;) {
        all.contiguous &= (view.strides[d] == all.bytes) | (view.extents[d] == 1);
        all.bytes *= view.extents[d];
    }
    return all;
}

/// Whether several indices may mean one element: windows that slide over an array do so.
bool overlaps_itself(const OperandView& view) {
    // Rows and columns of arrays, transposed ones: each step clears what the axes before it reach, or
    // those after it.
    const auto clears = [&](int first, int end, int by) {
        std::int64_t reach = view.item();
        for (int d = first; d != end; d += by) {
            if (view.extents[d] == 1) continue;
            const std::int64_t step = std::abs(view.strides[d]);
            if (step < reach) return false;
            reach += step * (view.extents[d] - 1);
        }
        return true;
    };
    return !clears(view.rank - 1, -1, -1) && !clears(0, view.rank, 1) &&
           has_internal_overlap(view.handle());
}
}  // namespace

/// run_loop_kernel, which someone watches. Apart from what every call does.
[[gnu::noinline, gnu::cold]] static void run_observed(
    const std::string& kernel, const engine::LoopKernelVariant& code,
    std::span<const OperandView> views, bool parallel, const DefaultEnvironment& environment,
    std::vector<JitValue>* results, const std::source_location& where) {
    std::int64_t bytes = 0;
    for (const OperandView& view : views)
        if (!view.scalar) bytes += view.item() * view.size();
    const engine::ObservedCall observed(kernel, bytes);
    engine::run_loop_kernel(code, views, parallel, environment, results, where);
}

bool LoopKernelState::accepts(std::size_t i, const OperandView& view) const {
    if (params_[i] == KernelParam::value) return view.scalar || view.rank == 0;
    return !view.scalar && !(writes(params_[i]) && (view.read_only || repeats_elements(view)));
}

void LoopKernelState::refuse(std::size_t i, const OperandView& view, Location where) const {
    const std::string argument = fmt::format("argument {} of {}", i + 1, name_);
    if (params_[i] == KernelParam::value)
        throw Error(ErrorKind::usage,
                    fmt::format("{} is an array of shape {}, but {} is a scalar", argument,
                                to_string(view.shape()), param_name(i)),
                    where, "declare the parameter as In, Out or InOut");
    if (view.scalar)
        throw Error(ErrorKind::usage,
                    fmt::format("{} is a scalar, but {} is an array", argument, param_name(i)),
                    where, "declare the parameter as Value");
    if (view.read_only)
        throw Error(ErrorKind::usage,
                    fmt::format("{} is read-only, but {} is written", argument, param_name(i)),
                    where);
    throw Error(ErrorKind::usage,
                fmt::format("{} has several indices for one element, but {} is written", argument,
                            param_name(i)),
                where, "write to a copy of the broadcast array");
}

/// Runs f; errors that speak of parameters by their numbers say so.
template <class F> void LoopKernelState::explained(const F& f) const {
    try {
        f();
    } catch (const Error& error) {
        if (!options_.params.empty() || !error.hint().empty() || !has_default_name(error.message()))
            throw;
        throw Error(error.kind(), error.message(), {error.file(), error.line()},
                    "p0 is the first parameter; .params names them");
    }
}

void LoopKernelState::call(std::span<const JitArg* const> args, std::vector<JitValue>* results,
                           const std::source_location& where) {
    explained([&] { call_checked(args, results, where); });
}

void LoopKernelState::launch(const engine::LaunchShape& shape, std::span<const JitArg* const> args,
                             const std::source_location& where) {
    explained([&] { call_checked(args, nullptr, where, &shape); });
}

void LoopKernelState::run(std::span<const OperandView> views, const std::source_location& where) {
    explained([&] {
        const DefaultEnvironment environment(FloatFlags::raised, options_.keep_flush_to_zero);
        const engine::LoopKernelVariant& code = variant_for(views, Form::optimised, where);
        if (code.entry == nullptr) [[unlikely]]
            return call_device(code, views, nullptr, where);
        if (engine::calls_are_observed()) [[unlikely]]
            return run_observed(name_, code, views, options_.parallel, environment, nullptr, where);
        engine::run_loop_kernel(code, views, options_.parallel, environment, nullptr, where);
    });
}

void LoopKernelState::call_checked(std::span<const JitArg* const> args,
                                   std::vector<JitValue>* results,
                                   const std::source_location& where,
                                   const engine::LaunchShape* launch) {
    if (params_.size() != args.size()) [[unlikely]]
        engine::throw_wrong_arity(name_, params_.size(), args.size(), engine::Given::arguments,
                                  where);
    const DefaultEnvironment environment(options_.verify ? FloatFlags::dropped : FloatFlags::raised,
                                         options_.keep_flush_to_zero);
    std::array<OperandView, engine::max_loop_kernel_args> views;
    std::array<CallAccess::Row, engine::max_loop_kernel_args> rows;
    bool on_device = false;
    for (std::size_t i = 0; i < args.size(); ++i) {
        on_device |= CallAccess::view_of_any_place(args[i]->arg(), views[i], rows[i]);
        if (!accepts(i, views[i])) [[unlikely]]
            refuse(i, views[i], where);
    }
    const std::span used(views.data(), args.size());
    if (on_device) [[unlikely]]
        return call_where_arrays_are(used, results, where, launch);
    if (options_.verify) {
        call_verified(used, environment, results, where);
        return;
    }
    const engine::LoopKernelVariant& code = variant_for(used, Form::optimised, where);
    if (code.entry == nullptr) [[unlikely]]
        return call_device(code, used, results, where, launch);
    if (engine::calls_are_observed()) [[unlikely]]
        return run_observed(name_, code, used, options_.parallel, environment, results, where);
    engine::run_loop_kernel(code, used, options_.parallel, environment, results, where);
}

void LoopKernelState::with_views(std::span<const JitArg> args, const std::source_location& where,
                                 const std::function<void(std::span<const OperandView>)>& f) {
    explained([&] {
        engine::check_arity(name_, params_.size(), args.size(), where);
        std::array<OperandView, engine::max_loop_kernel_args> views;
        std::array<CallAccess::Row, engine::max_loop_kernel_args> rows;
        for (std::size_t i = 0; i < args.size(); ++i) {
            CallAccess::view(args[i].arg(), views[i], rows[i], where);
            if (!accepts(i, views[i])) refuse(i, views[i], where);
        }
        f(std::span<const OperandView>(views.data(), args.size()));
    });
}

/// The call has arrays of a device.
void LoopKernelState::call_where_arrays_are(std::span<OperandView> views,
                                            std::vector<JitValue>* results,
                                            const std::source_location& where,
                                            const engine::LaunchShape* launch) {
    std::vector<Array> fetched(views.size());  // scalars, which are the host's
    for (std::size_t i = 0; i < views.size(); ++i) {
        if (params_[i] != KernelParam::value || views[i].place().is_host()) continue;
        fetched[i] = views[i].array->to_host(where);
        engine::view_array(views[i], fetched[i], false);
    }
    const auto argument = [&](std::size_t i) { return param_name(i); };
    if (!engine::runs_on_device(name_, views, argument, where))
        throw Error(ErrorKind::usage,
                    fmt::format("{} has only scalars, and they are on a device", name_), where,
                    "to_host() copies one");
    check_device_options(BackendTarget::cuda, where);
    call_device(variant_for(views, Form::device, where), views, results, where, launch);
}

void LoopKernelState::call_device(const engine::LoopKernelVariant& code,
                                  std::span<const OperandView> views,
                                  std::vector<JitValue>* results, const std::source_location& where,
                                  const engine::LaunchShape* launch) {
    if (launch != nullptr)
        return ledger_.with_late_compile(
            *code.kernel->code, [&] { engine::launch_on_device(code, views, *launch, where); });
    if (code.serial)
        throw Error(
            ErrorKind::unsupported,
            fmt::format(
                "arrays of {} that overlap others which it writes, or themselves, on a device",
                name_),
            where, "copy one of them: x.copy()");
    ledger_.with_late_compile(*code.kernel->code,
                              [&] { engine::run_on_device(code, views, results, where); });
}

LoopKernelKey LoopKernelState::key_of(std::span<const OperandView> views, bool units) const {
    LoopKernelKey key;
    bool any_written = false, one_overlaps = false;
    std::int64_t bytes = 0;
    for (std::size_t i = 0; i < views.size(); ++i) {
        if (params_[i] == KernelParam::value) {
            key.add_scalar(views[i].dtype);
            continue;
        }
        key.add_array(views[i].dtype, views[i].rank, layout_of(views[i]),
                      units ? units_of(views[i]) : std::uint8_t(0));
        const Volume all = volume_of(views[i]);
        bytes += all.bytes;
        if (!writes(params_[i])) continue;
        any_written = true;
        if (!all.contiguous) one_overlaps = one_overlaps || overlaps_itself(views[i]);
    }
    const auto overlaps = [&] {
        struct Bytes {
            const std::byte *low, *high;
            bool written;
        };
        std::array<Bytes, engine::max_loop_kernel_args> arrays;
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
    if (one_overlaps || (any_written && overlaps()))
        key.set_overlap();
    else if (bytes >= abi::streaming_bytes)
        key.set_large();
    return key;
}

void LoopKernelState::call_verified(std::span<const OperandView> views,
                                    const DefaultEnvironment& environment,
                                    std::vector<JitValue>* results,
                                    const std::source_location& where) {
    std::vector<OperandView> copies(views.begin(), views.end());
    std::vector<bool> written;
    for (const KernelParam p : params_) written.push_back(writes(p));
    const engine::CopiedArguments owner(copies, written, where);
    std::vector<JitValue> own_results, expected_results;
    const engine::LoopKernelVariant& code = variant_for(views, Form::optimised, where);
    engine::run_loop_kernel(code, views, options_.parallel, environment, &own_results, where);
    const engine::LoopKernelVariant& plain = variant_for(copies, Form::plain, where);
    engine::run_loop_kernel(plain, copies, false, environment, &expected_results, where);
    compare(views, copies, own_results, expected_results, where);
    if (results != nullptr) *results = std::move(own_results);
}

void LoopKernelState::compare(std::span<const OperandView> views,
                              std::span<const OperandView> expected_views,
                              const std::vector<JitValue>& results,
                              const std::vector<JitValue>& expected, Location where) {
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
        if (found.empty())
            differences_.erase(this_thread());
        else
            differences_[this_thread()] = std::move(found);
    }
    if (!text.empty())
        throw Error(
            ErrorKind::usage, fmt::format("{} is not what its plain form gives: {}", name_, text),
            where,
            fmt::format("unfused, serial and strict it gives what is expected; .verify_ulps "
                        "allows {}",
                        *options_.verify_ulps));
}

std::vector<Difference> LoopKernelState::differences() const {
    const std::lock_guard lock(mutex_);
    const auto mine = differences_.find(this_thread());
    return mine == differences_.end() ? std::vector<Difference>() : mine->second;
}

}  // namespace detail

}  // namespace kiln
