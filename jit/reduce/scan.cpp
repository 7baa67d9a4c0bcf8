// Calls of scans: dtypes, axes, views, results.
#include "jit/reduce/scan.h"

#include "runtime/process.h"

#include "dsl/ir/evaluate.h"
#include "jit/call/axes.h"
#include "jit/call/overlap.h"
#include "jit/call/signature.h"

#include <kiln/environment.h>

#include <fmt/format.h>

namespace kiln {
namespace engine {

/// What an exclusive scan begins with.
static Scalar beginning(ir::Reduction reduction, DType dtype) {
    return ir::identity(reduction, dtype).value_or(ir::neutral(reduction, dtype));
}

Array scan(const std::string& name, Reducer& reducer, const Array& x, const ScanOptions& options,
           Location where) {
    check_on_host(x, where);
    const kiln::detail::DefaultEnvironment environment;
    Array source = x;
    if (!options.axis && x.rank() != 1) source = x.reshape(Shape(x.size()), where);
    const int axis = checked_axis(name, options.axis.value_or(0), source.rank(), where);

    CallKey key(1, Casting::same_kind, options.dtype);
    key.set_input(0, source.dtype(), false, ir::Layout::strided);
    const TracedMap& map = reducer.traced(ReduceForm::row, key, where).map;
    const DType accumulate = map.memory[0], natural = map.natural[0];

    Array target;
    bool apart = accumulate != natural;  // computed apart from the result, then converted
    if (options.out) {
        target = checked_output(name, options.out, source.shape(), natural, where);
        // A scan of other places than the result's would read what it has written.
        const bool same = exactly_same(source, target) && !options.exclusive;
        apart =
            apart || target.dtype() != accumulate || (may_share_memory(source, target) && !same);
    } else {
        target = empty_like(source, natural, Order::keep, where);
    }
    if (source.size() == 0) return target;
    const Array result = apart ? empty_like(source, accumulate, Order::keep, where) : target;
    Array from = source, to = result;
    if (options.reverse) {
        from = from.flip(axis, where);
        to = to.flip(axis, where);
    }
    if (options.exclusive) {
        const std::int64_t n = source.extent(axis);
        to.slice(axis, {0, 1}, where).fill(beginning(reducer.reduction(), accumulate), where);
        from = from.slice(axis, {0, n - 1}, where);
        to = to.slice(axis, {1, n}, where);
    }
    if (to.size() > 0)
        reducer.ledger().called(run_scan(reducer, key, from, to, axis, options.parallel, where));
    if (apart) target.assign(result, Casting::unsafe, where);
    return target;
}

}  // namespace engine

namespace {

/// A reducer of values by themselves, under the name of the function that is called.
using LazyReducer = detail::Lazy<engine::Reducer>;

engine::Reducer& reducer_of(LazyReducer& lazy, std::string_view name, Reduce reduction) {
    return lazy.get([&] {
        return std::make_unique<engine::Reducer>(
            engine::UfuncSource{std::string(name),
                                1,
                                [](std::span<const Value> values, std::vector<Value>& out) {
                                    out.push_back(values[0]);
                                },
                                {},
                                {}},
            static_cast<ir::Reduction>(reduction));
    });
}

Array scan_by(engine::Reducer& reducer, const Array& x, const ScanOptions& options,
              Location where) {
    return engine::scan(reducer.source().name, reducer, x, options, where);
}

engine::Reducer& scanner(Reduce reduction) {
    static constinit std::array<LazyReducer, std::size(ir::reduction_table)> reducers{};
    return reducer_of(reducers[static_cast<std::size_t>(reduction)], "scan", reduction);
}

}  // namespace

Array scan(Reduce reduction, const Array& x, const ScanOptions& options,
           std::source_location where) {
    return scan_by(scanner(reduction), x, options, where);
}

std::string inspect_scan(Reduce reduction, Artifact artifact, const ArgType& type,
                         std::source_location where) {
    engine::CallKey key(1, Casting::same_kind, std::nullopt);
    key.set_input(0, type.dtype, false, ir::Layout::unit);
    return scanner(reduction).inspect(artifact, engine::ReduceForm::scan, key, where);
}

Array cumsum(const Array& x, const ScanOptions& options, std::source_location where) {
    static constinit LazyReducer lazy;
    return scan_by(reducer_of(lazy, "cumsum", Reduce::sum), x, options, where);
}
Array cumprod(const Array& x, const ScanOptions& options, std::source_location where) {
    static constinit LazyReducer lazy;
    return scan_by(reducer_of(lazy, "cumprod", Reduce::product), x, options, where);
}
Array cummin(const Array& x, const ScanOptions& options, std::source_location where) {
    static constinit LazyReducer lazy;
    return scan_by(reducer_of(lazy, "cummin", Reduce::min), x, options, where);
}
Array cummax(const Array& x, const ScanOptions& options, std::source_location where) {
    static constinit LazyReducer lazy;
    return scan_by(reducer_of(lazy, "cummax", Reduce::max), x, options, where);
}

}  // namespace kiln
