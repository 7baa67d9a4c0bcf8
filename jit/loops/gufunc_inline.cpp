// Calls of generalised ufuncs inside of other kernels: the cores' loop as a part of the caller.
#include "dsl/trace/trace.h"
#include "jit/call/arity.h"
#include "jit/loops/gufunc.h"

#include <algorithm>

#include <fmt/format.h>

namespace kiln {
namespace detail {

using engine::CoreSignature;

/// The operands of such a call, inputs first.
struct GufuncState::InlineCall {
    struct Operand {
        std::optional<Value> scalar = {};  ///< of an input "()"
        std::uint32_t param = ir::none;
        std::size_t loops = 0;  ///< dimensions before those of the core
    };
    const GufuncState& f;
    dsl::Trace& trace;
    std::source_location where;
    std::vector<Operand> operands;
    std::vector<ir::Id> sizes;  ///< of each core dimension
    std::vector<ir::Id> loop;   ///< extents, outermost first

    ir::Builder& b() { return trace.builder(); }
    std::size_t core_rank(std::size_t i) const { return f.signature_.operand(i).rank; }
    Operand input(std::size_t i, const KernelItem& item, DType to);
    void find_sizes();
    void find_loop();
    void note_equal(ir::Id& known, std::size_t operand, std::size_t dimension);
    ir::Id computed(std::size_t dim);
    void make_outputs(std::span<const DType> types);
    std::vector<KernelItem> run();
};

GufuncState::InlineCall::Operand GufuncState::InlineCall::input(std::size_t i,
                                                                const KernelItem& item, DType to) {
    const std::string what = f.operand_name(i);
    const auto* array = std::get_if<KernelArray>(&item);
    const kiln::Operand operand = array != nullptr ? kiln::Operand(*array, where)
                                                   : kiln::Operand(std::get<Value>(item), where);
    const bool is_scalar = array == nullptr && !is_array_value(trace, std::get<Value>(item));
    const ir::Id id = is_scalar ? trace.use_any(operand) : ir::none;
    if (is_scalar && core_rank(i) == 0 && !f.is_written(i))
        return {.scalar = trace.value(b().cast(id, to))};
    const std::size_t rank = array != nullptr
                                 ? trace.seen_rank(trace.param(*array, where))
                                 : (is_scalar ? 0 : b().node(trace.use_any(operand)).rank);
    if (rank < core_rank(i))
        throw Error(ErrorKind::shape,
                    fmt::format("{} has {}, its core has {}", what,
                                engine::counted(rank, "dimension"), core_rank(i)),
                    where);
    Operand made{.param = array != nullptr ? trace.param(*array, where) : ir::none,
                 .loops = rank - core_rank(i)};
    // A parameter is seen in one way only while the callable runs.
    const bool seen_otherwise =
        made.param != ir::none &&
        (b().kernel().params[made.param].rank != rank || trace.has_core(made.param) ||
         std::ranges::any_of(operands, [&](const Operand& o) { return o.param == made.param; }));
    const bool other_type = array != nullptr && array->dtype() != to;
    if (f.is_written(i)) {
        if (array == nullptr || seen_otherwise || other_type ||
            b().kernel().params[made.param].access == ir::Access::in)
            throw Error(ErrorKind::usage,
                        fmt::format("{} is written, and is no array of {} by itself that the "
                                    "kernel writes",
                                    what, kiln::name(to)),
                        where, "pass a Scratch, a copy of it");
        return made;
    }
    if (array != nullptr && !seen_otherwise && !other_type) return made;
    const Value value = trace.value(b().cast(trace.use_any(operand), to));
    made.param = trace.param(stored_argument(trace, value, what, where), where);
    return made;
}

/// Checks that an extent is the one that is known, where one is.
void GufuncState::InlineCall::note_equal(ir::Id& known, std::size_t operand,
                                         std::size_t dimension) {
    const ir::Id extent =
        b().extent(operands[operand].param, static_cast<std::uint32_t>(dimension));
    if (known == ir::none) known = extent;
    if (known == extent) return;
    b().check(ir::Check::shapes, b().apply(ir::Op::eq, {known, extent}), std::vector{known},
              std::vector{extent, b().constant_i64(engine::core_shapes)});
}

void GufuncState::InlineCall::find_sizes() {
    const CoreSignature& signature = f.signature_;
    sizes.assign(signature.dims_count(), ir::none);
    for (std::size_t d = 0; d < sizes.size(); ++d)
        if (signature.dim(d).frozen != 0) sizes[d] = b().constant_i64(signature.dim(d).frozen);
    for (std::size_t i = 0; i < f.inputs(); ++i)
        for (std::size_t k = 0; k < core_rank(i); ++k)
            note_equal(sizes[signature.operand(i).dims[k]], i, operands[i].loops + k);
    for (std::size_t d = 0; d < sizes.size(); ++d) {
        if (signature.dim(d).is_computed()) sizes[d] = computed(d);
        if (sizes[d] == ir::none)
            throw Error(ErrorKind::usage,
                        fmt::format("nothing tells the size of core dimension {} of {}",
                                    signature.name(d), f.name_),
                        where, "inside of a kernel each dimension is one of an input or computed");
    }
}

ir::Id GufuncState::InlineCall::computed(std::size_t dim) {
    const CoreSignature::Dim& d = f.signature_.dim(dim);
    std::vector<ir::Id> stack;
    for (std::size_t s = d.first_step; s < d.first_step + d.steps; ++s) {
        const CoreSignature::Step step = f.signature_.step(s);
        if (step.kind == 'n' || step.kind == 'd') {
            stack.push_back(step.kind == 'n' ? b().constant_i64(step.value)
                                             : sizes[static_cast<std::size_t>(step.value)]);
            continue;
        }
        const ir::Id second = stack.back();
        stack.pop_back();
        const ir::Op op = step.kind == '+'   ? ir::Op::add
                          : step.kind == '-' ? ir::Op::sub
                          : step.kind == '*' ? ir::Op::mul
                                             : ir::Op::floor_divide;
        stack.back() = b().apply(op, {stack.back(), second});
    }
    return stack[0];
}

void GufuncState::InlineCall::find_loop() {
    std::size_t most = 0;
    for (const Operand& o : operands) most = std::max(most, o.loops);
    loop.assign(most, ir::none);
    for (std::size_t i = 0; i < operands.size(); ++i)
        for (std::size_t l = 0; l < operands[i].loops; ++l)
            note_equal(loop[most - operands[i].loops + l], i, l);
}

void GufuncState::InlineCall::make_outputs(std::span<const DType> types) {
    for (std::size_t o = f.inputs(); o < f.signature_.operands_count(); ++o) {
        std::vector<ir::Id> extents = loop;
        for (std::size_t k = 0; k < core_rank(o); ++k)
            extents.push_back(sizes[f.signature_.operand(o).dims[k]]);
        if (extents.size() > max_rank)
            throw Error(ErrorKind::shape,
                        fmt::format("{} would have {} dimensions; at most {}", f.operand_name(o),
                                    extents.size(), max_rank),
                        where);
        const std::uint32_t param = trace.new_array(types[o], extents.size());
        trace.allocate(param, extents);
        operands.push_back({.param = param, .loops = loop.size()});
    }
}

std::vector<KernelItem> GufuncState::InlineCall::run() {
    const ir::Id zero = b().constant_i64(0), one = b().constant_i64(1);
    std::vector<ir::Id> indices;
    for (const ir::Id extent : loop)
        indices.push_back(indices.empty() ? b().begin_parallel_loop(zero, extent, one, {})
                                          : b().begin_loop(zero, extent, one));
    std::vector<KernelItem> cores, results;
    for (std::size_t i = 0; i < operands.size(); ++i) {
        const Operand& o = operands[i];
        dsl::Trace::CoreView core;
        core.outer.assign(indices.end() - static_cast<std::ptrdiff_t>(o.loops), indices.end());
        if (f.params_[i] == KernelParam::value) {
            cores.emplace_back(o.scalar ? *o.scalar : trace.value(b().load(o.param, core.outer)));
            continue;
        }
        for (std::size_t k = 0; k < core_rank(i); ++k)
            core.extents.push_back(sizes[f.signature_.operand(i).dims[k]]);
        trace.set_core(o.param, std::move(core));
        cores.emplace_back(trace.array(o.param));
    }
    trace.call(f.options_.fastmath.bits, [&] { return f.function_(cores); });
    for (std::size_t l = 0; l < loop.size(); ++l) b().end();
    for (std::size_t i = 0; i < operands.size(); ++i) {
        if (operands[i].param != ir::none) trace.clear_core(operands[i].param);
        if (i >= f.inputs()) results.emplace_back(trace.array(operands[i].param));
    }
    return results;
}

std::vector<KernelItem> GufuncState::inline_call(std::span<const KernelItem> args,
                                                 const std::source_location& where) {
    dsl::Trace& trace = dsl::Trace::current(where);
    engine::check_arity(name_, inputs(), args.size(), where);
    trace.builder().set_location(where);
    std::vector<DType> types(signature_.operands_count());
    for (std::size_t i = 0; i < args.size(); ++i) {
        const auto* array = std::get_if<KernelArray>(&args[i]);
        types[i] = array != nullptr ? array->dtype() : std::get<Value>(args[i]).dtype(where);
    }
    choose_types(types, {}, where);
    InlineCall call{*this, trace, where, {}, {}, {}};
    for (std::size_t i = 0; i < args.size(); ++i)
        call.operands.push_back(call.input(i, args[i], types[i]));
    call.find_sizes();
    call.find_loop();
    call.make_outputs(types);
    const std::lock_guard tracing(tracing_);
    return call.run();
}

}  // namespace detail

std::vector<InOut> Gufunc::traced_all(std::initializer_list<TracedNumber> args) const {
    std::vector<InOut> results;
    for (const detail::KernelItem& item :
         state_->inline_call(detail::items_of(args), args.begin()->where()))
        results.emplace_back(std::get<KernelArray>(item));
    return results;
}

InOut Gufunc::traced(std::initializer_list<TracedNumber> args) const {
    std::vector<InOut> results = traced_all(args);
    if (results.size() == 1) return results[0];
    throw Error(ErrorKind::usage, fmt::format("{} has {} outputs", name(), results.size()),
                args.begin()->where(), "call all(), which gives them in order");
}

}  // namespace kiln
