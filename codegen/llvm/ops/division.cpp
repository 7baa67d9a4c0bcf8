// Division of integers. CPUs have none for vectors, but divide floats: the quotient of integers
// that a float type holds exactly, rounded to it and then truncated, is the quotient of the
// integers as long as they have two bits less than the type's fraction. For a / b just below an
// integer k lies at least 1 / b below it, which is more than half a unit in the last place of k.
#include "codegen/llvm/ops/op_emitter.h"

#include <llvm/IR/MDBuilder.h>

namespace kiln::codegen {

using ir::Op;
using llvm::BasicBlock;
using llvm::Value;
namespace Intrinsic = llvm::Intrinsic;

/// Division by 0 gives 0 and MIN / -1 gives MIN: both divide by 1 instead, so nothing traps.
Value* OpEmitter::integer_division(Op op, DType t, Value* a, Value* b) {
    auto* type = a->getType();
    Value* zero = llvm::Constant::getNullValue(type);
    Value* one = llvm::ConstantInt::get(type, 1);
    Value* by_zero = b_.CreateICmpEQ(b, zero);
    Value* unsafe = by_zero;
    if (is_signed(t)) {
        const auto bits = static_cast<unsigned>(8 * size_of(t));
        Value* lowest = llvm::ConstantInt::get(type, llvm::APInt::getSignedMinValue(bits));
        Value* minus_one = llvm::Constant::getAllOnesValue(type);
        unsafe = b_.CreateOr(
            by_zero, b_.CreateAnd(b_.CreateICmpEQ(a, lowest), b_.CreateICmpEQ(b, minus_one)));
    }
    Value* divisor = b_.CreateSelect(unsafe, one, b);
    const bool with_sign = is_signed(t);
    const auto [quotient, rest] = divide_lanes(t, a, divisor);
    if (op == Op::rem || op == Op::fmod) return rest;
    if (op == Op::div || (op == Op::floor_divide && !with_sign))
        return b_.CreateSelect(by_zero, zero, quotient);
    if (!with_sign) return rest;
    Value* opposite = b_.CreateICmpSLT(b_.CreateXor(rest, divisor), zero);
    Value* adjust = b_.CreateAnd(b_.CreateICmpNE(rest, zero), opposite);
    if (op == Op::mod) return b_.CreateAdd(rest, b_.CreateSelect(adjust, divisor, zero));
    return b_.CreateSelect(by_zero, zero, b_.CreateSub(quotient, b_.CreateZExt(adjust, type)));
}

/// Quotient and remainder, truncated; `b` is not 0, and not -1 where `a` is the lowest value.
std::pair<Value*, Value*> OpEmitter::divide_lanes(DType t, Value* a, Value* b) {
    const bool with_sign = is_signed(t);
    const auto plain = [&] {
        return std::pair{with_sign ? b_.CreateSDiv(a, b) : b_.CreateUDiv(a, b),
                         with_sign ? b_.CreateSRem(a, b) : b_.CreateURem(a, b)};
    };
    auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(a->getType());
    const auto bits = static_cast<unsigned>(8 * size_of(t));
    const bool by_constant = llvm::isa<llvm::Constant>(b) && bits < 64;  // a product and a shift
    if (vector == nullptr || vector->getNumElements() == 1 || by_constant ||
        isa_ == VectorIsa::sse2)
        return plain();
    if (bits == 64) return divide_wide_lanes(t, a, b);
    // 8 and 16 bits by f32, 32 bits by f64; in integers as wide as those.
    auto* real = like(bits == 32 ? b_.getDoubleTy() : b_.getFloatTy(), a);
    auto* wide = like(bits == 32 ? b_.getInt64Ty() : b_.getInt32Ty(), a);
    const auto to_real = [&](Value* x) {
        return with_sign ? b_.CreateSIToFP(x, real) : b_.CreateUIToFP(x, real);
    };
    Value* q = b_.CreateFDiv(to_real(a), to_real(b));
    Value* quotient = b_.CreateTrunc(b_.CreateFPToSI(q, wide), a->getType());
    return {quotient, b_.CreateSub(a, b_.CreateMul(quotient, b))};
}

/// Whether lanes of `a` are multiples of the number b, not 0, both integers that their type holds
/// exactly: q = a * (1 / b), rounded to an integer, is the quotient of a multiple as long as that
/// is below 2^(fraction bits - 2), for it is off by less than 2^-(fraction bits) of itself twice;
/// and the rest a - q b, which fma rounds once, is 0 for multiples only.
Value* OpEmitter::divisible(Value* a, Value* b) {
    Value* reciprocal = b_.CreateFDiv(llvm::ConstantFP::get(b->getType(), 1), b);
    Value* q = b_.CreateUnaryIntrinsic(Intrinsic::rint,
                                       b_.CreateFMul(a, b_.CreateVectorSplat(lanes_, reciprocal)));
    Value* rest = b_.CreateIntrinsic(Intrinsic::fma, {a->getType()},
                                     {q, b_.CreateVectorSplat(lanes_, b_.CreateFNeg(b)), a});
    return b_.CreateFCmpOEQ(rest, llvm::Constant::getNullValue(a->getType()));
}

/// Whether the number is exact in f32, with two bits to spare.
Value* OpEmitter::is_small(Value* x, bool with_sign) {
    constexpr std::uint64_t limit = std::uint64_t(1) << 21;
    auto* type = x->getType();
    Value* distance = with_sign ? b_.CreateAdd(x, llvm::ConstantInt::get(type, limit)) : x;
    return b_.CreateICmpULT(distance, llvm::ConstantInt::get(type, 2 * limit));
}

/// Made where `a` is, once: divisors are mostly tried in a loop.
OpEmitter::Dividend OpEmitter::dividend(Value* a, DType t) {
    if (const auto known = dividends_.find(a); known != dividends_.end()) return known->second;
    const llvm::IRBuilder<>::InsertPointGuard guard(b_);
    auto* made = llvm::dyn_cast<llvm::Instruction>(a);
    // (There is no such point where `a` is what was emitted last.)
    if (const auto after = made != nullptr ? made->getInsertionPointAfterDef() : std::nullopt)
        b_.SetInsertPoint(made->getParent(), *after);
    const bool with_sign = is_signed(t);
    Dividend d{b_.CreateAndReduce(is_small(a, with_sign)), nullptr, nullptr};
    // Small ones fit i32, which every vector unit converts.
    Value* in_i32 = b_.CreateTrunc(a, like(b_.getInt32Ty(), a));
    d.narrow = b_.CreateSIToFP(in_i32, like(b_.getFloatTy(), a));
    auto* f64 = like(b_.getDoubleTy(), a);
    if (size_of(t) == 4) d.wide = with_sign ? b_.CreateSIToFP(a, f64) : b_.CreateUIToFP(a, f64);
    if (made != nullptr) dividends_[a] = d;
    return d;
}

/// a % b == 0, or != 0, where b is the same in all lanes: in f32 where all numbers are small, else
/// in f64 or by division. (x % 0 is 0.)
LaneValue OpEmitter::emit_divisible(const ir::Node& comparison, ir::Id rest) {
    const DType t = kernel_.nodes[rest].dtype;
    const bool with_sign = is_signed(t);
    Value* a = varying_value(kernel_.operand(rest, 0));
    Value* b = values_.value(kernel_.operand(rest, 1)).value;
    auto* one = b->getType();
    b_.clearFastMathFlags();
    const Dividend d = dividend(a, t);
    b = b_.CreateSelect(b_.CreateICmpEQ(b, llvm::Constant::getNullValue(one)),
                        llvm::ConstantInt::get(one, 1), b);
    auto* fast = make_block("divisible");
    auto* slow = make_block("divisible.wide");
    auto* done = make_block("divisible.end");
    b_.CreateCondBr(b_.CreateAnd(d.small, is_small(b, with_sign)), fast, slow,
                    llvm::MDBuilder(context_).createBranchWeights(1000, 1));
    b_.SetInsertPoint(fast);
    Value* narrow = b_.CreateTrunc(b, b_.getInt32Ty());
    Value* in_f32 = divisible(d.narrow, b_.CreateSIToFP(narrow, b_.getFloatTy()));
    b_.CreateBr(done);
    b_.SetInsertPoint(slow);
    Value* otherwise = nullptr;
    if (d.wide != nullptr) {
        auto* f64 = b_.getDoubleTy();
        otherwise =
            divisible(d.wide, with_sign ? b_.CreateSIToFP(b, f64) : b_.CreateUIToFP(b, f64));
    } else {
        Value* left = integer_division(Op::rem, t, a, b_.CreateVectorSplat(lanes_, b));
        otherwise = b_.CreateICmpEQ(left, llvm::Constant::getNullValue(left->getType()));
    }
    BasicBlock* slow_end = b_.GetInsertBlock();
    b_.CreateBr(done);
    b_.SetInsertPoint(done);
    auto* multiple = b_.CreatePHI(in_f32->getType(), 2);
    multiple->addIncoming(in_f32, fast);
    multiple->addIncoming(otherwise, slow_end);
    return {comparison.op == Op::eq ? static_cast<Value*>(multiple) : b_.CreateNot(multiple),
            nullptr, true};
}

/// The same of 64 bits: by f64 where all lanes are below 2^51, else one after the other.
std::pair<Value*, Value*> OpEmitter::divide_wide_lanes(DType t, Value* a, Value* b) {
    const bool with_sign = is_signed(t);
    auto* type = a->getType();
    auto* real = like(b_.getDoubleTy(), a);
    const auto integer = [&](std::uint64_t x) { return llvm::ConstantInt::get(type, x); };
    const auto small = [&](Value* x) {
        constexpr std::uint64_t limit = std::uint64_t(1) << 51;
        return with_sign ? b_.CreateICmpULT(b_.CreateAdd(x, integer(limit)), integer(2 * limit))
                         : b_.CreateICmpULT(x, integer(limit));
    };
    // x + 1.5 * 2^52 has x in the low bits of its fraction.
    constexpr std::uint64_t magic_bits = 0x4338000000000000u;
    Value* magic = llvm::ConstantFP::get(real, 0x1.8p52);
    const bool converts = isa_ == VectorIsa::avx512;
    const auto to_real = [&](Value* x) -> Value* {
        if (converts) return b_.CreateSIToFP(x, real);
        return b_.CreateFSub(b_.CreateBitCast(b_.CreateAdd(x, integer(magic_bits)), real), magic);
    };
    const auto to_integer = [&](Value* x) -> Value* {
        if (converts) return b_.CreateFPToSI(x, type);
        return b_.CreateSub(b_.CreateBitCast(b_.CreateFAdd(x, magic), type), integer(magic_bits));
    };
    auto* fast = make_block("divide");
    auto* slow = make_block("divide.wide");
    auto* done = make_block("divided");
    b_.CreateCondBr(b_.CreateAndReduce(b_.CreateAnd(small(a), small(b))), fast, slow,
                    llvm::MDBuilder(context_).createBranchWeights(1000, 1));
    b_.SetInsertPoint(fast);
    Value *x = to_real(a), *y = to_real(b);
    Value* q = b_.CreateUnaryIntrinsic(Intrinsic::trunc, b_.CreateFDiv(x, y));
    Value* r = b_.CreateIntrinsic(Intrinsic::fma, {real}, {b_.CreateFNeg(q), y, x});
    Value *fast_quotient = to_integer(q), *fast_rest = to_integer(r);
    b_.CreateBr(done);
    b_.SetInsertPoint(slow);
    Value* slow_quotient = with_sign ? b_.CreateSDiv(a, b) : b_.CreateUDiv(a, b);
    Value* slow_rest = b_.CreateSub(a, b_.CreateMul(slow_quotient, b));
    b_.CreateBr(done);
    b_.SetInsertPoint(done);
    const auto merge = [&](Value* p, Value* s) {
        auto* phi = b_.CreatePHI(type, 2);
        phi->addIncoming(p, fast);
        phi->addIncoming(s, slow);
        return phi;
    };
    auto* quotient = merge(fast_quotient, slow_quotient);
    return {quotient, merge(fast_rest, slow_rest)};
}

}  // namespace kiln::codegen
