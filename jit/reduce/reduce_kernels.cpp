// The kernels of reductions: tracing and compiling them, recognising operations that reduce.
#include "codegen/trees.h"
#include "dsl/ir/combines.h"
#include "dsl/ir/evaluate.h"
#include "dsl/trace/states.h"
#include "jit/call/signature.h"
#include "jit/compile/stopwatch.h"
#include "jit/reduce/reduce.h"

#include <kiln/environment.h>

#include <algorithm>
#include <limits>

#include <fmt/format.h>

namespace kiln::engine {

namespace {

struct ReduceTypes {
    DType accumulate, result;
};

/// What values of dtype `value` accumulate in. Errors: type.
ReduceTypes types_of(const std::string& name, ir::Reduction reduction, DType value,
                     std::optional<DType> dtype, Location where) {
    const ir::Op op = ir::info(reduction).op;
    const ir::Rule rule = ir::info(op).rule;
    if (rule == ir::Rule::logical) {
        if (dtype && *dtype != DType::bool_) {
            throw Error(
                ErrorKind::type,
                fmt::format("{} gives bool, dtype {} was asked for", name, kiln::name(*dtype)),
                where, "convert the result with astype");
        }
        return {DType::bool_, DType::bool_};
    }
    DType result = dtype.value_or(value);
    if (!dtype && (op == ir::Op::add || op == ir::Op::mul)) {
        if (is_bool(value) || (is_signed(value) && size_of(value) < 8)) result = DType::i64;
        if (is_unsigned(value) && size_of(value) < 8) result = DType::u64;
    }
    if (ir::exact_result(rule, result) != result || !ir::accumulates_by_itself(reduction, result)) {
        throw Error(
            ErrorKind::type,
            fmt::format("{}: {} does not reduce {}", name, ir::info(op).name, kiln::name(result)),
            where);
    }
    if (dtype && !can_cast(value, *dtype, Casting::same_kind)) {
        throw Error(ErrorKind::type,
                    fmt::format("cannot cast values of {} from {} to {} under same_kind", name,
                                kiln::name(value), kiln::name(*dtype)),
                    where, "dtype= is what is accumulated in; convert with astype or cast");
    }
    const bool storage = result == DType::f16 || result == DType::bf16;
    return {storage ? DType::f32 : result, result};
}

/// The state of tracing one kernel of a reduction.
class ReduceTracer {
  public:
    ReduceTracer(const Reducer& reducer, const CallKey& key, Location where)
        : source_(reducer.source()),
          reduction_(reducer.reduction()),
          states_(reducer.states()),
          key_(key),
          where_(where),
          trace_(source_.name) {}

    /// The kernel that reduces a row.
    TracedReduction row() {
        if (states_ != nullptr) return row_of_states();
        ir::Builder& b = begin();
        b.set_form(ir::Form::reduce);
        declare_sources("");
        begin_map();
        if (key_.has_where()) b.begin_branch(load(key_.inputs()));
        const ir::Id value = contribution(0);
        const std::uint32_t slot = b.add_slot({.name = "total", .dtype = types_.accumulate});
        const std::uint32_t total = b.add_reduction({reduction_, slot});
        b.contribute(total, value);
        if (key_.has_where()) b.end();
        b.end();
        b.begin_stage({}, false);
        b.write(slot, b.constant(ir::neutral(reduction_, types_.accumulate)));
        b.end();
        const std::uint32_t out = b.add_param({.name = "out",
                                               .dtype = types_.accumulate,
                                               .access = ir::Access::out,
                                               .layout = ir::Layout::unit});
        b.begin_stage({}, false);
        b.store(out, {}, b.read(slot));
        b.end();
        TracedReduction made = finish(1);
        // Made second, since its dtype is known only now.
        std::swap(made.map.kernel.stages[0], made.map.kernel.stages[1]);
        const auto operations = std::ranges::count_if(made.map.kernel.nodes, [](const ir::Node& n) {
            return n.kind == ir::NodeKind::op || n.kind > ir::NodeKind::read;
        });
        made.rows = operations > operations_of_several_rows ? 1 : tree::rows_of_a_pass;
        return made;
    }

    /// The kernel that combines `rows` rows element by element.
    TracedReduction rows(int rows, bool running) {
        ir::Builder& b = begin();
        for (int r = 0; r < rows; ++r) declare_sources(fmt::format("_{}", r));
        begin_map();
        ir::Id value = tree(0, rows);
        const auto add = [&](const char* name, ir::Access access) {
            return b.add_param(
                {.name = name, .dtype = types_.accumulate, .rank = 1, .access = access});
        };
        if (running) {
            const ir::Id before = b.load(add("running", ir::Access::in), {b.index(0)});
            value = b.apply(operation(), {before, value});
        }
        b.store(add("out", ir::Access::out), {b.index(0)}, value);
        b.end();
        return finish(rows);
    }

    /// The kernel that scans a row.
    TracedReduction scan() {
        ir::Builder& b = begin();
        b.set_form(ir::Form::scan, reduction_);
        declare_sources("");
        begin_map();
        const ir::Id value = tree(0, 1);
        b.add_param({.name = "carry",
                     .dtype = types_.accumulate,
                     .rank = 1,
                     .access = ir::Access::in,
                     .layout = ir::Layout::uniform});
        const std::uint32_t out = b.add_param(
            {.name = "out", .dtype = types_.accumulate, .rank = 1, .access = ir::Access::out});
        b.store(out, {b.index(0)}, value);
        b.end();
        return finish(1);
    }

  private:
    ir::Op operation() const { return ir::info(reduction_).op; }

    TracedReduction row_of_states() {
        ir::Builder& b = begin();
        b.set_form(ir::Form::reduce);
        declare_sources("");
        begin_map();
        if (key_.has_where()) b.begin_branch(load(key_.inputs()));
        const std::vector<ir::Id> values = state();
        const ir::Kernel combine = dsl::trace_combine(*states_, source_.options.fastmath.bits);
        const std::uint32_t number = b.add_combine(combine);
        std::vector<std::uint32_t> slots;
        for (const Scalar& part : states_->identity) {
            slots.push_back(b.add_slot({.name = "part", .dtype = part.dtype}));
            b.add_reduction({ir::Reduction::sum, slots.back(), number});
        }
        ir::combine_into(b, combine, slots, values);
        if (key_.has_where()) b.end();
        b.end();
        b.begin_stage({}, false);
        const std::vector<ir::Id> initial = ir::initial_state(b, combine);
        for (std::size_t i = 0; i < slots.size(); ++i) b.write(slots[i], initial[i]);
        b.end();
        std::vector<std::uint32_t> outs;
        for (const Scalar& part : states_->identity)
            outs.push_back(b.add_param({.name = fmt::format("out{}", outs.size()),
                                        .dtype = part.dtype,
                                        .access = ir::Access::out,
                                        .layout = ir::Layout::unit}));
        b.begin_stage({}, false);
        for (std::size_t i = 0; i < slots.size(); ++i) b.store(outs[i], {}, b.read(slots[i]));
        b.end();
        TracedReduction made = finish(1);
        made.map.natural.clear();
        for (const Scalar& part : states_->identity) made.map.natural.push_back(part.dtype);
        made.map.memory = made.map.natural;
        std::swap(made.map.kernel.stages[0], made.map.kernel.stages[1]);
        return made;
    }

    /// The parts of the state that the function makes of the inputs.
    std::vector<ir::Id> state() {
        std::vector<Value> inputs, results;
        for (std::size_t i = 0; i < key_.inputs(); ++i) inputs.push_back(trace_.value(load(i)));
        source_.function(inputs, results);
        trace_.check_results(results.size());
        if (results.size() != states_->identity.size())
            throw Error(ErrorKind::usage,
                        fmt::format("{} returns {} values; a state of {} has {}", source_.name,
                                    results.size(), states_->name, states_->identity.size()),
                        source_.where);
        std::vector<ir::Id> parts;
        for (std::size_t i = 0; i < results.size(); ++i)
            parts.push_back(dsl::fitting_part(trace_, states_->name, trace_.id(results[i]),
                                              states_->identity[i].dtype, source_.where));
        trace_.builder().set_location(source_.where);
        trace_.builder().set_fast(source_.options.fastmath.bits);
        return parts;
    }

    ir::Builder& begin() {
        ir::Builder& b = trace_.builder();
        b.set_location(source_.where);
        b.set_fast(source_.options.fastmath.bits);
        trace_.set_checked(source_.options.checked);
        return b;
    }

    void declare_sources(const std::string& suffix) {
        ir::Builder& b = trace_.builder();
        for (std::size_t i = 0; i < key_.inputs(); ++i) {
            const auto& names = source_.options.params;
            b.add_param(
                {.name = names.empty() ? fmt::format("x{}{}", i, suffix) : names[i] + suffix,
                 .dtype = key_.input_dtype(i),
                 .rank = 1,
                 .access = ir::Access::in,
                 .weak = key_.input_weak(i)});
        }
        if (key_.has_where()) {
            b.add_param({.name = "where" + suffix,
                         .dtype = DType::bool_,
                         .rank = 1,
                         .access = ir::Access::in});
        }
    }

    void begin_map() {
        ir::Builder& b = trace_.builder();
        b.begin_prologue();
        const ir::Id size = b.extent(0, 0);
        b.end();
        b.begin_stage(std::span(&size, 1), true);
    }

    ir::Id load(std::size_t param) {
        ir::Builder& b = trace_.builder();
        return b.load(static_cast<std::uint32_t>(param), {b.index(0)});
    }

    /// f(inputs of a row) in the dtype that is accumulated in.
    ir::Id contribution(int row) {
        ir::Builder& b = trace_.builder();
        const std::size_t sources = key_.inputs() + (key_.has_where() ? 1 : 0);
        std::vector<Value> inputs, results;
        for (std::size_t i = 0; i < key_.inputs(); ++i) {
            inputs.push_back(trace_.value(load(static_cast<std::size_t>(row) * sources + i)));
        }
        source_.function(inputs, results);
        trace_.check_results(results.size());
        b.set_location(source_.where);
        b.set_fast(source_.options.fastmath.bits);
        if (results.size() != 1) {
            throw Error(ErrorKind::usage,
                        fmt::format("{} returns {} values; a reduction has one", source_.name,
                                    results.size()),
                        source_.where);
        }
        const ir::Id value = trace_.id(results[0]);
        types_ = types_of(source_.name, reduction_, b.dtype(value), key_.dtype(), where_);
        if (ir::info(operation()).rule == ir::Rule::logical) return b.truth(value);
        // A cast also where the dtype is that already: of a weak value it makes a strong one.
        return b.cast(value, types_.accumulate);
    }

    /// The rows [first, first + count) combined: neighbours first, so that few are live at a time.
    ir::Id tree(int first, int count) {
        ir::Builder& b = trace_.builder();
        if (count > 1) {
            const ir::Id left = tree(first, count / 2);
            return b.apply(operation(), {left, tree(first + count / 2, count - count / 2)});
        }
        const ir::Id value = contribution(first);
        if (!key_.has_where()) return value;
        const std::size_t sources = key_.inputs() + 1;
        const ir::Id selected = load(static_cast<std::size_t>(first) * sources + key_.inputs());
        return b.apply(ir::Op::select,
                       {selected, value, b.constant(ir::neutral(reduction_, types_.accumulate))});
    }

    TracedReduction finish(int rows) {
        TracedReduction made;
        TracedMap& map = made.map;
        map.notes = trace_.notes();
        map.kernel = trace_.builder().finish();
        map.where = key_.has_where();
        map.natural = {types_.result};
        map.memory = {types_.accumulate};
        map.weak_ranges = weak_ranges(map.kernel);
        map.has_checks =
            source_.options.checked || std::ranges::any_of(map.kernel.nodes, [](const ir::Node& n) {
                return n.kind == ir::NodeKind::check;
            });
        made.rows = rows;
        return made;
    }

    const UfuncSource& source_;
    const ir::Reduction reduction_;
    const kiln::detail::StateReduction* const states_;
    const CallKey& key_;
    Location where_;
    dsl::Trace trace_;
    ReduceTypes types_{DType::f64, DType::f64};
};

}  // namespace

Reducer::Reducer(UfuncSource source, ir::Reduction reduction)
    : source_(std::move(source)), reduction_(reduction) {}
Reducer::Reducer(UfuncSource source, Shared<const kiln::detail::StateReduction> states,
                 bool of_partials)
    : source_(std::move(source)), states_(std::move(states)) {
    if (of_partials) return;
    const auto same = [](std::span<const Value> x, std::vector<Value>& out) {
        out.clear();
        for (const Value& part : x) out.push_back(part);
    };
    UfuncOptions options;
    options.fastmath = source_.options.fastmath;
    partials_ = std::make_unique<Reducer>(
        UfuncSource{source_.name, states_->identity.size(), same, options, source_.where}, states_,
        true);
}

Reducer& Reducer::partials() {
    if (states_ == nullptr) return partial_reducer(reduction_);
    return partials_ == nullptr ? *this : *partials_;
}

std::string_view Reducer::operation() const { return ir::info(ir::info(reduction_).op).name; }

std::unique_ptr<TracedReduction> Reducer::trace(ReduceForm form, const CallKey& types,
                                                Location where) {
    const kiln::detail::DefaultEnvironment environment;
    ReduceTracer tracer(*this, types, where);
    if (form == ReduceForm::row) return std::make_unique<TracedReduction>(tracer.row());
    if (form == ReduceForm::scan) return std::make_unique<TracedReduction>(tracer.scan());
    const bool one = form == ReduceForm::first_one || form == ReduceForm::next_one;
    const int rows = one ? 1 : traced(ReduceForm::row, types, where).rows;
    return std::make_unique<TracedReduction>(tracer.rows(rows, has_running(form)));
}

const TracedReduction& Reducer::traced(ReduceForm form, const CallKey& types, Location where) {
    auto& table = traced_[static_cast<std::size_t>(form)];
    if (const TracedReduction* found = table.find(types)) return *found;
    kiln::detail::come_first_at_exit();  // the kernel may be a static object
    const std::lock_guard tracing(tracing_);
    if (const TracedReduction* found = table.find(types)) return *found;
    const Stopwatch watch;
    auto made = trace(form, types, where);
    ledger_.traced(watch.ms(), made->map.notes);
    return *table.insert(types, std::move(made));
}

KernelOwner Reducer::owner(ReduceForm form) const {
    return {source_.name, form == ReduceForm::scan ? KernelKind::scan : KernelKind::reduction,
            source_.where};
}

Job Reducer::job(ReduceForm form, const CallKey& key, const TracedReduction& traced) const {
    Job job{.kernel = traced.map.kernel,
            .passes = {.checked = source_.options.checked, .threads = source_.options.parallel},
            .code = {.streaming = key.is_streaming()}};
    const std::size_t sources = key.inputs() + (key.has_where() ? 1 : 0);
    const std::size_t rows = static_cast<std::size_t>(traced.rows);
    for (std::size_t p = 0; p < job.kernel.params.size(); ++p) {
        ir::Layout& layout = job.kernel.params[p].layout;
        if (form == ReduceForm::row && p >= sources) continue;   // of rank 0
        if (form == ReduceForm::scan && p == sources) continue;  // the carry
        const std::size_t k = p % sources;
        layout = p >= (form == ReduceForm::row ? sources : rows * sources) ? key.output_layout(0)
                 : k < key.inputs()                                        ? key.input_layout(k)
                                                                           : key.where_layout();
    }
    return job;
}

const Variant& Reducer::variant(ReduceForm form, const CallKey& key, Location where, bool* missed) {
    auto& table = variants_[static_cast<std::size_t>(form)];
    if (const Variant* found = table.find(key)) return *found;
    const TracedReduction& of = traced(form, key.types(), where);
    const Compiled made = compile(job(form, key, of), BackendTarget::cpu, owner(form));
    ledger_.add(made.stats, made.report);
    ledger_.specialised(argument_types(key));
    if (missed != nullptr) *missed = true;
    return *table.insert(key, std::make_unique<Variant>(make_variant(of.map, made)));
}

std::string Reducer::inspect(Artifact artifact, ReduceForm form, CallKey key, Location where) {
    const TracedReduction& of = traced(form, key.types(), where);
    return engine::inspect(
        artifact, owner(form), ledger_,
        {.job = [&] { return job(form, key, of); },
         .code = [&]() -> const CompiledCode& { return *variant(form, key, where).kernel->code; }});
}

Reducer& partial_reducer(ir::Reduction reduction) {
    static constinit std::array<kiln::detail::Lazy<Reducer>, std::size(ir::reduction_table)> all{};
    return all[static_cast<std::size_t>(reduction)].get([&] {
        const auto identity = [](std::span<const Value> x, std::vector<Value>& out) {
            out.push_back(x[0]);
        };
        return std::make_unique<Reducer>(
            UfuncSource{std::string(ir::info(reduction).name), 1, identity, {}, {}}, reduction);
    });
}

// ------------------------------------------------------------------------------ recognition

std::optional<ir::Reduction> reduction_of(const ir::Kernel& kernel) {
    if (kernel.form != ir::Form::map || kernel.stages.size() != 1 || !kernel.slots.empty())
        return std::nullopt;
    ir::Id value = ir::none;
    for (const ir::Id id : kernel.blocks[kernel.stages[0].body].nodes) {
        const ir::NodeKind kind = kernel.node(id).kind;
        if (kind == ir::NodeKind::store && value == ir::none) {
            value = kernel.operands_of(id).back();
        } else if (!ir::is_pure(kind) && kind != ir::NodeKind::load) {
            return std::nullopt;
        }
    }
    // A parameter of the kernel, through casts and comparisons with 0, which make bools.
    const auto source = [&](ir::Id id) {
        while (true) {
            const ir::Node& n = kernel.node(id);
            const bool truth = n.kind == ir::NodeKind::op && n.op == ir::Op::ne &&
                               kernel.node(kernel.operand(id, 1)).kind == ir::NodeKind::constant &&
                               kernel.node(kernel.operand(id, 1)).imm == 0;
            if (n.kind != ir::NodeKind::cast && !truth) break;
            id = kernel.operand(id, 0);
        }
        return kernel.node(id).kind == ir::NodeKind::load ? kernel.node(id).aux : ir::none;
    };
    if (value == ir::none) return std::nullopt;
    while (kernel.node(value).kind == ir::NodeKind::cast) value = kernel.operand(value, 0);
    const ir::Node& n = kernel.node(value);
    if (n.kind != ir::NodeKind::op || n.operand_count != 2) return std::nullopt;
    const std::uint32_t a = source(kernel.operand(value, 0)), b = source(kernel.operand(value, 1));
    if (std::min(a, b) != 0 || std::max(a, b) != 1) return std::nullopt;
    for (std::size_t r = 0; r < std::size(ir::reduction_table); ++r) {
        const auto reduction = static_cast<ir::Reduction>(r);
        if (ir::info(reduction).op == n.op && ir::accumulates_by_itself(reduction, n.dtype))
            return reduction;
    }
    return std::nullopt;
}

}  // namespace kiln::engine
