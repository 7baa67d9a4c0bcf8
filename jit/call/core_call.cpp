#include "jit/call/core_call.h"

#include "jit/call/arity.h"
#include "jit/call/axes.h"
#include "jit/call/plan.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

namespace kiln::engine {

using Views = std::span<const OperandView* const>;

CoreCall::CoreCall(const std::string& name, const CoreSignature& signature, const CoreAxes& axes,
                   Views operands, unsigned written, const std::source_location& where)
    : name_(name), signature_(signature), where_(where), keepdims_(axes.keepdims) {
    sizes_.fill(unknown);
    count_axes(operands, axes.keepdims);
    place_axes(axes);
    find_sizes(operands);
    find_loop(operands, written);
}

std::string CoreCall::operand_name(std::size_t operand) const {
    const std::size_t inputs = signature_.inputs();
    if (operand < inputs) return fmt::format("argument {} of {}", operand + 1, name_);
    if (signature_.outputs() == 1) return fmt::format("the output of {}", name_);
    return fmt::format("output {} of {}", operand - inputs + 1, name_);
}

namespace {
/// "(m,n?)".
std::string core_text(const CoreSignature& signature, std::size_t operand) {
    std::string text;
    const CoreSignature::Operand& o = signature.operand(operand);
    for (std::size_t k = 0; k < o.rank; ++k) {
        if (k > 0) text += ',';
        text += signature.name(o.dims[k]);
        if (signature.dim(o.dims[k]).optional) text += '?';
    }
    return '(' + text + ')';
}
}  // namespace

/// How many axes of each operand are core dimensions. An operand with too few of them misses its
/// optional dimensions, from the first on, and then all operands do.
void CoreCall::count_axes(Views operands, bool keepdims) {
    const std::size_t all = signature_.operands_count(), inputs = signature_.inputs();
    const auto count = [&](std::size_t i) {
        int present = 0;
        for (std::size_t k = 0; k < signature_.operand(i).rank; ++k)
            present += is_missing(signature_.operand(i).dims[k]) ? 0 : 1;
        return present;
    };
    if (keepdims) {
        for (std::size_t i = 0; i < all; ++i)
            if (signature_.operand(i).rank != (i < inputs ? signature_.operand(0).rank : 0))
                throw Error(
                    ErrorKind::usage,
                    fmt::format("keepdims of {}, whose signature is {}", name_, signature_.text()),
                    where_,
                    "it is for outputs without core dimensions, and inputs that have "
                    "equally many");
    }
    for (std::size_t i = 0; i < all; ++i) {
        if (operands[i] == nullptr || (keepdims && i >= inputs)) continue;
        const CoreSignature::Operand& o = signature_.operand(i);
        for (std::size_t k = 0; k < o.rank && operands[i]->rank < count(i); ++k)
            if (signature_.dim(o.dims[k]).optional) missing_ |= 1U << o.dims[k];
        if (operands[i]->rank >= count(i)) continue;
        throw Error(ErrorKind::shape,
                    fmt::format("{} has {}, its core {} has {}", operand_name(i),
                                counted(static_cast<std::size_t>(operands[i]->rank), "dimension"),
                                core_text(signature_, i), count(i)),
                    where_);
    }
    for (std::size_t i = 0; i < all; ++i)
        axes_count_[i] = keepdims && i >= inputs ? count(0) : count(i);
    for (std::size_t i = inputs; i < all && keepdims; ++i)
        if (operands[i] != nullptr && operands[i]->rank < axes_count_[i])
            throw Error(
                ErrorKind::shape,
                fmt::format("{} has {}, of which {} are kept by keepdims", operand_name(i),
                            counted(static_cast<std::size_t>(operands[i]->rank), "dimension"),
                            axes_count_[i]),
                where_);
}

/// Errors: usage (`axis` of a signature that has not one core dimension).
void CoreCall::check_axis() const {
    bool single = signature_.dims_count() == 1;
    for (std::size_t i = 0; i < signature_.operands_count(); ++i)
        single = single && signature_.operand(i).rank <= 1;
    if (single) return;
    throw Error(
        ErrorKind::usage,
        fmt::format("axis of {}, whose signature is {}", name_, signature_.text()), where_,
        "it is for signatures with a single core dimension; axes lists those of each operand");
}

/// Where the core dimensions of each operand are, as the caller counts.
void CoreCall::place_axes(const CoreAxes& given) {
    const std::size_t all = signature_.operands_count();
    for (std::size_t i = 0; i < all; ++i)
        for (int k = 0; k < axes_count_[i]; ++k)
            places_[i][static_cast<std::size_t>(k)] = k - axes_count_[i];
    if (given.axis) {
        if (!given.axes.empty())
            throw Error(ErrorKind::usage, fmt::format("both axis and axes of {} are given", name_),
                        where_);
        check_axis();
        for (std::size_t i = 0; i < all; ++i)
            if (axes_count_[i] == 1) places_[i][0] = *given.axis;
    }
    if (given.axes.empty()) return;
    const bool outputs_left_out =
        given.axes.size() == signature_.inputs() &&
        std::all_of(axes_count_.begin() + static_cast<std::ptrdiff_t>(signature_.inputs()),
                    axes_count_.begin() + static_cast<std::ptrdiff_t>(all),
                    [this](int count) { return count == 0 || keepdims_; });
    if (given.axes.size() != all && !outputs_left_out)
        throw Error(
            ErrorKind::usage,
            fmt::format(
                "axes of {} has {} for {}", name_,
                given.axes.size() == 1 ? "1 entry" : fmt::format("{} entries", given.axes.size()),
                counted(all, "operand")),
            where_);
    for (std::size_t i = 0; i < all; ++i) {
        if (i >= given.axes.size()) {
            if (keepdims_) places_[i] = places_[0];
            continue;
        }
        const Shape& list = given.axes[i].list();
        if (list.rank() != axes_count_[i])
            throw Error(ErrorKind::usage,
                        fmt::format("axes of {} for {}, whose core has {}",
                                    counted(static_cast<std::size_t>(list.rank()), "dimension"),
                                    operand_name(i), axes_count_[i]),
                        where_);
        std::copy(list.begin(), list.end(), places_[i].begin());
    }
}

/// The axis of an operand of this rank that its core's axis is. Errors: bounds.
int CoreCall::axis_of(std::size_t operand, int core_axis, int rank) const {
    const std::int64_t given = places_[operand][static_cast<std::size_t>(core_axis)];
    const std::int64_t axis = given < 0 ? given + rank : given;
    if (axis >= 0 && axis < rank) [[likely]]
        return static_cast<int>(axis);
    return checked_axis(operand_name(operand), given, rank, where_);
}

/// Errors: bounds, usage (twice).
unsigned CoreCall::core_bits(std::size_t operand, int rank) const {
    unsigned bits = 0;
    for (int k = 0; k < axes_count_[operand]; ++k) {
        const int axis = axis_of(operand, k, rank);
        if ((bits >> axis & 1U) != 0)
            throw Error(ErrorKind::usage,
                        fmt::format("axis {} of {} is listed twice", axis, operand_name(operand)),
                        where_);
        bits |= 1U << axis;
    }
    return bits;
}

void CoreCall::set_size(std::size_t dim, std::size_t operand, std::int64_t size) {
    const CoreSignature::Dim& d = signature_.dim(dim);
    if (d.is_computed()) compute_size(dim, operand);
    if (sizes_[dim] == unknown) {
        sizes_[dim] = d.frozen != 0 ? d.frozen : size;
        sized_by_[dim] = static_cast<std::uint8_t>(operand);
    }
    if (sizes_[dim] == size) return;
    const std::string what = fmt::format("core dimension {} of {} is {}", signature_.name(dim),
                                         operand_name(operand), size);
    if (d.frozen != 0)
        throw Error(ErrorKind::shape, what, where_,
                    fmt::format("the signature is {}", signature_.text()));
    if (d.is_computed())
        throw Error(ErrorKind::shape, fmt::format("{}, its size {}", what, sizes_[dim]), where_);
    throw Error(ErrorKind::shape,
                fmt::format("{}, of {} it is {}", what, operand_name(sized_by_[dim]), sizes_[dim]),
                where_, "core dimensions of one name are equal: an extent of 1 is not repeated");
}

void CoreCall::compute_size(std::size_t dim, std::size_t operand) {
    const CoreSignature::Dim& d = signature_.dim(dim);
    std::array<std::int64_t, CoreSignature::max_steps> stack;
    std::size_t top = 0;
    bool possible = true;
    for (std::size_t s = d.first_step; s < d.first_step + d.steps; ++s) {
        const CoreSignature::Step step = signature_.step(s);
        if (step.kind == 'n' || step.kind == 'd') {
            stack[top++] =
                step.kind == 'n' ? step.value : sizes_[static_cast<std::size_t>(step.value)];
            continue;
        }
        const std::int64_t b = stack[--top];
        std::int64_t& a = stack[top - 1];
        switch (step.kind) {
            case '+': possible = possible && !__builtin_add_overflow(a, b, &a); break;
            case '-': possible = possible && !__builtin_sub_overflow(a, b, &a); break;
            case '*': possible = possible && !__builtin_mul_overflow(a, b, &a); break;
            default:
                possible = possible && b != 0 && !(b == -1 && a == INT64_MIN);
                if (possible) a = a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
        }
    }
    if (!possible || stack[0] < 0)
        throw Error(ErrorKind::shape,
                    fmt::format("core dimension {} of {} would be {}", signature_.name(dim),
                                operand_name(operand),
                                possible ? std::to_string(stack[0]) : std::string("no integer")),
                    where_);
    sizes_[dim] = stack[0];
}

void CoreCall::find_sizes(Views operands) {
    const std::size_t inputs = signature_.inputs();
    for (std::size_t i = 0; i < signature_.operands_count(); ++i) {
        const CoreSignature::Operand& o = signature_.operand(i);
        if (keepdims_ && i >= inputs) {
            for (int k = 0; operands[i] != nullptr && k < axes_count_[i]; ++k) {
                const int axis = axis_of(i, k, operands[i]->rank);
                if (operands[i]->extents[axis] == 1) continue;
                throw Error(ErrorKind::shape,
                            fmt::format("dimension {} of {} is {}, and 1 by keepdims", axis,
                                        operand_name(i), operands[i]->extents[axis]),
                            where_);
            }
            continue;
        }
        int present = 0;
        for (std::size_t k = 0; k < o.rank; ++k) {
            const std::size_t dim = o.dims[k];
            const CoreSignature::Dim& d = signature_.dim(dim);
            if (is_missing(dim)) {
                sizes_[dim] = 1;
                continue;
            }
            if (operands[i] != nullptr) {
                set_size(dim, i, operands[i]->extents[axis_of(i, present++, operands[i]->rank)]);
            } else if (d.is_computed()) {
                compute_size(dim, i);
            } else if (d.frozen != 0) {
                sizes_[dim] = d.frozen;
            } else if (sizes_[dim] == unknown && !d.of_input) {
                // Another output may be given.
                continue;
            }
        }
    }
    for (std::size_t d = 0; d < signature_.dims_count(); ++d)
        if (sizes_[d] == unknown)
            throw Error(ErrorKind::usage,
                        fmt::format("nothing tells the size of core dimension {} of {}",
                                    signature_.name(d), name_),
                        where_, "give an output that has it: {.out = array}");
}

void CoreCall::find_loop(Views operands, unsigned written) {
    std::array<OperandView, CoreSignature::max_operands> inputs, outputs;
    std::array<Shape, CoreSignature::max_operands> extents;
    std::size_t input_count = 0, output_count = 0;
    for (std::size_t i = 0; i < signature_.operands_count(); ++i) {
        if (operands[i] == nullptr) continue;
        const OperandView& view = *operands[i];
        const unsigned bits = core_bits(i, view.rank);
        for (int d = 0; d < view.rank; ++d)
            if ((bits >> d & 1U) == 0) extents[i].push_back(view.extents[d]);
        const bool is_output = i >= signature_.inputs() || (written >> i & 1U) != 0;
        OperandView& loop = is_output ? outputs[output_count++] : inputs[input_count++];
        loop = view;
        loop.rank = extents[i].rank();
        loop.extents = extents[i].data();
    }
    const Shape* longest = &extents[signature_.inputs()];
    for (const Shape& shape : extents)
        if (shape.rank() > longest->rank()) longest = &shape;
    bool simple = true;
    for (std::size_t i = 0; i < signature_.operands_count(); ++i) {
        const bool is_output = i >= signature_.inputs() || (written >> i & 1U) != 0;
        simple = simple && (operands[i] == nullptr || extents[i] == *longest ||
                            (!is_output && extents[i].rank() == 0));
    }
    if (simple) [[likely]] {
        loop_ = *longest;
        return;
    }
    try {
        loop_ = call_shape(std::span(inputs).first(input_count),
                           std::span(outputs).first(output_count), where_);
    } catch (const Error& error) {
        throw Error(error.kind(),
                    fmt::format("the loop dimensions of {}: {}", name_, error.message()), where_,
                    error.hint());
    }
}

Shape CoreCall::result_shape(std::size_t output) const {
    const std::size_t operand = signature_.inputs() + output;
    const CoreSignature::Operand& o = signature_.operand(operand);
    const int rank = loop_.rank() + axes_count_[operand];
    if (rank > max_rank)
        throw Error(ErrorKind::shape,
                    fmt::format("{} would have {} dimensions; at most {}", operand_name(operand),
                                rank, max_rank),
                    where_);
    const unsigned bits = core_bits(operand, rank);
    Shape shape = Shape::filled(rank, 1);
    for (int d = 0, at = 0; d < rank; ++d)
        if ((bits >> d & 1U) == 0) shape[d] = loop_[at++];
    int present = 0;
    for (std::size_t k = 0; k < o.rank; ++k)
        if (!is_missing(o.dims[k])) shape[axis_of(operand, present++, rank)] = sizes_[o.dims[k]];
    return shape;
}

Array CoreCall::make_result(std::size_t output, DType dtype, Order order,
                            std::span<const OperandView> inputs, Location where) const {
    const Shape shape = result_shape(output);
    if (order == Order::any) order = fortran_or_c(inputs);
    if (order != Order::keep || loop_.rank() < 1) {
        return empty(shape, dtype, order == Order::fortran ? Order::fortran : Order::c, where);
    }
    std::array<CoreOperand, CoreSignature::max_operands> cores;
    std::array<OperandView, CoreSignature::max_operands> loops;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        cores[i] = cores_of(i, inputs[i]);
        loops[i] = inputs[i];
        loops[i].rank = cores[i].loop_rank;
        loops[i].extents = cores[i].loop_extents.data();
        loops[i].strides = cores[i].loop_strides.data();
    }
    const std::array<int, max_rank> order_of_loop =
        memory_order(loop_, std::span(loops).first(inputs.size()));
    // Axes of the result in the order in which they lie in memory.
    const std::size_t operand = signature_.inputs() + output;
    const unsigned bits = core_bits(operand, shape.rank());
    std::array<int, max_rank> loop_axes;
    for (int d = 0, at = 0; d < shape.rank(); ++d)
        if ((bits >> d & 1U) == 0) loop_axes[static_cast<std::size_t>(at++)] = d;
    Shape in_memory = shape, axis_at = shape;
    int at = 0;
    const auto put = [&](int axis) {
        in_memory[at] = shape[axis];
        axis_at[axis] = at++;
    };
    for (int k = 0; k < loop_.rank(); ++k)
        put(loop_axes[static_cast<std::size_t>(order_of_loop[static_cast<std::size_t>(k)])]);
    for (int k = 0; k < axes_count_[operand]; ++k) put(axis_of(operand, k, shape.rank()));
    return empty(in_memory, dtype, Order::c, where).transpose(axis_at, where);
}

int CoreCall::axis_of_loop(std::size_t operand, int loop, int rank) const {
    const unsigned bits = core_bits(operand, rank);
    int own = loop - (loop_.rank() - (rank - std::popcount(bits)));
    if (own < 0) return -1;
    int axis = 0;
    while ((bits >> axis & 1U) != 0 || own-- > 0) ++axis;
    return axis;
}

CoreOperand CoreCall::cores_of(std::size_t operand, const OperandView& view) const {
    CoreOperand made;
    const CoreSignature::Operand& o = signature_.operand(operand);
    const unsigned bits = core_bits(operand, view.rank);
    for (int d = 0; d < view.rank; ++d) {
        if ((bits >> d & 1U) != 0) continue;
        const auto at = static_cast<std::size_t>(made.loop_rank++);
        made.loop_extents[at] = view.extents[d];
        made.loop_strides[at] = view.strides[d];
    }
    made.core_rank = static_cast<int>(o.rank);
    int present = 0;
    for (std::size_t k = 0; k < o.rank; ++k) {
        made.core_extents[k] = 1;
        made.core_strides[k] = view.item();
        if (is_missing(o.dims[k])) continue;
        const int axis = axis_of(operand, present++, view.rank);
        made.core_extents[k] = view.extents[axis];
        made.core_strides[k] = view.strides[axis];
    }
    return made;
}

namespace {
struct Axis {
    std::int64_t extent;
    std::array<std::int64_t, 2 * CoreSignature::max_operands> strides;
};
}  // namespace

LoopPlan plan_loop(const Shape& loop, std::span<const CoreOperand> operands,
                   std::size_t first_output, bool as_written) {
    std::array<Axis, max_rank> axes;
    std::size_t count = 0;
    for (int d = 0; d < loop.rank(); ++d) {
        if (loop[d] == 1 && !as_written) continue;
        Axis& axis = axes[count++];
        axis.extent = loop[d];
        for (std::size_t i = 0; i < operands.size(); ++i) {
            const int own = d - (loop.rank() - operands[i].loop_rank);
            const auto at = static_cast<std::size_t>(own);
            axis.strides[i] =
                own < 0 || operands[i].loop_extents[at] == 1 ? 0 : operands[i].loop_strides[at];
        }
    }
    std::span<Axis> used(axes.data(), count);
    if (!as_written) {
        sort_axes(used, [&](const Axis& axis) { return std::abs(axis.strides[first_output]); });
        count = merge_axes(used, [&](const Axis& outer, const Axis& inner) {
            bool whole = true;
            for (std::size_t i = 0; i < operands.size(); ++i)
                whole = whole && outer.strides[i] == inner.strides[i] * inner.extent;
            return whole;
        });
    }
    LoopPlan plan;
    plan.rank = static_cast<int>(count);
    for (std::size_t a = 0; a < count; ++a) {
        plan.extents[a] = axes[a].extent;
        for (std::size_t i = 0; i < operands.size(); ++i) plan.strides[i][a] = axes[a].strides[i];
    }
    return plan;
}

}  // namespace kiln::engine
