// Programs of loops: elements of arrays, local variables, faults.
#include "codegen/llvm/program/program_emitter.h"

#include <llvm/IR/CFG.h>
#include <llvm/IR/MDBuilder.h>

namespace kiln::codegen {

using ir::Id;
using ir::Layout;
using ir::Node;
using ir::NodeKind;
using llvm::BasicBlock;
using llvm::Value;

// ------------------------------------------------------------------------------ faults

/// Calls the runtime's `fault`.
void ProgramEmitter::report(abi::FaultSite site, const abi::Subject& about, Value* numbers) {
    auto* i64 = b_.getInt64Ty();
    auto* type = llvm::FunctionType::get(b_.getVoidTy(),
                                         {b_.getPtrTy(), i64, i64, i64, b_.getPtrTy()}, false);
    Value* iteration = scope_->iteration != nullptr ? scope_->iteration : b_.getInt64(0);
    auto* call =
        b_.CreateCall(type, runtime_function(abi::runtime_word::fault),
                      {scope_->frame, llvm::ConstantInt::getSigned(i64, abi::pack(site)), iteration,
                       llvm::ConstantInt::getSigned(i64, abi::pack(about)), numbers});
    call->addFnAttr(llvm::Attribute::Cold);
    call->addFnAttr(llvm::Attribute::NoUnwind);
}

void ProgramEmitter::emit_failed_check(const Node& n, Id id) {
    auto* failed = BasicBlock::Create(context_, "fault", scope_->function);
    auto* next = BasicBlock::Create(context_, "checked", scope_->function);
    b_.CreateCondBr(value(kernel_.operand(id, 0)).value, next, failed,
                    llvm::MDBuilder(context_).createBranchWeights(1000000, 1));
    b_.SetInsertPoint(failed);
    auto* i64 = b_.getInt64Ty();
    const auto extents = kernel_.operands_of(n).subspan(1);
    Value* list = llvm::ConstantPointerNull::get(b_.getPtrTy());
    if (!extents.empty()) {
        list = ops_.alloca_at_entry(llvm::ArrayType::get(i64, extents.size()), "extents");
        for (std::size_t d = 0; d < extents.size(); ++d)
            b_.CreateStore(value(extents[d]).value, b_.CreateConstInBoundsGEP1_64(i64, list, d));
    }
    abi::Subject about;
    if (!extents.empty()) {
        const auto first = static_cast<std::uint32_t>(n.imm);
        about = {abi::Subject::Kind::lists, n.aux2, first,
                 static_cast<std::uint32_t>(extents.size()) - first};
    }
    const auto check = static_cast<ir::Check>(n.aux);
    report({check, n.loc}, about, list);
    const bool ends = check == ir::Check::shapes || check == ir::Check::empty;
    b_.CreateBr(ends ? scope_->exit : next);
    b_.SetInsertPoint(next);
}

// In checked mode: what follows runs where the access is inside of its array; elsewhere a fault is
// recorded. The block to join in, or null.

BasicBlock* ProgramEmitter::guard(const Node& n, std::size_t subscripts) {
    if (!options_.checked || subscripts == 0) return nullptr;
    llvm::SmallVector<Value*, 8> at;
    for (std::size_t d = 0; d < subscripts; ++d)
        at.push_back(value(kernel_.operands_of(n)[d]).value);
    return guard(n, at, view(n.aux).extents, n.aux);
}

BasicBlock* ProgramEmitter::guard_local(const Node& n, Id position) {
    if (!options_.checked || position == ir::none) return nullptr;
    return guard(n, {value(position).value}, {b_.getInt64(kernel_.slots[n.aux].length)},
                 frame_params_ + n.aux);
}

/// `array`: a parameter, or behind all of them a slot.
BasicBlock* ProgramEmitter::guard(const Node& n, llvm::ArrayRef<Value*> subscripts,
                                  llvm::ArrayRef<Value*> extents, std::uint32_t array) {
    auto* i64 = b_.getInt64Ty();
    auto* failed = BasicBlock::Create(context_, "outside", scope_->function);
    auto* fine = BasicBlock::Create(context_, "inside", scope_->function);
    auto* join = BasicBlock::Create(context_, "accessed", scope_->function);
    Value* inside = b_.getTrue();
    for (std::size_t d = 0; d < subscripts.size(); ++d)
        inside = b_.CreateAnd(inside, b_.CreateICmpULT(subscripts[d], extents[d]));
    b_.CreateCondBr(inside, fine, failed,
                    llvm::MDBuilder(context_).createBranchWeights(1000000, 1));
    b_.SetInsertPoint(failed);
    const std::size_t rank = subscripts.size();
    Value* list = ops_.alloca_at_entry(llvm::ArrayType::get(i64, 2 * rank), "subscripts");
    for (std::size_t d = 0; d < rank; ++d) {
        b_.CreateStore(subscripts[d], b_.CreateConstInBoundsGEP1_64(i64, list, d));
        b_.CreateStore(extents[d], b_.CreateConstInBoundsGEP1_64(i64, list, rank + d));
    }
    report({ir::Check::out_of_bounds, n.loc}, {abi::Subject::Kind::array, array}, list);
    b_.CreateBr(join);
    b_.SetInsertPoint(fine);
    return join;
}

/// Goes on in `join`, which a guard made: with the value, or 0 where the access was outside.
LaneValue ProgramEmitter::or_zero(const LaneValue& v, BasicBlock* join) {
    if (join == nullptr) return v;
    BasicBlock* failed = *llvm::pred_begin(join);
    BasicBlock* from = b_.GetInsertBlock();
    b_.CreateBr(join);
    b_.SetInsertPoint(join);
    const auto merge = [&](Value* part) -> Value* {
        if (part == nullptr) return nullptr;
        auto* phi = b_.CreatePHI(part->getType(), 2);
        phi->addIncoming(part, from);
        phi->addIncoming(llvm::Constant::getNullValue(part->getType()), failed);
        return phi;
    };
    return {merge(v.value), merge(v.imag), v.varying};
}

// ------------------------------------------------------------------------------ memory

Value* ProgramEmitter::address(const Node& n, std::size_t subscripts, unsigned offset) {
    const View& v = view(n.aux);
    const auto operands = kernel_.operands_of(n);
    Value* at = v.data;
    for (std::size_t d = 0; d < subscripts; ++d) {
        Value* distance = b_.CreateMul(value(operands[d]).value, v.strides[d]);
        at = b_.CreateInBoundsGEP(b_.getInt8Ty(), at, distance);
    }
    return offset == 0 ? at : b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), at, offset);
}

LaneValue ProgramEmitter::load_element(const Node& n) {
    const DType t = n.dtype;
    auto* type = is_complex(t) ? ops_.compute_type(real_type(t)) : ops_.memory_type(t);
    BasicBlock* join = guard(n, n.operand_count);
    const auto load = [&](unsigned offset) -> Value* {
        auto* l = b_.CreateAlignedLoad(type, address(n, n.operand_count, offset), llvm::Align(1),
                                       kernel_.params[n.aux].name);
        add_alias_scopes(l, n.aux);
        return l;
    };
    LaneValue v{load(0), nullptr, false};
    if (is_complex(t)) v.imag = load(static_cast<unsigned>(size_of(t) / 2));
    v = or_zero(v, join);
    if (!is_complex(t)) v.value = ops_.from_memory(v.value, t);
    return v;
}

void ProgramEmitter::store_element(const Node& n) {
    const DType t = kernel_.params[n.aux].dtype;
    const std::size_t subscripts = n.operand_count - 1U;
    const LaneValue v = value(kernel_.operands_of(n).back());
    BasicBlock* join = guard(n, subscripts);
    const auto store = [&](Value* part, unsigned offset) {
        add_alias_scopes(
            b_.CreateAlignedStore(part, address(n, subscripts, offset), llvm::Align(1)), n.aux);
    };
    if (is_complex(t)) {
        store(v.value, 0);
        store(v.imag, static_cast<unsigned>(size_of(t) / 2));
    } else {
        store(ops_.to_memory(v.value, t), 0);
    }
    if (join == nullptr) return;
    b_.CreateBr(join);
    b_.SetInsertPoint(join);
}

/// An atomic read-modify-write, as a loop of compare and exchange:
//
//     for (old = load; !cmpxchg(old, old op v); ) {}
LaneValue ProgramEmitter::emit_atomic(const Node& n) {
    const DType t = n.dtype;
    const std::size_t subscripts = n.operand_count - 1U;
    const ir::Op op = info(ir::Reduction(n.aux2)).op;
    Value* operand = value(kernel_.operands_of(n).back()).value;
    BasicBlock* join = guard(n, subscripts);
    Value* at = address(n, subscripts, 0);
    const llvm::Align align(size_of(t));
    Value* old = nullptr;
    if (is_integer(t) && op == ir::Op::add) {
        old = b_.CreateAtomicRMW(llvm::AtomicRMWInst::Add, at, operand, align,
                                 llvm::AtomicOrdering::Monotonic);
    } else {
        auto* bits = b_.getIntNTy(static_cast<unsigned>(8 * size_of(t)));
        auto* initial = b_.CreateAlignedLoad(bits, at, align);
        initial->setAtomic(llvm::AtomicOrdering::Monotonic);
        auto* loop = BasicBlock::Create(context_, "atomic", scope_->function);
        auto* done = BasicBlock::Create(context_, "atomic.end", scope_->function);
        BasicBlock* before = b_.GetInsertBlock();
        b_.CreateBr(loop);
        b_.SetInsertPoint(loop);
        auto* seen = b_.CreatePHI(bits, 2, "seen");
        seen->addIncoming(initial, before);
        old = is_real(t) ? b_.CreateBitCast(seen, ops_.compute_type(t)) : seen;
        Value* wanted = ops_.combine(ir::Reduction(n.aux2), t, old, operand);
        if (is_real(t)) wanted = b_.CreateBitCast(wanted, bits);
        auto* exchange =
            b_.CreateAtomicCmpXchg(at, seen, wanted, align, llvm::AtomicOrdering::Monotonic,
                                   llvm::AtomicOrdering::Monotonic);
        seen->addIncoming(b_.CreateExtractValue(exchange, 0), b_.GetInsertBlock());
        b_.CreateCondBr(b_.CreateExtractValue(exchange, 1), done, loop);
        b_.SetInsertPoint(done);
    }
    return or_zero({old, nullptr, false}, join);
}

/// Where a slot of the function lives. Local arrays are arrays of their elements in memory.
LaneValue ProgramEmitter::make_slot(std::uint32_t slot) {
    const ir::Slot& s = kernel_.slots[slot];
    auto* element =
        is_bool(s.dtype) && s.length > 1 ? b_.getInt8Ty() : ops_.compute_type(real_type(s.dtype));
    llvm::Type* type = s.length == 1 ? element : llvm::ArrayType::get(element, s.length);
    const auto place = [&](const char* name) {
        return s.length == 1 ? ops_.alloca_at_entry(type, name) : function_memory(type, name);
    };
    return {place("slot"), is_complex(s.dtype) ? place("slot.im") : nullptr, false};
}

Value* ProgramEmitter::local_place(std::uint32_t slot, Value* part, Id position) {
    const ir::Slot& s = kernel_.slots[slot];
    if (s.length == 1) return part;
    auto* element = is_bool(s.dtype) ? b_.getInt8Ty() : ops_.compute_type(real_type(s.dtype));
    return b_.CreateInBoundsGEP(element, part, value(position).value);
}

LaneValue ProgramEmitter::read_local(const Node& n, Id id) {
    const ir::Slot& s = kernel_.slots[n.aux];
    const bool bytes = is_bool(s.dtype) && s.length > 1;
    auto* type = bytes ? b_.getInt8Ty() : ops_.compute_type(real_type(s.dtype));
    const Id position = n.operand_count == 0 ? ir::none : kernel_.operand(id, 0);
    BasicBlock* join = guard_local(n, position);
    const auto get = [&](Value* part) -> Value* {
        if (part == nullptr) return nullptr;
        auto* l = b_.CreateLoad(type, local_place(n.aux, part, position));
        if (s.length > 1) add_alias_scopes(l, kernel_.params.size() + n.aux);
        return l;
    };
    LaneValue v{get(scope_->slots[n.aux].value), get(scope_->slots[n.aux].imag), false};
    v = or_zero(v, join);
    if (bytes) v.value = ops_.from_memory(v.value, s.dtype);
    return v;
}

void ProgramEmitter::write_local(const Node& n, Id id) {
    const ir::Slot& s = kernel_.slots[n.aux];
    LaneValue v = value(kernel_.operands_of(n).back());
    if (is_bool(s.dtype) && s.length > 1) v.value = ops_.to_memory(v.value, s.dtype);
    const Id position = n.operand_count == 2 ? kernel_.operand(id, 0) : ir::none;
    BasicBlock* join = guard_local(n, position);
    const auto put = [&](Value* part, Value* at) {
        auto* store = b_.CreateStore(part, local_place(n.aux, at, position));
        if (s.length > 1) add_alias_scopes(store, kernel_.params.size() + n.aux);
    };
    put(v.value, scope_->slots[n.aux].value);
    if (scope_->slots[n.aux].imag != nullptr) put(v.imag, scope_->slots[n.aux].imag);
    if (join == nullptr) return;
    b_.CreateBr(join);
    b_.SetInsertPoint(join);
}

}  // namespace kiln::codegen
