// Sums that only some iterations add to wait for the addition alone. Internal to libkiln_cpu.
#pragma once

namespace llvm {
class Function;
}

namespace kiln::codegen {

/// In scalar loops that sum floats in the order of their iterations,
//
//     %s = phi double [ ..., ... ], [ %next, ... ]       %s = phi double [ ..., ... ], [ %next, ... ]
//     %sum = fadd double %s, %x                     ->   %y = select i1 %c, double %x, double -0.0
//     %next = select i1 %c, double %sum, double %s       %next = fadd double %s, %y
//
/// since an iteration can choose its term before the sum is there. x + -0.0 is x for every number, for zeros
/// of both signs too; of differences the term is 0.0.
void choose_terms(llvm::Function& function);

}  // namespace kiln::codegen
