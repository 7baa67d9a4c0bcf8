#include "codegen/llvm/transforms/conditional_sums.h"

#include <vector>

#include <llvm/ADT/STLExtras.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Instructions.h>
#include <llvm/Support/Casting.h>

namespace kiln::codegen {
namespace {

using llvm::Instruction;
using llvm::Value;

/// `v` as a sum of `before` and something else, or a difference, which nothing but one choice uses.
llvm::BinaryOperator* step_from(Value* v, const Value* before) {
    auto* op = llvm::dyn_cast<llvm::BinaryOperator>(v);
    if (op == nullptr || !op->hasOneUse()) return nullptr;
    const bool adds = op->getOpcode() == Instruction::FAdd;
    if (!adds && op->getOpcode() != Instruction::FSub) return nullptr;
    // Of others, products may become a part of the sum.
    if (op->getFastMathFlags().any()) return nullptr;
    const bool from = op->getOperand(0) == before || (adds && op->getOperand(1) == before);
    return from ? op : nullptr;
}

/// The variable that a choice hands on to the next iteration, changed or as it was.
Value* carried(llvm::SelectInst& choice) {
    for (Value* arm : {choice.getTrueValue(), choice.getFalseValue()}) {
        auto* phi = llvm::dyn_cast<llvm::PHINode>(arm);
        if (phi != nullptr && llvm::is_contained(phi->incoming_values(), &choice)) return phi;
    }
    return nullptr;
}

void choose_term(llvm::SelectInst& choice) {
    Value* const before = carried(choice);
    if (before == nullptr || !choice.getType()->isFloatingPointTy()) return;
    const bool if_true = choice.getFalseValue() == before;
    auto* step = step_from(if_true ? choice.getTrueValue() : choice.getFalseValue(), before);
    if (step == nullptr) return;
    const bool adds = step->getOpcode() == Instruction::FAdd;
    const unsigned at = step->getOperand(0) == before ? 1 : 0;
    Value* const term = step->getOperand(at);
    Value* const nothing = llvm::ConstantFP::getZero(choice.getType(), adds);
    llvm::IRBuilder<> b(&choice);
    Value* const chosen =
        b.CreateSelect(choice.getCondition(), if_true ? term : nothing, if_true ? nothing : term);
    auto* next = llvm::cast<llvm::BinaryOperator>(step->clone());
    next->setOperand(at, chosen);
    next->insertBefore(&choice);
    choice.replaceAllUsesWith(next);
    choice.eraseFromParent();
    step->eraseFromParent();
}

}  // namespace

void choose_terms(llvm::Function& function) {
    std::vector<llvm::SelectInst*> choices;
    for (llvm::BasicBlock& block : function)
        for (Instruction& i : block)
            if (auto* choice = llvm::dyn_cast<llvm::SelectInst>(&i)) choices.push_back(choice);
    for (llvm::SelectInst* choice : choices) choose_term(*choice);
}

}  // namespace kiln::codegen
