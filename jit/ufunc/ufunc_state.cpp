// What a ufunc keeps: its loops, their machine code, counters, texts.
#include "dsl/trace/trace.h"
#include "jit/call/arity.h"
#include "jit/call/signature.h"
#include "jit/compile/c_object.h"
#include "jit/compile/checked_mode.h"
#include "jit/compile/tell.h"
#include "jit/compile/vary.h"
#include "jit/ufunc/in_order.h"
#include "jit/ufunc/ufunc.h"

#include <algorithm>

#include <fmt/format.h>

namespace kiln {
namespace detail {

static engine::UfuncSource with_environment(engine::UfuncSource source) {
    source.options.checked = source.options.checked || engine::all_checked();
    return source;
}

static BackendTarget target_of(const UfuncOptions& options) {
    const bool for_cpu_alone = options.checked || options.keep_flush_to_zero;
    return options.target == BackendTarget::cpu && !for_cpu_alone ? engine::cpu_or_simulator()
                                                                  : options.target;
}

UfuncState::UfuncState(engine::UfuncSource source)
    : source_(with_environment(std::move(source))), target_(target_of(source_.options)) {
    engine::check_param_names(source_.name, source_.arity, source_.options.params, source_.where);
    for (const Signature& signature : source_.options.signatures) {
        if (signature.inputs == source_.arity && signature.outputs > 0) continue;
        throw Error(ErrorKind::usage,
                    fmt::format("{} takes {} arguments, its signature {} has {}", source_.name,
                                source_.arity, engine::to_string(signature), signature.inputs),
                    source_.where);
    }
}

UfuncState::~UfuncState() = default;

const engine::TracedMap& UfuncState::traced(const engine::CallKey& types, Location where) {
    if (const engine::TracedMap* found = traced_.find(types)) return *found;
    const DefaultEnvironment environment;
    engine::observe_as_environment_says(source_.where);
    come_first_at_exit();  // the kernel may be a static object
    const std::lock_guard tracing(tracing_);
    if (const engine::TracedMap* found = traced_.find(types)) return *found;
    const engine::Stopwatch watch;
    auto made = trace(types, where);
    const double ms = made->trace_ms;
    engine::tell_phase("trace", source_.name, watch);
    note_loop(types, *made, where);
    const engine::TracedMap* const map = traced_.insert(types, std::move(made));
    ledger_.traced(ms, map->notes);
    return *map;
}

std::unique_ptr<engine::TracedMap> UfuncState::trace(const engine::CallKey& types,
                                                     Location where) const {
    try {
        return engine::trace_map(source_, types, where);
    } catch (const Error& e) {
        // A ready ufunc has no line of its own.
        if (!source_.where.file.empty() || !e.file().empty()) throw;
        throw Error(e.kind(), e.message(), where, e.hint());
    }
}

void UfuncState::note_loop(const engine::CallKey& types, const engine::TracedMap& map,
                           Location where) {
    if (types.inputs() + map.natural.size() > Signature::max_types) return;
    const Signature loop = loop_of(types, map, where);
    const std::lock_guard lock(mutex_);
    if (std::ranges::find(loops_, loop) == loops_.end()) loops_.push_back(loop);
}

Signature UfuncState::loop_of(const engine::CallKey& types, const engine::TracedMap& map,
                              Location where) const {
    const engine::LoopTypes chosen =
        engine::choose_loop(source_.name, source_.options.signatures, types, where);
    Signature loop;
    if (types.inputs() + map.natural.size() > Signature::max_types)
        throw Error(
            ErrorKind::unsupported,
            fmt::format("{} has {} arguments and results; a signature has at most {}", source_.name,
                        types.inputs() + map.natural.size(), Signature::max_types),
            where);
    for (std::size_t i = 0; i < types.inputs(); ++i) {
        loop.types[loop.inputs++] = chosen.inputs ? (*chosen.inputs)[i] : types.input_dtype(i);
    }
    for (const DType result : map.natural) loop.types[loop.inputs + loop.outputs++] = result;
    return loop;
}

std::vector<Signature> UfuncState::types() {
    if (!source_.options.signatures.empty()) return source_.options.signatures;
    const std::lock_guard lock(mutex_);
    return loops_;
}

engine::KernelOwner UfuncState::owner(BackendTarget target) const {
    return {source_.name, engine::KernelKind::element_wise, source_.where, target};
}

engine::Job UfuncState::job(const engine::CallKey& key, const engine::TracedMap& map) const {
    return {.kernel = engine::kernel_with_layouts(map, key),
            .passes = {.checked = source_.options.checked, .threads = source_.options.parallel},
            .code = {.streaming = key.is_streaming(), .flags_of_data = true}};
}

const engine::Variant& UfuncState::variant(const engine::CallKey& key, const engine::TracedMap& map,
                                           Variants& variants, BackendTarget target) {
    if (const engine::Variant* found = variants.find(key)) {
        ledger_.hit();
        return *found;
    }
    const engine::Compiled made = engine::compile(job(key, map), target, owner(target));
    ledger_.miss();
    ledger_.add(made.stats, made.report);
    ledger_.specialised(engine::argument_types(key));
    const DefaultEnvironment environment;
    return *variants.insert(key,
                            std::make_unique<engine::Variant>(engine::make_variant(map, made)));
}

engine::CallKey UfuncState::key_of(std::span<const ArgType> types, Location where) const {
    engine::check_arity(source_.name, source_.arity, types.size(), where, engine::Given::types);
    engine::CallKey key(types.size(), Casting::same_kind, std::nullopt);
    for (std::size_t i = 0; i < types.size(); ++i) {
        key.set_input(i, types[i].dtype, false,
                      types[i].rank == 0 ? ir::Layout::uniform : ir::Layout::unit);
    }
    return key;
}

std::vector<Value> UfuncState::inline_call(std::span<const KernelItem> args,
                                           const std::source_location& where) {
    dsl::Trace& trace = dsl::Trace::current(where);
    engine::check_arity(source_.name, source_.arity, args.size(), where);
    ir::Builder& b = trace.builder();
    b.set_location(where);
    std::vector<ir::Id> ids;
    engine::CallKey key(args.size(), Casting::same_kind, std::nullopt);
    for (std::size_t i = 0; i < args.size(); ++i) {
        const auto* array = std::get_if<KernelArray>(&args[i]);
        ids.push_back(trace.use_any(array != nullptr ? Operand(*array, where)
                                                     : Operand(std::get<Value>(args[i]), where)));
        key.set_input(i, b.dtype(ids[i]), b.node(ids[i]).weak, ir::Layout::strided);
    }
    const engine::LoopTypes loop =
        engine::choose_loop(source_.name, source_.options.signatures, key, where);
    std::vector<Value> inputs, results;
    for (std::size_t i = 0; i < ids.size(); ++i)
        inputs.push_back(trace.value(loop.inputs ? b.cast(ids[i], (*loop.inputs)[i]) : ids[i]));
    const std::lock_guard tracing(tracing_);
    trace.call(source_.options.fastmath.bits, [&] { source_.function(inputs, results); });
    if (!loop.signature) return results;
    b.set_location(where);
    std::vector<Value> converted;
    for (const Value& result : results)
        converted.push_back(
            trace.value(b.cast(trace.use_any(Operand(result, where)),
                               loop.signature->types[loop.signature->inputs + converted.size()])));
    return converted;
}

void UfuncState::compile(std::span<const ArgType> types, Location where) {
    const engine::CallKey key = key_of(types, where);
    variant(key, traced(key.types(), where));
}

void UfuncState::export_object(std::span<const ArgType> types, const std::string& object,
                               const ExportOptions& options, Location where) {
    const engine::CallKey key = key_of(types, where);
    std::string text;
    for (const ArgType& type : types) {
        text += (text.empty() ? "" : ", ") + std::string(kiln::name(type.dtype));
        if (type.rank == 0) continue;
        text += "[1]";
        if (type.rank > 1)
            throw Error(ErrorKind::type,
                        fmt::format("{} is exported for arrays of one dimension, not of {}",
                                    source_.name, int(type.rank)),
                        where, "an array without gaps is one of one dimension");
    }
    engine::export_object({.job = job(key, traced(key.types(), where)),
                           .owner = owner(),
                           .types = std::move(text),
                           .parallel = source_.options.parallel,
                           .keeps_flush_to_zero = source_.options.keep_flush_to_zero},
                          object, options, where);
}

std::string UfuncState::inspect(Artifact artifact, std::span<const ArgType> types, Location where) {
    const engine::CallKey key = key_of(types, where);
    const engine::TracedMap& map = traced(key.types(), where);
    std::vector<codegen::Decision> methods;
    if (source_.arity == 2 && source_.results == 1)
        methods.push_back({codegen::DecisionKind::method, true, "", 0,
                           engine::reduction_of(map.kernel) ? "over a fixed tree"
                           : source_.options.associative
                               ? "in order, long rows in pieces side by side"
                               : "one element after the other: not declared .associative"});
    return engine::inspect(
        artifact, owner(), ledger_,
        {.job = [&] { return job(key, map); },
         .code = [&]() -> const engine::CompiledCode& { return *variant(key, map).kernel->code; },
         .decisions = std::move(methods)});
}

}  // namespace detail

// -------------------------------------------------------------------------------- the handle

Outs::Outs(std::initializer_list<OutArg> outs, std::source_location where)
    : Outs(std::span(outs.begin(), outs.size()), where) {}

Outs::Outs(std::span<const OutArg> outs, std::source_location where) {
    if (outs.size() > max_size) {
        throw Error(ErrorKind::usage,
                    fmt::format("{} outputs given; a kernel has at most {}", outs.size(), max_size),
                    where);
    }
    for (const OutArg& out : outs) items_[size_++] = out;
}

void detail::append_result(Value result, std::vector<Value>& out) { out.push_back(result); }

Ufunc::Ufunc(std::string name, std::size_t arity, std::size_t results,
             detail::ElementFunction function, UfuncOptions options, Location where)
    : state_(share<detail::UfuncState>(engine::UfuncSource{
          std::move(name), arity, std::move(function), std::move(options), where, results})) {}

const std::string& Ufunc::name() const { return state_->source().name; }
const std::string& Ufunc::doc() const { return state_->source().options.doc; }
std::size_t Ufunc::arity() const { return state_->source().arity; }
std::size_t Ufunc::nout() const { return state_->source().results; }
std::vector<Signature> Ufunc::types() const { return state_->types(); }

std::vector<Value> Ufunc::traced_all(std::initializer_list<TracedNumber> args) const {
    return traced_all(detail::items_of(args), args.begin()->where());
}
std::vector<Value> Ufunc::traced_all(const std::vector<detail::KernelItem>& args,
                                     Where where) const {
    return state_->inline_call(args, where);
}
std::vector<DType> Ufunc::result_types(const std::vector<DType>& inputs, Where where) const {
    engine::CallKey key(inputs.size(), Casting::same_kind, std::nullopt);
    for (std::size_t i = 0; i < inputs.size(); ++i)
        key.set_input(i, inputs[i], false, ir::Layout::strided);
    return state_->traced(key, where).memory;
}
Value Ufunc::traced(std::initializer_list<TracedNumber> args) const {
    const std::vector<Value> results = traced_all(args);
    if (results.size() == 1) return results[0];
    throw Error(ErrorKind::usage, fmt::format("{} has {} outputs", name(), results.size()),
                args.begin()->where(), "call all(), which gives them in order");
}
std::optional<Scalar> Ufunc::identity() const { return state_->identity(); }

std::string Ufunc::signature() const {
    const auto places = [](std::size_t count) {
        std::string text;
        for (std::size_t i = 0; i < count; ++i) text += i == 0 ? "()" : ",()";
        return text;
    };
    return places(nin()) + "->" + places(nout());
}
std::vector<Remark> Ufunc::remarks() const { return state_->ledger().remarks(); }
Stats Ufunc::stats() const { return state_->ledger().stats(); }

std::string Ufunc::inspect(Artifact artifact, const std::vector<ArgType>& types,
                           Where where) const {
    return state_->inspect(artifact, types, where);
}

std::vector<std::vector<ArgType>> Ufunc::specialisations() const {
    return state_->ledger().specialisations();
}

void Ufunc::compile(std::initializer_list<ArgType> types, Where where) const {
    state_->compile(std::span(types.begin(), types.size()), where);
}

void Ufunc::compile(const std::vector<ArgType>& types, Where where) const {
    state_->compile(types, where);
}

void Ufunc::export_object(std::initializer_list<ArgType> types, const std::string& object,
                          const ExportOptions& options, Where where) const {
    state_->export_object(std::span(types.begin(), types.size()), object, options, where);
}

void Ufunc::export_object(const std::vector<ArgType>& types, const std::string& object,
                          const ExportOptions& options, Where where) const {
    state_->export_object(types, object, options, where);
}

Ufunc Ufunc::varied(const Variation& variation) const {
    const engine::UfuncSource& s = state_->source();
    return {s.name,
            s.arity,
            s.results,
            s.function,
            engine::varied(s.options, variation, s.name, engine::KernelKind::element_wise),
            s.where};
}

std::string Ufunc::inspect(Artifact artifact, std::initializer_list<ArgType> types,
                           Where where) const {
    return state_->inspect(artifact, types, where);
}

Array Ufunc::call(std::initializer_list<const Arg*> args, const CallOptions& options,
                  const Where& where) const {
    const detail::DefaultEnvironment environment(detail::FloatFlags::raised,
                                                 state_->source().options.keep_flush_to_zero);
    detail::Call call;
    call.environment = environment.word();
    state_->gather(call, std::span(args.begin(), args.size()), options, where);
    if (call.outputs > 0) {
        if (!state_->call_simple(call, nullptr, where)) state_->call_general(call, where);
        return detail::handle_of(options.out ? options.out : options.outs[0]);
    }
    Array result;
    if (state_->call_simple(call, &result, where)) return result;
    std::vector<Array> results = state_->call_general(call, where);
    if (results.size() != 1) {
        throw Error(ErrorKind::usage, fmt::format("{} has {} outputs", name(), results.size()),
                    where, "call it with .all(...), which gives all of them");
    }
    return std::move(results[0]);
}

std::vector<Array> Ufunc::all_of(const std::vector<Arg>& args, const CallOptions& options,
                                 Where where) const {
    std::vector<const Arg*> pointers;
    for (const Arg& arg : args) pointers.push_back(&arg);
    return call_all(std::span<const Arg* const>(pointers), options, where);
}

std::vector<Array> Ufunc::call_all(std::initializer_list<const Arg*> args,
                                   const CallOptions& options, const Where& where) const {
    return call_all(std::span(args.begin(), args.size()), options, where);
}

std::vector<Array> Ufunc::call_all(std::span<const Arg* const> args, const CallOptions& options,
                                   const Where& where) const {
    const detail::DefaultEnvironment environment(detail::FloatFlags::raised,
                                                 state_->source().options.keep_flush_to_zero);
    detail::Call call;
    call.environment = environment.word();
    state_->gather(call, args, options, where);
    const bool given = call.outputs > 0;
    std::vector<Array> results = state_->call_general(call, where);
    if (!given) return results;
    if (options.out) return {detail::handle_of(options.out)};
    for (std::size_t i = 0; i < options.outs.size(); ++i)
        results.push_back(detail::handle_of(options.outs[i]));
    return results;
}

}  // namespace kiln
