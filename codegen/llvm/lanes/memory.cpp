// Loads, stores and slots of all lanes of a body.
#include "codegen/llvm/lanes/lane_emitter.h"

namespace kiln::codegen {

using ir::Id;
using ir::Layout;
using ir::Node;
using ir::NodeKind;
using llvm::BasicBlock;
using llvm::Value;

void LaneEmitter::check_subscripts(const Node& n, std::size_t count) const {
    const auto operands = kernel_.operands_of(n);
    if (count != 1 || kernel_.nodes[operands[0]].kind != NodeKind::index)
        refuse("an element-wise kernel accesses arrays at its own index only", n.loc);
}

/// Address of the first lane's element of a parameter of layout `unit`.
Value* LaneEmitter::row_address(std::uint32_t param) {
    return b_.CreateGEP(b_.getInt8Ty(), params_[param].row,
                        b_.CreateMul(index_, b_.getInt64(size_of(kernel_.params[param].dtype))));
}

/// a0 b0 a1 b1 ...
Value* LaneEmitter::interleave(Value* a, Value* b) {
    std::vector<int> order;
    for (unsigned l = 0; l < lanes_; ++l) {
        order.push_back(static_cast<int>(l));
        order.push_back(static_cast<int>(lanes_ + l));
    }
    return b_.CreateShuffleVector(a, b, order);
}

/// The positions `from`, `from` + 2 ... of an interleaved vector.
std::vector<int> LaneEmitter::stride_two(int from) const {
    std::vector<int> positions;
    for (unsigned l = 0; l < lanes_; ++l) positions.push_back(from + 2 * static_cast<int>(l));
    return positions;
}

/// Addresses of the lanes' elements, `offset` bytes in.
Value* LaneEmitter::element_pointers(std::uint32_t param, unsigned offset) {
    auto* i64 = b_.getInt64Ty();
    const Param& p = params_[param];
    Value* step = kernel_.params[param].layout == Layout::unit
                      ? b_.getInt64(size_of(kernel_.params[param].dtype))
                      : p.inner;
    Value* base = b_.CreateGEP(b_.getInt8Ty(), p.row,
                               b_.CreateAdd(b_.CreateMul(index_, step), b_.getInt64(offset)));
    if (lanes_ == 1) return base;
    Value* offsets = b_.CreateMul(ops_.iota(i64), b_.CreateVectorSplat(lanes_, step));
    return b_.CreateGEP(b_.getInt8Ty(), base, offsets);
}

/// Address of each lane's element, `offset` bytes in. Four at a time, so that instructions take the
/// step and its multiples by their own addressing.
std::vector<Value*> LaneEmitter::element_addresses(std::uint32_t param, unsigned offset) {
    auto* bytes = b_.getInt8Ty();
    Value* step = params_[param].inner;
    if (kernel_.params[param].layout == Layout::unit)
        step = b_.getInt64(size_of(kernel_.params[param].dtype));
    Value* four = b_.CreateShl(step, 2);
    Value *two = b_.CreateShl(step, 1), *three = b_.CreateAdd(two, step);
    Value* group = b_.CreateGEP(bytes, params_[param].row,
                                b_.CreateAdd(b_.CreateMul(index_, step), b_.getInt64(offset)));
    std::vector<Value*> all;
    while (all.size() < lanes_) {
        if (!all.empty()) group = b_.CreateGEP(bytes, group, four);
        all.push_back(group);
        for (Value* const further : {step, two, three})
            if (all.size() < lanes_) all.push_back(b_.CreateGEP(bytes, group, further));
    }
    return all;
}

/// The lanes' elements, one by one: a gather is no faster where they are in the first cache, and up to ten
/// times slower where they come from memory.
Value* LaneEmitter::load_apart(std::uint32_t param, llvm::FixedVectorType* type, unsigned offset) {
    Value* all = llvm::PoisonValue::get(type);
    std::uint64_t lane = 0;
    for (Value* const at : element_addresses(param, offset))
        all = b_.CreateInsertElement(
            all, b_.CreateAlignedLoad(type->getElementType(), at, llvm::Align(1)), lane++);
    return all;
}

/// Those of lanes that have a column.
Value* LaneEmitter::gather(std::uint32_t param, llvm::FixedVectorType* type, unsigned offset,
                           Value* mask) {
    Value* pointers = element_pointers(param, offset);
    Value* idle = in_idle_lanes(type, b_.CreateExtractElement(pointers, std::uint64_t(0)), 1);
    return b_.CreateMaskedGather(type, pointers, llvm::Align(1), mask, idle,
                                 kernel_.params[param].name);
}

/// Those of a row that runs backwards through the elements of an array: a vector, turned round.
Value* LaneEmitter::load_reversed(std::uint32_t param, llvm::FixedVectorType* type) {
    const auto size = static_cast<std::uint64_t>(size_of(kernel_.params[param].dtype));
    const std::string& name = kernel_.params[param].name;
    llvm::SmallVector<int, 64> order;
    for (unsigned l = lanes_; l-- > 0;) order.push_back(static_cast<int>(l));
    const auto bytes_in = [&](Value* columns) {
        return b_.CreateGEP(b_.getInt8Ty(), params_[param].row,
                            b_.CreateNeg(b_.CreateMul(columns, b_.getInt64(size))));
    };
    const auto last = [&] { return bytes_in(b_.CreateAdd(index_, b_.getInt64(lanes_ - 1U))); };
    const auto all = [&]() -> Value* {
        return b_.CreateShuffleVector(b_.CreateAlignedLoad(type, last(), llvm::Align(1), name),
                                      order);
    };
    const auto some = [&](Value* mask) -> Value* {
        Value* idle = in_idle_lanes(type, bytes_in(index_), 1);
        Value* there = b_.CreateShuffleVector(mask, order);
        return b_.CreateShuffleVector(
            b_.CreateMaskedLoad(type, last(), llvm::Align(1), there, idle, name), order);
    };
    if (range_mask_ == nullptr) return all();
    if (whole_ == nullptr) return some(range_mask_);
    return if_whole(all, [&] { return some(range_mask()); }, name);
}

Value* LaneEmitter::load_lanes(std::uint32_t param, llvm::Type* element, unsigned offset) {
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
    const bool whole_elements = element->getPrimitiveSizeInBits() == 8 * size;
    if (p.layout == Layout::unit && whole_elements)
        return load_contiguous(vector, row_address(param), p.name);
    if (whole_elements && param < options_.reversed.size() && options_.reversed[param])
        return load_reversed(param, vector);
    if (range_mask_ == nullptr) return load_apart(param, vector, offset);
    if (whole_ == nullptr) return gather(param, vector, offset, range_mask_);
    return if_whole([&] { return load_apart(param, vector, offset); },
                    [&] { return gather(param, vector, offset, range_mask()); }, p.name);
}

/// What `all` emits where the row has all lanes of a body, else what `some` does; null: nothing.
Value* LaneEmitter::if_whole(llvm::function_ref<Value*()> all, llvm::function_ref<Value*()> some,
                             const std::string& name) {
    auto* whole = BasicBlock::Create(context_, name + ".all", function_);
    auto* part = BasicBlock::Create(context_, name + ".some", function_);
    auto* next = BasicBlock::Create(context_, name + ".done", function_);
    b_.CreateCondBr(whole_, whole, part);
    b_.SetInsertPoint(whole);
    Value* const of_whole = all();
    whole = b_.GetInsertBlock();
    b_.CreateBr(next);
    b_.SetInsertPoint(part);
    Value* const of_part = some();
    part = b_.GetInsertBlock();
    b_.CreateBr(next);
    b_.SetInsertPoint(next);
    if (of_whole == nullptr) return nullptr;
    auto* made = b_.CreatePHI(of_whole->getType(), 2, name);
    made->addIncoming(of_whole, whole);
    made->addIncoming(of_part, part);
    return made;
}

/// What lanes without an element load, of which the first one is not: 0, or where their flags would
/// show, the first `period` elements again and again.
Value* LaneEmitter::in_idle_lanes(llvm::FixedVectorType* vector, Value* first, unsigned period) {
    if (!options_.flags_of_data) return llvm::Constant::getNullValue(vector);
    auto* some = llvm::FixedVectorType::get(vector->getElementType(), period);
    Value* loaded = b_.CreateAlignedLoad(some, first, llvm::Align(1));
    llvm::SmallVector<int, 64> order;
    for (unsigned k = 0; k < vector->getNumElements(); ++k)
        order.push_back(static_cast<int>(k % period));
    return b_.CreateShuffleVector(loaded, order);
}

LaneValue LaneEmitter::emit_load(const Node& n) {
    check_subscripts(n, n.operand_count);
    const DType t = n.dtype;
    const bool varying = kernel_.params[n.aux].layout != Layout::uniform;
    if (is_complex(t)) {
        auto* element = ops_.compute_type(real_type(t));
        if (kernel_.params[n.aux].layout == Layout::unit && lanes_ > 1) {
            auto* pairs = llvm::FixedVectorType::get(element, 2 * lanes_);
            Value* first = row_address(n.aux);
            Value* both =
                range_mask_ == nullptr
                    ? b_.CreateAlignedLoad(pairs, first, llvm::Align(1))
                    : static_cast<Value*>(b_.CreateMaskedLoad(pairs, first, llvm::Align(1),
                                                              interleave(range_mask_, range_mask_),
                                                              in_idle_lanes(pairs, first, 2)));
            return {b_.CreateShuffleVector(both, stride_two(0)),
                    b_.CreateShuffleVector(both, stride_two(1)), varying};
        }
        return {load_lanes(n.aux, element, 0),
                load_lanes(n.aux, element, static_cast<unsigned>(size_of(t) / 2)), varying};
    }
    return {ops_.from_memory(load_lanes(n.aux, ops_.memory_type(t), 0), t), nullptr, varying};
}

/// The lanes that have a column.
Value* LaneEmitter::range_mask() {
    Value* count = b_.CreateTrunc(columns_here_, b_.getInt32Ty());
    return b_.CreateICmpULT(ops_.iota(b_.getInt32Ty()), b_.CreateVectorSplat(lanes_, count),
                            "in_range");
}

// Masks cost a sixth of the time of a short body. So where one masked loop runs all columns, its
// loads and stores jump to masked forms for the last of a row, which make their masks there.

/// The elements from `first` on, of the lanes that have a column.
Value* LaneEmitter::load_contiguous(llvm::Type* type, Value* first, const std::string& name) {
    auto* vector = llvm::cast<llvm::FixedVectorType>(type);
    if (range_mask_ == nullptr) return b_.CreateAlignedLoad(vector, first, llvm::Align(1), name);
    if (whole_ == nullptr)
        return b_.CreateMaskedLoad(vector, first, llvm::Align(1), range_mask_,
                                   in_idle_lanes(vector, first, 1), name);
    return if_whole([&] { return b_.CreateAlignedLoad(vector, first, llvm::Align(1)); },
                    [&] {
                        return b_.CreateMaskedLoad(vector, first, llvm::Align(1), range_mask(),
                                                   in_idle_lanes(vector, first, 1));
                    },
                    name);
}

/// Stores the lanes of `mask` (null: all) to adjacent elements.
void LaneEmitter::store_contiguous(Value* value, Value* first, Value* mask) {
    if (mask == nullptr) {
        b_.CreateAlignedStore(value, first, llvm::Align(1));
        return;
    }
    if (whole_ == nullptr || mask != range_mask_) {
        b_.CreateMaskedStore(value, first, llvm::Align(1), mask);
        return;
    }
    if_whole(
        [&] {
            b_.CreateAlignedStore(value, first, llvm::Align(1));
            return nullptr;
        },
        [&] {
            b_.CreateMaskedStore(value, first, llvm::Align(1), range_mask());
            return nullptr;
        },
        "store");
}

/// Stores the lanes to elements apart from each other, one by one (load_apart).
void LaneEmitter::store_apart(std::uint32_t param, Value* value, unsigned offset) {
    std::uint64_t lane = 0;
    for (Value* const at : element_addresses(param, offset))
        b_.CreateAlignedStore(b_.CreateExtractElement(value, lane++), at, llvm::Align(1));
}

void LaneEmitter::store_lanes(std::uint32_t param, Value* value, unsigned offset, Value* mask,
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
        if (streaming && mask == nullptr) {
            auto* store =
                b_.CreateAlignedStore(value, first, llvm::Align(vector_bytes(options_.isa)));
            auto* one = llvm::ConstantAsMetadata::get(b_.getInt32(1));
            store->setMetadata(llvm::LLVMContext::MD_nontemporal, llvm::MDNode::get(context_, one));
        } else {
            store_contiguous(value, first, mask);
        }
        return;
    }
    const auto scatter = [&](Value* lanes) {
        b_.CreateMaskedScatter(value, element_pointers(param, offset), llvm::Align(1), lanes);
        return nullptr;
    };
    if (mask == nullptr) {
        store_apart(param, value, offset);
    } else if (whole_ == nullptr || mask != range_mask_) {
        scatter(mask);
    } else {
        if_whole(
            [&] {
                store_apart(param, value, offset);
                return nullptr;
            },
            [&] { return scatter(range_mask()); }, "store");
    }
}

void LaneEmitter::emit_store(const Node& n, Id id) {
    if (kernel_.params[n.aux].rank != 0) check_subscripts(n, n.operand_count - 1U);
    const LaneValue v = value(kernel_.operands_of(id).back());
    store_value(n, kernel_.form == ir::Form::scan ? running(v) : v);
}

void LaneEmitter::store_value(const Node& n, const LaneValue& v) {
    const DType t = kernel_.params[n.aux].dtype;
    if (is_complex(t) && kernel_.params[n.aux].layout == Layout::unit && lanes_ > 1) {
        Value* both = interleave(ops_.as_varying(v, v.value), ops_.as_varying(v, v.imag));
        Value* first = row_address(n.aux);
        if (mask_ == nullptr)
            b_.CreateAlignedStore(both, first, llvm::Align(1));
        else
            b_.CreateMaskedStore(both, first, llvm::Align(1), interleave(mask_, mask_));
        return;
    }
    if (is_complex(t)) {
        store_lanes(n.aux, ops_.as_varying(v, v.value), 0, mask_, false);
        store_lanes(n.aux, ops_.as_varying(v, v.imag), static_cast<unsigned>(size_of(t) / 2), mask_,
                    false);
        return;
    }
    const bool streaming = main_loop_ && n.aux == streamed_;
    const bool whole_registers = lanes_ * size_of(t) % vector_bytes(options_.isa) == 0;
    store_lanes(n.aux, ops_.to_memory(ops_.as_varying(v, v.value), t), 0, mask_,
                streaming && whole_registers);
}

LaneValue LaneEmitter::read_slot(std::uint32_t slot, bool varying) {
    const LaneValue& place = varying ? slots_[slot].lanes : slots_[slot].one;
    const auto load = [&](Value* at) -> Value* {
        if (at == nullptr) return nullptr;
        return b_.CreateLoad(llvm::cast<llvm::AllocaInst>(at)->getAllocatedType(), at);
    };
    return {load(place.value), load(place.imag), varying};
}

void LaneEmitter::write_slot(std::uint32_t slot, const LaneValue& v, bool to_all_lanes) {
    const bool of_state = part_in(slot) != nullptr;
    const auto put = [&](Value* place, Value* part) {
        if (place == nullptr) return;
        Value* full = ops_.as_varying(v, part);
        if (!to_all_lanes && mask_ != nullptr && (mask_ != range_mask_ || of_state))
            full = b_.CreateSelect(mask_, full, b_.CreateLoad(full->getType(), place));
        b_.CreateStore(full, place);
    };
    put(slots_[slot].lanes.value, v.value);
    put(slots_[slot].lanes.imag, v.imag);
    if (v.varying) return;
    if (slots_[slot].one.value != nullptr) b_.CreateStore(v.value, slots_[slot].one.value);
    if (slots_[slot].one.imag != nullptr) b_.CreateStore(v.imag, slots_[slot].one.imag);
}

}  // namespace kiln::codegen
