// Programs of loops: parallel loops and their reductions.
#include "codegen/abi.h"
#include "codegen/llvm/attributes.h"
#include "codegen/llvm/program/program_emitter.h"
#include "codegen/trees.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/slots.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <set>

namespace kiln::codegen {

using ir::Id;
using ir::Layout;
using ir::Node;
using ir::NodeKind;
using llvm::BasicBlock;
using llvm::Value;

// ------------------------------------------------------------------------------ parallel loops

ProgramEmitter::Capture ProgramEmitter::capture(Id loop) const {
    Capture c;
    const Node& n = kernel_.nodes[loop];
    std::vector<bool> inside(kernel_.nodes.size(), false);
    inside[loop] = true;
    const bool launched = n.kind == NodeKind::launch;
    if (!launched) ir::walk(kernel_, n.aux, [&](Id id) { inside[id] = true; });
    std::set<Id> values;
    std::vector<bool> used(kernel_.slots.size(), false), written(kernel_.slots.size(), false);
    const auto touch = [&](Id id, std::size_t first_operand) {
        const Node& m = kernel_.nodes[id];
        for (const Id operand : kernel_.operands_of(m).subspan(first_operand))
            if (!ir::is_leaf(kernel_.nodes[operand].kind) && !inside[operand])
                values.insert(operand);
        for (const ir::SlotUse& use : ir::slots_of(kernel_, m)) {
            used[use.slot] = true;
            written[use.slot] = written[use.slot] || use.writes;
        }
    };
    if (launched)
        touch(loop, 3);
    else
        ir::walk(kernel_, n.aux, [&](Id id) { touch(id, 0); });
    const ir::SlotOwners owners(kernel_);
    // A launch has for itself what no other node touches.
    const auto belongs_here = [&](std::uint32_t slot) {
        if (!launched) return owners.belongs_to(slot, n.aux);
        return ir::walk(kernel_, [&](Id id) {
            const bool touches =
                id != loop &&
                std::ranges::any_of(ir::slots_of(kernel_, kernel_.nodes[id]),
                                    [&](const ir::SlotUse& use) { return use.slot == slot; });
            return touches ? ir::Walk::stop : ir::Walk::on;
        });
    };
    c.values.assign(values.begin(), values.end());
    for (std::uint32_t s = 0; s < kernel_.slots.size(); ++s) {
        const auto& reductions = kernel_.parallel(n)->reductions;
        const bool reduced = std::ranges::any_of(
            reductions, [&](const ir::StageReduction& r) { return r.target == s; });
        if (!used[s] || reduced) continue;
        if (belongs_here(s))
            c.own.push_back(s);
        else if (written[s] || kernel_.slots[s].length > 1)
            c.places.push_back(s);
        else
            c.slots.push_back(s);
    }
    return c;
}

/// Slots that the pieces of a parallel loop make for themselves.
std::vector<bool> ProgramEmitter::slots_of_pieces() const {
    std::vector<bool> theirs(kernel_.slots.size(), false);
    ir::walk(kernel_, [&](Id id) {
        const Node& n = kernel_.nodes[id];
        const bool runs = n.kind == NodeKind::loop || n.kind == NodeKind::launch;
        if (!runs || kernel_.parallel(n) == nullptr) return;
        for (const std::uint32_t s : capture(id).own) theirs[s] = true;
    });
    return theirs;
}

llvm::Type* ProgramEmitter::cell_type(llvm::Type* type) {
    return type->isIntegerTy(1) ? b_.getInt8Ty() : type;
}
void ProgramEmitter::put_cell(Value* context, unsigned cell, Value* v) {
    if (v->getType()->isIntegerTy(1)) v = b_.CreateZExt(v, b_.getInt8Ty());
    b_.CreateAlignedStore(v, b_.CreateConstInBoundsGEP1_64(b_.getInt64Ty(), context, cell),
                          llvm::Align(8));
}
Value* ProgramEmitter::get_cell(Value* context, unsigned cell, llvm::Type* type) {
    Value* v = b_.CreateAlignedLoad(cell_type(type),
                                    b_.CreateConstInBoundsGEP1_64(b_.getInt64Ty(), context, cell),
                                    llvm::Align(8));
    return type->isIntegerTy(1) ? b_.CreateICmpNE(v, b_.getInt8(0)) : v;
}

// The context, in words: begin, step; with reductions: partial results, unit; then what is
// captured.
void ProgramEmitter::emit_parallel(const Node& n, Id id) {
    const ir::ParallelLoop& loop = *kernel_.parallel(n);
    const Reductions reductions = as_reductions(loop.reductions);
    const bool reduces = !reductions.list.empty();
    const Capture captured = capture(id);

    Value* begin = value(kernel_.operand(id, 0)).value;
    Value* end = value(kernel_.operand(id, 1)).value;
    Value* step = value(kernel_.operand(id, 2)).value;
    Value* trip = trip_count(begin, end, step);
    auto* i64 = b_.getInt64Ty();
    const std::size_t cells =
        4 + 2 * captured.values.size() + 2 * captured.slots.size() + 2 * captured.places.size();
    Value* context = ops_.alloca_at_entry(llvm::ArrayType::get(i64, cells), "context");
    put_cell(context, 0, begin);
    put_cell(context, 1, step);
    const auto block_size = static_cast<std::uint64_t>(block_of(id));
    Value *unit = b_.getInt64(0), *partials = nullptr;
    if (reduces) {
        // The least multiple of a block that cuts the loop into at most max_units units.
        Value* blocks =
            b_.CreateUDiv(b_.CreateAdd(trip, b_.getInt64(block_size - 1)), b_.getInt64(block_size));
        Value* per_unit = b_.CreateUDiv(b_.CreateAdd(blocks, b_.getInt64(tree::max_units - 1)),
                                        b_.getInt64(tree::max_units));
        unit =
            b_.CreateMul(b_.CreateBinaryIntrinsic(llvm::Intrinsic::umax, per_unit, b_.getInt64(1)),
                         b_.getInt64(block_size));
        partials =
            function_memory(llvm::ArrayType::get(reductions.partial, tree::max_units), "partials");
        put_cell(context, 2, partials);
        put_cell(context, 3, unit);
    }
    unsigned cell = 4;
    for (const Id v : captured.values) {
        const LaneValue from = value(v);
        put_cell(context, cell++, from.value);
        if (from.imag != nullptr) put_cell(context, cell++, from.imag);
    }
    for (const std::uint32_t s : captured.slots) {
        auto* type = ops_.compute_type(real_type(kernel_.slots[s].dtype));
        put_cell(context, cell++, b_.CreateLoad(type, scope_->slots[s].value));
        if (scope_->slots[s].imag != nullptr)
            put_cell(context, cell++, b_.CreateLoad(type, scope_->slots[s].imag));
    }
    for (const std::uint32_t s : captured.places) {
        put_cell(context, cell++, scope_->slots[s].value);
        if (scope_->slots[s].imag != nullptr) put_cell(context, cell++, scope_->slots[s].imag);
    }

    llvm::Function* piece = emit_piece(n, id, captured, reductions);
    auto* type = llvm::FunctionType::get(
        b_.getVoidTy(), {b_.getPtrTy(), b_.getPtrTy(), b_.getPtrTy(), i64, i64, i64}, false);
    // Iterations without loops of their own take about the same time, each and always.
    const auto is_flat = [](const Node& inner) {
        constexpr ir::effect::Mask uneven =
            ir::effect::loops | ir::effect::launches | ir::effect::calls | ir::effect::calls_pure;
        return !ir::effects_of(inner).any(uneven);
    };
    const bool flat =
        n.kind == NodeKind::launch
            ? std::ranges::all_of(kernel_.outlined[kernel_.launches[n.aux].kernel].nodes, is_flat)
            : ir::all_in(kernel_, n.aux, [&](Id x) { return is_flat(kernel_.nodes[x]); });
    const std::int64_t schedule = abi::pack(abi::ScheduleWord{loop.schedule, flat, loop.chunk});
    auto* call = b_.CreateCall(type, runtime_function(abi::runtime_word::parallel),
                               {scope_->frame, piece, context, trip, unit,
                                b_.getInt64(static_cast<std::uint64_t>(schedule))});
    call->addFnAttr(llvm::Attribute::NoUnwind);
    if (!reduces) return;
    Value* count = b_.CreateUDiv(b_.CreateAdd(trip, b_.CreateSub(unit, b_.getInt64(1))), unit);
    combine_partials(reductions, partials, count);
}

ProgramEmitter::Reductions ProgramEmitter::as_reductions(std::vector<ir::StageReduction> list) {
    std::vector<llvm::Type*> parts;
    for (const ir::StageReduction& r : list)
        parts.push_back(ops_.compute_type(kernel_.slots[r.target].dtype));
    auto* partial = parts.empty() ? nullptr : llvm::StructType::get(context_, parts);
    return {std::move(list), partial};
}

/// The results of a struct of partial results, combined member by member; a comes first.
Value* ProgramEmitter::combine_all(const Reductions& reductions, Value* a, Value* b) {
    Value* result = llvm::PoisonValue::get(reductions.partial);
    for (unsigned i = 0; i < reductions.list.size(); ++i) {
        const ir::StageReduction& r = reductions.list[i];
        Value* combined = ops_.combine(r.reduction, kernel_.slots[r.target].dtype,
                                       b_.CreateExtractValue(a, i), b_.CreateExtractValue(b, i));
        result = b_.CreateInsertValue(result, combined, i);
    }
    for (unsigned i = 0; i < reductions.list.size(); ++i) {
        const std::uint32_t extreme = reductions.list[i].position_of;
        if (extreme == ir::none) continue;
        unsigned e = 0;
        while (reductions.list[e].target != extreme) ++e;
        const auto at = [&](Value* x) {
            return OpEmitter::Found{b_.CreateExtractValue(x, e), b_.CreateExtractValue(x, i)};
        };
        const OpEmitter::Found found =
            ops_.earlier(reductions.list[e].reduction, kernel_.slots[extreme].dtype,
                         kernel_.slots[reductions.list[i].target].dtype, at(a), at(b));
        result = b_.CreateInsertValue(result, found.second, i);
    }
    return result;
}

/// slot = slot op tree(partials), if there are any:
//
//     for (n = count; n > 1; n = n / 2 rounded up)
//         for (i = 0; i < n / 2; ++i) p[i] = p[2i] op p[2i + 1];    an odd last one moves along
void ProgramEmitter::combine_partials(const Reductions& reductions, Value* partials, Value* count) {
    auto* i64 = b_.getInt64Ty();
    auto* partial = reductions.partial;
    const auto at = [&](Value* i) { return b_.CreateInBoundsGEP(partial, partials, i); };
    const auto block = [&](const char* name) {
        return BasicBlock::Create(context_, name, scope_->function);
    };
    auto *some = block("combine"), *head = block("level"), *body = block("pairs"),
         *last = block("combined"), *done = block("reduced");
    b_.CreateCondBr(b_.CreateICmpEQ(count, b_.getInt64(0)), done, some);
    b_.SetInsertPoint(some);
    b_.CreateBr(head);
    b_.SetInsertPoint(head);
    auto* n = b_.CreatePHI(i64, 2, "n");
    n->addIncoming(count, some);
    b_.CreateCondBr(b_.CreateICmpUGT(n, b_.getInt64(1)), body, last);
    b_.SetInsertPoint(body);
    Value* half = b_.CreateLShr(n, 1);
    count_up(b_.getInt64(0), half, [&](Value* i) {
        Value* first = b_.CreateShl(i, 1);
        Value* a = b_.CreateLoad(partial, at(first));
        Value* b = b_.CreateLoad(partial, at(b_.CreateAdd(first, b_.getInt64(1))));
        b_.CreateStore(combine_all(reductions, a, b), at(i));
    });
    // Where n is even this writes back what stands at p[n / 2 - 1].
    Value* odd = b_.CreateICmpNE(b_.CreateAnd(n, b_.getInt64(1)), b_.getInt64(0));
    Value* from =
        b_.CreateSelect(odd, b_.CreateSub(n, b_.getInt64(1)), b_.CreateSub(half, b_.getInt64(1)));
    Value* to = b_.CreateSelect(odd, half, b_.CreateSub(half, b_.getInt64(1)));
    b_.CreateStore(b_.CreateLoad(partial, at(from)), at(to));
    n->addIncoming(b_.CreateLShr(b_.CreateAdd(n, b_.getInt64(1)), 1), b_.GetInsertBlock());
    b_.CreateBr(head);
    b_.SetInsertPoint(last);
    Value* total = b_.CreateLoad(partial, at(b_.getInt64(0)));
    Value* result = llvm::PoisonValue::get(partial);
    const auto place = [&](unsigned i) { return scope_->slots[reductions.list[i].target].value; };
    for (unsigned i = 0; i < reductions.list.size(); ++i)
        result =
            b_.CreateInsertValue(result, b_.CreateLoad(partial->getElementType(i), place(i)), i);
    result = combine_all(reductions, result, total);
    for (unsigned i = 0; i < reductions.list.size(); ++i)
        b_.CreateStore(b_.CreateExtractValue(result, i), place(i));
    b_.CreateBr(done);
    b_.SetInsertPoint(done);
}

llvm::Function* ProgramEmitter::emit_piece(const Node& n, Id id, const Capture& captured,
                                           const Reductions& reductions) {
    auto* i64 = b_.getInt64Ty();
    auto* ptr = b_.getPtrTy();
    const llvm::IRBuilder<>::InsertPointGuard insert_guard(b_);
    auto* function =
        make_function(options_.entry + "_" + std::to_string(pieces_++), {ptr, ptr, i64, i64});
    function->setLinkage(llvm::Function::InternalLinkage);
    Scope* const outer = scope_;
    Scope scope = begin_function(function, true);
    scope_ = &scope;
    auto* body = BasicBlock::Create(context_, "body", function);
    Value* context = function->getArg(1);

    b_.SetInsertPoint(scope.entry);
    // What is constant stays so: LLVM must see that the loop runs along its arrays.
    const auto bound = [&](unsigned cell, Id from) {
        return kernel_.nodes[from].kind == NodeKind::constant ? value(from).value
                                                              : get_cell(context, cell, i64);
    };
    Value* begin = bound(0, kernel_.operand(id, 0));
    Value* step = bound(1, kernel_.operand(id, 2));
    unsigned cell = 4;
    for (const Id v : captured.values) {
        const LaneValue from = outer->values[v];
        LaneValue to{get_cell(context, cell++, from.value->getType()), nullptr, false};
        if (from.imag != nullptr) to.imag = get_cell(context, cell++, from.imag->getType());
        scope.values[v] = to;
    }
    for (const std::uint32_t s : captured.slots) {
        scope.slots[s] = make_slot(s);
        auto* type = ops_.compute_type(real_type(kernel_.slots[s].dtype));
        b_.CreateStore(get_cell(context, cell++, type), scope.slots[s].value);
        if (scope.slots[s].imag != nullptr)
            b_.CreateStore(get_cell(context, cell++, type), scope.slots[s].imag);
    }
    for (const std::uint32_t s : captured.places) {
        scope.slots[s] = {get_cell(context, cell++, ptr), nullptr, false};
        if (outer->slots[s].imag != nullptr) scope.slots[s].imag = get_cell(context, cell++, ptr);
    }
    for (const std::uint32_t s : captured.own) scope.slots[s] = make_slot(s);
    for (const ir::StageReduction& r : reductions.list) scope.slots[r.target] = make_slot(r.target);

    b_.SetInsertPoint(body);
    const auto iterations = [&](Value* first, Value* last) {
        if (n.kind == NodeKind::launch) {
            emit_lanes(n, {begin, step, first, b_.CreateSub(last, first)});
            return;
        }
        const auto iteration = [&](Value* k) {
            if (traits_.carries[id]) function->addFnAttr(attribute::carried_values);
            scope.iteration = k;
            scope.values[id] = {b_.CreateAdd(begin, b_.CreateMul(k, step), "i"), nullptr, false};
            emit_program_block(n.aux);
        };
        const Slots& sums = sums_of(id);
        auto* const back =
            sums.empty() ? count_up(first, last, iteration)
                         : sum_iterations(sums, block_of(id), first, last, iteration, nullptr);
        if (traits_.scatters[id]) keep_scalar(back);
    };
    Value *first = function->getArg(2), *last = function->getArg(3);
    if (reductions.list.empty()) {
        iterations(first, last);
    } else {
        Value* result = block_tree(reductions, block_of(id), first, last, iterations);
        Value* unit = b_.CreateUDiv(first, get_cell(context, 3, i64));
        b_.CreateStore(result,
                       b_.CreateInBoundsGEP(reductions.partial, get_cell(context, 2, ptr), unit));
    }
    end_of_function(body);
    scope_ = outer;
    return function;
}

}  // namespace kiln::codegen
