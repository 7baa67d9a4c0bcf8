// The methods of ufuncs: by the operation that a kernel is, else by loops that apply it in order.
#include "dsl/ir/evaluate.h"
#include "jit/call/arity.h"
#include "jit/call/axes.h"
#include "jit/call/plan.h"
#include "jit/call/segments.h"
#include "jit/call/signature.h"
#include "jit/reduce/scan.h"
#include "jit/ufunc/in_order.h"
#include "jit/ufunc/ufunc.h"
#include "runtime/process.h"

#include <kiln/environment.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace kiln {
namespace detail {

ReduceState* UfuncState::reduction(DType x, Location where) {
    if (source_.options.target != BackendTarget::cpu) {
        throw Error(ErrorKind::unsupported,
                    fmt::format("{} was compiled for another machine than this", source_.name),
                    where, "reductions run on the CPU");
    }
    if (source_.arity != 2) return nullptr;
    engine::CallKey types(2, Casting::same_kind, std::nullopt);
    for (std::size_t k = 0; k < 2; ++k) types.set_input(k, x, false, ir::Layout::strided);
    const engine::TracedMap& map = traced(types, where);
    if (map.memory.size() != 1) return nullptr;
    const std::optional<ir::Reduction> reduction = engine::reduction_of(map.kernel);
    if (!reduction) return nullptr;
    const std::lock_guard lock(mutex_);
    auto& place = reducers_[static_cast<std::size_t>(*reduction)];
    if (place == nullptr) {
        UfuncOptions copied;
        copied.fastmath = source_.options.fastmath;
        copied.parallel = source_.options.parallel;
        const auto same = [](std::span<const Value> values, std::vector<Value>& out) {
            out.push_back(values[0]);
        };
        place = std::make_unique<ReduceState>(engine::UfuncSource{source_.name + ".reduce", 1, same,
                                                                  std::move(copied), source_.where},
                                              *reduction);
    }
    return place.get();
}

InOrder& UfuncState::in_order() {
    const std::lock_guard lock(mutex_);
    if (in_order_ == nullptr) in_order_ = std::make_unique<InOrder>(source_);
    return *in_order_;
}

void UfuncState::check_binary(const std::string& label, Location where) const {
    if (source_.options.target != BackendTarget::cpu) {
        throw Error(ErrorKind::unsupported,
                    fmt::format("{} was compiled for another machine than this", source_.name),
                    where, label + " runs on the CPU");
    }
    if (source_.arity != 2) {
        throw Error(
            ErrorKind::usage,
            fmt::format("{} takes a kernel of 2 arguments, not of {}", label, source_.arity),
            where);
    }
    if (source_.results != 1) {
        throw Error(
            ErrorKind::usage,
            fmt::format("{} takes a kernel of one result, not of {}", label, source_.results),
            where);
    }
}

/// The dtype of f(a, b), strong arguments.
static DType result_of(UfuncState& state, DType a, DType b, Location where) {
    engine::CallKey types(2, Casting::same_kind, std::nullopt);
    types.set_input(0, a, false, ir::Layout::strided);
    types.set_input(1, b, false, ir::Layout::strided);
    return state.traced(types, where).natural[0];
}

DType UfuncState::step_dtype(const std::string& label, DType x, std::optional<DType> dtype,
                             Location where) {
    const DType result = dtype.value_or(result_of(*this, x, x, where));
    const DType next = result_of(*this, result, dtype.value_or(x), where);
    if (can_cast(next, result, Casting::same_kind)) return result;
    throw Error(ErrorKind::type,
                fmt::format("{}: f({}, {}) is {}, which does not cast to {} under same_kind", label,
                            kiln::name(result), kiln::name(dtype.value_or(x)), kiln::name(next),
                            kiln::name(result)),
                where, "each result is the first argument of the next step; .dtype sets its dtype");
}

/// Small numbers that every dtype has.
static Array sample_values(DType dtype) {
    Array values = empty({4}, dtype, Order::c, {});
    values.assign(Array::of({1, 0, 3, 2}), Casting::unsafe, {});
    return values;
}

std::optional<Scalar> UfuncState::checked_identity(DType dtype, Location where) {
    if (!source_.options.identity) return std::nullopt;
    const Scalar identity = source_.options.identity->value.cast(dtype);
    {
        const std::lock_guard lock(mutex_);
        if (std::ranges::find(proven_, dtype) != proven_.end()) return identity;
    }
    const Array samples = sample_values(dtype);
    const Arg x(samples), e(identity);
    CallOptions options;
    Call call;
    gather(call, std::array{&e, &x}, options, std::source_location());
    const Array results = call_general(call, where)[0].astype(dtype);
    for (std::int64_t i = 0; i < samples.size(); ++i) {
        const Array wanted = samples.index(0, i, where), given = results.index(0, i, where);
        const auto bytes = [](const Array& a) { return a.item().cast(DType::c128).bytes; };
        if (bytes(wanted) == bytes(given)) continue;
        throw Error(ErrorKind::usage,
                    fmt::format("{0} is no identity of {1}: {1}({0}, {2}) is {3}",
                                to_string(Array::of(identity)), source_.name, to_string(wanted),
                                to_string(given)),
                    where, "f(identity, x) == x for every x; see UfuncOptions::identity");
    }
    const std::lock_guard lock(mutex_);
    proven_.push_back(dtype);
    return identity;
}

std::optional<Scalar> UfuncState::identity() {
    if (source_.options.identity) return source_.options.identity->value;
    if (source_.arity != 2 || source_.results != 1) return std::nullopt;
    for (const DType dtype : {DType::f64, DType::i64}) {
        try {
            ReduceState* const state = reduction(dtype, {});
            if (state != nullptr) return ir::identity(state->reducer().reduction(), dtype);
        } catch (const Error&) {
            // No kernel of this dtype.
        }
    }
    return std::nullopt;
}

Resolution UfuncState::resolve(std::initializer_list<Arg> args, const CallOptions& options,
                               Location where) {
    engine::check_arity(source_.name, source_.arity, args.size(), where);
    engine::CallKey types(source_.arity, options.casting, options.dtype);
    std::size_t k = 0;
    engine::OperandView view;
    CallAccess::Row row;
    for (const Arg& arg : args) {
        CallAccess::view_of_any_place(arg, view, row);
        types.set_input(k++, view.dtype, view.weak, ir::Layout::strided);
    }
    std::size_t outputs = 0;
    const auto give = [&](const OutArg& out) {
        CallAccess::view_of_any_place(out, view, row);
        types.set_output(outputs++, view.dtype, ir::Layout::strided, true);
    };
    if (options.out) give(options.out);
    for (std::size_t i = 0; i < options.outs.size(); ++i) give(options.outs[i]);
    const engine::TracedMap& map = traced(types, where);
    return {loop_of(types, map, where), map.memory};
}

// ---------------------------------------------------------------------------------- reductions

namespace {

[[noreturn]] void throw_without_identity(const std::string& name, bool masked, Location where) {
    if (masked) {
        throw Error(ErrorKind::shape,
                    fmt::format("reduction operation {} has no identity, so a where= mask needs an "
                                "initial= value",
                                name),
                    where);
    }
    throw Error(
        ErrorKind::shape,
        fmt::format("zero-size array to reduction operation {} which has no identity", name), where,
        "give an initial= value");
}

/// The scalar that `initial` is, as `dtype`.
Scalar initial_as(const std::string& label, const Arg& initial, DType dtype, Location where) {
    engine::OperandView view;
    CallAccess::Row row;
    CallAccess::view(initial, view, row, where);
    if (view.size() != 1) {
        throw Error(ErrorKind::usage,
                    fmt::format("initial= of {} has shape {}; it is a scalar", label,
                                to_string(view.shape())),
                    where);
    }
    const bool fits = view.weak ? promote_weak(dtype, view.dtype) == dtype
                                : can_cast(view.dtype, dtype, Casting::same_kind);
    if (!fits && !is_bool(dtype)) {
        throw Error(ErrorKind::type,
                    fmt::format("cannot cast initial= of {} from {} to {} under same_kind", label,
                                kiln::name(view.dtype), kiln::name(dtype)),
                    where, "dtype= sets what is accumulated in");
    }
    return view.handle().item(where).cast(dtype);
}

/// `a` as `dtype`, where one was asked for.
Array as_asked(const std::string& label, const Array& a, std::optional<DType> dtype,
               Location where) {
    if (!dtype || a.dtype() == *dtype) return a;
    if (!can_cast(a.dtype(), *dtype, Casting::same_kind)) {
        throw Error(ErrorKind::type,
                    fmt::format("cannot cast the array of {} from {} to {} under same_kind", label,
                                kiln::name(a.dtype()), kiln::name(*dtype)),
                    where, "dtype= is what is accumulated in; convert with astype");
    }
    return a.astype(*dtype, Casting::same_kind, Order::keep, where);
}

/// The mask, in the shape that it broadcasts to.
Array mask_of(const std::string& label, const Arg& where_option, const Shape& shape,
              Location where) {
    const Array mask = handle_of(where_option, where);
    if (mask.dtype() != DType::bool_) {
        throw Error(
            ErrorKind::type,
            fmt::format("where= of {} is of dtype {}, not bool", label, kiln::name(mask.dtype())),
            where, "compare or convert with astype(DType::bool_)");
    }
    return mask.broadcast_to(shape, where);
}

bool meets(const Array& a, const Array& b) { return a.size() > 0 && may_share_memory(a, b); }

}  // namespace

/// f over a row, of an associative kernel, into `out`, which is the first element already unless
/// `begun`: pieces of the row side by side, element for element, then what the pieces gave.
void UfuncState::reduce_row(const Array& x, const Array& out, bool begun, Location where) {
    constexpr std::int64_t pieces = 512;
    const std::int64_t length = x.extent(0) / pieces, rest = pieces * length;
    const Array side_by_side = Array::from_memory(x.data(), x.dtype(), {pieces, length},
                                                  {length * x.stride(0), x.stride(0)}, {}, false);
    const Array parts = empty({pieces}, out.dtype(), Order::c, where);
    parts.assign(side_by_side.index(1, 0, where), Casting::unsafe, where);
    const CallOptions into{.out = parts};
    for (std::int64_t i = 1; i < length; ++i) {
        const Array next = side_by_side.index(1, i, where);
        const Arg a(parts), b(next);
        Call call;
        gather(call, std::array{&a, &b}, into, std::source_location());
        call_general(call, where);
    }
    const Array one = out.reshape(Shape(1), where);
    const auto add = [&](const Array& row) {
        if (row.size() > 0) in_order().reduce(row, nullptr, one, 1, false, where);
    };
    if (!begun) one.assign(parts.slice(0, {0, 1}, where), Casting::unsafe, where);
    add(parts.slice(0, {begun ? 0 : 1, pieces}, where));
    add(x.slice(0, {rest, x.extent(0)}, where));
}

Array UfuncState::reduce_in_order(const Array& given, const ReduceOptions& options,
                                  Location where) {
    const std::string label = source_.name + ".reduce";
    const Array x = as_asked(label, given, options.dtype, where);
    const DType dtype = step_dtype(label, given.dtype(), options.dtype, where);
    const unsigned bits = engine::axis_bits(
        label, options.axis.is_default() ? Axes(0) : options.axis, x.rank(), where);
    std::int64_t reduced = 1;
    int axes = 0;
    for (int d = 0; d < x.rank(); ++d) {
        if ((bits >> d & 1U) == 0) continue;
        reduced *= x.extent(d);
        ++axes;
    }
    if (axes > 1 && !source_.options.associative) {
        throw Error(
            ErrorKind::usage,
            fmt::format("reduction operation {} is not reorderable, so at most one axis may "
                        "be specified",
                        source_.name),
            where, "reduce one axis after the other, or declare it .associative");
    }
    if (!source_.options.associative) {
        ledger_.note({std::string(source_.where.file), source_.where.line,
                      label + " combines one element after the other: the kernel is not declared "
                              ".associative"});
    }
    std::optional<Array> mask;
    if (options.where) mask = mask_of(label, *options.where, x.shape(), where);
    std::optional<Scalar> initial;
    if (options.initial) {
        initial = initial_as(label, *options.initial, dtype, where);
    } else {
        initial = checked_identity(dtype, where);
        if (!initial && (mask || reduced == 0))
            throw_without_identity(source_.name, reduced != 0, where);
    }

    const Shape shape = engine::reduced_shape(x.shape(), bits, options.keepdims);
    Array target;
    bool apart = false;
    if (options.out) {
        target = engine::checked_output(label, options.out, shape, dtype, where);
        apart = target.dtype() != dtype || meets(target, x) || (mask && meets(target, *mask));
    } else {
        engine::OperandView view;
        engine::view_array(view, x, false);
        target = engine::allocate_reduced(x.shape(), bits, options.keepdims, dtype, options.order,
                                          {&view, 1}, where);
    }
    if (target.size() == 0) return target;
    const Array out = apart ? empty(shape, dtype, Order::c, where) : target;
    Array kept = out;  // with all axes
    if (!options.keepdims) {
        for (int d = 0; d < x.rank(); ++d)
            if ((bits >> d & 1U) != 0) kept = kept.expand_dims(d, where);
    }
    const InOrder& loops = in_order();
    if (initial) {
        out.fill(*initial, where);
    } else {
        Array first = x;
        for (int d = 0; d < x.rank(); ++d)
            if ((bits >> d & 1U) != 0) first = first.slice(d, {0, 1}, where);
        kept.assign(first, Casting::unsafe, where);
    }
    constexpr std::int64_t long_row = 4096;
    if (bits == 0) {
        if (initial) {  // f(initial, x) of each element
            const Array as_row = x.expand_dims(x.rank(), where);
            std::optional<Array> row_mask;
            if (mask) row_mask = mask->expand_dims(x.rank(), where);
            loops.reduce(as_row, row_mask ? &*row_mask : nullptr, kept.expand_dims(-1, where),
                         1U << x.rank(), false, where);
        }
    } else if (source_.options.associative && !mask && x.size() == reduced && axes == 1 &&
               reduced >= long_row) {
        int axis = 0;
        while ((bits >> axis & 1U) == 0) ++axis;
        Array row = x;
        for (int d = x.rank(); d-- > 0;)
            if (d != axis) row = row.index(d, 0, where);
        reduce_row(row, out, initial.has_value(), where);
    } else if (reduced > 0) {
        loops.reduce(x, mask ? &*mask : nullptr, kept, bits, !initial, where);
    }
    if (apart) target.assign(out, Casting::unsafe, where);
    return target;
}

Array UfuncState::reduce(const Arg& x, const ReduceOptions& options, Location where) {
    check_binary(source_.name + ".reduce", where);
    engine::OperandView view;
    CallAccess::Row row;
    CallAccess::view(x, view, row, where);
    if (ReduceState* const state = reduction(view.dtype, where))
        return state->call({&x}, options, Axes(0), where);
    const DefaultEnvironment environment;
    return reduce_in_order(handle_of(x, where), options, where);
}

// -------------------------------------------------------------------------------------- scans

Array UfuncState::accumulate(const Arg& x, const AccumulateOptions& options, Location where) {
    const std::string label = source_.name + ".accumulate";
    check_binary(label, where);
    const Array given = handle_of(x, where);
    const int axis = engine::checked_axis(label, options.axis, given.rank(), where);
    if (ReduceState* const state = reduction(given.dtype(), where)) {
        ScanOptions scan{.axis = axis, .dtype = options.dtype, .out = options.out};
        scan.parallel = state->reducer().source().options.parallel;
        return engine::scan(label, state->reducer(), given, scan, where);
    }
    const Array source = as_asked(label, given, options.dtype, where);
    const DType dtype = step_dtype(label, given.dtype(), options.dtype, where);
    const Array result = empty(source.shape(), dtype, Order::c, where);
    Array target = result;
    if (options.out)
        target = engine::checked_output(label, options.out, source.shape(), dtype, where);
    if (source.size() > 0) {
        result.index(axis, 0, where).assign(source.index(axis, 0, where), Casting::unsafe, where);
        in_order().accumulate(source, result, axis, where);
    }
    if (options.out) target.assign(result, Casting::unsafe, where);
    return target;
}

// ------------------------------------------------------------------------------------- segments

Array UfuncState::reduceat(const Arg& x, const Arg& indices, const ReduceAtOptions& options,
                           Location where) {
    const DefaultEnvironment environment;
    const std::string label = source_.name + ".reduceat";
    check_binary(label, where);
    const Array given = handle_of(x, where);
    const int axis = engine::checked_axis(label, options.axis, given.rank(), where);
    const auto [first, last] = engine::segments_of(
        label, engine::integer_indices(label, indices, where), given.extent(axis), where);
    ReduceState* const state = reduction(given.dtype(), where);
    DType dtype, accumulate;
    if (state != nullptr) {
        engine::CallKey key(1, Casting::same_kind, options.dtype);
        key.set_input(0, given.dtype(), false, ir::Layout::strided);
        const engine::TracedMap& map =
            state->reducer().traced(engine::ReduceForm::row, key, where).map;
        dtype = map.natural[0];
        accumulate = map.memory[0];
    } else {
        dtype = accumulate = step_dtype(label, given.dtype(), options.dtype, where);
    }
    Shape shape = given.shape();
    shape[axis] = first.size();
    Array target;
    if (options.out) {
        target = engine::checked_output(label, options.out, shape, dtype, where);
    } else {
        target = empty(shape, dtype, Order::c, where);
    }
    if (target.size() == 0) return target;
    const Array source = state != nullptr ? given : as_asked(label, given, options.dtype, where);
    const bool apart = target.dtype() != accumulate || meets(target, source);
    const Array out = apart ? empty(shape, accumulate, Order::c, where) : target;
    constexpr std::int64_t long_segment = 256;
    if (state != nullptr &&
        given.size() / given.extent(axis) * given.extent(axis) >= long_segment * target.size()) {
        const std::span<const std::int64_t> from = first.span<const std::int64_t>(),
                                            to = last.span<const std::int64_t>();
        for (std::size_t s = 0; s < from.size(); ++s) {
            const Array part = source.slice(axis, {from[s], to[s]}, where);
            const Arg argument(part);
            state->call({&argument},
                        {.axis = axis,
                         .dtype = options.dtype,
                         .out = out.index(axis, static_cast<std::int64_t>(s), where)},
                        Axes(0), where);
        }
    } else {
        in_order().segments(source, first, last, out, axis, where);
    }
    if (apart) target.assign(out, Casting::unsafe, where);
    return target;
}

// ------------------------------------------------------------------------------------------- at

namespace {

/// The places that indices along the first axes name, counted in C order.
struct Places {
    Shape shape;        ///< that the indices broadcast to
    Array flat;         ///< i64, of one axis
    std::int64_t rows;  ///< places that there are
};
/// Whether all indices are at least 0 and below `extent`, on vectors.
bool all_within_many(const Array& indices, std::int64_t extent) {
    static constinit Lazy<Jit<Scalar>> lazy;
    const Jit<Scalar>& out_of_bounds = lazy.get([] {
        return std::make_unique<Jit<Scalar>>(jit(
            "out_of_bounds",
            [](In index, Value last) -> Value {
                Var signs(DType::i64, 0);
                for (Index i : prange(index.extent(0))) signs |= index(i) | (last - index(i));
                return signs < 0;
            },
            JitOptions{}, std::source_location()));
    });
    return !out_of_bounds(indices.reshape(Shape(indices.size())), extent - 1).get<bool>();
}
bool all_within(const Array& indices, std::int64_t extent) {
    constexpr std::int64_t many = 10'000;  // what pays for code of its own
    if (indices.size() >= many) return all_within_many(indices, extent);
    const auto limit = static_cast<std::uint64_t>(extent);
    bool within = true;
    for (const std::int64_t index : indices.span<const std::int64_t>())
        within &= static_cast<std::uint64_t>(index) < limit;
    return within;
}
Places places_of(const std::string& label, const Array& target, const Indices& indices,
                 Location where) {
    const std::vector<Arg>& along = indices.along();
    const int axes = static_cast<int>(along.size());
    if (axes == 0 || axes > target.rank()) {
        throw Error(ErrorKind::usage,
                    fmt::format("{} has indices along {} axes of an array of {}", label, axes,
                                target.rank()),
                    where);
    }
    std::vector<Array> each;
    std::vector<engine::OperandView> views(along.size());
    for (const Arg& arg : along) each.push_back(engine::integer_indices(label, arg, where));
    for (std::size_t k = 0; k < each.size(); ++k) engine::view_array(views[k], each[k], false);
    Places places{engine::call_shape(views, {}, where), {}, 1};
    if (axes == 1 && all_within(each[0], target.extent(0))) {
        places.flat = each[0].reshape(Shape(each[0].size()), where);
        places.rows = target.extent(0);
        return places;
    }
    places.flat = zeros(Shape(element_count(places.shape, where)), DType::i64, Order::c, where);
    const std::span<std::int64_t> flat = places.flat.span<std::int64_t>();
    for (std::size_t k = 0; k < each.size(); ++k) {
        const std::int64_t extent = target.extent(static_cast<int>(k));
        const Array all = each[k].broadcast_to(places.shape, where).contiguous(where);
        std::size_t n = 0;
        for (const std::int64_t index : all.span<const std::int64_t>()) {
            if (index < -extent || index >= extent) {
                throw Error(ErrorKind::bounds,
                            fmt::format("index {} of {} is out of bounds for axis {} of extent {}",
                                        index, label, k, extent),
                            where);
            }
            flat[n] = flat[n] * extent + (index < 0 ? index + extent : index);
            ++n;
        }
        places.rows *= extent;
    }
    return places;
}

/// The values of an `at` as (places, elements of a place), broadcast without copies where possible.
Array values_of(const Array& values, const Shape& shape, std::int64_t places, std::int64_t elements,
                Location where) {
    if (values.size() == 1) {
        const Array one = values.reshape(Shape(), where);
        return one.broadcast_to({places, elements}, where);
    }
    return values.broadcast_to(shape, where).reshape({places, elements}, where);
}

}  // namespace

void UfuncState::at(const OutArg& x, const Indices& indices, const Arg* values, Location where) {
    const DefaultEnvironment environment;
    const std::string label = source_.name + ".at";
    if (values != nullptr) {
        check_binary(label, where);
    } else if (source_.arity != 1 || source_.results != 1) {
        throw Error(ErrorKind::usage,
                    fmt::format("{} without values takes a kernel of 1 argument and one result, "
                                "not of {} and {}",
                                label, source_.arity, source_.results),
                    where);
    }
    const Array target = handle_of(x);
    engine::check_on_host(target, where);
    if (target.read_only() || has_internal_overlap(target)) {
        throw Error(ErrorKind::usage,
                    fmt::format("the array of {} is {}", label,
                                target.read_only() ? "read-only" : "broadcast"),
                    where, "write to a copy()");
    }
    Places places = places_of(label, target, indices, where);
    Shape shape = places.shape, rest;
    for (int d = static_cast<int>(indices.along().size()); d < target.rank(); ++d) {
        shape.push_back(target.extent(d));
        rest.push_back(target.extent(d));
    }
    const std::int64_t elements = element_count(rest, where);
    std::optional<Array> second;
    std::optional<DType> weak;
    if (values != nullptr) {
        engine::OperandView view;
        CallAccess::Row row;
        CallAccess::view(*values, view, row, where);
        second = view.handle();
        // A C++ value takes the dtype that it has beside the array.
        if (view.weak) weak = promote_weak(target.dtype(), view.dtype);
        if (weak) second = second->astype(*weak);
    }
    engine::CallKey types(source_.arity, Casting::same_kind, std::nullopt);
    types.set_input(0, target.dtype(), false, ir::Layout::strided);
    if (second) types.set_input(1, second->dtype(), false, ir::Layout::strided);
    const DType result = traced(types, where).natural[0];
    engine::check_output_cast(label, result, target.dtype(), Casting::same_kind, where);
    std::optional<Array> rows;
    if (second) rows = values_of(*second, shape, places.flat.size(), elements, where);
    if (places.flat.size() == 0 || elements == 0) return;
    // As if all inputs were copied first.
    if (rows && meets(*rows, target)) rows = rows->copy();
    if (meets(places.flat, target)) places.flat = places.flat.copy();
    const Array work = target.contiguous(where);
    const Array matrix = work.reshape({places.rows, elements}, where);
    if (rows) {
        in_order().scatter(matrix, places.flat, *rows);
    } else {
        in_order().scatter(matrix, places.flat);
    }
    if (work.data() != target.data()) target.assign(work, Casting::unsafe, where);
}

}  // namespace detail

Array Ufunc::reduce(const Arg& x, const ReduceOptions& options, Where where) const {
    return state_->reduce(x, options, where);
}

Array Ufunc::accumulate(const Arg& x, const AccumulateOptions& options, Where where) const {
    const detail::DefaultEnvironment environment;
    return state_->accumulate(x, options, where);
}

Array Ufunc::reduceat(const Arg& x, const Arg& indices, const ReduceAtOptions& options,
                      Where where) const {
    return state_->reduceat(x, indices, options, where);
}

void Ufunc::at(const OutArg& x, const Indices& indices, const Arg& values, Where where) const {
    state_->at(x, indices, &values, where);
}

void Ufunc::at(const OutArg& x, const Indices& indices, Where where) const {
    state_->at(x, indices, nullptr, where);
}

Resolution Ufunc::resolve(std::initializer_list<Arg> args, const CallOptions& options,
                          Where where) const {
    return state_->resolve(args, options, where);
}

Array Ufunc::outer(const Arg& a, const Arg& b, const CallOptions& options, Where where) const {
    if (arity() != 2) {
        throw Error(
            ErrorKind::usage,
            fmt::format("{}.outer takes a kernel of 2 arguments, not of {}", name(), arity()),
            where);
    }
    engine::OperandView view;
    detail::CallAccess::Row row;
    detail::CallAccess::view_of_any_place(b, view, row);
    const int added = view.rank;
    detail::CallAccess::view_of_any_place(a, view, row);
    if (view.rank + added > max_rank) {
        throw Error(ErrorKind::shape,
                    fmt::format("{}.outer of arrays of rank {} and {} has more than {} axes",
                                name(), view.rank, added, max_rank),
                    where);
    }
    if (view.rank == 0 || added == 0) return (*this)(a, b, options, where);
    Array left = view.handle();
    for (int d = 0; d < added; ++d) left = left.expand_dims(-1, where);
    return (*this)(left, b, options, where);
}

}  // namespace kiln
