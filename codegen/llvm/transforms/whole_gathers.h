// Gathers of all lanes are loads one by one. Internal to libkiln_cpu.
#pragma once

namespace llvm {
class Function;
}

namespace kiln::codegen {

/// In loops that LLVM's vectoriser made,
//
//     %k = load <8 x i32>, ptr %at                                 %k5 = load i32, ptr (%at, 5)
//     %i = sext <8 x i32> %k to <8 x i64>                          %i5 = sext i32 %k5 to i64
//     %p = getelementptr float, ptr %x, <8 x i64> %i          ->   %p5 = getelementptr float, ptr %x, i64 %i5
//     %v = call @llvm.masked.gather(%p, 4, all lanes, ...)         ... insertelement ..., (load float, ptr %p5), 5
//
/// since gathers take longer than loads: a third where data are in the first cache, up to four times as long
/// where they come from memory. Those of some lanes stay: without them each lane would have a branch.
void take_gathers_apart(llvm::Function& function);

}  // namespace kiln::codegen
