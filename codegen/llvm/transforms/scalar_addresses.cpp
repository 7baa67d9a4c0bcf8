#include "codegen/llvm/transforms/scalar_addresses.h"

#include <map>
#include <optional>
#include <vector>

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Instructions.h>
#include <llvm/Transforms/Utils/Local.h>

namespace kiln::codegen {
namespace {

using llvm::Constant;
using llvm::ConstantInt;
using llvm::Value;

constexpr unsigned deepest = 8;

/// The lane of a constant vector of integers.
const ConstantInt* element(const Value* v, std::uint64_t lane) {
    const auto* c = llvm::dyn_cast_or_null<Constant>(v);
    return c == nullptr ? nullptr
                        : llvm::dyn_cast_or_null<ConstantInt>(
                              c->getAggregateElement(static_cast<unsigned>(lane)));
}

/// A vector that grows by the same in all lanes, from iteration to iteration.
struct Growing {
    llvm::PHINode* phi;
    unsigned entry;  // which operand is the begin
    const Constant* begin;
    const ConstantInt* step;
};

std::optional<Growing> growing(Value* v) {
    auto* phi = llvm::dyn_cast<llvm::PHINode>(v);
    if (phi == nullptr || phi->getNumIncomingValues() != 2) return std::nullopt;
    for (const unsigned entry : {0U, 1U}) {
        const auto* next = llvm::dyn_cast<llvm::BinaryOperator>(phi->getIncomingValue(1 - entry));
        const auto* begin = llvm::dyn_cast<Constant>(phi->getIncomingValue(entry));
        if (next == nullptr || begin == nullptr || next->getOpcode() != llvm::Instruction::Add ||
            next->getOperand(0) != phi)
            continue;
        const auto* by = llvm::dyn_cast<Constant>(next->getOperand(1));
        const auto* step =
            by == nullptr ? nullptr : llvm::dyn_cast_or_null<ConstantInt>(by->getSplatValue());
        if (step != nullptr &&
            llvm::isa<llvm::ConstantDataVector, llvm::ConstantAggregateZero>(begin))
            return Growing{phi, entry, begin, step};
    }
    return std::nullopt;
}

/// The scalar that all lanes are.
Value* splat_of(Value* v) {
    auto* shuffle = llvm::dyn_cast<llvm::ShuffleVectorInst>(v);
    if (shuffle == nullptr || !shuffle->isZeroEltSplat()) return nullptr;
    auto* insert = llvm::dyn_cast<llvm::InsertElementInst>(shuffle->getOperand(0));
    if (insert == nullptr) return nullptr;
    const auto* lane = llvm::dyn_cast<ConstantInt>(insert->getOperand(2));
    return lane != nullptr && lane->isZero() ? insert->getOperand(1) : nullptr;
}

/// Whether a lane can be computed by itself.
bool is_scalar(Value* v, unsigned depth) {
    if (llvm::isa<llvm::ConstantDataVector, llvm::ConstantAggregateZero>(v) ||
        splat_of(v) != nullptr || growing(v))
        return true;
    auto* op = llvm::dyn_cast<llvm::BinaryOperator>(v);
    if (op == nullptr || depth == deepest) return false;
    switch (op->getOpcode()) {
        case llvm::Instruction::Add:
        case llvm::Instruction::Sub:
        case llvm::Instruction::Mul:
        case llvm::Instruction::Shl:
        case llvm::Instruction::Or:
            return is_scalar(op->getOperand(0), depth + 1) &&
                   is_scalar(op->getOperand(1), depth + 1);
        default: return false;
    }
}

class Scalars {
  public:
    /// The lane of a vector that is_scalar, computed where `b` stands.
    Value* lane(llvm::IRBuilder<>& b, Value* v, std::uint64_t at) {
        if (const ConstantInt* c = element(v, at)) return b.getInt64(c->getZExtValue());
        if (Value* same = splat_of(v)) return same;
        if (const auto vector = growing(v)) {
            const std::uint64_t apart = element(vector->begin, at)->getZExtValue() -
                                        element(vector->begin, 0)->getZExtValue();
            return b.CreateAdd(first_lane(*vector), b.getInt64(apart));
        }
        auto* op = llvm::cast<llvm::BinaryOperator>(v);
        Value* const left = lane(b, op->getOperand(0), at);
        Value* made = b.CreateBinOp(op->getOpcode(), left, lane(b, op->getOperand(1), at));
        if (auto* scalar = llvm::dyn_cast<llvm::Instruction>(made)) scalar->copyIRFlags(op);
        return made;
    }

  private:
    Value* first_lane(const Growing& v) {
        llvm::PHINode*& made = made_[v.phi];
        if (made != nullptr) return made;
        llvm::IRBuilder<> b(v.phi);
        made = b.CreatePHI(b.getInt64Ty(), 2, "scalar");
        llvm::BasicBlock* const back = v.phi->getIncomingBlock(1 - v.entry);
        made->addIncoming(b.getInt64(element(v.begin, 0)->getZExtValue()),
                          v.phi->getIncomingBlock(v.entry));
        b.SetInsertPoint(back->getTerminator());
        made->addIncoming(b.CreateAdd(made, b.getInt64(v.step->getZExtValue())), back);
        return made;
    }

    std::map<const llvm::PHINode*, llvm::PHINode*> made_;
};

}  // namespace

void compute_addresses_as_scalars(llvm::Function& function) {
    Scalars scalars;
    std::vector<llvm::ExtractElementInst*> extracts;
    for (llvm::BasicBlock& block : function)
        for (llvm::Instruction& i : block)
            if (auto* extract = llvm::dyn_cast<llvm::ExtractElementInst>(&i))
                if (extract->getType()->isIntegerTy(64) &&
                    llvm::isa<ConstantInt>(extract->getIndexOperand()) &&
                    is_scalar(extract->getVectorOperand(), 0))
                    extracts.push_back(extract);
    for (llvm::ExtractElementInst* extract : extracts) {
        llvm::IRBuilder<> b(extract);
        extract->replaceAllUsesWith(
            scalars.lane(b, extract->getVectorOperand(),
                         llvm::cast<ConstantInt>(extract->getIndexOperand())->getZExtValue()));
    }
    for (llvm::ExtractElementInst* extract : extracts)
        llvm::RecursivelyDeleteTriviallyDeadInstructions(extract);
}

}  // namespace kiln::codegen
