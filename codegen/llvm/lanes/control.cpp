// Control flow as masks: blocks, branches, loops, jumps, checks, for all lanes of a body at once.
#include "codegen/abi.h"
#include "codegen/analysis/loop_facts.h"
#include "codegen/llvm/debug_info.h"
#include "codegen/llvm/lanes/lane_emitter.h"
#include "dsl/ir/dispatch.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <algorithm>

namespace kiln::codegen {

using ir::Id;
using ir::Node;
using ir::NodeKind;
using llvm::BasicBlock;
using llvm::Value;

LaneValue LaneEmitter::value(Id id) {
    const Node& n = kernel_.nodes[id];
    return ir::leaf_or(
        n,
        ir::Handlers{
            [&](ir::Of<NodeKind::constant>) { return ops_.constant(id); },
            [&](ir::Of<NodeKind::param>) { return values_[id]; },  // loaded where the code begins
            [&](ir::Of<NodeKind::extent>) { return LaneValue{columns_, nullptr, false}; },
            [&](ir::Of<NodeKind::index>) {
                return ops_.stepped(index_, ops_.iota(b_.getInt64Ty()));
            },
        },
        [&] { return values_[id]; });
}

void LaneEmitter::emit_block(Id block) {
    for (const Id id : kernel_.blocks[block].nodes) {
        if (values_[id].value != nullptr && !facts_.varying[id] && uniform_[id].value != nullptr)
            continue;
        emit_node(id);
    }
}

void LaneEmitter::emit_node(Id id) {
    const Node& n = kernel_.nodes[id];
    if (options_.debug_info != nullptr) options_.debug_info->at(*function_, kernel_, n.loc, b_);
    constexpr ir::effect::Mask in_lanes = ir::effect::accesses | ir::effect::contributes |
                                          ir::effect::checks | ir::effect::branches |
                                          ir::effect::loops | ir::effect::jumps;
    ir::dispatch<in_lanes>(
        n,
        ir::Handlers{
            [&](ir::Leaf) {},  // made where they are used
            [&](ir::Of<NodeKind::op>) {
                if (facts_.only_tested[id]) return;
                if (const Id rest = tested_remainder(kernel_, facts_.slots, id); rest != ir::none)
                    values_[id] = ops_.emit_divisible(n, rest);
                else
                    values_[id] = ops_.emit_op(id);
            },
            [&](ir::Of<NodeKind::cast>) { values_[id] = ops_.emit_cast(id); },
            [&](ir::Of<NodeKind::load>) { values_[id] = emit_load(n); },
            [&](ir::Of<NodeKind::read>) { values_[id] = read_slot(n.aux, facts_.varying[id]); },
            [&](ir::Of<NodeKind::store>) { emit_store(n, id); },
            [&](ir::Of<NodeKind::write>) {
                write_slot(n.aux, value(kernel_.operand(id, 0)), facts_.slots.to_all_lanes[id]);
            },
            [&](ir::Of<NodeKind::contribute>) { emit_contribute(n, id); },
            [&](ir::Of<NodeKind::check>) { emit_check(n, id); },
            [&](ir::Of<NodeKind::branch>) { emit_branch(n, id); },
            [&](ir::Of<NodeKind::loop>) { emit_loop(n, id); },
            [&](ir::Of<NodeKind::loop_while>) { emit_while(n, id); },
            [&](ir::Of<NodeKind::break_, NodeKind::continue_, NodeKind::return_>) {
                emit_jump(n.kind);
            },
        },
        [&](const ir::NodeInfo& kind) {
            if ((kind.does & (ir::effect::calls | ir::effect::calls_pure)) != 0)
                throw Error(ErrorKind::unsupported,
                            kernel_.functions[n.aux].name +
                                " is a function of the host program, which an element-wise kernel "
                                "cannot call",
                            kernel_.location(n.loc), "call it in a loop kernel, made by jit");
            refuse("an element-wise kernel has no " + std::string(kind.word), n.loc);
        });
}

Value* LaneEmitter::all_lanes() {
    return llvm::ConstantInt::getTrue(llvm::FixedVectorType::get(b_.getInt1Ty(), lanes_));
}
Value* LaneEmitter::active_mask() { return mask_ != nullptr ? mask_ : all_lanes(); }

/// A mask by registers.
std::vector<Value*> LaneEmitter::parts_of(Value* mask) {
    if (lanes_ <= unit_lanes_) return {mask};
    std::vector<Value*> parts;
    for (unsigned from = 0; from < lanes_; from += unit_lanes_) {
        std::vector<int> lanes;
        for (unsigned l = 0; l < unit_lanes_; ++l) lanes.push_back(static_cast<int>(from + l));
        parts.push_back(b_.CreateShuffleVector(mask, lanes));
    }
    return parts;
}

Value* LaneEmitter::whole(std::span<Value* const> parts) {
    std::vector<Value*> joined(parts.begin(), parts.end());
    while (joined.size() > 1) {  // a power of two of them
        const auto count =
            llvm::cast<llvm::FixedVectorType>(joined[0]->getType())->getNumElements();
        std::vector<int> lanes;
        for (unsigned l = 0; l < 2 * count; ++l) lanes.push_back(static_cast<int>(l));
        for (std::size_t i = 0; i < joined.size() / 2; ++i)
            joined[i] = b_.CreateShuffleVector(joined[2 * i], joined[2 * i + 1], lanes);
        joined.resize(joined.size() / 2);
    }
    return joined[0];
}

Value* LaneEmitter::any(Value* mask) {
    const std::vector<Value*> parts = parts_of(mask);
    Value* some = b_.CreateOr(parts);
    const auto lanes = llvm::cast<llvm::FixedVectorType>(some->getType())->getNumElements();
    auto* bits = b_.getIntNTy(lanes);
    return b_.CreateICmpNE(b_.CreateBitCast(some, bits), llvm::ConstantInt::get(bits, 0));
}

/// Without mask registers, a mask is kept as what comparisons give there: integers as wide as the
/// elements, all ones or all zeros.
LaneEmitter::MaskPlace LaneEmitter::mask_place(const char* name) {
    llvm::Type* element =
        options_.isa == VectorIsa::avx512 ? b_.getInt1Ty() : b_.getIntNTy(8 * facts_.widest);
    const unsigned lanes = std::min(lanes_, unit_lanes_);
    MaskPlace place;
    for (unsigned part = 0; part < lanes_ / lanes; ++part)
        place.push_back(ops_.alloca_at_entry(llvm::FixedVectorType::get(element, lanes), name));
    return place;
}

static llvm::Type* kept_type(Value* place) {
    return llvm::cast<llvm::AllocaInst>(place)->getAllocatedType();
}

void LaneEmitter::keep(Value* mask, const MaskPlace& place) {
    const std::vector<Value*> parts = parts_of(mask);
    for (std::size_t i = 0; i < place.size(); ++i)
        b_.CreateStore(b_.CreateSExt(parts[i], kept_type(place[i])), place[i]);
}

/// Takes the lanes out of a kept mask for which the condition does not hold.
void LaneEmitter::keep_where(Value* condition, const MaskPlace& place) {
    const std::vector<Value*> parts = parts_of(condition);
    for (std::size_t i = 0; i < place.size(); ++i) {
        llvm::Type* type = kept_type(place[i]);
        Value* old = b_.CreateLoad(type, place[i]);
        b_.CreateStore(b_.CreateAnd(old, b_.CreateSExt(parts[i], type)), place[i]);
    }
}

Value* LaneEmitter::kept(const MaskPlace& place) {
    std::vector<Value*> parts;
    for (Value* at : place) {
        llvm::Type* type = kept_type(at);
        Value* part = b_.CreateLoad(type, at);
        parts.push_back(type->isIntOrIntVectorTy(1)
                            ? part
                            : b_.CreateICmpSLT(part, llvm::Constant::getNullValue(type)));
    }
    return whole(parts);
}

/// Whether a block is worth a jump around it when no lane needs it.
bool LaneEmitter::is_heavy(Id block) const {
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
void LaneEmitter::narrow_mask() {
    if (!loops_.empty() && !loops_.back().iteration.empty())
        mask_ = b_.CreateAnd(active_mask(), kept(loops_.back().iteration));
    if (!alive_.empty()) mask_ = b_.CreateAnd(active_mask(), kept(alive_));
}

void LaneEmitter::emit_branch(const Node& n, Id id) {
    const LaneValue condition = value(kernel_.operand(id, 0));
    const bool jumps =
        has_jump(kernel_, n.aux) || (n.aux2 != ir::none && has_jump(kernel_, n.aux2));
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

void LaneEmitter::emit_jump(NodeKind kind) {
    Value* leaving = b_.CreateNot(active_mask());
    if (kind == NodeKind::return_) {
        keep_where(leaving, alive_);
        for (const Loop& loop : loops_) {
            keep_where(leaving, loop.live);
            keep_where(leaving, loop.iteration);
        }
    } else {
        keep_where(leaving, loops_.back().iteration);
        if (kind == NodeKind::break_) keep_where(leaving, loops_.back().live);
    }
    mask_ = llvm::Constant::getNullValue(all_lanes()->getType());
}

// ------------------------------------------------------------------------------ loops

/// The body of a loop that lanes may leave, for the lanes in `mask_`.
void LaneEmitter::emit_loop_body(Id block, const Loop& loop) {
    if (!loop.iteration.empty()) keep(active_mask(), loop.iteration);
    loops_.push_back(loop);
    emit_block(block);
    loops_.pop_back();
}

/// Before a loop that all lanes run alike: where it must not run since no lane is left, for then
/// nothing says that it ends. Returns where to go on behind the loop; null: some lane is left.
BasicBlock* LaneEmitter::skip_without_lanes() {
    if (mask_ == nullptr || mask_ == range_mask_) return nullptr;
    auto* loop = BasicBlock::Create(context_, "some", function_);
    auto* behind = BasicBlock::Create(context_, "some.end", function_);
    b_.CreateCondBr(any(mask_), loop, behind);
    b_.SetInsertPoint(loop);
    return behind;
}

/// for (k = begin; more(k); k = body(k)), in blocks called so: the k that ended it.
Value* LaneEmitter::repeat(const char* name, Value* begin, llvm::function_ref<Value*(Value*)> more,
                           llvm::function_ref<Value*(Value*)> body) {
    auto* head = BasicBlock::Create(context_, name, function_);
    auto* inside = BasicBlock::Create(context_, llvm::Twine(name) + ".body", function_);
    auto* done = BasicBlock::Create(context_, llvm::Twine(name) + ".end", function_);
    BasicBlock* before = b_.GetInsertBlock();
    b_.CreateBr(head);
    b_.SetInsertPoint(head);
    auto* k = b_.CreatePHI(begin->getType(), 2, "k");
    k->addIncoming(begin, before);
    Value* condition = more(k);
    b_.CreateCondBr(condition, inside, done);
    b_.SetInsertPoint(inside);
    Value* next = body(k);
    k->addIncoming(next, b_.GetInsertBlock());
    b_.CreateBr(head);
    b_.SetInsertPoint(done);
    return k;
}

/// The steps from `begin` on that all lanes of the mask make, without masks of the loop; where they
/// end. Lanes differ in the last ones only, if that.
Value* LaneEmitter::emit_common_steps(const Node& n, Id id, Value* begin, Value* ends) {
    auto* i64 = b_.getInt64Ty();
    Value* most = b_.CreateVectorSplat(lanes_, llvm::ConstantInt::get(i64, INT64_MAX));
    Value* end =
        b_.CreateIntMinReduce(mask_ != nullptr ? b_.CreateSelect(mask_, ends, most) : ends, true);
    if (mask_ != nullptr && mask_ != range_mask_) end = b_.CreateSelect(any(mask_), end, begin);
    return repeat(
        "alike", begin, [&](Value* k) { return b_.CreateICmpSLT(k, end); },
        [&](Value* k) {
            values_[id] = {k, nullptr, false};
            emit_block(n.aux);
            return b_.CreateAdd(k, b_.getInt64(1));
        });
}

void LaneEmitter::emit_loop(const Node& n, Id id) {
    // The index is the same in all lanes where begin and step are, wherever each lane ends.
    const bool varying = facts_.varying[id], jumps = has_jump(kernel_, n.aux);
    const bool ends_vary = varying || facts_.varying[kernel_.operand(id, 1)];
    const bool diverges = ends_vary || jumps;
    Value* outer = mask_;
    BasicBlock* behind = diverges ? nullptr : skip_without_lanes();
    const auto bound = [&](std::size_t i, bool by_lane) {
        return by_lane ? ops_.varying_value(kernel_.operand(id, i))
                       : value(kernel_.operand(id, i)).value;
    };
    Value *begin = bound(0, varying), *end = bound(1, ends_vary), *step = bound(2, varying);
    constexpr unsigned few_nodes = 24;  // so that a second copy of the body is cheap
    auto* constant_step = llvm::dyn_cast<llvm::ConstantInt>(step);
    if (unsigned nodes = 0; ends_vary && !varying && !jumps && constant_step != nullptr &&
                            constant_step->isOne() && is_light(n.aux, nodes) && nodes <= few_nodes)
        begin = emit_common_steps(n, id, begin, end);
    Value* upwards = b_.CreateICmpSGT(step, llvm::Constant::getNullValue(step->getType()));
    Loop loop;
    if (diverges) {
        loop.live = mask_place("live");
        keep(active_mask(), loop.live);
    }
    if (jumps) loop.iteration = mask_place("iteration");

    const auto goes_on = [&](Value* k) {
        Value* reached = ends_vary && !varying ? b_.CreateVectorSplat(lanes_, k) : k;
        Value* more = b_.CreateSelect(upwards, b_.CreateICmpSLT(reached, end),
                                      b_.CreateICmpSGT(reached, end));
        if (ends_vary) {
            keep_where(more, loop.live);
            mask_ = kept(loop.live);
            return any(mask_);
        }
        if (!jumps) return more;
        mask_ = kept(loop.live);
        return b_.CreateAnd(more, any(mask_));
    };
    repeat("for", begin, goes_on, [&](Value* k) {
        values_[id] = {k, nullptr, varying};
        if (diverges)
            emit_loop_body(n.aux, loop);
        else
            emit_block(n.aux);
        return b_.CreateAdd(k, step);
    });
    mask_ = outer;
    if (jumps) narrow_mask();
    if (behind != nullptr) {
        b_.CreateBr(behind);
        b_.SetInsertPoint(behind);
    }
}

/// Whether the block computes and writes slots under masks, and that is all; counts its nodes.
bool LaneEmitter::is_light(Id block, unsigned& nodes) const {
    return std::ranges::all_of(kernel_.blocks[block].nodes, [&](Id id) {
        const Node& x = kernel_.nodes[id];
        ++nodes;
        constexpr ir::effect::Mask light =
            ir::effect::reads | ir::effect::writes | ir::effect::breaks | ir::effect::branches;
        return ir::effects_of(x).only(light) &&
               !(x.kind == NodeKind::op && ir::is_elementary(x.op)) &&
               std::ranges::all_of(ir::blocks_of(x), [&](Id inner) {
                   return !is_heavy(inner) && is_light(inner, nodes);
               });
    });
}

/// How many steps of a loop run between two tests whether any lane is left. Steps of no lane must
/// do nothing and cost little.
unsigned LaneEmitter::steps_a_test(const Node& n) const {
    unsigned nodes = 0;
    if (!is_light(n.aux, nodes) || !is_light(n.aux2, nodes)) return 1;
    return nodes <= 24 ? 4 : nodes <= 48 ? 2 : 1;
}

/// The conjuncts of a condition: those that are the same in all lanes, and the others.
void LaneEmitter::split_condition(Id condition, std::vector<Value*>& one,
                                  std::vector<Value*>& by_lane) {
    const Node& n = kernel_.nodes[condition];
    const bool both = n.kind == NodeKind::op && is_bool(n.dtype) &&
                      (n.op == ir::Op::logical_and || n.op == ir::Op::bit_and);
    if (both && facts_.varying[condition]) {
        for (const Id part : kernel_.operands_of(condition)) split_condition(part, one, by_lane);
    } else {
        (facts_.varying[condition] ? by_lane : one).push_back(value(condition).value);
    }
}

void LaneEmitter::emit_while(const Node& n, Id id) {
    const bool jumps = has_jump(kernel_, n.aux2), diverges = facts_.varying[id] || jumps;
    Value* outer = mask_;
    BasicBlock* behind = diverges ? nullptr : skip_without_lanes();
    auto* head = BasicBlock::Create(context_, "while", function_);
    auto* done = BasicBlock::Create(context_, "while.end", function_);
    Loop loop;
    if (diverges) {
        loop.live = mask_place("live");
        keep(active_mask(), loop.live);
    }
    if (jumps) loop.iteration = mask_place("iteration");
    b_.CreateBr(head);
    b_.SetInsertPoint(head);
    if (diverges) {
        emit_while_steps(n, id, loop, done);
    } else {
        auto* body = BasicBlock::Create(context_, "while.body", function_);
        emit_block(n.aux);
        b_.CreateCondBr(value(kernel_.operand(id, 0)).value, body, done);
        b_.SetInsertPoint(body);
        emit_block(n.aux2);
    }
    b_.CreateBr(head);
    b_.SetInsertPoint(done);
    mask_ = outer;
    if (jumps) narrow_mask();
    if (behind != nullptr) {
        b_.CreateBr(behind);
        b_.SetInsertPoint(behind);
    }
}

//   condition; live &= it; any live? no: done;  body     each step but the first without the test.
// What of the condition is the same in all lanes is tested by a jump of its own, in each step.
void LaneEmitter::emit_while_steps(const Node& n, Id id, const Loop& loop, BasicBlock* done) {
    const unsigned steps = steps_a_test(n);
    const auto go_on_if = [&](Value* condition) {
        auto* next = BasicBlock::Create(context_, "while.body", function_);
        b_.CreateCondBr(condition, next, done);
        b_.SetInsertPoint(next);
    };
    for (unsigned step = 0; step < steps; ++step) {
        mask_ = kept(loop.live);
        emit_block(n.aux);
        std::vector<Value*> one, by_lane;
        split_condition(kernel_.operand(id, 0), one, by_lane);
        for (Value* condition : by_lane) keep_where(condition, loop.live);
        if (!one.empty()) go_on_if(b_.CreateAnd(one));
        mask_ = kept(loop.live);
        if (step == 0) go_on_if(any(mask_));
        emit_loop_body(n.aux2, loop);
    }
}

// ------------------------------------------------------------------------------ checks

void LaneEmitter::emit_check(const Node& n, Id id) {
    Value* failed =
        b_.CreateAnd(active_mask(), b_.CreateNot(ops_.varying_value(kernel_.operand(id, 0))));
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
    Value* fault = b_.CreateLoad(
        b_.getPtrTy(), b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), frame_,
                                                     abi::word_bytes * abi::map_word::fault));
    Value* row_at = b_.CreateConstInBoundsGEP1_64(i64, fault, abi::fault_word::row);
    Value* column_at = b_.CreateConstInBoundsGEP1_64(i64, fault, abi::fault_word::column);
    Value* first = b_.CreateICmpSLT(b_.CreateLoad(i64, fault), b_.getInt64(0));
    Value* earlier = b_.CreateAnd(b_.CreateICmpEQ(b_.CreateLoad(i64, row_at), row_number_),
                                  b_.CreateICmpSLT(column, b_.CreateLoad(i64, column_at)));
    b_.CreateCondBr(b_.CreateOr(first, earlier), store, next);
    b_.SetInsertPoint(store);
    const abi::FaultSite site{static_cast<ir::Check>(n.aux), n.loc};
    b_.CreateStore(b_.getInt64(static_cast<std::uint64_t>(abi::pack(site))), fault);
    b_.CreateStore(row_number_, row_at);
    b_.CreateStore(column, column_at);
    b_.CreateBr(next);
    b_.SetInsertPoint(next);
}

}  // namespace kiln::codegen
