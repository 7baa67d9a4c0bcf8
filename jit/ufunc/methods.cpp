// Reductions and scans by the operation that a ufunc's kernel is.
#include "jit/call/arity.h"
#include "jit/call/axes.h"
#include "jit/reduce/scan.h"
#include "jit/ufunc/ufunc.h"

#include <kiln/environment.h>

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

[[noreturn]] static void throw_no_reduction(const engine::UfuncSource& source, Location where) {
    const std::string text = fmt::format("{} has no reduction: ", source.name);
    if (source.arity != 2) {
        throw Error(ErrorKind::unsupported,
                    text + "it takes " + engine::counted(source.arity, "argument") + ", not two",
                    where, "a reduction combines two elements into one");
    }
    throw Error(ErrorKind::unsupported,
                text +
                    "its kernel is not one operation of add, mul, minimum, maximum, bit_and, "
                    "bit_or, bit_xor, logical_and, logical_or on its two arguments",
                where,
                fmt::format("{}.accumulate(x, {{.axis = 0}}).index(0, -1) applies it to the "
                            "elements in order",
                            source.name));
}

Array UfuncState::reduce(const Arg& x, const ReduceOptions& options, Location where) {
    engine::OperandView view;
    CallAccess::Row row;
    CallAccess::view(x, view, row);
    ReduceState* const state = reduction(view.dtype, where);
    if (state == nullptr) {
        throw_no_reduction(source_, where);
    }
    return state->call({&x}, options, Axes(0), where);
}

}  // namespace detail

Array Ufunc::reduce(const Arg& x, const ReduceOptions& options, Where where) const {
    return state_->reduce(x, options, where);
}

Array Ufunc::accumulate(const Arg& x, const AccumulateOptions& options, Where where) const {
    const detail::DefaultEnvironment environment;
    const std::string label = name() + ".accumulate";
    const Array source = detail::handle_of(x);
    if (arity() != 2) {
        throw Error(ErrorKind::usage,
                    fmt::format("{} takes a kernel of 2 arguments, not of {}", label, arity()),
                    where);
    }
    const int axis = engine::checked_axis(label, options.axis, source.rank(), where);
    if (detail::ReduceState* const state = state_->reduction(source.dtype(), where)) {
        ScanOptions scan{.axis = axis, .dtype = options.dtype, .out = options.out};
        scan.parallel = state->reducer().source().options.parallel;
        return engine::scan(label, state->reducer(), source, scan, where);
    }
    // The dtype of f(x[0], x[1]), which must take its own results.
    const Shape none = Shape::filled(source.rank(), 0);
    const DType natural =
        (*this)(empty(none, source.dtype()), empty(none, source.dtype()), {.dtype = options.dtype})
            .dtype();
    const Array result = empty(source.shape(), natural, Order::c, where);
    Array target = result;
    if (options.out)
        target = engine::checked_output(label, options.out, source.shape(), natural, where);
    if (source.size() > 0)
        result.index(axis, 0, where).assign(source.index(axis, 0, where), Casting::unsafe, where);
    for (std::int64_t i = 1; source.size() > 0 && i < source.extent(axis); ++i) {
        (*this)(result.index(axis, i - 1, where), source.index(axis, i, where),
                {.out = result.index(axis, i, where), .dtype = options.dtype}, where);
    }
    if (options.out) target.assign(result, Casting::unsafe, where);
    return target;
}

}  // namespace kiln
