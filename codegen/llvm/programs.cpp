// Programs of loops: scalar code whose serial loops are left to LLVM's optimisers, and parallel
// loops as functions of their own.
//
//     for %i = a to b step s parallel { body }
//
// becomes a store of what the body uses from outside into a context, and a call
//
//     runtime->parallel(frame, piece, context, trip, unit, schedule)
//
// where `piece` runs iterations [first, last) of [0, trip). With reductions a piece is one unit of
// iterations; it accumulates blocks of them from the identity, combines the blocks by a binary
// tree, and leaves its result in the context's array of partial results, which are combined by a
// tree when the loop is done. Units and blocks follow from the trip count alone, and so do the
// bits of the result.
#include "codegen/llvm/emitter.h"

#include <llvm/IR/CFG.h>
#include <llvm/IR/MDBuilder.h>

#include <algorithm>
#include <bit>
#include <map>
#include <set>

namespace kiln::codegen {
namespace {

using ir::Id;
using ir::Layout;
using ir::Node;
using ir::NodeKind;
using llvm::BasicBlock;
using llvm::Value;

/// Iterations that one accumulator combines in the order in which they come.
constexpr std::int64_t block_iterations = 1024;
/// Units of a loop with reductions, at most.
constexpr std::int64_t max_units = 256;

class ProgramEmitter final : public Emitter {
  public:
    using Emitter::Emitter;
    void run() override;

  private:
    /// An array parameter in the function being emitted.
    struct View {
        Value* data = nullptr;
        std::vector<Value*> extents, strides;
    };
    struct Jump {
        BasicBlock *next, *end;  // of continue_ and break_
    };
    /// What belongs to the function being emitted.
    struct Scope {
        llvm::Function* function;
        BasicBlock *entry, *exit;
        Value* frame;
        Value* iteration;  // of the outermost parallel loop, or null
        bool parallel;
        std::vector<LaneValue> values, slots;
        std::map<std::uint32_t, View> views;
        std::vector<Jump> jumps;
    };
    /// What a parallel loop's body takes from around it.
    struct Capture {
        std::vector<Id> values;
        std::vector<std::uint32_t> slots;   // by value
        std::vector<std::uint32_t> places;  // by address
        std::vector<std::uint32_t> own;     // declared inside
    };
    struct Reductions {
        std::vector<ir::StageReduction> list;
        llvm::StructType* partial = nullptr;
    };

    // --- functions ---
    llvm::Function* make_function(const std::string& name, llvm::ArrayRef<llvm::Type*> params);
    Scope begin_function(llvm::Function* function, bool parallel);
    void end_function(Scope saved);
    LaneValue value(Id id) override;

    // --- parameters ---
    std::int64_t param_offset(std::uint32_t param) const;
    Value* frame_word(std::int64_t offset, llvm::Type* type, const llvm::Twine& name);
    View& view(std::uint32_t param);
    void add_alias_scopes(llvm::Instruction* access, std::uint32_t param);
    void make_alias_scopes();

    // --- nodes ---
    void emit_program_block(Id block);
    bool emit_program_node(Id id);
    void emit_if(const Node& n, Id id);
    void emit_for(const Node& n, Id id);
    void emit_while_loop(const Node& n, Id id);
    void emit_allocate(const Node& n, Id id);
    void emit_failed_check(const Node& n, Id id);
    Value* trip_count(Value* begin, Value* end, Value* step);
    void count_up(Value* first, Value* last, llvm::function_ref<void(Value*)> body,
                  BasicBlock** next = nullptr, BasicBlock** end = nullptr);

    // --- memory ---
    Value* address(const Node& n, std::size_t subscripts, unsigned offset);
    LaneValue load_element(const Node& n);
    void store_element(const Node& n);
    LaneValue emit_atomic(const Node& n);
    Value* inside(const Node& n, std::size_t subscripts);
    BasicBlock* guard(const Node& n, std::size_t subscripts);
    LaneValue read_local(const Node& n, Id id);
    void write_local(const Node& n, Id id);
    Value* local_place(std::uint32_t slot, Value* part, Id position);
    LaneValue make_slot(std::uint32_t slot);
    void report(std::int64_t code, Value* param, Value* subscripts);

    // --- parallel loops ---
    void emit_parallel(const Node& n, Id id);
    Capture capture(Id loop) const;
    void walk(Id block, llvm::function_ref<void(Id)> visit) const;
    llvm::Function* emit_piece(const Node& n, Id id, const Capture& capture,
                               const Reductions& reductions);
    void run_units(const Reductions& reductions, Value* context, Value* first, Value* last,
                   llvm::function_ref<void(Value*, Value*)> iterations);
    void combine_partials(const Reductions& reductions, Value* partials, Value* count);
    Value* combine_all(const Reductions& reductions, Value* a, Value* b);
    llvm::Type* cell_type(llvm::Type* type);
    void put_cell(Value* context, unsigned cell, Value* v);
    Value* get_cell(Value* context, unsigned cell, llvm::Type* type);
    llvm::Value* runtime_function(unsigned index);

    Scope* scope_ = nullptr;
    std::vector<llvm::MDNode*> scope_of_, others_of_;  // per parameter
    unsigned pieces_ = 0;
};

// ------------------------------------------------------------------------------ functions

llvm::Function* ProgramEmitter::make_function(const std::string& name,
                                              llvm::ArrayRef<llvm::Type*> params) {
    auto* type = llvm::FunctionType::get(b_.getVoidTy(), params, false);
    auto* function = llvm::Function::Create(type, llvm::Function::ExternalLinkage, name, module_);
    function->addFnAttr(llvm::Attribute::NoUnwind);
    const std::string bits = std::to_string(8 * vector_bytes(options_.isa));
    function->addFnAttr("prefer-vector-width", bits);
    function->addFnAttr("min-legal-vector-width", bits);
    function->addFnAttr("frame-pointer", "all");
    return function;
}

/// Makes `function` the one being emitted; the result is for end_function.
ProgramEmitter::Scope ProgramEmitter::begin_function(llvm::Function* function, bool parallel) {
    Scope scope;
    scope.function = function;
    scope.entry = BasicBlock::Create(context_, "entry", function);
    scope.exit = BasicBlock::Create(context_, "exit", function);
    scope.frame = function->getArg(0);
    scope.iteration = nullptr;
    scope.parallel = parallel;
    scope.values.assign(kernel_.nodes.size(), {});
    scope.slots.assign(kernel_.slots.size(), {});
    function_ = function;
    entry_ = scope.entry;
    return scope;
}

void ProgramEmitter::run() {
    make_alias_scopes();
    lanes_ = 1;
    auto* function = make_function(options_.entry, {b_.getPtrTy()});
    function->addParamAttr(0, llvm::Attribute::NoAlias);
    Scope scope = begin_function(function, false);
    scope_ = &scope;
    auto* body = BasicBlock::Create(context_, "body", function);
    b_.SetInsertPoint(body);
    values_.assign(kernel_.nodes.size(), {});
    for (std::uint32_t s = 0; s < kernel_.slots.size(); ++s) scope.slots[s] = make_slot(s);
    emit_program_block(kernel_.stages[0].body);
    b_.CreateBr(scope.exit);
    b_.SetInsertPoint(scope.entry);
    b_.CreateBr(body);
    b_.SetInsertPoint(scope.exit);
    b_.CreateRetVoid();
}

LaneValue ProgramEmitter::value(Id id) {
    const Node& n = kernel_.nodes[id];
    switch (n.kind) {
        case NodeKind::constant: return constant(id);
        case NodeKind::extent: return {view(n.aux).extents[n.aux2], nullptr, false};
        case NodeKind::param: {
            if (LaneValue& known = scope_->values[id]; known.value != nullptr) return known;
            const llvm::IRBuilder<>::InsertPointGuard guard(b_);
            b_.SetInsertPoint(scope_->entry);
            const std::int64_t at = param_offset(n.aux);
            const std::string& name = kernel_.params[n.aux].name;
            LaneValue v;
            if (is_complex(n.dtype)) {
                auto* part = compute_type(real_type(n.dtype));
                const auto size = static_cast<std::int64_t>(size_of(n.dtype) / 2);
                v = {frame_word(at, part, name), frame_word(at + size, part, name), false};
            } else {
                v = {from_memory(frame_word(at, memory_type(n.dtype), name), n.dtype), nullptr,
                     false};
            }
            return scope_->values[id] = v;
        }
        default: return scope_->values[id];
    }
}

// ------------------------------------------------------------------------------ parameters

std::int64_t ProgramEmitter::param_offset(std::uint32_t param) const {
    std::int64_t offset = 16;  // behind the pointers to the runtime and its host
    for (std::uint32_t p = 0; p < param; ++p)
        offset += kernel_.params[p].access == ir::Access::value
                      ? 16
                      : 8 * (1 + 2 * static_cast<std::int64_t>(kernel_.params[p].rank));
    return offset;
}

Value* ProgramEmitter::frame_word(std::int64_t offset, llvm::Type* type, const llvm::Twine& name) {
    return b_.CreateAlignedLoad(
        type,
        b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), scope_->frame,
                                      static_cast<std::uint64_t>(offset)),
        llvm::Align(std::min<std::uint64_t>(
            8, type->isPointerTy() ? 8 : type->getPrimitiveSizeInBits() / 8)),
        name);
}

/// Loaded where the function begins: what the frame says of an argument never changes. Arrays that
/// the program allocates are read again after each allocation.
ProgramEmitter::View& ProgramEmitter::view(std::uint32_t param) {
    View& v = scope_->views[param];
    if (v.data != nullptr) return v;
    const ir::Param& p = kernel_.params[param];
    const bool moves = ir::is_made_by_kernel(p.access) && !scope_->parallel;
    if (moves) throw Error(ErrorKind::internal, "array '" + p.name + "' is used before it is made");
    const llvm::IRBuilder<>::InsertPointGuard guard(b_);
    b_.SetInsertPoint(scope_->entry);
    const std::int64_t at = param_offset(param);
    v.data = frame_word(at, b_.getPtrTy(), p.name);
    for (unsigned d = 0; d < p.rank; ++d) {
        v.extents.push_back(frame_word(at + 8 * (1 + d), b_.getInt64Ty(), p.name + ".extent"));
        const bool unit = d + 1U == p.rank && p.layout == Layout::unit;
        v.strides.push_back(
            unit ? b_.getInt64(size_of(p.dtype))
                 : frame_word(at + 8 * (1 + p.rank + d), b_.getInt64Ty(), p.name + ".stride"));
    }
    return v;
}

void ProgramEmitter::make_alias_scopes() {
    llvm::MDBuilder md(context_);
    auto* domain = md.createAnonymousAliasScopeDomain(kernel_.name);
    std::vector<llvm::MDNode*> scopes;
    for (const ir::Param& p : kernel_.params)
        scopes.push_back(md.createAnonymousAliasScope(domain, p.name));
    for (std::size_t i = 0; i < scopes.size(); ++i) {
        std::vector<llvm::Metadata*> others;
        const bool own = ir::is_made_by_kernel(kernel_.params[i].access);
        for (std::size_t j = 0; j < scopes.size(); ++j)
            if (j != i &&
                (options_.noalias || own || ir::is_made_by_kernel(kernel_.params[j].access)))
                others.push_back(scopes[j]);
        scope_of_.push_back(llvm::MDNode::get(context_, {scopes[i]}));
        others_of_.push_back(others.empty() ? nullptr : llvm::MDNode::get(context_, others));
    }
}

void ProgramEmitter::add_alias_scopes(llvm::Instruction* access, std::uint32_t param) {
    access->setMetadata(llvm::LLVMContext::MD_alias_scope, scope_of_[param]);
    if (others_of_[param] != nullptr)
        access->setMetadata(llvm::LLVMContext::MD_noalias, others_of_[param]);
}

Value* ProgramEmitter::runtime_function(unsigned index) {
    Value* table = frame_word(0, b_.getPtrTy(), "runtime");
    return b_.CreateAlignedLoad(
        b_.getPtrTy(), b_.CreateConstInBoundsGEP1_64(b_.getPtrTy(), table, index), llvm::Align(8));
}

// ------------------------------------------------------------------------------ nodes

void ProgramEmitter::emit_program_block(Id block) {
    for (const Id id : kernel_.blocks[block].nodes)
        if (!emit_program_node(id)) return;  // a jump: the rest of the block does not run
}

/// False where control does not come out of the node.
bool ProgramEmitter::emit_program_node(Id id) {
    const Node& n = kernel_.nodes[id];
    auto& values = scope_->values;
    const auto jump = [&](BasicBlock* to) {
        b_.CreateBr(to);
        b_.SetInsertPoint(BasicBlock::Create(context_, "dead", scope_->function));
        return false;
    };
    switch (n.kind) {
        case NodeKind::constant:
        case NodeKind::param:
        case NodeKind::extent:
        case NodeKind::index: return true;
        case NodeKind::op: values[id] = emit_op(id); return true;
        case NodeKind::cast: values[id] = emit_cast(id); return true;
        case NodeKind::load: values[id] = load_element(n); return true;
        case NodeKind::read: values[id] = read_local(n, id); return true;
        case NodeKind::store: store_element(n); return true;
        case NodeKind::write: write_local(n, id); return true;
        case NodeKind::atomic: values[id] = emit_atomic(n); return true;
        case NodeKind::check: emit_failed_check(n, id); return true;
        case NodeKind::branch: emit_if(n, id); return true;
        case NodeKind::loop:
            if (n.aux2 != ir::none && !scope_->parallel)
                emit_parallel(n, id);
            else
                emit_for(n, id);
            return true;
        case NodeKind::loop_while: emit_while_loop(n, id); return true;
        case NodeKind::break_: return jump(scope_->jumps.back().end);
        case NodeKind::continue_: return jump(scope_->jumps.back().next);
        case NodeKind::return_: return jump(scope_->exit);
        case NodeKind::allocate: emit_allocate(n, id); return true;
        case NodeKind::contribute:
        case NodeKind::whole:
        case NodeKind::fold:
        case NodeKind::assign:
            throw Error(ErrorKind::internal, "a whole-array statement reached code generation",
                        kernel_.location(n.loc));
    }
    __builtin_unreachable();
}

void ProgramEmitter::emit_if(const Node& n, Id id) {
    auto* then_block = BasicBlock::Create(context_, "if", scope_->function);
    auto* join = BasicBlock::Create(context_, "if.end", scope_->function);
    auto* else_block =
        n.aux2 == ir::none ? join : BasicBlock::Create(context_, "else", scope_->function);
    b_.CreateCondBr(value(kernel_.operand(id, 0)).value, then_block, else_block);
    b_.SetInsertPoint(then_block);
    emit_program_block(n.aux);
    b_.CreateBr(join);
    if (n.aux2 != ir::none) {
        b_.SetInsertPoint(else_block);
        emit_program_block(n.aux2);
        b_.CreateBr(join);
    }
    b_.SetInsertPoint(join);
}

/// for (k = first; k < last; ++k) body(k), tested before the first iteration.
void ProgramEmitter::count_up(Value* first, Value* last, llvm::function_ref<void(Value*)> body,
                              BasicBlock** next_out, BasicBlock** end_out) {
    auto* head = BasicBlock::Create(context_, "for", scope_->function);
    auto* inner = BasicBlock::Create(context_, "for.body", scope_->function);
    auto* next = BasicBlock::Create(context_, "for.next", scope_->function);
    auto* end = BasicBlock::Create(context_, "for.end", scope_->function);
    if (next_out != nullptr) *next_out = next;
    if (end_out != nullptr) *end_out = end;
    BasicBlock* before = b_.GetInsertBlock();
    b_.CreateBr(head);
    b_.SetInsertPoint(head);
    auto* k = b_.CreatePHI(first->getType(), 2, "k");
    k->addIncoming(first, before);
    b_.CreateCondBr(b_.CreateICmpSLT(k, last), inner, end);
    b_.SetInsertPoint(inner);
    scope_->jumps.push_back({next, end});
    body(k);
    scope_->jumps.pop_back();
    b_.CreateBr(next);
    b_.SetInsertPoint(next);
    k->addIncoming(b_.CreateNSWAdd(k, llvm::ConstantInt::get(first->getType(), 1)), next);
    b_.CreateBr(head);
    b_.SetInsertPoint(end);
}

/// Iterations of begin, begin + step ... up to but without end; none for step 0.
Value* ProgramEmitter::trip_count(Value* begin, Value* end, Value* step) {
    auto* i64 = b_.getInt64Ty();
    Value *zero = b_.getInt64(0), *one = b_.getInt64(1);
    const auto count = [&](Value* from, Value* to, Value* by) {
        // In unsigned arithmetic the distance never overflows.
        Value* distance = b_.CreateSub(to, from);
        Value* whole = b_.CreateAdd(b_.CreateUDiv(b_.CreateSub(distance, one), by), one);
        return b_.CreateSelect(b_.CreateICmpSLT(from, to), whole, zero);
    };
    if (auto* constant = llvm::dyn_cast<llvm::ConstantInt>(step)) {
        const std::int64_t by = constant->getSExtValue();
        if (by == 0) return zero;
        if (by == 1)
            return b_.CreateSelect(b_.CreateICmpSLT(begin, end), b_.CreateSub(end, begin), zero);
        return by > 0 ? count(begin, end, step)
                      : count(end, begin, llvm::ConstantInt::get(i64, 0 - std::uint64_t(by)));
    }
    Value* upwards = b_.CreateICmpSGT(step, zero);
    Value* none = b_.CreateICmpEQ(step, zero);
    Value* by = b_.CreateSelect(upwards, step, b_.CreateNeg(step));
    by = b_.CreateSelect(none, one, by);
    Value* trip =
        count(b_.CreateSelect(upwards, begin, end), b_.CreateSelect(upwards, end, begin), by);
    return b_.CreateSelect(none, zero, trip);
}

void ProgramEmitter::emit_for(const Node& n, Id id) {
    Value* begin = value(kernel_.operand(id, 0)).value;
    Value* end = value(kernel_.operand(id, 1)).value;
    Value* step = value(kernel_.operand(id, 2)).value;
    const auto body = [&](Value* index) {
        scope_->values[id] = {index, nullptr, false};
        emit_program_block(n.aux);
    };
    if (auto* constant = llvm::dyn_cast<llvm::ConstantInt>(step);
        constant != nullptr && constant->isOne()) {
        count_up(begin, end, body);
        return;
    }
    count_up(b_.getInt64(0), trip_count(begin, end, step),
             [&](Value* k) { body(b_.CreateAdd(begin, b_.CreateMul(k, step), "i")); });
}

void ProgramEmitter::emit_while_loop(const Node& n, Id id) {
    auto* head = BasicBlock::Create(context_, "while", scope_->function);
    auto* body = BasicBlock::Create(context_, "while.body", scope_->function);
    auto* end = BasicBlock::Create(context_, "while.end", scope_->function);
    b_.CreateBr(head);
    b_.SetInsertPoint(head);
    emit_program_block(n.aux);
    b_.CreateCondBr(value(kernel_.operand(id, 0)).value, body, end);
    b_.SetInsertPoint(body);
    scope_->jumps.push_back({head, end});
    emit_program_block(n.aux2);
    scope_->jumps.pop_back();
    b_.CreateBr(head);
    b_.SetInsertPoint(end);
}

void ProgramEmitter::emit_allocate(const Node& n, Id id) {
    const ir::Param& p = kernel_.params[n.aux];
    auto* i64 = b_.getInt64Ty();
    Value* extents =
        alloca_at_entry(llvm::ArrayType::get(i64, std::max<unsigned>(1, p.rank)), "extents");
    View v;
    for (unsigned d = 0; d < p.rank; ++d) {
        v.extents.push_back(value(kernel_.operand(id, d)).value);
        b_.CreateStore(v.extents.back(), b_.CreateConstInBoundsGEP1_64(i64, extents, d));
    }
    auto* type =
        llvm::FunctionType::get(b_.getInt1Ty(), {b_.getPtrTy(), i64, b_.getPtrTy()}, false);
    auto* call =
        b_.CreateCall(type, runtime_function(2), {scope_->frame, b_.getInt64(n.aux), extents});
    call->addRetAttr(llvm::Attribute::ZExt);
    auto* made = BasicBlock::Create(context_, "allocated", scope_->function);
    b_.CreateCondBr(call, made, scope_->exit);
    b_.SetInsertPoint(made);
    v.data = frame_word(param_offset(n.aux), b_.getPtrTy(), p.name);
    Value* stride = b_.getInt64(size_of(p.dtype));
    v.strides.resize(p.rank);
    for (unsigned d = p.rank; d-- > 0;) {
        v.strides[d] = stride;
        stride = b_.CreateMul(stride, v.extents[d]);
    }
    scope_->views[n.aux] = std::move(v);
}

// ------------------------------------------------------------------------------ faults

/// Calls the runtime's `fault`.
void ProgramEmitter::report(std::int64_t code, Value* param, Value* subscripts) {
    auto* i64 = b_.getInt64Ty();
    auto* type = llvm::FunctionType::get(b_.getVoidTy(),
                                         {b_.getPtrTy(), i64, i64, i64, b_.getPtrTy()}, false);
    Value* iteration = scope_->iteration != nullptr ? scope_->iteration : b_.getInt64(0);
    auto* call = b_.CreateCall(
        type, runtime_function(1),
        {scope_->frame, llvm::ConstantInt::getSigned(i64, code), iteration, param, subscripts});
    call->addFnAttr(llvm::Attribute::Cold);
    call->addFnAttr(llvm::Attribute::NoUnwind);
}

void ProgramEmitter::emit_failed_check(const Node& n, Id id) {
    auto* failed = BasicBlock::Create(context_, "fault", scope_->function);
    auto* next = BasicBlock::Create(context_, "checked", scope_->function);
    b_.CreateCondBr(value(kernel_.operand(id, 0)).value, next, failed,
                    llvm::MDBuilder(context_).createBranchWeights(1000000, 1));
    b_.SetInsertPoint(failed);
    report(static_cast<std::int64_t>(n.aux | static_cast<std::uint64_t>(n.loc) << 8),
           llvm::ConstantInt::getSigned(b_.getInt64Ty(), -1),
           llvm::ConstantPointerNull::get(b_.getPtrTy()));
    b_.CreateBr(next);
    b_.SetInsertPoint(next);
}

/// Whether all subscripts are inside of the array.
Value* ProgramEmitter::inside(const Node& n, std::size_t subscripts) {
    const View& v = view(n.aux);
    Value* all = b_.getTrue();
    for (std::size_t d = 0; d < subscripts; ++d) {
        Value* subscript = value(kernel_.operands_of(n)[d]).value;
        all = b_.CreateAnd(all, b_.CreateICmpULT(subscript, v.extents[d]));
    }
    return all;
}

/// In checked mode: what follows runs where the access is inside of its array; elsewhere a fault
/// is recorded. The block to join in, or null.
BasicBlock* ProgramEmitter::guard(const Node& n, std::size_t subscripts) {
    if (!options_.checked || subscripts == 0) return nullptr;
    auto* i64 = b_.getInt64Ty();
    auto* failed = BasicBlock::Create(context_, "outside", scope_->function);
    auto* fine = BasicBlock::Create(context_, "inside", scope_->function);
    auto* join = BasicBlock::Create(context_, "accessed", scope_->function);
    b_.CreateCondBr(inside(n, subscripts), fine, failed,
                    llvm::MDBuilder(context_).createBranchWeights(1000000, 1));
    b_.SetInsertPoint(failed);
    Value* list = alloca_at_entry(llvm::ArrayType::get(i64, subscripts), "subscripts");
    for (std::size_t d = 0; d < subscripts; ++d)
        b_.CreateStore(value(kernel_.operands_of(n)[d]).value,
                       b_.CreateConstInBoundsGEP1_64(i64, list, d));
    report(static_cast<std::int64_t>(static_cast<std::uint64_t>(ir::Check::out_of_bounds) |
                                     static_cast<std::uint64_t>(n.loc) << 8),
           b_.getInt64(n.aux), list);
    b_.CreateBr(join);
    b_.SetInsertPoint(fine);
    return join;
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
    auto* type = is_complex(t) ? compute_type(real_type(t)) : memory_type(t);
    BasicBlock* join = guard(n, n.operand_count);
    const auto load = [&](unsigned offset) -> Value* {
        auto* l = b_.CreateAlignedLoad(type, address(n, n.operand_count, offset), llvm::Align(1),
                                       kernel_.params[n.aux].name);
        add_alias_scopes(l, n.aux);
        return l;
    };
    LaneValue v{load(0), nullptr, false};
    if (is_complex(t)) v.imag = load(static_cast<unsigned>(size_of(t) / 2));
    if (join != nullptr) {
        BasicBlock* from = b_.GetInsertBlock();
        b_.CreateBr(join);
        b_.SetInsertPoint(join);
        BasicBlock* failed = *llvm::pred_begin(join) == from ? *std::next(llvm::pred_begin(join))
                                                             : *llvm::pred_begin(join);
        const auto merge = [&](Value* part) {
            auto* phi = b_.CreatePHI(part->getType(), 2);
            phi->addIncoming(part, from);
            phi->addIncoming(llvm::Constant::getNullValue(part->getType()), failed);
            return phi;
        };
        v.value = merge(v.value);
        if (v.imag != nullptr) v.imag = merge(v.imag);
    }
    if (!is_complex(t)) v.value = from_memory(v.value, t);
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
        store(to_memory(v.value, t), 0);
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
        old = is_real(t) ? b_.CreateBitCast(seen, compute_type(t)) : seen;
        const Accumulator a{op, t, {}, {}, {}, {}};
        Value* wanted = combine(a, {old, nullptr, false}, {operand, nullptr, false}).value;
        if (is_real(t)) wanted = b_.CreateBitCast(wanted, bits);
        auto* exchange =
            b_.CreateAtomicCmpXchg(at, seen, wanted, align, llvm::AtomicOrdering::Monotonic,
                                   llvm::AtomicOrdering::Monotonic);
        seen->addIncoming(b_.CreateExtractValue(exchange, 0), b_.GetInsertBlock());
        b_.CreateCondBr(b_.CreateExtractValue(exchange, 1), done, loop);
        b_.SetInsertPoint(done);
    }
    if (join != nullptr) {
        BasicBlock* from = b_.GetInsertBlock();
        BasicBlock* failed = *llvm::pred_begin(join);
        b_.CreateBr(join);
        b_.SetInsertPoint(join);
        auto* phi = b_.CreatePHI(old->getType(), 2);
        phi->addIncoming(old, from);
        phi->addIncoming(llvm::Constant::getNullValue(old->getType()), failed);
        old = phi;
    }
    return {old, nullptr, false};
}

/// Where a slot of the function lives. Local arrays are arrays of their elements in memory.
LaneValue ProgramEmitter::make_slot(std::uint32_t slot) {
    const ir::Slot& s = kernel_.slots[slot];
    auto* element =
        is_bool(s.dtype) && s.length > 1 ? b_.getInt8Ty() : compute_type(real_type(s.dtype));
    llvm::Type* type = s.length == 1 ? element : llvm::ArrayType::get(element, s.length);
    return {alloca_at_entry(type, "slot"),
            is_complex(s.dtype) ? alloca_at_entry(type, "slot.im") : nullptr, false};
}

Value* ProgramEmitter::local_place(std::uint32_t slot, Value* part, Id position) {
    const ir::Slot& s = kernel_.slots[slot];
    if (s.length == 1) return part;
    auto* element = is_bool(s.dtype) ? b_.getInt8Ty() : compute_type(real_type(s.dtype));
    return b_.CreateInBoundsGEP(element, part, value(position).value);
}

LaneValue ProgramEmitter::read_local(const Node& n, Id id) {
    const ir::Slot& s = kernel_.slots[n.aux];
    const bool bytes = is_bool(s.dtype) && s.length > 1;
    auto* type = bytes ? b_.getInt8Ty() : compute_type(real_type(s.dtype));
    const Id position = n.operand_count == 0 ? ir::none : kernel_.operand(id, 0);
    const auto get = [&](Value* part) -> Value* {
        return part == nullptr ? nullptr : b_.CreateLoad(type, local_place(n.aux, part, position));
    };
    LaneValue v{get(scope_->slots[n.aux].value), get(scope_->slots[n.aux].imag), false};
    if (bytes) v.value = from_memory(v.value, s.dtype);
    return v;
}

void ProgramEmitter::write_local(const Node& n, Id id) {
    const ir::Slot& s = kernel_.slots[n.aux];
    LaneValue v = value(kernel_.operands_of(n).back());
    if (is_bool(s.dtype) && s.length > 1) v.value = to_memory(v.value, s.dtype);
    const Id position = n.operand_count == 2 ? kernel_.operand(id, 0) : ir::none;
    b_.CreateStore(v.value, local_place(n.aux, scope_->slots[n.aux].value, position));
    if (scope_->slots[n.aux].imag != nullptr)
        b_.CreateStore(v.imag, local_place(n.aux, scope_->slots[n.aux].imag, position));
}

// ------------------------------------------------------------------------------ parallel loops

void ProgramEmitter::walk(Id block, llvm::function_ref<void(Id)> visit) const {
    for (const Id id : kernel_.blocks[block].nodes) {
        const Node& n = kernel_.nodes[id];
        visit(id);
        if (n.kind == NodeKind::branch || n.kind == NodeKind::loop ||
            n.kind == NodeKind::loop_while)
            walk(n.aux, visit);
        if ((n.kind == NodeKind::branch || n.kind == NodeKind::loop_while) && n.aux2 != ir::none)
            walk(n.aux2, visit);
    }
}

ProgramEmitter::Capture ProgramEmitter::capture(Id loop) const {
    Capture c;
    const Node& n = kernel_.nodes[loop];
    std::vector<bool> inside(kernel_.nodes.size(), false);
    inside[loop] = true;
    walk(n.aux, [&](Id id) { inside[id] = true; });
    std::set<Id> values;
    std::vector<unsigned> all(kernel_.slots.size(), 0), own(kernel_.slots.size(), 0);
    std::vector<bool> written(kernel_.slots.size(), false);
    for (const Node& other : kernel_.nodes)
        if (other.kind == NodeKind::read || other.kind == NodeKind::write) ++all[other.aux];
    // A slot that a loop reduces into is written by that loop.
    for (const ir::ParallelLoop& p : kernel_.parallel_loops)
        for (const ir::StageReduction& r : p.reductions) ++all[r.target];
    walk(n.aux, [&](Id id) {
        const Node& m = kernel_.nodes[id];
        for (const Id operand : kernel_.operands_of(m))
            if (!ir::is_leaf(kernel_.nodes[operand].kind) && !inside[operand])
                values.insert(operand);
        if (m.kind == NodeKind::read || m.kind == NodeKind::write) {
            ++own[m.aux];
            if (m.kind == NodeKind::write) written[m.aux] = true;
        }
        if (const ir::ParallelLoop* p = m.kind == NodeKind::loop ? kernel_.parallel(m) : nullptr)
            for (const ir::StageReduction& r : p->reductions) ++own[r.target];
    });
    c.values.assign(values.begin(), values.end());
    for (std::uint32_t s = 0; s < kernel_.slots.size(); ++s) {
        const auto& reductions = kernel_.parallel(n)->reductions;
        const bool reduced = std::ranges::any_of(
            reductions, [&](const ir::StageReduction& r) { return r.target == s; });
        if (own[s] == 0 || reduced) continue;
        if (own[s] == all[s])
            c.own.push_back(s);
        else if (written[s] || kernel_.slots[s].length > 1)
            c.places.push_back(s);
        else
            c.slots.push_back(s);
    }
    return c;
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
    Reductions reductions{loop.reductions, nullptr};
    std::vector<llvm::Type*> parts;
    for (const ir::StageReduction& r : reductions.list)
        parts.push_back(compute_type(kernel_.slots[r.target].dtype));
    if (!parts.empty()) reductions.partial = llvm::StructType::get(context_, parts);
    const Capture captured = capture(id);

    Value* begin = value(kernel_.operand(id, 0)).value;
    Value* end = value(kernel_.operand(id, 1)).value;
    Value* step = value(kernel_.operand(id, 2)).value;
    Value* trip = trip_count(begin, end, step);
    auto* i64 = b_.getInt64Ty();
    const std::size_t cells =
        4 + 2 * captured.values.size() + 2 * captured.slots.size() + 2 * captured.places.size();
    Value* context = alloca_at_entry(llvm::ArrayType::get(i64, cells), "context");
    put_cell(context, 0, begin);
    put_cell(context, 1, step);
    Value *unit = b_.getInt64(0), *partials = nullptr;
    if (!parts.empty()) {
        // The least multiple of a block that cuts the loop into at most max_units units.
        Value* blocks = b_.CreateUDiv(b_.CreateAdd(trip, b_.getInt64(block_iterations - 1)),
                                      b_.getInt64(block_iterations));
        Value* per_unit =
            b_.CreateUDiv(b_.CreateAdd(blocks, b_.getInt64(max_units - 1)), b_.getInt64(max_units));
        unit =
            b_.CreateMul(b_.CreateBinaryIntrinsic(llvm::Intrinsic::umax, per_unit, b_.getInt64(1)),
                         b_.getInt64(block_iterations));
        partials = alloca_at_entry(llvm::ArrayType::get(reductions.partial, max_units), "partials");
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
        auto* type = compute_type(real_type(kernel_.slots[s].dtype));
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
    const std::int64_t schedule = static_cast<std::int64_t>(loop.schedule) |
                                  std::min<std::int64_t>(loop.chunk, 1LL << 54) << 8;
    auto* call = b_.CreateCall(type, runtime_function(0),
                               {scope_->frame, piece, context, trip, unit,
                                b_.getInt64(static_cast<std::uint64_t>(schedule))});
    call->addFnAttr(llvm::Attribute::NoUnwind);
    if (parts.empty()) return;
    Value* count = b_.CreateUDiv(b_.CreateAdd(trip, b_.CreateSub(unit, b_.getInt64(1))), unit);
    combine_partials(reductions, partials, count);
}

/// The results of a struct of partial results, combined member by member; a comes first.
Value* ProgramEmitter::combine_all(const Reductions& reductions, Value* a, Value* b) {
    Value* result = llvm::PoisonValue::get(reductions.partial);
    for (unsigned i = 0; i < reductions.list.size(); ++i) {
        const ir::StageReduction& r = reductions.list[i];
        const Accumulator accumulator{
            info(r.reduction).op, kernel_.slots[r.target].dtype, {}, {}, {}, {}};
        const LaneValue combined =
            combine(accumulator, {b_.CreateExtractValue(a, i), nullptr, false},
                    {b_.CreateExtractValue(b, i), nullptr, false});
        result = b_.CreateInsertValue(result, combined.value, i);
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
    for (unsigned i = 0; i < reductions.list.size(); ++i) {
        const ir::StageReduction& r = reductions.list[i];
        const Accumulator accumulator{
            info(r.reduction).op, kernel_.slots[r.target].dtype, {}, {}, {}, {}};
        Value* place = scope_->slots[r.target].value;
        Value* initial = b_.CreateLoad(compute_type(kernel_.slots[r.target].dtype), place);
        b_.CreateStore(combine(accumulator, {initial, nullptr, false},
                               {b_.CreateExtractValue(total, i), nullptr, false})
                           .value,
                       place);
    }
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
    llvm::Function* const outer_function = function_;
    BasicBlock* const outer_entry = entry_;
    Scope scope = begin_function(function, true);
    scope_ = &scope;
    auto* body = BasicBlock::Create(context_, "body", function);
    Value* context = function->getArg(1);

    b_.SetInsertPoint(scope.entry);
    Value* begin = get_cell(context, 0, i64);
    Value* step = get_cell(context, 1, i64);
    unsigned cell = 4;
    for (const Id v : captured.values) {
        const LaneValue from = outer->values[v];
        LaneValue to{get_cell(context, cell++, from.value->getType()), nullptr, false};
        if (from.imag != nullptr) to.imag = get_cell(context, cell++, from.imag->getType());
        scope.values[v] = to;
    }
    for (const std::uint32_t s : captured.slots) {
        scope.slots[s] = make_slot(s);
        auto* type = compute_type(real_type(kernel_.slots[s].dtype));
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
        count_up(first, last, [&](Value* k) {
            scope.iteration = k;
            scope.values[id] = {b_.CreateAdd(begin, b_.CreateMul(k, step), "i"), nullptr, false};
            emit_program_block(n.aux);
        });
    };
    if (reductions.list.empty())
        iterations(function->getArg(2), function->getArg(3));
    else
        run_units(reductions, context, function->getArg(2), function->getArg(3), iterations);
    b_.CreateBr(scope.exit);
    b_.SetInsertPoint(scope.entry);
    b_.CreateBr(body);
    b_.SetInsertPoint(scope.exit);
    b_.CreateRetVoid();
    scope_ = outer;
    function_ = outer_function;
    entry_ = outer_entry;
    return function;
}

/// The blocks of one unit, and the tree over them:
//
//     for (count = 0, b = first; b < last; b += block_iterations) {
//         acc = iterations from the identity;
//         ++count;
//         for (l = 0; l < ctz(count); ++l) acc = stack[l] op acc;
//         stack[l] = acc;
//     }
//     partials[first / unit] = the stack's entries for the bits of count, highest first
void ProgramEmitter::run_units(const Reductions& reductions, Value* context, Value* first,
                               Value* last, llvm::function_ref<void(Value*, Value*)> iterations) {
    auto* i64 = b_.getInt64Ty();
    auto* partial = reductions.partial;
    Value* stack = alloca_at_entry(llvm::ArrayType::get(partial, 64), "stack");
    Value* acc = alloca_at_entry(partial, "acc");
    const auto level_at = [&](Value* l) { return b_.CreateInBoundsGEP(partial, stack, l); };
    const auto merge = [&](Value* l) {
        b_.CreateStore(combine_all(reductions, b_.CreateLoad(partial, level_at(l)),
                                   b_.CreateLoad(partial, acc)),
                       acc);
    };
    Value* size = b_.getInt64(block_iterations);
    Value* blocks = b_.CreateUDiv(
        b_.CreateAdd(b_.CreateSub(last, first), b_.getInt64(block_iterations - 1)), size);
    count_up(b_.getInt64(0), blocks, [&](Value* block) {
        Value* from = b_.CreateAdd(first, b_.CreateMul(block, size));
        Value* to = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b_.CreateAdd(from, size), last);
        for (const ir::StageReduction& r : reductions.list)
            b_.CreateStore(identity(info(r.reduction).op, kernel_.slots[r.target].dtype, false),
                           scope_->slots[r.target].value);
        iterations(from, to);
        Value* result = llvm::PoisonValue::get(partial);
        for (unsigned i = 0; i < reductions.list.size(); ++i) {
            const std::uint32_t target = reductions.list[i].target;
            Value* part = b_.CreateLoad(compute_type(kernel_.slots[target].dtype),
                                        scope_->slots[target].value);
            result = b_.CreateInsertValue(result, part, i);
        }
        b_.CreateStore(result, acc);
        Value* count = b_.CreateAdd(block, b_.getInt64(1));
        Value* levels = b_.CreateBinaryIntrinsic(llvm::Intrinsic::cttz, count, b_.getTrue());
        count_up(b_.getInt64(0), levels, merge);
        b_.CreateStore(b_.CreateLoad(partial, acc), level_at(levels));
    });
    // What is left, from the last block upwards.
    Value* lowest = b_.CreateBinaryIntrinsic(llvm::Intrinsic::cttz, blocks, b_.getTrue());
    b_.CreateStore(b_.CreateLoad(partial, level_at(lowest)), acc);
    count_up(b_.CreateAdd(lowest, b_.getInt64(1)), b_.getInt64(64), [&](Value* l) {
        auto* set = BasicBlock::Create(context_, "set", scope_->function);
        auto* next = BasicBlock::Create(context_, "next", scope_->function);
        Value* bit = b_.CreateAnd(b_.CreateLShr(blocks, l), b_.getInt64(1));
        b_.CreateCondBr(b_.CreateICmpNE(bit, b_.getInt64(0)), set, next);
        b_.SetInsertPoint(set);
        merge(l);
        b_.CreateBr(next);
        b_.SetInsertPoint(next);
    });
    Value* partials = get_cell(context, 2, b_.getPtrTy());
    Value* unit = get_cell(context, 3, i64);
    b_.CreateStore(b_.CreateLoad(partial, acc),
                   b_.CreateInBoundsGEP(partial, partials, b_.CreateUDiv(first, unit)));
}

}  // namespace

void emit_program(const ir::Kernel& kernel, llvm::LLVMContext& context, llvm::Module& module,
                  const EmitOptions& options) {
    ProgramEmitter(kernel, context, module, options).run();
}

}  // namespace kiln::codegen
