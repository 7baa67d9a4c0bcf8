// Programs of loops: launches of outlined kernels, which the emitter of element-wise kernels emits.
#include "codegen/abi.h"
#include "codegen/llvm/attributes.h"
#include "codegen/llvm/lanes/lane_emitter.h"
#include "codegen/llvm/program/program_emitter.h"

#include <llvm/IR/IntrinsicsX86.h>

#include <algorithm>

namespace kiln::codegen {

using ir::Id;
using ir::Node;
using ir::NodeKind;
using llvm::BasicBlock;
using llvm::Value;

/// A cell of memory that holds a value.
Value* ProgramEmitter::spill(const LaneValue& v, DType t) {
    if (!is_complex(t)) {
        Value* part = ops_.to_memory(v.value, t);
        Value* cell = ops_.alloca_at_entry(part->getType(), "cell");
        b_.CreateStore(part, cell);
        return cell;
    }
    Value* cell = ops_.alloca_at_entry(llvm::ArrayType::get(v.value->getType(), 2), "cell");
    b_.CreateStore(v.value, cell);
    b_.CreateStore(v.imag, b_.CreateConstInBoundsGEP1_64(v.value->getType(), cell, 1));
    return cell;
}

/// Which arguments of a launch run backwards through elements that are next to each other.
std::vector<bool> ProgramEmitter::reversed_arguments(const Node& n) const {
    const Node& step = kernel_.nodes[kernel_.operands_of(n)[2]];
    const bool by_one = step.kind == NodeKind::constant && step.imm == 1;
    std::vector<bool> all;
    for (const ir::Argument& a : kernel_.launches[n.aux].arguments) {
        const bool adjacent = by_one && a.is_element() && !a.strides.empty() &&
                              (a.kind == ir::Argument::Kind::local ||
                               kernel_.params[a.target].layout == ir::Layout::unit);
        all.push_back(adjacent && a.strides.back() == -1 &&
                      std::count(a.strides.begin(), a.strides.end(), 0) + 1 ==
                          std::ssize(a.strides));
    }
    return all;
}

/// The function that runs an outlined kernel, as lanes. Launches of a kernel share one, unless it
/// becomes part of their callers.
llvm::Function* ProgramEmitter::vector_function(const Node& n) {
    const ir::Launch& launch = kernel_.launches[n.aux];
    const ir::Kernel& lanes = kernel_.outlined[launch.kernel];
    const bool streams = !launch.streams.empty();
    std::vector<bool> reversed = reversed_arguments(n);
    if (!launch.in_place)
        for (const ProgramModule::Lanes& known : shared_.lanes)
            if (known.streams == streams && known.reversed == reversed && *known.kernel == lanes)
                return known.function;
    const llvm::IRBuilder<>::InsertPointGuard guard(b_);
    EmitOptions options = options_;
    options.entry = options_.entry + "_v" + std::to_string(shared_.vector_functions++);
    options.streaming = streams;
    options.fence = false;  // end_of_function has one for all
    options.reversed = reversed;
    LaneEmitter(lanes, module_, options).run();
    llvm::Function* function = module_.getFunction(options.entry);
    function->setLinkage(llvm::Function::InternalLinkage);
    function->addFnAttr(attribute::vector_code);
    if (!launch.in_place) shared_.lanes.push_back({&lanes, streams, std::move(reversed), function});
    return function;
}

/// Where the element of an argument is that iteration 0 uses, and how far apart those of iterations
/// are.
ProgramEmitter::Elements ProgramEmitter::elements(const ir::Argument& a,
                                                  std::span<const Id> subscripts, Value* step) {
    auto* i64 = b_.getInt64Ty();
    const bool local = a.kind == ir::Argument::Kind::local;
    const auto size = [&] { return b_.getInt64(size_of(kernel_.slots[a.target].dtype)); };
    Value* data = local ? scope_->slots[a.target].value : view(a.target).data;
    Value* inner = b_.getInt64(0);
    for (std::size_t d = 0; d < subscripts.size(); ++d) {
        Value* stride = local ? size() : view(a.target).strides[d];
        data = b_.CreateInBoundsGEP(b_.getInt8Ty(), data,
                                    b_.CreateMul(value(subscripts[d]).value, stride));
        Value* steps = llvm::ConstantInt::getSigned(i64, a.strides[d]);
        inner = b_.CreateAdd(inner, b_.CreateMul(step, b_.CreateMul(steps, stride)));
    }
    return {data, inner};
}

/// What of the arguments of a launch comes from around it: elements and values.
std::vector<ProgramEmitter::Elements> ProgramEmitter::given(const Node& n, Value* step) {
    std::vector<Elements> all;
    auto operands = kernel_.operands_of(n).subspan(3);
    for (const ir::Argument& a : kernel_.launches[n.aux].arguments) {
        const auto x = operands.first(a.operands());
        operands = operands.subspan(a.operands());
        if (a.is_element())
            all.push_back(elements(a, x, step));
        else if (a.kind == ir::Argument::Kind::value)
            all.push_back({spill(value(x[0]), kernel_.nodes[x[0]].dtype), b_.getInt64(0)});
        else
            all.push_back({});
    }
    return all;
}

/// What the frame says of an argument of a map, reduction or scan.
ProgramEmitter::Elements ProgramEmitter::argument(const ir::Argument& a, const Elements& given,
                                                  const Iterations& of) {
    using Kind = ir::Argument::Kind;
    Value* same = b_.getInt64(0);
    switch (a.kind) {
        case Kind::array:
        case Kind::local:
            if (of.from == nullptr) return given;
            return {b_.CreateInBoundsGEP(b_.getInt8Ty(), given.data,
                                         b_.CreateMul(of.from, given.inner)),
                    given.inner};
        case Kind::value: return given;
        case Kind::whole:
        case Kind::place: break;
        case Kind::first: {
            Value* first = of.begin;
            if (of.from != nullptr) first = b_.CreateAdd(first, b_.CreateMul(of.from, of.step));
            return {spill({first, nullptr, false}, DType::i64), same};
        }
        case Kind::step: return {spill({of.step, nullptr, false}, DType::i64), same};
        case Kind::total:
        case Kind::state:
            return {ops_.alloca_at_entry(ops_.memory_type(kernel_.slots[a.target].dtype), "total"),
                    same};
        case Kind::carry: {
            const LaneValue& place = scope_->slots[a.target];
            const DType t = kernel_.slots[a.target].dtype;
            auto* type = ops_.compute_type(real_type(t));
            return {
                spill({b_.CreateLoad(type, place.value),
                       place.imag != nullptr ? b_.CreateLoad(type, place.imag) : nullptr, false},
                      t),
                same};
        }
    }
    __builtin_unreachable();
}

/// Runs iterations of a launch, with what is given to it, or, where that is nothing, with what it
/// finds here:
//
//     if (count > 0) { fill the frame; call the kernel's function; slots op= totals }
//
// Where the test was made for the whole nest it is not made again.
void ProgramEmitter::emit_lanes(const Node& n, const Iterations& of,
                                std::span<const Elements> given) {
    auto* i64 = b_.getInt64Ty();
    const ir::Launch& launch = kernel_.launches[n.aux];
    llvm::Function* function = vector_function(n);
    if (!launch.streams.empty()) scope_->streams = true;

    auto* some = BasicBlock::Create(context_, "lanes", scope_->function);
    auto* done = BasicBlock::Create(context_, "lanes.end", scope_->function);
    if (of.some)
        b_.CreateBr(some);
    else
        b_.CreateCondBr(b_.CreateICmpSGT(of.count, b_.getInt64(0)), some, done);
    b_.SetInsertPoint(some);
    Value* frame = ops_.alloca_at_entry(
        llvm::ArrayType::get(i64, abi::map_word::count(launch.arguments.size())), "map");
    const auto put = [&](std::size_t word, Value* v) {
        b_.CreateStore(v, b_.CreateConstInBoundsGEP1_64(i64, frame, word));
    };
    put(abi::map_word::columns, of.count);
    put(abi::map_word::rows, b_.getInt64(1));
    put(abi::map_word::fault, llvm::ConstantPointerNull::get(b_.getPtrTy()));
    std::vector<Elements> made;
    const auto here = given.empty() ? this->given(n, of.step) : std::vector<Elements>();
    if (given.empty()) given = here;
    for (const ir::Argument& a : launch.arguments) {
        const std::size_t p = made.size();
        made.push_back(argument(a, given[p], of));
        // Of a frame of one row nobody reads how far rows are apart.
        put(abi::map_word::operand(p, abi::map_word::data), made[p].data);
        if (kernel_.outlined[launch.kernel].params[p].layout == ir::Layout::strided)
            put(abi::map_word::operand(p, abi::map_word::inner), made[p].inner);
    }
    auto* call = b_.CreateCall(function, {frame});
    call->addFnAttr(llvm::Attribute::NoUnwind);
    if (launch.in_place) shared_.in_place.push_back(call);
    take_totals(launch, made);
    // What a scan stores last is what the variable has then.
    for (std::size_t p = 0; p < made.size(); ++p) {
        if (launch.arguments[p].kind != ir::Argument::Kind::carry) continue;
        const DType t = kernel_.slots[launch.arguments[p].target].dtype;
        const Elements& out = made[p + 1];
        Value* bytes = b_.CreateMul(b_.CreateSub(of.count, b_.getInt64(1)), out.inner);
        Value* last = b_.CreateInBoundsGEP(b_.getInt8Ty(), out.data, bytes);
        Value* total = b_.CreateAlignedLoad(ops_.memory_type(t), last, llvm::Align(1));
        b_.CreateStore(ops_.from_memory(total, t), scope_->slots[launch.arguments[p].target].value);
    }
    b_.CreateBr(done);
    b_.SetInsertPoint(done);
}

/// Combines the totals of a launch, which are at `made`, into their slots.
void ProgramEmitter::take_totals(const ir::Launch& launch, std::span<const Elements> made) {
    using Kind = ir::Argument::Kind;
    const auto& arguments = launch.arguments;
    const auto dtype = [&](std::size_t p) { return kernel_.slots[arguments[p].target].dtype; };
    const auto total = [&](std::size_t p) {
        return ops_.from_memory(b_.CreateLoad(ops_.memory_type(dtype(p)), made[p].data), dtype(p));
    };
    const auto place = [&](std::size_t p) { return scope_->slots[arguments[p].target].value; };
    const auto so_far = [&](std::size_t p) {
        return b_.CreateLoad(ops_.compute_type(dtype(p)), place(p));
    };
    for (std::size_t p = 0; p < arguments.size(); ++p) {
        if (arguments[p].kind == Kind::total)
            b_.CreateStore(ops_.combine(arguments[p].reduction, dtype(p), so_far(p), total(p)),
                           place(p));
        if (arguments[p].kind != Kind::state) continue;
        CombineEmitter& combiner = combiners_[arguments[p].combine];
        std::vector<Value*> first, second;
        for (std::size_t part = 0; part < combiner.parts(); ++part) {
            first.push_back(so_far(p + part));
            second.push_back(total(p + part));
        }
        const std::vector<Value*> results = combiner.combined(b_, first, second);
        for (std::size_t part = 0; part < results.size(); ++part)
            b_.CreateStore(results[part], place(p + part));
        p += results.size() - 1;
    }
}

/// All iterations of a launch; where it sums floats, a tree over blocks of them.
void ProgramEmitter::emit_lanes_in_blocks(const Node& n, const Iterations& all) {
    const ir::Tree* const tree = kernel_.tree(n);
    auto* known = llvm::dyn_cast<llvm::ConstantInt>(all.count);
    const bool one = known != nullptr && tree != nullptr && known->getSExtValue() <= tree->block;
    if (tree == nullptr || one) return emit_lanes(n, all, {});
    sum_apart(*tree, all.count, [&](Value* from, Value* to) {
        emit_lanes(n, {all.begin, all.step, from, b_.CreateSub(to, from)}, {});
    });
}

// ------------------------------------------------------------------------------ streaming stores

/// Whether the arrays take so many bytes together that stores past the caches pay: what they store
/// is gone from the caches before it could be read again.
Value* ProgramEmitter::are_large(const std::vector<std::uint32_t>& arrays) {
    const llvm::IRBuilder<>::InsertPointGuard guard(b_);
    for (const std::uint32_t p : arrays) view(p);
    if (scope_->parallel) b_.SetInsertPoint(scope_->entry);
    Value* bytes = b_.getInt64(0);
    for (const std::uint32_t p : arrays) {
        Value* size = b_.getInt64(size_of(kernel_.params[p].dtype));
        for (Value* extent : view(p).extents) size = b_.CreateMul(size, extent);
        bytes = b_.CreateAdd(bytes, size);
    }
    return b_.CreateICmpSGE(bytes, b_.getInt64(abi::streaming_bytes));
}

/// A launch; one that streams where its arrays are large.
void ProgramEmitter::emit_launch(const Node& n, Id id) {
    const auto run = [&] {
        const ir::Launch& launch = kernel_.launches[n.aux];
        if (launch.parallel != ir::none || kernel_.outlined[launch.kernel].is_program())
            return emit_parallel(n, id);
        Value* begin = value(kernel_.operand(id, 0)).value;
        Value* end = value(kernel_.operand(id, 1)).value;
        Value* step = value(kernel_.operand(id, 2)).value;
        Value* const count = trip_count(begin, end, step);
        emit_lanes_in_blocks(n, {begin, step, nullptr, count, nonempty_.contains(id)});
    };
    if (n.aux2 == ir::none) return run();
    auto* large = BasicBlock::Create(context_, "streamed", scope_->function);
    auto* usual = BasicBlock::Create(context_, "usual", scope_->function);
    auto* done = BasicBlock::Create(context_, "stored", scope_->function);
    b_.CreateCondBr(are_large(kernel_.launches[n.aux].streams), large, usual);
    b_.SetInsertPoint(large);
    run();
    b_.CreateBr(done);
    b_.SetInsertPoint(usual);
    emit_program_block(n.aux2);
    b_.CreateBr(done);
    b_.SetInsertPoint(done);
}

}  // namespace kiln::codegen
