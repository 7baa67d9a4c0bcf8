// How reductions combine.
#include "codegen/llvm/ops/op_emitter.h"
#include "dsl/ir/evaluate.h"

#include <array>

namespace kiln::codegen {

using ir::Node;
using ir::Op;
using llvm::Value;

llvm::Constant* OpEmitter::neutral(ir::Reduction reduction, DType t, bool imaginary) {
    const Scalar nothing = ir::neutral(reduction, t);
    auto* type = compute_type(real_type(t));
    if (is_complex(t)) {
        const auto z = nothing.cast(DType::c128).get<std::complex<double>>();
        return llvm::ConstantFP::get(type, imaginary ? z.imag() : z.real());
    }
    if (is_real(t)) return llvm::ConstantFP::get(type, nothing.cast(DType::f64).get<double>());
    return llvm::ConstantInt::get(
        type, static_cast<std::uint64_t>(nothing.cast(DType::i64).get<std::int64_t>()));
}

LaneValue OpEmitter::combine(ir::Reduction reduction, DType t, const LaneValue& x,
                             const LaneValue& y) {
    const Op op = info(reduction).op;
    if (is_complex(t) && op == Op::mul) {
        Value* re = b_.CreateFSub(b_.CreateFMul(x.value, y.value), b_.CreateFMul(x.imag, y.imag));
        Value* im = b_.CreateFAdd(b_.CreateFMul(x.value, y.imag), b_.CreateFMul(x.imag, y.value));
        return {re, im, true};
    }
    const auto part = [&](Value* p, Value* q) -> Value* {
        if (p == nullptr) return nullptr;
        const DType real = real_type(t);
        const std::array<Value*, 2> both{p, q};
        return is_real(real) ? real_op(op, real, both, Node{}) : integer_op(op, real, both, Node{});
    };
    return {part(x.value, y.value), part(x.imag, y.imag), true};
}

Value* OpEmitter::combine(ir::Reduction reduction, DType t, Value* x, Value* y) {
    return combine(reduction, t, LaneValue{x, nullptr, false}, LaneValue{y, nullptr, false}).value;
}

/// Of two extremes and their positions, the one that is the result: a NaN before numbers, and of
/// equal values or two NaN the one with the lesser position.
OpEmitter::Found OpEmitter::earlier(ir::Reduction extreme, DType t, DType position, Found a,
                                    Found b) {
    const bool least = extreme == ir::Reduction::min;
    Value *better = nullptr, *equal = nullptr;
    if (is_real(t)) {
        const llvm::IRBuilder<>::FastMathFlagGuard guard(b_);
        b_.clearFastMathFlags();
        a.first = stays_wide(a.first);
        b.first = stays_wide(b.first);
        Value *a_nan = b_.CreateFCmpUNO(a.first, a.first),
              *b_nan = b_.CreateFCmpUNO(b.first, b.first);
        better = b_.CreateOr(
            least ? b_.CreateFCmpOLT(b.first, a.first) : b_.CreateFCmpOGT(b.first, a.first),
            b_.CreateAnd(b_nan, b_.CreateNot(a_nan)));
        equal = b_.CreateOr(b_.CreateFCmpOEQ(a.first, b.first), b_.CreateAnd(a_nan, b_nan));
    } else {
        const bool with_sign = is_integer(t) && !is_unsigned(t);
        const auto below = with_sign ? llvm::CmpInst::ICMP_SLT : llvm::CmpInst::ICMP_ULT;
        better =
            least ? b_.CreateICmp(below, b.first, a.first) : b_.CreateICmp(below, a.first, b.first);
        equal = b_.CreateICmpEQ(a.first, b.first);
    }
    Value* before = is_unsigned(position) ? b_.CreateICmpULT(b.second, a.second)
                                          : b_.CreateICmpSLT(b.second, a.second);
    Value* chosen = b_.CreateOr(better, b_.CreateAnd(equal, before));
    return {b_.CreateSelect(chosen, b.first, a.first), b_.CreateSelect(chosen, b.second, a.second)};
}

}  // namespace kiln::codegen
