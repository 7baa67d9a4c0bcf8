// Programs of loops: loops whose iterations run as lanes, by the emitter of element-wise kernels.
#include "codegen/abi.h"
#include "codegen/llvm/attributes.h"
#include "codegen/llvm/lanes/lane_emitter.h"
#include "codegen/llvm/program/program_emitter.h"
#include "codegen/trees.h"
#include "dsl/ir/text.h"

#include <llvm/IR/IntrinsicsX86.h>

#include <algorithm>

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
    Value* v = n.kind == NodeKind::op ? ops_.emit_op(id).value : ops_.emit_cast(id).value;
    for (const Id operand : made) scope_->values[operand] = {};
    return v;
}

/// A cell of memory that holds a value.
Value* ProgramEmitter::spill(const LaneValue& v, DType t) {
    if (!is_complex(t)) {
        Value* part = ops_.to_memory(v.value, t);
        Value* cell = ops_.alloca_at_entry(part->getType(), "cell");
        b_.CreateStore(part, cell);
        return cell;
    }
    Value* cell = ops_.alloca_at_entry(llvm::ArrayType::get(v.value->getType(), 2), "cell");
    b_.CreateStore(v.value, cell);
    b_.CreateStore(v.imag, b_.CreateConstInBoundsGEP1_64(v.value->getType(), cell, 1));
    return cell;
}

/// The function that runs a loop's iterations as lanes. Loops that differ in their arrays alone
/// share one, unless it becomes part of their callers.
llvm::Function* ProgramEmitter::vector_function(const VectorLoop& loop, bool streaming,
                                                bool in_place) {
    std::string key;
    if (!in_place) {
        key = ir::print(loop.kernel, {.locations = false}) + (streaming ? " streaming" : "") +
              std::string(loop.scan ? ir::info(*loop.scan).name : "");
        if (const auto at = shared_functions_.find(key); at != shared_functions_.end())
            return at->second;
    }
    const llvm::IRBuilder<>::InsertPointGuard guard(b_);
    EmitOptions options = options_;
    options.entry = options_.entry + "_v" + std::to_string(vector_functions_++);
    options.streaming = streaming;
    options.scan = loop.scan;
    options.fence = false;  // end_of_function has one for all
    LaneEmitter(loop.kernel, module_, options).run();
    llvm::Function* function = module_.getFunction(options.entry);
    function->setLinkage(llvm::Function::InternalLinkage);
    function->addFnAttr(attribute::vector_code);
    if (!in_place) shared_functions_.emplace(std::move(key), function);
    return function;
}

/// Runs the iterations with the indices first, first + step ..., `count` of them.
//
//     if (count > 0) { fill the frame; call the loop's function; slots op= totals }
void ProgramEmitter::emit_vector_loop(Id id, const VectorLoop& loop, Value* first, Value* count,
                                      Value* step, bool streaming) {
    auto* i64 = b_.getInt64Ty();
    // In place it saves a call for each run of the loop around it.
    const bool in_place = loop.in_place && traits_.loop_of[id] != ir::none;
    llvm::Function* function = vector_function(loop, streaming, in_place);

    auto* some = BasicBlock::Create(context_, "lanes", scope_->function);
    auto* done = BasicBlock::Create(context_, "lanes.end", scope_->function);
    b_.CreateCondBr(b_.CreateICmpSGT(count, b_.getInt64(0)), some, done);
    b_.SetInsertPoint(some);
    scope_->values[id] = {first, nullptr, false};
    Value* frame = ops_.alloca_at_entry(
        llvm::ArrayType::get(i64, abi::map_word::count(loop.operands.size())), "map");
    const auto put = [&](std::size_t word, Value* v) {
        b_.CreateStore(v, b_.CreateConstInBoundsGEP1_64(i64, frame, word));
    };
    put(abi::map_word::columns, count);
    put(abi::map_word::rows, b_.getInt64(1));
    put(abi::map_word::fault, llvm::ConstantPointerNull::get(b_.getPtrTy()));
    std::vector<Value*> totals(loop.operands.size(), nullptr);
    for (std::size_t p = 0; p < loop.operands.size(); ++p) {
        const VectorOperand& operand = loop.operands[p];
        Value *data = nullptr, *inner = b_.getInt64(0);
        switch (operand.kind) {
            case VectorOperand::Kind::element: {
                const Node& n = kernel_.nodes[operand.node];
                if (n.kind == NodeKind::read || n.kind == NodeKind::write) {
                    const auto size = size_of(kernel_.slots[n.aux].dtype);
                    Value* bytes = b_.CreateMul(at_first(kernel_.operand(operand.node, 0), id),
                                                b_.getInt64(size));
                    data = b_.CreateInBoundsGEP(b_.getInt8Ty(), scope_->slots[n.aux].value, bytes);
                    inner = b_.CreateMul(
                        step, llvm::ConstantInt::getSigned(
                                  i64, operand.coefficients[0] * static_cast<std::int64_t>(size)));
                    break;
                }
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
                auto* type = ops_.compute_type(real_type(kernel_.slots[operand.slot].dtype));
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
                data = ops_.alloca_at_entry(ops_.memory_type(kernel_.slots[operand.slot].dtype),
                                            "total");
                totals[p] = data;
                break;
        }
        put(abi::map_word::operand(p, abi::map_word::data), data);
        put(abi::map_word::operand(p, abi::map_word::inner), inner);
        put(abi::map_word::operand(p, abi::map_word::outer), b_.getInt64(0));
    }
    auto* call = b_.CreateCall(function, {frame});
    call->addFnAttr(llvm::Attribute::NoUnwind);
    if (in_place) in_place_.push_back(call);
    const auto total = [&](std::size_t p) {
        const DType t = kernel_.slots[loop.operands[p].slot].dtype;
        return ops_.from_memory(b_.CreateLoad(ops_.memory_type(t), totals[p]), t);
    };
    const auto place = [&](std::size_t p) { return scope_->slots[loop.operands[p].slot].value; };
    const auto so_far = [&](std::size_t p) {
        return b_.CreateLoad(ops_.compute_type(kernel_.slots[loop.operands[p].slot].dtype),
                             place(p));
    };
    for (std::size_t p = 0; p < loop.operands.size(); ++p) {
        const VectorOperand& operand = loop.operands[p];
        if (totals[p] == nullptr || operand.is_position) continue;
        const DType t = kernel_.slots[operand.slot].dtype;
        if (p + 1 < loop.operands.size() && loop.operands[p + 1].is_position) {
            const OpEmitter::Found found =
                ops_.earlier(operand.reduction, t, kernel_.slots[loop.operands[p + 1].slot].dtype,
                             {so_far(p), so_far(p + 1)}, {total(p), total(p + 1)});
            b_.CreateStore(found.first, place(p));
            b_.CreateStore(found.second, place(p + 1));
            continue;
        }
        b_.CreateStore(ops_.combine(operand.reduction, t, so_far(p), total(p)), place(p));
    }
    if (loop.scan) {  // what is stored last is what the variable has then
        const VectorOperand& carry = loop.operands[loop.operands.size() - 2];
        const DType t = kernel_.slots[carry.slot].dtype;
        const std::size_t out = loop.operands.size() - 1;
        const auto word = [&](std::size_t w, llvm::Type* type) {
            return b_.CreateLoad(type, b_.CreateConstInBoundsGEP1_64(i64, frame, w));
        };
        Value* bytes = b_.CreateMul(b_.CreateSub(count, b_.getInt64(1)),
                                    word(abi::map_word::operand(out, abi::map_word::inner), i64));
        Value* last = b_.CreateInBoundsGEP(
            b_.getInt8Ty(), word(abi::map_word::operand(out, abi::map_word::data), b_.getPtrTy()),
            bytes);
        Value* total = b_.CreateAlignedLoad(ops_.memory_type(t), last, llvm::Align(1));
        b_.CreateStore(ops_.from_memory(total, t), scope_->slots[carry.slot].value);
    }
    b_.CreateBr(done);
    b_.SetInsertPoint(done);
    scope_->values[id] = {};
}

/// The same, and where the loop sums floats, a tree over pieces of it.
void ProgramEmitter::emit_vector_pieces(Id id, const VectorLoop& loop, Value* first, Value* count,
                                        Value* step) {
    Slots sums;
    for (const VectorOperand& operand : loop.operands)
        if (operand.kind == VectorOperand::Kind::total && operand.reduction == ir::Reduction::sum &&
            is_real(kernel_.slots[operand.slot].dtype))
            sums.push_back(operand.slot);
    auto* known = llvm::dyn_cast<llvm::ConstantInt>(count);
    if (sums.empty() ||
        (known != nullptr && known->getZExtValue() <= tree::vector_block_iterations)) {
        emit_vector_loop(id, loop, first, count, step);
        return;
    }
    sum_apart(sums, tree::vector_block_iterations, count, [&](Value* from, Value* to) {
        emit_vector_loop(id, loop, b_.CreateAdd(first, b_.CreateMul(from, step)),
                         b_.CreateSub(to, from), step);
    });
}

// ------------------------------------------------------------------------------ streaming stores

/// Whether the arrays take so many bytes together that stores past the caches pay: what they store
/// is gone from the caches before it could be read again.
Value* ProgramEmitter::are_large(const std::vector<std::uint32_t>& arrays) {
    const llvm::IRBuilder<>::InsertPointGuard guard(b_);
    for (const std::uint32_t p : arrays) view(p);
    if (scope_->parallel) b_.SetInsertPoint(scope_->entry);
    Value* bytes = b_.getInt64(0);
    for (const std::uint32_t p : arrays) {
        Value* size = b_.getInt64(size_of(kernel_.params[p].dtype));
        for (Value* extent : view(p).extents) size = b_.CreateMul(size, extent);
        bytes = b_.CreateAdd(bytes, size);
    }
    return b_.CreateICmpSGE(bytes, b_.getInt64(abi::streaming_bytes));
}

/// The iterations with the indices first, first + step ..., `count` of them: with streaming stores
/// where that is legal and the arrays are large; `otherwise` emits the usual code.
void ProgramEmitter::emit_streamed(Id id, Value* first, Value* count, Value* step,
                                   llvm::function_ref<void()> otherwise) {
    const auto streamed = std::ranges::find(streamed_loops_, id, &StreamedLoop::loop);
    const auto loop = streamed != streamed_loops_.end() && options_.noalias && !options_.checked
                          ? extract_vector_loop(kernel_, id, true)
                          : std::nullopt;
    if (!loop) return otherwise();
    scope_->streams = true;
    auto* large = BasicBlock::Create(context_, "streamed", scope_->function);
    auto* usual = BasicBlock::Create(context_, "usual", scope_->function);
    auto* done = BasicBlock::Create(context_, "stored", scope_->function);
    Value* stream = are_large(streamed->arrays);
    b_.CreateCondBr(stream, large, usual);
    b_.SetInsertPoint(large);
    emit_vector_loop(id, *loop, first, count, step, true);
    b_.CreateBr(done);
    b_.SetInsertPoint(usual);
    otherwise();
    b_.CreateBr(done);
    b_.SetInsertPoint(done);
}

}  // namespace kiln::codegen
