// Programs of loops: functions, arguments, control flow.
#include "codegen/lanes/facts.h"
#include "codegen/llvm/attributes.h"
#include "codegen/llvm/debug_info.h"
#include "codegen/llvm/program/program_emitter.h"
#include "dsl/ir/dispatch.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/MDBuilder.h>
#include <llvm/Transforms/Utils/Cloning.h>

#include <algorithm>
#include <set>

namespace kiln::codegen {

using ir::Id;
using ir::Layout;
using ir::Node;
using ir::NodeKind;
using llvm::BasicBlock;
using llvm::Value;

/// A program that another one launches has the arguments of that one first.
static std::uint32_t frame_params(const ir::Kernel& kernel, const ir::Launch* launch) {
    if (launch == nullptr) return static_cast<std::uint32_t>(kernel.params.size());
    return static_cast<std::uint32_t>(
        std::ranges::count(launch->arguments, ir::Argument::Kind::whole, &ir::Argument::kind));
}

ProgramEmitter::ProgramEmitter(const ir::Kernel& kernel, ProgramModule& shared,
                               const ir::Launch* launch)
    : kernel_(kernel),
      context_(shared.module.getContext()),
      shared_(shared),
      module_(shared.module),
      options_(shared.options),
      launch_(launch),
      frame_params_(frame_params(kernel, launch)),
      strict_nan_(analyse(kernel, options_.isa != VectorIsa::sse2).strict_nan),
      ops_(kernel, strict_nan_, options_.isa, module_, *this),
      combiners_(kernel, options_.isa, module_),
      b_(ops_.builder()) {
    make_alias_scopes();
    traits_ = find_loop_traits(kernel_);
    pipeline_ = find_pipeline();
    if (!options_.name_loops) return;
    ir::walk(kernel, [&](Id id) {
        if (kernel.nodes[id].kind == NodeKind::loop)
            loop_places_.emplace(id, static_cast<unsigned>(loop_places_.size()));
    });
}

// ------------------------------------------------------------------------------ functions

llvm::Function* ProgramEmitter::make_function(const std::string& name,
                                              llvm::ArrayRef<llvm::Type*> params) {
    auto* type = llvm::FunctionType::get(b_.getVoidTy(), params, false);
    auto* function = llvm::Function::Create(type, llvm::Function::ExternalLinkage, name, module_);
    function->addFnAttr(llvm::Attribute::NoUnwind);
    const std::string bits = std::to_string(8 * vector_bytes(options_.isa));
    function->setAlignment(llvm::Align(attribute::alignment));
    function->addFnAttr("prefer-vector-width", bits);
    function->addFnAttr("min-legal-vector-width", bits);
    function->addFnAttr("frame-pointer", "all");
    if (!traits_.loads_subscripts) function->addFnAttr(attribute::no_gathers);
    if (pipeline_ != nullptr) function->addFnAttr(pipeline_);
    return function;
}

/// How little there is for LLVM in a program all of whose elements are touched by launches; null
/// where that is not so, or where it combines what they leave.
const char* ProgramEmitter::find_pipeline() const {
    if (!kernel_.trees.empty()) return nullptr;
    bool loops = false, launches = false;
    const bool all = ir::walk(kernel_, [&](Id id) {
        const Node& n = kernel_.nodes[id];
        const ir::Effects e = ir::effects_of(n);
        const bool loop = ir::is_loop(n.kind), launch = e.any(ir::effect::launches);
        loops = loops || loop;
        launches = launches || launch;
        const bool elements = e.array != ir::none && !e.any(ir::effect::allocates) && !launch;
        const bool local = e.slot != ir::none && kernel_.slots[e.slot].length != 1;
        const bool innermost =
            loop && ir::all_in(kernel_, n.aux, [&](Id inner) {
                return !ir::effects_of(kernel_.nodes[inner]).any(ir::effect::launches);
            });
        return elements || local || innermost ? ir::Walk::stop : ir::Walk::on;
    });
    if (!all || !launches) return nullptr;
    return loops ? attribute::around_vector_code : attribute::vector_code;
}

/// Makes `function` the one being emitted.
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
    if (options_.debug_info != nullptr) options_.debug_info->enter(*function, kernel_, b_);
    return scope;
}

// In the entry block of a function whose local arrays are too large for the stack:
//
//     memory = runtime->enter(frame, bytes); if (memory == null) goto exit;
//
/// Ends the function being emitted, which begins with `body`.
void ProgramEmitter::end_of_function(BasicBlock* body) {
    auto* pointer = b_.getPtrTy();
    b_.CreateBr(scope_->exit);
    b_.SetInsertPoint(scope_->entry);
    if (scope_->memory == nullptr) {
        b_.CreateBr(body);
    } else {
        scope_->memory->setArgOperand(1, b_.getInt64(scope_->memory_bytes));
        b_.CreateCondBr(b_.CreateIsNull(scope_->memory), scope_->exit, body);
    }
    b_.SetInsertPoint(scope_->exit);
    if (scope_->streams) b_.CreateIntrinsic(llvm::Intrinsic::x86_sse_sfence, {}, {});
    auto* i64 = b_.getInt64Ty();
    const auto leave = [&](Value* memory, Value* bytes) {
        auto* type = llvm::FunctionType::get(b_.getVoidTy(), {pointer, pointer, i64}, false);
        b_.CreateCall(type, runtime_function(abi::runtime_word::leave),
                      {scope_->frame, memory, bytes})
            ->addFnAttr(llvm::Attribute::NoUnwind);
    };
    if (scope_->memory != nullptr) leave(scope_->memory, b_.getInt64(scope_->memory_bytes));
    for (Value* block : scope_->own_arrays)
        leave(b_.CreateLoad(pointer, block),
              b_.CreateLoad(i64, b_.CreateConstInBoundsGEP1_64(i64, block, 1)));
    b_.CreateRetVoid();
}

/// Memory of the function being emitted: on the stack, unless that is large.
Value* ProgramEmitter::function_memory(llvm::Type* type, const char* name) {
    constexpr std::uint64_t largest = 2048, most = 8192, alignment = 64;
    const std::uint64_t bytes = module_.getDataLayout().getTypeAllocSize(type);
    if (bytes <= largest && scope_->stack_bytes + bytes <= most) {
        scope_->stack_bytes += bytes;
        return ops_.alloca_at_entry(type, name);
    }
    const llvm::IRBuilder<>::InsertPointGuard guard(b_);
    b_.SetInsertPoint(scope_->entry);
    auto* i64 = b_.getInt64Ty();
    if (scope_->memory == nullptr) {
        auto* function = llvm::FunctionType::get(b_.getPtrTy(), {b_.getPtrTy(), i64}, false);
        scope_->memory = b_.CreateCall(function, runtime_function(abi::runtime_word::enter),
                                       {scope_->frame, b_.getInt64(0)}, "memory");
        scope_->memory->addFnAttr(llvm::Attribute::NoUnwind);
        scope_->memory->addRetAttr(llvm::Attribute::NoAlias);
        scope_->memory->addRetAttr(llvm::Attribute::getWithAlignment(context_, llvm::Align(64)));
    }
    const std::uint64_t offset = scope_->memory_bytes;
    scope_->memory_bytes = (offset + bytes + alignment - 1) / alignment * alignment;
    return b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), scope_->memory, offset, name);
}

/// Makes a function part of the only one that calls it.
static void inline_call(llvm::CallInst* call) {
    llvm::Function* callee = call->getCalledFunction();
    llvm::InlineFunctionInfo information;
    llvm::InlineFunction(*call, information);
    callee->eraseFromParent();
}

/// The only call of a function that runs an outlined kernel, if that becomes part of its caller
/// without harm: which has no loops, and no other code for LLVM's vectorisers. Machine code of one
/// function takes less time to make than that of two, whatever is in them.
static llvm::CallInst* only_call(const ProgramModule::Lanes& lanes) {
    llvm::Function& f = *lanes.function;
    if (lanes.streams || !f.hasOneUse() || f.hasFnAttribute(attribute::long_body)) return nullptr;
    auto* call = llvm::dyn_cast<llvm::CallInst>(f.user_back());
    const bool fits = call != nullptr && call->getCalledFunction() == &f &&
                      call->getFunction()->hasFnAttribute(attribute::vector_code);
    return fits ? call : nullptr;
}

/// Makes vector code that runs at one place a part of the code there.
static void join(llvm::CallInst* call) {
    // Gathers of ours are wanted; the caller has nothing of its own that could become one.
    call->getFunction()->removeFnAttr(attribute::no_gathers);
    // The frame becomes a local variable, which shares nothing with arrays. To note that at each
    // access takes LLVM as long as all else here.
    call->getCalledFunction()->removeParamAttr(0, llvm::Attribute::NoAlias);
    inline_call(call);
}

void ProgramEmitter::run() {
    auto* function = make_function(options_.entry, {b_.getPtrTy()});
    function->addParamAttr(0, llvm::Attribute::NoAlias);
    Scope scope = begin_function(function, false);
    scope_ = &scope;
    auto* body = BasicBlock::Create(context_, "body", function);
    b_.SetInsertPoint(body);
    make_slots();
    emit_program_block(kernel_.stages[0].body);
    end_of_function(body);
    for (llvm::CallInst* call : shared_.in_place) inline_call(call);
    if (options_.debug_info != nullptr) return;  // whose lines the functions share
    for (const ProgramModule::Lanes& lanes : shared_.lanes)
        if (llvm::CallInst* call = only_call(lanes)) join(call);
}

LaneValue ProgramEmitter::value(Id id) {
    const Node& n = kernel_.nodes[id];
    if (n.kind == NodeKind::constant) return ops_.constant(id);
    if (n.kind == NodeKind::extent) return {view(n.aux).extents[n.aux2], nullptr, false};
    LaneValue& known = scope_->values[id];
    if (n.kind != NodeKind::param || known.value != nullptr) return known;
    const llvm::IRBuilder<>::InsertPointGuard guard(b_);
    b_.SetInsertPoint(scope_->entry);
    const std::string& name = kernel_.params[n.aux].name;
    if (n.aux >= frame_params_) {
        auto* type = ops_.compute_type(real_type(n.dtype));
        Value* context = scope_->function->getArg(1);
        const unsigned cell = cell_of(n.aux);
        known = {get_cell(context, cell, type),
                 is_complex(n.dtype) ? get_cell(context, cell + 1, type) : nullptr, false};
        return known;
    }
    const std::int64_t at = param_offset(n.aux);
    if (is_complex(n.dtype)) {
        auto* part = ops_.compute_type(real_type(n.dtype));
        const auto size = static_cast<std::int64_t>(size_of(n.dtype) / 2);
        known = {frame_word(at, part, name), frame_word(at + size, part, name), false};
    } else {
        known = {ops_.from_memory(frame_word(at, ops_.memory_type(n.dtype), name), n.dtype),
                 nullptr, false};
    }
    return known;
}

// ------------------------------------------------------------------------------ parameters

std::int64_t ProgramEmitter::param_offset(std::uint32_t param, unsigned word) const {
    return static_cast<std::int64_t>(
        abi::word_bytes *
        (abi::program_word::params + abi::program_word::offset(kernel_, param) + word));
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
    v.data = frame_word(param_offset(param, abi::program_word::data), b_.getPtrTy(), p.name);
    for (unsigned d = 0; d < p.rank; ++d) {
        v.extents.push_back(frame_word(param_offset(param, abi::program_word::extent(d)),
                                       b_.getInt64Ty(), p.name + ".extent"));
        const bool unit = d + 1U == p.rank && p.layout == Layout::unit;
        v.strides.push_back(
            unit ? b_.getInt64(size_of(p.dtype))
                 : frame_word(param_offset(param, abi::program_word::stride(d, p.rank)),
                              b_.getInt64Ty(), p.name + ".stride"));
    }
    return v;
}

void ProgramEmitter::make_alias_scopes() {
    llvm::MDBuilder md(context_);
    auto* domain = md.createAnonymousAliasScopeDomain(kernel_.name);
    std::vector<llvm::MDNode*> scopes;
    for (const ir::Param& p : kernel_.params)
        scopes.push_back(md.createAnonymousAliasScope(domain, p.name));
    for (const ir::Slot& s : kernel_.slots)
        scopes.push_back(s.length == 1 ? nullptr : md.createAnonymousAliasScope(domain, s.name));
    const auto own = [&](std::size_t i) {
        return i >= frame_params_ || ir::is_made_by_kernel(kernel_.params[i].access);
    };
    for (std::size_t i = 0; i < scopes.size(); ++i) {
        std::vector<llvm::Metadata*> others;
        for (std::size_t j = 0; j < scopes.size(); ++j)
            if (j != i && scopes[j] != nullptr && (options_.noalias || own(i) || own(j)))
                others.push_back(scopes[j]);
        scope_of_.push_back(llvm::MDNode::get(context_, {scopes[i]}));
        others_of_.push_back(others.empty() ? nullptr : llvm::MDNode::get(context_, others));
    }
}

void ProgramEmitter::add_alias_scopes(llvm::Instruction* access, std::size_t array) {
    access->setMetadata(llvm::LLVMContext::MD_alias_scope, scope_of_[array]);
    if (others_of_[array] != nullptr)
        access->setMetadata(llvm::LLVMContext::MD_noalias, others_of_[array]);
}

Value* ProgramEmitter::runtime_function(unsigned index) {
    Value* table =
        frame_word(abi::word_bytes * abi::program_word::runtime, b_.getPtrTy(), "runtime");
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
    if (options_.debug_info != nullptr)
        options_.debug_info->at(*scope_->function, kernel_, n.loc, b_);
    bool comes_out = true;
    const auto jump = [&](BasicBlock* to) {
        b_.CreateBr(to);
        b_.SetInsertPoint(BasicBlock::Create(context_, "dead", scope_->function));
        comes_out = false;
    };
    constexpr ir::effect::Mask in_programs =
        ir::effect::accesses | ir::effect::atomically | ir::effect::allocates | ir::effect::calls |
        ir::effect::calls_pure | ir::effect::checks | ir::effect::branches | ir::effect::loops |
        ir::effect::launches | ir::effect::jumps;
    ir::dispatch<in_programs>(
        n,
        ir::Handlers{
            [&](ir::Leaf) {},
            [&](ir::Of<NodeKind::op>) { values[id] = ops_.emit_op(id); },
            [&](ir::Of<NodeKind::cast>) { values[id] = ops_.emit_cast(id); },
            [&](ir::Of<NodeKind::load>) { values[id] = load_element(n); },
            [&](ir::Of<NodeKind::read>) { values[id] = read_local(n, id); },
            [&](ir::Of<NodeKind::store>) { store_element(n); },
            [&](ir::Of<NodeKind::write>) { write_local(n, id); },
            [&](ir::Of<NodeKind::atomic>) { values[id] = emit_atomic(n); },
            [&](ir::Of<NodeKind::call_pure, NodeKind::call>) { values[id] = emit_call(n); },
            [&](ir::Of<NodeKind::check>) { emit_failed_check(n, id); },
            [&](ir::Of<NodeKind::branch>) { emit_if(n, id); },
            [&](ir::Of<NodeKind::loop>) {
                if (n.aux2 != ir::none && !scope_->parallel)
                    throw Error(ErrorKind::internal, "a parallel loop that nothing launches",
                                kernel_.location(n.loc));
                emit_for(n, id);
            },
            [&](ir::Of<NodeKind::loop_while>) { emit_while_loop(n, id); },
            [&](ir::Of<NodeKind::launch>) { emit_launch(n, id); },
            [&](ir::Of<NodeKind::break_>) { jump(scope_->jumps.back().end); },
            [&](ir::Of<NodeKind::continue_>) { jump(scope_->jumps.back().next); },
            [&](ir::Of<NodeKind::return_>) { jump(scope_->exit); },
            [&](ir::Of<NodeKind::allocate>) { emit_allocate(n, id); },
        },
        [&](const ir::NodeInfo& kind) {
            throw Error(ErrorKind::internal,
                        "a program reached code generation with a " + std::string(kind.word),
                        kernel_.location(n.loc));
        });
    return comes_out;
}

void ProgramEmitter::emit_if(const Node& n, Id id) {
    const auto mark_stores = [&](Id inner) {
        if (kernel_.nodes[inner].kind == NodeKind::store)
            scope_->function->addFnAttr(attribute::conditional_stores);
    };
    ir::walk_node(kernel_, id, mark_stores);
    if (traits_.is_invariant_branch(kernel_, id))
        scope_->function->addFnAttr(attribute::invariant_branches);
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

/// for (k = first; k < last; ++k) body(k), tested before the first iteration, unless it is known
/// that there is one. `after` follows each body, also where that goes on by continue_; break_ goes
/// to `left`.
llvm::BranchInst* ProgramEmitter::count_up(Value* first, Value* last,
                                           llvm::function_ref<void(Value*)> body, bool runs,
                                           llvm::function_ref<void(Value*)> after,
                                           BasicBlock* left) {
    const std::string name = std::exchange(next_loop_, "for");
    const auto block = [&](const char* part) {
        return BasicBlock::Create(context_, name + part, scope_->function);
    };
    auto* head = block("");
    auto* inner = runs ? head : block(".body");
    auto* next = block(".next");
    auto* end = block(".end");
    BasicBlock* before = b_.GetInsertBlock();
    b_.CreateBr(head);
    b_.SetInsertPoint(head);
    auto* k = b_.CreatePHI(first->getType(), 2, "k");
    k->addIncoming(first, before);
    if (!runs) {
        b_.CreateCondBr(b_.CreateICmpSLT(k, last), inner, end);
        b_.SetInsertPoint(inner);
    }
    scope_->jumps.push_back({next, left != nullptr ? left : end});
    body(k);
    scope_->jumps.pop_back();
    b_.CreateBr(next);
    b_.SetInsertPoint(next);
    if (after) after(k);
    Value* more = b_.CreateNSWAdd(k, llvm::ConstantInt::get(first->getType(), 1));
    k->addIncoming(more, next);
    auto* const back =
        runs ? b_.CreateCondBr(b_.CreateICmpSLT(more, last), head, end) : b_.CreateBr(head);
    b_.SetInsertPoint(end);
    return back;
}

/// Leaves a loop, which jumps back by `back`, as scalar code.
void ProgramEmitter::keep_scalar(llvm::BranchInst* back) {
    auto* const off =
        llvm::MDNode::get(context_, {llvm::MDString::get(context_, "llvm.loop.vectorize.enable"),
                                     llvm::ConstantAsMetadata::get(b_.getFalse())});
    auto* const loop = llvm::MDNode::getDistinct(context_, {nullptr, off});
    loop->replaceOperandWith(0, loop);
    back->setMetadata(llvm::LLVMContext::MD_loop, loop);
}

/// Tests once whether all loops of a nest run, where they hold each other and nothing else that has
/// an effect, and their bounds are known here: otherwise nothing happens. A test before each inner
/// loop would keep the optimiser from moving its loads and stores out of the loops around it. The
/// block to go on in after the nest, or null.
BasicBlock* ProgramEmitter::begin_nest(Id outermost) {
    if (options_.checked || nonempty_.contains(outermost)) return nullptr;
    std::set<Id> inside{outermost};
    ir::walk(kernel_, kernel_.nodes[outermost].aux, [&](Id id) { inside.insert(id); });
    std::vector<Id> loops;
    for (Id loop = outermost; loop != ir::none;) {
        const auto bounds = kernel_.operands_of(loop).first(3);
        const bool known =
            std::ranges::none_of(bounds, [&](Id bound) { return inside.contains(bound); });
        if (!known || kernel_.nodes[bounds[2]].kind != NodeKind::constant) break;
        loops.push_back(loop);
        if (kernel_.nodes[loop].kind == NodeKind::launch) break;
        Id next = ir::none;
        for (const Id id : kernel_.blocks[kernel_.nodes[loop].aux].nodes) {
            const Node& n = kernel_.nodes[id];
            const bool serial =
                n.kind == NodeKind::loop && (n.aux2 == ir::none || scope_->parallel);
            const bool pure =
                ir::is_computation(n.kind) || n.kind == NodeKind::load || n.kind == NodeKind::read;
            const bool launched = n.kind == NodeKind::launch &&
                                  !kernel_.outlined[kernel_.launches[n.aux].kernel].is_program();
            if (!pure && ((!serial && !launched) || next != ir::none)) {
                next = ir::none;
                break;
            }
            if (serial || launched) next = id;
        }
        loop = next;
    }
    if (loops.size() < 2) return nullptr;
    Value* all = b_.getTrue();
    for (const Id loop : loops) {
        Value* begin = value(kernel_.operand(loop, 0)).value;
        Value* end = value(kernel_.operand(loop, 1)).value;
        Value* step = value(kernel_.operand(loop, 2)).value;
        all = b_.CreateAnd(all, b_.CreateICmpSGT(trip_count(begin, end, step), b_.getInt64(0)));
    }
    auto* nest = BasicBlock::Create(context_, "nest", scope_->function);
    auto* end = BasicBlock::Create(context_, "nest.end", scope_->function);
    b_.CreateCondBr(all, nest, end);
    b_.SetInsertPoint(nest);
    nonempty_.insert(loops.begin(), loops.end());
    if (const Node& last = kernel_.nodes[loops.back()];
        last.kind == NodeKind::launch && last.aux2 != ir::none)
        nonempty_.insert(kernel_.blocks[last.aux2].nodes.back());
    return end;
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
    BasicBlock* const after = begin_nest(id);
    emit_iterations(n, id);
    if (after == nullptr) return;
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
    // The loop may be emitted again, elsewhere.
    nonempty_.erase(id);
    ir::walk(kernel_, n.aux, [&](Id inner) { nonempty_.erase(inner); });
}

/// The counted loop that is made next is this one.
void ProgramEmitter::name_loop(Id loop) {
    if (!options_.name_loops) return;
    const std::uint32_t program = launch_ == nullptr ? 0 : launch_->kernel + 1;
    next_loop_ = "loop" + std::to_string(program) + '_' + std::to_string(loop_places_.at(loop));
}

/// Debuggers find the index in memory.
void ProgramEmitter::show_index(Id loop, Value* index) {
    if (options_.debug_info == nullptr || !options_.debug_info->has_variables()) return;
    Value* const place = ops_.alloca_at_entry(index->getType(), "index");
    options_.debug_info->index(*scope_->function, kernel_, kernel_.nodes[loop].loc, place);
    b_.CreateStore(index, place);
}

void ProgramEmitter::emit_iterations(const Node& n, Id id) {
    name_loop(id);
    Value* begin = value(kernel_.operand(id, 0)).value;
    Value* end = value(kernel_.operand(id, 1)).value;
    Value* step = value(kernel_.operand(id, 2)).value;
    const bool runs = nonempty_.contains(id);
    const auto body = [&](Value* index) {
        if (traits_.carries[id]) scope_->function->addFnAttr(attribute::carried_values);
        scope_->values[id] = {index, nullptr, false};
        show_index(id, index);
        emit_program_block(n.aux);
    };
    if (const ir::Tree* const tree = kernel_.tree(n)) {
        Value* stop = ops_.alloca_at_entry(b_.getInt1Ty(), "stop");
        b_.CreateStore(b_.getFalse(), stop);
        sum_apart(
            *tree, trip_count(begin, end, step),
            [&](Value* first, Value* last) {
                auto* const back = sum_iterations(
                    *tree, first, last,
                    [&](Value* k) { body(b_.CreateAdd(begin, b_.CreateMul(k, step), "i")); }, stop);
                if (traits_.scatters[id]) keep_scalar(back);
            },
            stop);
        return;
    }
    if (auto* constant = llvm::dyn_cast<llvm::ConstantInt>(step);
        constant != nullptr && constant->isOne()) {
        auto* const back = count_up(begin, end, body, runs);
        if (traits_.scatters[id]) keep_scalar(back);
        return;
    }
    auto* const back = count_up(
        b_.getInt64(0), trip_count(begin, end, step),
        [&](Value* k) { body(b_.CreateAdd(begin, b_.CreateMul(k, step), "i")); }, runs);
    if (traits_.scatters[id]) keep_scalar(back);
}

void ProgramEmitter::emit_while_loop(const Node& n, Id id) {
    if (traits_.carries[id]) scope_->function->addFnAttr(attribute::carried_values);
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
    View v;
    for (unsigned d = 0; d < p.rank; ++d) v.extents.push_back(value(kernel_.operand(id, d)).value);
    v.data = scope_->parallel ? allocate_own(n, v.extents) : allocate_in_frame(n, v.extents);
    Value* stride = b_.getInt64(size_of(p.dtype));
    v.strides.resize(p.rank);
    for (unsigned d = p.rank; d-- > 0;) {
        v.strides[d] = stride;
        stride = b_.CreateMul(stride, v.extents[d]);
    }
    scope_->views[n.aux] = std::move(v);
}

/// The cells of extents that the host is shown.
Value* ProgramEmitter::extent_cells(llvm::ArrayRef<Value*> extents) {
    auto* i64 = b_.getInt64Ty();
    Value* cells = ops_.alloca_at_entry(
        llvm::ArrayType::get(i64, std::max<std::size_t>(1, extents.size())), "extents");
    for (unsigned d = 0; d < extents.size(); ++d)
        b_.CreateStore(extents[d], b_.CreateConstInBoundsGEP1_64(i64, cells, d));
    return cells;
}

/// In a loop the host is asked again only where the extents are others:
//
//     if (!(asked && the frame's extents == extents)) { call; asked = true; }
Value* ProgramEmitter::allocate_in_frame(const Node& n, llvm::ArrayRef<Value*> extents) {
    auto* i64 = b_.getInt64Ty();
    auto* pointer = b_.getPtrTy();
    auto* made = BasicBlock::Create(context_, "allocated", scope_->function);
    Value* asked = nullptr;
    if (!scope_->jumps.empty() && kernel_.params[n.aux].access != ir::Access::result) {
        asked = ops_.alloca_at_entry(b_.getInt1Ty(), "asked");
        {
            const llvm::IRBuilder<>::InsertPointGuard guard(b_);
            b_.SetInsertPoint(scope_->entry);
            b_.CreateStore(b_.getFalse(), asked);
        }
        auto *compare = BasicBlock::Create(context_, "made.before", scope_->function),
             *ask = BasicBlock::Create(context_, "ask", scope_->function);
        b_.CreateCondBr(b_.CreateLoad(b_.getInt1Ty(), asked), compare, ask);
        b_.SetInsertPoint(compare);
        Value* same = b_.getTrue();
        for (unsigned d = 0; d < extents.size(); ++d) {
            Value* before =
                frame_word(param_offset(n.aux, abi::program_word::extent(d)), i64, "extent");
            same = b_.CreateAnd(same, b_.CreateICmpEQ(before, extents[d]));
        }
        b_.CreateCondBr(same, made, ask);
        b_.SetInsertPoint(ask);
    }
    auto* type = llvm::FunctionType::get(b_.getInt1Ty(), {pointer, i64, pointer}, false);
    auto* call = b_.CreateCall(type, runtime_function(abi::runtime_word::allocate),
                               {scope_->frame, b_.getInt64(n.aux), extent_cells(extents)});
    call->addRetAttr(llvm::Attribute::ZExt);
    if (asked != nullptr) b_.CreateStore(b_.getTrue(), asked);
    b_.CreateCondBr(call, made, scope_->exit);
    b_.SetInsertPoint(made);
    return frame_word(param_offset(n.aux), pointer, kernel_.params[n.aux].name);
}

/// Of an iteration of a parallel loop: the iterations of a piece have one block, one after the
/// other, which grows where one needs more.
Value* ProgramEmitter::allocate_own(const Node& n, llvm::ArrayRef<Value*> extents) {
    auto* i64 = b_.getInt64Ty();
    auto* pointer = b_.getPtrTy();
    Value* block = ops_.alloca_at_entry(llvm::ArrayType::get(i64, 2), "block");
    scope_->own_arrays.push_back(block);
    {
        const llvm::IRBuilder<>::InsertPointGuard guard(b_);
        b_.SetInsertPoint(scope_->entry);
        b_.CreateStore(llvm::Constant::getNullValue(llvm::ArrayType::get(i64, 2)), block);
    }
    auto* type = llvm::FunctionType::get(b_.getInt1Ty(), {pointer, i64, pointer, pointer}, false);
    auto* call = b_.CreateCall(type, runtime_function(abi::runtime_word::reserve),
                               {scope_->frame, b_.getInt64(n.aux), extent_cells(extents), block});
    call->addRetAttr(llvm::Attribute::ZExt);
    call->addFnAttr(llvm::Attribute::NoUnwind);
    auto* made = BasicBlock::Create(context_, "allocated", scope_->function);
    b_.CreateCondBr(call, made, scope_->exit);
    b_.SetInsertPoint(made);
    return b_.CreateLoad(pointer, block, kernel_.params[n.aux].name);
}

// The frame's host begins with a pointer to a table, a HostCall for each function.
LaneValue ProgramEmitter::emit_call(const Node& n) {
    const ir::HostFunction& f = kernel_.functions[n.aux];
    auto* pointer = b_.getPtrTy();
    auto* i64 = b_.getInt64Ty();
    Value* table = b_.CreateAlignedLoad(
        pointer, frame_word(abi::word_bytes * abi::program_word::host, pointer, "host"),
        llvm::Align(8), "functions");
    const auto word = [&](unsigned i) {
        return b_.CreateAlignedLoad(
            pointer,
            b_.CreateConstInBoundsGEP1_64(pointer, table,
                                          abi::host_word::of_function * std::uint64_t(n.aux) + i),
            llvm::Align(8), f.name);
    };
    Value* iteration = scope_->iteration != nullptr ? scope_->iteration : b_.getInt64(0);
    std::vector<llvm::Type*> types{pointer, pointer, i64};
    std::vector<Value*> arguments{word(abi::host_word::target), scope_->frame, iteration};
    for (const Id id : kernel_.operands_of(n)) {
        arguments.push_back(ops_.to_memory(value(id).value, kernel_.nodes[id].dtype));
        types.push_back(arguments.back()->getType());
    }
    auto* result = f.result ? ops_.memory_type(*f.result) : b_.getVoidTy();
    auto* call = b_.CreateCall(llvm::FunctionType::get(result, types, false),
                               word(abi::host_word::thunk), arguments);
    call->addFnAttr(llvm::Attribute::NoUnwind);
    // C passes and returns narrow integers extended to the size of an int.
    const auto extension = [&](DType t) {
        return is_bool(t) || is_unsigned(t) ? llvm::Attribute::ZExt : llvm::Attribute::SExt;
    };
    for (unsigned i = 0; i < f.params.size(); ++i)
        if (size_of(f.params[i]) < 4) call->addParamAttr(3 + i, extension(f.params[i]));
    if (!f.result) return {};
    if (size_of(*f.result) < 4) call->addRetAttr(extension(*f.result));
    return {ops_.from_memory(call, *f.result), nullptr, false};
}

}  // namespace kiln::codegen
