// Checked mode:
//
//     %q = div a, b                 %ok = ne b, 0
//                          ->       check division_by_zero %ok
//                                   %q = div a, b
//
// for div, rem, floor_divide, mod and fmod of integers. Floats have infinities and NaN for it. The
// check stands where the operation stands, so one inside a branch counts only where that runs.
#include "codegen/passes/pass.h"
#include "dsl/ir/rewrite.h"

namespace kiln::codegen {
namespace {

using namespace ir;

bool divides(Op op) {
    return op == Op::div || op == Op::rem || op == Op::floor_divide || op == Op::mod ||
           op == Op::fmod;
}

class Checks : public Rewriter {
  public:
    explicit Checks(const Kernel& in) : Rewriter(in), lines_(in) {}

    void tell(Decisions& decisions) const {
        tested_.tell(decisions, DecisionKind::tested, "integers that a divisor of 0 would fail");
    }

  private:
    Id rewrite(Id old) override {
        const Node& n = in().node(old);
        if (n.kind == NodeKind::op && n.rank == 0 && divides(n.op) && is_integer(n.dtype)) {
            const Id divisor = mapped(in().operand(old, 1));
            const Id zero = out().constant(Scalar::of(0).cast(n.dtype));
            const Id operands[] = {divisor, zero};
            out().check(Check::division_by_zero, out().op(Op::ne, DType::bool_, operands, 0));
            tested_.add(lines_.of(old), info(n.op).name);
        }
        return clone(old);
    }

    const LoopLines lines_;
    Tally tested_;
};

}  // namespace

ir::Kernel run_checks(const ir::Kernel& kernel, PassContext& context) {
    Checks pass(kernel);
    ir::Kernel after = pass.run();
    pass.tell(context.decisions);
    return after;
}

}  // namespace kiln::codegen
