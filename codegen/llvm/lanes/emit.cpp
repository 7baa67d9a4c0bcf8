#include "codegen/abi.h"
#include "codegen/lanes/data_flags.h"
#include "codegen/llvm/attributes.h"
#include "codegen/llvm/debug_info.h"
#include "codegen/llvm/lanes/lane_emitter.h"

#include <llvm/IR/IntrinsicsX86.h>

#include <algorithm>

namespace kiln::codegen {

using ir::Id;
using ir::Layout;
using ir::Node;
using ir::NodeKind;
using llvm::BasicBlock;
using llvm::Value;

LaneEmitter::LaneEmitter(const ir::Kernel& kernel, llvm::Module& module, const EmitOptions& options)
    : kernel_(kernel),
      context_(module.getContext()),
      module_(module),
      options_(options),
      facts_(analyse(kernel, options.isa != VectorIsa::sse2)),
      ops_(kernel, facts_.strict_nan, options.isa, module, *this),
      combiners_(kernel, options.isa, module),
      b_(ops_.builder()) {}

void LaneEmitter::refuse_local_array(std::uint32_t slot) const {
    const auto uses = [&](const ir::Node& n) {
        return (n.kind == NodeKind::read || n.kind == NodeKind::write) && n.aux == slot;
    };
    const auto use = std::ranges::find_if(kernel_.nodes, uses);
    throw Error(ErrorKind::unsupported, "a Local in an element-wise kernel",
                use == kernel_.nodes.end() ? Location{} : kernel_.location(use->loc),
                "write the kernel with jit, whose loops may have arrays of their own");
}

void LaneEmitter::refuse(const std::string& what, std::uint32_t loc) const {
    throw Error(ErrorKind::unsupported, what, kernel_.location(loc),
                "this backend compiles element-wise kernels and their reductions");
}

// ------------------------------------------------------------------------------ the function

void LaneEmitter::run() {
    options_.flags_of_data = options_.flags_of_data && zeros_raise_flags(kernel_);
    choose_form();
    const ir::Lanes chosen =
        kernel_.lanes == ir::Lanes{} ? choose_lanes(kernel_, facts_, options_.isa) : kernel_.lanes;
    const unsigned unit = unit_lanes_ = chosen.of_register;
    block_lanes_ = unit * chosen.registers;
    fan_in_ = chosen.fan_in;
    levels_ = chosen.levels;
    tail_lanes_ = chosen.tail != 0 ? chosen.tail : masks_memory(facts_, options_.isa) ? unit : 1;
    // Where masks cost nothing beside the body, one masked loop halves the code and the compile
    // time.
    one_loop_ = options_.isa == VectorIsa::avx512 && !options_.streaming &&
                (facts_.inlined != 0 || facts_.has_loops) && accumulators_.empty();
    if (one_loop_) tail_lanes_ = block_lanes_;
    // Debuggers stop at one place of a line in each function, so the body is there once, and takes
    // one element after the other.
    if (options_.debug == DebugDetail::variables && kernel_.form == ir::Form::map) {
        one_loop_ = true;
        block_lanes_ = tail_lanes_ = 1;
    }

    // Rows of some hundred columns are mostly remainder: where bodies are small, whole registers of
    // it need no mask.
    if (accumulators_.empty() && !options_.streaming && block_lanes_ == 4 * unit)
        single_lanes_ = unit;

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
    function_->setAlignment(llvm::Align(attribute::alignment));
    function_->addFnAttr("prefer-vector-width", bits);
    function_->addFnAttr("min-legal-vector-width", bits);
    // LLVM aligns the stack for spilled vectors only where it has kept the frame pointer. Without,
    // spills cross cache lines, and a kernel takes up to twice the time, by where the stack of its
    // caller happens to be.
    function_->addFnAttr("frame-pointer", "all");
    function_->addParamAttr(0, llvm::Attribute::NoAlias);
    constexpr unsigned many_functions = 4;
    if (options_.isa == VectorIsa::avx512 && facts_.inlined >= many_functions && !facts_.has_loops)
        function_->addFnAttr(attribute::long_body);
    frame_ = function_->getArg(0);
    entry_ = BasicBlock::Create(context_, "entry", function_);
    b_.SetInsertPoint(entry_);
    if (options_.debug_info != nullptr) options_.debug_info->enter(*function_, kernel_, b_);
    load_frame();
    emit_rows();
}

/// A word of the frame.
Value* LaneEmitter::frame_field(unsigned at, llvm::Type* type, const llvm::Twine& name) {
    return b_.CreateAlignedLoad(
        type, b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), frame_, abi::word_bytes * at),
        llvm::Align(8), name);
}

void LaneEmitter::load_frame() {
    columns_ = frame_field(abi::map_word::columns, b_.getInt64Ty(), "columns");
    for (std::size_t p = 0; p < kernel_.params.size(); ++p) {
        const std::string& name = kernel_.params[p].name;
        const auto field = [p](unsigned f) { return abi::map_word::operand(p, f); };
        params_.push_back(
            {frame_field(field(abi::map_word::data), b_.getPtrTy(), name),
             kernel_.params[p].layout == Layout::strided
                 ? frame_field(field(abi::map_word::inner), b_.getInt64Ty(), name + ".inner")
                 : nullptr,
             nullptr});
    }
}

// Most calls have one row: what leads to the next one is read from the frame when there is a next.
void LaneEmitter::emit_rows() {
    auto* head = BasicBlock::Create(context_, "row", function_);
    auto* next = BasicBlock::Create(context_, "row.next", function_);
    auto* done = BasicBlock::Create(context_, "done", function_);
    BasicBlock* before = b_.GetInsertBlock();
    Value* some = frame_field(abi::map_word::rows, b_.getInt64Ty(), "rows");
    b_.CreateCondBr(b_.CreateICmpSGT(some, b_.getInt64(0)), head, done);
    b_.SetInsertPoint(head);
    auto* row = b_.CreatePHI(b_.getInt64Ty(), 2, "r");
    row->addIncoming(b_.getInt64(0), before);
    row_number_ = row;
    std::vector<llvm::PHINode*> addresses;
    for (Param& p : params_) {
        addresses.push_back(b_.CreatePHI(b_.getPtrTy(), 2));
        addresses.back()->addIncoming(p.data, before);
        p.row = addresses.back();
    }
    emit_uniform_nodes();
    if (kernel_.form == ir::Form::scan) begin_scan();
    if (accumulators_.empty()) {
        emit_columns();
    } else {
        emit_reduced_columns();
    }
    Value* following = b_.CreateNUWAdd(row, b_.getInt64(1));
    Value* rows = frame_field(abi::map_word::rows, b_.getInt64Ty(),
                              "rows");  // not kept in a register for one row
    // Of a frame of one row that is known, as where the code becomes part of a program's, LLVM sees
    // that no other row follows: unsigned, the number of one is at least 1.
    b_.CreateCondBr(b_.CreateICmpULT(following, rows), next, done);

    b_.SetInsertPoint(next);
    row->addIncoming(following, next);
    for (std::size_t p = 0; p < params_.size(); ++p) {
        Value* outer =
            frame_field(abi::map_word::operand(p, abi::map_word::outer), b_.getInt64Ty(), "outer");
        addresses[p]->addIncoming(b_.CreateGEP(b_.getInt8Ty(), params_[p].row, outer), next);
    }
    b_.CreateBr(head);

    b_.SetInsertPoint(done);
    if (options_.streaming && options_.fence)
        b_.CreateIntrinsic(llvm::Intrinsic::x86_sse_sfence, {}, {});
    b_.CreateRetVoid();
}

void LaneEmitter::emit_uniform_nodes() {
    uniform_.assign(kernel_.nodes.size(), {});
    values_.assign(kernel_.nodes.size(), {});
    for (const Id id : kernel_.blocks[body_].nodes) {
        const Node& n = kernel_.nodes[id];
        if (facts_.varying[id]) continue;
        if (n.kind != NodeKind::load && n.kind != NodeKind::op && n.kind != NodeKind::cast)
            continue;
        // A slot's value may be the same in all lanes, but not in all blocks of columns.
        const bool of_row = std::ranges::all_of(kernel_.operands_of(n), [&](Id operand) {
            return ir::is_leaf(kernel_.nodes[operand].kind) || uniform_[operand].value != nullptr;
        });
        if (!of_row) continue;
        emit_node(id);
        uniform_[id] = values_[id];
    }
}

/// Whole blocks of `lanes` columns from `begin` on: where they end.
Value* LaneEmitter::emit_blocks(const char* name, unsigned lanes, Value* begin) {
    auto* i64 = b_.getInt64Ty();
    auto* body = BasicBlock::Create(context_, name, function_);
    auto* done = BasicBlock::Create(context_, llvm::Twine(name) + ".end", function_);
    Value* width = b_.getInt64(lanes);
    // A block that begins here or before is whole.
    Value* last = b_.CreateNSWSub(columns_, width);
    BasicBlock* before = b_.GetInsertBlock();
    b_.CreateCondBr(b_.CreateICmpSLE(begin, last), body, done);
    b_.SetInsertPoint(body);
    auto* i = b_.CreatePHI(i64, 2, "i");
    i->addIncoming(begin, before);
    emit_body(lanes, i, nullptr, true);
    Value* next = b_.CreateNUWAdd(i, width, "i.next");
    BasicBlock* latch = b_.GetInsertBlock();
    i->addIncoming(next, latch);
    b_.CreateCondBr(b_.CreateICmpSLE(next, last), body, done);
    b_.SetInsertPoint(done);
    auto* end = b_.CreatePHI(i64, 2, "j");
    end->addIncoming(begin, before);
    end->addIncoming(next, latch);
    return end;
}

/// The columns [begin, end), tail_lanes_ at a time, masked. `once`: they are fewer than that.
void LaneEmitter::emit_masked(const char* name, Value* begin, Value* end, bool once) {
    auto* body = BasicBlock::Create(context_, name, function_);
    auto* done = BasicBlock::Create(context_, llvm::Twine(name) + ".end", function_);
    BasicBlock* before = b_.GetInsertBlock();
    b_.CreateCondBr(b_.CreateICmpSLT(begin, end), body, done);
    b_.SetInsertPoint(body);
    if (once) {
        emit_body(tail_lanes_, begin, b_.CreateSub(end, begin), false);
        b_.CreateBr(done);
    } else {
        auto* j = b_.CreatePHI(b_.getInt64Ty(), 2, "j");
        j->addIncoming(begin, before);
        Value* count = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b_.CreateSub(end, j),
                                                b_.getInt64(tail_lanes_));
        emit_body(tail_lanes_, j, count, false);
        Value* next = b_.CreateNUWAdd(j, b_.getInt64(tail_lanes_));
        j->addIncoming(next, b_.GetInsertBlock());
        b_.CreateCondBr(b_.CreateICmpSLT(next, end), body, done);
    }
    b_.SetInsertPoint(done);
}

/// How many columns come before the streamed output is aligned.
Value* LaneEmitter::misaligned_columns() {
    auto* i64 = b_.getInt64Ty();
    Value* address = b_.CreatePtrToInt(params_[streamed_].row, i64);
    Value* misaligned =
        b_.CreateAnd(b_.CreateNeg(address), b_.getInt64(vector_bytes(options_.isa) - 1));
    const std::size_t size = size_of(kernel_.params[streamed_].dtype);
    // No element of an output that is off by less than one is ever aligned.
    Value* reachable =
        b_.CreateICmpEQ(b_.CreateAnd(misaligned, b_.getInt64(size - 1)), b_.getInt64(0));
    Value* count =
        b_.CreateSelect(reachable, b_.CreateUDiv(misaligned, b_.getInt64(size)), columns_);
    return b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, count, columns_);
}

// A row:   head:    masked columns until the first output is aligned     (streaming only)
//          main:    whole blocks of block_lanes_ columns                 (not with one_loop_)
//          single:  whole registers, one at a time                       (simple bodies)
//          tail:    the rest, tail_lanes_ columns at a time, masked; all of them with one_loop_
//
// Of what is part of a loop around it, rows that fill no register go to the tail at once.
void LaneEmitter::emit_columns() {
    Value* at = b_.getInt64(0);
    if (kernel_.lanes.tail == 1 && !options_.streaming && !one_loop_) {
        const auto block = [&](const char* name) {
            return BasicBlock::Create(context_, name, function_);
        };
        auto *wide = block("wide"), *tail = block("tail"), *done = block("columns.end");
        BasicBlock* const narrow = b_.GetInsertBlock();
        Value* least = b_.getInt64(single_lanes_ != 0 ? single_lanes_ : block_lanes_);
        b_.CreateCondBr(b_.CreateICmpSLT(columns_, least), tail, wide);
        b_.SetInsertPoint(wide);
        Value* rest = emit_blocks("main", block_lanes_, at);
        if (single_lanes_ != 0) rest = emit_blocks("single", single_lanes_, rest);
        wide = b_.GetInsertBlock();
        b_.CreateCondBr(b_.CreateICmpSLT(rest, columns_), tail, done);
        b_.SetInsertPoint(tail);
        auto* j = b_.CreatePHI(b_.getInt64Ty(), 3, "j");
        j->addIncoming(at, narrow);
        j->addIncoming(rest, wide);
        emit_body(1, j, nullptr, false);
        Value* next = b_.CreateNUWAdd(j, b_.getInt64(1));
        j->addIncoming(next, b_.GetInsertBlock());
        b_.CreateCondBr(b_.CreateICmpSLT(next, columns_), tail, done);
        b_.SetInsertPoint(done);
        return;
    }
    if (streamed_ != ir::none) {
        Value* aligned = misaligned_columns();
        emit_masked("head", at, aligned, false);
        at = aligned;
    }
    if (!one_loop_) at = emit_blocks("main", block_lanes_, at);
    if (single_lanes_ != 0) at = emit_blocks("single", single_lanes_, at);
    emit_masked("tail", at, columns_,
                !one_loop_ && (single_lanes_ != 0 ? single_lanes_ : block_lanes_) == tail_lanes_);
}

/// `columns`: how many of the lanes have one, at least one of them; null: all.
void LaneEmitter::emit_body(unsigned lanes, Value* index, Value* columns, bool main_loop) {
    set_lanes(lanes);
    index_ = index;
    main_loop_ = main_loop;
    range_mask_ = whole_ = nullptr;
    columns_here_ = columns;
    if (columns != nullptr && lanes > 1) {
        range_mask_ = range_mask();
        if (one_loop_) whole_ = b_.CreateICmpEQ(columns, b_.getInt64(lanes), "whole");
    }
    mask_ = range_mask_;
    values_ = uniform_;
    slots_.clear();
    for (std::uint32_t s = 0; s < kernel_.slots.size(); ++s) {
        const ir::Slot& slot = kernel_.slots[s];
        if (slot.length != 1) refuse_local_array(s);
        llvm::Type* one = ops_.compute_type(real_type(slot.dtype));
        const auto place = [&](bool wanted, llvm::Type* type, bool varying) {
            if (!wanted) return LaneValue{};
            return LaneValue{
                ops_.alloca_at_entry(type, "slot"),
                is_complex(slot.dtype) ? ops_.alloca_at_entry(type, "slot.im") : nullptr, varying};
        };
        const Accumulator* const part = part_in(s);
        slots_.push_back({part != nullptr ? (main_loop_ ? part->step : part->tail)
                                          : place(facts_.slots.read_by_lane[s],
                                                  llvm::FixedVectorType::get(one, lanes_), true),
                          place(facts_.slots.read_as_one[s], one, false)});
    }
    const bool returns = std::ranges::any_of(
        kernel_.nodes, [](const Node& n) { return n.kind == NodeKind::return_; });
    alive_.clear();
    if (returns) {
        alive_ = mask_place("alive");
        keep(all_lanes(), alive_);
    }
    emit_block(body_);
}

}  // namespace kiln::codegen
