#include "codegen/lanes/facts.h"

#include "codegen/analysis/strict_nan.h"
#include "codegen/trees.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <algorithm>

namespace kiln::codegen {

using ir::Id;
using ir::Node;
using ir::NodeKind;
using ir::Op;

namespace {

/// Whether the elementary function has a definition of its own, where there is FMA.
bool has_definition(Op op) {
    switch (op) {
#define KILN_MATH(id) case Op::id:
#include "codegen/lanes/inlined_functions.def"
#undef KILN_MATH
        return true;
        default: return false;
    }
}

class Analysis {
  public:
    Analysis(const ir::Kernel& kernel, bool fma) : kernel_(kernel), fma_(fma) {
        facts_.slots = analyse_slots(kernel);
        facts_.varying = facts_.slots.varying;
        facts_.strict_nan.assign(kernel.nodes.size(), false);
        facts_.only_tested.assign(kernel.nodes.size(), false);
        depth_.assign(kernel.nodes.size(), 0);
        combines_.assign(kernel.nodes.size(), false);
        for (const ir::Stage& stage : kernel.stages)
            for (const ir::StageReduction& r : stage.reductions)
                if (r.combine != ir::none) parts_.push_back(r.target);
        if (fma) find_tested();
    }

    KernelFacts run() {
        ir::walk(kernel_,
                 [&](Id id, const ir::Around& around) { measure_node(id, around.loops > 0); });
        if (widest_in_loops_ != 0) facts_.widest = widest_in_loops_;
        if (combining_ > few_combining) facts_.operations += combining_;
        facts_.strict_nan = strict_values(kernel_, std::move(facts_.strict_nan));
        return std::move(facts_);
    }

  private:
    void find_tested() {
        std::vector<unsigned> uses(kernel_.nodes.size(), 0), tests(kernel_.nodes.size(), 0);
        for (Id id = 0; id < kernel_.nodes.size(); ++id) {
            for (const Id operand : kernel_.operands_of(id)) ++uses[operand];
            if (const Id rest = tested_remainder(kernel_, facts_.slots, id); rest != ir::none)
                ++tests[rest];
        }
        for (Id id = 0; id < kernel_.nodes.size(); ++id)
            facts_.only_tested[id] = tests[id] != 0 && tests[id] == uses[id];
    }

    void measure_node(Id id, bool in_loop) {
        const Node& n = kernel_.nodes[id];
        const bool varying = facts_.varying[id];
        combines_[id] = is_combination(n);
        if (n.kind == NodeKind::op) {
            if (varying && !combines_[id]) {
                for (const Id operand : kernel_.operands_of(n))
                    depth_[id] = std::max(depth_[id], depth_[operand]);
                facts_.depth = std::max(facts_.depth, ++depth_[id]);
            }
            if (tests_nan(n))
                for (const Id operand : kernel_.operands_of(n)) facts_.strict_nan[operand] = true;
            ++(combines_[id] ? combining_ : facts_.operations);
            // Without FMA everything elementary is a call (see Emitter::elementary).
            if (ir::is_elementary(n.op))
                ++(fma_ && has_definition(n.op) ? facts_.inlined : facts_.calls);
        } else if (n.kind == NodeKind::cast) {
            depth_[id] = depth_[kernel_.operand(id, 0)];
        } else if (n.kind == NodeKind::load) {
            facts_.streams += varying ? 1 : 0;
            measure_memory(n.dtype, varying);
        } else if (n.kind == NodeKind::store) {
            measure_memory(kernel_.params[n.aux].dtype, n.operand_count > 1);
        }
        const bool computes =
            ir::is_computation(n.kind) || n.kind == NodeKind::load || n.kind == NodeKind::read;
        // Remainders that are only tested are computed in f32, most of the time.
        if (varying && computes) measure(facts_.only_tested[id] ? DType::f32 : n.dtype, in_loop);
        facts_.has_loops = facts_.has_loops || ir::is_loop(n.kind);
    }

    /// Whether the node is, or is computed from, a part of a state so far.
    bool is_combination(const Node& n) const {
        if (n.kind == NodeKind::read) return std::ranges::count(parts_, n.aux) > 0;
        return ir::is_computation(n.kind) &&
               std::ranges::any_of(kernel_.operands_of(n), [&](Id x) { return combines_[x]; });
    }

    void measure(DType t, bool in_loop = false) {
        if (is_bool(t)) return;
        const auto bytes = static_cast<unsigned>(size_of(real_type(t)));
        facts_.widest = std::max(facts_.widest, bytes);
        if (in_loop) widest_in_loops_ = std::max(widest_in_loops_, bytes);
    }
    /// `lanes`: not one element for all.
    void measure_memory(DType t, bool lanes) {
        measure(t);
        if (lanes)
            facts_.narrowest =
                std::min(facts_.narrowest, static_cast<unsigned>(size_of(real_type(t))));
    }

    /// Whether the operation tells NaN or infinities from numbers.
    bool tests_nan(const Node& n) const {
        const auto operands = kernel_.operands_of(n);
        return n.op == Op::isnan || n.op == Op::isinf || n.op == Op::isfinite ||
               ((n.op == Op::ne || n.op == Op::eq) && operands[0] == operands[1]);
    }

    const ir::Kernel& kernel_;
    bool fma_;
    /// Operations by which iterations combine states count where they are more: few are as light as
    /// the combinations that other reductions have.
    static constexpr unsigned few_combining = 16;
    std::vector<unsigned> depth_;       // per node: operations of the longest chain that it ends
    std::vector<bool> combines_;        // per node: is_combination
    std::vector<std::uint32_t> parts_;  // of states
    unsigned combining_ = 0;
    KernelFacts facts_;
    unsigned widest_in_loops_ = 0;  // of varying values: what runs most sets the registers
};

}  // namespace

Id tested_remainder(const ir::Kernel& kernel, const SlotFacts& facts, Id id) {
    const Node& n = kernel.nodes[id];
    if (n.kind != NodeKind::op || (n.op != Op::eq && n.op != Op::ne)) return ir::none;
    const Id rest = kernel.operand(id, 0);
    const Node &r = kernel.nodes[rest], &zero = kernel.nodes[kernel.operand(id, 1)];
    if (r.kind != NodeKind::op || (r.op != Op::rem && r.op != Op::mod)) return ir::none;
    if (zero.kind != NodeKind::constant || zero.imm != 0 || zero.dtype != r.dtype) return ir::none;
    if (!is_integer(r.dtype) || size_of(r.dtype) < 4) return ir::none;
    const Id a = kernel.operand(rest, 0), b = kernel.operand(rest, 1);
    const bool constant = kernel.nodes[b].kind == NodeKind::constant;
    return facts.varying[a] && !facts.varying[b] && !constant ? rest : ir::none;
}

KernelFacts analyse(const ir::Kernel& kernel, bool fma) { return Analysis(kernel, fma).run(); }

bool masks_memory(const KernelFacts& facts, VectorIsa isa) {
    return isa == VectorIsa::avx512 || (isa == VectorIsa::avx2 && facts.narrowest >= least_masked);
}

ir::Lanes choose_lanes(const ir::Kernel& kernel, const KernelFacts& facts, VectorIsa isa) {
    constexpr unsigned most_lanes = 64, most_at_once = 128;
    std::size_t accumulators = 0;
    for (const ir::Stage& stage : kernel.stages) accumulators += stage.reductions.size();
    const unsigned lanes = std::min(most_lanes, std::max(1U, vector_bytes(isa) / facts.widest));
    const unsigned wanted = choose_registers(facts, accumulators, isa == VectorIsa::avx512);
    ir::Lanes made{lanes, std::max(1U, std::min(wanted, most_at_once / lanes))};
    if (kernel.form == ir::Form::map) return made;
    made.tail = masks_memory(facts, isa) ? lanes : 1;
    if (kernel.form != ir::Form::reduce) return made;
    made.fan_in = tree::fan_in;
    made.levels = lanes * made.registers < tree::lanes_of_three_levels ? 4 : 3;
    return made;
}

bool two_levels_fit(const ir::Kernel& kernel, unsigned lanes, VectorIsa isa) {
    std::size_t bytes = 0;
    for (const ir::Stage& stage : kernel.stages)
        for (const ir::StageReduction& r : stage.reductions)
            bytes += size_of(kernel.slots[r.target].dtype) * lanes;
    return 2 * bytes <= vector_bytes(isa) * vector_registers(isa) / 2;
}

unsigned choose_registers(const KernelFacts& facts, std::size_t accumulators, bool many_registers) {
    constexpr unsigned many_streams = 8, few_chains = 3, most_operations = 256;
    constexpr std::size_t few_accumulators = 6;
    if (facts.calls != 0 || (facts.streams >= many_streams && accumulators == 0)) return 1;
    if (accumulators > few_accumulators) return 1;
    if (facts.has_loops || facts.inlined != 0) return 2;
    const bool waits = many_registers && facts.operations <= most_operations &&
                       facts.operations <= few_chains * facts.depth;
    return facts.operations <= few_operations || waits ? 4 : 2;
}

}  // namespace kiln::codegen
