// Reductions: each row of the frame is reduced to one value.
//
// A row of n columns, with L lanes a step (four registers of the widest type for simple bodies, so
// that the lanes of a step are the several accumulators that cover the latency of their operation).
// The kernel says how (ir::Lanes); of three levels, of which each takes 8 of the one below:
//
//     block = identity
//     for each 64 steps:
//         group = identity
//         for each 8 steps:
//             step = identity
//             for each step of L columns: step = step op body(L columns)
//             group = group op step
//         block = block op group
//     tail = block folded, upper half op lower half, to the lanes of the tail
//     for the columns that are left: tail = tail op (body or, in lanes without a column, identity)
//     result = before op tail folded to one lane
//
// Of states each level has one for each lane: in a step, the slots that the body reads and writes are
// those of `step`, or of `tail`.
//
// So the tree is a function of n and of the kernel alone, and a sum of 4096 columns passes each of
// them through some 8 + 8 + 4 + log2(L) additions.
#include "codegen/llvm/lanes/lane_emitter.h"

#include <algorithm>
#include <array>
#include <limits>

namespace kiln::codegen {

using ir::Id;
using ir::Node;
using ir::NodeKind;
using ir::Op;
using llvm::BasicBlock;
using llvm::Value;

/// Finds the stages of the kernel's form and declares its accumulators.
void LaneEmitter::choose_form() {
    const auto& stages = kernel_.stages;
    const bool reduces = kernel_.form == ir::Form::reduce;
    const ir::Stage* map = stages.size() != (reduces ? 3 : 1) ? nullptr : &stages[reduces ? 1 : 0];
    if (map == nullptr || map->extents.size() != 1 || map->reductions.empty() == reduces)
        refuse("this kernel is neither element-wise nor a reduction of one");
    for (const ir::Param& p : kernel_.params) {
        if (reduces && (p.access == ir::Access::out || p.access == ir::Access::inout)) {
            if (p.rank != 0 || p.layout != ir::Layout::unit)
                refuse("output '" + p.name + "' of a reduction is not of rank 0");
        } else if (p.access == ir::Access::value || p.rank != 1) {
            refuse("parameter '" + p.name + "' is not a rank-1 array");
        }
    }
    body_ = map->body;
    if (!reduces) return;
    before_ = &stages[0];
    after_ = &stages[2];
    for (std::size_t i = 0, end = 0; i < map->reductions.size(); ++i) {
        const ir::StageReduction& r = map->reductions[i];
        if (i == end) end += combiners_.parts(r);
        Accumulator a{r.reduction, kernel_.slots[r.target].dtype, {}, {}, {}, {}};
        if (r.combine != ir::none) {
            a.combine = r.combine;
            a.slot = r.target;
            a.part = combiners_.parts(r) - (end - i);
        }
        accumulators_.push_back(a);
    }
}

/// The accumulator whose lanes a slot is, if it is a part of a state.
const LaneEmitter::Accumulator* LaneEmitter::part_in(std::uint32_t slot) const {
    const auto at = std::ranges::find(accumulators_, slot, &Accumulator::slot);
    return at == accumulators_.end() ? nullptr : &*at;
}

// ------------------------------------------------------------------------------ accumulators

LaneValue LaneEmitter::accumulator_place(DType t, unsigned lanes, const char* name) {
    auto* type = llvm::FixedVectorType::get(ops_.compute_type(real_type(t)), lanes);
    return {ops_.alloca_at_entry(type, name),
            is_complex(t) ? ops_.alloca_at_entry(type, name) : nullptr, true};
}

/// The place of a level above the steps. Those of several totals stay in memory: in registers they
/// would be live in the innermost loop, which has enough of its own. Of the level of groups, which
/// every 8 steps use, only where they are too many.
LaneValue LaneEmitter::level_place(DType t, const char* name, bool in_memory) {
    LaneValue place = accumulator_place(t, block_lanes_, name);
    if (in_memory) in_memory_.insert({place.value, place.imag});
    return place;
}

LaneValue LaneEmitter::get(const LaneValue& place) {
    const auto load = [&](Value* at) -> Value* {
        if (at == nullptr) return nullptr;
        return b_.CreateLoad(llvm::cast<llvm::AllocaInst>(at)->getAllocatedType(), at,
                             in_memory_.contains(at));
    };
    return {load(place.value), load(place.imag), true};
}

void LaneEmitter::put(const LaneValue& place, const LaneValue& v) {
    const auto store = [&](Value* part, Value* at) {
        if (at != nullptr) b_.CreateStore(part, at, in_memory_.contains(at));
    };
    store(v.value, place.value);
    store(v.imag, place.imag);
}

void LaneEmitter::clear(const Accumulator& a, const LaneValue& place) {
    const auto fill = [&](Value* at, bool imaginary) {
        auto* type =
            llvm::cast<llvm::FixedVectorType>(llvm::cast<llvm::AllocaInst>(at)->getAllocatedType());
        Value* nothing = a.combine == ir::none ? ops_.neutral(a.reduction, a.dtype, imaginary)
                                               : combiners_[a.combine].initial(b_)[a.part];
        b_.CreateStore(b_.CreateVectorSplat(type->getElementCount(), nothing), at,
                       in_memory_.contains(at));
    };
    fill(place.value, false);
    if (place.imag != nullptr) fill(place.imag, true);
}

/// What all accumulators hold, combined; a comes first.
std::vector<LaneValue> LaneEmitter::combine_each(const std::vector<LaneValue>& a,
                                                 const std::vector<LaneValue>& b) {
    std::vector<LaneValue> result(accumulators_.size());
    for (std::size_t i = 0; i < accumulators_.size();) {
        const Accumulator& x = accumulators_[i];
        if (x.combine == ir::none) {
            result[i] = ops_.combine(x.reduction, x.dtype, a[i], b[i]);
            ++i;
            continue;
        }
        std::vector<Value*> first, second;
        for (std::size_t part = 0; part < combiners_[x.combine].parts(); ++part) {
            first.push_back(a[i + part].value);
            second.push_back(b[i + part].value);
        }
        for (Value* part : combiners_[x.combine].combined(b_, first, second))
            result[i++] = {part, nullptr, true};
    }
    return result;
}

void LaneEmitter::merge_all(Place into, Place from) {
    std::vector<LaneValue> a, b;
    for (const Accumulator& x : accumulators_) {
        a.push_back(get(x.*into));
        b.push_back(get(x.*from));
    }
    const auto result = combine_each(a, b);
    for (std::size_t i = 0; i < accumulators_.size(); ++i) put(accumulators_[i].*into, result[i]);
}

/// Lower half op upper half, until `to` lanes are left.
std::vector<LaneValue> LaneEmitter::folded(Place place, unsigned from, unsigned to) {
    std::vector<LaneValue> v;
    for (const Accumulator& a : accumulators_) v.push_back(get(a.*place));
    while (from > to) {
        from /= 2;
        const auto half = [&](Value* x, unsigned first) -> Value* {
            if (x == nullptr) return nullptr;
            std::vector<int> lanes;
            for (unsigned l = 0; l < from; ++l) lanes.push_back(static_cast<int>(first + l));
            return b_.CreateShuffleVector(x, lanes);
        };
        std::vector<LaneValue> lower, upper;
        for (const LaneValue& x : v) {
            lower.push_back({half(x.value, 0), half(x.imag, 0), true});
            upper.push_back({half(x.value, from), half(x.imag, from), true});
        }
        v = combine_each(lower, upper);
    }
    return v;
}

/// The condition by which a contribution is 1 or 0; none for others.
Id LaneEmitter::counted(Id contributed) const {
    const Node& n = kernel_.nodes[contributed];
    const auto is = [&](std::size_t i, std::uint64_t x) {
        const Node& c = kernel_.nodes[kernel_.operand(contributed, i)];
        return c.kind == NodeKind::constant && is_integer(c.dtype) && c.imm == x;
    };
    if (n.kind == NodeKind::op && n.op == Op::select)
        return is(1, 1) && is(2, 0) ? kernel_.operand(contributed, 0) : ir::none;
    if (n.kind != NodeKind::cast || !is_integer(n.dtype)) return ir::none;
    const Id from = kernel_.operand(contributed, 0);
    const DType t = kernel_.nodes[from].dtype;
    return is_bool(t) ? from : is_integer(t) ? counted(from) : ir::none;
}

/// Adds the number of lanes for which the condition holds.
void LaneEmitter::emit_count(const Accumulator& a, Id condition) {
    Value* lanes = ops_.varying_value(condition);
    if (mask_ != nullptr) lanes = b_.CreateAnd(lanes, mask_);
    Value* bits = b_.CreateBitCast(lanes, b_.getIntNTy(lanes_));
    Value* count = b_.CreateUnaryIntrinsic(llvm::Intrinsic::ctpop, bits);
    auto* type = ops_.compute_type(a.dtype);
    b_.CreateStore(b_.CreateAdd(b_.CreateLoad(type, a.count), b_.CreateZExtOrTrunc(count, type)),
                   a.count);
}

void LaneEmitter::emit_contribute(const Node& n, Id id) {
    if (n.aux >= accumulators_.size()) refuse("a contribution outside of a reduction", n.loc);
    const Accumulator& a = accumulators_[n.aux];
    if (a.count != nullptr && lanes_ > 1)
        if (const Id condition = counted(kernel_.operand(id, 0)); condition != ir::none)
            return emit_count(a, condition);
    const LaneValue& place = main_loop_ ? a.step : a.tail;
    const Id contributed = kernel_.operand(id, 0);
    const LaneValue v = value(contributed);
    const auto part = [&](Value* x, bool imaginary) -> Value* {
        if (x == nullptr) return nullptr;
        Value* full = ops_.as_varying(v, x);
        if (mask_ == nullptr) return full;
        Value* nothing =
            b_.CreateVectorSplat(lanes_, ops_.neutral(a.reduction, a.dtype, imaginary));
        return b_.CreateSelect(mask_, full, nothing);
    };
    const LaneValue more{part(v.value, false), part(v.imag, true), true};
    // A sum of products that may contract adds each with one rounding.
    Node flags = kernel_.nodes[contributed];
    flags.fast &= ir::fast::contract;
    ops_.set_fast(flags, contributed);
    const LaneValue sum = ops_.combine(a.reduction, a.dtype, get(place), more);
    b_.clearFastMathFlags();
    put(place, sum);
}

// ------------------------------------------------------------------------------ the row

void LaneEmitter::emit_reduced_columns() {
    for (const ir::StageReduction& r : kernel_.stages[1].reductions)
        if (kernel_.slots[r.target].length != 1) refuse("a reduction into a local array");
    const bool several = has_several_totals(),
               groups_apart = several && !two_levels_fit(kernel_, block_lanes_, options_.isa);
    for (Accumulator& a : accumulators_) {
        a.step = accumulator_place(a.dtype, block_lanes_, "step");
        a.group = level_place(a.dtype, "group", groups_apart);
        a.block = level_place(a.dtype, "block", several);
        a.upper = level_place(a.dtype, "upper", several);
        a.all = accumulator_place(a.dtype, block_lanes_, "all");
        a.tail = accumulator_place(a.dtype, tail_lanes_, "tail");
        if (a.combine != ir::none || a.reduction != ir::Reduction::sum || !is_integer(a.dtype) ||
            options_.isa == VectorIsa::sse2)
            continue;
        a.count = ops_.alloca_at_entry(ops_.compute_type(a.dtype), "count");
        b_.CreateStore(llvm::ConstantInt::get(ops_.compute_type(a.dtype), 0), a.count);
    }
    Value* whole = b_.CreateAnd(columns_, b_.getInt64(~std::uint64_t(block_lanes_ - 1)), "whole");
    emit_steps(whole);
    emit_tail(whole);
    emit_results();
}

/// The columns before `whole`, in steps of block_lanes_; leaves them folded in `tail`.
void LaneEmitter::emit_steps(Value* whole) {
    auto* i64 = b_.getInt64Ty();
    const auto block = [&](const char* name) {
        return BasicBlock::Create(context_, name, function_);
    };
    auto *first = block("blocks"), *step = block("step"), *fold = block("fold"),
         *done = block("folded");
    constexpr std::array<Place, 4> levels{&Accumulator::step, &Accumulator::group,
                                          &Accumulator::block, &Accumulator::upper};
    const std::size_t top = levels_ - 1;
    for (const Accumulator& a : accumulators_) clear(a, a.tail);
    b_.CreateCondBr(b_.CreateICmpSGT(whole, b_.getInt64(0)), first, done);
    b_.SetInsertPoint(first);
    if (!has_several_totals())
        for (const Accumulator& a : accumulators_) clear(a, a.*levels[top]);

    // Each loop runs at least once for the columns it begins with.
    std::vector<BasicBlock*> heads(top), ends(top + 1);
    std::vector<llvm::PHINode*> begins(top);
    std::vector<Value*> limits(top + 1, whole);
    std::uint64_t steps = block_lanes_;
    for (std::size_t l = 0; l < top; ++l) {
        heads[l] = block("level");
        ends[l] = block("level.end");
        steps *= fan_in_;
    }
    ends[top] = block("top.end");
    for (std::size_t l = top; l-- > 0; steps /= fan_in_) {
        BasicBlock* const before = b_.GetInsertBlock();
        b_.CreateBr(heads[l]);
        b_.SetInsertPoint(heads[l]);
        begins[l] = b_.CreatePHI(i64, 2, "begin");
        begins[l]->addIncoming(l + 1 == top ? b_.getInt64(0) : static_cast<Value*>(begins[l + 1]),
                               before);
        Value* limit = b_.CreateNUWAdd(begins[l], b_.getInt64(steps));
        limits[l] = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, limit, whole);
        if (l == 0 || !has_several_totals())
            for (const Accumulator& a : accumulators_) clear(a, a.*levels[l]);
    }
    b_.CreateBr(step);

    b_.SetInsertPoint(step);
    auto* i = b_.CreatePHI(i64, 2, "i");
    i->addIncoming(begins[0], heads[0]);
    emit_body(block_lanes_, i, nullptr, true);
    Value* next = b_.CreateNUWAdd(i, b_.getInt64(block_lanes_), "i.next");
    i->addIncoming(next, b_.GetInsertBlock());
    b_.CreateCondBr(b_.CreateICmpSLT(next, limits[0]), step, ends[0]);

    if (has_several_totals()) {
        b_.SetInsertPoint(ends[0]);
        ends[0] = emit_first_group(begins[0], b_.CreateICmpSLT(next, whole), levels, fold);
    }
    for (std::size_t l = 0; l < top; ++l) {
        b_.SetInsertPoint(ends[l]);
        merge_all(levels[l + 1], levels[l]);
        if (l > 0 && has_several_totals())
            for (const Accumulator& a : accumulators_) clear(a, a.*levels[l]);
        begins[l]->addIncoming(next, b_.GetInsertBlock());
        b_.CreateCondBr(b_.CreateICmpSLT(next, limits[l + 1]), heads[l], ends[l + 1]);
    }
    b_.SetInsertPoint(ends[top]);
    for (const Accumulator& a : accumulators_) put(a.all, get(a.*levels[top]));
    b_.CreateBr(fold);

    b_.SetInsertPoint(fold);
    const auto totals = folded(&Accumulator::all, block_lanes_, tail_lanes_);
    for (std::size_t a = 0; a < accumulators_.size(); ++a) put(accumulators_[a].tail, totals[a]);
    b_.CreateBr(done);
    b_.SetInsertPoint(done);
}

/// Of several totals, what follows the first group of steps, `begin` being 0: where no `more` columns come, its totals
/// are all there is, since identities change nothing; else the levels above begin. Gives the block
/// in which groups are combined.
BasicBlock* LaneEmitter::emit_first_group(Value* begin, Value* more, std::span<const Place> levels,
                                          BasicBlock* fold) {
    auto* const group = BasicBlock::Create(context_, "first.group", function_);
    auto* const only = BasicBlock::Create(context_, "only.group", function_);
    auto* const several = BasicBlock::Create(context_, "several.groups", function_);
    auto* const combine = BasicBlock::Create(context_, "combine", function_);
    b_.CreateCondBr(b_.CreateICmpEQ(begin, b_.getInt64(0)), group, combine);
    b_.SetInsertPoint(group);
    b_.CreateCondBr(more, several, only);
    b_.SetInsertPoint(only);
    for (const Accumulator& a : accumulators_) put(a.all, get(a.step));
    b_.CreateBr(fold);
    b_.SetInsertPoint(several);
    for (const Place level : levels.subspan(1))
        for (const Accumulator& a : accumulators_) clear(a, a.*level);
    b_.CreateBr(combine);
    return combine;
}

/// The columns from `begin` on, into `tail`: where bodies are simple, whole registers without masks
/// first, since rows may be short.
void LaneEmitter::emit_tail(Value* begin) {
    const bool simple = facts_.inlined == 0 && facts_.calls == 0 && !facts_.has_loops;
    if (simple && tail_lanes_ > 1) begin = emit_registers(begin);
    repeat(
        "tail", begin, [&](Value* j) { return b_.CreateICmpSLT(j, columns_); },
        [&](Value* j) {
            Value* count = b_.CreateBinaryIntrinsic(
                llvm::Intrinsic::smin, b_.CreateSub(columns_, j), b_.getInt64(tail_lanes_));
            emit_body(tail_lanes_, j, count, false);
            return b_.CreateNUWAdd(j, b_.getInt64(tail_lanes_));
        });
}

/// Whole registers of the columns from `begin` on; where they end.
Value* LaneEmitter::emit_registers(Value* begin) {
    Value* next = nullptr;
    return repeat(
        "register", begin,
        [&](Value* j) {
            next = b_.CreateNUWAdd(j, b_.getInt64(tail_lanes_));
            return b_.CreateICmpSLE(next, columns_);
        },
        [&](Value* j) {
            emit_body(tail_lanes_, j, nullptr, false);
            return next;
        });
}

/// The stages around the row's: what the slots hold before, the totals, the stores.
void LaneEmitter::emit_results() {
    std::vector<LaneValue> totals = folded(&Accumulator::tail, tail_lanes_, 1);
    for (std::size_t r = 0; r < accumulators_.size(); ++r) {
        const Accumulator& a = accumulators_[r];
        if (a.count == nullptr) continue;
        Value* count = b_.CreateLoad(ops_.compute_type(a.dtype), a.count);
        totals[r].value = b_.CreateAdd(totals[r].value, b_.CreateVectorSplat(1, count));
    }
    set_lanes(1);
    index_ = b_.getInt64(0);
    range_mask_ = mask_ = nullptr;
    main_loop_ = false;
    alive_.clear();
    values_.assign(kernel_.nodes.size(), {});
    slots_.clear();
    for (const ir::Slot& slot : kernel_.slots)
        slots_.push_back({accumulator_place(slot.dtype, 1, "slot"), {}});
    emit_block(before_->body);
    const auto& reductions = kernel_.stages[1].reductions;
    std::vector<LaneValue> before;
    for (const ir::StageReduction& r : reductions) before.push_back(get(slots_[r.target].lanes));
    const auto results = combine_each(before, totals);
    for (std::size_t r = 0; r < accumulators_.size(); ++r)
        put(slots_[reductions[r].target].lanes, results[r]);
    emit_block(after_->body);
}

}  // namespace kiln::codegen
