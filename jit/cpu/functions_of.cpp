#include "jit/cpu/functions_of.h"

#include <llvm/DebugInfo/DWARF/DWARFContext.h>
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Object/SymbolSize.h>

namespace kiln::engine {

std::vector<CodeFunction> functions_of(std::span<const std::byte> object) {
    const llvm::StringRef bytes(reinterpret_cast<const char*>(object.data()), object.size());
    auto file =
        llvm::object::ObjectFile::createELFObjectFile(llvm::MemoryBufferRef(bytes, "kernel"));
    if (!file) {
        llvm::consumeError(file.takeError());
        return {};
    }
    const auto dwarf = llvm::DWARFContext::create(**file);
    std::vector<CodeFunction> all;
    for (const auto& [symbol, size] : llvm::object::computeSymbolSizes(**file)) {
        const auto kind = llvm::expectedToOptional(symbol.getType());
        const auto name = llvm::expectedToOptional(symbol.getName());
        const auto address = llvm::expectedToOptional(symbol.getAddress());
        const auto section = llvm::expectedToOptional(symbol.getSection());
        if (kind != llvm::object::SymbolRef::ST_Function || !name || !address || !section) continue;
        CodeFunction f{.name = name->str(), .address = *address, .size = size, .lines = {}};
        const auto lines = dwarf->getLineInfoForAddressRange(
            {*address, (*section)->getIndex()}, size,
            {llvm::DILineInfoSpecifier::FileLineInfoKind::AbsoluteFilePath,
             llvm::DILineInfoSpecifier::FunctionNameKind::ShortName});
        for (const auto& [at, line] : lines) {
            if (f.lines.empty() && !line.FunctionName.empty() && line.FunctionName != "<invalid>")
                f.name = line.FunctionName;
            f.lines.push_back({at - *address, line.Line, line.FileName});
        }
        all.push_back(std::move(f));
    }
    return all;
}

}  // namespace kiln::engine
