#include "codegen/llvm/ops/vector_math.h"

#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/MDBuilder.h>
#include <llvm/IR/Module.h>

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

Value MathBuilder::quotient(Value a, Value a_low, Value b, Value b_low) {
    Value inverse = div(real(1.0), b);
    Value ratio = mul(a, inverse);
    Value rest = fma(neg(ratio), b_low, add(fma(neg(ratio), b, a), a_low));
    return fma(rest, inverse, ratio);
}

static llvm::Constant* constant_table(llvm::IRBuilder<>& b, const char* name,
                                      std::span<const double> table) {
    llvm::Module& module = *b.GetInsertBlock()->getModule();
    if (llvm::GlobalVariable* made = module.getNamedGlobal(name)) return made;
    auto* data = llvm::ConstantDataArray::get(b.getContext(),
                                              llvm::ArrayRef<double>(table.data(), table.size()));
    auto* global = new llvm::GlobalVariable(module, data->getType(), true,
                                            llvm::GlobalValue::PrivateLinkage, data, name);
    global->setAlignment(llvm::Align(16));
    global->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
    return global;
}

/// Vectors of one length one after the other, a power of two of them.
static Value join(llvm::IRBuilder<>& b, std::vector<Value> parts) {
    while (parts.size() > 1) {
        const auto length =
            llvm::cast<llvm::FixedVectorType>(parts[0]->getType())->getNumElements();
        std::vector<int> all;
        for (unsigned i = 0; i < 2 * length; ++i) all.push_back(static_cast<int>(i));
        std::vector<Value> joined;
        for (std::size_t i = 0; i < parts.size(); i += 2)
            joined.push_back(b.CreateShuffleVector(parts[i], parts[i + 1], all));
        parts = std::move(joined);
    }
    return parts[0];
}

std::pair<Value, Value> MathBuilder::table_rows(const char* name, std::span<const double> table,
                                                Value index) {
    llvm::Constant* global = constant_table(b_, name, table);
    auto* row_type = llvm::FixedVectorType::get(b_.getDoubleTy(), 2);
    index = b_.CreateShl(index, std::uint64_t(4));  // bytes; here once for all lanes
    const auto row = [&](Value i) {
        Value at = b_.CreateInBoundsGEP(b_.getInt8Ty(), global, i);
        return b_.CreateAlignedLoad(row_type, at, llvm::Align(16));
    };
    auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(index->getType());
    const unsigned lanes = vector == nullptr ? 1 : vector->getNumElements();
    if (lanes == 1) {
        Value i = vector == nullptr ? index : b_.CreateExtractElement(index, std::uint64_t(0));
        Value both = row(i);
        Value first = b_.CreateExtractElement(both, std::uint64_t(0));
        Value second = b_.CreateExtractElement(both, std::uint64_t(1));
        if (vector == nullptr) return {first, second};
        const auto one = [&](Value x) {
            return b_.CreateInsertElement(llvm::PoisonValue::get(real_), x, std::uint64_t(0));
        };
        return {one(first), one(second)};
    }
    // Rows of even and of odd lanes, so that the columns are the machine's unpack-low and -high.
    std::vector<Value> even, odd;
    for (unsigned l = 0; l < lanes; ++l)
        (l % 2 == 0 ? even : odd).push_back(row(b_.CreateExtractElement(index, std::uint64_t(l))));
    Value evens = join(b_, std::move(even)), odds = join(b_, std::move(odd));
    std::vector<int> low, high;
    for (unsigned l = 0; l < lanes; l += 2) {
        const int at = static_cast<int>(l), other = static_cast<int>(lanes + l);
        low.insert(low.end(), {at, other});
        high.insert(high.end(), {at + 1, other + 1});
    }
    return {b_.CreateShuffleVector(evens, odds, low), b_.CreateShuffleVector(evens, odds, high)};
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
    b_.CreateCondBr(any, slow, next,
                    llvm::MDBuilder(b_.getContext()).createUnlikelyBranchWeights());
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
#include "codegen/lanes/inlined_functions.def"
#undef KILN_MATH
        default: return nullptr;
    }
}

}  // namespace kiln::codegen
