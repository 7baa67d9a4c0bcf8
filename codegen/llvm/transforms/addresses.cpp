#include "codegen/llvm/transforms/addresses.h"

#include <llvm/IR/Constants.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/Operator.h>

namespace kiln::codegen {

using llvm::Value;

static constexpr unsigned deepest = 8;

static bool adds(const llvm::BinaryOperator& op) {
    const auto* disjoint = llvm::dyn_cast<llvm::PossiblyDisjointInst>(&op);
    return op.getOpcode() == llvm::Instruction::Add ||
           (op.getOpcode() == llvm::Instruction::Or && disjoint != nullptr &&
            disjoint->isDisjoint());
}

static void add_integer(Value* v, std::int64_t scale, Address& into, unsigned depth) {
    if (const auto* c = llvm::dyn_cast<llvm::ConstantInt>(v)) {
        into.offset = plus(into.offset, times(scale, c->getSExtValue()));
        return;
    }
    auto* op = llvm::dyn_cast<llvm::BinaryOperator>(v);
    if (op != nullptr && depth < deepest) {
        const auto* c = llvm::dyn_cast<llvm::ConstantInt>(op->getOperand(1));
        if (adds(*op)) {
            add_integer(op->getOperand(0), scale, into, depth + 1);
            add_integer(op->getOperand(1), scale, into, depth + 1);
            return;
        }
        if (op->getOpcode() == llvm::Instruction::Shl && c != nullptr && c->getZExtValue() <= 16) {
            add_integer(op->getOperand(0), scale << c->getZExtValue(), into, depth + 1);
            return;
        }
        if (op->getOpcode() == llvm::Instruction::Mul && c != nullptr &&
            c->getValue().getSignificantBits() <= 17) {
            add_integer(op->getOperand(0), times(scale, c->getSExtValue()), into, depth + 1);
            return;
        }
    }
    std::int64_t& sum = into.terms[v];
    sum = plus(sum, scale);
    if (sum == 0) into.terms.erase(v);
}

/// Pointers are 64 bits wide here, and so are the integers.
std::optional<Address> address_of(Value* pointer) {
    Address found;
    for (unsigned depth = 0; depth < deepest; ++depth) {
        auto* gep = llvm::dyn_cast<llvm::GEPOperator>(pointer);
        if (gep == nullptr) break;
        if (gep->getNumIndices() != 1 || !gep->getOperand(1)->getType()->isIntegerTy(64) ||
            gep->getSourceElementType()->isScalableTy())
            return std::nullopt;
        const std::uint64_t size =
            gep->getSourceElementType()->getPrimitiveSizeInBits().getFixedValue() / 8;
        if (size == 0) return std::nullopt;
        add_integer(gep->getOperand(1), static_cast<std::int64_t>(size), found, 0);
        pointer = gep->getPointerOperand();
    }
    found.root = pointer;
    return found;
}

}  // namespace kiln::codegen
