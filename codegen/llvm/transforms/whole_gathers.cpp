#include "codegen/llvm/transforms/whole_gathers.h"

#include <vector>

#include <llvm/Analysis/VectorUtils.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/Transforms/Utils/Local.h>

namespace kiln::codegen {
namespace {

using llvm::Value;

/// Whether a lane by itself takes as little as all of them.
bool is_cheap(const llvm::BinaryOperator& op) {
    switch (op.getOpcode()) {
        case llvm::Instruction::Add:
        case llvm::Instruction::Sub:
        case llvm::Instruction::Shl: return true;
        default: return false;
    }
}

/// A lane of a vector, computed where `b` stands; what was loaded is loaded by itself, where the vector was.
Value* lane_of(llvm::IRBuilder<>& b, Value* vector, std::uint64_t lane) {
    if (auto* constant = llvm::dyn_cast<llvm::Constant>(vector))
        if (llvm::Constant* one = constant->getAggregateElement(static_cast<unsigned>(lane)))
            return one;
    if (Value* const same = llvm::getSplatValue(vector)) return same;
    if (auto* op = llvm::dyn_cast<llvm::BinaryOperator>(vector); op != nullptr && is_cheap(*op)) {
        Value* const left = lane_of(b, op->getOperand(0), lane);
        return b.CreateBinOp(op->getOpcode(), left, lane_of(b, op->getOperand(1), lane));
    }
    if (auto* wide = llvm::dyn_cast<llvm::CastInst>(vector);
        wide != nullptr && llvm::isa<llvm::SExtInst, llvm::ZExtInst>(wide))
        return b.CreateCast(wide->getOpcode(), lane_of(b, wide->getOperand(0), lane),
                            wide->getType()->getScalarType());
    auto* load = llvm::dyn_cast<llvm::LoadInst>(vector);
    llvm::Type* const element = vector->getType()->getScalarType();
    if (load == nullptr || !load->isSimple() || element->getIntegerBitWidth() % 8 != 0)
        return b.CreateExtractElement(vector, lane);
    llvm::IRBuilder<> there(load);
    const std::uint64_t bytes = lane * (element->getIntegerBitWidth() / 8);
    auto* one = there.CreateAlignedLoad(
        element, there.CreateConstGEP1_64(element, load->getPointerOperand(), lane),
        llvm::commonAlignment(load->getAlign(), bytes));
    const llvm::AAMDNodes aliases = load->getAAMetadata();
    one->setMetadata(llvm::LLVMContext::MD_alias_scope, aliases.Scope);
    one->setMetadata(llvm::LLVMContext::MD_noalias, aliases.NoAlias);
    return one;
}

/// The address of a lane's element.
Value* address_of(llvm::IRBuilder<>& b, Value* pointers, std::uint64_t lane) {
    auto* gep = llvm::dyn_cast<llvm::GetElementPtrInst>(pointers);
    if (gep == nullptr || gep->getNumIndices() != 1 ||
        gep->getPointerOperand()->getType()->isVectorTy() ||
        !gep->getOperand(1)->getType()->isVectorTy())
        return b.CreateExtractElement(pointers, lane);
    return b.CreateGEP(gep->getSourceElementType(), gep->getPointerOperand(),
                       lane_of(b, gep->getOperand(1), lane), "", gep->isInBounds());
}

bool is_of_all_lanes(const llvm::IntrinsicInst& call) {
    if (call.getIntrinsicID() != llvm::Intrinsic::masked_gather) return false;
    const auto* mask = llvm::dyn_cast<llvm::Constant>(call.getArgOperand(2));
    return mask != nullptr && mask->isAllOnesValue() &&
           llvm::isa<llvm::FixedVectorType>(call.getType());
}

}  // namespace

void take_gathers_apart(llvm::Function& function) {
    std::vector<llvm::IntrinsicInst*> gathers;
    for (llvm::BasicBlock& block : function)
        for (llvm::Instruction& i : block)
            if (auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&i);
                call != nullptr && is_of_all_lanes(*call))
                gathers.push_back(call);
    for (llvm::IntrinsicInst* gather : gathers) {
        llvm::IRBuilder<> b(gather);
        auto* type = llvm::cast<llvm::FixedVectorType>(gather->getType());
        const llvm::Align align(
            llvm::cast<llvm::ConstantInt>(gather->getArgOperand(1))->getZExtValue());
        const llvm::AAMDNodes aliases = gather->getAAMetadata();
        Value* all = llvm::PoisonValue::get(type);
        for (std::uint64_t lane = 0; lane < type->getNumElements(); ++lane) {
            Value* const at = address_of(b, gather->getArgOperand(0), lane);
            auto* one = b.CreateAlignedLoad(type->getElementType(), at, align);
            one->setMetadata(llvm::LLVMContext::MD_alias_scope, aliases.Scope);
            one->setMetadata(llvm::LLVMContext::MD_noalias, aliases.NoAlias);
            all = b.CreateInsertElement(all, one, lane);
        }
        gather->replaceAllUsesWith(all);
        llvm::RecursivelyDeleteTriviallyDeadInstructions(gather);
    }
}

}  // namespace kiln::codegen
