// Whole arrays as values: slices, assignments, reductions over axes, products.
#include "dsl/ir/describe.h"
#include "dsl/ir/dispatch.h"
#include "dsl/ir/rules.h"
#include "dsl/trace/array_parts.h"
#include "dsl/trace/compound.h"
#include "dsl/trace/trace.h"

#include <kiln/array_value.h>

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace kiln {

using dsl::Trace;
using ir::Id;
using ir::Op;

namespace dsl {

void Trace::assign(std::uint32_t param, std::span<const Id> slice, std::uint64_t dropped, Id value,
                   const Location& where) {
    refuse_in_threads("a statement on whole arrays", "each thread stores elements of its own");
    const ir::Param& p = builder_.kernel().params[param];
    ir::rules::keep(ir::rules::written(p), where);
    check_store(value, p.dtype, false, param, where);
    std::vector<Id> seen;
    if (const CoreView* core = core_of(param); core != nullptr && slice.empty()) {
        dropped = core_slice(*core, seen);
        slice = seen;
    }
    const int rank = p.rank - std::popcount(dropped);
    // Leading axes of extent 1 may be more; whether they are is found when the kernel runs.
    if (builder_.node(value).rank > rank && rank == 0)
        throw Error(ErrorKind::shape,
                    fmt::format("a value of {} dimensions is assigned to {} of {}",
                                builder_.node(value).rank,
                                ir::describe_array(builder_.kernel(), param, where), rank),
                    where);
    builder_.assign(param, slice, dropped, builder_.coerce(value, p.dtype));
    if (const CoreView* core = core_of(param); core != nullptr && core->written != ir::none)
        builder_.assign(core->written, slice, dropped, builder_.constant_bool(true));
}

namespace {

/// More elements than any array has: what slices name beyond is cut, so that sums of bounds, steps
/// and extents do not overflow.
constexpr std::int64_t longest = std::int64_t(1) << 61;

/// A bound as multiple * extent + constant where that is known when the kernel is traced.
struct Place {
    bool known = false;
    int extents = 0;
    std::int64_t constant = 0;
    Id id = ir::none;  // else
};

class SliceMaker {
  public:
    SliceMaker(Trace& trace, Id extent)
        : trace_(trace), b_(trace.builder()), extent_(extent), zero_(b_.constant_i64(0)) {}

    Id integer(const Operand& operand, std::string_view what) {
        const Id id = trace_.use(operand);
        if (!is_integer(b_.dtype(id)))
            throw Error(ErrorKind::type,
                        fmt::format("{} is {}, not an integer", what, name(b_.dtype(id))),
                        operand.where(), "write cast<std::int64_t>(...)");
        return b_.cast(id, DType::i64);
    }
    bool constant(Id id, std::int64_t& value) const {
        if (b_.node(id).kind != ir::NodeKind::constant) return false;
        value = b_.kernel().constant(id).get<std::int64_t>();
        return true;
    }
    Id minimum(Id a, Id b) { return a == b ? a : b_.apply(Op::minimum, {a, b}); }
    Id maximum(Id a, Id b) { return a == b ? a : b_.apply(Op::maximum, {a, b}); }
    Id plus(Id a, std::int64_t c) {
        if (c == 0) return a;
        return b_.apply(Op::add, {a, b_.constant_i64(c)});
    }
    Id node(const Place& p) {
        if (!p.known) return p.id;
        return p.extents == 0 ? b_.constant_i64(p.constant) : plus(extent_, p.constant);
    }

    /// `low` and `high`: where bounds are cut, as distances from 0 and from the extent.
    Place bound(const std::optional<Operand>& operand, Place by_default, std::int64_t low,
                std::int64_t high, bool is_start, bool forwards) {
        if (!operand) return by_default;
        const Id id = integer(*operand, "the bound of a slice");
        std::int64_t c = 0;
        if (constant(id, c)) {
            c = std::clamp(c, -longest, longest);
            if (c >= 0) {
                // A start beyond the end leaves nothing, as any stop does that is cut there; going
                // backwards it is the other way round.
                if (is_start == forwards) return {true, 0, c, ir::none};
                return {false, 0, 0, minimum(b_.constant_i64(c), plus(extent_, high))};
            }
            if (is_start == forwards)
                return {false, 0, 0, maximum(plus(extent_, c), b_.constant_i64(low))};
            return {true, 1, c, ir::none};
        }
        if (id == extent_) return {true, 1, 0, ir::none};
        const Id wrapped = b_.apply(
            Op::select, {b_.apply(Op::lt, {id, zero_}), b_.apply(Op::add, {id, extent_}), id});
        return {false, 0, 0, minimum(maximum(wrapped, b_.constant_i64(low)), plus(extent_, high))};
    }

    /// The elements from start on, up to but not including stop.
    Id count(const Place& start, const Place& stop, std::int64_t step) {
        const Place& first = step > 0 ? start : stop;
        const Place& last = step > 0 ? stop : start;
        const std::int64_t stride = step > 0 ? step : -step;
        Id distance = ir::none;
        if (first.known && last.known) {
            const Place d{true, last.extents - first.extents, last.constant - first.constant,
                          ir::none};
            if (d.extents >= 0) {
                if (d.extents == 1 && d.constant == 0 && stride == 1) return extent_;
                distance = node(d);
            }
        }
        if (distance == ir::none) distance = b_.apply(Op::sub, {node(last), node(first)});
        std::int64_t known = 0;
        if (constant(distance, known))
            return b_.constant_i64(known <= 0 ? 0 : (known + stride - 1) / stride);
        Id most = maximum(plus(distance, stride - 1), zero_);
        if (stride != 1) most = b_.apply(Op::div, {most, b_.constant_i64(stride)});
        return most;
    }

  private:
    Trace& trace_;
    ir::Builder& b_;
    Id extent_, zero_;
};

}  // namespace

std::uint64_t axes_of(const ir::Builder& b, Id id, const FoldOptions& options,
                      const Location& where) {
    const int rank = b.node(id).rank;
    if (!options.axis.list()) return (std::uint64_t(1) << rank) - 1;
    std::uint64_t mask = 0;
    for (const int axis : *options.axis.list()) {
        const int d = axis < 0 ? axis + rank : axis;
        if (d < 0 || d >= rank)
            throw Error(ErrorKind::shape,
                        fmt::format("axis {} of an array value of {} dimension{}", axis, rank,
                                    rank == 1 ? "" : "s"),
                        where);
        if ((mask >> d & 1) != 0)
            throw Error(ErrorKind::shape, fmt::format("axis {} is listed twice", axis), where);
        mask |= std::uint64_t(1) << d;
    }
    return mask;
}

namespace {

Id with_axes_kept(ir::Builder& b, Id folded, std::uint64_t reduced, int rank) {
    std::vector<std::uint64_t> axes;
    std::uint64_t next = 0;
    for (int d = 0; d < rank; ++d) axes.push_back((reduced >> d & 1) != 0 ? ir::new_axis : next++);
    return b.permute(folded, axes);
}

enum class Accumulate : std::uint8_t { same, wide };

Id fold(ir::Builder& b, ir::Reduction reduction, Id id, std::uint64_t axes, Accumulate how) {
    const DType t = b.dtype(id);
    DType in = t;
    if (how == Accumulate::wide && (is_bool(t) || is_integer(t)))
        in = is_unsigned(t) ? DType::u64 : DType::i64;
    else if (t == DType::f16 || t == DType::bf16)
        in = DType::f32;
    id = b.cast(id, in);
    if (b.node(id).rank == 0 || axes == 0) return id;
    return b.fold(reduction, id, axes);
}

Value reduce(const Operand& a, ir::Reduction reduction, const FoldOptions& options) {
    Trace& trace = trace_at(a);
    ir::Builder& b = trace.builder();
    Id id = trace.use_any(a);
    const int rank = b.node(id).rank;
    const std::uint64_t axes = axes_of(b, id, options, a.where());
    const bool extreme = reduction == ir::Reduction::min || reduction == ir::Reduction::max;
    if (extreme && is_complex(b.dtype(id)) && rank > 0 && axes != 0) {
        Id found = extreme_of_complex(a, static_cast<Reduce>(reduction), axes);
        if (options.keepdims) found = with_axes_kept(b, found, axes, rank);
        return trace.value(found);
    }
    if (reduction == ir::Reduction::all || reduction == ir::Reduction::any)
        id = b.cast(id, DType::bool_);
    const DType t = b.dtype(id);
    const bool sums = reduction == ir::Reduction::sum || reduction == ir::Reduction::product;
    Id result = fold(b, reduction, id, axes, sums ? Accumulate::wide : Accumulate::same);
    if (t == DType::f16 || t == DType::bf16) result = b.cast(result, t);
    if (options.keepdims && rank > 0) result = with_axes_kept(b, result, axes, rank);
    return trace.value(result);
}

}  // namespace

namespace {

/// The extent of an axis of what operands repeat to.
Id common_extent(ir::Builder& b, Id id, int axis) {
    // Extents that differ are 1 or wrong: the product of 1s and one other, without division.
    const ir::Node n = b.node(id);
    Id result = ir::none;
    for (std::size_t i = 0; i < n.operand_count; ++i) {
        const Id operand = b.kernel().operand(id, i);
        const int d = axis - (n.rank - b.node(operand).rank);
        if (d < 0) continue;
        const Id e = extent_of(b, operand, d);
        if (result == ir::none || result == b.constant_i64(1))
            result = e;
        else if (e != result && e != b.constant_i64(1))
            result = b.apply(Op::select, {b.apply(Op::eq, {result, b.constant_i64(1)}), e, result});
    }
    return result;
}

/// The first, the second ... of those dimensions of the mask `gone` that are not in it.
int nth_left(std::uint64_t gone, int n) {
    int d = 0;
    while ((gone >> d & 1) != 0 || n-- > 0) ++d;
    return d;
}

}  // namespace

Id extent_of(ir::Builder& b, Id id, int axis) {
    using ir::NodeKind, ir::Of;
    const ir::Node n = b.node(id);
    constexpr auto in_values = ir::effect::loads | ir::effect::all_elements;
    return ir::dispatch<in_values>(
        n,
        ir::Handlers{
            [&](Of<NodeKind::whole>) {
                const auto d = static_cast<std::uint32_t>(nth_left(n.imm, axis));
                return n.operand_count == 0 ? b.extent(n.aux, d)
                                            : b.kernel().operand(id, 3 * d + 2);
            },
            [&](Of<NodeKind::fold>) {
                return extent_of(b, b.kernel().operand(id, 0), nth_left(n.imm, axis));
            },
            [&](Of<NodeKind::permute>) {
                const std::uint64_t from = n.imm >> (4 * axis) & 15;
                if (from == ir::new_axis) return b.constant_i64(1);
                return extent_of(b, b.kernel().operand(id, 0), static_cast<int>(from));
            },
            [&](Of<NodeKind::op, NodeKind::cast>) { return common_extent(b, id, axis); },
            [&](ir::Leaf) { return b.constant_i64(1); },  // those of rank 0 repeat
            [&](Of<NodeKind::load, NodeKind::call_pure>) { return b.constant_i64(1); },
        },
        [](const ir::NodeInfo& kind) { throw std::logic_error(std::string(kind.word)); });
}

}  // namespace dsl

// ------------------------------------------------------------------------------ arrays, slices

Operand::Operand(const KernelArray& array, Where where) : where_(Trace::user_line(where)) {
    Trace& trace = Trace::current(where_);
    const std::uint32_t param = trace.param(array, where_);
    trace.builder().set_location(where_);
    node_ = trace.whole(param);
    serial_ = trace.serial();
}
Value::Value(const KernelArray& array, Where where) : Operand(array, where) {}

Operand::Operand(const ArraySlice& slice, Where where) : where_(Trace::user_line(where)) {
    Trace& trace = Trace::current(where_);
    trace.check_home(slice.serial_, where_);
    trace.builder().set_location(where_);
    node_ = trace.builder().whole(slice.param_, slice.nodes_, slice.dropped_);
    serial_ = trace.serial();
}
Value::Value(const ArraySlice& slice, Where where) : Operand(slice, where) {}

ArraySlice KernelArray::slice(SliceArg s0, SliceArg s1, SliceArg s2, SliceArg s3, SliceArg s4,
                              SliceArg s5, SliceArg s6, SliceArg s7, Where where) const {
    Trace& trace = Trace::current(where);
    ir::Builder& b = trace.builder();
    ArraySlice made(where);
    made.param_ = trace.param(*this, where);
    made.serial_ = trace.serial();
    b.set_location(where);
    const std::span<const Id> outer = trace.outer_subscripts(made.param_);
    const auto hidden = static_cast<std::uint32_t>(outer.size());
    const Id one = b.constant_i64(1);
    for (const Id at : outer) made.nodes_.insert(made.nodes_.end(), {at, one, one});
    made.dropped_ = (std::uint64_t(1) << hidden) - 1;
    const SliceArg* const args[] = {&s0, &s1, &s2, &s3, &s4, &s5, &s6, &s7};
    for (int d = 0; d < 8; ++d) {
        const SliceArg& arg = *args[d];
        if (d >= rank_) {
            if (arg.index_ || arg.start_ || arg.stop_ || arg.step_ != 1)
                throw Error(ErrorKind::shape,
                            fmt::format("{} has {} dimension{}, but its slice has more",
                                        ir::describe_array(b.kernel(), made.param_, where), rank_,
                                        rank_ == 1 ? "" : "s"),
                            where);
            continue;
        }
        const Id extent = trace.extent(made.param_, static_cast<std::uint32_t>(d));
        dsl::SliceMaker maker(trace, extent);
        if (arg.index_) {
            Id index = maker.integer(*arg.index_, "the index of a slice");
            std::int64_t c = 0;
            if (maker.constant(index, c) && c < 0) index = maker.plus(extent, c);
            made.nodes_.insert(made.nodes_.end(), {index, one, one});
            made.dropped_ |= std::uint64_t(1) << (hidden + static_cast<std::uint32_t>(d));
            continue;
        }
        if (arg.step_ == 0)
            throw Error(ErrorKind::usage, "the step of a slice must not be 0", where);
        const std::int64_t step = std::clamp(arg.step_, -dsl::longest, dsl::longest);
        const bool up = step > 0;
        using dsl::Place;
        const Place start =
            maker.bound(arg.start_, up ? Place{true, 0, 0, ir::none} : Place{true, 1, -1, ir::none},
                        up ? 0 : -1, up ? 0 : -1, true, up);
        const Place stop =
            maker.bound(arg.stop_, up ? Place{true, 1, 0, ir::none} : Place{true, 0, -1, ir::none},
                        up ? 0 : -1, up ? 0 : -1, false, up);
        const Id count = maker.count(start, stop, step);
        made.nodes_.insert(made.nodes_.end(), {maker.node(start), b.constant_i64(step), count});
        ++made.rank_;
    }
    return made;
}

Value ArraySlice::extent(int dimension, Where where) const {
    const int wanted = dimension < 0 ? dimension + rank_ : dimension;
    int at = 0;
    for (std::size_t d = 0; 3 * d < nodes_.size(); ++d)
        if ((dropped_ >> d & 1) == 0 && at++ == wanted)
            return Trace::current(where).value(nodes_[3 * d + 2]);
    throw Error(ErrorKind::shape,
                fmt::format("a slice of {} dimension{} has no extent {}", rank_,
                            rank_ == 1 ? "" : "s", dimension),
                where);
}

void KernelArray::assign(const Operand& value) const {
    Trace& trace = dsl::trace_at(value);
    const std::uint32_t param = trace.param(*this, value.where());
    trace.assign(param, {}, 0, trace.use_any(value), value.where());
}

void Scratch::assign_const(const Operand& value) const {
    Trace::check_copy(is_copy_, value.where());
    assign(value);
}

const ArraySlice& ArraySlice::operator=(Operand value) const {
    Trace& trace = dsl::trace_at(value);
    trace.check_home(serial_, value.where());
    Trace::check_copy(of_const_copy_, value.where());
    trace.assign(param_, nodes_, dropped_, trace.use_any(value), value.where());
    return *this;
}
KILN_DSL_COMPOUND_ARITHMETIC(ArraySlice, const ArraySlice&, const)

Scratch::Scratch(const Value& value, Where where) {
    const Operand operand(value, where);
    Trace& trace = dsl::trace_at(operand);
    ir::Builder& b = trace.builder();
    Id id = trace.use_any(operand);
    id = b.cast(id, b.dtype(id));
    const std::uint32_t param = trace.new_array(b.dtype(id), b.node(id).rank);
    if (b.node(id).rank == 0)
        trace.allocate(param, {});
    else
        trace.allocate(param, std::span<const Id>(&id, 1));
    b.assign(param, id);
    trace.describe(*this, param);
}

// ------------------------------------------------------------------------------ functions

#define KILN_DSL_FOLD(function, reduction)                        \
    Value function(Operand a, const FoldOptions& options) {       \
        return dsl::reduce(a, ir::Reduction::reduction, options); \
    }
KILN_DSL_FOLD(sum, sum)
KILN_DSL_FOLD(prod, product)
KILN_DSL_FOLD(min, min)
KILN_DSL_FOLD(max, max)
KILN_DSL_FOLD(any, any)
KILN_DSL_FOLD(all, all)
#undef KILN_DSL_FOLD

Value mean(Operand a, const FoldOptions& options) {
    Trace& trace = dsl::trace_at(a);
    ir::Builder& b = trace.builder();
    Id id = trace.use_any(a);
    const DType t = b.dtype(id);
    const std::uint64_t axes = dsl::axes_of(b, id, options, a.where());
    const int rank = b.node(id).rank;
    id = b.cast(id, is_bool(t) || is_integer(t) ? DType::f64 : t);
    Id total = dsl::fold(b, ir::Reduction::sum, id, axes, dsl::Accumulate::wide);
    Id count = b.constant_i64(1);
    for (int d = 0; d < rank; ++d) {
        if ((axes >> d & 1) == 0) continue;
        const Id extent = dsl::extent_of(b, id, d);
        count = count == b.constant_i64(1) ? extent : b.apply(Op::mul, {count, extent});
    }
    const DType in = b.dtype(total);
    total = b.apply(Op::div, {total, b.cast(count, in)});
    if (is_real(t) && t != in) total = b.cast(total, t);
    if (options.keepdims && rank > 0) total = dsl::with_axes_kept(b, total, axes, rank);
    return trace.value(total);
}

#define KILN_DSL_MEMBER(function)                                                \
    Value KernelArray::function(const FoldOptions& options, Where where) const { \
        return kiln::function(Operand(*this, where), options);                   \
    }                                                                            \
    Value ArraySlice::function(const FoldOptions& options, Where where) const {  \
        return kiln::function(Operand(*this, where), options);                   \
    }                                                                            \
    Value Value::function(const FoldOptions& options, Where where) const {       \
        return kiln::function(Operand(*this, where), options);                   \
    }                                                                            \
    Value Value::function(Where where) const { return function({}, where); }
KILN_DSL_MEMBER(sum)
KILN_DSL_MEMBER(min)
KILN_DSL_MEMBER(max)
KILN_DSL_MEMBER(mean)
#undef KILN_DSL_MEMBER

Value var(Operand a, const FoldOptions& options) {
    const Value x(a);
    const Value distance =
        Operand(x, a.where()) - mean(a, {.axis = options.axis, .keepdims = true});
    const Operand d(distance, a.where());
    return mean(is_complex(distance.dtype()) ? norm(d) : d * d, options);
}
Value standard_deviation(Operand a, const FoldOptions& options) {
    return sqrt({var(a, options), a.where()});
}

}  // namespace kiln
