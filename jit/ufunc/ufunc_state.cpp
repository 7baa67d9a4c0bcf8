// What a ufunc keeps: its loops, their machine code, counters, texts.
#include "dsl/ir/text.h"
#include "jit/compile/checked_mode.h"
#include "jit/ufunc/ufunc.h"

#include <algorithm>

#include <fmt/format.h>

namespace kiln {
namespace detail {

static engine::UfuncSource with_environment(engine::UfuncSource source) {
    source.options.checked = source.options.checked || engine::all_checked();
    return source;
}

UfuncState::UfuncState(engine::UfuncSource source) : source_(with_environment(std::move(source))) {
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

engine::Loop& UfuncState::loop(const engine::CallKey& types, Location where) {
    if (engine::Loop* found = loops_.find(types)) return *found;
    const DefaultEnvironment environment;
    come_first_at_exit();  // the kernel may be a static object
    const std::lock_guard tracing(tracing_);
    if (engine::Loop* found = loops_.find(types)) return *found;
    auto made = engine::trace_loop(source_, types, where);
    const double ms = made->trace_ms;
    engine::Loop* const loop = loops_.insert(types, std::move(made));
    const std::lock_guard lock(mutex_);
    made_.trace_ms += ms;
    return *loop;
}

engine::Variant& UfuncState::variant(const engine::CallKey& key, const engine::Loop& loop) {
    if (engine::Variant* found = variants_.find(key)) {
        hits_.increment();
        return *found;
    }
    const DefaultEnvironment environment;
    engine::Specialised made = engine::specialise(source_, loop, key, source_.options.target);
    made.stats.misses = 1;
    record(made);
    return *variants_.insert(key, std::make_unique<engine::Variant>(std::move(made.variant)));
}

void UfuncState::record(const engine::Specialised& made) {
    const std::lock_guard lock(mutex_);
    engine::add(made_, made.stats);
    // Threads that wait for one compile, and variants of one loop, have the same to say.
    for (const Remark& remark : made.remarks) {
        if (std::ranges::find(remarks_, remark) == remarks_.end()) remarks_.push_back(remark);
    }
}

std::vector<Remark> UfuncState::remarks() const {
    const std::lock_guard lock(mutex_);
    return remarks_;
}

Stats UfuncState::stats() const {
    const std::lock_guard lock(mutex_);
    Stats sum = made_;
    sum.hits += hits_.total();
    return sum;
}

std::string UfuncState::inspect(Artifact artifact, std::span<const ArgType> types, Location where) {
    const DefaultEnvironment environment;
    if (types.size() != source_.arity) {
        throw Error(ErrorKind::usage,
                    fmt::format("{} takes {} argument{}, {} types given", source_.name,
                                source_.arity, source_.arity == 1 ? "" : "s", types.size()),
                    where);
    }
    engine::CallKey key(types.size(), Casting::same_kind, std::nullopt);
    for (std::size_t i = 0; i < types.size(); ++i) {
        key.set_input(i, types[i].dtype, false,
                      types[i].rank == 0 ? ir::Layout::uniform : ir::Layout::unit);
    }
    const engine::Loop& traced = loop(key.types(), where);
    switch (artifact) {
        case Artifact::ir: return ir::print(engine::kernel_with_layouts(traced, key));
        case Artifact::passes:
            return engine::pass_texts(source_, engine::kernel_with_layouts(traced, key));
        case Artifact::llvm:
        case Artifact::llvm_opt:
        case Artifact::assembly: {
            if (source_.options.target == BackendTarget::cpu) {
                return variant(key, traced).program->program->text(artifact);
            }
            return text_for(BackendTarget::cpu, artifact, key, traced);
        }
        case Artifact::cuda:
        case Artifact::ptx: return text_for(BackendTarget::cuda, artifact, key, traced);
    }
    __builtin_unreachable();
}

std::string UfuncState::text_for(BackendTarget target, Artifact artifact,
                                 const engine::CallKey& key, const engine::Loop& loop) {
    const engine::Specialised made = engine::specialise(source_, loop, key, target);
    record(made);
    return made.variant.program->program->text(artifact);
}

void UfuncState::throw_fault(const engine::Variant& variant, const engine::CallFault& fault,
                             const Shape& shape, Location where) {
    const ir::Kernel& kernel = variant.program->kernel;
    const auto check = static_cast<ir::Check>(fault.code & 0xff);
    const auto line = static_cast<std::uint32_t>(fault.code >> 8);
    Shape index = shape;
    std::int64_t rest = fault.index;
    for (int d = shape.rank(); d-- > 0;) {
        index[d] = rest % shape[d];
        rest /= shape[d];
    }
    const auto raise = [&](ErrorKind kind, std::string_view text, std::string hint) {
        Location at = kernel.location(line);
        if (at.line == 0) at = where;
        throw Error(kind, fmt::format("{} at index {}", text, to_string(index)), at,
                    std::move(hint));
    };
    switch (check) {
        case ir::Check::division_by_zero:
            raise(ErrorKind::usage, "integer division by zero", "");
            break;
        case ir::Check::negative_power:
            raise(ErrorKind::usage, "integer to a negative integer power",
                  "convert the base to a floating-point type");
            break;
        case ir::Check::shapes:
        case ir::Check::empty:
        case ir::Check::outside_neighborhood:
            raise(ErrorKind::internal, "a check of loop kernels failed", "");
            break;
        case ir::Check::out_of_bounds:
            raise(ErrorKind::bounds, "subscript out of bounds", "");
            break;
    }
    __builtin_unreachable();
}

}  // namespace detail

// -------------------------------------------------------------------------------- the handle

Outs::Outs(std::initializer_list<OutArg> outs, std::source_location where) {
    if (outs.size() > max_size) {
        throw Error(ErrorKind::usage,
                    fmt::format("{} outputs given; a kernel has at most {}", outs.size(), max_size),
                    where);
    }
    for (const OutArg& out : outs) items_[size_++] = out;
}

Ufunc::Ufunc(std::string name, std::size_t arity, detail::ElementFunction function,
             UfuncOptions options, Location where)
    : state_(std::make_shared<detail::UfuncState>(engine::UfuncSource{
          std::move(name), arity, std::move(function), std::move(options), where})) {}

const std::string& Ufunc::name() const { return state_->source().name; }
std::size_t Ufunc::arity() const { return state_->source().arity; }
std::vector<Remark> Ufunc::remarks() const { return state_->remarks(); }
Stats Ufunc::stats() const { return state_->stats(); }

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
    state_->gather(call, args, options, where);
    if (call.outputs > 0) {
        if (!state_->call_simple(call, nullptr, where)) state_->call_general(call, where);
        return detail::output_handle(options.out ? options.out : options.outs[0]);
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

std::vector<Array> Ufunc::call_all(std::initializer_list<const Arg*> args,
                                   const CallOptions& options, const Where& where) const {
    const detail::DefaultEnvironment environment(detail::FloatFlags::raised,
                                                 state_->source().options.keep_flush_to_zero);
    detail::Call call;
    call.environment = environment.word();
    state_->gather(call, args, options, where);
    const bool given = call.outputs > 0;
    std::vector<Array> results = state_->call_general(call, where);
    if (!given) return results;
    if (options.out) return {detail::output_handle(options.out)};
    for (std::size_t i = 0; i < options.outs.size(); ++i)
        results.push_back(detail::output_handle(options.outs[i]));
    return results;
}

}  // namespace kiln
