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
    using Rewriter::Rewriter;

  private:
    Id rewrite(Id old) override {
        const Node& n = in().node(old);
        if (n.kind == NodeKind::op && n.rank == 0 && divides(n.op) && is_integer(n.dtype)) {
            const Id divisor = mapped(in().operand(old, 1));
            const Id zero = out().constant(Scalar::of(0).cast(n.dtype));
            const Id operands[] = {divisor, zero};
            out().check(Check::division_by_zero, out().op(Op::ne, DType::bool_, operands, 0));
        }
        return clone(old);
    }
};

}  // namespace

ir::Kernel run_checks(const ir::Kernel& kernel, PassContext&) { return Checks(kernel).run(); }

}  // namespace kiln::codegen
