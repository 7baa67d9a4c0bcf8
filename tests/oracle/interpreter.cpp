#include "tests/oracle/interpreter.h"

#include "dsl/ir/dispatch.h"
#include "dsl/ir/evaluate.h"

#include <kiln/host_function.h>

#include <algorithm>

namespace kiln::oracle {
namespace {

using ir::Id;
using ir::Node;
using ir::NodeKind;
using Extents = std::vector<std::int64_t>;

std::int64_t count_of(const Extents& shape) {
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) count *= extent;
    return count;
}

/// Steps `index` to the next one of `shape` in row-major order; false after the last.
bool advance(Extents& index, const Extents& shape) {
    for (std::size_t axis = shape.size(); axis-- > 0;) {
        if (++index[axis] < shape[axis]) return true;
        index[axis] = 0;
    }
    return false;
}

[[noreturn]] void refuse(ErrorKind kind, std::string message) {
    throw Error(kind, std::move(message));
}

struct ArrayValue {
    Extents shape;
    std::vector<Scalar> elements;  // row-major

    /// The element that broadcasting puts at `index` of a result of at least this rank.
    const Scalar& at(const Extents& index) const {
        std::int64_t offset = 0;
        const std::size_t skipped = index.size() - shape.size();
        for (std::size_t axis = 0; axis < shape.size(); ++axis)
            offset = offset * shape[axis] + (shape[axis] == 1 ? 0 : index[skipped + axis]);
        return elements[static_cast<std::size_t>(offset)];
    }
};

void broadcast_into(Extents& result, const Extents& shape) {
    if (shape.size() > result.size())
        result.insert(result.begin(), shape.size() - result.size(), 1);
    const std::size_t skipped = result.size() - shape.size();
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        std::int64_t& extent = result[skipped + axis];
        if (extent == 1)
            extent = shape[axis];
        else if (shape[axis] != 1 && shape[axis] != extent)
            refuse(ErrorKind::shape, "array values do not broadcast");
    }
}

class Interpreter {
  public:
    Interpreter(const ir::Kernel& kernel, std::span<const Argument> arguments)
        : k_(kernel),
          arguments_(arguments),
          values_(kernel.nodes.size()),
          arrays_(kernel.nodes.size()),
          made_(kernel.params.size()) {
        check_arguments();
        for (const ir::Slot& slot : k_.slots)
            slots_.emplace_back(slot.length, Scalar::of(false).cast(slot.dtype));
    }

    std::optional<Fault> run() {
        if (k_.prologue != ir::none) run_block(k_.prologue);
        for (stage_ = 0; stage_ < k_.stages.size(); ++stage_) run_stage(k_.stages[stage_]);
        return std::move(fault_);
    }

  private:
    enum class Flow : std::uint8_t { normal, break_, continue_, return_ };

    void check_arguments() const {
        if (arguments_.size() != k_.params.size())
            refuse(ErrorKind::usage, "wrong number of arguments");
        for (std::size_t i = 0; i < k_.params.size(); ++i) {
            const ir::Param& p = k_.params[i];
            const Argument& a = arguments_[i];
            if (ir::is_made_by_kernel(p.access)) continue;
            if (p.access == ir::Access::value
                    ? a.scalar.dtype != p.dtype
                    : a.buffer.shape.size() != p.rank || a.buffer.strides.size() != p.rank)
                refuse(ErrorKind::usage, "argument does not fit parameter " + p.name);
        }
    }

    void run_stage(const ir::Stage& stage) {
        Extents extents;
        for (const Id id : stage.extents) extents.push_back(std::max<std::int64_t>(0, integer(id)));
        totals_.clear();
        for (const ir::StageReduction& r : stage.reductions) totals_.push_back(slots_[r.target][0]);
        index_.assign(extents.size(), 0);
        if (count_of(extents) > 0) {
            do run_block(stage.body);
            while (advance(index_, extents));
        }
        // What combines states reads and writes the slots itself.
        for (std::size_t i = 0; i < totals_.size(); ++i)
            if (stage.reductions[i].combine == ir::none)
                slots_[stage.reductions[i].target][0] = totals_[i];
    }

    // --- values ---

    Scalar value(Id id) const {
        const Node& n = k_.node(id);
        if (!ir::is_leaf(n.kind)) return values_[id];
        return ir::leaf_or(
            n,
            ir::Handlers{
                [&](ir::Of<NodeKind::constant>) { return k_.constant(id); },
                [&](ir::Of<NodeKind::param>) { return arguments_[n.aux].scalar; },
                [&](ir::Of<NodeKind::extent>) { return Scalar::of(buffer(n.aux).shape[n.aux2]); },
                [&](ir::Of<NodeKind::index>) { return Scalar::of(index_[n.aux]); },
            },
            [&] { return values_[id]; });
    }
    std::int64_t integer(Id id) const { return value(id).get<std::int64_t>(); }
    bool truth(Id id) const { return value(id).get<bool>(); }

    ArrayValue array_value(Id id) const {
        if (k_.node(id).rank > 0) return arrays_[id];
        return {{}, {value(id)}};
    }

    const Buffer& buffer(std::uint32_t param) const {
        return ir::is_made_by_kernel(k_.params[param].access) ? made_[param]
                                                              : arguments_[param].buffer;
    }

    std::byte* element(std::uint32_t param, const Extents& index) const {
        const Buffer& b = buffer(param);
        std::byte* at = b.data;
        for (std::size_t axis = 0; axis < index.size(); ++axis) {
            if (index[axis] < 0 || index[axis] >= b.shape[axis])
                refuse(ErrorKind::bounds, "subscript outside of " + k_.params[param].name);
            at += index[axis] * b.strides[axis];
        }
        return at;
    }
    Scalar load(std::uint32_t param, const Extents& index) const {
        Scalar s;
        s.dtype = k_.params[param].dtype;
        std::memcpy(s.bytes.data(), element(param, index), size_of(s.dtype));
        return s;
    }
    void store(std::uint32_t param, const Extents& index, const Scalar& s) const {
        std::memcpy(element(param, index), s.bytes.data(), size_of(s.dtype));
    }
    Extents subscripts(std::span<const Id> ids) const {
        Extents index;
        for (const Id id : ids) index.push_back(integer(id));
        return index;
    }
    Scalar& slot_element(const Node& n, std::span<const Id> position) {
        auto& slot = slots_[n.aux];
        const std::int64_t at = position.empty() ? 0 : integer(position[0]);
        if (at < 0 || at >= static_cast<std::int64_t>(slot.size()))
            refuse(ErrorKind::bounds, "position outside of slot " + k_.slots[n.aux].name);
        return slot[static_cast<std::size_t>(at)];
    }

    // --- nodes ---

    Flow run_block(Id block) {
        for (const Id id : k_.blocks[block].nodes) {
            const Flow flow = run_node(id, k_.node(id));
            if (flow != Flow::normal) return flow;
        }
        return Flow::normal;
    }

    Flow run_node(Id id, const Node& n) {
        const auto x = k_.operands_of(n);
        switch (n.kind) {
            case NodeKind::constant:
            case NodeKind::param:
            case NodeKind::extent:
            case NodeKind::index: break;
            case NodeKind::op:
            case NodeKind::cast: compute(id, n, x); break;
            case NodeKind::load: values_[id] = load(n.aux, subscripts(x)); break;
            case NodeKind::read: values_[id] = slot_element(n, x); break;
            case NodeKind::store:
                store(n.aux, subscripts(x.first(x.size() - 1)), value(x.back()));
                break;
            case NodeKind::write: slot_element(n, x.first(x.size() - 1)) = value(x.back()); break;
            case NodeKind::atomic: {
                const Extents at = subscripts(x.first(x.size() - 1));
                values_[id] = load(n.aux, at);
                store(
                    n.aux, at,
                    ir::combine(static_cast<ir::Reduction>(n.aux2), values_[id], value(x.back())));
                break;
            }
            case NodeKind::call_pure:
            case NodeKind::call: {
                const ir::HostFunction& f = k_.functions[n.aux];
                const kiln::detail::HostFunctionHandle host =
                    kiln::detail::find_host_function(f.name);
                if (host == nullptr)
                    refuse(ErrorKind::usage, "host function " + f.name + " is not registered");
                std::vector<Scalar> arguments;
                for (const Id argument : x) arguments.push_back(value(argument));
                values_[id] = host->call(host->target, arguments.data());
                break;
            }
            case NodeKind::contribute: {
                const ir::Reduction r = k_.stages[stage_].reductions[n.aux].reduction;
                totals_[n.aux] = ir::combine(r, totals_[n.aux], value(x[0]));
                break;
            }
            case NodeKind::check:
                if (!truth(x[0]) && static_cast<ir::Check>(n.aux) == ir::Check::shapes)
                    refuse(ErrorKind::shape, "array values do not broadcast");
                if (!truth(x[0]) && static_cast<ir::Check>(n.aux) == ir::Check::empty)
                    refuse(ErrorKind::shape, "zero-size array to a reduction without identity");
                if (!truth(x[0]) && !fault_)
                    fault_ =
                        Fault{static_cast<ir::Check>(n.aux), stage_, index_, k_.location(n.loc)};
                break;
            case NodeKind::branch:
                if (truth(x[0])) return run_block(n.aux);
                return n.aux2 == ir::none ? Flow::normal : run_block(n.aux2);
            case NodeKind::loop: return run_loop(id, n, x);
            case NodeKind::loop_while: return run_while(n, x);
            case NodeKind::launch: refuse(ErrorKind::unsupported, "loops that were outlined");
            case NodeKind::break_: return Flow::break_;
            case NodeKind::continue_: return Flow::continue_;
            case NodeKind::return_: return Flow::return_;
            case NodeKind::whole: whole(id, n, x); break;
            case NodeKind::permute: permute(id, n, x[0]); break;
            case NodeKind::fold: fold(id, n, x[0]); break;
            case NodeKind::assign: assign(n, x.first(x.size() - 1), x.back()); break;
            case NodeKind::allocate: allocate(n, x); break;
            case NodeKind::place:
            case NodeKind::threads:
            case NodeKind::exchange: refuse(ErrorKind::unsupported, "explicit kernels"); break;
        }
        return Flow::normal;
    }

    Flow run_loop(Id id, const Node& n, std::span<const Id> x) {
        const __int128 end = integer(x[1]), step = integer(x[2]);
        if (const ir::ParallelLoop* p = k_.parallel(n))
            for (const ir::ArrayReduction& r : p->arrays) set_to_start(r);
        if (step == 0) return Flow::normal;
        for (__int128 i = integer(x[0]); step > 0 ? i < end : i > end; i += step) {
            values_[id] = Scalar::of(static_cast<std::int64_t>(i));
            const Flow flow = run_block(n.aux);
            if (flow == Flow::return_) return flow;
            if (flow == Flow::break_) break;
        }
        return Flow::normal;
    }

    void set_to_start(const ir::ArrayReduction& r) const {
        const DType t = k_.params[r.target].dtype;
        const Extents& shape = buffer(r.target).shape;
        if (count_of(shape) == 0) return;
        Extents index(shape.size(), 0);
        const auto exact = ir::identity(r.reduction, t);
        do store(r.target, index, exact ? *exact : ir::neutral(r.reduction, t));
        while (advance(index, shape));
    }

    Flow run_while(const Node& n, std::span<const Id> x) {
        for (;;) {
            if (const Flow flow = run_block(n.aux); flow != Flow::normal) return flow;
            if (!truth(x[0])) return Flow::normal;
            const Flow flow = run_block(n.aux2);
            if (flow == Flow::return_) return flow;
            if (flow == Flow::break_) return Flow::normal;
        }
    }

    static Scalar compute_one(const Node& n, std::span<const Scalar> operands) {
        if (n.kind == NodeKind::cast) return operands[0].cast(n.dtype);
        const auto result = ir::evaluate(n.op, n.dtype, operands);
        if (!result) refuse(ErrorKind::internal, std::string(info(n.op).name) + " of these dtypes");
        return *result;
    }

    void compute(Id id, const Node& n, std::span<const Id> x) {
        std::vector<Scalar> operands(x.size());
        if (n.rank == 0) {
            for (std::size_t i = 0; i < x.size(); ++i) operands[i] = value(x[i]);
            values_[id] = compute_one(n, operands);
            return;
        }
        std::vector<ArrayValue> sources;
        Extents shape;
        for (const Id operand : x) {
            sources.push_back(array_value(operand));
            broadcast_into(shape, sources.back().shape);
        }
        arrays_[id] = {shape, {}};
        if (count_of(shape) == 0) return;
        Extents index(shape.size(), 0);
        do {
            for (std::size_t i = 0; i < sources.size(); ++i) operands[i] = sources[i].at(index);
            arrays_[id].elements.push_back(compute_one(n, operands));
        } while (advance(index, shape));
    }

    /// Element i of dimension d of a slice is element start + i * step of the array.
    struct Slice {
        Extents starts, steps, shape;
        std::vector<bool> dropped;

        Extents element(const Extents& index) const {
            Extents at;
            for (std::size_t d = 0, i = 0; d < starts.size(); ++d)
                at.push_back(dropped[d] ? starts[d] : starts[d] + index[i++] * steps[d]);
            return at;
        }
    };
    Slice slice(const Node& n, std::span<const Id> x) const {
        const Extents& shape = buffer(n.aux).shape;
        Slice s;
        for (std::size_t d = 0; d < shape.size(); ++d) {
            s.dropped.push_back((n.imm >> d & 1) != 0);
            s.starts.push_back(x.empty() ? 0 : integer(x[3 * d]));
            s.steps.push_back(x.empty() ? 1 : integer(x[3 * d + 1]));
            if (!s.dropped.back()) s.shape.push_back(x.empty() ? shape[d] : integer(x[3 * d + 2]));
        }
        return s;
    }

    void whole(Id id, const Node& n, std::span<const Id> x) {
        const Slice s = slice(n, x);
        if (s.shape.empty()) {
            values_[id] = load(n.aux, s.element({}));
            return;
        }
        arrays_[id] = {s.shape, {}};
        if (count_of(s.shape) == 0) return;
        Extents index(s.shape.size(), 0);
        do arrays_[id].elements.push_back(load(n.aux, s.element(index)));
        while (advance(index, s.shape));
    }

    void permute(Id id, const Node& n, Id operand) {
        const ArrayValue source = array_value(operand);
        ArrayValue result;
        for (unsigned d = 0; d < n.rank; ++d) {
            const std::uint64_t axis = n.imm >> (4 * d) & 15;
            result.shape.push_back(axis == ir::new_axis ? 1 : source.shape[axis]);
        }
        Extents index(n.rank, 0), from(source.shape.size(), 0);
        if (count_of(result.shape) > 0) {
            do {
                for (unsigned d = 0; d < n.rank; ++d)
                    if (const std::uint64_t axis = n.imm >> (4 * d) & 15; axis != ir::new_axis)
                        from[axis] = index[d];
                result.elements.push_back(source.at(from));
            } while (advance(index, result.shape));
        }
        arrays_[id] = std::move(result);
    }

    /// A zeroed array of C order, which replaces the parameter's buffer.
    void allocate(const Node& n, std::span<const Id> x) {
        const Extents shape =
            x.size() == 1 && k_.node(x[0]).rank > 0 ? arrays_[x[0]].shape : subscripts(x);
        if (std::ranges::any_of(shape, [](std::int64_t extent) { return extent < 0; }))
            refuse(ErrorKind::shape, "negative extent");
        const DType t = k_.params[n.aux].dtype;
        memory_.emplace_back(static_cast<std::size_t>(count_of(shape)) * size_of(t));
        made_[n.aux] = Argument::array(memory_.back().data(), t, shape).buffer;
    }

    void fold(Id id, const Node& n, Id operand) {
        const auto reduction = static_cast<ir::Reduction>(n.aux);
        const ArrayValue& source = arrays_[operand];
        const auto reduced = [&](std::size_t axis) { return (n.imm >> axis & 1) != 0; };
        ArrayValue result;
        for (std::size_t axis = 0; axis < source.shape.size(); ++axis)
            if (!reduced(axis)) result.shape.push_back(source.shape[axis]);
        const auto count = static_cast<std::size_t>(count_of(result.shape));
        const auto start = ir::identity(reduction, n.dtype);
        if (!start && source.elements.empty() && count > 0)
            refuse(ErrorKind::shape, "zero-size array to a reduction without identity");
        result.elements.assign(count, start.value_or(Scalar{}));
        std::vector<bool> started(count, start.has_value());
        Extents index(source.shape.size(), 0);
        for (const Scalar& element : source.elements) {
            std::size_t at = 0;
            for (std::size_t axis = 0; axis < index.size(); ++axis)
                if (!reduced(axis))
                    at = at * static_cast<std::size_t>(source.shape[axis]) +
                         static_cast<std::size_t>(index[axis]);
            result.elements[at] =
                started[at] ? ir::combine(reduction, result.elements[at], element) : element;
            started[at] = true;
            advance(index, source.shape);
        }
        if (n.rank == 0)
            values_[id] = result.elements[0];
        else
            arrays_[id] = std::move(result);
    }

    void assign(const Node& n, std::span<const Id> x, Id operand) {
        const ArrayValue source = array_value(operand);
        const Slice target = slice(n, x);
        const Extents& shape = target.shape;
        Extents common = shape;
        broadcast_into(common, source.shape);
        if (common != shape)
            refuse(ErrorKind::shape, "value does not broadcast to " + k_.params[n.aux].name);
        if (count_of(shape) == 0) return;
        Extents index(shape.size(), 0);
        do store(n.aux, target.element(index), source.at(index));
        while (advance(index, shape));
    }

    const ir::Kernel& k_;
    std::span<const Argument> arguments_;
    std::vector<Scalar> values_;      // per node
    std::vector<ArrayValue> arrays_;  // per node of rank > 0
    std::vector<std::vector<Scalar>> slots_;
    std::vector<Scalar> totals_;  // of the stage's reductions
    Extents index_;               // of the stage
    std::size_t stage_ = 0;
    std::optional<Fault> fault_;
    std::vector<Buffer> made_;  // per parameter: arrays that the kernel allocated
    std::vector<std::vector<std::byte>> memory_;
};

}  // namespace

Argument Argument::array(void* data, DType dtype, std::vector<std::int64_t> shape) {
    std::vector<std::int64_t> strides(shape.size());
    auto stride = static_cast<std::int64_t>(size_of(dtype));
    for (std::size_t axis = shape.size(); axis-- > 0;) {
        strides[axis] = stride;
        stride *= shape[axis];
    }
    return array(data, std::move(shape), std::move(strides));
}

std::optional<Fault> interpret(const ir::Kernel& kernel, std::span<const Argument> arguments) {
    return Interpreter(kernel, arguments).run();
}

}  // namespace kiln::oracle
