// Programs of loops: sums of floats, which follow trees in loops of every form.
//
// A sum in a parallel loop, or of a whole-array statement, may be added up in any order. A loop
// that runs as lanes has its tree in reduce.cpp. One that runs as scalar code gives each iteration
// a sum of its own, which begins at -0 and is kept in a buffer at the iteration's end:
//
//     for each block of iterations {
//         for k in the block { s = -0; body; buffer[k] = s }
//         push tree(buffer)                  pair by pair: a binary counter of the blocks so far
//     }
//     s = s + what is pushed, combined from the last block upwards
//
// A loop inside of another does so for itself, and its total is one addition to the iteration
// around it: however long and however nested loops are, each number goes through a few additions
// and a logarithm of its loops' lengths. Blocks follow from the number of iterations alone, so the
// bits of the result depend on nothing else. Within an iteration numbers are added in the order in
// which they come. (While loops, and loops inside of those that run as lanes, carry what additions
// round off instead: passes/carried_sums.cpp.)
#include "codegen/llvm/program/program_emitter.h"
#include "codegen/trees.h"

namespace kiln::codegen {

using ir::Id;
using ir::Node;
using llvm::BasicBlock;
using llvm::Value;

/// The order of a loop or launch that reduces.
const ir::Tree& ProgramEmitter::tree_of(const ir::Kernel& kernel, const Node& n) {
    const ir::Tree* const tree = kernel.tree(n);
    if (tree == nullptr)
        throw Error(ErrorKind::internal, "the order of a reduction is not decided",
                    kernel.location(n.loc));
    return *tree;
}

/// The tree over the blocks of iterations [first, last), of which there is one at least:
//
//     for (count = 0, b = first; b < last && !stop; b += block_size) {
//         slots = identities; iterations of the block; acc = slots
//         ++count;
//         for (l = 0; l < ctz(count); ++l) acc = stack[l] op acc;
//         stack[l] = acc;
//     }
//     acc = the stack's entries for the bits of count, highest first
//
/// What it gives is a struct of the reductions' results.
Value* ProgramEmitter::block_tree(const Reductions& reductions, std::int64_t block_size,
                                  Value* first, Value* last,
                                  llvm::function_ref<void(Value*, Value*)> iterations,
                                  Value* stop) {
    auto* i64 = b_.getInt64Ty();
    auto* partial = reductions.partial;
    const auto make = [&](const char* name) {
        return BasicBlock::Create(context_, name, scope_->function);
    };
    Value* stack = ops_.alloca_at_entry(llvm::ArrayType::get(partial, 64), "stack");
    Value* acc = ops_.alloca_at_entry(partial, "acc");
    const auto level_at = [&](Value* l) { return b_.CreateInBoundsGEP(partial, stack, l); };
    const auto merge = [&](Value* l) {
        b_.CreateStore(combine_all(reductions, b_.CreateLoad(partial, level_at(l)),
                                   b_.CreateLoad(partial, acc)),
                       acc);
    };
    const auto trailing_zeros = [&](Value* x) {
        return b_.CreateBinaryIntrinsic(llvm::Intrinsic::cttz, x, b_.getTrue());
    };
    Value* size = b_.getInt64(static_cast<std::uint64_t>(block_size));
    Value* more_than_one = b_.CreateICmpSGT(b_.CreateSub(last, first), size);
    auto *head = make("sum.block"), *push = make("sum.push"), *next = make("sum.next"),
         *ended = make("sum.end"), *combine = make("sum.rest"), *done = make("sum.done");
    BasicBlock* before = b_.GetInsertBlock();
    b_.CreateBr(head);
    b_.SetInsertPoint(head);
    auto *from = b_.CreatePHI(i64, 2, "from"), *block = b_.CreatePHI(i64, 2, "block");
    from->addIncoming(first, before);
    block->addIncoming(b_.getInt64(0), before);
    Value* to = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b_.CreateAdd(from, size), last);
    begin_totals(reductions);
    iterations(from, to);
    b_.CreateStore(totals(reductions), acc);
    b_.CreateCondBr(more_than_one, push, done);
    b_.SetInsertPoint(push);
    Value* count = b_.CreateAdd(block, b_.getInt64(1));
    Value* levels = trailing_zeros(count);
    count_up(b_.getInt64(0), levels, merge);
    b_.CreateStore(b_.CreateLoad(partial, acc), level_at(levels));
    Value* more = b_.CreateICmpSLT(to, last);
    if (stop != nullptr)
        more = b_.CreateAnd(more, b_.CreateNot(b_.CreateLoad(b_.getInt1Ty(), stop)));
    b_.CreateCondBr(more, next, ended);
    b_.SetInsertPoint(next);
    from->addIncoming(to, next);
    block->addIncoming(count, next);
    b_.CreateBr(head);

    // What is left, from the last block upwards.
    b_.SetInsertPoint(ended);
    Value* lowest = trailing_zeros(count);
    b_.CreateStore(b_.CreateLoad(partial, level_at(lowest)), acc);
    const auto without_lowest = [&](Value* bits) {
        return b_.CreateAnd(bits, b_.CreateSub(bits, b_.getInt64(1)));
    };
    Value* others = without_lowest(count);
    auto* rest_head = make("sum.level");
    BasicBlock* start = b_.GetInsertBlock();
    b_.CreateBr(rest_head);
    b_.SetInsertPoint(rest_head);
    auto* bits = b_.CreatePHI(i64, 2, "bits");
    bits->addIncoming(others, start);
    b_.CreateCondBr(b_.CreateICmpNE(bits, b_.getInt64(0)), combine, done);
    b_.SetInsertPoint(combine);
    merge(trailing_zeros(bits));
    bits->addIncoming(without_lowest(bits), b_.GetInsertBlock());
    b_.CreateBr(rest_head);
    b_.SetInsertPoint(done);
    return b_.CreateLoad(partial, acc);
}

/// slots += the tree over blocks of `trip` iterations, which add to accumulators in their place.
void ProgramEmitter::sum_apart(const ir::Tree& tree, Value* trip,
                               llvm::function_ref<void(Value*, Value*)> iterations, Value* stop) {
    const std::vector<std::uint32_t>& sums = tree.sums;
    std::vector<ir::StageReduction> list;
    std::vector<LaneValue> around;
    for (const std::uint32_t s : sums) {
        list.push_back({ir::Reduction::sum, s, ir::none});
        around.push_back(scope_->slots[s]);
        scope_->slots[s] = make_slot(s);
    }
    const Reductions reductions = as_reductions(std::move(list));
    auto* some = BasicBlock::Create(context_, "sum", scope_->function);
    auto* end = BasicBlock::Create(context_, "summed", scope_->function);
    b_.CreateCondBr(b_.CreateICmpSGT(trip, b_.getInt64(0)), some, end);
    b_.SetInsertPoint(some);
    Value* results = block_tree(reductions, tree.block, b_.getInt64(0), trip, iterations, stop);
    for (unsigned i = 0; i < sums.size(); ++i) {
        const DType t = kernel_.slots[sums[i]].dtype;
        Value* place = around[i].value;
        Value* so_far = b_.CreateLoad(ops_.compute_type(t), place);
        b_.CreateStore(
            ops_.combine(ir::Reduction::sum, t, so_far, b_.CreateExtractValue(results, i)), place);
        scope_->slots[sums[i]] = around[i];
    }
    b_.CreateBr(end);
    b_.SetInsertPoint(end);
}

/// The iterations of one block, at least one, each with sums of its own; leaves the tree over them
/// in the slots. `stop` is set where break_ ends them.
llvm::BranchInst* ProgramEmitter::sum_iterations(const ir::Tree& tree, Value* first, Value* last,
                                                 llvm::function_ref<void(Value*)> body,
                                                 Value* stop) {
    const std::vector<std::uint32_t>& sums = tree.sums;
    std::vector<Value*> buffers;
    const auto type = [&](std::uint32_t s) { return ops_.compute_type(kernel_.slots[s].dtype); };
    for (const std::uint32_t s : sums) {
        auto* array = llvm::ArrayType::get(type(s), static_cast<std::uint64_t>(tree.block));
        auto* buffer = llvm::cast<llvm::AllocaInst>(ops_.alloca_at_entry(array, "sums"));
        buffer->setAlignment(llvm::Align(64));
        buffers.push_back(buffer);
    }
    Value* ran = ops_.alloca_at_entry(b_.getInt64Ty(), "ran");
    b_.CreateStore(b_.CreateSub(last, first), ran);
    auto* left = BasicBlock::Create(context_, "left", scope_->function);
    Value* index = nullptr;
    const auto iteration = [&](Value* k) {
        index = k;
        for (const std::uint32_t s : sums)
            b_.CreateStore(ops_.neutral(ir::Reduction::sum, kernel_.slots[s].dtype, false),
                           scope_->slots[s].value);
        body(k);
    };
    const auto keep_sums = [&](Value* k) {
        Value* at = b_.CreateSub(k, first);
        for (std::size_t i = 0; i < sums.size(); ++i)
            b_.CreateStore(b_.CreateLoad(type(sums[i]), scope_->slots[sums[i]].value),
                           b_.CreateInBoundsGEP(type(sums[i]), buffers[i], at));
    };
    auto* const back = count_up(first, last, iteration, false, keep_sums, left);
    auto* const end = b_.GetInsertBlock();
    b_.SetInsertPoint(left);
    if (stop == nullptr || left->hasNPredecessors(0)) {
        b_.CreateUnreachable();
    } else {
        keep_sums(index);
        b_.CreateStore(b_.CreateAdd(b_.CreateSub(index, first), b_.getInt64(1)), ran);
        b_.CreateStore(b_.getTrue(), stop);
        b_.CreateBr(end);
    }
    b_.SetInsertPoint(end);
    Value* count = b_.CreateLoad(b_.getInt64Ty(), ran);
    for (std::size_t i = 0; i < sums.size(); ++i) {
        b_.CreateCall(tree_function(kernel_.slots[sums[i]].dtype), {buffers[i], count});
        b_.CreateStore(b_.CreateLoad(type(sums[i]), buffers[i]), scope_->slots[sums[i]].value);
    }
    return back;
}

/// The function that leaves the sum of the first `count` elements of a buffer in its first one.
llvm::Function* ProgramEmitter::tree_function(DType t) {
    auto& trees = shared_.trees;
    if (const auto known = trees.find(t); known != trees.end()) return known->second;
    const llvm::IRBuilder<>::InsertPointGuard insert_guard(b_);
    auto* function = make_function(options_.entry + "_tree_" + std::string(info(t).name),
                                   {b_.getPtrTy(), b_.getInt64Ty()});
    function->setLinkage(llvm::Function::InternalLinkage);
    function->addParamAttr(0, llvm::Attribute::NoCapture);
    function->addParamAttr(0, llvm::Attribute::NoAlias);
    function->setOnlyAccessesArgMemory();
    Scope* const outer = scope_;
    Scope scope = begin_function(function, true);
    scope_ = &scope;
    auto* body = BasicBlock::Create(context_, "body", function);
    b_.SetInsertPoint(body);
    emit_tree(ops_.compute_type(t), function->getArg(0), function->getArg(1));
    b_.CreateBr(scope.exit);
    b_.SetInsertPoint(scope.entry);
    b_.CreateBr(body);
    b_.SetInsertPoint(scope.exit);
    b_.CreateRetVoid();
    scope_ = outer;
    trees.emplace(t, function);
    return function;
}

/// In the order that trees.h has for Tree::sums. Of 2^k elements each goes through k additions.
void ProgramEmitter::emit_tree(llvm::Type* element, Value* buffer, Value* count) {
    using tree::few_sums, tree::sum_rows;
    const auto lanes =
        static_cast<unsigned>(8 * tree::sum_row_bytes / element->getScalarSizeInBits());
    auto* row = llvm::FixedVectorType::get(element, lanes);
    const auto make = [&](const char* name) {
        return BasicBlock::Create(context_, name, scope_->function);
    };
    const auto at = [&](Value* r) { return b_.CreateInBoundsGEP(row, buffer, r); };
    const auto load = [&](Value* r) { return b_.CreateAlignedLoad(row, at(r), llvm::Align(64)); };
    const auto store = [&](Value* v, Value* r) {
        b_.CreateAlignedStore(v, at(r), llvm::Align(64));
    };
    auto *one_by_one = make("few"), *rows = make("rows"), *head = make("round"),
         *round = make("eights"), *rest = make("rest"), *done = make("tree.done");
    b_.CreateCondBr(b_.CreateICmpULE(count, b_.getInt64(few_sums)), one_by_one, rows);

    // The first of `n` and those after it.
    const auto chain = [&](llvm::Type* type, Value* n) -> Value* {
        Value* sum = ops_.alloca_at_entry(type, "sum");
        b_.CreateStore(b_.CreateAlignedLoad(type, buffer, llvm::Align(64)), sum);
        count_up(b_.getInt64(1), n, [&](Value* i) {
            Value* more = b_.CreateLoad(type, b_.CreateInBoundsGEP(type, buffer, i));
            b_.CreateStore(b_.CreateFAdd(b_.CreateLoad(type, sum), more), sum);
        });
        return b_.CreateLoad(type, sum);
    };
    b_.SetInsertPoint(one_by_one);
    b_.CreateStore(chain(element, count), buffer);
    b_.CreateBr(done);

    b_.SetInsertPoint(rows);
    Value* number = b_.CreateUDiv(b_.CreateAdd(count, b_.getInt64(lanes - 1)), b_.getInt64(lanes));
    Value* last = b_.CreateSub(number, b_.getInt64(1));
    llvm::SmallVector<llvm::Constant*> positions;
    for (unsigned l = 0; l < lanes; ++l) positions.push_back(b_.getInt64(l));
    Value* in_last = b_.CreateSub(count, b_.CreateMul(last, b_.getInt64(lanes)));
    Value* there = b_.CreateICmpULT(llvm::ConstantVector::get(positions),
                                    b_.CreateVectorSplat(lanes, in_last));
    Value* nothing = b_.CreateVectorSplat(lanes, llvm::ConstantFP::getNegativeZero(element));
    store(b_.CreateSelect(there, load(last), nothing), last);
    b_.CreateBr(head);

    b_.SetInsertPoint(head);
    auto* r = b_.CreatePHI(b_.getInt64Ty(), 2, "rows");
    r->addIncoming(number, rows);
    b_.CreateCondBr(b_.CreateICmpUGE(r, b_.getInt64(sum_rows)), round, rest);
    b_.SetInsertPoint(round);
    Value* eights = b_.CreateUDiv(r, b_.getInt64(sum_rows));
    Value* whole = b_.CreateMul(eights, b_.getInt64(sum_rows));
    count_up(b_.getInt64(0), eights, [&](Value* g) {
        Value* from = b_.CreateMul(g, b_.getInt64(sum_rows));
        const auto sum = [&](const auto& self, std::uint64_t begin, std::uint64_t size) -> Value* {
            if (size == 1) return load(b_.CreateAdd(from, b_.getInt64(begin)));
            Value* lower = self(self, begin, size / 2);
            return b_.CreateFAdd(lower, self(self, begin + size / 2, size / 2));
        };
        store(sum(sum, 0, sum_rows), g);
    });
    Value* others = b_.CreateSub(r, whole);
    count_up(b_.getInt64(0), others,
             [&](Value* i) { store(load(b_.CreateAdd(whole, i)), b_.CreateAdd(eights, i)); });
    r->addIncoming(b_.CreateAdd(eights, others), b_.GetInsertBlock());
    b_.CreateBr(head);

    b_.SetInsertPoint(rest);
    Value* v = chain(row, r);
    for (unsigned half = lanes / 2; half > 0; half /= 2) {
        llvm::SmallVector<int> lower, upper;
        for (unsigned l = 0; l < half; ++l) {
            lower.push_back(static_cast<int>(l));
            upper.push_back(static_cast<int>(half + l));
        }
        v = b_.CreateFAdd(b_.CreateShuffleVector(v, lower), b_.CreateShuffleVector(v, upper));
    }
    b_.CreateStore(b_.CreateExtractElement(v, std::uint64_t(0)), buffer);
    b_.CreateBr(done);
    b_.SetInsertPoint(done);
}

}  // namespace kiln::codegen
