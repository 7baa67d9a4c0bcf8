#include "codegen/llvm/transforms/strided_loads.h"

#include "codegen/llvm/transforms/addresses.h"

#include <algorithm>
#include <map>
#include <vector>

#include <llvm/IR/DebugInfoMetadata.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Instructions.h>
#include <llvm/Transforms/Utils/Local.h>

namespace kiln::codegen {
namespace {

using llvm::Value;

/// Farther ones take more vectors than loads of their own save; of 8 bytes a vector has few.
constexpr std::int64_t farthest_elements = 3, farthest_of_8_bytes = 2;
constexpr std::size_t least_lanes = 4;

/// Where in its block an instruction stands, and how many before it write.
struct Place {
    std::size_t at = 0, writes = 0;
};
using Places = std::map<const llvm::Instruction*, Place>;

/// The elements of a vector, by lane, if it is put together from loads one by one, each for it alone.
std::vector<llvm::LoadInst*> elements(llvm::InsertElementInst& last) {
    auto* type = llvm::dyn_cast<llvm::FixedVectorType>(last.getType());
    if (type == nullptr) return {};
    std::vector<llvm::LoadInst*> found(type->getNumElements());
    Value* rest = &last;
    while (auto* insert = llvm::dyn_cast<llvm::InsertElementInst>(rest)) {
        auto* lane = llvm::dyn_cast<llvm::ConstantInt>(insert->getOperand(2));
        auto* load = llvm::dyn_cast<llvm::LoadInst>(insert->getOperand(1));
        if (lane == nullptr || load == nullptr || !load->isSimple() || !load->hasOneUse() ||
            load->getParent() != last.getParent() || lane->getZExtValue() >= found.size() ||
            found[lane->getZExtValue()] != nullptr || (insert != &last && !insert->hasOneUse()))
            return {};
        found[lane->getZExtValue()] = load;
        rest = insert->getOperand(0);
    }
    return std::ranges::count(found, nullptr) == 0 ? found : std::vector<llvm::LoadInst*>();
}

/// How many elements apart each is from the one before, 2 or more; 0: not all as many, or something is written
/// between them.
std::int64_t distance(const std::vector<llvm::LoadInst*>& loads, const Places& places) {
    const std::int64_t size = loads[0]->getType()->getPrimitiveSizeInBits().getFixedValue() / 8;
    if (size == 0) return 0;
    const auto first = address_of(loads[0]->getPointerOperand());
    if (!first) return 0;
    std::int64_t step = 0;
    for (std::size_t lane = 1; lane < loads.size(); ++lane) {
        const auto next = address_of(loads[lane]->getPointerOperand());
        if (!next || next->root != first->root || next->terms != first->terms ||
            places.at(loads[lane]).writes != places.at(loads[0]).writes)
            return 0;
        const std::int64_t apart = minus(next->offset, first->offset);
        if (lane == 1) step = apart;
        if (apart != times(step, static_cast<std::int64_t>(lane))) return 0;
    }
    return step % size == 0 && step / size >= 2 ? step / size : 0;
}

StridedLoads told(const llvm::LoadInst& load, std::int64_t step) {
    StridedLoads made;
    made.step = static_cast<unsigned>(step);
    made.bytes =
        static_cast<unsigned>(load.getType()->getPrimitiveSizeInBits().getFixedValue() / 8);
    made.joined = step <= (made.bytes == 8 ? farthest_of_8_bytes : farthest_elements);
    if (const llvm::DebugLoc& at = load.getDebugLoc()) {
        made.file = llvm::cast<llvm::DIScope>(at.getScope())->getFilename().str();
        made.line = at.getLine();
    }
    return made;
}

/// The vector of those loads, before the one that comes last. They may be aligned to more than an element.
Value* joined(const std::vector<llvm::LoadInst*>& loads, std::int64_t step, llvm::Type* type,
              llvm::Instruction* before) {
    llvm::IRBuilder<> b(before);
    const auto lanes = static_cast<std::int64_t>(loads.size()), all = (lanes - 1) * step + 1;
    const std::int64_t size = loads[0]->getType()->getPrimitiveSizeInBits().getFixedValue() / 8;
    std::vector<std::int64_t>
        begins;  // of each vector, in elements; the last one ends with the last element
    for (std::int64_t v = 0; v + 1 < step; ++v) begins.push_back(v * lanes);
    begins.push_back(all - lanes);
    Value* result = nullptr;
    for (std::size_t v = 0; v < begins.size(); ++v) {
        Value* at = b.CreateConstGEP1_64(loads[0]->getType(), loads[0]->getPointerOperand(),
                                         static_cast<std::uint64_t>(begins[v]));
        auto* part = b.CreateAlignedLoad(
            type, at,
            llvm::commonAlignment(loads[0]->getAlign(),
                                  static_cast<std::uint64_t>(begins[v] * size)));
        const llvm::AAMDNodes aliases = loads[0]->getAAMetadata();
        part->setMetadata(llvm::LLVMContext::MD_alias_scope, aliases.Scope);
        part->setMetadata(llvm::LLVMContext::MD_noalias, aliases.NoAlias);
        std::vector<int> order;
        for (std::int64_t l = 0; l < lanes; ++l) {
            const std::int64_t element = l * step - begins[v];
            const bool here = element >= 0 && element < lanes;
            const std::int64_t lane =
                v == 0 ? (here ? element : llvm::PoisonMaskElem) : (here ? lanes + element : l);
            order.push_back(static_cast<int>(lane));
        }
        result = b.CreateShuffleVector(v == 0 ? part : result, part, order, "joined");
    }
    return result;
}

}  // namespace

std::vector<StridedLoads> join_strided_loads(llvm::Function& function) {
    std::vector<StridedLoads> all;
    for (llvm::BasicBlock& block : function) {
        Places places;
        Place here;
        std::vector<llvm::InsertElementInst*> inserts;
        for (llvm::Instruction& i : block) {
            ++here.at;
            if (i.mayWriteToMemory()) ++here.writes;
            places[&i] = here;
            if (auto* insert = llvm::dyn_cast<llvm::InsertElementInst>(&i))
                inserts.push_back(insert);
        }
        std::vector<llvm::Instruction*> replaced;
        for (llvm::InsertElementInst* insert : inserts) {
            const auto loads = elements(*insert);
            const std::int64_t step = loads.size() < least_lanes ? 0 : distance(loads, places);
            if (step == 0) continue;
            StridedLoads found = told(*loads[0], step);
            const bool joins = found.joined;
            if (found.line != 0) all.push_back(std::move(found));
            if (!joins) continue;
            llvm::LoadInst* const latest = *std::ranges::max_element(
                loads, {}, [&](const llvm::LoadInst* load) { return places.at(load).at; });
            insert->replaceAllUsesWith(joined(loads, step, insert->getType(), latest));
            replaced.push_back(insert);
        }
        for (llvm::Instruction* insert : replaced)
            llvm::RecursivelyDeleteTriviallyDeadInstructions(insert);
    }
    return all;
}

}  // namespace kiln::codegen
