// Programs of loops: parallel loops and their reductions.
#include "codegen/abi.h"
#include "codegen/analysis/loop_facts.h"
#include "codegen/llvm/attributes.h"
#include "codegen/llvm/debug_info.h"
#include "codegen/llvm/program/program_emitter.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

namespace kiln::codegen {

using ir::Id;
using ir::Layout;
using ir::Node;
using ir::NodeKind;
using llvm::BasicBlock;
using llvm::Value;

// ------------------------------------------------------------------------------ parallel loops

/// Variables of the function being emitted: those that its nodes touch. A launch may say where some
/// of them are.
void ProgramEmitter::make_slots() {
    std::vector<bool> used(kernel_.slots.size(), false);
    ir::walk(kernel_, [&](Id id) {
        for (const ir::SlotUse& use : ir::slots_of(kernel_, kernel_.nodes[id]))
            used[use.slot] = true;
    });
    for (std::uint32_t p = frame_params_; p < kernel_.params.size(); ++p) {
        const ir::Argument& a = launch_->arguments[p];
        if (a.kind != ir::Argument::Kind::place) continue;
        Value* place = get_cell(scope_->function->getArg(1), cell_of(p), b_.getPtrTy());
        scope_->slots[a.target] = {place, nullptr, false};
        used[a.target] = false;
    }
    std::vector<std::uint32_t> made;
    for (std::uint32_t s = 0; s < kernel_.slots.size(); ++s) {
        if (!used[s]) continue;
        scope_->slots[s] = make_slot(s);
        made.push_back(s);
    }
    show_slots(made);
}

/// What debuggers are told of variables: a Var is declared where it is first written.
void ProgramEmitter::show_slots(const std::vector<std::uint32_t>& slots) {
    if (options_.debug_info == nullptr || !options_.debug_info->has_variables()) return;
    std::vector<std::uint32_t> declared(kernel_.slots.size(), 0);
    ir::walk(kernel_, [&](Id id) {
        for (const ir::SlotUse& use : ir::slots_of(kernel_, kernel_.nodes[id]))
            if (declared[use.slot] == 0) declared[use.slot] = kernel_.nodes[id].loc;
    });
    for (const std::uint32_t s : slots)
        if (llvm::isa<llvm::AllocaInst>(scope_->slots[s].value))
            options_.debug_info->variable(*scope_->function, kernel_, kernel_.slots[s], declared[s],
                                          scope_->slots[s].value);
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

// The context, in cells of a word: begin, step; with reductions: partial results, unit; then what
// `cells` gives.
constexpr unsigned first_cell = 4;

/// What a parallel launch gives to its pieces: of a program the values of parameters behind those
/// that it shares, of others where their elements are.
std::vector<Value*> ProgramEmitter::cells(const Node& n, std::span<const Elements> given) {
    using Kind = ir::Argument::Kind;
    const ir::Launch& launch = kernel_.launches[n.aux];
    std::vector<Value*> all;
    if (!kernel_.outlined[launch.kernel].is_program()) {
        for (const Elements& e : given)
            if (e.data != nullptr) all.insert(all.end(), {e.data, e.inner});
        return all;
    }
    auto operands = kernel_.operands_of(n).subspan(3);
    for (const ir::Argument& a : launch.arguments) {
        if (a.kind == Kind::place) all.push_back(scope_->slots[a.target].value);
        if (a.kind != Kind::value) continue;
        const LaneValue v = value(operands[0]);
        all.push_back(v.value);
        if (v.imag != nullptr) all.push_back(v.imag);
        operands = operands.subspan(1);
    }
    return all;
}

/// The cell of a parameter of a launched program that the frame does not have.
unsigned ProgramEmitter::cell_of(std::uint32_t param) const {
    unsigned cell = first_cell;
    for (std::uint32_t p = frame_params_; p < param; ++p)
        cell += is_complex(kernel_.params[p].dtype) ? 2 : 1;
    return cell;
}

/// Calls the runtime, which deals the pieces of a launch out to threads.
void ProgramEmitter::call_runtime(llvm::ArrayRef<Value*> arguments) {
    auto* i64 = b_.getInt64Ty();
    auto* pointer = b_.getPtrTy();
    auto* type =
        llvm::FunctionType::get(b_.getVoidTy(), {pointer, pointer, pointer, i64, i64, i64}, false);
    auto* call = b_.CreateCall(type, runtime_function(abi::runtime_word::parallel), arguments);
    call->addFnAttr(llvm::Attribute::NoUnwind);
}

/// Of a launch that reduces: where there is no more than a block of iterations, they run here, as the
/// runtime's only piece would run them, and combine in the same order. Gives the block behind, and goes on
/// with what several blocks take.
BasicBlock* ProgramEmitter::emit_one_block(const Node& n, const Iterations& of,
                                           std::span<const Elements> given,
                                           const Reductions& reductions) {
    const auto block = [&](const char* name) {
        return BasicBlock::Create(context_, name, scope_->function);
    };
    auto *one = block("one.block"), *some = block("block"), *several = block("blocks"),
         *done = block("blocks.end");
    Value* most = b_.getInt64(static_cast<std::uint64_t>(tree_of(kernel_, n).block));
    b_.CreateCondBr(b_.CreateICmpSLE(of.count, most), one, several);
    b_.SetInsertPoint(one);
    b_.CreateCondBr(b_.CreateICmpSGT(of.count, b_.getInt64(0)), some, done);
    b_.SetInsertPoint(some);
    Value* before = totals(reductions);
    begin_totals(reductions);
    emit_lanes(n, of, given);
    put_totals(reductions, combine_all(reductions, before, totals(reductions)));
    b_.CreateBr(done);
    b_.SetInsertPoint(several);
    return done;
}

void ProgramEmitter::emit_parallel(const Node& n, Id id) {
    const ir::Kernel& launched = kernel_.outlined[kernel_.launches[n.aux].kernel];
    const bool program = launched.is_program();
    const ir::Kernel& owner = program ? launched : kernel_;
    const Node& loop = program ? launched.nodes[launched_loop(launched)] : n;
    const ir::ParallelLoop& parallel = *owner.parallel(loop);
    const Reductions reductions = as_reductions(parallel.reductions);
    const bool reduces = !reductions.list.empty();

    Value* begin = value(kernel_.operand(id, 0)).value;
    Value* end = value(kernel_.operand(id, 1)).value;
    Value* step = value(kernel_.operand(id, 2)).value;
    Value* trip = trip_count(begin, end, step);
    auto* i64 = b_.getInt64Ty();
    const std::vector<Elements> elements = program ? std::vector<Elements>() : given(n, step);
    // In a loop what a call of the runtime takes counts.
    const bool in_loop = !scope_->jumps.empty() || scope_->iteration != nullptr;
    BasicBlock* const done =
        in_loop && reduces && !program
            ? emit_one_block(n, {begin, step, nullptr, trip}, elements, reductions)
            : nullptr;
    const std::vector<Value*> cells = this->cells(n, elements);
    Value* context =
        ops_.alloca_at_entry(llvm::ArrayType::get(i64, first_cell + cells.size()), "context");
    put_cell(context, 0, begin);
    put_cell(context, 1, step);
    Value *unit = b_.getInt64(0), *partials = nullptr;
    if (reduces) {
        // The least multiple of a block that cuts the loop into at most so many units.
        const ir::Tree& tree = tree_of(owner, loop);
        const auto block = static_cast<std::uint64_t>(tree.block);
        const auto units = static_cast<std::uint64_t>(tree.units);
        Value* blocks =
            b_.CreateUDiv(b_.CreateAdd(trip, b_.getInt64(block - 1)), b_.getInt64(block));
        Value* per_unit =
            b_.CreateUDiv(b_.CreateAdd(blocks, b_.getInt64(units - 1)), b_.getInt64(units));
        unit =
            b_.CreateMul(b_.CreateBinaryIntrinsic(llvm::Intrinsic::umax, per_unit, b_.getInt64(1)),
                         b_.getInt64(block));
        partials = function_memory(llvm::ArrayType::get(reductions.partial, units), "partials");
        put_cell(context, 2, partials);
        put_cell(context, 3, unit);
    }
    for (unsigned i = 0; i < cells.size(); ++i) put_cell(context, first_cell + i, cells[i]);

    llvm::Function* piece =
        program ? ProgramEmitter(launched, shared_, &kernel_.launches[n.aux]).emit_loop_piece()
                : emit_lanes_piece(n, reductions);
    const std::int64_t schedule =
        abi::pack(abi::ScheduleWord{parallel.schedule, is_even(kernel_, id), parallel.chunk});
    call_runtime({scope_->frame, piece, context, trip, unit,
                  b_.getInt64(static_cast<std::uint64_t>(schedule))});
    if (!reduces) return;
    Value* count = b_.CreateUDiv(b_.CreateAdd(trip, b_.CreateSub(unit, b_.getInt64(1))), unit);
    combine_partials(reductions, partials, count);
    if (done == nullptr) return;
    b_.CreateBr(done);
    b_.SetInsertPoint(done);
}

ProgramEmitter::Reductions ProgramEmitter::as_reductions(std::vector<ir::StageReduction> list) {
    std::vector<llvm::Type*> parts;
    for (const ir::StageReduction& r : list)
        parts.push_back(ops_.compute_type(kernel_.slots[r.target].dtype));
    auto* partial = parts.empty() ? nullptr : llvm::StructType::get(context_, parts);
    return {std::move(list), partial};
}

/// The results of a struct of partial results, combined member by member, states together; a comes
/// first.
Value* ProgramEmitter::combine_all(const Reductions& reductions, Value* a, Value* b) {
    Value* result = llvm::PoisonValue::get(reductions.partial);
    for (unsigned i = 0; i < reductions.list.size();) {
        const ir::StageReduction& r = reductions.list[i];
        if (r.combine == ir::none) {
            Value* combined =
                ops_.combine(r.reduction, kernel_.slots[r.target].dtype,
                             b_.CreateExtractValue(a, i), b_.CreateExtractValue(b, i));
            result = b_.CreateInsertValue(result, combined, i++);
            continue;
        }
        std::vector<Value*> first, second;
        for (unsigned part = 0; part < combiners_.parts(r); ++part) {
            first.push_back(b_.CreateExtractValue(a, i + part));
            second.push_back(b_.CreateExtractValue(b, i + part));
        }
        for (Value* part : combiners_[r.combine].combined(b_, first, second))
            result = b_.CreateInsertValue(result, part, i++);
    }
    return result;
}

/// What the slots hold, as a struct.
Value* ProgramEmitter::totals(const Reductions& reductions) {
    Value* all = llvm::PoisonValue::get(reductions.partial);
    for (unsigned i = 0; i < reductions.list.size(); ++i) {
        Value* place = scope_->slots[reductions.list[i].target].value;
        all = b_.CreateInsertValue(all, b_.CreateLoad(reductions.partial->getElementType(i), place),
                                   i);
    }
    return all;
}
void ProgramEmitter::put_totals(const Reductions& reductions, Value* all) {
    for (unsigned i = 0; i < reductions.list.size(); ++i)
        b_.CreateStore(b_.CreateExtractValue(all, i),
                       scope_->slots[reductions.list[i].target].value);
}

/// What changes no total goes to the slots.
void ProgramEmitter::begin_totals(const Reductions& reductions) {
    for (std::size_t i = 0; i < reductions.list.size();) {
        const ir::StageReduction& r = reductions.list[i];
        if (r.combine == ir::none) {
            b_.CreateStore(ops_.neutral(r.reduction, kernel_.slots[r.target].dtype, false),
                           scope_->slots[r.target].value);
            ++i;
            continue;
        }
        for (Value* part : combiners_[r.combine].initial(b_))
            b_.CreateStore(part, scope_->slots[reductions.list[i++].target].value);
    }
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
    put_totals(reductions, combine_all(reductions, totals(reductions), total));
    b_.CreateBr(done);
    b_.SetInsertPoint(done);
}

llvm::Function* ProgramEmitter::emit_piece(const Reductions& reductions, const ir::Tree* tree,
                                           llvm::function_ref<void()> begin,
                                           llvm::function_ref<void(Value*, Value*)> iterations) {
    auto* i64 = b_.getInt64Ty();
    auto* ptr = b_.getPtrTy();
    const llvm::IRBuilder<>::InsertPointGuard insert_guard(b_);
    auto* function = make_function(options_.entry + "_" + std::to_string(shared_.pieces++),
                                   {ptr, ptr, i64, i64});
    function->setLinkage(llvm::Function::InternalLinkage);
    Scope* const outer = scope_;
    Scope scope = begin_function(function, true);
    scope_ = &scope;
    auto* body = BasicBlock::Create(context_, "body", function);
    b_.SetInsertPoint(scope.entry);
    begin();
    b_.SetInsertPoint(body);
    Value *context = function->getArg(1), *first = function->getArg(2), *last = function->getArg(3);
    if (reductions.list.empty()) {
        iterations(first, last);
    } else {
        Value* result = block_tree(reductions, tree->block, first, last, iterations);
        Value* unit = b_.CreateUDiv(first, get_cell(context, 3, i64));
        b_.CreateStore(result,
                       b_.CreateInBoundsGEP(reductions.partial, get_cell(context, 2, ptr), unit));
    }
    end_of_function(body);
    scope_ = outer;
    return function;
}

/// Pieces of a launch of a map or reduction.
llvm::Function* ProgramEmitter::emit_lanes_piece(const Node& n, const Reductions& reductions) {
    Iterations of{};
    std::vector<Elements> given;
    const auto begin = [&] {
        Value* context = scope_->function->getArg(1);
        // What is constant stays so.
        const auto bound = [&](unsigned cell) {
            const Id from = kernel_.operands_of(n)[cell == 0 ? 0 : 2];
            return kernel_.nodes[from].kind == NodeKind::constant
                       ? value(from).value
                       : get_cell(context, cell, b_.getInt64Ty());
        };
        of.begin = bound(0);
        of.step = bound(1);
        unsigned cell = first_cell;
        for (const ir::Argument& a : kernel_.launches[n.aux].arguments) {
            given.emplace_back();
            if (!a.is_element() && a.kind != ir::Argument::Kind::value) continue;
            given.back() = {get_cell(context, cell, b_.getPtrTy()),
                            get_cell(context, cell + 1, b_.getInt64Ty())};
            cell += 2;
        }
        for (const ir::StageReduction& r : reductions.list)
            scope_->slots[r.target] = make_slot(r.target);
    };
    return emit_piece(reductions, kernel_.tree(n), begin, [&](Value* first, Value* last) {
        of.from = first;
        of.count = b_.CreateSub(last, first);
        emit_lanes(n, of, given);
    });
}

/// Pieces of the loop of a launched program.
llvm::Function* ProgramEmitter::emit_loop_piece() {
    const Id id = launched_loop(kernel_);
    const Node& n = kernel_.nodes[id];
    const ir::Tree* const tree = kernel_.tree(n);
    Value *begin = nullptr, *step = nullptr;
    const auto iteration = [&](Value* k) {
        if (traits_.carries[id]) scope_->function->addFnAttr(attribute::carried_values);
        scope_->iteration = k;
        scope_->values[id] = {b_.CreateAdd(begin, b_.CreateMul(k, step), "i"), nullptr, false};
        show_index(id, scope_->values[id].value);
        emit_program_block(n.aux);
    };
    const auto start = [&] {
        begin = value(kernel_.operand(id, 0)).value;
        step = value(kernel_.operand(id, 2)).value;
        make_slots();
    };
    return emit_piece(as_reductions(kernel_.parallel(n)->reductions), tree, start,
                      [&](Value* first, Value* last) {
                          name_loop(id);
                          auto* const back =
                              tree == nullptr || tree->sums.empty()
                                  ? count_up(first, last, iteration)
                                  : sum_iterations(*tree, first, last, iteration, nullptr);
                          if (traits_.scatters[id]) keep_scalar(back);
                      });
}

}  // namespace kiln::codegen
