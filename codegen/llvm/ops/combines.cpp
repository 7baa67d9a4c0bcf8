#include "codegen/llvm/ops/combines.h"

#include "codegen/lanes/facts.h"
#include "dsl/ir/effects.h"

namespace kiln::codegen {

using ir::Id;
using ir::Node;
using ir::NodeKind;
using llvm::Value;

CombineEmitter::CombineEmitter(const ir::Kernel& combine, VectorIsa isa, llvm::Module& module)
    : combine_(combine),
      parts_(ir::state_size(combine)),
      strict_nan_(analyse(combine, isa != VectorIsa::sse2).strict_nan),
      ops_(combine, strict_nan_, isa, module, *this) {}

LaneValue CombineEmitter::value(Id id) {
    const Node& n = combine_.nodes[id];
    if (n.kind == NodeKind::constant) return ops_.constant(id);
    return n.kind == NodeKind::param ? params_[n.aux] : values_[id];
}

std::vector<Value*> CombineEmitter::initial(llvm::IRBuilder<>& at) {
    params_.clear();
    ops_.set_lanes(1);
    return emit(at, ir::CombineStage::initial);
}

std::vector<Value*> CombineEmitter::combined(llvm::IRBuilder<>& at, OpEmitter::Values a,
                                             OpEmitter::Values b) {
    auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(a[0]->getType());
    ops_.set_lanes(vector == nullptr ? 1 : vector->getNumElements());
    params_.clear();
    for (const OpEmitter::Values state : {a, b})
        for (Value* part : state) params_.push_back({part, nullptr, vector != nullptr});
    std::vector<Value*> results = emit(at, ir::CombineStage::combined);
    // A constant is the same in all lanes.
    if (vector != nullptr)
        for (Value*& part : results)
            if (!part->getType()->isVectorTy())
                part = at.CreateVectorSplat(vector->getNumElements(), part);
    return results;
}

std::vector<Value*> CombineEmitter::emit(llvm::IRBuilder<>& at, ir::CombineStage stage) {
    values_.assign(combine_.nodes.size(), {});
    ops_.builder().SetInsertPoint(at.GetInsertBlock(), at.GetInsertPoint());
    const Id block = combine_.stages[static_cast<std::size_t>(stage)].body;
    for (const Id id : combine_.blocks[block].nodes) {
        const NodeKind kind = combine_.nodes[id].kind;
        if (kind == NodeKind::op)
            values_[id] = ops_.emit_op(id);
        else if (kind == NodeKind::cast)
            values_[id] = ops_.emit_cast(id);
    }
    std::vector<Value*> results;
    for (const Id part : ir::parts_of(combine_, stage)) results.push_back(value(part).value);
    at.SetInsertPoint(ops_.builder().GetInsertBlock(), ops_.builder().GetInsertPoint());
    return results;
}

}  // namespace kiln::codegen
