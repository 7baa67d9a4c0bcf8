#include "codegen/llvm/transforms/saturated_casts.h"

#include "codegen/llvm/casts.h"

#include <vector>

#include <llvm/IR/IntrinsicInst.h>

namespace kiln::codegen {

void saturate_vectors(llvm::Function& function) {
    std::vector<llvm::IntrinsicInst*> casts;
    for (llvm::BasicBlock& block : function)
        for (llvm::Instruction& i : block)
            if (auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&i))
                if (call->getIntrinsicID() == llvm::Intrinsic::fptosi_sat &&
                    call->getType()->isVectorTy())
                    casts.push_back(call);
    for (llvm::IntrinsicInst* cast : casts) {
        llvm::IRBuilder<> b(cast);
        cast->replaceAllUsesWith(saturated(b, cast->getArgOperand(0), cast->getType(), true));
        cast->eraseFromParent();
    }
}

}  // namespace kiln::codegen
