// f16 and bf16 are storage types:
//
//     %s = add f16 a, b      ->     %s = cast f16 (add f32 (cast f32 a), (cast f32 b))
//     %c = cast i32 h        ->     %c = cast i32 (cast f32 h)
//
//     %h = cast f16 d        ->     %h = cast f16 d       d: f64, i32, i64, u32, u64
//
// Every operation rounds to its dtype, so a chain keeps all its roundings. f32 has more than twice
// the digits of either type plus two, so + - * / and sqrt are correctly rounded after both
// roundings. Slots, loads, stores and constants keep their 16 bits.
#include "codegen/passes/pass.h"
#include "dsl/ir/rewrite.h"

#include <algorithm>

namespace kiln::codegen {
namespace {

using namespace ir;

bool is_storage(DType t) { return t == DType::f16 || t == DType::bf16; }

class Widen : public Rewriter {
  public:
    explicit Widen(const Kernel& in) : Rewriter(in), lines_(in) {}

    void tell(Decisions& decisions) const {
        widened_.tell(decisions, DecisionKind::widened,
                      "16-bit floats compute in f32, and each result is rounded to its type");
    }

  private:
    /// `value` as `to`: to and from 16-bit floats through f32, but for what f32 would round first.
    Id convert(Id value, DType to) {
        const DType from = out().dtype(value);
        if (from == to) return out().convert(value, to);
        if (is_storage(from) && to != DType::f32) value = out().convert(value, DType::f32);
        const bool exact = is_storage(from) || size_of(from) <= 2 || from == DType::f32;
        if (is_storage(to) && exact && from != DType::f32) value = out().convert(value, DType::f32);
        return out().convert(value, to);
    }

    Id rewrite(Id old) override {
        const Node& n = in().node(old);
        if (n.rank != 0) return clone(old);
        if (n.kind == NodeKind::cast) return convert(mapped(in().operand(old, 0)), n.dtype);
        if (n.kind != NodeKind::op) return clone(old);
        const auto operands = in().operands_of(old);
        const bool narrow = is_storage(n.dtype) || std::ranges::any_of(operands, [&](Id id) {
                                return is_storage(in().node(id).dtype);
                            });
        if (!narrow) return clone(old);
        widened_.add(lines_.of(old), info(n.op).name);
        std::vector<Id> wide;
        for (const Id id : operands) {
            const Id value = mapped(id);
            wide.push_back(is_storage(out().dtype(value)) ? out().convert(value, DType::f32)
                                                          : value);
        }
        const Id result = out().op(n.op, is_storage(n.dtype) ? DType::f32 : n.dtype, wide, n.fast);
        return out().convert(result, n.dtype);
    }

    const LoopLines lines_;
    Tally widened_;
};

}  // namespace

ir::Kernel run_widen(const ir::Kernel& kernel, PassContext& context) {
    const bool any =
        std::ranges::any_of(kernel.nodes, [](const Node& n) { return is_storage(n.dtype); });
    if (!any) return kernel;
    Widen pass(kernel);
    ir::Kernel after = pass.run();
    pass.tell(context.decisions);
    return after;
}

}  // namespace kiln::codegen
