#include "codegen/llvm/exported.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <cstring>
#include <string_view>

namespace kiln::codegen {
namespace {

llvm::Type* type_of(abi::ExportedWord word, llvm::IRBuilder<>& b) {
    switch (word) {
        case abi::ExportedWord::boolean:
        case abi::ExportedWord::i8: return b.getInt8Ty();
        case abi::ExportedWord::i16: return b.getInt16Ty();
        case abi::ExportedWord::i32: return b.getInt32Ty();
        case abi::ExportedWord::i64: return b.getInt64Ty();
        case abi::ExportedWord::f32: return b.getFloatTy();
        case abi::ExportedWord::f64: return b.getDoubleTy();
        case abi::ExportedWord::pointer: return b.getPtrTy();
    }
    __builtin_unreachable();
}

/// {entry, the other bytes of an ExportedKernel, its parameters}
llvm::GlobalVariable* description(llvm::Module& module, llvm::Function* entry,
                                  const abi::ExportedFunction& function) {
    llvm::LLVMContext& context = module.getContext();
    std::vector<std::uint8_t> bytes(sizeof(abi::ExportedKernel) +
                                    function.params.size() * sizeof(abi::ExportedParam));
    std::memcpy(bytes.data(), &function.kernel, sizeof function.kernel);
    if (!function.params.empty())
        std::memcpy(bytes.data() + sizeof function.kernel, function.params.data(),
                    function.params.size() * sizeof(abi::ExportedParam));
    bytes.erase(bytes.begin(), bytes.begin() + abi::word_bytes);
    auto* content =
        llvm::ConstantStruct::getAnon({entry, llvm::ConstantDataArray::get(context, bytes)});
    auto* made = new llvm::GlobalVariable(module, content->getType(), true,
                                          llvm::GlobalValue::PrivateLinkage, content);
    made->setAlignment(llvm::Align(abi::word_bytes));
    return made;
}

}  // namespace

std::string exported_name(const std::string& symbol) {
    constexpr std::string_view careful = "kiln_careful_", prefix = "kiln_";
    return symbol.starts_with(careful) ? "kiln_rt_" + symbol.substr(prefix.size())
           : symbol == "__truncsfhf2"  ? "kiln_rt_truncate_to_half"
                                       : symbol;
}

void add_exported_function(llvm::Module& module, const std::string& entry,
                           const abi::ExportedFunction& function) {
    llvm::Function* const compiled = module.getFunction(entry);
    for (llvm::Function& f : module) {
        if (f.isIntrinsic()) continue;
        if (f.isDeclaration()) {
            f.setName(exported_name(f.getName().str()));
        } else {
            f.setLinkage(llvm::Function::InternalLinkage);
            f.setName("kiln." + f.getName());  // which is no name of C's
        }
    }
    llvm::IRBuilder<> b(module.getContext());
    std::vector<llvm::Type*> types;
    for (const abi::ExportedWord word : function.words) types.push_back(type_of(word, b));
    auto* made = llvm::Function::Create(llvm::FunctionType::get(b.getInt32Ty(), types, false),
                                        llvm::Function::ExternalLinkage, function.symbol, module);
    made->addFnAttr(llvm::Attribute::NoUnwind);
    // It comes before the runtime has looked at the CPU.
    made->addFnAttr("target-cpu", "x86-64");
    made->addFnAttr("target-features", "");
    b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "entry", made));
    auto* words = b.CreateAlloca(
        llvm::ArrayType::get(b.getInt64Ty(), std::max<std::size_t>(types.size(), 1)));
    for (unsigned i = 0; i < types.size(); ++i) {
        llvm::Value* value = made->getArg(i);
        if (function.words[i] == abi::ExportedWord::boolean)
            value = b.CreateZExt(b.CreateIsNotNull(value), value->getType());
        b.CreateStore(value, b.CreateConstInBoundsGEP1_64(b.getInt64Ty(), words, i));
    }
    const auto call = module.getOrInsertFunction(
        abi::exported_call,
        llvm::FunctionType::get(b.getInt32Ty(), {b.getPtrTy(), b.getPtrTy()}, false));
    b.CreateRet(b.CreateCall(call, {description(module, compiled, function), words}));
}

}  // namespace kiln::codegen
