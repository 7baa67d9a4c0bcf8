// Stencils as loop kernels: an interior, and a border of slabs.
//
// Along each dimension d the offsets reach from low[d] <= 0 to high[d] >= 0, so that the interior
// is [-low[d], n[d] - high[d]). What is left is cut into two slabs a dimension, which are interior
// along the dimensions before theirs and whole along those after it.
#include <kiln/stencil.h>

#include "dsl/trace/trace.h"
#include "jit/call/arity.h"
#include "jit/call/signature.h"
#include "jit/compile/vary.h"
#include "jit/loops/loop_kernel.h"

#include <algorithm>

#include <fmt/format.h>

namespace kiln {
namespace detail {

using Offsets = std::pair<std::int64_t, std::int64_t>;

/// The element that a stencil's function computes, and how its neighbours are read.
struct StencilPlace {
    std::vector<Value> index;
    std::vector<Value> extents;
    bool inside = true;  ///< all neighbours are elements of the array
    Boundary boundary = Boundary::constant;
    const std::vector<Offsets>* declared = nullptr;
    std::vector<Offsets>* used = nullptr;  ///< where offsets are only looked at
    bool* any = nullptr;                   ///< set by the first relative access
};

class StencilState {
  public:
    StencilState(std::string name, std::vector<StencilParam> params, StencilFunction function,
                 StencilOptions options, Location where);

    Array call(const Array* out, std::span<const JitArg* const> args,
               const std::source_location& where);
    KernelArray inline_call(std::span<const KernelItem> args, const std::source_location& where) {
        return std::get<KernelArray>(fresh_.inline_call(args, where).at(0));
    }
    std::string inspect(Artifact artifact, std::span<const ArgType> types, Location where) {
        return fresh_.inspect(artifact, types, where);
    }
    void export_object(std::span<const ArgType> types, const std::string& object,
                       const ExportOptions& options, Location where);
    Stats stats() const {
        Stats sum = fresh_.ledger().stats();
        engine::add(sum, given_.ledger().stats());
        return sum;
    }
    const std::string& kernel_name() const { return fresh_.name(); }
    /// Of calls that make their result, and of those into a given array, whose type comes first.
    std::vector<std::vector<ArgType>> specialisations() const {
        auto all = fresh_.ledger().specialisations();
        for (auto& types : given_.ledger().specialisations()) {
            types.erase(types.begin());
            if (std::ranges::find(all, types) == all.end()) all.push_back(std::move(types));
        }
        return all;
    }
    std::vector<Remark> remarks() const {
        std::vector<Remark> all = fresh_.ledger().remarks();
        for (Remark& remark : given_.ledger().remarks())
            if (std::ranges::find(all, remark) == all.end()) all.push_back(std::move(remark));
        return all;
    }

    Shared<StencilState> varied(const Variation& variation) const {
        return share<StencilState>(
            name_, params_, function_,
            engine::varied(options_, variation, name_, engine::KernelKind::stencil), where_);
    }

  private:
    std::vector<KernelParam> kernel_params(bool given) const;
    JitOptions kernel_options(bool given) const;
    std::string param_name(std::size_t i) const;
    std::vector<KernelItem> trace(std::span<const KernelItem> items, bool given) const;
    void trace_shape_checks(std::span<const KernelItem> items) const;
    Value apply(std::span<const KernelItem> items, const StencilPlace& place) const;
    std::vector<Offsets> find_offsets(std::span<const KernelItem> items, int rank,
                                      DType& result) const;
    std::size_t first() const;

    const std::string name_;
    const std::vector<StencilParam> params_;
    const StencilFunction function_;
    const StencilOptions options_;
    const Location where_;
    LoopKernelState fresh_, given_;  ///< the result is made by the kernel; is an argument
};

StencilState::StencilState(std::string name, std::vector<StencilParam> params,
                           StencilFunction function, StencilOptions options, Location where)
    : name_(std::move(name)),
      params_(std::move(params)),
      function_(std::move(function)),
      options_(std::move(options)),
      where_(where),
      fresh_(
          engine::KernelKind::stencil, name_, kernel_params(false),
          [this](std::span<const KernelItem> items) { return trace(items, false); },
          kernel_options(false), where),
      given_(
          engine::KernelKind::stencil, name_, kernel_params(true),
          [this](std::span<const KernelItem> items) { return trace(items, true); },
          kernel_options(true), where) {
    if (std::ranges::count(params_, StencilParam::neighbors) == 0)
        throw Error(ErrorKind::usage, fmt::format("{} has no Neighbors parameter", name_), where,
                    "a stencil computes an element from the neighbours of one");
    for (const auto& [low, high] : options_.neighborhood)
        if (low > high)
            throw Error(
                ErrorKind::usage,
                fmt::format("the neighborhood of {} has offsets from {} to {}", name_, low, high),
                where);
}

std::vector<KernelParam> StencilState::kernel_params(bool given) const {
    std::vector<KernelParam> kinds;
    for (const StencilParam p : params_)
        kinds.push_back(p == StencilParam::value ? KernelParam::value : KernelParam::in);
    if (given) kinds.push_back(KernelParam::out);
    return kinds;
}

JitOptions StencilState::kernel_options(bool given) const {
    JitOptions options{.fastmath = options_.fastmath,
                       .parallel = options_.parallel,
                       .checked = options_.checked,
                       .keep_flush_to_zero = options_.keep_flush_to_zero,
                       .target = options_.target};
    options.params = options_.params;
    if (given && !options.params.empty()) options.params.emplace_back("result");
    return options;
}

std::string StencilState::param_name(std::size_t i) const {
    return options_.params.empty() ? fmt::format("p{}", i) : options_.params[i];
}

std::size_t StencilState::first() const {
    return static_cast<std::size_t>(std::ranges::find(params_, StencilParam::neighbors) -
                                    params_.begin());
}

// ------------------------------------------------------------------------------ tracing

Value StencilState::apply(std::span<const KernelItem> items, const StencilPlace& place) const {
    std::vector<StencilItem> arguments;
    for (std::size_t i = 0; i < params_.size(); ++i) {
        switch (params_[i]) {
            case StencilParam::neighbors:
                arguments.push_back(Neighbors(In(std::get<KernelArray>(items[i])), &place));
                break;
            case StencilParam::array:
                arguments.emplace_back(In(std::get<KernelArray>(items[i])));
                break;
            case StencilParam::value: arguments.push_back(std::get<Value>(items[i])); break;
        }
    }
    return function_(arguments);
}

/// The offsets that the function uses, and the dtype of what it returns: from a trace that is
/// thrown away.
std::vector<Offsets> StencilState::find_offsets(std::span<const KernelItem> items, int rank,
                                                DType& result) const {
    dsl::Trace look(name_);
    ir::Builder& b = look.builder();
    b.set_location(where_);
    std::vector<KernelItem> copies;
    for (std::size_t i = 0; i < params_.size(); ++i) {
        if (const auto* array = std::get_if<KernelArray>(&items[i])) {
            const std::uint32_t p = b.add_param({.name = param_name(i),
                                                 .dtype = array->dtype(),
                                                 .rank = static_cast<std::uint8_t>(array->rank()),
                                                 .access = ir::Access::in});
            copies.emplace_back(look.array(p));
        } else {
            const std::uint32_t p =
                b.add_param({.name = param_name(i), .dtype = std::get<Value>(items[i]).dtype()});
            copies.emplace_back(look.value(b.param(p)));
        }
    }
    std::vector<Offsets> used(static_cast<std::size_t>(rank), {0, 0});
    bool any = false;
    StencilPlace place;
    place.declared = &options_.neighborhood;
    place.used = &used;
    place.any = &any;
    b.set_form(ir::Form::program);
    b.begin_stage({}, false);
    for (int d = 0; d < rank; ++d) {
        place.extents.push_back(In(std::get<KernelArray>(copies[first()])).extent(d));
        const ir::Id zero = b.constant_i64(0);
        place.index.push_back(
            look.value(b.begin_loop(zero, look.id(place.extents.back()), b.constant_i64(1))));
    }
    const Value value = apply(copies, place);
    result = value.dtype();
    for (int d = 0; d < rank; ++d) b.end();
    b.end();
    if (!any)
        throw Error(ErrorKind::usage, fmt::format("{} reads no neighbour", name_), where_,
                    "index a Neighbors parameter, a(0, 0) for the element itself");
    if (options_.neighborhood.empty()) return used;
    if (options_.neighborhood.size() != used.size())
        throw Error(ErrorKind::shape,
                    fmt::format("the neighborhood of {} has {} dimensions, its array {}", name_,
                                options_.neighborhood.size(), rank),
                    where_);
    std::vector<Offsets> reach;
    for (const auto& [low, high] : options_.neighborhood)
        reach.emplace_back(std::min<std::int64_t>(0, low), std::max<std::int64_t>(0, high));
    return reach;
}

/// Calls f(lower and upper bounds of a box of indices, whether it is the interior) for the interior
/// and the slabs.
template <class F>
static void for_each_box(const std::vector<Value>& extents, const std::vector<Offsets>& reach,
                         const F& f) {
    using Bounds = std::vector<std::pair<Value, Value>>;
    Bounds inner, whole;
    for (std::size_t d = 0; d < extents.size(); ++d) {
        const Value low = min(Value(-reach[d].first), extents[d]);
        const Value high = max(extents[d] - reach[d].second, low);
        inner.emplace_back(low, high);
        whole.emplace_back(Value(std::int64_t(0)), extents[d]);
    }
    f(inner, true);
    for (std::size_t d = 0; d < extents.size(); ++d) {
        const auto rest = [&](const std::pair<Value, Value>& bounds) {
            Bounds box;
            for (std::size_t e = 0; e < extents.size(); ++e)
                box.push_back(e < d ? inner[e] : e == d ? bounds : whole[e]);
            f(box, false);
        };
        if (reach[d].first < 0) rest({whole[d].first, inner[d].first});
        if (reach[d].second > 0) rest({inner[d].second, whole[d].second});
    }
}

std::vector<KernelItem> StencilState::trace(std::span<const KernelItem> items, bool given) const {
    dsl::Trace& trace = dsl::Trace::current(where_);
    ir::Builder& b = trace.builder();
    b.set_location(where_);
    const In shaped(std::get<KernelArray>(items[first()]));
    DType result{};
    const std::vector<Offsets> reach = find_offsets(items, shaped.rank(), result);
    if (shaped.rank() == 0)
        throw Error(ErrorKind::shape, fmt::format("{} is called with an array of rank 0", name_),
                    where_);
    StencilPlace place;
    place.declared = &options_.neighborhood;
    place.boundary = options_.boundary;
    for (int d = 0; d < shaped.rank(); ++d) place.extents.push_back(shaped.extent(d));

    std::uint32_t out = 0;
    std::vector<KernelItem> results;
    if (given) {
        out = trace.param(std::get<KernelArray>(items.back()), where_);
    } else {
        out = b.add_param({.name = "result",
                           .dtype = result,
                           .rank = static_cast<std::uint8_t>(shaped.rank()),
                           .access = ir::Access::local,
                           .layout = ir::Layout::unit});
        std::vector<ir::Id> extents;
        for (const Value& extent : place.extents) extents.push_back(trace.id(extent));
        b.allocate(out, extents);
        results.emplace_back(trace.array(out));
    }
    const DType to = b.kernel().params[out].dtype;
    const auto check_type = [&](DType from, const char* what) {
        if (!can_cast(from, to, Casting::same_kind))
            throw Error(ErrorKind::type,
                        fmt::format("cannot store {} of {} of type {} into an array of type {}",
                                    what, name_, name(from), name(to)),
                        where_);
    };
    check_type(result, "the result");
    if (options_.cval.weak ? promote_weak(to, options_.cval.dtype) != to
                           : !can_cast(options_.cval.dtype, to, Casting::same_kind))
        throw Error(ErrorKind::type,
                    fmt::format("cval of {} is {}, which does not fit {}", name_,
                                name(options_.cval.dtype), name(to)),
                    where_);
    const Scalar cval = options_.cval.cast(to);

    for_each_box(place.extents, reach, [&](const auto& bounds, bool inside) {
        place.index.clear();
        place.inside = inside;
        b.set_location(where_);
        const ir::Id one = b.constant_i64(1);
        for (const auto& [low, high] : bounds) {
            const ir::Id from = b.cast(trace.id(low), DType::i64);
            const ir::Id up_to = b.cast(trace.id(high), DType::i64);
            place.index.push_back(trace.value(place.index.empty()
                                                  ? b.begin_parallel_loop(from, up_to, one, {})
                                                  : b.begin_loop(from, up_to, one)));
        }
        std::vector<ir::Id> at;
        for (const Value& i : place.index) at.push_back(trace.id(i));
        const bool fill = !inside && options_.boundary == Boundary::constant;
        const ir::Id value = fill ? b.constant(cval) : trace.id(apply(items, place));
        b.store(out, at, b.cast(value, to));
        for (std::size_t d = 0; d < bounds.size(); ++d) b.end();
    });
    return results;
}

/// What calls check of shapes, as a part of the kernel: an exported one has nobody else who does.
void StencilState::trace_shape_checks(std::span<const KernelItem> items) const {
    dsl::Trace& trace = dsl::Trace::current(where_);
    ir::Builder& b = trace.builder();
    b.set_location(where_);
    const auto param = [&](std::size_t i) {
        return trace.param(std::get<KernelArray>(items[i]), where_);
    };
    const std::uint32_t shaped = param(first());
    const auto check = [&](std::size_t i, ir::Op op) {
        for (std::uint32_t d = 0; d < b.kernel().params[shaped].rank; ++d)
            b.check(ir::Check::shapes, b.apply(op, {b.extent(param(i), d), b.extent(shaped, d)}));
    };
    for (std::size_t i = 0; i < params_.size(); ++i)
        if (params_[i] == StencilParam::neighbors && i != first()) check(i, ir::Op::ge);
    check(params_.size(), ir::Op::eq);
}

void StencilState::export_object(std::span<const ArgType> types, const std::string& object,
                                 const ExportOptions& options, Location where) {
    engine::check_arity(name_, params_.size(), types.size(), where, engine::Given::types);
    for (std::size_t i = 0; i < params_.size(); ++i)
        if (params_[i] == StencilParam::neighbors && types[i].rank != types[first()].rank)
            throw Error(ErrorKind::shape,
                        fmt::format("argument {} of {} has rank {}, the first Neighbors {}", i + 1,
                                    name_, types[i].rank, types[first()].rank),
                        where);
    JitOptions kernel = kernel_options(true);
    kernel.params.clear();
    for (std::size_t i = 0; i < params_.size(); ++i) kernel.params.push_back(param_name(i));
    kernel.params.emplace_back("result");
    LoopKernelState exported(
        engine::KernelKind::stencil, name_, kernel_params(true),
        [this](std::span<const KernelItem> items) {
            trace_shape_checks(items);
            return trace(items, true);
        },
        std::move(kernel), where_);
    std::vector<ArgType> all(types.begin(), types.end());
    all.push_back(fresh_.result_types(types, where).at(0));
    exported.export_object(all, object, options, where,
                           fmt::format("result has the shape of {}.", param_name(first())));
}

}  // namespace detail

// ------------------------------------------------------------------------------ neighbours

namespace {

/// An index that may lie outside of [0, n), as the boundary has it.
Value fold_index(const Value& i, const Value& n, Boundary boundary) {
    switch (boundary) {
        case Boundary::constant: break;
        case Boundary::nearest: return clip(i, 0, n - 1);
        case Boundary::wrap: return mod(i, n);
        case Boundary::reflect: {
            const Value m = mod(i, 2 * n);
            return min(m, 2 * n - 1 - m);
        }
        case Boundary::mirror: {
            const Value period = max(2 * n - 2, 1);
            const Value m = mod(i, period);
            return min(m, period - m);
        }
    }
    return i;
}

/// Checked mode: offsets that are computed are those of the declared neighborhood.
void check_reach(ir::Builder& b, const detail::StencilPlace& place, std::span<const ir::Id> offsets,
                 std::uint32_t param) {
    const auto both = [&](ir::Id x, ir::Id y) {
        return x == ir::none ? y : b.apply(ir::Op::logical_and, {x, y});
    };
    ir::Id ok = ir::none;
    std::vector<ir::Id> lows, highs, reported;
    for (std::size_t d = 0; d < offsets.size(); ++d) {
        lows.push_back(b.constant_i64((*place.declared)[d].first));
        highs.push_back(b.constant_i64((*place.declared)[d].second));
        if (b.node(offsets[d]).kind == ir::NodeKind::constant) continue;
        ok = both(ok, b.apply(ir::Op::ge, {offsets[d], lows[d]}));
        ok = both(ok, b.apply(ir::Op::le, {offsets[d], highs[d]}));
    }
    if (ok == ir::none) return;
    reported = lows;
    reported.insert(reported.end(), highs.begin(), highs.end());
    dsl::Trace& trace = dsl::Trace::current({});
    for (const Value& index : place.index) reported.push_back(trace.id(index));
    b.check(ir::Check::outside_neighborhood, ok, offsets, reported, param);
}

}  // namespace

Value Neighbors::index(int dimension, Where where) const {
    const auto& place = *static_cast<const detail::StencilPlace*>(place_);
    const int d = dimension < 0 ? dimension + rank() : dimension;
    if (d < 0 || d >= static_cast<int>(place.index.size()))
        throw Error(ErrorKind::shape, fmt::format("there is no dimension {} here", dimension),
                    where);
    return place.index[static_cast<std::size_t>(d)];
}

Value Neighbors::at(std::initializer_list<Operand> offsets, Where where) const {
    const auto& place = *static_cast<const detail::StencilPlace*>(place_);
    dsl::Trace& trace = dsl::Trace::current(where);
    ir::Builder& b = trace.builder();
    if (offsets.size() != place.index.size() || array_.rank() != static_cast<int>(offsets.size()))
        throw Error(ErrorKind::shape,
                    fmt::format("{} offset{} given for an array of rank {}, in a stencil over {} "
                                "dimensions",
                                offsets.size(), offsets.size() == 1 ? " is" : "s are",
                                array_.rank(), place.index.size()),
                    where);
    if (place.any != nullptr) *place.any = true;
    std::vector<Operand> subscripts;
    std::vector<ir::Id> reach;  // the offsets
    std::size_t d = 0;
    for (const Operand& offset : offsets) {
        const ir::Id id = trace.use(offset);
        const ir::Node& n = b.node(id);
        if (!is_integer(n.dtype))
            throw Error(ErrorKind::type,
                        fmt::format("an offset is {}, not an integer", name(n.dtype)), where);
        if (n.kind == ir::NodeKind::constant) {
            const auto value = b.kernel().constant(id).cast(DType::i64).get<std::int64_t>();
            if (place.used != nullptr) {
                auto& [low, high] = (*place.used)[d];
                low = std::min(low, value);
                high = std::max(high, value);
            }
            if (!place.declared->empty() && d < place.declared->size() &&
                (value < (*place.declared)[d].first || value > (*place.declared)[d].second))
                throw Error(
                    ErrorKind::bounds,
                    fmt::format("offset {} of dimension {} is outside of the declared "
                                "neighborhood ({}, {})",
                                value, d, (*place.declared)[d].first, (*place.declared)[d].second),
                    where);
        } else if (place.declared->empty()) {
            throw Error(ErrorKind::usage, "an offset of a stencil is not a constant", where,
                        "declare the neighborhood: {.neighborhood = {{low, high}, ...}}");
        }
        reach.push_back(b.cast(id, DType::i64));
        const Value index = place.index[d] + Operand(trace.value(reach.back()), where);
        subscripts.emplace_back(
            place.inside ? index : fold_index(index, place.extents[d], place.boundary), where);
        ++d;
    }
    b.set_location(where);
    const std::uint32_t param = trace.param(array_, where);
    if (trace.checked() && !place.declared->empty()) check_reach(b, place, reach, param);
    return {trace.element(false, param, subscripts, where), where};
}

// ------------------------------------------------------------------------------ calls

namespace detail {

Array StencilState::call(const Array* out, std::span<const JitArg* const> args,
                         const std::source_location& where) {
    engine::check_arity(name_, params_.size(), args.size(), where);
    std::vector<engine::OperandView> views(args.size());
    std::vector<CallAccess::Row> rows(args.size());
    for (std::size_t i = 0; i < args.size(); ++i)
        CallAccess::view_of_any_place(args[i]->arg(), views[i], rows[i]);
    const engine::OperandView& shaped = views[first()];
    bool overlaps = false;
    for (std::size_t i = 0; i < args.size(); ++i) {
        if (params_[i] == StencilParam::value || views[i].scalar) continue;
        if (out != nullptr) {
            engine::OperandView target;
            CallAccess::Row row;
            CallAccess::view_of_any_place(Arg(*out), target, row);
            overlaps = overlaps || engine::may_overlap(views[i], target);
        }
        if (params_[i] != StencilParam::neighbors) continue;
        bool fits = views[i].rank == shaped.rank;
        for (int d = 0; fits && d < shaped.rank; ++d)
            fits = views[i].extents[d] >= shaped.extents[d];
        if (!fits)
            throw Error(
                ErrorKind::shape,
                fmt::format("argument {} of {} has shape {}, smaller than {} of the first", i + 1,
                            name_, to_string(views[i].shape()), to_string(shaped.shape())),
                where);
    }
    if (out == nullptr || overlaps) {
        std::vector<JitValue> results;
        fresh_.call(args, &results, where);
        Array made = std::get<Array>(std::move(results[0]));
        if (out == nullptr) return made;
        if (out->shape() != made.shape())
            throw Error(ErrorKind::shape,
                        fmt::format("the output of {} has shape {}, its result {}", name_,
                                    to_string(out->shape()), to_string(made.shape())),
                        where);
        out->assign(made, Casting::same_kind, where);
        return *out;
    }
    if (out->shape() != shaped.shape())
        throw Error(ErrorKind::shape,
                    fmt::format("the output of {} has shape {}, its result {}", name_,
                                to_string(out->shape()), to_string(shaped.shape())),
                    where);
    const JitArg target(*out);
    std::vector<const JitArg*> all(args.begin(), args.end());
    all.push_back(&target);
    given_.call(all, nullptr, where);
    return *out;
}

}  // namespace detail

Stencil::Stencil(std::string name, std::vector<detail::StencilParam> params,
                 detail::StencilFunction function, StencilOptions options, Where where)
    : state_(share<detail::StencilState>(std::move(name), std::move(params), std::move(function),
                                         std::move(options), where)) {}

Stencil::Stencil(Shared<detail::StencilState> state) : state_(std::move(state)) {}

Array Stencil::call(const Array* out, std::span<const JitArg* const> args, Where where) const {
    std::size_t count = 0;
    while (count < args.size() && !args[count]->is_none()) ++count;
    return state_->call(out, args.first(count), where);
}

InOut Stencil::traced(std::initializer_list<TracedNumber> args) const {
    return InOut(state_->inline_call(detail::items_of(args), args.begin()->where()));
}

std::string Stencil::inspect(Artifact artifact, std::initializer_list<ArgType> types,
                             Where where) const {
    return state_->inspect(artifact, std::span(types.begin(), types.size()), where);
}

std::string Stencil::inspect(Artifact artifact, const std::vector<ArgType>& types,
                             Where where) const {
    return state_->inspect(artifact, types, where);
}

void Stencil::export_object(std::initializer_list<ArgType> types, const std::string& object,
                            const ExportOptions& options, Where where) const {
    state_->export_object(std::span(types.begin(), types.size()), object, options, where);
}

void Stencil::export_object(const std::vector<ArgType>& types, const std::string& object,
                            const ExportOptions& options, Where where) const {
    state_->export_object(types, object, options, where);
}

std::vector<std::vector<ArgType>> Stencil::specialisations() const {
    return state_->specialisations();
}

Stencil Stencil::varied(const Variation& variation) const {
    return Stencil(state_->varied(variation));
}

const std::string& Stencil::name() const { return state_->kernel_name(); }
std::vector<Remark> Stencil::remarks() const { return state_->remarks(); }
Stats Stencil::stats() const { return state_->stats(); }

}  // namespace kiln
