// Programs of loops: loops whose iterations run as lanes, by the emitter of element-wise kernels.
#include "codegen/llvm/program_emitter.h"

namespace kiln::codegen {

using ir::Id;
using ir::Node;
using ir::NodeKind;
using llvm::BasicBlock;
using llvm::Value;

/// The loop as a kernel of its own; null where it stays scalar.
const VectorLoop* ProgramEmitter::vector_loop(Id loop) {
    if (!options_.noalias || options_.checked) return nullptr;
    const auto [at, added] = vector_loops_.try_emplace(loop);
    if (added) at->second = extract_vector_loop(kernel_, loop);
    return at->second ? &*at->second : nullptr;
}

/// The value of an expression of the loop's body that depends on the index alone, in the loop's
/// first iteration, whose index is the value of `loop` now.
Value* ProgramEmitter::at_first(Id id, Id loop) {
    const Node& n = kernel_.nodes[id];
    if (id == loop || ir::is_leaf(n.kind)) return value(id).value;
    if (scope_->values[id].value != nullptr) return scope_->values[id].value;
    if (n.kind == NodeKind::read) return read_local(n, id).value;
    std::vector<Id> made;
    for (const Id operand : kernel_.operands_of(id)) {
        if (ir::is_leaf(kernel_.nodes[operand].kind) || scope_->values[operand].value != nullptr)
            continue;
        scope_->values[operand] = {at_first(operand, loop), nullptr, false};
        made.push_back(operand);
    }
    Value* v = n.kind == NodeKind::op ? emit_op(id).value : emit_cast(id).value;
    for (const Id operand : made) scope_->values[operand] = {};
    return v;
}

/// A cell of memory that holds a value.
Value* ProgramEmitter::spill(const LaneValue& v, DType t) {
    if (!is_complex(t)) {
        Value* part = to_memory(v.value, t);
        Value* cell = alloca_at_entry(part->getType(), "cell");
        b_.CreateStore(part, cell);
        return cell;
    }
    Value* cell = alloca_at_entry(llvm::ArrayType::get(v.value->getType(), 2), "cell");
    b_.CreateStore(v.value, cell);
    b_.CreateStore(v.imag, b_.CreateConstInBoundsGEP1_64(v.value->getType(), cell, 1));
    return cell;
}

/// Runs the iterations with the indices first, first + step ..., `count` of them.
//
//     if (count > 0) { fill the frame; call the loop's function; slots op= totals }
void ProgramEmitter::emit_vector_loop(Id id, const VectorLoop& loop, Value* first, Value* count,
                                      Value* step) {
    auto* i64 = b_.getInt64Ty();
    const std::string name = options_.entry + "_v" + std::to_string(vector_functions_++);
    {
        const llvm::IRBuilder<>::InsertPointGuard guard(b_);
        EmitOptions options = options_;
        options.entry = name;
        Emitter(loop.kernel, context_, module_, options).run();
    }
    llvm::Function* function = module_.getFunction(name);
    function->setLinkage(llvm::Function::InternalLinkage);
    function->addFnAttr("kiln-vector");

    auto* some = BasicBlock::Create(context_, "lanes", scope_->function);
    auto* done = BasicBlock::Create(context_, "lanes.end", scope_->function);
    b_.CreateCondBr(b_.CreateICmpSGT(count, b_.getInt64(0)), some, done);
    b_.SetInsertPoint(some);
    scope_->values[id] = {first, nullptr, false};
    Value* frame = alloca_at_entry(llvm::ArrayType::get(i64, 3 + 3 * loop.operands.size()), "map");
    const auto put = [&](std::size_t word, Value* v) {
        b_.CreateStore(v, b_.CreateConstInBoundsGEP1_64(i64, frame, word));
    };
    put(0, count);
    put(1, b_.getInt64(1));
    put(2, llvm::ConstantPointerNull::get(b_.getPtrTy()));
    std::vector<Value*> totals(loop.operands.size(), nullptr);
    for (std::size_t p = 0; p < loop.operands.size(); ++p) {
        const VectorOperand& operand = loop.operands[p];
        Value *data = nullptr, *inner = b_.getInt64(0);
        switch (operand.kind) {
            case VectorOperand::Kind::element: {
                const Node& n = kernel_.nodes[operand.node];
                const View& v = view(n.aux);
                data = v.data;
                for (std::size_t d = 0; d < operand.coefficients.size(); ++d) {
                    Value* subscript = at_first(kernel_.operands_of(n)[d], id);
                    data = b_.CreateInBoundsGEP(b_.getInt8Ty(), data,
                                                b_.CreateMul(subscript, v.strides[d]));
                    Value* coefficient = llvm::ConstantInt::getSigned(i64, operand.coefficients[d]);
                    inner = b_.CreateAdd(
                        inner, b_.CreateMul(step, b_.CreateMul(coefficient, v.strides[d])));
                }
                break;
            }
            case VectorOperand::Kind::value:
                data = spill(value(operand.node), kernel_.nodes[operand.node].dtype);
                break;
            case VectorOperand::Kind::slot: {
                const LaneValue& place = scope_->slots[operand.slot];
                auto* type = compute_type(real_type(kernel_.slots[operand.slot].dtype));
                data = spill(
                    {b_.CreateLoad(type, place.value),
                     place.imag != nullptr ? b_.CreateLoad(type, place.imag) : nullptr, false},
                    kernel_.slots[operand.slot].dtype);
                break;
            }
            case VectorOperand::Kind::first:
                data = spill({first, nullptr, false}, DType::i64);
                break;
            case VectorOperand::Kind::step: data = spill({step, nullptr, false}, DType::i64); break;
            case VectorOperand::Kind::total:
                data = alloca_at_entry(memory_type(kernel_.slots[operand.slot].dtype), "total");
                totals[p] = data;
                break;
        }
        put(3 + 3 * p, data);
        put(4 + 3 * p, inner);
        put(5 + 3 * p, b_.getInt64(0));
    }
    auto* call = b_.CreateCall(function, {frame});
    call->addFnAttr(llvm::Attribute::NoUnwind);
    for (std::size_t p = 0; p < loop.operands.size(); ++p) {
        if (totals[p] == nullptr) continue;
        const VectorOperand& operand = loop.operands[p];
        const DType t = kernel_.slots[operand.slot].dtype;
        Value* place = scope_->slots[operand.slot].value;
        Value* total = from_memory(b_.CreateLoad(memory_type(t), totals[p]), t);
        const Accumulator a{info(operand.reduction).op, t, {}, {}, {}, {}};
        b_.CreateStore(combine(a, {b_.CreateLoad(compute_type(t), place), nullptr, false},
                               {total, nullptr, false})
                           .value,
                       place);
    }
    b_.CreateBr(done);
    b_.SetInsertPoint(done);
    scope_->values[id] = {};
}

}  // namespace kiln::codegen
