#include "jit/compile/fault.h"

#include <fmt/format.h>

namespace kiln::engine {

FaultText fault_text(ir::Check check) {
    switch (check) {
        case ir::Check::division_by_zero: return {ErrorKind::usage, "integer division by zero", ""};
        case ir::Check::negative_power:
            return {ErrorKind::usage, "integer to a negative integer power",
                    "convert the base to a floating-point type"};
        case ir::Check::shapes:
        case ir::Check::outside_neighborhood:
            return {ErrorKind::internal, "a check of loop kernels failed", ""};
        case ir::Check::empty:
            return {ErrorKind::shape,
                    "zero-size array to a reduction which has no identity (min or max)", ""};
        case ir::Check::out_of_bounds: return {ErrorKind::bounds, "subscript out of bounds", ""};
    }
    __builtin_unreachable();
}

void throw_fault(const CompiledKernel& kernel, const CallFault& fault, const Shape& shape,
                 Location where) {
    const auto [check, line] = abi::fault_site(fault.code);
    const FaultText what = fault_text(check);
    Shape index = shape;
    std::int64_t rest = fault.index;
    for (int d = shape.rank(); d-- > 0;) {
        index[d] = rest % shape[d];
        rest /= shape[d];
    }
    const Location at = kernel.kernel.location(line);
    throw Error(what.kind, fmt::format("{} at index {}", what.text, to_string(index)),
                at.line == 0 ? where : at, std::string(what.hint));
}

}  // namespace kiln::engine
