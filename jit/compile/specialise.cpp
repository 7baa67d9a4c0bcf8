#include "jit/compile/specialise.h"

#include "dsl/trace/trace.h"
#include "jit/call/signature.h"
#include "jit/compile/cost.h"
#include "jit/compile/stopwatch.h"

#include <kiln/environment.h>

#include <algorithm>

#include <fmt/format.h>

namespace kiln::engine {

namespace {

/// Whether nothing but comparisons uses `value`. Integers compare by value whatever their types, so
/// a comparison asks nothing of a weak operand.
bool only_compared(const ir::Kernel& kernel, ir::Id value) {
    for (const ir::Node& node : kernel.nodes) {
        const auto operands = kernel.operands_of(node);
        if (std::ranges::find(operands, value) == operands.end()) continue;
        if (node.kind != ir::NodeKind::op) return false;
        if (ir::info(node.op).rule != ir::Rule::comparison) return false;
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

/// The state of tracing one map.
class MapTracer {
  public:
    MapTracer(const UfuncSource& source, const CallKey& key, Location where)
        : source_(source),
          key_(key),
          where_(where),
          types_(choose_loop(source.name, source.options.signatures, key, where)),
          trace_(source.name) {}

    std::unique_ptr<TracedMap> run() {
        const Stopwatch watch;
        auto map = std::make_unique<TracedMap>();
        map->where = key_.has_where();
        declare();
        ir::Builder& b = trace_.builder();
        b.begin_prologue();
        const ir::Id size = b.extent(first_output_, 0);
        b.end();
        b.begin_stage(std::span(&size, 1), true);
        if (map->where) b.begin_branch(b.load(first_output_ - 1, {b.index(0)}));
        body(*map);
        if (map->where) b.end();
        b.end();
        map->kernel = b.finish();
        map->weak_ranges = weak_ranges(map->kernel);
        map->has_checks = source_.options.checked ||
                          std::ranges::any_of(map->kernel.nodes, [](const ir::Node& n) {
                              return n.kind == ir::NodeKind::check;
                          });
        map->notes = trace_.notes();
        map->trace_ms = watch.ms();
        return map;
    }

  private:
    void declare() {
        ir::Builder& b = trace_.builder();
        b.set_location(source_.where);
        b.set_fast(source_.options.fastmath.bits);
        trace_.set_checked(source_.options.checked);
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

    void body(TracedMap& map) {
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
            map.natural.push_back(natural);
            map.memory.push_back(memory);
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
        const std::size_t most = static_cast<std::size_t>(max_arguments) - source_.arity;
        if (count == 0 || count > most) {
            throw Error(ErrorKind::usage,
                        fmt::format("{} returns {} values; a kernel of {} arguments has 1 to {}",
                                    name, count, source_.arity, most),
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

}  // namespace

std::unique_ptr<TracedMap> trace_map(const UfuncSource& source, const CallKey& key,
                                     Location where) {
    const kiln::detail::DefaultEnvironment environment;
    return MapTracer(source, key, where).run();
}

ir::Kernel kernel_with_layouts(const TracedMap& map, const CallKey& key) {
    ir::Kernel kernel = map.kernel;
    std::size_t param = 0;
    for (; param < key.inputs(); ++param) kernel.params[param].layout = key.input_layout(param);
    if (map.where) kernel.params[param++].layout = key.where_layout();
    for (std::size_t i = 0; i < map.memory.size(); ++i) {
        kernel.params[param++].layout = key.output_layout(i);
    }
    return kernel;
}

std::vector<ArgType> argument_types(const CallKey& key) {
    std::optional<DType> strong;
    for (std::size_t i = 0; i < key.inputs(); ++i) {
        if (key.input_weak(i)) continue;
        const DType dtype = key.input_dtype(i);
        strong = strong ? promote(*strong, dtype) : dtype;
    }
    std::vector<ArgType> types;
    for (std::size_t i = 0; i < key.inputs(); ++i) {
        const DType dtype = key.input_dtype(i);
        const bool adapts = key.input_weak(i) && strong.has_value();
        types.push_back(
            {adapts ? promote_weak(*strong, dtype) : dtype,
             static_cast<std::uint8_t>(key.input_layout(i) == ir::Layout::uniform ? 0 : 1)});
    }
    return types;
}

Variant make_variant(const TracedMap& map, const Compiled& made) {
    Variant variant;
    variant.map = &map;
    variant.kernel = made.kernel;
    variant.entry = made.kernel->code->map_entry();
    variant.cost = estimate_cost(made.kernel->kernel);
    variant.threads_from = parallel_threshold(variant.cost);
    variant.drops_flags = made.drops_flags;
    return variant;
}

void check_weak_values(const UfuncSource& source, const TracedMap& map,
                       std::span<const OperandView> inputs, Location where) {
    for (const WeakRange& range : map.weak_ranges) {
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

}  // namespace kiln::engine
