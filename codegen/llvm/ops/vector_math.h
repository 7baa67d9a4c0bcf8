// Elementary functions as IR, the same operations for any number of lanes, so that an element's
// bits depend neither on its position nor on the vector unit (one that has FMA). Internal to
// codegen/llvm.
#pragma once
#include "dsl/ir/ir.h"

#include <llvm/IR/IRBuilder.h>

#include <functional>
#include <initializer_list>
#include <span>

namespace kiln::codegen {

/// What a function's definition is written with: operations on values of one floating type (float,
/// double, or vectors of them), without fast flags, since compensated arithmetic must stay as
/// written.
class MathBuilder {
  public:
    using Value = llvm::Value*;
    /// Calls the library's form of the function being defined, for arguments that are rare.
    using Library = std::function<Value()>;

    /// `afn`: results may be off by 4 ULP instead of 1.
    MathBuilder(llvm::IRBuilder<>& builder, llvm::Type* type, bool afn, Library library);

    bool f64() const { return f64_; }
    bool afn() const { return afn_; }
    llvm::IRBuilder<>& ir() { return b_; }
    llvm::Type* real_type() const { return real_; }
    llvm::Type* bits_type() const { return bits_; }  ///< integers as wide as the elements

    Value real(double x);         ///< the constant x, rounded to the type
    Value bits(std::uint64_t x);  ///< an integer constant
    Value add(Value a, Value b) { return b_.CreateFAdd(a, b); }
    Value sub(Value a, Value b) { return b_.CreateFSub(a, b); }
    Value mul(Value a, Value b) { return b_.CreateFMul(a, b); }
    Value div(Value a, Value b) { return b_.CreateFDiv(a, b); }
    Value neg(Value a) { return b_.CreateFNeg(a); }
    Value fma(Value a, Value b, Value c);  ///< a*b + c rounded once
    Value sqrt(Value a);
    Value abs(Value a);
    Value copysign(Value magnitude, Value sign);
    Value round(Value a);  ///< to the nearest integer value, ties to even
    Value select(Value condition, Value a, Value b) { return b_.CreateSelect(condition, a, b); }
    Value lt(Value a, Value b) { return b_.CreateFCmpOLT(a, b); }
    Value le(Value a, Value b) { return b_.CreateFCmpOLE(a, b); }
    Value gt(Value a, Value b) { return b_.CreateFCmpOGT(a, b); }
    Value ge(Value a, Value b) { return b_.CreateFCmpOGE(a, b); }
    Value eq(Value a, Value b) { return b_.CreateFCmpOEQ(a, b); }
    Value is_nan(Value a) { return b_.CreateFCmpUNO(a, a); }
    Value to_bits(Value a) { return b_.CreateBitCast(a, bits_); }
    Value from_bits(Value a) { return b_.CreateBitCast(a, real_); }
    Value to_integer(Value a) { return b_.CreateFPToSI(a, bits_); }  ///< a must be in range
    Value from_integer(Value a) { return b_.CreateSIToFP(a, real_); }
    /// c[0] + x (c[1] + x (c[2] + ...)), by FMAs.
    Value horner(Value x, std::span<const double> c);
    /// The sum of a and b as high and low part, exactly, for |a| >= |b| or a == 0.
    std::pair<Value, Value> fast_two_sum(Value a, Value b);
    std::pair<Value, Value> two_sum(Value a, Value b);      ///< the same for any a, b
    std::pair<Value, Value> two_product(Value a, Value b);  ///< a*b as high and low part, exactly
    /// (a + a_low) / (b + b_low), the low parts small beside the high ones; half an ULP and a bit.
    Value quotient(Value a, Value a_low, Value b, Value b_low);
    /// Row `index` (an integer below table.size() / 2) of a table of pairs of doubles, which
    /// becomes a constant of the module named `name`. f64 only. One 128-bit load a lane: no
    /// gathers.
    std::pair<Value, Value> table_rows(const char* name, std::span<const double> table,
                                       Value index);
    /// `usual` where no lane's `rare` holds; else, for all lanes, the library's result where `rare`
    /// holds and `usual` elsewhere. The library's code is behind one branch.
    Value unless(Value rare, Value usual);

  private:
    llvm::IRBuilder<>& b_;
    llvm::Type* real_;
    llvm::Type* bits_;
    bool f64_, afn_;
    Library library_;
};

/// The function's value for arguments `a`, or null if it has no definition here. Definitions stand
/// in math_*.cpp, one function of this form a row of the table in vector_math.cpp.
using MathDefinition = llvm::Value* (*)(MathBuilder& m, std::span<llvm::Value* const> a);
MathDefinition math_definition(ir::Op op);

#define KILN_MATH(id) llvm::Value* math_##id(MathBuilder& m, std::span<llvm::Value* const> a);
#include "codegen/lanes/inlined_functions.def"
#undef KILN_MATH

}  // namespace kiln::codegen
