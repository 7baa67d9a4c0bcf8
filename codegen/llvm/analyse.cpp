#include "codegen/llvm/emitter.h"
#include "codegen/llvm/vector_math.h"

#include <algorithm>

namespace kiln::codegen {

using ir::Id;
using ir::Node;
using ir::NodeKind;
using ir::Op;

namespace {

class Analysis {
  public:
    Analysis(const ir::Kernel& kernel, bool fma) : kernel_(kernel), fma_(fma) {
        facts_.slots = analyse_slots(kernel);
        facts_.varying = facts_.slots.varying;
        facts_.strict_nan.assign(kernel.nodes.size(), false);
    }

    KernelFacts run() {
        for (const ir::Stage& stage : kernel_.stages) walk(stage.body, false);
        if (widest_in_loops_ != 0) facts_.widest = widest_in_loops_;
        // Backwards, so that a mark on a value reaches what it was computed from; a slot that is
        // read under a mark passes it to everything written to it, hence the repetition.
        bool changed = true;
        strict_slot_.assign(kernel_.slots.size(), false);
        while (changed) {
            changed = false;
            for (std::size_t i = order_.size(); i-- > 0;) changed |= mark_strict(order_[i]);
        }
        return std::move(facts_);
    }

  private:
    void walk(Id block, bool in_loop) {
        for (const Id id : kernel_.blocks[block].nodes) {
            const Node& n = kernel_.nodes[id];
            order_.push_back(id);
            const bool varying = facts_.varying[id];
            switch (n.kind) {
                case NodeKind::load:
                    facts_.streams += varying ? 1 : 0;
                    measure_memory(n.dtype);
                    break;
                case NodeKind::store: measure_memory(kernel_.params[n.aux].dtype); break;
                case NodeKind::op:
                    ++facts_.operations;
                    if (!ir::is_elementary(n.op)) break;
                    // Without FMA everything elementary is a call (see Emitter::elementary).
                    ++(fma_ && math_definition(n.op) != nullptr ? facts_.inlined : facts_.calls);
                    break;
                default: break;
            }
            if (n.kind == NodeKind::op || n.kind == NodeKind::cast || n.kind == NodeKind::load ||
                n.kind == NodeKind::read)
                if (varying) measure(n.dtype, in_loop);
            if (n.kind == NodeKind::branch) {
                walk(n.aux, in_loop);
                if (n.aux2 != ir::none) walk(n.aux2, in_loop);
            } else if (n.kind == NodeKind::loop) {
                facts_.has_loops = true;
                walk(n.aux, true);
            } else if (n.kind == NodeKind::loop_while) {
                facts_.has_loops = true;
                walk(n.aux, true);
                walk(n.aux2, true);
            }
        }
    }

    void measure(DType t, bool in_loop = false) {
        if (is_bool(t)) return;
        const auto bytes = static_cast<unsigned>(size_of(real_type(t)));
        facts_.widest = std::max(facts_.widest, bytes);
        if (in_loop) widest_in_loops_ = std::max(widest_in_loops_, bytes);
    }
    void measure_memory(DType t) {
        measure(t);
        facts_.narrowest = std::min(facts_.narrowest, static_cast<unsigned>(size_of(real_type(t))));
    }

    bool mark_strict(Id id) {
        const Node& n = kernel_.nodes[id];
        bool strict = facts_.strict_nan[id];
        if (n.kind == NodeKind::op) {
            const auto operands = kernel_.operands_of(n);
            strict = strict || n.op == Op::isnan || n.op == Op::isinf || n.op == Op::isfinite ||
                     ((n.op == Op::ne || n.op == Op::eq) && operands[0] == operands[1]);
        } else if (n.kind == NodeKind::write) {
            strict = strict || strict_slot_[n.aux];
        } else if (n.kind == NodeKind::read && strict && !strict_slot_[n.aux]) {
            strict_slot_[n.aux] = true;
            return true;
        }
        if (!strict || n.kind == NodeKind::loop_while) return false;
        bool changed = false;
        for (const Id operand : kernel_.operands_of(n)) {
            changed = changed || !facts_.strict_nan[operand];
            facts_.strict_nan[operand] = true;
        }
        return changed;
    }

    const ir::Kernel& kernel_;
    bool fma_;
    KernelFacts facts_;
    std::vector<Id> order_;
    std::vector<bool> strict_slot_;
    unsigned widest_in_loops_ = 0;  // of varying values: what runs most sets the registers
};

}  // namespace

KernelFacts analyse(const ir::Kernel& kernel, bool fma) { return Analysis(kernel, fma).run(); }

}  // namespace kiln::codegen
