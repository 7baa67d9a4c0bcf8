// The value of one pure operation on constants: what constant folding and the tests' oracle share.
#pragma once
#include "dsl/ir/ir.h"

#include <optional>

namespace kiln::ir {

/// The exact result dtype of an operation of this rule on operands that were already converted to
/// `operand` (of `choice`: the alternatives), or nothing where the rule refuses that dtype.
constexpr std::optional<DType> exact_result(Rule rule, DType operand) {
    const auto same_if = [operand](bool accepted) {
        return accepted ? std::optional(operand) : std::nullopt;
    };
    const bool number = is_real(operand) || is_complex(operand);
    switch (rule) {
        case Rule::arithmetic:
        case Rule::choice: return operand;
        case Rule::arithmetic_no_bool:
        case Rule::division: return same_if(!is_bool(operand));
        case Rule::integer_division: return same_if(is_integer(operand) || is_real(operand));
        case Rule::real_arithmetic:
        case Rule::real_function: return same_if(is_real(operand));
        case Rule::true_division:
        case Rule::real_or_complex: return same_if(number);
        case Rule::power: return same_if(number || is_integer(operand));
        case Rule::rounding: return same_if(!is_complex(operand));
        case Rule::magnitude:
        case Rule::part: return real_type(operand);
        case Rule::comparison:
        case Rule::predicate: return DType::bool_;
        case Rule::logical: return same_if(is_bool(operand));
        case Rule::bitwise: return same_if(is_bool(operand) || is_integer(operand));
        case Rule::shift: return same_if(is_integer(operand));
        case Rule::pair:
            return operand == DType::f32   ? std::optional(DType::c64)
                   : operand == DType::f64 ? std::optional(DType::c128)
                                           : std::nullopt;
    }
    __builtin_unreachable();
}

/// The operation on operands of exactly the dtypes that an `op` node has: exact operations bit for
/// bit, elementary functions through the next wider C++ type, rounded once (so that they are
/// correctly rounded but for rare ties; f64 through long double). Comparisons also take two
/// integers of different dtypes. Nothing if the count or the dtypes do not fit the rule.
std::optional<Scalar> evaluate(Op op, DType result, std::span<const Scalar> operands);

/// The value that changes no other under the reduction, or nothing (min, max).
std::optional<Scalar> identity(Reduction reduction, DType dtype);

/// Whether values of this dtype are reduced part by part and by any tree, as a stage's reduction is:
/// all but extremes of complex numbers, which are those of a state.
constexpr bool accumulates_by_itself(Reduction reduction, DType dtype) {
    return !is_complex(dtype) || (reduction != Reduction::min && reduction != Reduction::max);
}

/// A value that changes no other under the reduction; for sums of floats -0, for extremes the
/// opposite extreme. Of a dtype that is accumulated in: not f16 or bf16.
Scalar neutral(Reduction reduction, DType dtype);

/// The two values combined by the reduction's operation, in `a`'s dtype.
Scalar combine(Reduction reduction, const Scalar& a, const Scalar& b);

}  // namespace kiln::ir
