#include "jit/compile/specialise.h"

#include "codegen/lanes/data_flags.h"
#include "codegen/passes/pass.h"
#include "dsl/ir/text.h"
#include "dsl/trace/trace.h"
#include "jit/call/signature.h"

#include <kiln/environment.h>

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

namespace kiln::engine {

namespace {

class Stopwatch {
  public:
    double ms() const {
        return std::chrono::duration<double, std::milli>(Clock::now() - start_).count();
    }

  private:
    using Clock = std::chrono::steady_clock;
    Clock::time_point start_ = Clock::now();
};

/// Whether nothing but comparisons uses `value`. Integers compare by value whatever their types, so
/// a comparison asks nothing of a weak operand.
bool only_compared(const ir::Kernel& kernel, ir::Id value) {
    for (const ir::Node& node : kernel.nodes) {
        const auto operands = kernel.operands_of(node);
        if (std::ranges::find(operands, value) == operands.end()) continue;
        if (node.kind != ir::NodeKind::op) return false;
        const ir::Rule rule = ir::info(node.op).rule;
        if (rule != ir::Rule::comparison && rule != ir::Rule::comparison_any) return false;
    }
    return true;
}

}  // namespace

std::vector<WeakRange> weak_ranges(const ir::Kernel& kernel) {
    std::vector<WeakRange> ranges;
    for (ir::Id id = 0; id < kernel.nodes.size(); ++id) {
        const ir::Node& node = kernel.node(id);
        if (node.kind != ir::NodeKind::cast || !is_integer(node.dtype)) continue;
        const ir::Node& from = kernel.node(kernel.operand(id, 0));
        if (from.kind != ir::NodeKind::load || !kernel.params[from.aux].weak) continue;
        if (!is_integer(from.dtype) || can_cast(from.dtype, node.dtype, Casting::safe)) continue;
        if (!only_compared(kernel, id)) ranges.push_back({from.aux, node.dtype});
    }
    return ranges;
}

namespace {

/// The state of tracing one loop.
class LoopTracer {
  public:
    LoopTracer(const UfuncSource& source, const CallKey& key, Location where)
        : source_(source),
          key_(key),
          where_(where),
          types_(choose_loop(source.name, source.options.signatures, key, where)),
          trace_(source.name) {}

    std::unique_ptr<Loop> run() {
        const Stopwatch watch;
        auto loop = std::make_unique<Loop>();
        loop->where = key_.has_where();
        declare();
        ir::Builder& b = trace_.builder();
        b.begin_prologue();
        const ir::Id size = b.extent(first_output_, 0);
        b.end();
        b.begin_stage(std::span(&size, 1), true);
        if (loop->where) b.begin_branch(b.load(first_output_ - 1, {b.index(0)}));
        body(*loop);
        if (loop->where) b.end();
        b.end();
        loop->kernel = b.finish();
        loop->weak_ranges = weak_ranges(loop->kernel);
        loop->has_checks = source_.options.checked ||
                           std::ranges::any_of(loop->kernel.nodes, [](const ir::Node& n) {
                               return n.kind == ir::NodeKind::check;
                           });
        loop->trace_ms = watch.ms();
        return loop;
    }

  private:
    void declare() {
        ir::Builder& b = trace_.builder();
        b.set_location(source_.where);
        b.set_fast(source_.options.fastmath.bits);
        for (std::size_t i = 0; i < key_.inputs(); ++i) {
            const auto& names = source_.options.params;
            b.add_param({.name = names.empty() ? fmt::format("x{}", i) : names[i],
                         .dtype = key_.input_dtype(i),
                         .rank = 1,
                         .access = ir::Access::in,
                         .weak = key_.input_weak(i)});
        }
        if (key_.has_where()) {
            b.add_param(
                {.name = "where", .dtype = DType::bool_, .rank = 1, .access = ir::Access::in});
        }
        // The size of the call is that of the first output, whose dtype is known after the body.
        first_output_ = b.add_param({.name = "out0", .rank = 1, .access = ir::Access::out});
    }

    std::vector<Value> call_function() {
        ir::Builder& b = trace_.builder();
        std::vector<Value> inputs;
        inputs.reserve(key_.inputs());
        for (std::uint32_t i = 0; i < key_.inputs(); ++i) {
            ir::Id value = b.load(i, {b.index(0)});
            if (types_.inputs) value = b.cast(value, (*types_.inputs)[i]);
            inputs.push_back(trace_.value(value));
        }
        std::vector<Value> results;
        source_.function(inputs, results);
        trace_.check_results(results.size());
        b.set_location(source_.where);
        b.set_fast(source_.options.fastmath.bits);
        return results;
    }

    void body(Loop& loop) {
        const std::vector<Value> results = call_function();
        check_count(results.size());
        ir::Builder& b = trace_.builder();
        for (std::size_t i = 0; i < results.size(); ++i) {
            ir::Id value = trace_.id(results[i]);
            if (types_.signature) {
                value = b.cast(value, types_.signature->types[types_.signature->inputs + i]);
            } else if (types_.result) {
                check_output_cast(source_.name, b.dtype(value), *types_.result, key_.casting(),
                                  where_);
                value = b.cast(value, *types_.result);
            }
            const DType natural = b.dtype(value);
            const DType memory = key_.outputs_given() ? key_.output_dtype(i) : natural;
            check_output_cast(source_.name, natural, memory, key_.casting(), where_);
            loop.natural.push_back(natural);
            loop.memory.push_back(memory);
            const std::uint32_t param =
                i == 0
                    ? first_output_
                    : b.add_param(
                          {.name = fmt::format("out{}", i), .rank = 1, .access = ir::Access::out});
            b.param_info(param).dtype = memory;
            outputs_.push_back({param, b.cast(value, memory)});
        }
        // Stores come last, so that a result of one output never sees another's elements.
        for (const auto& [param, value] : outputs_) b.store(param, {b.index(0)}, value);
    }

    void check_count(std::size_t count) {
        const std::string& name = source_.name;
        if (count == 0 || count > max_outputs) {
            throw Error(
                ErrorKind::usage,
                fmt::format("{} returns {} values; a kernel has 1 to {}", name, count, max_outputs),
                source_.where);
        }
        if (types_.signature && types_.signature->outputs != count) {
            throw Error(ErrorKind::usage,
                        fmt::format("{} returns {} values, its signature {} has {}", name, count,
                                    to_string(*types_.signature), types_.signature->outputs),
                        source_.where);
        }
        if (key_.outputs_given() && key_.outputs() != count) {
            throw Error(ErrorKind::usage,
                        fmt::format("{} has {} output{}, {} given", name, count,
                                    count == 1 ? "" : "s", key_.outputs()),
                        where_, "give one array for each with .outs = {...}");
        }
    }

    struct Output {
        std::uint32_t param;
        ir::Id value;
    };

    const UfuncSource& source_;
    const CallKey& key_;
    Location where_;
    LoopTypes types_;
    dsl::Trace trace_;
    std::uint32_t first_output_ = 0;
    std::vector<Output> outputs_;
};

CompileOptions compile_options(const CallKey& key) {
    return {.streaming = key.is_streaming(), .flags_of_data = true};
}

codegen::PassContext pass_context(const UfuncSource& source) {
    codegen::PassContext context;
    context.options.checked = source.options.checked;
    context.options.verify = verify_passes;
    return context;
}

BackendId backend_of(BackendTarget target) {
    switch (target) {
        case BackendTarget::cpu: return BackendId::cpu;
        case BackendTarget::cuda: return BackendId::cuda;
    }
    __builtin_unreachable();
}

}  // namespace

#ifdef NDEBUG
std::atomic<bool> verify_passes{false};
#else
std::atomic<bool> verify_passes{true};
#endif

std::unique_ptr<Loop> trace_loop(const UfuncSource& source, const CallKey& key, Location where) {
    const kiln::detail::DefaultEnvironment environment;
    return LoopTracer(source, key, where).run();
}

ir::Kernel kernel_with_layouts(const Loop& loop, const CallKey& key) {
    ir::Kernel kernel = loop.kernel;
    std::size_t param = 0;
    for (; param < key.inputs(); ++param) kernel.params[param].layout = key.input_layout(param);
    if (loop.where) kernel.params[param++].layout = key.where_layout();
    for (std::size_t i = 0; i < loop.memory.size(); ++i) {
        kernel.params[param++].layout = key.output_layout(i);
    }
    return kernel;
}

Specialised specialise(const UfuncSource& source, const Loop& loop, const CallKey& key,
                       BackendTarget target) {
    return specialise(source, loop, kernel_with_layouts(loop, key), compile_options(key), target);
}

Specialised specialise(const UfuncSource& source, const Loop& loop, ir::Kernel kernel,
                       CompileOptions options, BackendTarget target) {
    const kiln::detail::DefaultEnvironment environment;
    Specialised made;
    codegen::PassContext context = pass_context(source);
    const Stopwatch passes;
    kernel = codegen::run_passes(kernel, context);
    made.stats.passes_ms = passes.ms();
    made.remarks = context.decisions.remarks();
    options.flags_of_data = options.flags_of_data && codegen::raises_flags_of_data(kernel);
    made.variant.drops_flags = !options.flags_of_data;
    made.variant.loop = &loop;
    made.variant.cost = estimate_cost(kernel);
    made.variant.threads_from = parallel_threshold(made.variant.cost);

    const Stopwatch opening;
    Backend& compiler = *at_line(source.where, [&] { return &backend(backend_of(target)); });
    made.stats.load_ms = opening.ms();
    const auto found = at_line(source.where, [&] {
        return ProgramCache::instance().get(
            content_key(kernel, options, compiler.target_id()), [&] {
                auto compiled = std::make_unique<CompiledKernel>();
                compiled->program = compiler.compile(kernel, options);
                compiled->kernel = std::move(kernel);
                return compiled;
            });
    });
    if (found.compiled) {
        const PhaseTimes times = found.program->program->times();
        made.stats.compiles = 1;
        made.stats.load_ms += times.load;
        made.stats.emit_ms = times.emit;
        made.stats.optimize_ms = times.optimize;
        made.stats.codegen_ms = times.codegen;
        made.stats.link_ms = times.link;
    }
    made.variant.program = found.program;
    made.variant.entry = found.program->program->map_entry();
    return made;
}

std::string pass_texts(const UfuncSource& source, const ir::Kernel& kernel) {
    const kiln::detail::DefaultEnvironment environment;
    std::string text;
    codegen::PassContext context = pass_context(source);
    context.observer = [&](std::string_view pass, const ir::Kernel& after) {
        text += fmt::format("; after {}\n{}\n", pass, ir::print(after));
    };
    codegen::run_passes(kernel, context);
    return text;
}

void check_weak_values(const UfuncSource& source, const Loop& loop,
                       std::span<const OperandView> inputs, Location where) {
    for (const WeakRange& range : loop.weak_ranges) {
        Scalar value;
        value.dtype = inputs[range.argument].dtype;
        std::memcpy(value.bytes.data(), inputs[range.argument].data, size_of(value.dtype));
        const bool negative =
            is_signed(value.dtype) && value.cast(DType::i64).get<std::int64_t>() < 0;
        const auto bits = [](const Scalar& s) { return s.cast(DType::u64).get<std::uint64_t>(); };
        // Converted and back: the same bits, and a sign that stayed what it was.
        const Scalar converted = value.cast(range.dtype);
        const bool converted_negative =
            is_signed(range.dtype) && converted.cast(DType::i64).get<std::int64_t>() < 0;
        if (bits(converted) == bits(value) && negative == converted_negative) continue;
        const std::string number =
            negative ? fmt::format("{}", value.cast(DType::i64).get<std::int64_t>())
                     : fmt::format("{}", bits(value));
        throw Error(
            ErrorKind::type,
            fmt::format("{} is not representable in {}: argument {} of {}", number,
                        kiln::name(range.dtype), range.argument + 1, source.name),
            where,
            "a C++ integer takes the dtype of the arrays beside it; convert those to a wider one");
    }
}

namespace {

/// What a node adds to the time of an iteration, in nanoseconds of one core with AVX2. Rough: it
/// only decides whether threads pay, and where they are cut.
double node_cost(const ir::Kernel& kernel, const ir::Node& node) {
    // Of the caches: where the choice is open, the operands fit them. (tests/bench --crossover.)
    constexpr double per_byte = 0.012;
    const bool wide = size_of(node.dtype) > 4;
    switch (node.kind) {
        case ir::NodeKind::op:
            if (ir::is_elementary(node.op)) return wide ? 1.4 : 0.5;  // inlined
            switch (node.op) {
                case ir::Op::div:
                case ir::Op::rem:
                case ir::Op::true_divide:
                case ir::Op::floor_divide:
                case ir::Op::mod:
                case ir::Op::fmod:
                case ir::Op::sqrt: return is_integer(node.dtype) ? 1 : wide ? 0.7 : 0.2;
                default: return wide ? 0.1 : 0.05;
            }
        case ir::NodeKind::load:
        case ir::NodeKind::store:
        case ir::NodeKind::atomic: {
            const ir::Param& param = kernel.params[node.aux];
            const double bytes = static_cast<double>(size_of(param.dtype));
            return param.layout == ir::Layout::uniform ? 0 : bytes * per_byte;
        }
        case ir::NodeKind::cast:
        case ir::NodeKind::read:
        case ir::NodeKind::write: return 0.05;
        case ir::NodeKind::call_pure:
        case ir::NodeKind::call: return 5;
        case ir::NodeKind::constant:
        case ir::NodeKind::param:
        case ir::NodeKind::extent:
        case ir::NodeKind::index:
        case ir::NodeKind::contribute:
        case ir::NodeKind::check:
        case ir::NodeKind::branch:
        case ir::NodeKind::loop:
        case ir::NodeKind::loop_while:
        case ir::NodeKind::break_:
        case ir::NodeKind::continue_:
        case ir::NodeKind::return_:
        case ir::NodeKind::whole:
        case ir::NodeKind::fold:
        case ir::NodeKind::permute:
        case ir::NodeKind::assign:
        case ir::NodeKind::allocate: return 0;
    }
    __builtin_unreachable();
}

double block_cost(const ir::Kernel& kernel, ir::Id block) {
    constexpr double repeats = 16;  // of a loop, where nothing is known of it
    if (block == ir::none) return 0;
    double cost = 0;
    for (const ir::Id id : kernel.blocks[block].nodes) {
        const ir::Node& node = kernel.node(id);
        cost += node_cost(kernel, node);
        if (node.kind == ir::NodeKind::branch) {
            cost += block_cost(kernel, node.aux) + block_cost(kernel, node.aux2);
        } else if (node.kind == ir::NodeKind::loop) {
            cost += repeats * block_cost(kernel, node.aux);
        } else if (node.kind == ir::NodeKind::loop_while) {
            cost += repeats * (block_cost(kernel, node.aux) + block_cost(kernel, node.aux2));
        }
    }
    return cost;
}

}  // namespace

double estimate_cost(const ir::Kernel& kernel) {
    double cost = 0;
    for (const ir::Stage& stage : kernel.stages) cost += block_cost(kernel, stage.body);
    return cost;
}

}  // namespace kiln::engine
