// Control flow as masks: blocks, branches, loops, jumps, checks, for all lanes of a body at once.
#include "codegen/llvm/emitter.h"

#include <algorithm>

namespace kiln::codegen {

using ir::Id;
using ir::Node;
using ir::NodeKind;
using llvm::BasicBlock;
using llvm::Value;

void Emitter::emit_block(Id block) {
    for (const Id id : kernel_.blocks[block].nodes) {
        if (values_[id].value != nullptr && !facts_.varying[id] && uniform_[id].value != nullptr)
            continue;
        emit_node(id);
    }
}

void Emitter::emit_node(Id id) {
    const Node& n = kernel_.nodes[id];
    switch (n.kind) {
        case NodeKind::constant:
        case NodeKind::param:
        case NodeKind::extent:
        case NodeKind::index: return;  // leaves are made where they are used
        case NodeKind::op: values_[id] = emit_op(id); return;
        case NodeKind::cast: values_[id] = emit_cast(id); return;
        case NodeKind::load: values_[id] = emit_load(n); return;
        case NodeKind::read: values_[id] = read_slot(n.aux); return;
        case NodeKind::store: emit_store(n, id); return;
        case NodeKind::write: write_slot(n.aux, value(kernel_.operand(id, 0))); return;
        case NodeKind::check: emit_check(n, id); return;
        case NodeKind::branch: emit_branch(n, id); return;
        case NodeKind::loop: emit_loop(n, id); return;
        case NodeKind::loop_while: emit_while(n, id); return;
        case NodeKind::break_:
        case NodeKind::continue_:
        case NodeKind::return_: emit_jump(n.kind); return;
        case NodeKind::contribute: emit_contribute(n, id); return;
        case NodeKind::atomic:
        case NodeKind::whole:
        case NodeKind::fold:
        case NodeKind::assign:
            refuse("atomics and whole-array statements are not element-wise", n.loc);
    }
}

Value* Emitter::all_lanes() {
    return llvm::ConstantInt::getTrue(llvm::FixedVectorType::get(b_.getInt1Ty(), lanes_));
}
Value* Emitter::active_mask() { return mask_ != nullptr ? mask_ : all_lanes(); }

Value* Emitter::any(Value* mask) {
    return b_.CreateICmpNE(b_.CreateBitCast(mask, b_.getIntNTy(lanes_)),
                           llvm::ConstantInt::get(b_.getIntNTy(lanes_), 0));
}

Value* Emitter::iota(llvm::Type* element) {
    std::vector<llvm::Constant*> lanes;
    for (unsigned l = 0; l < lanes_; ++l) lanes.push_back(llvm::ConstantInt::get(element, l));
    return llvm::ConstantVector::get(lanes);
}

Value* Emitter::alloca_at_entry(llvm::Type* type, const char* name) {
    llvm::IRBuilder<>::InsertPointGuard guard(b_);
    b_.SetInsertPoint(entry_, entry_->begin());
    return b_.CreateAlloca(type, nullptr, name);
}

bool Emitter::has_jump(Id block) const {
    return std::ranges::any_of(kernel_.blocks[block].nodes, [&](Id id) {
        const Node& n = kernel_.nodes[id];
        switch (n.kind) {
            case NodeKind::break_:
            case NodeKind::continue_:
            case NodeKind::return_: return true;
            case NodeKind::branch:
                return has_jump(n.aux) || (n.aux2 != ir::none && has_jump(n.aux2));
            case NodeKind::loop: return has_jump(n.aux);
            case NodeKind::loop_while: return has_jump(n.aux2);
            default: return false;
        }
    });
}

/// Whether a block is worth a jump around it when no lane needs it.
bool Emitter::is_heavy(Id block) const {
    unsigned operations = 0;
    for (const Id id : kernel_.blocks[block].nodes) {
        const Node& n = kernel_.nodes[id];
        if (n.kind == NodeKind::loop || n.kind == NodeKind::loop_while ||
            n.kind == NodeKind::branch)
            return true;
        if (n.kind == NodeKind::op && ir::is_elementary(n.op)) return true;
        ++operations;
    }
    return operations > 16;
}

/// After nodes that may have ended some lanes' iteration: take those out of the mask.
void Emitter::narrow_mask() {
    auto* type = all_lanes()->getType();
    if (!loops_.empty())
        mask_ = b_.CreateAnd(active_mask(), b_.CreateLoad(type, loops_.back().iteration));
    if (alive_ != nullptr) mask_ = b_.CreateAnd(active_mask(), b_.CreateLoad(type, alive_));
}

void Emitter::emit_branch(const Node& n, Id id) {
    const LaneValue condition = value(kernel_.operand(id, 0));
    const bool jumps = has_jump(n.aux) || (n.aux2 != ir::none && has_jump(n.aux2));
    Value* outer = mask_;
    const auto arm = [&](Id block, Value* taken, bool skip) {
        if (!skip) {
            mask_ = taken;
            emit_block(block);
            mask_ = outer;
            return;
        }
        auto* inside = BasicBlock::Create(context_, "if", function_);
        auto* join = BasicBlock::Create(context_, "if.end", function_);
        b_.CreateCondBr(condition.varying ? any(taken) : taken, inside, join);
        b_.SetInsertPoint(inside);
        mask_ = condition.varying ? taken : outer;
        emit_block(block);
        mask_ = outer;
        b_.CreateBr(join);
        b_.SetInsertPoint(join);
    };
    if (!condition.varying) {
        arm(n.aux, condition.value, true);
        if (n.aux2 != ir::none) arm(n.aux2, b_.CreateNot(condition.value), true);
    } else {
        Value* all = active_mask();
        arm(n.aux, b_.CreateAnd(all, condition.value), is_heavy(n.aux));
        if (n.aux2 != ir::none)
            arm(n.aux2, b_.CreateAnd(all, b_.CreateNot(condition.value)), is_heavy(n.aux2));
    }
    if (jumps) narrow_mask();
}

void Emitter::emit_jump(NodeKind kind) {
    auto* type = all_lanes()->getType();
    Value* leaving = b_.CreateNot(active_mask());
    const auto leave = [&](Value* lanes) {
        b_.CreateStore(b_.CreateAnd(b_.CreateLoad(type, lanes), leaving), lanes);
    };
    if (kind == NodeKind::return_) {
        leave(alive_);
        for (const Loop& loop : loops_) {
            leave(loop.live);
            leave(loop.iteration);
        }
    } else {
        leave(loops_.back().iteration);
        if (kind == NodeKind::break_) leave(loops_.back().live);
    }
    mask_ = llvm::Constant::getNullValue(type);
}

/// The body of a loop for the lanes in `mask_`.
void Emitter::emit_loop_body(Id block, const Loop& loop) {
    b_.CreateStore(active_mask(), loop.iteration);
    loops_.push_back(loop);
    emit_block(block);
    loops_.pop_back();
}

void Emitter::emit_loop(const Node& n, Id id) {
    auto* lane_mask = all_lanes()->getType();
    const bool varying = facts_.varying[id], jumps = has_jump(n.aux);
    Value* outer = mask_;
    const auto bound = [&](std::size_t i) {
        return varying ? varying_value(kernel_.operand(id, i))
                       : value(kernel_.operand(id, i)).value;
    };
    Value *begin = bound(0), *end = bound(1), *step = bound(2);
    Value* upwards = b_.CreateICmpSGT(step, llvm::Constant::getNullValue(step->getType()));
    const Loop loop{alloca_at_entry(lane_mask, "live"), alloca_at_entry(lane_mask, "iteration")};
    b_.CreateStore(active_mask(), loop.live);

    auto* head = BasicBlock::Create(context_, "for", function_);
    auto* body = BasicBlock::Create(context_, "for.body", function_);
    auto* done = BasicBlock::Create(context_, "for.end", function_);
    BasicBlock* before = b_.GetInsertBlock();
    b_.CreateBr(head);
    b_.SetInsertPoint(head);
    auto* counter = b_.CreatePHI(begin->getType(), 2, "k");
    counter->addIncoming(begin, before);
    Value* more =
        b_.CreateSelect(upwards, b_.CreateICmpSLT(counter, end), b_.CreateICmpSGT(counter, end));
    Value* live = nullptr;
    if (varying) {
        live = b_.CreateAnd(b_.CreateLoad(lane_mask, loop.live), more);
        b_.CreateStore(live, loop.live);
        more = any(live);
    } else if (jumps) {
        live = b_.CreateLoad(lane_mask, loop.live);
        more = b_.CreateAnd(more, any(live));
    }
    b_.CreateCondBr(more, body, done);
    b_.SetInsertPoint(body);
    if (live != nullptr) mask_ = live;
    values_[id] = {counter, nullptr, varying};
    emit_loop_body(n.aux, loop);
    counter->addIncoming(b_.CreateAdd(counter, step), b_.GetInsertBlock());
    b_.CreateBr(head);
    b_.SetInsertPoint(done);
    mask_ = outer;
    if (jumps) narrow_mask();
}

void Emitter::emit_while(const Node& n, Id id) {
    auto* lane_mask = all_lanes()->getType();
    Value* outer = mask_;
    const Loop loop{alloca_at_entry(lane_mask, "live"), alloca_at_entry(lane_mask, "iteration")};
    b_.CreateStore(active_mask(), loop.live);
    auto* head = BasicBlock::Create(context_, "while", function_);
    auto* body = BasicBlock::Create(context_, "while.body", function_);
    auto* done = BasicBlock::Create(context_, "while.end", function_);
    b_.CreateBr(head);
    b_.SetInsertPoint(head);
    mask_ = b_.CreateLoad(lane_mask, loop.live);
    emit_block(n.aux);
    Value* live = b_.CreateAnd(mask_, varying_value(kernel_.operand(id, 0)));
    b_.CreateStore(live, loop.live);
    b_.CreateCondBr(any(live), body, done);
    b_.SetInsertPoint(body);
    mask_ = live;
    emit_loop_body(n.aux2, loop);
    b_.CreateBr(head);
    b_.SetInsertPoint(done);
    mask_ = outer;
    if (has_jump(n.aux2)) narrow_mask();
}

void Emitter::emit_check(const Node& n, Id id) {
    Value* failed =
        b_.CreateAnd(active_mask(), b_.CreateNot(varying_value(kernel_.operand(id, 0))));
    auto* record = BasicBlock::Create(context_, "fault", function_);
    auto* store = BasicBlock::Create(context_, "fault.record", function_);
    auto* next = BasicBlock::Create(context_, "checked", function_);
    b_.CreateCondBr(any(failed), record, next);
    b_.SetInsertPoint(record);
    // Rows and blocks of columns run in order, so a fault on record is later only within this
    // block.
    Value* bits = b_.CreateBitCast(failed, b_.getIntNTy(lanes_));
    Value* lane = b_.CreateZExtOrTrunc(
        b_.CreateBinaryIntrinsic(llvm::Intrinsic::cttz, bits, b_.getTrue()), b_.getInt64Ty());
    Value* column = b_.CreateAdd(index_, lane);
    auto* i64 = b_.getInt64Ty();
    Value* fault =
        b_.CreateLoad(b_.getPtrTy(), b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), frame_, 16));
    Value* row_at = b_.CreateConstInBoundsGEP1_64(i64, fault, 1);
    Value* column_at = b_.CreateConstInBoundsGEP1_64(i64, fault, 2);
    Value* first = b_.CreateICmpSLT(b_.CreateLoad(i64, fault), b_.getInt64(0));
    Value* earlier = b_.CreateAnd(b_.CreateICmpEQ(b_.CreateLoad(i64, row_at), row_number_),
                                  b_.CreateICmpSLT(column, b_.CreateLoad(i64, column_at)));
    b_.CreateCondBr(b_.CreateOr(first, earlier), store, next);
    b_.SetInsertPoint(store);
    b_.CreateStore(b_.getInt64(n.aux | static_cast<std::uint64_t>(n.loc) << 8), fault);
    b_.CreateStore(row_number_, row_at);
    b_.CreateStore(column, column_at);
    b_.CreateBr(next);
    b_.SetInsertPoint(next);
}

}  // namespace kiln::codegen
