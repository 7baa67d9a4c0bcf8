// How reductions combine.
#include "codegen/llvm/ops/op_emitter.h"
#include "dsl/ir/evaluate.h"

#include <array>
#include <complex>

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

}  // namespace kiln::codegen
