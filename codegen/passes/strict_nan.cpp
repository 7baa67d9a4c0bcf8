// isnan, isinf, isfinite, x != x and x == x keep their meaning under fast-math flags:
//
//     %1 = sub f32 %0, %0 fast(nnan)        %1 = sub f32 %0, %0
//     %2 = isnan bool %1 fast(nnan)   ->    %2 = isnan bool %1        + a remark at the line of %2
//
// nnan and ninf leave the predicate and every value that it is computed from, through slots too;
// otherwise `%0 - %0` could be folded to 0, and the predicate to false. Other flags stay. First in
// the pipeline, so that remarks come from the user's own nodes and no later pass sees the flags.
#include "codegen/analysis/strict_nan.h"
#include "codegen/passes/pass.h"
#include "dsl/ir/rewrite.h"
#include "dsl/ir/walk.h"

namespace kiln::codegen {
namespace {

using namespace ir;

constexpr std::uint8_t nan_flags = fast::nnan | fast::ninf;

class StrictNan : public Rewriter {
  public:
    StrictNan(const Kernel& in, PassContext& context)
        : Rewriter(in), context_(context), strict_(in.nodes.size(), false) {}

    Kernel run_pass() {
        walk(in(), [&](Id id) { note(id); });
        strict_ = strict_values(in(), std::move(strict_));
        for (const Id id : predicates_) remark(id);
        return run();
    }

  private:
    /// Finds the predicates; called in the order in which nodes run.
    void note(Id id) {
        const Node& n = in().node(id);
        if (has_effect(n.kind)) ++effects_;
        if (n.kind == NodeKind::read) {
            read_after_.resize(in().nodes.size());
            read_after_[id] = effects_;
        }
        if (is_predicate(n)) {
            strict_[id] = true;
            predicates_.push_back(id);
        }
    }

    bool is_predicate(const Node& n) const {
        if (n.kind != NodeKind::op) return false;
        const auto operands = in().operands_of(n);
        const DType t = in().node(operands[0]).dtype;
        if (!is_real(t) && !is_complex(t)) return false;
        if (n.op == Op::isnan || n.op == Op::isinf || n.op == Op::isfinite) return true;
        return (n.op == Op::ne || n.op == Op::eq) && same_value(operands[0], operands[1]);
    }

    /// Equal nodes, up to reads of a variable that was not written between.
    bool same_value(Id a, Id b) const {
        if (a == b) return true;
        const Node &x = in().node(a), &y = in().node(b);
        if (x.kind != y.kind || x.dtype != y.dtype || x.op != y.op || x.aux != y.aux ||
            x.operand_count != y.operand_count)
            return false;
        if (x.kind == NodeKind::read && read_after_[a] != read_after_[b]) return false;
        if (x.kind != NodeKind::read && x.kind != NodeKind::op && x.kind != NodeKind::cast)
            return false;
        const auto p = in().operands_of(x), q = in().operands_of(y);
        for (std::size_t i = 0; i < p.size(); ++i)
            if (!same_value(p[i], q[i])) return false;
        return true;
    }

    /// Where the flags that the predicate contradicts are set, on it or on its operand.
    void remark(Id id) {
        const Node& n = in().node(id);
        const std::uint8_t contradicted = n.op == Op::isinf      ? fast::ninf
                                          : n.op == Op::isfinite ? nan_flags
                                                                 : fast::nnan;
        const std::uint8_t set = (n.fast | in().node(in().operand(id, 0)).fast) & contradicted;
        if (set == 0) return;
        const std::string what = n.op == Op::ne   ? "x != x"
                                 : n.op == Op::eq ? "x == x"
                                                  : std::string(info(n.op).name);
        const char* flags = set == nan_flags    ? "nnan and ninf are"
                            : set == fast::nnan ? "nnan is"
                                                : "ninf is";
        context_.decisions.done(
            DecisionKind::strict, in().location(n.loc),
            what + " stays strict although " + flags +
                " set: the values that it depends on keep their NaN and infinities");
    }

    Id rewrite(Id old) override {
        const Node& n = in().node(old);
        if (n.kind != NodeKind::op || !strict_[old] || (n.fast & nan_flags) == 0) return clone(old);
        std::vector<Id> operands;
        for (const Id operand : in().operands_of(n)) operands.push_back(mapped(operand));
        const auto flags = static_cast<std::uint8_t>(n.fast & ~nan_flags);
        return out().op(n.op, n.dtype, operands, flags, n.weak);
    }

    PassContext& context_;
    std::vector<Id> predicates_;
    std::vector<bool> strict_;
    std::vector<std::size_t> read_after_;  // effects that precede a read
    std::size_t effects_ = 0;
};

}  // namespace

ir::Kernel run_strict_nan(const ir::Kernel& kernel, PassContext& context) {
    for (const Node& n : kernel.nodes)
        if ((n.fast & nan_flags) != 0) return StrictNan(kernel, context).run_pass();
    return kernel;
}

}  // namespace kiln::codegen
