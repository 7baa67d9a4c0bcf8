// Addresses of single lanes are computed as scalars. Internal to libkiln_cpu.
#pragma once

namespace llvm {
class Function;
}

namespace kiln::codegen {

/// In loops that LLVM's vectoriser made for CPUs with AVX-512,
//
//     %vi = phi <8 x i64> [ 0 1 2 ... ], [ %vi + 8, ... ]        %i = phi i64 [ 0, ... ], [ %i + 8, ... ]
//     %v = shl <8 x i64> %vi, splat 3                       ->   %s = shl i64 %i, 3
//     ... extractelement %v, 5                                   ... add i64 %s, 40
//
/// since for elements that it loads or stores one by one it computes vectors of addresses, as gathers take
/// them, and takes these apart.
void compute_addresses_as_scalars(llvm::Function& function);

}  // namespace kiln::codegen
