// Reductions with states along an axis, one element after the other: running states, segments.
#include "jit/call/arity.h"
#include "jit/call/axes.h"
#include "jit/call/plan.h"
#include "jit/call/segments.h"
#include "jit/reduce/reduce.h"

#include <kiln/guvectorize.h>

#include <fmt/format.h>

namespace kiln {
namespace detail {

namespace {

/// A state in a kernel, whose parts are known when it is traced.
class State : public AccumulatorBase {
  public:
    explicit State(const Shared<const StateReduction>& reduction)
        : AccumulatorBase(reduction, {}), parts_(reduction->identity.size()) {}
    void add(const std::vector<Value>& state) {
        std::vector<Operand> operands;
        for (const Value& part : state) operands.emplace_back(part, std::source_location());
        AccumulatorBase::add(operands);
    }
    std::vector<Value> parts() const {
        std::vector<Value> all;
        for (std::size_t i = 0; i < parts_; ++i) all.push_back(part(i, {}));
        return all;
    }

  private:
    std::size_t parts_;
};

std::string list_of(const char* core, std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "" : ",") + std::string(core);
    return text;
}

}  // namespace

struct ReduceState::InOrder {
    Gufunc accumulate, segments;
};

/// The operands of a call, which have one shape.
struct ReduceState::Rows {
    std::string label;
    std::vector<Array> arrays;
    Shape shape;
    int axis;
};

ReduceState::Rows ReduceState::rows_of(const char* method, std::span<const Arg> args, int axis,
                                       const std::optional<DType>& dtype,
                                       const std::source_location& where) const {
    const engine::UfuncSource& source = reducer_.source();
    Rows rows{source.name + method, {}, {}, 0};
    if (reducer_.states() == nullptr)
        throw Error(ErrorKind::usage, fmt::format("{} has no state", source.name), where,
                    fmt::format("{} is of reductions with a state; ufuncs have {}, too", rows.label,
                                method + 1));
    if (dtype)
        throw Error(ErrorKind::usage,
                    fmt::format("{} takes no dtype=: states of {} are of the types of their "
                                "identity",
                                rows.label, reducer_.states()->name),
                    where);
    engine::check_arity(rows.label, source.arity, args.size(), where);
    for (const Arg& arg : args) rows.arrays.push_back(handle_of(arg, where));
    std::vector<engine::OperandView> views(args.size());  // of arrays that stay where they are
    for (std::size_t i = 0; i < args.size(); ++i)
        engine::view_array(views[i], rows.arrays[i], false);
    rows.shape = engine::call_shape(views, {}, where);
    for (Array& array : rows.arrays) array = array.broadcast_to(rows.shape, where);
    rows.axis = engine::checked_axis(rows.label, axis, rows.shape.rank(), where);
    return rows;
}

std::vector<DType> ReduceState::result_types(const std::source_location& where) const {
    std::vector<DType> parts;
    for (const Scalar& part : reducer_.states()->identity) parts.push_back(part.dtype);
    if (!finish_) return parts;
    return finish_->result_types(parts, where);
}

/// What a core does. `segments`: its last two inputs are where segments begin and end.
KernelFunction ReduceState::step_by_step(bool segments) const {
    const engine::UfuncSource& source = reducer_.source();
    return [lift = source.function, inputs = source.arity, states = reducer_.shared_states(),
            finish = finish_, segments](std::span<const KernelItem> items) {
        const auto array = [&](std::size_t i) { return In(std::get<KernelArray>(items[i])); };
        const auto add = [&](State& state, const Value& i) {
            std::vector<Value> given, parts;
            for (std::size_t k = 0; k < inputs; ++k) given.push_back(array(k)(i));
            lift(given, parts);
            state.add(parts);
        };
        const auto store = [&](const State& state, const Value& i) {
            std::vector<Value> results = state.parts();
            if (finish) {
                std::vector<KernelItem> parts(results.begin(), results.end());
                results = finish->traced_all(parts, {});
            }
            for (std::size_t r = 0; r < results.size(); ++r) {
                const std::size_t at = inputs + (segments ? 2 : 0) + r;
                Out(std::get<KernelArray>(items[at]))(i) = results[r];
            }
        };
        if (!segments) {
            State state(states);
            for (Index i : range(array(0).extent(0))) {
                add(state, i);
                store(state, i);
            }
            return std::vector<KernelItem>();
        }
        const In first = array(inputs), last = array(inputs + 1);
        for (Index s : range(first.extent(0))) {
            State state(states);
            for (Index i : range(first(s), last(s))) add(state, i);
            store(state, s);
        }
        return std::vector<KernelItem>();
    };
}

const ReduceState::InOrder& ReduceState::in_order(const std::source_location& where) {
    const std::lock_guard lock(mutex_);
    if (in_order_ != nullptr) return *in_order_;
    const engine::UfuncSource& source = reducer_.source();
    GufuncOptions options{.fastmath = source.options.fastmath,
                          .parallel = source.options.parallel,
                          .checked = source.options.checked,
                          .keep_flush_to_zero = source.options.keep_flush_to_zero};
    options.results = result_types(where);
    const std::size_t results = options.results.size();
    const auto make = [&](const char* method, bool segments) {
        const char* const out = segments ? "(s)" : "(n)";
        const std::string signature = list_of("(n)", source.arity) + (segments ? ",(s),(s)" : "") +
                                      "->" + list_of(out, results);
        std::vector<KernelParam> params(source.arity + (segments ? 2 : 0), KernelParam::in);
        params.insert(params.end(), results, KernelParam::out);
        return Gufunc(source.name + method, signature, params, step_by_step(segments), options,
                      where);
    };
    in_order_ = std::make_shared<const InOrder>(
        InOrder{make(".accumulate", false), make(".reduceat", true)});
    return *in_order_;
}

namespace {

/// Where a call's results go. Errors: usage (an output for several results), and of the output.
template <class Options>
void give_output(GufuncCallOptions& to, const Options& options, const std::string& label,
                 const Shape& shape, const std::vector<DType>& types, Location where) {
    if (!options.out) return;
    if (types.size() != 1)
        throw Error(ErrorKind::usage,
                    fmt::format("out= of {}, which has {} results", label, types.size()), where,
                    "assign the results");
    engine::checked_output(label, options.out, shape, types[0], where);
    to.out = options.out;
}

}  // namespace

std::vector<Array> ReduceState::accumulate(std::span<const Arg> args,
                                           const AccumulateOptions& options,
                                           const std::source_location& where) {
    const Rows rows = rows_of(".accumulate", args, options.axis, options.dtype, where);
    const InOrder& f = in_order(where);
    GufuncCallOptions call;
    call.axes.assign(f.accumulate.nargs(), Axes(rows.axis));
    give_output(call, options, rows.label, rows.shape, result_types(where), where);
    const std::vector<Arg> given(rows.arrays.begin(), rows.arrays.end());
    return f.accumulate.all_of(given, call, where);
}

std::vector<Array> ReduceState::reduceat(std::span<const Arg> args, const Arg& indices,
                                         const ReduceAtOptions& options,
                                         const std::source_location& where) {
    const Rows rows = rows_of(".reduceat", args, options.axis, options.dtype, where);
    const auto [first, last] =
        engine::segments_of(rows.label, engine::integer_indices(rows.label, indices, where),
                            rows.shape[rows.axis], where);
    const InOrder& f = in_order(where);
    GufuncCallOptions call;
    call.axes.assign(f.segments.nargs(), Axes(rows.axis));
    call.axes[args.size()] = call.axes[args.size() + 1] = Axes(0);
    Shape shape = rows.shape;
    shape[rows.axis] = first.size();
    give_output(call, options, rows.label, shape, result_types(where), where);
    std::vector<Arg> given(rows.arrays.begin(), rows.arrays.end());
    given.emplace_back(first);
    given.emplace_back(last);
    return f.segments.all_of(given, call, where);
}

}  // namespace detail

std::vector<Array> MapReduce::accumulate_all(std::initializer_list<Arg> args,
                                             const AccumulateOptions& options, Where where) const {
    return state_->accumulate({args.begin(), args.size()}, options, where);
}
std::vector<Array> MapReduce::reduceat_all(std::initializer_list<Arg> args, const Arg& indices,
                                           const ReduceAtOptions& options, Where where) const {
    return state_->reduceat({args.begin(), args.size()}, indices, options, where);
}

namespace {
Array only(const std::string& label, std::vector<Array> results, Location where) {
    if (results.size() == 1) return std::move(results[0]);
    throw Error(ErrorKind::usage, fmt::format("{} has {} results", label, results.size()), where,
                fmt::format("call {}_all, which gives them in order", label));
}
}  // namespace

Array MapReduce::accumulate(const Arg& a, const AccumulateOptions& options, Where where) const {
    return only(name() + ".accumulate", accumulate_all({a}, options, where), where);
}
Array MapReduce::reduceat(const Arg& a, const Arg& indices, const ReduceAtOptions& options,
                          Where where) const {
    return only(name() + ".reduceat", reduceat_all({a}, indices, options, where), where);
}

}  // namespace kiln
