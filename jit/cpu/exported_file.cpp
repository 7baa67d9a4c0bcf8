#include "jit/cpu/exported_file.h"

#include "codegen/llvm/exported.h"
#include "jit/cpu/compiler.h"

#include <llvm/ObjCopy/CommonConfig.h>
#include <llvm/ObjCopy/ELF/ELFConfig.h>
#include <llvm/ObjCopy/ELF/ELFObjcopy.h>
#include <llvm/Object/ELFObjectFile.h>

namespace kiln::engine {

ExportedObject exported_file(std::span<const std::byte> object) {
    const llvm::StringRef bytes(reinterpret_cast<const char*>(object.data()), object.size());
    const auto file = check("an exported object", llvm::object::ObjectFile::createELFObjectFile(
                                                      llvm::MemoryBufferRef(bytes, "kernel")));
    ExportedObject made{{object.begin(), object.end()}};
    // What the code generator calls by itself has the names of compilers' libraries.
    llvm::objcopy::CommonConfig names;
    std::vector<std::string> kept;  // the configuration refers to them
    for (const llvm::object::SymbolRef symbol : file->symbols()) {
        const auto flags = check("a symbol", symbol.getFlags());
        const llvm::StringRef name = check("a symbol", symbol.getName());
        if ((flags & llvm::object::SymbolRef::SF_Undefined) == 0 || name.empty()) continue;
        made.calls.push_back(codegen::exported_name(name.str()));
        if (made.calls.back() != name) kept.push_back(name.str());
    }
    if (kept.empty()) return made;
    std::vector<std::string> wanted;
    for (const std::string& name : kept) wanted.push_back(codegen::exported_name(name));
    for (std::size_t i = 0; i < kept.size(); ++i) names.SymbolsToRename[kept[i]] = wanted[i];
    llvm::SmallVector<char, 0> renamed;
    llvm::raw_svector_ostream out(renamed);
    if (llvm::Error error = llvm::objcopy::elf::executeObjcopyOnBinary(
            names, {}, llvm::cast<llvm::object::ELFObjectFileBase>(*file), out))
        fail("an exported object", std::move(error));
    const auto* const first = reinterpret_cast<const std::byte*>(renamed.data());
    made.object.assign(first, first + renamed.size());
    return made;
}

}  // namespace kiln::engine
