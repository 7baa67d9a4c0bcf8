#include "codegen/llvm/ops/roots.h"

#include <llvm/IR/IntrinsicsX86.h>

#include <algorithm>
#include <vector>

namespace kiln::codegen {

using llvm::Value;
namespace Intrinsic = llvm::Intrinsic;

namespace {

/// What AVX-512 has for vectors of one length.
struct Register {
    Intrinsic::ID estimate, repair;
};
Register register_of(bool f64, unsigned lanes) {
    const unsigned bytes = lanes * (f64 ? 8 : 4);
    if (bytes == 16)
        return f64 ? Register{Intrinsic::x86_avx512_rsqrt14_pd_128,
                              Intrinsic::x86_avx512_mask_fixupimm_pd_128}
                   : Register{Intrinsic::x86_avx512_rsqrt14_ps_128,
                              Intrinsic::x86_avx512_mask_fixupimm_ps_128};
    if (bytes == 32)
        return f64 ? Register{Intrinsic::x86_avx512_rsqrt14_pd_256,
                              Intrinsic::x86_avx512_mask_fixupimm_pd_256}
                   : Register{Intrinsic::x86_avx512_rsqrt14_ps_256,
                              Intrinsic::x86_avx512_mask_fixupimm_ps_256};
    return f64 ? Register{Intrinsic::x86_avx512_rsqrt14_pd_512,
                          Intrinsic::x86_avx512_mask_fixupimm_pd_512}
               : Register{Intrinsic::x86_avx512_rsqrt14_ps_512,
                          Intrinsic::x86_avx512_mask_fixupimm_ps_512};
}

/// One register. With e near 1/sqrt(x), s = x e and h = e / 2: t = 1/2 - s h is by how much s and h
/// are too small, relatively, but for terms in t^2; e is good to 2^-14.
Value* root_of_register(llvm::IRBuilder<>& b, Value* x, bool reciprocal, std::uint8_t fast) {
    auto* type = llvm::cast<llvm::FixedVectorType>(x->getType());
    const unsigned lanes = type->getNumElements();
    const bool f64 = type->getElementType()->isDoubleTy();
    const Register machine = register_of(f64, lanes);
    auto* mask = llvm::ConstantInt::getAllOnesValue(b.getIntNTy(std::max(8U, lanes)));
    const auto fma = [&](Value* p, Value* q, Value* r) {
        return b.CreateIntrinsic(Intrinsic::fma, {type}, {p, q, r});
    };
    const auto number = [&](double v) { return llvm::ConstantFP::get(type, v); };
    const auto estimate = [&](Value* of) {
        return b.CreateIntrinsic(machine.estimate, {},
                                 {of, llvm::Constant::getNullValue(type), mask});
    };
    constexpr std::uint8_t finite = ir::fast::nnan | ir::fast::ninf;
    if (!f64 && !reciprocal && (fast & finite) == finite) {
        // 0 times the estimate for the least number, which is finite, is 0.
        Value* least = number(0x1p-149);
        Value* e = estimate(b.CreateSelect(b.CreateFCmpOGT(x, least), x, least));
        Value* s = b.CreateFMul(x, e);
        Value* more = fma(b.CreateFMul(s, number(-0.5)), e, number(1.5));
        llvm::FastMathFlags flags;
        flags.setAllowContract((fast & ir::fast::contract) != 0);
        const llvm::IRBuilder<>::FastMathFlagGuard guard(b);
        b.setFastMathFlags(flags);
        return b.CreateFMul(s, more);
    }
    Value* half = number(0.5);
    Value* e = estimate(x);
    Value* s = b.CreateFMul(x, e);
    Value* h = b.CreateFMul(e, half);
    Value* t = fma(b.CreateFNeg(s), h, half);
    if (f64) {
        s = fma(s, t, s);
        h = fma(h, t, h);
        t = fma(b.CreateFNeg(s), h, half);
    }
    Value* root = nullptr;
    if (!reciprocal) {
        root = fma(s, t, s);
    } else {
        Value* near = f64 ? b.CreateFAdd(h, h) : e;
        root = fma(near, t, near);
    }
    // sqrt(+-0) = +-0, sqrt(inf) = inf; the estimates of 1/sqrt of them are exact.
    constexpr std::uint32_t keep_zero = 1U << 8, keep_below = 1U << 16, keep_above = 1U << 20;
    const std::uint32_t table = keep_zero | keep_above | (reciprocal ? keep_below : 0);
    auto* word = f64 ? b.getInt64Ty() : b.getInt32Ty();
    std::vector<Value*> arguments{
        root, reciprocal ? e : x,
        llvm::ConstantInt::get(llvm::FixedVectorType::get(word, lanes), table), b.getInt32(0),
        mask};
    if (lanes * (f64 ? 8 : 4) == 64) arguments.push_back(b.getInt32(4));  // rounding as usual
    return b.CreateIntrinsic(machine.repair, {}, arguments);
}

Value* take(llvm::IRBuilder<>& b, Value* x, unsigned from, unsigned count, unsigned lanes) {
    std::vector<int> indices;
    for (unsigned l = 0; l < count; ++l)
        indices.push_back(from + l < lanes ? static_cast<int>(from + l) : 0);
    return b.CreateShuffleVector(x, indices);
}

}  // namespace

Value* estimated_root(llvm::IRBuilder<>& b, Value* x, bool reciprocal, std::uint8_t fast) {
    if (!x->getType()->isVectorTy()) {
        Value* r = estimated_root(b, b.CreateVectorSplat(1, x), reciprocal, fast);
        return b.CreateExtractElement(r, std::uint64_t(0));
    }
    auto* type = llvm::cast<llvm::FixedVectorType>(x->getType());
    const unsigned lanes = type->getNumElements();
    const unsigned size = type->getElementType()->isDoubleTy() ? 8 : 4;
    const unsigned width = std::clamp(lanes, 16 / size, 64 / size);
    if (width == lanes) return root_of_register(b, x, reciprocal, fast);
    std::vector<Value*> parts;
    for (unsigned from = 0; from < lanes; from += width)
        parts.push_back(root_of_register(b, take(b, x, from, width, lanes), reciprocal, fast));
    for (unsigned count = width; parts.size() > 1; count *= 2) {  // powers of two: halves pair up
        std::vector<int> all;
        for (unsigned l = 0; l < 2 * count; ++l) all.push_back(static_cast<int>(l));
        for (std::size_t i = 0; i < parts.size() / 2; ++i)
            parts[i] = b.CreateShuffleVector(parts[2 * i], parts[2 * i + 1], all);
        parts.resize(parts.size() / 2);
    }
    return width < lanes ? parts[0] : take(b, parts[0], 0, lanes, lanes);
}

bool roots_are_the_limit(const ir::Kernel& kernel, DType t) {
    // Cycles of a register: the unit's for one root or quotient, the multipliers' for a root by
    // Newton's steps. Other operations take one.
    const unsigned unit = t == DType::f64 ? 18 : 10, steps = t == DType::f64 ? 9 : 6;
    unsigned roots = 0, quotients = 0, others = 0;
    for (const ir::Node& n : kernel.nodes) {
        if (n.kind != ir::NodeKind::op) continue;
        if (ir::is_elementary(n.op)) return false;
        if (n.op == ir::Op::sqrt) {
            ++roots;
        } else if (is_real(n.dtype) && (n.op == ir::Op::div || n.op == ir::Op::true_divide)) {
            ++quotients;
        } else {
            ++others;
        }
    }
    return unit * (roots + quotients) > others + steps * roots;
}

}  // namespace kiln::codegen
