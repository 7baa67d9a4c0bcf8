// Elementary functions: SLEEF's vector functions, repaired where they leave their error bound.
#include "codegen/llvm/ops/op_emitter.h"
#include "codegen/llvm/ops/vector_math.h"

#include <llvm/IR/MDBuilder.h>

#include <algorithm>
#include <cmath>

namespace kiln::codegen {

using ir::Op;
using llvm::BasicBlock;
using llvm::Value;
namespace Intrinsic = llvm::Intrinsic;

/// SLEEF's function for `lanes` elements, which fill a register. The deterministic forms (finz_
/// with FMA, cinz_ without): in the others a lane's bits depend on its neighbours, as all lanes
/// take the way of the worst one.
Value* OpEmitter::call_sleef(Op op, DType t, unsigned lanes, std::span<Value* const> a) {
    const std::string_view spelling = info(op).sleef;
    const std::size_t comma = spelling.find(',');
    const unsigned bytes = lanes * static_cast<unsigned>(size_of(t));
    const bool fma = isa_ != VectorIsa::sse2;
    const char* isa = bytes == 64 ? "avx512f" : bytes == 32 ? "avx2" : fma ? "avx2128" : "sse2";
    const std::string symbol = std::string(fma ? "Sleef_finz_" : "Sleef_cinz_") +
                               std::string(spelling.substr(0, comma)) +
                               (t == DType::f32 ? "f" : "d") + std::to_string(lanes) + "_" +
                               std::string(spelling.substr(comma + 1)) + isa;
    const std::vector<llvm::Type*> types(a.size(), a[0]->getType());
    return call_pure(symbol, llvm::FunctionType::get(a[0]->getType(), types, false), a);
}

Value* OpEmitter::call_pure(const std::string& symbol, llvm::FunctionType* type,
                            std::span<Value* const> a) {
    auto callee = module_.getOrInsertFunction(symbol, type);
    auto* function = llvm::cast<llvm::Function>(callee.getCallee());
    function->addFnAttr(llvm::Attribute::NoUnwind);
    function->addFnAttr(llvm::Attribute::WillReturn);
    function->setDoesNotAccessMemory();
    return b_.CreateCall(callee, llvm::ArrayRef<Value*>(a.data(), a.size()));
}

/// The function of any number of lanes by whole registers. Fewer lanes, one too, are padded to
/// SLEEF's shortest vector: its scalar functions without FMA give other bits.
Value* OpEmitter::in_registers(Op op, DType t, std::span<Value* const> a) {
    auto* vector = llvm::cast<llvm::FixedVectorType>(a[0]->getType());
    const unsigned lanes = vector->getNumElements();
    std::vector<Value*> part(a.size());
    const unsigned shortest = 16 / static_cast<unsigned>(size_of(t));
    const unsigned longest = vector_bytes(isa_) / static_cast<unsigned>(size_of(t));
    const unsigned width = std::max(shortest, std::min(lanes, longest));
    std::vector<Value*> results;
    for (unsigned from = 0; from < lanes; from += width) {
        std::vector<int> indices;
        for (unsigned i = 0; i < width; ++i)
            indices.push_back(from + i < lanes ? static_cast<int>(from + i) : 0);
        for (std::size_t i = 0; i < a.size(); ++i)
            part[i] = width == lanes ? a[i] : b_.CreateShuffleVector(a[i], indices);
        results.push_back(call_sleef(op, t, width, part));
    }
    while (results.size() > 1) {  // lane counts are powers of two, so halves pair up
        std::vector<Value*> joined;
        for (std::size_t i = 0; i < results.size(); i += 2) {
            const auto count =
                llvm::cast<llvm::FixedVectorType>(results[i]->getType())->getNumElements();
            std::vector<int> indices;
            for (unsigned l = 0; l < 2 * count; ++l) indices.push_back(static_cast<int>(l));
            joined.push_back(b_.CreateShuffleVector(results[i], results[i + 1], indices));
        }
        results = std::move(joined);
    }
    if (width <= lanes) return results[0];
    std::vector<int> indices;
    for (unsigned l = 0; l < lanes; ++l) indices.push_back(static_cast<int>(l));
    return b_.CreateShuffleVector(results[0], indices);
}

/// Whether low < |x| / 2^n < high for a whole number n; 1 <= low, high <= 2. Of f64.
Value* OpEmitter::mantissa_between(Value* x, double low, double high) {
    llvm::Type* bits = x->getType()->getWithNewType(b_.getInt64Ty());
    Value* fraction = b_.CreateAnd(b_.CreateBitCast(x, bits), (std::uint64_t(1) << 52) - 1);
    Value* one = b_.CreateBitCast(number(x, 1.0), bits);
    Value* mantissa = b_.CreateBitCast(b_.CreateOr(fraction, one), x->getType());
    return b_.CreateAnd(b_.CreateFCmpOGT(mantissa, number(x, low)),
                        b_.CreateFCmpOLT(mantissa, number(x, high)));
}

/// Where SLEEF 3.5.1's result `r` may be off by more than the bound, or by a sign; null: nowhere.
/// Found by tests/accuracy.
Value* OpEmitter::doubtful(Op op, DType t, std::span<Value* const> a, Value* r) {
    const bool single = t == DType::f32;
    const auto above = [&](Value* x, double f64, double f32) {
        return b_.CreateFCmpOGT(x, number(x, single ? f32 : f64));
    };
    const auto below = [&](Value* x, double f64, double f32) {
        return b_.CreateFCmpOLT(x, number(x, single ? f32 : f64));
    };
    const auto between = [&](Value* x, double low, double high, double low32, double high32) {
        return b_.CreateAnd(above(x, low, low32), below(x, high, high32));
    };
    const auto magnitude = [&](Value* x) { return b_.CreateUnaryIntrinsic(Intrinsic::fabs, x); };
    const auto finite = [&](Value* x) { return below(magnitude(x), INFINITY, INFINITY); };
    // Of arguments that the reduction to a quarter turn leaves few digits of: up to 14,625 ULP.
    const auto turned_to_zero = [&] {
        return b_.CreateAnd(above(magnitude(a[0]), 1, 1), below(magnitude(r), 0x1p-30, 0x1p-30));
    };
    switch (op) {
        case Op::sin:
        case Op::cos: return single ? nullptr : turned_to_zero();
        case Op::tan:
            if (single) return nullptr;
            return b_.CreateOr(turned_to_zero(), above(magnitude(r), 0x1p30, 0));
        case Op::sinh:  // infinite from where exp(x) is, not exp(x) / 2
        case Op::cosh: return between(magnitude(a[0]), 709.0, 711.0, 88.0, 90.0);
        case Op::exp:  // infinite 1.8e-6 too early
            return single ? nullptr : between(a[0], 709.7, 709.8, 0, 0);
        case Op::pow: {
            if (single) return nullptr;
            Value* overflow = b_.CreateAnd(b_.CreateFCmpOEQ(magnitude(r), number(r, INFINITY)),
                                           b_.CreateAnd(finite(a[0]), finite(a[1])));
            if (isa_ != VectorIsa::sse2) return overflow;
            // Without FMA the error of these logarithms times the exponent is up to 1.36 ULP.
            Value* steep =
                b_.CreateAnd(above(magnitude(a[1]), 512, 0), mantissa_between(a[0], 1.39, 1.51));
            return b_.CreateOr(overflow, steep);
        }
        case Op::asinh:  // infinite from where x * x is
        case Op::acosh: return between(magnitude(a[0]), 0x1p511, INFINITY, 0x1p63, INFINITY);
        case Op::log1p: return between(a[0], 1e307, INFINITY, 1e38, INFINITY);
        case Op::erf:  // subnormal results
            return between(magnitude(a[0]), 0, 0x1p-1018, 0, 0x1p-122);
        case Op::erfc: return between(a[0], 26.0, 28.0, 9.0, 10.1);
        case Op::hypot:  // subnormal operands and parts of them
            return between(r, 0, 0x1p-960, 0, 0x1p-100);
        case Op::atan2: {
            Value* tiny = b_.CreateAnd(below(magnitude(r), 0x1p-1018, 0x1p-122),
                                       b_.CreateAnd(above(magnitude(a[0]), 0, 0), finite(a[1])));
            if (single) return tiny;
            return b_.CreateOr(tiny, between(magnitude(r), 0.755, 0.80, 0, 0));  // 1.004 ULP
        }
        case Op::tgamma: {  // the sign of results that underflow; early overflow
            Value* ends = b_.CreateOr(between(a[0], -INFINITY, -145.0, -INFINITY, -33.0),
                                      between(a[0], 145.0, 171.7, 35.0, 35.1));
            if (single) return ends;
            // up to 1.08 ULP
            return b_.CreateOr(ends, between(magnitude(a[0]), 78.0, 101.0, 0, 0));
        }
        case Op::lgamma:  // zeros between the poles; early overflow
            return b_.CreateOr(b_.CreateAnd(below(a[0], 0, 0), below(magnitude(r), 8, 8)),
                               between(a[0], 2e305, INFINITY, 4e36, INFINITY));
        default: return nullptr;
    }
}

/// f(x) = x for small x, where SLEEF loses the sign of the result or its last bits.
Value* OpEmitter::near_zero(Op op, DType t, Value* x, Value* r) {
    const bool single = t == DType::f32;
    double limit = 0;
    switch (op) {
        case Op::tan:
        case Op::sinh:
        case Op::asinh:
        case Op::tanh:
        case Op::atanh: limit = single ? 0x1p-13 : 0x1p-28; break;  // x + O(x^3)
        case Op::log1p: limit = single ? 0x1p-26 : 0x1p-55; break;  // x + O(x^2)
        default: return r;
    }
    Value* small = b_.CreateFCmpOLT(b_.CreateUnaryIntrinsic(Intrinsic::fabs, x), number(x, limit));
    return b_.CreateSelect(small, x, r);
}

/// The doubtful lanes of `r` computed again, one after the other.
//
//   if (any(doubt)) for (bits = doubt; bits != 0; bits &= bits - 1) r[ctz(bits)] =
//   careful(a[ctz(bits)]);
Value* OpEmitter::recompute(Op op, DType t, std::span<Value* const> a, Value* r, Value* doubt) {
    auto* f64 = b_.getDoubleTy();
    auto* i64 = b_.getInt64Ty();
    const unsigned lanes = llvm::cast<llvm::FixedVectorType>(r->getType())->getNumElements();
    Value* bits = b_.CreateZExt(b_.CreateBitCast(doubt, b_.getIntNTy(lanes)), i64);
    auto* repair = make_block("repair");
    auto* next = make_block("repaired");
    BasicBlock* before = b_.GetInsertBlock();
    b_.CreateCondBr(b_.CreateICmpNE(bits, b_.getInt64(0)), repair, next,
                    llvm::MDBuilder(context_).createBranchWeights(1, 1000));
    b_.SetInsertPoint(repair);
    auto* left = b_.CreatePHI(i64, 2, "left");
    auto* fixed = b_.CreatePHI(r->getType(), 2, "fixed");
    Value* lane = b_.CreateBinaryIntrinsic(Intrinsic::cttz, left, b_.getTrue());
    std::vector<Value*> operands;
    for (std::size_t i = 0; i < 2; ++i) {
        Value* x = b_.CreateExtractElement(a[i < a.size() ? i : 0], lane);
        operands.push_back(t == DType::f32 ? b_.CreateFPExt(x, f64) : x);
    }
    Value* exact = call_pure("kiln_careful_" + std::string(info(op).name),
                             llvm::FunctionType::get(f64, {f64, f64}, false), operands);
    if (t == DType::f32) exact = b_.CreateFPTrunc(exact, b_.getFloatTy());
    Value* updated = b_.CreateInsertElement(fixed, exact, lane);
    Value* rest = b_.CreateAnd(left, b_.CreateSub(left, b_.getInt64(1)));
    left->addIncoming(bits, before);
    left->addIncoming(rest, repair);
    fixed->addIncoming(r, before);
    fixed->addIncoming(updated, repair);
    b_.CreateCondBr(b_.CreateICmpNE(rest, b_.getInt64(0)), repair, next);
    b_.SetInsertPoint(next);
    auto* result = b_.CreatePHI(r->getType(), 2);
    result->addIncoming(r, before);
    result->addIncoming(updated, repair);
    return result;
}

Value* OpEmitter::elementary(Op op, DType t, std::span<Value* const> a, bool afn) {
    b_.clearFastMathFlags();  // comparisons here see infinities and NaN whatever the flags
    const MathDefinition definition = math_definition(op);
    // Without FMA the definitions would call a library for each of theirs.
    if (definition == nullptr || isa_ == VectorIsa::sse2) return library_call(op, t, a);
    const auto rare = [&] {
        // Behind a fence, or equal values of the usual path would be kept alive through its
        // registers, to save an operation here.
        std::vector<Value*> fenced;
        for (Value* x : a)
            fenced.push_back(b_.CreateIntrinsic(Intrinsic::arithmetic_fence, {x->getType()}, {x}));
        return library_call(op, t, fenced);
    };
    MathBuilder math(b_, a[0]->getType(), afn, rare);
    return definition(math, a);
}

/// The function by SLEEF, whatever the number of lanes, within its bound.
Value* OpEmitter::library_call(Op op, DType t, std::span<Value* const> a) {
    if (!a[0]->getType()->isVectorTy()) {
        std::vector<Value*> vectors;
        for (Value* x : a) vectors.push_back(b_.CreateVectorSplat(1, x));
        return b_.CreateExtractElement(library_call(op, t, vectors), std::uint64_t(0));
    }
    Value* r = near_zero(op, t, a[0], in_registers(op, t, a));
    if (op == Op::exp10 && t == DType::f64 && isa_ == VectorIsa::sse2) {
        // Up to 1.06 ULP where 10^x is farthest from powers of two; as a power it is within 0.9.
        Value* const power[] = {number(a[0], 10.0), a[0]};
        MathBuilder math(b_, r->getType(), false, [&] { return in_registers(Op::pow, t, power); });
        return math.unless(mantissa_between(r, 1.355, 1.51), r);
    }
    Value* doubt = doubtful(op, t, a, r);
    return doubt == nullptr ? r : recompute(op, t, a, r, doubt);
}

}  // namespace kiln::codegen
