#include "codegen/llvm/casts.h"

#include <cmath>

namespace kiln::codegen {

using llvm::Value;

Value* saturated(llvm::IRBuilder<>& b, Value* v, llvm::Type* integer, bool is_signed) {
    const llvm::IRBuilder<>::FastMathFlagGuard guard(b);
    b.clearFastMathFlags();
    auto* real = v->getType();
    const unsigned bits = integer->getScalarSizeInBits();
    const double beyond = std::ldexp(1.0, static_cast<int>(is_signed ? bits - 1 : bits));
    const auto number = [&](double x) { return llvm::ConstantFP::get(real, x); };
    // NaN becomes 0 here, where lanes of the comparison are as wide as those that they choose.
    if (is_signed) v = b.CreateSelect(b.CreateFCmpORD(v, v), v, number(0));
    Value* least = number(is_signed ? -beyond : 0);
    Value* above = b.CreateSelect(b.CreateFCmpOGT(v, least), v, least);

    // Narrow integers by way of signed ones of 32 bits, which there are instructions for.
    auto* const wide = bits < 32 ? integer->getWithNewBitWidth(32) : integer;
    const auto truncated = [&](Value* x) {
        return is_signed || bits < 32 ? b.CreateFPToSI(x, wide) : b.CreateFPToUI(x, wide);
    };
    Value* result = nullptr;
    const unsigned digits = real->getScalarType()->isDoubleTy() ? 53 : 24;
    if (bits <= digits) {  // the largest integer is a number
        Value* most = number(beyond - 1);
        result = truncated(b.CreateSelect(b.CreateFCmpOLT(above, most), above, most));
    } else {
        Value* fits = b.CreateFCmpOLT(above, number(beyond));
        const llvm::APInt most =
            is_signed ? llvm::APInt::getSignedMaxValue(bits) : llvm::APInt::getMaxValue(bits);
        result = b.CreateSelect(fits, truncated(b.CreateSelect(fits, above, number(0))),
                                llvm::ConstantInt::get(integer, most));
    }
    return b.CreateTrunc(result, integer);
}

}  // namespace kiln::codegen
