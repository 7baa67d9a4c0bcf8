// Calls of reductions: operands, axes, shapes, results; the functions sum, prod, ...
#include "jit/reduce/reduce.h"

#include "dsl/ir/evaluate.h"
#include "jit/call/axes.h"
#include "jit/call/overlap.h"
#include "jit/call/plan.h"
#include "jit/call/signature.h"
#include "jit/compile/checked_mode.h"
#include "jit/compile/vary.h"
#include "runtime/process.h"

#include <kiln/environment.h>
#include <kiln/ufuncs.h>

#include <algorithm>

#include <fmt/format.h>

namespace kiln {

using engine::OperandView;

static_assert(static_cast<int>(Reduce::any) == static_cast<int>(ir::Reduction::any));

namespace detail {

namespace {

/// The scalar that `initial` is, in the dtype that is accumulated in.
Scalar initial_value(const std::string& name, const Arg& initial, DType accumulate,
                     Location where) {
    OperandView view;
    CallAccess::Row row;
    CallAccess::view(initial, view, row, where);
    if (view.size() != 1) {
        throw Error(ErrorKind::usage,
                    fmt::format("initial= of {} has shape {}; it is a scalar", name,
                                to_string(view.shape())),
                    where);
    }
    Scalar value;
    value.dtype = view.dtype;
    std::memcpy(value.bytes.data(), view.data, size_of(view.dtype));
    const bool fits = view.weak ? promote_weak(accumulate, view.dtype) == accumulate
                                : can_cast(view.dtype, accumulate, Casting::same_kind);
    if (!fits && !is_bool(accumulate)) {
        throw Error(ErrorKind::type,
                    fmt::format("cannot cast initial= of {} from {} to {} under same_kind", name,
                                kiln::name(view.dtype), kiln::name(accumulate)),
                    where, "dtype= sets what is accumulated in");
    }
    return value.cast(accumulate);
}

struct Sources {
    std::array<OperandView, engine::max_inputs + 1> views;
    std::array<CallAccess::Row, engine::max_inputs + 1> rows;
    std::size_t inputs = 0, count = 0;  ///< count: with the mask

    std::span<const OperandView> all() const { return {views.data(), count}; }
};

void gather(Sources& sources, const engine::UfuncSource& source,
            std::initializer_list<const Arg*> args, const ReduceOptions& options, Location where) {
    engine::check_arity(source.name, source.arity, args.size(), where);
    for (const Arg* arg : args) {
        CallAccess::view(*arg, sources.views[sources.count], sources.rows[sources.count], where);
        ++sources.count;
    }
    sources.inputs = sources.count;
    if (!options.where) return;
    OperandView& mask = sources.views[sources.count];
    CallAccess::view(*options.where, mask, sources.rows[sources.count], where);
    ++sources.count;
    if (mask.dtype == DType::bool_) return;
    throw Error(
        ErrorKind::type,
        fmt::format("where= of {} is of dtype {}, not bool", source.name, kiln::name(mask.dtype)),
        where, "compare or convert with astype(DType::bool_)");
}

engine::CallKey key_of(const Sources& sources, const ReduceOptions& options) {
    engine::CallKey key(sources.inputs, Casting::same_kind, options.dtype);
    for (std::size_t k = 0; k < sources.inputs; ++k)
        key.set_input(k, sources.views[k].dtype, sources.views[k].weak, ir::Layout::strided);
    if (options.where) key.set_where(ir::Layout::strided);
    return key;
}

/// Results of the parts of states.
std::vector<Array> finished(const Ufunc& finish, const std::vector<Array>& parts) {
    const auto call = [&]<std::size_t... I>(std::index_sequence<I...>) {
        return finish.all(Arg(parts[I])...);
    };
    switch (parts.size()) {
        case 1: return call(std::make_index_sequence<1>());
        case 2: return call(std::make_index_sequence<2>());
        case 3: return call(std::make_index_sequence<3>());
        case 4: return call(std::make_index_sequence<4>());
        case 5: return call(std::make_index_sequence<5>());
        case 6: return call(std::make_index_sequence<6>());
        case 7: return call(std::make_index_sequence<7>());
        default: return call(std::make_index_sequence<8>());
    }
}

/// The shape that the operands broadcast to, which no array need have.
Shape shape_of(const Sources& sources, const std::string& name, Location where) {
    Shape shape;
    try {
        shape = engine::call_shape(sources.all(), {}, where);
    } catch (const Error& e) {
        throw Error(e.kind(), fmt::format("{}: {}", name, e.message()), where,
                    name != "dot" ? e.hint()
                                  : e.hint() +
                                        "; elements are multiplied in pairs, for a product "
                                        "of matrices write dot in a jit kernel");
    }
    element_count(shape, where);
    return shape;
}

}  // namespace

std::vector<Array> ReduceState::call_states(std::initializer_list<const Arg*> args,
                                            const ReduceOptions& options, Location where) {
    const engine::UfuncSource& source = reducer_.source();
    const DefaultEnvironment environment(FloatFlags::dropped, source.options.keep_flush_to_zero);
    if (options.initial || options.dtype)
        throw Error(ErrorKind::usage,
                    fmt::format("{} takes no {}=: states of {} begin with their identity, in its "
                                "types",
                                source.name, options.initial ? "initial" : "dtype",
                                reducer_.states()->name),
                    where);
    Sources sources;
    gather(sources, source, args, options, where);
    const Shape shape = shape_of(sources, source.name, where);
    const unsigned bits = engine::axis_bits(
        source.name, options.axis.is_default() ? Axes::all() : options.axis, shape.rank(), where);
    const engine::CallKey key = key_of(sources, options);
    const engine::TracedMap& map = reducer_.traced(engine::ReduceForm::row, key, where).map;
    engine::check_weak_values(source, map, std::span(sources.views).first(sources.inputs), where);
    const Shape result_shape = engine::reduced_shape(shape, bits, options.keepdims);
    std::vector<Array> parts;
    for (const Scalar& part : reducer_.states()->identity)
        parts.push_back(empty(result_shape, part.dtype, Order::c, where));
    if (element_count(shape, where) == 0) {
        for (std::size_t i = 0; i < parts.size(); ++i)
            parts[i].fill(reducer_.states()->identity[i], where);
    } else {
        engine::ReduceProblem problem;
        engine::make_problem(problem, sources.all(), shape, bits, parts, options.keepdims);
        problem.logical_order = map.has_checks;
        reducer_.ledger().called(
            engine::run_reduction(reducer_, key, problem, source.options.parallel, shape, where));
    }
    std::vector<Array> results = finish_ ? finished(*finish_, parts) : std::move(parts);
    if (options.out) {
        if (results.size() != 1)
            throw Error(
                ErrorKind::usage,
                fmt::format("out= of {}, which has {} results", source.name, results.size()), where,
                "assign the results of all()");
        Array target = engine::checked_output(source.name, options.out, result_shape,
                                              results[0].dtype(), where);
        target.assign(results[0], Casting::same_kind, where);
        results[0] = target;
    }
    return results;
}

Array ReduceState::call(std::initializer_list<const Arg*> args, const ReduceOptions& options,
                        const Axes& by_default, Location where) {
    if (reducer_.states() != nullptr) {
        std::vector<Array> results = call_states(args, options, where);
        if (results.size() == 1) return results[0];
        throw Error(ErrorKind::usage,
                    fmt::format("{} has {} results", reducer_.source().name, results.size()), where,
                    "call all(), which gives them in order");
    }
    const engine::UfuncSource& source = reducer_.source();
    const DefaultEnvironment environment(FloatFlags::dropped, source.options.keep_flush_to_zero);
    const ir::Reduction reduction = reducer_.reduction();
    Sources sources;
    gather(sources, source, args, options, where);
    const Shape shape = shape_of(sources, source.name, where);
    const unsigned bits = engine::axis_bits(
        source.name, options.axis.is_default() ? by_default : options.axis, shape.rank(), where);

    const engine::CallKey key = key_of(sources, options);
    const engine::TracedMap& map = reducer_.traced(engine::ReduceForm::row, key, where).map;
    engine::check_weak_values(source, map, std::span(sources.views).first(sources.inputs), where);
    const DType accumulate = map.memory[0], natural = map.natural[0];

    const Shape result_shape = engine::reduced_shape(shape, bits, options.keepdims);
    std::int64_t reduced = 1;
    bool empty_result = false;
    for (int d = 0; d < shape.rank(); ++d) {
        if ((bits >> d & 1U) != 0) {
            reduced *= shape[d];
        } else {
            empty_result = empty_result || shape[d] == 0;
        }
    }
    std::optional<Scalar> initial;
    if (options.initial) {
        initial = initial_value(source.name, *options.initial, accumulate, where);
    } else if (options.where || reduced == 0) {
        // With a mask too, so that -0, which sums begin with, shows nowhere.
        initial = ir::identity(reduction, accumulate);
        if (!initial && reduced == 0) {
            throw Error(ErrorKind::shape,
                        fmt::format("zero-size array to reduction operation {} which has no "
                                    "identity",
                                    reducer_.operation()),
                        where, "give an initial= value");
        }
        if (!initial) {
            throw Error(ErrorKind::shape,
                        fmt::format("reduction operation {} has no identity, so a where= mask "
                                    "needs an initial= value",
                                    reducer_.operation()),
                        where);
        }
    }

    Array target;
    bool apart = accumulate != natural;  // computed apart from the result, then converted
    if (options.out) {
        target = engine::checked_output(source.name, options.out, result_shape, natural, where);
        OperandView out_view;
        engine::view_array(out_view, target, false);
        apart = apart || target.dtype() != accumulate;
        for (const OperandView& view : sources.all())
            apart = apart || engine::may_overlap(view, out_view);
    } else {
        target = engine::allocate_reduced(shape, bits, options.keepdims, natural, options.order,
                                          std::span(sources.views).first(sources.inputs), where);
    }
    if (empty_result) return target;
    const Array out = apart ? empty(result_shape, accumulate, Order::c, where) : target;
    if (reduced == 0) {
        out.fill(*initial, where);
    } else {
        engine::ReduceProblem problem;
        engine::make_problem(problem, sources.all(), shape, bits, out, options.keepdims);
        problem.logical_order = map.has_checks;
        reducer_.ledger().called(
            engine::run_reduction(reducer_, key, problem, source.options.parallel, shape, where));
        if (initial) engine::combine_scalar(reduction, out, *initial, where);
    }
    if (apart) target.assign(out, Casting::unsafe, where);
    return target;
}

Shared<ReduceState> ReduceState::varied(const Variation& variation) const {
    engine::UfuncSource source = reducer_.source();
    source.options =
        engine::varied(source.options, variation, source.name, engine::KernelKind::reduction);
    return reducer_.states() == nullptr
               ? share<ReduceState>(std::move(source), reducer_.reduction())
               : share<ReduceState>(std::move(source), reducer_.shared_states(), finish_);
}

}  // namespace detail

// -------------------------------------------------------------------------------- the handle

static UfuncOptions ufunc_options(const std::string& name, std::size_t arity,
                                  const MapReduceOptions& options, Location where) {
    engine::check_param_names(name, arity, options.params, where);
    engine::check_cpu_target(name, "a map-reduce", options.target, where);
    UfuncOptions all;
    all.params = options.params;
    all.fastmath = options.fastmath;
    all.parallel = options.parallel;
    all.checked = options.checked || engine::all_checked();
    all.keep_flush_to_zero = options.keep_flush_to_zero;
    return all;
}

MapReduce::MapReduce(std::string name, std::size_t arity, detail::ElementFunction function,
                     Reduce reduction, MapReduceOptions options, Location where)
    : state_(share<detail::ReduceState>(
          engine::UfuncSource{name, arity, std::move(function),
                              ufunc_options(name, arity, options, where), where},
          static_cast<ir::Reduction>(reduction))) {}

MapReduce::MapReduce(std::string name, std::size_t arity, detail::ElementFunction function,
                     Shared<const detail::StateReduction> states, std::optional<Ufunc> finish,
                     MapReduceOptions options, Location where)
    : state_(share<detail::ReduceState>(
          engine::UfuncSource{name, arity, std::move(function),
                              ufunc_options(name, arity, options, where), where},
          std::move(states), std::move(finish))) {}

const std::string& MapReduce::name() const { return state_->reducer().source().name; }
std::vector<Remark> MapReduce::remarks() const { return state_->reducer().ledger().remarks(); }
Stats MapReduce::stats() const { return state_->reducer().ledger().stats(); }

Array MapReduce::call(std::initializer_list<const Arg*> args, const ReduceOptions& options,
                      const Where& where) const {
    return state_->call(args, options, Axes::all(), where);
}

std::vector<Array> MapReduce::call_all(std::initializer_list<const Arg*> args,
                                       const ReduceOptions& options, const Where& where) const {
    if (state_->reducer().states() == nullptr) return {call(args, options, where)};
    return state_->call_states(args, options, where);
}

std::string MapReduce::inspect(Artifact artifact, const std::vector<ArgType>& types,
                               Where where) const {
    const engine::UfuncSource& source = state_->reducer().source();
    engine::check_arity(source.name, source.arity, types.size(), where, engine::Given::types);
    engine::CallKey key(types.size(), Casting::same_kind, std::nullopt);
    std::size_t k = 0;
    for (const ArgType& type : types) {
        key.set_input(k++, type.dtype, false,
                      type.rank == 0 ? ir::Layout::uniform : ir::Layout::unit);
    }
    return state_->reducer().inspect(artifact, engine::ReduceForm::row, key, where);
}

std::string MapReduce::inspect(Artifact artifact, std::initializer_list<ArgType> types,
                               Where where) const {
    return inspect(artifact, std::vector(types), where);
}

std::vector<std::vector<ArgType>> MapReduce::specialisations() const {
    return state_->reducer().ledger().specialisations();
}

MapReduce::MapReduce(Shared<detail::ReduceState> state) : state_(std::move(state)) {}

MapReduce MapReduce::varied(const Variation& variation) const {
    return MapReduce(state_->varied(variation));
}

// -------------------------------------------------------------------------------- functions

using detail::Lazy;

static std::unique_ptr<MapReduce> of_values(std::string name, Reduce reduction) {
    const MapReduceOptions parallel{.parallel = true};
    return std::make_unique<MapReduce>(
        map_reduce(std::move(name), [](Value x) { return x; }, reduction, parallel, {}));
}

Array sum(const Array& x, const ReduceOptions& options, std::source_location where) {
    static constinit Lazy<MapReduce> f;
    return f.get([] { return of_values("sum", Reduce::sum); })(x, options, where);
}
Array prod(const Array& x, const ReduceOptions& options, std::source_location where) {
    static constinit Lazy<MapReduce> f;
    return f.get([] { return of_values("prod", Reduce::product); })(x, options, where);
}
/// Along all axes by default, in NumPy's order of complex numbers.
static Array complex_extreme(const Ufunc& extreme, const Array& x, ReduceOptions options,
                             std::source_location where) {
    if (options.axis.is_default()) options.axis = Axes::all();
    return extreme.reduce(x, options, where);
}
Array amin(const Array& x, const ReduceOptions& options, std::source_location where) {
    if (is_complex(x.dtype())) return complex_extreme(ufunc::minimum, x, options, where);
    static constinit Lazy<MapReduce> f;
    return f.get([] { return of_values("amin", Reduce::min); })(x, options, where);
}
Array amax(const Array& x, const ReduceOptions& options, std::source_location where) {
    if (is_complex(x.dtype())) return complex_extreme(ufunc::maximum, x, options, where);
    static constinit Lazy<MapReduce> f;
    return f.get([] { return of_values("amax", Reduce::max); })(x, options, where);
}
Array dot(const Array& x, const Array& y, const ReduceOptions& options,
          std::source_location where) {
    static constinit Lazy<MapReduce> lazy;
    const MapReduce& f = lazy.get([] {
        return std::make_unique<MapReduce>(map_reduce("dot", [](Value a, Value b) { return a * b; },
                                                      Reduce::sum,
                                                      MapReduceOptions{.parallel = true}, {}));
    });
    if (options.axis.is_default()) {
        if (x.rank() > 1 || y.rank() > 1) {
            throw Error(ErrorKind::unsupported,
                        fmt::format("dot of shapes {} and {} without .axis", to_string(x.shape()),
                                    to_string(y.shape())),
                        where, "name the axes along which the products are summed");
        }
        if (x.rank() == 1 && y.rank() == 1 && x.extent(0) != y.extent(0)) {
            throw Error(
                ErrorKind::shape,
                fmt::format("dot of shapes {} and {}: size {} is different from {}",
                            to_string(x.shape()), to_string(y.shape()), x.extent(0), y.extent(0)),
                where);
        }
    }
    return f(x, y, options, where);
}

}  // namespace kiln
