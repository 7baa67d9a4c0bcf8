// Casts of floats to integers in vectors. Internal to libkiln_cpu.
#pragma once

namespace llvm {
class Function;
}

namespace kiln::codegen {

/// In vector code that LLVM's vectorisers made of casts that it has good scalar code for,
//
//     %i = call <8 x i32> @llvm.fptosi.sat.v8i32.v8f64(<8 x double> %x)
//
/// becomes comparisons and conversions of vectors (codegen/llvm/casts.h), of the same values.
void saturate_vectors(llvm::Function& function);

}  // namespace kiln::codegen
