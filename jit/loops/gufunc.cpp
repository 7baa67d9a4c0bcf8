// Calls of generalised ufuncs: types, shapes, copies where they are needed, and the loop kernel.
#include "jit/loops/gufunc.h"

#include "dsl/trace/trace.h"
#include "jit/call/arity.h"
#include "jit/call/signature.h"
#include "jit/compile/checked_mode.h"
#include "jit/compile/vary.h"

#include <kiln/parallel.h>

#include <algorithm>

#include <fmt/format.h>

namespace kiln {
namespace detail {

using engine::CoreCall;
using engine::CoreOperand;
using engine::CoreSignature;
using engine::OperandView;

// ------------------------------------------------------------------------------ calls

/// The operands of one call, inputs first. Views point into what the call holds.
struct GufuncState::Call {
    std::array<OperandView, CoreSignature::max_operands> views;
    std::array<CallAccess::Row, CoreSignature::max_operands> rows;
    std::array<DType, CoreSignature::max_operands> types;  ///< that the kernel computes with
    unsigned there = 0;                                    ///< operands that have a view
    bool given = false;                                    ///< the outputs
    std::vector<Array> results;                            ///< one an output
    std::vector<Array> copies;
    struct Detour {
        Array target, result;
    };
    std::vector<Detour> detours;  ///< what is computed apart and stored at the end, in order
    std::vector<Array> written;   ///< in checked mode: which elements of each output were stored

    bool has(std::size_t operand) const { return (there >> operand & 1U) != 0; }
};

/// The operands of a kernel as stacks of cores: those of the call, and in checked mode for each
/// output an array that tells what was written.
struct GufuncState::Operands {
    std::size_t count = 0;
    std::array<CoreOperand, engine::max_loop_kernel_args> cores;
    std::array<OperandView, engine::max_loop_kernel_args> views;
};

void GufuncState::gather(Call& call, std::span<const Arg* const> args,
                         const GufuncCallOptions& options,
                         const std::source_location& where) const {
    if (args.size() != inputs())
        engine::throw_wrong_arity(name_, inputs(), args.size(), engine::Given::arguments, where);
    for (std::size_t i = 0; i < args.size(); ++i)
        CallAccess::view(*args[i], call.views[i], call.rows[i], where);
    call.there = (1U << inputs()) - 1;
    if (options.out && options.outs.size() > 0)
        throw Error(ErrorKind::usage, fmt::format("both .out and .outs of {} are given", name_),
                    where);
    const std::size_t given = options.out ? 1 : options.outs.size();
    if (given == 0) return;
    if (given != outputs())
        throw Error(
            ErrorKind::usage,
            fmt::format("{} has {}, {} given", name_, engine::counted(outputs(), "output"), given),
            where);
    call.given = true;
    for (std::size_t o = 0; o < given; ++o) {
        const OutArg& out = options.out ? options.out : options.outs[o];
        if (!out)
            throw Error(ErrorKind::usage, fmt::format("output {} of {} is empty", o + 1, name_),
                        where);
        CallAccess::view(out, call.views[inputs() + o], call.rows[inputs() + o], where);
        call.there |= 1U << (inputs() + o);
    }
}

std::string GufuncState::operand_name(std::size_t operand) const {
    if (operand < inputs()) return fmt::format("argument {} of {}", operand + 1, name_);
    if (outputs() == 1) return fmt::format("the output of {}", name_);
    return fmt::format("output {} of {}", operand - inputs() + 1, name_);
}

void GufuncState::check_written(Call& call, const std::source_location& where) const {
    for (std::size_t i = 0; i < signature_.operands_count(); ++i) {
        if (!is_written(i) || !call.has(i)) continue;
        const OperandView& view = call.views[i];
        if (view.scalar)
            throw Error(
                ErrorKind::usage,
                fmt::format("{} is a scalar, but {} is written", operand_name(i), param_name(i)),
                where, "pass an array of rank 0");
        if (view.read_only)
            throw Error(ErrorKind::usage, fmt::format("{} is read-only", operand_name(i)), where,
                        "write to a copy()");
        if (!view.is_contiguous() && has_internal_overlap(view.handle()))
            throw Error(
                ErrorKind::usage,
                fmt::format(
                    "{} has several indices for one element (strides {})", operand_name(i),
                    to_string(Shape(std::span(view.strides, static_cast<std::size_t>(view.rank))))),
                where, "a broadcast array cannot be written; write to a copy()");
    }
}

void GufuncState::choose_types(std::span<DType> types, const GufuncCallOptions& options,
                               const std::source_location& where) const {
    const std::size_t all = signature_.operands_count();
    if (options_.signatures.empty() && !options.dtype) {
        DType common = types[0];
        for (std::size_t i = 1; i < inputs(); ++i) common = promote(common, types[i]);
        for (std::size_t i = inputs(); i < all; ++i)
            types[i] = options_.results.empty() ? common : options_.results[i - inputs()];
        return;
    }
    engine::CallKey key(inputs(), options.casting, options.dtype);
    for (std::size_t i = 0; i < inputs(); ++i)
        key.set_input(i, types[i], false, ir::Layout::strided);
    const engine::LoopTypes chosen = engine::choose_loop(name_, options_.signatures, key, where);
    for (std::size_t i = 0; i < inputs(); ++i) types[i] = (*chosen.inputs)[i];
    for (std::size_t i = inputs(); i < all; ++i)
        types[i] = chosen.signature           ? chosen.signature->types[i]
                   : options_.results.empty() ? *chosen.result
                                              : options_.results[i - inputs()];
}

CoreCall GufuncState::shapes_of(const Call& call, const GufuncCallOptions& options,
                                const std::source_location& where) const {
    std::array<const OperandView*, CoreSignature::max_operands> operands{};
    unsigned written = 0;
    for (std::size_t i = 0; i < signature_.operands_count(); ++i) {
        if (call.has(i)) operands[i] = &call.views[i];
        if (is_written(i)) written |= 1U << i;
    }
    return CoreCall(name_, signature_, {options.axes, options.axis, options.keepdims},
                    std::span(operands).first(signature_.operands_count()), written, where);
}

void GufuncState::check_casts(const Call& call, const GufuncCallOptions& options,
                              const std::source_location& where) const {
    for (std::size_t i = 0; i < signature_.operands_count(); ++i)
        if (is_written(i) && call.has(i) && call.types[i] != call.views[i].dtype)
            engine::check_output_cast(name_, call.types[i], call.views[i].dtype, options.casting,
                                      where);
}

CoreCall GufuncState::prepare(Call& call, std::span<const Arg* const> args,
                              const GufuncCallOptions& options,
                              const std::source_location& where) const {
    gather(call, args, options, where);
    check_written(call, where);
    for (std::size_t i = 0; i < inputs(); ++i) call.types[i] = call.views[i].dtype;
    choose_types(call.types, options, where);
    CoreCall shapes = shapes_of(call, options, where);
    check_casts(call, options, where);
    return shapes;
}

void GufuncState::make_results(Call& call, const CoreCall& shapes, const GufuncCallOptions& options,
                               const std::source_location& where) const {
    call.results.reserve(outputs());
    for (std::size_t o = 0; o < outputs(); ++o) {
        const std::size_t i = inputs() + o;
        if (call.given) {
            call.results.push_back(call.views[i].handle());
            continue;
        }
        call.results.push_back(shapes.make_result(o, call.types[i], options.order,
                                                  std::span(call.views).first(inputs()), where));
        engine::view_array(call.views[i], call.results.back(), false);
        call.there |= 1U << i;
    }
}

namespace {
Array converted(const OperandView& view, DType dtype, Location where) {
    Array made = empty(view.shape(), dtype, Order::c, where);
    made.assign(view.handle(), Casting::unsafe, where);
    return made;
}
}  // namespace

/// Makes the call as if all inputs were copied first, and the outputs stored one after the other at
/// the end: what is of another dtype than the kernel computes with, or meets what is written, goes
/// through an array of its own. Cores of one element are read before they are written.
void GufuncState::separate(Call& call, bool in_blocks, const std::source_location& where) {
    const std::size_t all = signature_.operands_count();
    const auto scalar_cores = [&] {
        for (std::size_t i = 0; i < all; ++i)
            if (signature_.operand(i).rank != 0) return false;
        return true;
    };
    unsigned direct = 0;  // operands whose own elements are written while the kernel runs
    for (std::size_t i = 0; i < all; ++i) {
        if (!is_written(i)) continue;
        bool apart = call.views[i].dtype == call.types[i];
        for (std::size_t j = 0; j < i && apart && (call.given || i < inputs()); ++j)
            apart = !is_written(j) || !engine::may_overlap(call.views[i], call.views[j]);
        if (apart) {
            direct |= 1U << i;
            continue;
        }
        OperandView& view = call.views[i];
        note(fmt::format("{} goes through an array of its own{}: {}", operand_name(i),
                         in_blocks ? ", block by block" : "",
                         view.dtype != call.types[i]
                             ? fmt::format("the kernel computes {}, not {}",
                                           kiln::name(call.types[i]), kiln::name(view.dtype))
                             : "it shares memory with what else is written"));
        call.detours.reserve(all);  // views point into it
        call.detours.push_back(
            {view.handle(), i < inputs() ? converted(view, call.types[i], where)
                                         : empty(view.shape(), call.types[i], Order::c, where)});
        engine::view_array(view, call.detours.back().result, false);
    }
    for (std::size_t i = 0; i < inputs(); ++i) {
        if (is_written(i)) continue;
        bool copy = call.views[i].dtype != call.types[i];
        for (std::size_t j = 0; j < all && !copy; ++j) {
            if ((direct >> j & 1U) == 0 || (j >= inputs() && !call.given)) continue;
            copy = engine::may_overlap(call.views[i], call.views[j]) &&
                   !(scalar_cores() && call.views[i].same_elements(call.views[j]));
        }
        if (!copy) continue;
        note(fmt::format("{} is copied{}: {}", operand_name(i), in_blocks ? ", block by block" : "",
                         call.views[i].dtype != call.types[i]
                             ? fmt::format("the kernel takes {}, not {}", kiln::name(call.types[i]),
                                           kiln::name(call.views[i].dtype))
                             : "it shares memory with what is written"));
        call.copies.reserve(all);  // views point into it
        call.copies.push_back(converted(call.views[i], call.types[i], where));
        engine::view_array(call.views[i], call.copies.back(), false);
    }
    if (!checked_) return;
    call.written.reserve(outputs());
    for (std::size_t o = 0; o < outputs(); ++o)
        call.written.push_back(
            zeros(call.views[inputs() + o].shape(), DType::bool_, Order::c, where));
}

void GufuncState::lay_out(const Call& call, const CoreCall& shapes, Operands& operands) const {
    const std::size_t all = signature_.operands_count();
    for (std::size_t i = 0; i < all; ++i) {
        operands.views[i] = call.views[i];
        operands.cores[i] = shapes.cores_of(i, call.views[i]);
    }
    operands.count = all;
    for (std::size_t o = 0; o < call.written.size(); ++o) {
        OperandView& view = operands.views[operands.count];
        engine::view_array(view, call.written[o], false);
        operands.cores[operands.count++] = shapes.cores_of(inputs() + o, view);
    }
}

ConstantSizes GufuncState::constant_sizes(const CoreCall& shapes) const {
    ConstantSizes sizes;
    for (std::size_t d = 0; d < signature_.dims_count(); ++d) {
        const CoreSignature::Dim& dim = signature_.dim(d);
        if (dim.frozen == 0 || dim.optional) sizes.set(d, shapes.size(d));
    }
    return sizes;
}

namespace {

/// Loops of a kernel; what is left goes around it.
constexpr int usual_loops = 2;
/// From this many iterations on, the outer of two loops has enough of them for threads to share.
constexpr std::int64_t enough_for_threads = 16;

/// A call cut into runs of its kernel.
class Runs {
  public:
    Runs(const engine::LoopPlan& plan, const std::span<const CoreOperand>& cores,
         std::span<const OperandView> views, std::uint64_t written, bool checked)
        : plan_(plan), cores_(cores), written_(written) {
        int most = 0;
        for (const CoreOperand& core : cores) most = std::max(most, core.core_rank);
        inner_ = std::min(plan.rank, static_cast<int>(max_rank) - most);
        if (!checked) inner_ = std::min(inner_, usual_loops);
        const auto extent = [&](int from_last) {
            return plan.extents[static_cast<std::size_t>(plan.rank - from_last)];
        };
        if (!checked && inner_ == 2 && extent(2) < enough_for_threads &&
            extent(1) > enough_for_threads)
            inner_ = 1;
        outer_ = plan.rank - inner_;
        for (std::size_t i = 0; i < cores.size(); ++i) place(i, views[i]);
    }

    std::span<OperandView> views() { return std::span(views_).first(cores_.size()); }
    /// Whether the elements of an operand's cores follow each other without gaps, core by core.
    bool is_flat(std::size_t i) const {
        const CoreOperand& core = cores_[i];
        if (inner_ != 1 || views_[i].rank != 1 + core.core_rank || core.core_rank == 0)
            return false;
        std::int64_t expected = views_[i].item();
        for (auto k = static_cast<std::size_t>(core.core_rank); k-- > 0;) {
            if (core.core_extents[k] != 1 && core.core_strides[k] != expected) return false;
            expected *= core.core_extents[k];
        }
        return strides_[i][0] == expected;
    }
    /// Makes such an operand one of a single axis.
    void flatten(std::size_t i) {
        for (int k = 1; k < views_[i].rank; ++k) extents_[i][0] *= views_[i].extents[k];
        strides_[i][0] = views_[i].item();
        views_[i].rank = 1;
    }
    /// Goes to the next run; false if there is none.
    bool next() {
        for (int a = outer_; a-- > 0;) {
            const auto axis = static_cast<std::size_t>(a);
            const bool wraps = ++index_[axis] == plan_.extents[axis];
            const std::int64_t steps = wraps ? 1 - plan_.extents[axis] : 1;
            for (std::size_t i = 0; i < cores_.size(); ++i)
                views_[i].data += steps * plan_.strides[i][axis];
            if (!wraps) return true;
            index_[axis] = 0;
        }
        return false;
    }

  private:
    /// An operand that is the same for all cores of a run has no loop dimensions there.
    void place(std::size_t i, const OperandView& view) {
        bool moves = (written_ >> i & 1) != 0;
        for (int a = 0; a < inner_; ++a)
            moves = moves || plan_.strides[i][static_cast<std::size_t>(outer_ + a)] != 0;
        std::size_t at = 0;
        for (int a = 0; a < inner_ && moves; ++a, ++at) {
            extents_[i][at] = plan_.extents[static_cast<std::size_t>(outer_ + a)];
            strides_[i][at] = plan_.strides[i][static_cast<std::size_t>(outer_ + a)];
        }
        for (std::size_t k = 0; k < static_cast<std::size_t>(cores_[i].core_rank); ++k, ++at) {
            extents_[i][at] = cores_[i].core_extents[k];
            strides_[i][at] = cores_[i].core_strides[k];
        }
        views_[i] = {view.data,
                     extents_[i].data(),
                     strides_[i].data(),
                     nullptr,
                     static_cast<int>(at),
                     view.dtype,
                     false,
                     false,
                     false};
    }

    static constexpr std::size_t most = engine::max_loop_kernel_args;
    const engine::LoopPlan& plan_;
    std::span<const CoreOperand> cores_;
    std::uint64_t written_;
    int inner_ = 0, outer_ = 0;
    std::array<std::int64_t, max_rank> index_{};
    std::array<std::array<std::int64_t, max_rank>, most> extents_, strides_;
    std::array<OperandView, most> views_;
};

}  // namespace

/// Calls f(kernel, its runs) for a call.
template <class F>
void GufuncState::with_kernel(const Call& call, const CoreCall& shapes, const F& f) {
    Operands operands;
    lay_out(call, shapes, operands);
    const std::span<const CoreOperand> cores(operands.cores.data(), operands.count);
    const engine::LoopPlan plan = engine::plan_loop(shapes.loop_shape(), cores, inputs(), checked_);
    Runs runs(plan, cores, operands.views, written_operands(), checked_);
    CoreForm form{constant_sizes(shapes)};
    const auto all_constant = [&](std::size_t i) {
        const CoreSignature::Operand& o = signature_.operand(i);
        return std::all_of(o.dims.begin(), o.dims.begin() + static_cast<std::ptrdiff_t>(o.rank),
                           [&](std::size_t d) { return constant_size(d, form.sizes) != 0; });
    };
    const bool flat = !checked_ && !uses_whole_arrays_.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < operands.count && flat; ++i)
        if (runs.is_flat(i) && all_constant(i)) form.flat |= std::uint64_t(1) << i;
    LoopKernelState& code = kernel(form);
    for (std::size_t i = 0; i < operands.count; ++i)
        if ((form.flat >> i & 1) != 0) runs.flatten(i);
    try {
        f(code, runs);
        return;
    } catch (const dsl::Trace::NeedsAxes&) {
        uses_whole_arrays_ = true;  // found while the lambda ran: nothing is computed yet
        note(
            fmt::format("cores of {} keep their axes, since it uses them as whole arrays: "
                        "distances within them are no constants",
                        name_));
    }
    with_kernel(call, shapes, f);
}

void GufuncState::run(const Call& call, const CoreCall& shapes, const std::source_location& where) {
    with_kernel(call, shapes, [&](LoopKernelState& code, Runs& runs) {
        do code.run(runs.views(), where);
        while (runs.next());
    });
}

/// Errors: bounds, the first element of an output that no core stored.
void GufuncState::check_all_written(const Call& call, const std::source_location& where) const {
    for (std::size_t o = 0; o < call.written.size(); ++o) {
        const Array& written = call.written[o];
        const auto* const first = reinterpret_cast<const std::uint8_t*>(written.data());
        const auto* const found = std::find(first, first + written.size(), std::uint8_t(0));
        if (found == first + written.size()) continue;
        std::int64_t at = found - first;
        Shape index = written.shape();
        for (int d = index.rank(); d-- > 0;) {
            const std::int64_t extent = index[d];
            index[d] = at % extent;
            at /= extent;
        }
        throw Error(
            ErrorKind::bounds,
            fmt::format("element {} of {} is not written by {}", to_string(index),
                        outputs() == 1 ? "the output" : fmt::format("output {}", o + 1), name_),
            where, "a core stores every element of its outputs");
    }
}

namespace {
/// What conversions of a block take: they stay in a core's cache.
constexpr std::int64_t block_bytes = 256 << 10;
}  // namespace

/// How much arrays of the kernel's dtypes take for operands that have other ones.
std::int64_t GufuncState::converted_bytes(const Call& call) const {
    std::int64_t bytes = 0;
    for (std::size_t i = 0; i < signature_.operands_count(); ++i)
        if (call.views[i].dtype != call.types[i] && !call.views[i].scalar)
            bytes += call.views[i].size() * static_cast<std::int64_t>(size_of(call.types[i]));
    return bytes;
}

/// Whether nothing that is written meets another operand.
bool GufuncState::all_apart(const Call& call) const {
    for (std::size_t i = 0; i < signature_.operands_count(); ++i)
        for (std::size_t j = 0; j < signature_.operands_count(); ++j)
            if (i != j && is_written(i) && engine::may_overlap(call.views[i], call.views[j]))
                return false;
    return true;
}

/// The call as calls of `step` indices of a loop dimension each.
void GufuncState::call_blocks(const Call& call, const CoreCall& shapes, int axis, std::int64_t step,
                              const GufuncCallOptions& options, const std::source_location& where) {
    const std::int64_t extent = shapes.loop_shape()[axis];
    GufuncCallOptions of_block = options;
    of_block.out = {};
    for (std::int64_t begin = 0; begin < extent; begin += step) {
        std::vector<Array> parts;
        for (std::size_t i = 0; i < signature_.operands_count(); ++i) {
            parts.push_back(call.views[i].handle());
            const int own = shapes.axis_of_loop(i, axis, parts[i].rank());
            if (own >= 0 && parts[i].extent(own) != 1)
                parts[i] = parts[i].slice(own, {begin, std::min(begin + step, extent)}, where);
        }
        std::vector<Arg> args(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(inputs()));
        std::vector<const Arg*> pointers;
        for (const Arg& arg : args) pointers.push_back(&arg);
        std::vector<OutArg> outs(parts.begin() + static_cast<std::ptrdiff_t>(inputs()),
                                 parts.end());
        of_block.outs = Outs(outs, where);
        call_once(pointers, of_block, true, where);
    }
}

std::vector<Array> GufuncState::call(std::span<const Arg* const> args,
                                     const GufuncCallOptions& options,
                                     const std::source_location& where) {
    return call_once(args, options, false, where);
}

/// Where arrays of other dtypes than the kernel's are large, they are converted and computed block by
/// block, cut along the first loop dimension that there is.
std::vector<Array> GufuncState::call_once(std::span<const Arg* const> args,
                                          const GufuncCallOptions& options, bool in_blocks,
                                          const std::source_location& where) {
    Call call;
    const CoreCall shapes = prepare(call, args, options, where);
    make_results(call, shapes, options, where);
    const Shape& loop = shapes.loop_shape();
    if (std::ranges::find(loop, 0) != loop.end()) return std::move(call.results);
    const std::int64_t bytes = converted_bytes(call);
    const std::int64_t most = block_bytes * (options_.parallel ? num_threads() : 1);
    const auto* const axis = std::ranges::find_if(loop, [](std::int64_t n) { return n > 1; });
    if (bytes >= 2 * most && axis != loop.end() && !checked_ && all_apart(call)) [[unlikely]] {
        const std::int64_t step = std::max<std::int64_t>(1, most / (bytes / *axis + 1));
        call_blocks(call, shapes, static_cast<int>(axis - loop.begin()), step, options, where);
        return std::move(call.results);
    }
    separate(call, in_blocks, where);
    run(call, shapes, where);
    for (const Call::Detour& detour : call.detours)
        detour.target.assign(detour.result, Casting::unsafe, where);
    check_all_written(call, where);
    return std::move(call.results);
}

CoreResolution GufuncState::resolve(std::span<const Arg* const> args,
                                    const GufuncCallOptions& options,
                                    const std::source_location& where) {
    Call call;
    const CoreCall shapes = prepare(call, args, options, where);
    CoreResolution made;
    if (signature_.operands_count() > Signature::max_types)
        throw Error(ErrorKind::unsupported,
                    fmt::format("{} has {} arguments and results; a signature has at most {}",
                                name_, signature_.operands_count(), Signature::max_types),
                    where);
    made.loop.inputs = static_cast<std::uint8_t>(inputs());
    made.loop.outputs = static_cast<std::uint8_t>(outputs());
    for (std::size_t i = 0; i < signature_.operands_count(); ++i)
        made.loop.types[i] = call.types[i];
    made.loop_shape = shapes.loop_shape();
    for (std::size_t o = 0; o < outputs(); ++o) made.results.push_back(shapes.result_shape(o));
    const ConstantSizes constant = constant_sizes(shapes);
    const bool special = is_special(constant);
    for (std::size_t d = 0; d < signature_.dims_count(); ++d) {
        const CoreSignature::Dim& dim = signature_.dim(d);
        made.sizes.push_back(
            {std::string(signature_.name(d)), shapes.size(d), shapes.is_missing(d),
             (special && constant.get(d) != 0) || (dim.frozen != 0 && !dim.optional)});
    }
    return made;
}

// ------------------------------------------------------------------------------ inspection

Shared<GufuncState> GufuncState::varied(const Variation& variation) const {
    return share<GufuncState>(
        name_, text_, params_, function_,
        engine::varied(options_, variation, name_, engine::KernelKind::gufunc), where_);
}

std::size_t GufuncState::types_of(std::span<const ArgType> given, std::span<DType> types,
                                  const std::source_location& where) const {
    engine::check_arity(name_, inputs(), given.size(), where, engine::Given::types);
    std::size_t loops = 0;
    for (std::size_t i = 0; i < inputs(); ++i) {
        const std::size_t core = signature_.operand(i).rank, rank = given[i].rank;
        types[i] = given[i].dtype;
        if (rank < core)
            throw Error(ErrorKind::shape,
                        fmt::format("argument {} of {} has {}, its core has {}", i + 1, name_,
                                    engine::counted(rank, "dimension"), core),
                        where);
        loops = std::max(loops, rank - core);
    }
    choose_types(types, {}, where);
    return loops;
}

std::string GufuncState::inspect(Artifact artifact, std::span<const ArgType> types,
                                 const std::source_location& where) {
    Call call;
    std::size_t loops = types_of(types, call.types, where), most = 0;
    for (std::size_t i = 0; i < signature_.operands_count(); ++i)
        most = std::max<std::size_t>(most, signature_.operand(i).rank);
    if (!checked_) loops = std::min<std::size_t>(loops, usual_loops);
    loops = std::min(loops, static_cast<std::size_t>(max_rank) - most);
    std::vector<ArgType> all;
    for (std::size_t i = 0; i < signature_.operands_count(); ++i) {
        const std::size_t core = signature_.operand(i).rank;
        const bool moves = is_written(i) || types[i].rank > core;
        all.push_back({call.types[i], static_cast<std::uint8_t>(core + (moves ? loops : 0))});
    }
    for (std::size_t o = 0; checked_ && o < outputs(); ++o)
        all.push_back({DType::bool_, all[inputs() + o].rank});
    return general_->inspect(artifact, all, where);
}

std::string GufuncState::inspect_call(Artifact artifact, std::span<const Arg* const> args,
                                      const GufuncCallOptions& options,
                                      const std::source_location& where) {
    Call call;
    const CoreCall shapes = prepare(call, args, options, where);
    make_results(call, shapes, options, where);
    separate(call, false, where);
    std::string text;
    with_kernel(call, shapes, [&](LoopKernelState& code, Runs& runs) {
        text = code.inspect(artifact, runs.views(), where);
    });
    return text;
}

void GufuncState::note(std::string text) {
    const std::lock_guard lock(mutex_);
    note_locked(std::move(text));
}

void GufuncState::note_locked(std::string text) {
    Remark remark{std::string(where_.file), where_.line, std::move(text)};
    if (std::ranges::find(notes_, remark) == notes_.end()) notes_.push_back(std::move(remark));
}

std::vector<Remark> GufuncState::remarks() const {
    const std::lock_guard lock(mutex_);
    std::vector<Remark> all = general_->ledger().remarks();
    const auto add = [&](const std::vector<Remark>& more) {
        for (const Remark& remark : more)
            if (std::ranges::find(all, remark) == all.end()) all.push_back(remark);
    };
    for (const Special& special : special_kernels_) add(special.kernel->ledger().remarks());
    add(notes_);
    return all;
}

Stats GufuncState::stats() const {
    const std::lock_guard lock(mutex_);
    Stats sum = general_->ledger().stats();
    for (const Special& special : special_kernels_)
        engine::add(sum, special.kernel->ledger().stats());
    return sum;
}

std::vector<std::vector<ArgType>> GufuncState::specialisations() const {
    std::vector<std::vector<ArgType>> all;
    const auto add = [&](const LoopKernelState& kernel, std::uint64_t flat) {
        for (std::vector<ArgType>& types : kernel.ledger().specialisations()) {
            types.resize(inputs());
            for (std::size_t i = 0; i < inputs(); ++i)  // a flat one has lost its dimensions
                if ((flat >> i & 1) != 0)
                    types[i].rank = static_cast<std::uint8_t>(signature_.operand(i).rank + 1);
            std::erase(all, types);
            all.push_back(std::move(types));
        }
    };
    const std::lock_guard lock(mutex_);
    add(*general_, 0);
    for (const Special& special : special_kernels_) add(*special.kernel, special.form.flat);
    return all;
}

}  // namespace detail

// ------------------------------------------------------------------------------ the handle

Gufunc::Gufunc(std::string name, std::string_view signature,
               std::span<const detail::KernelParam> params, detail::KernelFunction function,
               GufuncOptions options, Location where)
    : state_(share<detail::GufuncState>(std::move(name), signature, params, std::move(function),
                                        std::move(options), where)) {}

Gufunc::Gufunc(Shared<detail::GufuncState> state) : state_(std::move(state)) {}

const std::string& Gufunc::name() const { return state_->name(); }
const std::string& Gufunc::doc() const { return state_->options().doc; }
std::size_t Gufunc::nin() const { return state_->signature().inputs(); }
std::size_t Gufunc::nout() const { return state_->signature().outputs(); }
std::string Gufunc::signature() const { return std::string(state_->signature().text()); }
std::vector<Signature> Gufunc::types() const { return state_->options().signatures; }
std::vector<Remark> Gufunc::remarks() const { return state_->remarks(); }
Stats Gufunc::stats() const { return state_->stats(); }
std::vector<std::vector<ArgType>> Gufunc::specialisations() const {
    return state_->specialisations();
}
Gufunc Gufunc::varied(const Variation& variation) const {
    return Gufunc(state_->varied(variation));
}

std::string Gufunc::inspect(Artifact artifact, std::initializer_list<ArgType> types,
                            Where where) const {
    return state_->inspect(artifact, std::span(types.begin(), types.size()), where);
}

std::string Gufunc::inspect(Artifact artifact, const std::vector<ArgType>& types,
                            Where where) const {
    return state_->inspect(artifact, types, where);
}

namespace {
std::vector<const Arg*> pointers(std::initializer_list<Arg> args) {
    std::vector<const Arg*> all;
    for (const Arg& arg : args) all.push_back(&arg);
    return all;
}
}  // namespace

std::string Gufunc::inspect_call(Artifact artifact, std::initializer_list<Arg> args,
                                 const GufuncCallOptions& options, Where where) const {
    return state_->inspect_call(artifact, pointers(args), options, where);
}

CoreResolution Gufunc::resolve(std::initializer_list<Arg> args, const GufuncCallOptions& options,
                               Where where) const {
    return state_->resolve(pointers(args), options, where);
}

Array Gufunc::call(std::initializer_list<const Arg*> args, const GufuncCallOptions& options,
                   const Where& where) const {
    if (nout() != 1 && !options.out && options.outs.size() == 0)
        throw Error(ErrorKind::usage, fmt::format("{} has {} outputs", name(), nout()), where,
                    "call it with .all(...), which gives all of them");
    return std::move(state_->call(std::span(args.begin(), args.size()), options, where)[0]);
}

std::vector<Array> Gufunc::all_of(const std::vector<Arg>& args, const GufuncCallOptions& options,
                                  Where where) const {
    std::vector<const Arg*> pointers;
    for (const Arg& arg : args) pointers.push_back(&arg);
    return state_->call(pointers, options, where);
}

std::vector<Array> Gufunc::call_all(std::initializer_list<const Arg*> args,
                                    const GufuncCallOptions& options, const Where& where) const {
    return state_->call(std::span(args.begin(), args.size()), options, where);
}

}  // namespace kiln
