#include "codegen/llvm/emit.h"

#include "codegen/llvm/emitter.h"

#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/Target/TargetMachine.h>

#include <algorithm>

namespace kiln::codegen {

using ir::Id;
using ir::Layout;
using ir::Node;
using ir::NodeKind;
using llvm::BasicBlock;
using llvm::Value;

std::unique_ptr<llvm::Module> emit_llvm(const ir::Kernel& kernel, llvm::LLVMContext& context,
                                        const llvm::TargetMachine& machine,
                                        const EmitOptions& options) {
    auto module = std::make_unique<llvm::Module>(kernel.name, context);
    module->setDataLayout(machine.createDataLayout());
    module->setTargetTriple(machine.getTargetTriple().str());
    Emitter(kernel, context, *module, options).run();
    return module;
}

Emitter::Emitter(const ir::Kernel& kernel, llvm::LLVMContext& context, llvm::Module& module,
                 const EmitOptions& options)
    : kernel_(kernel),
      context_(context),
      module_(module),
      options_(options),
      facts_(analyse(kernel, options.isa != VectorIsa::sse2)),
      b_(context) {}

void Emitter::refuse(const std::string& what, std::uint32_t loc) const {
    throw Error(ErrorKind::unsupported, what, kernel_.location(loc),
                "this backend compiles element-wise kernels and their reductions");
}

// ------------------------------------------------------------------------------ the function

/// How many lanes the main loop's body has. A register of the widest type sets the unit; simple
/// bodies take four such registers to cover the latency of their operations, loops two (their
/// recurrences are the latency) and polynomials two, and bodies with library calls one. So do
/// bodies that read many arrays, unless their lanes are accumulators: their loads are independent
/// enough, and come to each array in the order of its addresses, as prefetchers like it.
static unsigned choose_lanes(const KernelFacts& facts, unsigned unit, bool reduces) {
    constexpr unsigned many_streams = 8;
    const bool streams = facts.streams >= many_streams && !reduces;
    const unsigned registers = facts.calls != 0 || streams             ? 1
                               : facts.has_loops || facts.inlined != 0 ? 2
                               : facts.operations <= 24                ? 4
                                                                       : 2;
    return std::max(unit, std::min(unit * registers, 128U));
}

void Emitter::run() {
    choose_form();
    const unsigned unit = std::min(64U, std::max(1U, vector_bytes(options_.isa) / facts_.widest));
    block_lanes_ = choose_lanes(facts_, unit, !accumulators_.empty());
    // Masked memory access needs AVX-512 for elements below four bytes, AVX2 for others.
    const bool masks = options_.isa == VectorIsa::avx512 ||
                       (options_.isa == VectorIsa::avx2 && facts_.narrowest >= 4);
    tail_lanes_ = masks ? unit : 1;
    // Where masks cost nothing beside the body, one masked loop halves the code and the compile
    // time.
    one_loop_ = options_.isa == VectorIsa::avx512 && !options_.streaming && facts_.inlined != 0 &&
                accumulators_.empty();
    if (one_loop_) tail_lanes_ = block_lanes_;

    for (std::uint32_t p = 0; options_.streaming && p < kernel_.params.size(); ++p) {
        const ir::Param& param = kernel_.params[p];
        if (param.access != ir::Access::out || param.layout != Layout::unit) continue;
        streamed_ = p;
        break;
    }

    auto* pointer = b_.getPtrTy();
    auto* type = llvm::FunctionType::get(b_.getVoidTy(), {pointer}, false);
    function_ =
        llvm::Function::Create(type, llvm::Function::ExternalLinkage, options_.entry, module_);
    function_->addFnAttr(llvm::Attribute::NoUnwind);
    const std::string bits = std::to_string(8 * vector_bytes(options_.isa));
    function_->addFnAttr("prefer-vector-width", bits);
    function_->addFnAttr("min-legal-vector-width", bits);
    // LLVM aligns the stack for spilled vectors only where it has kept the frame pointer. Without,
    // spills cross cache lines, and a kernel takes up to twice the time, by where the stack of its
    // caller happens to be.
    function_->addFnAttr("frame-pointer", "all");
    function_->addParamAttr(0, llvm::Attribute::NoAlias);
    frame_ = function_->getArg(0);
    entry_ = BasicBlock::Create(context_, "entry", function_);
    b_.SetInsertPoint(entry_);
    load_frame();
    emit_rows();
}

void Emitter::load_frame() {
    // struct MapFrame { i64 columns, rows; Fault* fault; }, then { ptr data; i64 inner, outer; }
    // each.
    const auto field = [&](unsigned at, llvm::Type* type, const llvm::Twine& name) -> Value* {
        return b_.CreateAlignedLoad(type,
                                    b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), frame_, 8 * at),
                                    llvm::Align(8), name);
    };
    columns_ = field(0, b_.getInt64Ty(), "columns");
    rows_ = field(1, b_.getInt64Ty(), "rows");
    for (unsigned p = 0; p < kernel_.params.size(); ++p) {
        const std::string& name = kernel_.params[p].name;
        const unsigned at = 3 + 3 * p;
        params_.push_back({field(at, b_.getPtrTy(), name),
                           kernel_.params[p].layout == Layout::strided
                               ? field(at + 1, b_.getInt64Ty(), name + ".inner")
                               : nullptr,
                           field(at + 2, b_.getInt64Ty(), name + ".outer"), nullptr});
    }
}

void Emitter::emit_rows() {
    auto* head = BasicBlock::Create(context_, "row", function_);
    auto* body = BasicBlock::Create(context_, "row.body", function_);
    auto* done = BasicBlock::Create(context_, "done", function_);
    BasicBlock* before = b_.GetInsertBlock();
    b_.CreateBr(head);
    b_.SetInsertPoint(head);
    auto* row = b_.CreatePHI(b_.getInt64Ty(), 2, "r");
    row->addIncoming(b_.getInt64(0), before);
    row_number_ = row;
    b_.CreateCondBr(b_.CreateICmpSLT(row, rows_), body, done);

    b_.SetInsertPoint(body);
    for (Param& p : params_)
        p.row = b_.CreateGEP(b_.getInt8Ty(), p.data, b_.CreateMul(row, p.outer));
    emit_uniform_nodes();
    if (accumulators_.empty()) {
        emit_columns();
    } else {
        emit_reduced_columns();
    }
    row->addIncoming(b_.CreateNUWAdd(row, b_.getInt64(1)), b_.GetInsertBlock());
    b_.CreateBr(head);

    b_.SetInsertPoint(done);
    if (options_.streaming) b_.CreateIntrinsic(llvm::Intrinsic::x86_sse_sfence, {}, {});
    b_.CreateRetVoid();
}

void Emitter::emit_uniform_nodes() {
    uniform_.assign(kernel_.nodes.size(), {});
    values_.assign(kernel_.nodes.size(), {});
    for (const Id id : kernel_.blocks[body_].nodes) {
        const Node& n = kernel_.nodes[id];
        if (facts_.varying[id]) continue;
        if (n.kind == NodeKind::load || n.kind == NodeKind::op || n.kind == NodeKind::cast) {
            emit_node(id);
            uniform_[id] = values_[id];
        }
    }
}

// A row:   [head:  masked columns until the first output is aligned]     (streaming only)
//          main:   whole blocks of block_lanes_ columns
//          tail:   the rest, tail_lanes_ columns at a time, masked; all of them with one_loop_
void Emitter::emit_columns() {
    auto* i64 = b_.getInt64Ty();
    auto* main_head = one_loop_ ? nullptr : BasicBlock::Create(context_, "main", function_);
    auto* main_body = one_loop_ ? nullptr : BasicBlock::Create(context_, "main.body", function_);
    auto* tail_head = BasicBlock::Create(context_, "tail", function_);
    auto* tail_body = BasicBlock::Create(context_, "tail.body", function_);
    auto* row_end = BasicBlock::Create(context_, "row.end", function_);
    Value* zero = b_.getInt64(0);
    BasicBlock* before = b_.GetInsertBlock();
    Value* head_count = nullptr;
    if (streamed_ != ir::none) {
        Value* address = b_.CreatePtrToInt(params_[streamed_].row, i64);
        Value* misaligned =
            b_.CreateAnd(b_.CreateNeg(address), b_.getInt64(vector_bytes(options_.isa) - 1));
        const std::size_t size = size_of(kernel_.params[streamed_].dtype);
        // No element of an output that is off by less than one is ever aligned.
        Value* reachable =
            b_.CreateICmpEQ(b_.CreateAnd(misaligned, b_.getInt64(size - 1)), b_.getInt64(0));
        Value* count =
            b_.CreateSelect(reachable, b_.CreateUDiv(misaligned, b_.getInt64(size)), columns_);
        head_count = b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, count, columns_);
    }
    const bool streaming = head_count != nullptr;
    b_.CreateBr(streaming || one_loop_ ? tail_head : main_head);

    llvm::PHINode* i = nullptr;
    if (!one_loop_) {
        b_.SetInsertPoint(main_head);
        i = b_.CreatePHI(i64, 2, "i");
        if (!streaming) i->addIncoming(zero, before);
        Value* next = b_.CreateNUWAdd(i, b_.getInt64(block_lanes_), "i.next");
        b_.CreateCondBr(b_.CreateICmpSLE(next, columns_), main_body, tail_head);
        b_.SetInsertPoint(main_body);
        emit_body(block_lanes_, i, nullptr, true);
        i->addIncoming(next, b_.GetInsertBlock());
        b_.CreateBr(main_head);
    }

    b_.SetInsertPoint(tail_head);
    auto* j = b_.CreatePHI(i64, 3, "j");
    auto* limit = b_.CreatePHI(i64, 3, "limit");
    if (!one_loop_) {
        j->addIncoming(i, main_head);
        limit->addIncoming(columns_, main_head);
    }
    if (streaming || one_loop_) {
        j->addIncoming(zero, before);
        limit->addIncoming(streaming ? head_count : columns_, before);
    }
    auto* tail_end = streaming ? BasicBlock::Create(context_, "tail.end", function_) : row_end;
    b_.CreateCondBr(b_.CreateICmpSLT(j, limit), tail_body, tail_end);
    b_.SetInsertPoint(tail_body);
    emit_body(tail_lanes_, j, b_.CreateSub(limit, j), false);
    Value* after = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin,
                                            b_.CreateNUWAdd(j, b_.getInt64(tail_lanes_)), limit);
    j->addIncoming(after, b_.GetInsertBlock());
    limit->addIncoming(limit, b_.GetInsertBlock());
    b_.CreateBr(tail_head);

    if (streaming) {
        b_.SetInsertPoint(tail_end);
        i->addIncoming(j, tail_end);
        b_.CreateCondBr(b_.CreateICmpEQ(limit, columns_), row_end, main_head);
    }
    b_.SetInsertPoint(row_end);
}

void Emitter::emit_body(unsigned lanes, Value* index, Value* remaining, bool main_loop) {
    lanes_ = lanes;
    index_ = index;
    main_loop_ = main_loop;
    range_mask_ = nullptr;
    if (remaining != nullptr && lanes > 1) {
        Value* count = b_.CreateTrunc(
            b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, remaining, b_.getInt64(lanes)),
            b_.getInt32Ty());
        range_mask_ =
            b_.CreateICmpULT(iota(b_.getInt32Ty()), b_.CreateVectorSplat(lanes, count), "in_range");
    }
    mask_ = range_mask_;
    values_ = uniform_;
    slots_.clear();
    for (const ir::Slot& slot : kernel_.slots) {
        if (slot.length != 1) refuse("local arrays are not compiled in element-wise kernels");
        auto* type = llvm::FixedVectorType::get(compute_type(real_type(slot.dtype)), lanes_);
        slots_.push_back({alloca_at_entry(type, "slot"),
                          is_complex(slot.dtype) ? alloca_at_entry(type, "slot.im") : nullptr,
                          true});
    }
    const bool returns = std::ranges::any_of(
        kernel_.nodes, [](const Node& n) { return n.kind == NodeKind::return_; });
    alive_ = nullptr;
    if (returns) {
        alive_ = alloca_at_entry(all_lanes()->getType(), "alive");
        b_.CreateStore(all_lanes(), alive_);
    }
    emit_block(body_);
}

// ------------------------------------------------------------------------------ control flow

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

// ------------------------------------------------------------------------------ memory

void Emitter::check_subscripts(const Node& n, std::size_t count) const {
    const auto operands = kernel_.operands_of(n);
    if (count != 1 || kernel_.nodes[operands[0]].kind != NodeKind::index)
        refuse("an element-wise kernel accesses arrays at its own index only", n.loc);
}

/// Address of the first lane's element of a parameter of layout `unit`.
Value* Emitter::row_address(std::uint32_t param) {
    return b_.CreateGEP(b_.getInt8Ty(), params_[param].row,
                        b_.CreateMul(index_, b_.getInt64(size_of(kernel_.params[param].dtype))));
}

/// a0 b0 a1 b1 ...
Value* Emitter::interleave(Value* a, Value* b) {
    std::vector<int> order;
    for (unsigned l = 0; l < lanes_; ++l) {
        order.push_back(static_cast<int>(l));
        order.push_back(static_cast<int>(lanes_ + l));
    }
    return b_.CreateShuffleVector(a, b, order);
}

/// The positions `from`, `from` + 2 ... of an interleaved vector.
std::vector<int> Emitter::stride_two(int from) const {
    std::vector<int> positions;
    for (unsigned l = 0; l < lanes_; ++l) positions.push_back(from + 2 * static_cast<int>(l));
    return positions;
}

/// Addresses of the lanes' elements, `offset` bytes in.
Value* Emitter::element_pointers(std::uint32_t param, unsigned offset) {
    auto* i64 = b_.getInt64Ty();
    const Param& p = params_[param];
    Value* step = kernel_.params[param].layout == Layout::unit
                      ? b_.getInt64(size_of(kernel_.params[param].dtype))
                      : p.inner;
    Value* base = b_.CreateGEP(b_.getInt8Ty(), p.row,
                               b_.CreateAdd(b_.CreateMul(index_, step), b_.getInt64(offset)));
    if (lanes_ == 1) return base;
    Value* offsets = b_.CreateMul(iota(i64), b_.CreateVectorSplat(lanes_, step));
    return b_.CreateGEP(b_.getInt8Ty(), base, offsets);
}

Value* Emitter::load_lanes(std::uint32_t param, llvm::Type* element, unsigned offset) {
    const ir::Param& p = kernel_.params[param];
    if (p.layout == Layout::uniform) {
        Value* at = b_.CreateConstGEP1_64(b_.getInt8Ty(), params_[param].row, offset);
        return b_.CreateAlignedLoad(element, at, llvm::Align(1), p.name);
    }
    auto* vector = llvm::FixedVectorType::get(element, lanes_);
    const unsigned size = static_cast<unsigned>(size_of(p.dtype));
    if (lanes_ == 1)
        return b_.CreateAlignedLoad(vector, element_pointers(param, offset), llvm::Align(1),
                                    p.name);
    const bool contiguous =
        p.layout == Layout::unit && element->getPrimitiveSizeInBits() == 8 * size;
    if (contiguous) {
        Value* first = row_address(param);
        if (range_mask_ == nullptr)
            return b_.CreateAlignedLoad(vector, first, llvm::Align(1), p.name);
        return b_.CreateMaskedLoad(vector, first, llvm::Align(1), range_mask_,
                                   llvm::Constant::getNullValue(vector), p.name);
    }
    return b_.CreateMaskedGather(vector, element_pointers(param, offset), llvm::Align(1),
                                 range_mask_ != nullptr ? range_mask_ : all_lanes(),
                                 llvm::Constant::getNullValue(vector), p.name);
}

LaneValue Emitter::emit_load(const Node& n) {
    check_subscripts(n, n.operand_count);
    const DType t = n.dtype;
    const bool varying = kernel_.params[n.aux].layout != Layout::uniform;
    if (is_complex(t)) {
        auto* element = compute_type(real_type(t));
        if (kernel_.params[n.aux].layout == Layout::unit && lanes_ > 1) {
            auto* pairs = llvm::FixedVectorType::get(element, 2 * lanes_);
            Value* first = row_address(n.aux);
            Value* both =
                range_mask_ == nullptr
                    ? b_.CreateAlignedLoad(pairs, first, llvm::Align(1))
                    : static_cast<Value*>(b_.CreateMaskedLoad(pairs, first, llvm::Align(1),
                                                              interleave(range_mask_, range_mask_),
                                                              llvm::Constant::getNullValue(pairs)));
            return {b_.CreateShuffleVector(both, stride_two(0)),
                    b_.CreateShuffleVector(both, stride_two(1)), varying};
        }
        return {load_lanes(n.aux, element, 0),
                load_lanes(n.aux, element, static_cast<unsigned>(size_of(t) / 2)), varying};
    }
    return {from_memory(load_lanes(n.aux, memory_type(t), 0), t), nullptr, varying};
}

void Emitter::store_lanes(std::uint32_t param, Value* value, unsigned offset, Value* mask,
                          bool streaming) {
    const ir::Param& p = kernel_.params[param];
    const unsigned size = static_cast<unsigned>(size_of(p.dtype));
    auto* vector = llvm::cast<llvm::FixedVectorType>(value->getType());
    if (p.layout == Layout::uniform) refuse("output '" + p.name + "' has a zero stride");
    if (lanes_ == 1) {
        Value* at = element_pointers(param, offset);
        if (mask == nullptr) {
            b_.CreateAlignedStore(value, at, llvm::Align(1));
            return;
        }
        auto* inside = BasicBlock::Create(context_, "store", function_);
        auto* next = BasicBlock::Create(context_, "stored", function_);
        b_.CreateCondBr(any(mask), inside, next);
        b_.SetInsertPoint(inside);
        b_.CreateAlignedStore(value, at, llvm::Align(1));
        b_.CreateBr(next);
        b_.SetInsertPoint(next);
        return;
    }
    if (p.layout == Layout::unit && vector->getScalarSizeInBits() == 8 * size) {
        Value* first = row_address(param);
        if (mask != nullptr) {
            b_.CreateMaskedStore(value, first, llvm::Align(1), mask);
        } else if (streaming) {
            auto* store =
                b_.CreateAlignedStore(value, first, llvm::Align(vector_bytes(options_.isa)));
            auto* one = llvm::ConstantAsMetadata::get(b_.getInt32(1));
            store->setMetadata(llvm::LLVMContext::MD_nontemporal, llvm::MDNode::get(context_, one));
        } else {
            b_.CreateAlignedStore(value, first, llvm::Align(1));
        }
        return;
    }
    b_.CreateMaskedScatter(value, element_pointers(param, offset), llvm::Align(1),
                           mask != nullptr ? mask : all_lanes());
}

void Emitter::emit_store(const Node& n, Id id) {
    if (kernel_.params[n.aux].rank != 0) check_subscripts(n, n.operand_count - 1U);
    store_value(n, value(kernel_.operands_of(id).back()));
}

void Emitter::store_value(const Node& n, const LaneValue& v) {
    const DType t = kernel_.params[n.aux].dtype;
    if (is_complex(t) && kernel_.params[n.aux].layout == Layout::unit && lanes_ > 1) {
        Value* both = interleave(as_varying(v, v.value), as_varying(v, v.imag));
        Value* first = row_address(n.aux);
        if (mask_ == nullptr)
            b_.CreateAlignedStore(both, first, llvm::Align(1));
        else
            b_.CreateMaskedStore(both, first, llvm::Align(1), interleave(mask_, mask_));
        return;
    }
    if (is_complex(t)) {
        store_lanes(n.aux, as_varying(v, v.value), 0, mask_, false);
        store_lanes(n.aux, as_varying(v, v.imag), static_cast<unsigned>(size_of(t) / 2), mask_,
                    false);
        return;
    }
    const bool streaming = main_loop_ && n.aux == streamed_;
    const bool whole_registers = lanes_ * size_of(t) % vector_bytes(options_.isa) == 0;
    store_lanes(n.aux, to_memory(as_varying(v, v.value), t), 0, mask_,
                streaming && whole_registers);
}

LaneValue Emitter::read_slot(std::uint32_t slot) {
    const LaneValue& s = slots_[slot];
    auto* type =
        llvm::FixedVectorType::get(compute_type(real_type(kernel_.slots[slot].dtype)), lanes_);
    return {b_.CreateLoad(type, s.value), s.imag != nullptr ? b_.CreateLoad(type, s.imag) : nullptr,
            true};
}

void Emitter::write_slot(std::uint32_t slot, const LaneValue& v) {
    const auto put = [&](Value* place, Value* part) {
        Value* full = as_varying(v, part);
        if (mask_ != nullptr && mask_ != range_mask_)
            full = b_.CreateSelect(mask_, full, b_.CreateLoad(full->getType(), place));
        b_.CreateStore(full, place);
    };
    put(slots_[slot].value, v.value);
    if (slots_[slot].imag != nullptr) put(slots_[slot].imag, v.imag);
}

}  // namespace kiln::codegen
