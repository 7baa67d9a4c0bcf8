#include "codegen/llvm/transforms/shared_loads.h"

#include "codegen/llvm/transforms/addresses.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Instructions.h>

namespace kiln::codegen {
namespace {

using llvm::Value;

constexpr std::int64_t widest_vector = 64;

struct Load {
    llvm::LoadInst* load;
    std::size_t place;  // in its block
};
struct Key {
    Value* root;
    std::map<Value*, std::int64_t> terms;
    llvm::Type* type;
    std::size_t write;  // the writes of the block before the load
    auto operator<=>(const Key&) const = default;
};
using Group = std::map<std::int64_t, Load>;  // by offset

/// Where in the block the value is first used; `end` where it is not used in it.
std::size_t first_use(const llvm::LoadInst& load, const std::map<const Value*, std::size_t>& places,
                      std::size_t end) {
    for (const llvm::User* user : load.users()) {
        const auto at = places.find(user);
        // A phi takes the value at the end of its predecessor.
        if (at != places.end() && !llvm::isa<llvm::PHINode>(user)) end = std::min(end, at->second);
    }
    return end;
}

void share(const Group& group, const std::map<const Value*, std::size_t>& places) {
    if (group.size() < 3) return;
    auto* type = llvm::cast<llvm::FixedVectorType>(group.begin()->second.load->getType());
    const auto lanes = static_cast<std::int64_t>(type->getNumElements());
    const std::int64_t size = widest_vector / lanes;
    const auto phase = [](std::int64_t offset) {
        return ((offset % widest_vector) + widest_vector) % widest_vector;
    };
    // The offset that most loads have, of several the one that comes first in the block.
    std::map<std::int64_t, std::pair<std::size_t, std::size_t>> phases;  // count, first place
    for (const auto& [offset, load] : group) {
        auto& [count, place] = phases.try_emplace(phase(offset), 0, load.place).first->second;
        ++count;
        place = std::min(place, load.place);
    }
    const auto best = std::ranges::max_element(phases, [](const auto& a, const auto& b) {
        return a.second.first != b.second.first ? a.second.first < b.second.first
                                                : a.second.second > b.second.second;
    });
    if (best->second.first < 2) return;
    for (const auto& [offset, load] : group) {
        const std::int64_t shift = phase(minus(offset, best->first));
        if (shift == 0 || shift % size != 0) continue;
        const auto low = group.find(minus(offset, shift)),
                   high = group.find(plus(minus(offset, shift), widest_vector));
        if (low == group.end() || high == group.end()) continue;
        llvm::LoadInst* const later =
            low->second.place > high->second.place ? low->second.load : high->second.load;
        const std::size_t have = std::max(low->second.place, high->second.place);
        if (first_use(*load.load, places, static_cast<std::size_t>(-1)) <= have) continue;
        llvm::IRBuilder<> b(load.place > have ? load.load : later->getNextNode());
        std::vector<int> order;
        for (std::int64_t l = 0; l < lanes; ++l)
            order.push_back(static_cast<int>(l + shift / size));
        Value* shuffled =
            b.CreateShuffleVector(low->second.load, high->second.load, order, "shared");
        load.load->replaceAllUsesWith(shuffled);
        load.load->eraseFromParent();
    }
}

}  // namespace

void share_loads(llvm::Function& function) {
    for (llvm::BasicBlock& block : function) {
        std::map<Key, Group> groups;
        std::map<const Value*, std::size_t> places;
        std::size_t place = 0, writes = 0;
        for (llvm::Instruction& i : block) {
            places[&i] = ++place;
            if (i.mayWriteToMemory()) ++writes;
            auto* load = llvm::dyn_cast<llvm::LoadInst>(&i);
            if (load == nullptr || !load->isSimple()) continue;
            auto* type = llvm::dyn_cast<llvm::FixedVectorType>(load->getType());
            if (type == nullptr || type->getPrimitiveSizeInBits() != 8 * widest_vector ||
                type->getScalarSizeInBits() < 32)
                continue;
            if (auto at = address_of(load->getPointerOperand()))
                groups[{at->root, std::move(at->terms), type, writes}].try_emplace(
                    at->offset, Load{load, place});
        }
        for (const auto& [key, group] : groups) share(group, places);
    }
}

}  // namespace kiln::codegen
