// Pure operations on lane values.
#include "codegen/llvm/ops/op_emitter.h"

#include "codegen/llvm/casts.h"
#include "codegen/llvm/ops/roots.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace kiln::codegen {

using ir::Id;
using ir::Node;
using ir::NodeKind;
using ir::Op;
using llvm::Value;
using llvm::Intrinsic::ID;
namespace Intrinsic = llvm::Intrinsic;

OpEmitter::OpEmitter(const ir::Kernel& kernel, const std::vector<bool>& strict_nan, VectorIsa isa,
                     llvm::Module& module, NodeValues& values)
    : kernel_(kernel),
      strict_nan_(strict_nan),
      isa_(isa),
      context_(module.getContext()),
      module_(module),
      values_(values),
      b_(context_) {}

llvm::BasicBlock* OpEmitter::make_block(const char* name) {
    return llvm::BasicBlock::Create(context_, name, b_.GetInsertBlock()->getParent());
}

Value* OpEmitter::alloca_at_entry(llvm::Type* type, const char* name) {
    const llvm::IRBuilder<>::InsertPointGuard guard(b_);
    llvm::BasicBlock& entry = b_.GetInsertBlock()->getParent()->getEntryBlock();
    b_.SetInsertPoint(&entry, entry.begin());
    return b_.CreateAlloca(type, nullptr, name);
}

// ------------------------------------------------------------------------------ types and shapes

llvm::Type* OpEmitter::compute_type(DType t) {
    switch (kind_of(t)) {
        case Kind::boolean: return b_.getInt1Ty();
        case Kind::signed_integer:
        case Kind::unsigned_integer: return b_.getIntNTy(static_cast<unsigned>(8 * size_of(t)));
        case Kind::real:
            if (t == DType::f16) return b_.getHalfTy();
            if (t == DType::bf16) return b_.getInt16Ty();  // its bits: arithmetic is done in f32
            return t == DType::f32 ? b_.getFloatTy() : b_.getDoubleTy();
        case Kind::complex: return compute_type(real_type(t));
    }
    __builtin_unreachable();
}

llvm::Type* OpEmitter::memory_type(DType t) {
    return is_bool(t) ? b_.getInt8Ty() : compute_type(t);
}

Value* OpEmitter::from_memory(Value* v, DType t) {
    return is_bool(t) ? b_.CreateICmpNE(v, llvm::Constant::getNullValue(v->getType())) : v;
}

Value* OpEmitter::to_memory(Value* v, DType t) {
    return is_bool(t) ? b_.CreateZExt(v, like(b_.getInt8Ty(), v)) : v;
}

llvm::Type* OpEmitter::like(llvm::Type* element, Value* shape) {
    auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(shape->getType());
    return vector == nullptr ? element
                             : llvm::FixedVectorType::get(element, vector->getNumElements());
}

Value* OpEmitter::number(Value* shape, double x) {
    return llvm::ConstantFP::get(shape->getType(), x);
}

// ------------------------------------------------------------------------------ values

LaneValue OpEmitter::constant(Id id) {
    const Node& n = kernel_.nodes[id];
    llvm::Type* type = compute_type(n.dtype);
    if (!type->isFloatingPointTy()) return {llvm::ConstantInt::get(type, n.imm), nullptr, false};
    const llvm::APInt bits(static_cast<unsigned>(8 * size_of(n.dtype)), n.imm);
    return {llvm::ConstantFP::get(context_, llvm::APFloat(type->getFltSemantics(), bits)), nullptr,
            false};
}

LaneValue OpEmitter::stepped(Value* base, Value* steps) {
    return {b_.CreateAdd(b_.CreateVectorSplat(lanes_, base), steps), nullptr, true, base, steps};
}

/// The sum, difference or product of integers as a base and constant steps, if it has this form.
std::optional<LaneValue> OpEmitter::stepped_op(const Node& n, std::span<const LaneValue> in) {
    if (!is_integer(n.dtype) || std::ranges::none_of(in, &LaneValue::base)) return std::nullopt;
    const bool sum = n.op == Op::add || n.op == Op::sub;
    if (!sum && n.op != Op::mul) return std::nullopt;
    std::array<Value*, 2> bases{}, steps{};
    for (std::size_t i = 0; i < 2; ++i) {
        const bool is_constant = llvm::isa<llvm::ConstantInt>(in[i].value);
        if (in[i].base == nullptr && (in[i].varying || !(sum || is_constant))) return std::nullopt;
        auto* zero = llvm::Constant::getNullValue(in[i].value->getType()->getScalarType());
        if (in[i].base != nullptr) {
            bases[i] = in[i].base;
            steps[i] = in[i].steps;
        } else {  // constants of sums go to the steps, so that several values share a base
            bases[i] = sum && is_constant ? zero : in[i].value;
            steps[i] = b_.CreateVectorSplat(lanes_, is_constant ? in[i].value : zero);
        }
    }
    if (!sum && in[0].base != nullptr && in[1].base != nullptr) return std::nullopt;
    const auto apply = [&](const std::array<Value*, 2>& x) {
        return n.op == Op::add   ? b_.CreateAdd(x[0], x[1])
               : n.op == Op::sub ? b_.CreateSub(x[0], x[1])
                                 : b_.CreateMul(x[0], x[1]);
    };
    return stepped(apply(bases), apply(steps));
}

Value* OpEmitter::iota(llvm::Type* element) {
    std::vector<llvm::Constant*> lanes;
    for (unsigned l = 0; l < lanes_; ++l) lanes.push_back(llvm::ConstantInt::get(element, l));
    return llvm::ConstantVector::get(lanes);
}

Value* OpEmitter::as_varying(const LaneValue& v, Value* part) {
    return v.varying ? part : b_.CreateVectorSplat(lanes_, part);
}

Value* OpEmitter::varying_value(Id id) {
    const LaneValue v = values_.value(id);
    return as_varying(v, v.value);
}

/// Fast flags of a node as LLVM's. Values that reach isnan and its kin must not become poison.
void OpEmitter::set_fast(const Node& n, Id id) {
    namespace f = ir::fast;
    llvm::FastMathFlags flags;
    const bool strict_nan = strict_nan_[id];
    flags.setNoNaNs((n.fast & f::nnan) != 0 && !strict_nan);
    flags.setNoInfs((n.fast & f::ninf) != 0 && !strict_nan);
    flags.setNoSignedZeros((n.fast & f::nsz) != 0);
    flags.setAllowReciprocal((n.fast & f::arcp) != 0);
    flags.setAllowContract((n.fast & f::contract) != 0);
    flags.setApproxFunc((n.fast & f::afn) != 0);
    flags.setAllowReassoc((n.fast & f::reassoc) != 0);
    b_.setFastMathFlags(flags);
}

// ------------------------------------------------------------------------------ operations

/// x of 1 / sqrt(x), where both operations may be approximate; none: it is something else.
static Id reciprocal_of_root(const ir::Kernel& kernel, const Node& n) {
    constexpr std::uint8_t loose = ir::fast::afn | ir::fast::arcp;
    if ((n.op != Op::div && n.op != Op::true_divide) || (n.fast & loose) != loose ||
        (n.dtype != DType::f32 && n.dtype != DType::f64))
        return ir::none;
    const auto operands = kernel.operands_of(n);
    const Node &one = kernel.nodes[operands[0]], &root = kernel.nodes[operands[1]];
    if (one.kind != NodeKind::constant ||
        kernel.constant(operands[0]).cast(DType::f64).get<double>() != 1 ||
        root.kind != NodeKind::op || root.op != Op::sqrt || (root.fast & ir::fast::afn) == 0)
        return ir::none;
    return kernel.operand(operands[1], 0);
}

LaneValue OpEmitter::emit_op(Id id) {
    const Node& n = kernel_.nodes[id];
    const auto operands = kernel_.operands_of(n);
    std::array<LaneValue, 3> in;
    bool varying = false;
    for (std::size_t i = 0; i < operands.size(); ++i) {
        in[i] = values_.value(operands[i]);
        varying = varying || in[i].varying;
    }
    if (n.op == Op::make_complex)
        return {varying ? as_varying(in[0], in[0].value) : in[0].value,
                varying ? as_varying(in[1], in[1].value) : in[1].value, varying};
    if (n.op == Op::real) return {in[0].value, nullptr, varying};
    if (n.op == Op::imag)
        return {in[0].imag != nullptr ? in[0].imag
                                      : llvm::Constant::getNullValue(in[0].value->getType()),
                nullptr, varying};

    if (const auto simple = stepped_op(n, std::span(in.data(), operands.size()))) return *simple;

    std::array<Value*, 3> a{};
    for (std::size_t i = 0; i < operands.size(); ++i)
        a[i] = varying ? as_varying(in[i], in[i].value) : in[i].value;
    const std::span<Value* const> args(a.data(), operands.size());
    set_fast(n, id);
    const DType t = n.op == Op::select ? n.dtype : kernel_.nodes[operands[0]].dtype;
    if (is_complex(t) || t == DType::f16 || t == DType::bf16) {
        if (n.op != Op::select || is_complex(t))
            throw Error(ErrorKind::internal, std::string(info(n.op).name) + " of " +
                                                 std::string(name(t)) + " reached code generation");
    }
    Value* result = nullptr;
    if (n.op == Op::select) {
        b_.clearFastMathFlags();  // nnan would make a NaN that is not chosen poison too
        result = b_.CreateSelect(a[0], a[1], a[2]);
    } else if (const Id root = reciprocal_of_root(kernel_, n);
               root != ir::none && isa_ == VectorIsa::avx512 && roots_are_the_limit(kernel_, t)) {
        const LaneValue of = values_.value(root);
        b_.clearFastMathFlags();
        return {estimated_root(b_, of.value, true, n.fast), nullptr, of.varying};
    } else if (is_real(t)) {
        result = real_op(n.op, t, args, n);
    } else {
        b_.clearFastMathFlags();  // integers are divided by way of floats, exactly
        result = integer_op(n.op, t, args, n);
    }
    b_.clearFastMathFlags();
    return {result, nullptr, varying};
}

Value* OpEmitter::compare(Op op, DType t, Value* a, Value* b) {
    using P = llvm::CmpInst::Predicate;
    const bool is_signed_type = is_signed(t);
    const auto pick = [&](P real, P with_sign, P without) {
        if (!is_real(t)) return b_.CreateICmp(is_signed_type ? with_sign : without, a, b);
        b_.clearFastMathFlags();  // comparisons see NaN whatever the flags
        return b_.CreateFCmp(real, a, b);
    };
    switch (op) {
        case Op::eq: return pick(P::FCMP_OEQ, P::ICMP_EQ, P::ICMP_EQ);
        case Op::ne: return pick(P::FCMP_UNE, P::ICMP_NE, P::ICMP_NE);
        case Op::lt: return pick(P::FCMP_OLT, P::ICMP_SLT, P::ICMP_ULT);
        case Op::le: return pick(P::FCMP_OLE, P::ICMP_SLE, P::ICMP_ULE);
        case Op::gt: return pick(P::FCMP_OGT, P::ICMP_SGT, P::ICMP_UGT);
        default: return pick(P::FCMP_OGE, P::ICMP_SGE, P::ICMP_UGE);
    }
}

Value* OpEmitter::shift(Op op, DType t, Value* a, Value* b) {
    const unsigned width = static_cast<unsigned>(8 * size_of(t));
    auto* type = a->getType();
    Value* inside = b_.CreateICmpULT(b, llvm::ConstantInt::get(type, width));
    Value* zero = llvm::Constant::getNullValue(type);
    if (op == Op::shr && is_signed(t))
        return b_.CreateAShr(a,
                             b_.CreateSelect(inside, b, llvm::ConstantInt::get(type, width - 1)));
    Value* amount = b_.CreateSelect(inside, b, zero);
    Value* shifted = op == Op::shl ? b_.CreateShl(a, amount) : b_.CreateLShr(a, amount);
    return b_.CreateSelect(inside, shifted, zero);
}

/// a ** b by repeated squaring until no lane has exponent bits left; 0 for b < 0.
//
//   for (result = 1, left = b; any(left != 0); left >>= 1, a *= a) if (left & 1) result *= a;
Value* OpEmitter::integer_power(DType t, Value* a, Value* b) {
    auto* type = a->getType();
    Value *zero = llvm::Constant::getNullValue(type), *one = llvm::ConstantInt::get(type, 1);
    Value* negative = is_signed(t) ? b_.CreateICmpSLT(b, zero) : nullptr;
    Value* exponent = negative != nullptr ? b_.CreateSelect(negative, zero, b) : b;
    llvm::BasicBlock* before = b_.GetInsertBlock();
    auto* head = make_block("power");
    auto* body = make_block("power.body");
    auto* done = make_block("power.end");
    b_.CreateBr(head);
    b_.SetInsertPoint(head);
    auto* left = b_.CreatePHI(type, 2, "left");
    auto* base = b_.CreatePHI(type, 2, "base");
    auto* result = b_.CreatePHI(type, 2, "result");
    Value* more = b_.CreateICmpNE(left, zero);
    if (type->isVectorTy()) more = b_.CreateOrReduce(more);
    b_.CreateCondBr(more, body, done);
    b_.SetInsertPoint(body);
    Value* odd = b_.CreateICmpNE(b_.CreateAnd(left, one), zero);
    Value* product = b_.CreateSelect(odd, b_.CreateMul(result, base), result);
    left->addIncoming(exponent, before);
    left->addIncoming(b_.CreateLShr(left, one), body);
    base->addIncoming(a, before);
    base->addIncoming(b_.CreateMul(base, base), body);
    result->addIncoming(one, before);
    result->addIncoming(product, body);
    b_.CreateBr(head);
    b_.SetInsertPoint(done);
    return negative != nullptr ? b_.CreateSelect(negative, zero, result) : result;
}

Value* OpEmitter::integer_op(Op op, DType t, std::span<Value* const> a, const Node& n) {
    auto* type = a[0]->getType();
    const bool boolean = is_bool(t), with_sign = is_signed(t);
    switch (op) {
        case Op::add: return boolean ? b_.CreateOr(a[0], a[1]) : b_.CreateAdd(a[0], a[1]);
        case Op::sub: return b_.CreateSub(a[0], a[1]);
        case Op::mul: return boolean ? b_.CreateAnd(a[0], a[1]) : b_.CreateMul(a[0], a[1]);
        case Op::neg: return b_.CreateNeg(a[0]);
        case Op::div:
        case Op::rem:
        case Op::fmod:
        case Op::mod:
        case Op::floor_divide: return integer_division(op, t, a[0], a[1]);
        case Op::bit_and:
        case Op::logical_and: return b_.CreateAnd(a[0], a[1]);
        case Op::bit_or:
        case Op::logical_or: return b_.CreateOr(a[0], a[1]);
        case Op::bit_xor:
        case Op::logical_xor: return b_.CreateXor(a[0], a[1]);
        case Op::bit_not:
        case Op::logical_not: return b_.CreateNot(a[0]);
        case Op::shl:
        case Op::shr: return shift(op, t, a[0], a[1]);
        case Op::eq:
        case Op::ne:
        case Op::lt:
        case Op::le:
        case Op::gt:
        case Op::ge: return compare(op, t, a[0], a[1]);
        case Op::minimum:
        case Op::fmin:
            return boolean ? b_.CreateAnd(a[0], a[1])
                           : b_.CreateBinaryIntrinsic(with_sign ? Intrinsic::smin : Intrinsic::umin,
                                                      a[0], a[1]);
        case Op::maximum:
        case Op::fmax:
            return boolean ? b_.CreateOr(a[0], a[1])
                           : b_.CreateBinaryIntrinsic(with_sign ? Intrinsic::smax : Intrinsic::umax,
                                                      a[0], a[1]);
        case Op::abs:
            return with_sign ? b_.CreateBinaryIntrinsic(Intrinsic::abs, a[0], b_.getFalse()) : a[0];
        case Op::sign: {
            Value* zero = llvm::Constant::getNullValue(type);
            if (boolean) return a[0];
            Value* positive = b_.CreateZExt(
                with_sign ? b_.CreateICmpSGT(a[0], zero) : b_.CreateICmpNE(a[0], zero), type);
            return with_sign
                       ? b_.CreateSub(positive, b_.CreateZExt(b_.CreateICmpSLT(a[0], zero), type))
                       : positive;
        }
        case Op::pow: return integer_power(t, a[0], a[1]);
        case Op::isnan:
        case Op::isinf: return llvm::Constant::getNullValue(like(b_.getInt1Ty(), a[0]));
        case Op::isfinite: return llvm::Constant::getAllOnesValue(like(b_.getInt1Ty(), a[0]));
        case Op::signbit: {
            Value* zero = llvm::Constant::getNullValue(type);
            return with_sign ? b_.CreateICmpSLT(a[0], zero)
                             : llvm::Constant::getNullValue(like(b_.getInt1Ty(), a[0]));
        }
        case Op::conj:
        case Op::floor:
        case Op::ceil:
        case Op::trunc:
        case Op::rint: return a[0];
        default: break;
    }
    throw Error(ErrorKind::unsupported,
                std::string(info(op).name) + " has no form for " + std::string(name(t)),
                kernel_.location(n.loc));
}

/// Floored division and modulus by NumPy's algorithm: the remainder is exact, the quotient is
/// rounded to the nearest integer value.
Value* OpEmitter::float_division(Op op, Value* a, Value* b) {
    Value* zero = number(a, 0.0);
    Value* remainder = b_.CreateFRem(a, b);
    Value* opposite = b_.CreateXor(b_.CreateFCmpOLT(b, zero), b_.CreateFCmpOLT(remainder, zero));
    Value* nonzero = b_.CreateFCmpUNE(remainder, zero);
    Value* adjust = b_.CreateAnd(nonzero, opposite);
    if (op == Op::mod) {
        Value* signed_zero = b_.CreateBinaryIntrinsic(Intrinsic::copysign, zero, b);
        return b_.CreateSelect(
            nonzero, b_.CreateSelect(adjust, b_.CreateFAdd(remainder, b), remainder), signed_zero);
    }
    Value* plain = b_.CreateFDiv(a, b);
    Value* exact = b_.CreateFDiv(b_.CreateFSub(a, remainder), b);
    Value* quotient = b_.CreateSelect(adjust, b_.CreateFSub(exact, number(a, 1.0)), exact);
    Value* floored = b_.CreateUnaryIntrinsic(Intrinsic::floor, quotient);
    Value* short_by_one = b_.CreateFCmpOGT(b_.CreateFSub(quotient, floored), number(a, 0.5));
    Value* rounded = b_.CreateSelect(short_by_one, b_.CreateFAdd(floored, number(a, 1.0)), floored);
    Value* signed_zero = b_.CreateBinaryIntrinsic(Intrinsic::copysign, zero, plain);
    Value* result = b_.CreateSelect(b_.CreateFCmpUNE(quotient, zero), rounded, signed_zero);
    return b_.CreateSelect(b_.CreateFCmpOEQ(b, zero), plain, result);
}

Value* OpEmitter::classify(Op op, Value* a) {
    const bool single = a->getType()->getScalarType()->isFloatTy();
    auto* bits_type = like(single ? b_.getInt32Ty() : b_.getInt64Ty(), a);
    Value* bits = b_.CreateBitCast(a, bits_type);
    Value* infinity =
        llvm::ConstantInt::get(bits_type, single ? 0x7f800000U : 0x7ff0000000000000ULL);
    if (op == Op::signbit) return b_.CreateICmpSLT(bits, llvm::Constant::getNullValue(bits_type));
    Value* magnitude = b_.CreateAnd(
        bits, llvm::ConstantInt::get(bits_type, single ? 0x7fffffffU : 0x7fffffffffffffffULL));
    if (op == Op::isnan) return b_.CreateICmpUGT(magnitude, infinity);
    return op == Op::isinf ? b_.CreateICmpEQ(magnitude, infinity)
                           : b_.CreateICmpULT(magnitude, infinity);
}

/// Whether an operation on reals is an instruction of LLVM's. Others are made of several, which
/// count on exact results and on infinities and NaN between them: these carry no fast flags.
static bool is_one_instruction(Op op, std::uint8_t fast) {
    switch (op) {
        case Op::rem:
        case Op::fmod:  // an instruction, but what it becomes divides
        case Op::mod:
        case Op::floor_divide:
        case Op::sign: return false;
        case Op::fmin:
        case Op::fmax: return (fast & ir::fast::nsz) != 0;
        default: return true;
    }
}

/// Whether LLVM would compute the operation on f32 that come from f16 in f16, since that makes no
/// difference to the result. CPUs do not: it is then computed lane by lane, and the extremes lose
/// NaN.
static bool narrowed_by_llvm(Op op) {
    switch (op) {
        case Op::minimum:
        case Op::maximum:
        case Op::fmin:
        case Op::fmax:
        case Op::eq:
        case Op::ne:
        case Op::lt:
        case Op::le:
        case Op::gt:
        case Op::ge:
        case Op::sign:
        case Op::mod:
        case Op::floor_divide:
        case Op::floor:
        case Op::ceil:
        case Op::trunc:
        case Op::rint: return true;
        default: return ir::is_elementary(op);  // in which there are comparisons
    }
}

/// `a`, hidden from the optimiser where it is an f32 that comes from f16.
Value* OpEmitter::stays_wide(Value* a) {
    auto* extension = llvm::dyn_cast<llvm::FPExtInst>(a);
    const bool from_f16 =
        extension != nullptr && extension->getSrcTy()->getScalarType()->isHalfTy();
    return from_f16 ? b_.CreateArithmeticFence(a, a->getType()) : a;
}

Value* OpEmitter::real_op(Op op, DType t, std::span<Value* const> a, const Node& n) {
    const auto unary = [&](ID id) { return b_.CreateUnaryIntrinsic(id, a[0]); };
    const auto binary = [&](ID id) { return b_.CreateBinaryIntrinsic(id, a[0], a[1]); };
    if (!is_one_instruction(op, n.fast)) b_.clearFastMathFlags();
    std::array<Value*, 3> wide{};
    if (narrowed_by_llvm(op)) {
        std::ranges::transform(a, wide.begin(), [&](Value* x) { return stays_wide(x); });
        a = std::span<Value* const>(wide.data(), a.size());
    }
    switch (op) {
        case Op::add: return b_.CreateFAdd(a[0], a[1]);
        case Op::sub: return b_.CreateFSub(a[0], a[1]);
        case Op::mul: return b_.CreateFMul(a[0], a[1]);
        case Op::neg: return b_.CreateFNeg(a[0]);
        case Op::div:
        case Op::true_divide: return b_.CreateFDiv(a[0], a[1]);
        case Op::rem:
        case Op::fmod: return b_.CreateFRem(a[0], a[1]);
        case Op::mod:
        case Op::floor_divide: return float_division(op, a[0], a[1]);
        case Op::eq:
        case Op::ne:
        case Op::lt:
        case Op::le:
        case Op::gt:
        case Op::ge: return compare(op, t, a[0], a[1]);
        case Op::fma:
            return b_.CreateIntrinsic(Intrinsic::fma, {a[0]->getType()}, {a[0], a[1], a[2]});
        case Op::minimum: return binary(Intrinsic::minimum);
        case Op::maximum: return binary(Intrinsic::maximum);
        case Op::fmin:
        case Op::fmax: {
            const bool least = op == Op::fmin;
            if ((n.fast & ir::fast::nsz) != 0)
                return binary(least ? Intrinsic::minnum : Intrinsic::maxnum);
            // minnum may return either of two zeros; minimum orders them.
            Value* x = b_.CreateSelect(b_.CreateFCmpUNO(a[0], a[0]), a[1], a[0]);
            Value* y = b_.CreateSelect(b_.CreateFCmpUNO(a[1], a[1]), a[0], a[1]);
            return b_.CreateBinaryIntrinsic(least ? Intrinsic::minimum : Intrinsic::maximum, x, y);
        }
        case Op::abs: return unary(Intrinsic::fabs);
        case Op::sign: {
            Value* zero = number(a[0], 0.0);
            Value* nonzero = b_.CreateFCmpONE(a[0], zero);
            Value* unit = b_.CreateBinaryIntrinsic(Intrinsic::copysign, number(a[0], 1.0), a[0]);
            Value* is_zero = b_.CreateFCmpOEQ(a[0], zero);
            return b_.CreateSelect(nonzero, unit, b_.CreateSelect(is_zero, zero, a[0]));
        }
        case Op::floor: return unary(Intrinsic::floor);
        case Op::ceil: return unary(Intrinsic::ceil);
        case Op::trunc: return unary(Intrinsic::trunc);
        case Op::rint: return unary(Intrinsic::roundeven);
        case Op::sqrt:
            if (isa_ == VectorIsa::avx512 && (n.fast & ir::fast::afn) != 0 &&
                roots_are_the_limit(kernel_, t)) {
                b_.clearFastMathFlags();  // the steps are exact about what they compensate
                return estimated_root(b_, a[0], false, n.fast);
            }
            return unary(Intrinsic::sqrt);
        case Op::copysign: return binary(Intrinsic::copysign);
        case Op::signbit:
        case Op::isnan:
        case Op::isinf:
        case Op::isfinite: return classify(op, a[0]);
        case Op::conj: return a[0];
        default: break;
    }
    if (ir::is_elementary(op)) return elementary(op, t, a, (n.fast & ir::fast::afn) != 0);
    throw Error(ErrorKind::unsupported,
                std::string(info(op).name) + " has no form for " + std::string(name(t)),
                kernel_.location(n.loc));
}

// ------------------------------------------------------------------------------ conversions

LaneValue OpEmitter::emit_cast(Id id) {
    const Node& n = kernel_.nodes[id];
    const LaneValue v = values_.value(kernel_.operand(id, 0));
    const DType from = kernel_.nodes[kernel_.operand(id, 0)].dtype, to = n.dtype;
    if (is_complex(from) && is_complex(to))
        return {convert(v.value, real_type(from), real_type(to)),
                convert(v.imag, real_type(from), real_type(to)), v.varying};
    if (is_complex(to)) {
        Value* real = convert(v.value, from, real_type(to));
        return {real, llvm::Constant::getNullValue(real->getType()), v.varying};
    }
    if (is_complex(from) && is_bool(to)) {
        Value* zero = llvm::Constant::getNullValue(v.value->getType());
        return {b_.CreateOr(b_.CreateFCmpUNE(v.value, zero), b_.CreateFCmpUNE(v.imag, zero)),
                nullptr, v.varying};
    }
    if (v.base != nullptr && is_integer(to) && size_of(to) <= size_of(from))
        return stepped(convert(v.base, from, to), convert(v.steps, from, to));
    return {convert(v.value, real_type(from), to), nullptr, v.varying};
}

/// f64 as f32, rounded to odd: where it is not exact, the neighbour whose last digit is 1. What is
/// rounded from that to 16 bits is as if it were rounded from `v`.
Value* OpEmitter::to_odd(Value* v) {
    auto *i64 = like(b_.getInt64Ty(), v), *i32 = like(b_.getInt32Ty(), v);
    Value* near = b_.CreateFPTrunc(v, like(b_.getFloatTy(), v));
    Value* back = b_.CreateFPExt(near, v->getType());
    const auto magnitude = [&](Value* x) {
        return b_.CreateAnd(b_.CreateBitCast(x, i64), llvm::ConstantInt::get(i64, INT64_MAX));
    };
    Value* away = b_.CreateICmpSGT(magnitude(back), magnitude(v));
    Value* bits = b_.CreateAdd(b_.CreateBitCast(near, i32), b_.CreateSExt(away, i32));
    Value* odd = b_.CreateOr(bits, llvm::ConstantInt::get(i32, 1));
    Value* exact = b_.CreateICmpEQ(b_.CreateBitCast(back, i64), b_.CreateBitCast(v, i64));
    return b_.CreateSelect(exact, near, b_.CreateBitCast(odd, near->getType()));
}

/// The number `v`, of bits, without those of `low`, 2^k - 1: that one was not 0 becomes the bit
/// above them.
static Value* shortened(llvm::IRBuilder<>& b, Value* v, std::uint64_t low) {
    Value* mask = llvm::ConstantInt::get(v->getType(), low);
    Value* carry = b.CreateAdd(b.CreateAnd(v, mask), mask);
    return b.CreateAnd(b.CreateOr(v, carry), b.CreateNot(mask));
}

/// A number as f32, for a second rounding to `to`, of 16 bits: what f32 does not hold keeps more
/// digits than `to` has, and a last one that tells whether anything is missing.
Value* OpEmitter::rounds_once(Value* v, DType from, DType to) {
    if (from == DType::f64 && to == DType::bf16) return to_odd(v);
    if (from == DType::f64) {
        // Below the normal numbers of f32, where this would round twice, f16 has nothing but 0.
        auto* i64 = like(b_.getInt64Ty(), v);
        constexpr std::uint64_t below_f32 = (std::uint64_t(1) << 29) - 1;
        Value* bits = shortened(b_, b_.CreateBitCast(v, i64), below_f32);
        return convert(b_.CreateBitCast(bits, v->getType()), from, DType::f32);
    }
    // Integers that f32 does not hold are infinite in f16.
    if (to == DType::f16 || !is_integer(from) || size_of(from) < 4)
        return convert(v, from, DType::f32);
    // From where f32 (of 64 bits: f64) does not hold all on, integers lose as many bits as the
    // largest have too many. Halfway between two bf16 are multiples of larger powers of two.
    const bool wide = size_of(from) == 8;
    const std::uint64_t limit = std::uint64_t(1) << (wide ? 53 : 24), low = wide ? 0x7ff : 0xff;
    auto* type = v->getType();
    Value* distance = is_signed(from) ? b_.CreateAdd(v, llvm::ConstantInt::get(type, limit)) : v;
    Value* large = b_.CreateICmpUGT(
        distance, llvm::ConstantInt::get(type, is_signed(from) ? 2 * limit : limit));
    v = b_.CreateSelect(large, shortened(b_, v, low), v);
    return wide ? to_odd(convert(v, from, DType::f64)) : convert(v, from, DType::f32);
}

Value* OpEmitter::convert(Value* v, DType from, DType to) {
    if (from == to) return v;
    auto* type = like(compute_type(to), v);
    auto* i32 = like(b_.getInt32Ty(), v);
    const auto of_bits = [&](std::uint32_t x) { return llvm::ConstantInt::get(i32, x); };
    if (from == DType::bf16) {
        Value* wide = b_.CreateShl(b_.CreateZExt(v, i32), of_bits(16));
        return convert(b_.CreateBitCast(wide, like(b_.getFloatTy(), v)), DType::f32, to);
    }
    if (from == DType::f16 && to != DType::f32)
        return convert(b_.CreateFPExt(v, like(b_.getFloatTy(), v)), DType::f32, to);
    if ((to == DType::f16 || to == DType::bf16) && from != DType::f32)
        return convert(rounds_once(v, from, to), DType::f32, to);
    if (to == DType::bf16) {  // round to nearest even on the bits; a NaN stays one
        Value* bits = b_.CreateBitCast(v, i32);
        Value* odd = b_.CreateAnd(b_.CreateLShr(bits, of_bits(16)), of_bits(1));
        Value* rounded = b_.CreateAdd(bits, b_.CreateAdd(odd, of_bits(0x7fff)));
        Value* is_nan =
            b_.CreateICmpUGT(b_.CreateAnd(bits, of_bits(0x7fffffffU)), of_bits(0x7f800000U));
        Value* chosen = b_.CreateSelect(is_nan, b_.CreateOr(bits, of_bits(0x400000U)), rounded);
        return b_.CreateTrunc(b_.CreateLShr(chosen, of_bits(16)), type);
    }
    if (is_bool(to)) {
        Value* zero = llvm::Constant::getNullValue(v->getType());
        return is_real(from) ? b_.CreateFCmpUNE(v, zero) : b_.CreateICmpNE(v, zero);
    }
    if (is_real(to)) {
        if (is_real(from)) return b_.CreateFPCast(v, type);
        return is_signed(from) ? b_.CreateSIToFP(v, type) : b_.CreateUIToFP(v, type);
    }
    // Of one such number LLVM's conversion is shorter: the instruction's own result, corrected. Where it
    // makes vectors of loops they become the other one (transforms/saturated_casts.h).
    if (is_real(from) && is_signed(to) && size_of(to) >= 4 && !type->isVectorTy())
        return b_.CreateIntrinsic(Intrinsic::fptosi_sat, {type, v->getType()}, {v});
    if (is_real(from)) return saturated(b_, v, type, is_signed(to));
    return is_signed(from) ? b_.CreateSExtOrTrunc(v, type) : b_.CreateZExtOrTrunc(v, type);
}

}  // namespace kiln::codegen
