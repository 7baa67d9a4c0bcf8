// Elements two or three apart are loaded as vectors. Internal to libkiln_cpu.
#pragma once
#include "codegen/vectorised_loop.h"

namespace llvm {
class Function;
}

namespace kiln::codegen {

/// In vector code that LLVM's vectorisers made, on machines with AVX2,
//
//     %a0 = load float, p                          %a = load <4 x float>, p
//     %a1 = load float, p + 8                      %b = load <4 x float>, p + 12
//     ...                                    ->    %v = shufflevector %a, %b, 0 2 5 7
//     %v = insertelement ... %a0, %a1, %a2, %a3
//
/// The vectors reach from the first element to the last one and no further. What lies between elements is
/// loaded too, and not used: it is on the pages of these, which are there. Legal where nothing is written
/// between the loads. Tells of those whose lines are known, and of those too far apart to pay.
std::vector<StridedLoads> join_strided_loads(llvm::Function& function);

}  // namespace kiln::codegen
