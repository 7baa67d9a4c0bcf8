#include "codegen/llvm/transforms/short_vectors.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <vector>

namespace kiln::codegen {

static bool is_short(const llvm::Instruction& i) {
    auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(i.getType());
    return i.getOpcode() == llvm::Instruction::FDiv && vector != nullptr &&
           vector->getElementType()->isFloatTy() && vector->getNumElements() == 2;
}

void fill_quotients(llvm::Module& module) {
    std::vector<llvm::Instruction*> found;
    for (llvm::Function& f : module)
        for (llvm::BasicBlock& block : f)
            for (llvm::Instruction& i : block)
                if (is_short(i)) found.push_back(&i);
    for (llvm::Instruction* quotient : found) {
        llvm::IRBuilder<> b(quotient);
        b.setFastMathFlags(quotient->getFastMathFlags());
        const auto twice = [&](unsigned operand) {
            return b.CreateShuffleVector(quotient->getOperand(operand), {0, 1, 0, 1});
        };
        // No result asks for the other two, so that code generation would leave the divisors out.
        llvm::Value* divisors = twice(1);
        divisors = b.CreateArithmeticFence(divisors, divisors->getType());
        llvm::Value* four = b.CreateFDiv(twice(0), divisors);
        quotient->replaceAllUsesWith(b.CreateShuffleVector(four, {0, 1}));
        quotient->eraseFromParent();
    }
}

}  // namespace kiln::codegen
