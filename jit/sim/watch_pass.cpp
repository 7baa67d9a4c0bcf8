#include "jit/sim/watch_pass.h"

#include "jit/sim/memory.h"

#include <llvm/ADT/StringExtras.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/DebugInfoMetadata.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>

#include <map>

namespace kiln::sim {
namespace {

class Watcher {
  public:
    explicit Watcher(llvm::Module& module)
        : module_(module),
          context_(module.getContext()),
          pointer_(llvm::PointerType::get(context_, 0)) {
        access_ = module.getOrInsertFunction("kiln_sim_access", llvm::Type::getVoidTy(context_),
                                             pointer_, llvm::Type::getInt32Ty(context_), pointer_);
    }

    void run() {
        for (llvm::Function& f : module_) {
            if (f.isDeclaration() || !f.hasFnAttribute(llvm::Attribute::SanitizeThread)) continue;
            std::vector<llvm::Instruction*> accesses;
            std::vector<llvm::MemIntrinsic*> blocks;
            for (llvm::Instruction& i : llvm::instructions(f)) {
                if (is_watched(llvm::getLoadStorePointerOperand(&i))) accesses.push_back(&i);
                if (auto* const block = llvm::dyn_cast<llvm::MemIntrinsic>(&i))
                    blocks.push_back(block);
            }
            for (llvm::Instruction* i : accesses) watch(*i);
            for (llvm::MemIntrinsic* i : blocks) watch_block(*i);
        }
    }

  private:
    static bool is_watched(const llvm::Value* at) {
        if (at == nullptr) return false;
        const llvm::Value* const object = llvm::getUnderlyingObject(at);
        if (llvm::isa<llvm::AllocaInst>(object)) return false;
        // Constants, and the places of thread and block.
        if (const auto* global = llvm::dyn_cast<llvm::GlobalVariable>(object))
            return !global->isConstant() &&
                   (!global->isDeclaration() || global->getName() == "kiln_sim_dynamic_shared");
        return true;
    }

    void watch(llvm::Instruction& i) {
        llvm::IRBuilder<> builder(&i);
        const bool writes = llvm::isa<llvm::StoreInst>(i);
        const auto bytes = static_cast<std::uint32_t>(
            module_.getDataLayout().getTypeStoreSize(llvm::getLoadStoreType(&i)).getFixedValue());
        touch(builder, llvm::getLoadStorePointerOperand(&i), {bytes, writes, i.isVolatile()}, i);
    }

    /// Structs that are copied or cleared as bytes.
    void watch_block(llvm::MemIntrinsic& i) {
        const auto* const length = llvm::dyn_cast<llvm::ConstantInt>(i.getLength());
        if (length == nullptr || length->isZero()) return;
        llvm::IRBuilder<> builder(&i);
        const auto bytes = static_cast<std::uint32_t>(length->getZExtValue());
        if (auto* const copy = llvm::dyn_cast<llvm::MemTransferInst>(&i))
            if (is_watched(copy->getRawSource()))
                touch(builder, copy->getRawSource(), {bytes, false, i.isVolatile()}, i);
        if (is_watched(i.getRawDest()))
            touch(builder, i.getRawDest(), {bytes, true, i.isVolatile()}, i);
    }

    void touch(llvm::IRBuilder<>& builder, llvm::Value* at, const Access& access,
               const llvm::Instruction& i) {
        builder.CreateCall(access_, {at, builder.getInt32(pack(access)), site_of(i)});
    }

    /// Its Site: the line where the outermost function that the instruction came from has it.
    llvm::GlobalVariable* site_of(const llvm::Instruction& i) {
        const llvm::DILocation* at = i.getDebugLoc().get();
        while (at != nullptr && at->getInlinedAt() != nullptr) at = at->getInlinedAt();
        const std::string file = at == nullptr ? "" : at->getFilename().str();
        llvm::Constant*& name = files_[file];
        if (name == nullptr)
            name = new_global(llvm::ConstantDataArray::getString(context_, file), true);
        static_assert(sizeof(Site) == 32 && offsetof(Site, line) == 8 &&
                      offsetof(Site, range) == 16);
        llvm::Type* const word = llvm::Type::getInt32Ty(context_);
        llvm::Constant* const line =
            llvm::ConstantInt::get(word, at == nullptr ? 0 : at->getLine());
        return new_global(llvm::ConstantStruct::getAnon(
                              {name, line, llvm::ConstantInt::get(word, 0),
                               llvm::ConstantPointerNull::get(pointer_),
                               llvm::ConstantInt::get(llvm::Type::getInt64Ty(context_), 0)}),
                          false);
    }

    llvm::GlobalVariable* new_global(llvm::Constant* value, bool constant) {
        return new llvm::GlobalVariable(module_, value->getType(), constant,
                                        llvm::GlobalValue::PrivateLinkage, value);
    }

    llvm::Module& module_;
    llvm::LLVMContext& context_;
    llvm::PointerType* pointer_;
    llvm::FunctionCallee access_;
    std::map<std::string, llvm::Constant*> files_;
};

/// The name in the text of a variable of a function: "_ZZ6kernelvE4tile" and "kernel.tile" are tile.
std::string variable_name(llvm::StringRef symbol) {
    const std::size_t dot = symbol.find_last_of('.');
    if (dot != llvm::StringRef::npos && !symbol.substr(dot + 1).empty() &&
        llvm::isAlpha(symbol[dot + 1]))
        return symbol.substr(dot + 1).str();
    const std::size_t local = symbol.find_last_of('E');
    if (!symbol.starts_with("_ZZ") || local == llvm::StringRef::npos) return symbol.str();
    std::size_t length = 0;
    const llvm::StringRef rest = symbol.substr(local + 1);
    const std::size_t digits = rest.find_first_not_of("0123456789");
    if (digits == llvm::StringRef::npos || rest.substr(0, digits).getAsInteger(10, length))
        return symbol.str();
    return rest.substr(digits, length).str();
}

}  // namespace

std::vector<SharedSymbol> export_shared_variables(llvm::Module& module) {
    constexpr unsigned room = 256;
    std::vector<llvm::GlobalVariable*> found;
    for (llvm::GlobalVariable& g : module.globals())
        if (g.getSection() == "kiln_shared") found.push_back(&g);
    std::vector<SharedSymbol> all;
    for (llvm::GlobalVariable* g : found) {
        llvm::LLVMContext& context = module.getContext();
        auto* const type = llvm::StructType::get(
            g->getValueType(), llvm::ArrayType::get(llvm::Type::getInt8Ty(context), room));
        const std::string symbol = "kiln_shared_" + std::to_string(all.size());
        auto* const padded =
            new llvm::GlobalVariable(module, type, false, llvm::GlobalValue::ExternalLinkage,
                                     llvm::Constant::getNullValue(type), symbol);
        padded->setAlignment(llvm::Align(64));
        const std::size_t bytes =
            module.getDataLayout().getTypeAllocSize(g->getValueType()).getFixedValue();
        all.push_back({variable_name(g->getName()), symbol, bytes});
        g->replaceAllUsesWith(padded);
        g->eraseFromParent();
    }
    return all;
}

void watch_accesses(llvm::Module& module) { Watcher(module).run(); }

}  // namespace kiln::sim
