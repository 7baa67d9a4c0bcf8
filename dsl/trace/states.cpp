#include "dsl/trace/states.h"

#include "dsl/ir/combines.h"
#include "dsl/ir/describe.h"
#include "dsl/ir/effects.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln {
namespace dsl {
namespace {

/// What a combine has, of which it may have nothing.
const char* what_else(const ir::Node& n) {
    const ir::Effects e = ir::effects_of(n);
    using namespace ir::effect;
    if (e.any(counts | repeats)) return "a loop";
    if (e.any(branches)) return "an if_";
    if (e.any(reads | writes)) return "a Var or Local";
    if (e.any(calls | calls_pure)) return "a call of a function of the host program";
    if (e.any(jumps)) return "a jump";
    if (e.any(ir::effect::checks)) return "an operation that may fail";
    return "an array";
}

/// That the kernel computes, and does nothing else.
void check_combine(const ir::Kernel& kernel) {
    const auto at = std::ranges::find_if(kernel.nodes, [](const ir::Node& n) {
        return !ir::is_leaf(n.kind) && !ir::is_computation(n.kind) && n.kind != ir::NodeKind::store;
    });
    if (at == kernel.nodes.end()) return;
    throw Error(
        ErrorKind::usage,
        fmt::format("the combine of {} has {}: it computes a state of two, and nothing else",
                    kernel.name, what_else(*at)),
        kernel.location(at->loc),
        "choose values by select(condition, a, b); work of one element belongs before add");
}

}  // namespace

ir::Id fitting_part(Trace& trace, const std::string& name, ir::Id value, DType to,
                    const Location& where) {
    ir::Builder& b = trace.builder();
    const DType from = b.dtype(value);
    if ((b.node(value).weak ? promote_weak(to, from) : promote(to, from)) != to)
        throw Error(ErrorKind::type,
                    fmt::format("{} is no part of {}, which is {}, without narrowing",
                                kiln::name(from), name, kiln::name(to)),
                    where, "write cast<T>(...), or an identity of a wider type");
    // A cast also where the dtype is that already: of a weak value it makes a strong one.
    return b.cast(b.coerce(value, to), to);
}

ir::Kernel trace_combine(const kiln::detail::StateReduction& reduction, std::uint8_t fast) {
    Trace trace(reduction.name);
    ir::Builder& b = trace.builder();
    b.set_location(reduction.where);
    b.set_fast(fast);
    ir::build_combine(b, reduction.identity, [&](ir::Builder&, std::span<const ir::Id> both) {
        std::vector<Value> values;
        for (const ir::Id id : both) values.push_back(trace.value(id));
        std::vector<Operand> made;
        reduction.combine(values, made);
        std::vector<ir::Id> parts;
        for (std::size_t i = 0; i < made.size(); ++i)
            parts.push_back(fitting_part(trace, reduction.name, trace.use(made[i]),
                                         reduction.identity[i].dtype, made[i].where()));
        b.set_location(reduction.where);
        return parts;
    });
    ir::Kernel kernel = trace.finish();
    check_combine(kernel);
    return kernel;
}

void combine_into(Trace& trace, const ir::Kernel& combine, std::span<const std::uint32_t> slots,
                  std::span<const ir::Id> values) {
    ir::Builder& b = trace.builder();
    const std::uint32_t number = b.in_parallel_loop() ? b.add_combine(combine) : ir::none;
    ir::combine_into(b, combine, slots, values, number);
}

}  // namespace dsl

namespace detail {

using dsl::Trace;

AccumulatorBase::AccumulatorBase(Shared<const StateReduction> reduction,
                                 const std::source_location& where)
    : reduction_(std::move(reduction)) {
    Trace& trace = Trace::current(where);
    combine_ =
        share<const ir::Kernel>(dsl::trace_combine(*reduction_, trace.builder().fast_flags()));
    parts_.reserve(reduction_->identity.size());
    for (const Scalar& part : reduction_->identity)
        parts_.emplace_back(part.dtype, Operand(part, where));
}

void AccumulatorBase::add(std::span<const Operand> state) {
    Trace& trace = dsl::trace_at(state[0]);
    std::vector<std::uint32_t> slots;
    std::vector<ir::Id> values;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
        slots.push_back(trace.slot(parts_[i], state[i].where()));
        values.push_back(dsl::fitting_part(trace, reduction_->name, trace.use(state[i]),
                                           parts_[i].dtype(), state[i].where()));
    }
    trace.builder().set_location(state[0].where());
    dsl::combine_into(trace, *combine_, slots, values);
}

Value AccumulatorBase::part(std::size_t i, std::source_location where) const {
    return Value(parts_[i], where);
}

}  // namespace detail
}  // namespace kiln
