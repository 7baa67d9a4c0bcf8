#include "codegen/llvm/vector_math.h"

#include <llvm/IR/Intrinsics.h>

namespace kiln::codegen {

using Value = llvm::Value*;

MathBuilder::MathBuilder(llvm::IRBuilder<>& builder, llvm::Type* type, bool afn, Library library)
    : b_(builder),
      real_(type),
      f64_(type->getScalarType()->isDoubleTy()),
      afn_(afn),
      library_(std::move(library)) {
    llvm::Type* word = f64_ ? b_.getInt64Ty() : b_.getInt32Ty();
    auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
    bits_ = vector == nullptr ? word : llvm::FixedVectorType::get(word, vector->getNumElements());
}

Value MathBuilder::real(double x) { return llvm::ConstantFP::get(real_, x); }
Value MathBuilder::bits(std::uint64_t x) { return llvm::ConstantInt::get(bits_, x); }
Value MathBuilder::fma(Value a, Value b, Value c) {
    return b_.CreateIntrinsic(llvm::Intrinsic::fma, {real_}, {a, b, c});
}
Value MathBuilder::sqrt(Value a) { return b_.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, a); }
Value MathBuilder::abs(Value a) { return b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, a); }
Value MathBuilder::copysign(Value magnitude, Value sign) {
    return b_.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, magnitude, sign);
}
Value MathBuilder::round(Value a) { return b_.CreateUnaryIntrinsic(llvm::Intrinsic::roundeven, a); }

Value MathBuilder::horner(Value x, std::span<const double> c) {
    Value p = real(c.back());
    for (std::size_t i = c.size() - 1; i-- > 0;) p = fma(p, x, real(c[i]));
    return p;
}

std::pair<Value, Value> MathBuilder::fast_two_sum(Value a, Value b) {
    Value sum = add(a, b);
    return {sum, sub(b, sub(sum, a))};
}
std::pair<Value, Value> MathBuilder::two_sum(Value a, Value b) {
    Value sum = add(a, b);
    Value of_b = sub(sum, a);
    return {sum, add(sub(a, sub(sum, of_b)), sub(b, of_b))};
}
std::pair<Value, Value> MathBuilder::two_product(Value a, Value b) {
    Value product = mul(a, b);
    return {product, fma(a, b, neg(product))};
}

Value MathBuilder::unless(Value rare, Value usual) {
    auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(rare->getType());
    Value any = rare;
    if (vector != nullptr) {
        auto* mask = b_.getIntNTy(vector->getNumElements());
        any = b_.CreateICmpNE(b_.CreateBitCast(rare, mask), llvm::ConstantInt::get(mask, 0));
    }
    llvm::BasicBlock* here = b_.GetInsertBlock();
    auto* slow = llvm::BasicBlock::Create(b_.getContext(), "rare", here->getParent());
    auto* next = llvm::BasicBlock::Create(b_.getContext(), "usual", here->getParent());
    b_.CreateCondBr(any, slow, next);
    b_.SetInsertPoint(slow);
    Value mixed = b_.CreateSelect(rare, library_(), usual);
    llvm::BasicBlock* from = b_.GetInsertBlock();
    b_.CreateBr(next);
    b_.SetInsertPoint(next);
    auto* result = b_.CreatePHI(usual->getType(), 2);
    result->addIncoming(usual, here);
    result->addIncoming(mixed, from);
    return result;
}

MathDefinition math_definition(ir::Op op) {
    switch (op) {
#define KILN_MATH(id) \
    case ir::Op::id: return math_##id;
#include "codegen/llvm/vector_math.def"
#undef KILN_MATH
        default: return nullptr;
    }
}

}  // namespace kiln::codegen
