// Typed handles on one loop of a ufunc.
#include "jit/compile/fault.h"
#include "jit/ufunc/ufunc.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

namespace kiln::detail {

// Bound builds the frame of generated code by itself, from a header that knows no jit.
static_assert(sizeof(BoundOperand) == sizeof(engine::Operand));
static_assert(offsetof(BoundOperand, data) == offsetof(engine::Operand, data));
static_assert(offsetof(BoundOperand, inner) == offsetof(engine::Operand, inner));
static_assert(offsetof(BoundOperand, outer) == offsetof(engine::Operand, outer));
static_assert(sizeof(engine::MapFrame) == 3 * sizeof(std::int64_t));
static_assert(offsetof(engine::MapFrame, rows) == 8 && offsetof(engine::MapFrame, fault) == 16);
static_assert(sizeof(engine::Fault) == 3 * sizeof(std::int64_t) &&
              offsetof(engine::Fault, column) == 16);

struct BoundState {
    SharedState<UfuncState> ufunc;
    const engine::Variant* variant = nullptr;
    std::vector<BoundParam> params;
};

namespace {

bool is_span(BoundKind kind) { return kind == BoundKind::span || kind == BoundKind::span_const; }

[[noreturn]] void refuse(const std::string& name, std::string text, Location where,
                         std::string hint) {
    throw Error(ErrorKind::type, fmt::format("cannot bind {}: {}", name, text), where,
                std::move(hint));
}

void check_params(const engine::UfuncSource& source, std::span<const BoundParam> params,
                  std::size_t results, bool returns, Location where) {
    const std::size_t inputs = source.arity;
    if (params.size() != inputs + results) {
        refuse(source.name,
               fmt::format("it has {} inputs and {} output{}, the signature {} parameters{}",
                           inputs, results, results == 1 ? "" : "s",
                           params.size() - (returns ? 1 : 0), returns ? " and a result" : ""),
               where,
               "bind<void(inputs..., outputs...)>, or bind<R(inputs...)> for one output of values");
    }
    const bool spans =
        std::ranges::any_of(params, [](const BoundParam& p) { return is_span(p.kind); });
    for (std::size_t k = 0; k < params.size(); ++k) {
        const BoundKind kind = params[k].kind;
        if (k < inputs && kind == BoundKind::reference) {
            refuse(source.name, fmt::format("parameter {} is an input, not T&", k + 1), where,
                   "inputs are values or spans");
        }
        if (k >= inputs && (kind == BoundKind::value || kind == BoundKind::span_const)) {
            refuse(source.name,
                   fmt::format("parameter {} is an output, so it must not be const", k + 1), where,
                   "outputs are std::span<T> or T&");
        }
        if (k >= inputs && kind == BoundKind::reference && spans) {
            refuse(source.name, "an output of one element beside spans", where,
                   "make it a span too");
        }
    }
}

}  // namespace

BoundEntry make_bound(const SharedState<UfuncState>& ufunc, std::span<const BoundParam> params,
                      bool returns, Location where) {
    const DefaultEnvironment environment;
    const engine::UfuncSource& source = ufunc->source();
    const std::size_t inputs = source.arity;
    engine::CallKey key(inputs, Casting::same_kind, std::nullopt);
    for (std::size_t k = 0; k < std::min(inputs, params.size()); ++k) {
        key.set_input(k, params[k].dtype, false,
                      params[k].kind == BoundKind::value ? ir::Layout::uniform : ir::Layout::unit);
    }
    if (params.size() < inputs) check_params(source, params, 1, returns, where);
    check_params(source, params, ufunc->traced(key.types(), where).natural.size(), returns, where);

    std::int64_t bytes = 0;
    for (std::size_t k = 0; k < params.size(); ++k) {
        if (k >= inputs) key.set_output(k - inputs, params[k].dtype, ir::Layout::unit, true);
        if (is_span(params[k].kind)) bytes += static_cast<std::int64_t>(size_of(params[k].dtype));
    }
    const engine::TracedMap& map = ufunc->traced(key.types(), where);
    const engine::Variant& variant = ufunc->bound_variant(key, map);
    if (variant.entry == nullptr) {
        throw Error(ErrorKind::unsupported,
                    fmt::format("{} was compiled for another machine than this", source.name),
                    where, "bind needs .target = BackendTarget::cpu");
    }
    BoundEntry entry;
    entry.function = reinterpret_cast<BoundFunction>(variant.entry);
    entry.drops_flags = variant.drops_flags;
    entry.size_limit = std::numeric_limits<std::int64_t>::max();
    if (bytes > 0) entry.size_limit = streaming_bytes / bytes;
    if (source.options.parallel) {
        entry.size_limit = std::min(entry.size_limit, variant.threads_from);
    }
    entry.state = share<const BoundState>(
        BoundState{ufunc, &variant, std::vector<BoundParam>(params.begin(), params.end())});
    return entry;
}

void call_bound(const BoundState& state, std::initializer_list<std::byte*> data,
                std::initializer_list<std::int64_t> sizes, std::source_location where) {
    UfuncState& ufunc = *state.ufunc;
    const DefaultEnvironment environment(FloatFlags::raised,
                                         ufunc.source().options.keep_flush_to_zero);
    Call call;
    call.environment = environment.word();
    call.inputs = ufunc.source().arity;
    call.outputs = data.size() - call.inputs;
    std::int64_t n = -1;
    for (std::size_t k = 0; k < data.size(); ++k) {
        const BoundParam& param = state.params[k];
        const bool span = is_span(param.kind);
        const std::int64_t size = std::data(sizes)[k];
        if (span && n >= 0 && size != n) {
            throw Error(ErrorKind::shape,
                        fmt::format("spans of {} and {} elements in a call of {}", n, size,
                                    ufunc.source().name),
                        where, "all spans of a bound call have one size");
        }
        if (span) n = size;
        call.rows[k] = {span ? size : 1, static_cast<std::int64_t>(size_of(param.dtype))};
        call.operands[k] = {
            std::data(data)[k], &call.rows[k].extent, &call.rows[k].stride,           nullptr,
            span ? 1 : 0,       param.dtype,          param.kind == BoundKind::value, false,
            k < call.inputs};
    }
    ufunc.call_general(call, where);
}

void throw_bound_fault(const BoundState& state, std::int64_t code, std::int64_t column,
                       std::source_location where) {
    const bool spans =
        std::ranges::any_of(state.params, [](const BoundParam& p) { return is_span(p.kind); });
    // The index needs the position only, not the size.
    engine::throw_fault(*state.variant->kernel, {code, column}, spans ? Shape(column + 1) : Shape(),
                        where);
}

}  // namespace kiln::detail
