// Vectors that overlap in memory are loaded once. Internal to libkiln_cpu.
#pragma once

namespace llvm {
class Function;
}

namespace kiln::codegen {

/// In vector code of stencils, on machines with AVX-512,
//
//     %a0 = load <8 x double>, p            %a0 = load <8 x double>, p
//     %a1 = load <8 x double>, p + 64       %a1 = load <8 x double>, p + 64
//     %b0 = load <8 x double>, p + 8   ->   %b0 = shufflevector %a0, %a1, 1 2 3 4 5 6 7 8
//
/// since a load that crosses a line of the cache takes the time of two, and of vectors as long as a
/// line all but those of one offset do. Legal where nothing is written between these loads.
void share_loads(llvm::Function& function);

}  // namespace kiln::codegen
