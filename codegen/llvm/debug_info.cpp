#include "codegen/llvm/debug_info.h"

#include "dsl/ir/walk.h"

#include <llvm/BinaryFormat/Dwarf.h>
#include <llvm/IR/Module.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>

namespace kiln::codegen {
namespace {

namespace fs = std::filesystem;

bool is_part(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// The names that a line declares: words before `=`, `(`, `{`, `;`, `[` or `:` that another word stands
/// before, which is a type.
std::vector<std::string> declared(const std::string& line) {
    std::vector<std::string> names;
    bool after_word = false;
    for (std::size_t i = 0; i < line.size();) {
        if (!is_part(line[i])) {
            if (line[i] == '/' && i + 1 < line.size() && line[i + 1] == '/') break;
            // What may stand between a type and the name.
            after_word = after_word && (line[i] == ' ' || line[i] == '&' || line[i] == '>');
            ++i;
            continue;
        }
        std::size_t end = i;
        while (end < line.size() && is_part(line[end])) ++end;
        const std::string word = line.substr(i, end - i);
        std::size_t next = end;
        while (next < line.size() && line[next] == ' ') ++next;
        const char follows = next < line.size() ? line[next] : '\0';
        const bool ends =
            follows != '\0' && std::string_view("=({;[:,)").find(follows) != std::string_view::npos;
        const bool compares = follows == '=' && next + 1 < line.size() && line[next + 1] == '=';
        const bool qualifies = follows == ':' && next + 1 < line.size() && line[next + 1] == ':';
        if (after_word && ends && !compares && !qualifies && word != "for" && word != "if")
            names.push_back(word);
        static constexpr std::string_view keywords[] = {"return", "for",   "if",
                                                        "else",   "while", "do"};
        after_word = std::ranges::find(keywords, word) == std::end(keywords) && follows != '(';
        i = end;
    }
    return names;
}

/// Compilers name a file as it was named to them: from the folder that they ran in. That is this one,
/// or one that the program lies below.
fs::path folder_of(std::string_view file) {
    if (file.starts_with('/')) return {};
    std::error_code error;
    const fs::path here = fs::current_path(error);
    if (fs::exists(here / file, error)) return here;
    for (fs::path above = fs::read_symlink("/proc/self/exe", error); above.has_relative_path();) {
        above = above.parent_path();
        if (fs::exists(above / file, error)) return above;
    }
    return here;
}

}  // namespace

DebugInfo::DebugInfo(llvm::Module& module, const ir::Kernel& kernel, DebugDetail detail)
    : module_(module), detail_(detail), builder_(module) {
    module.addModuleFlag(llvm::Module::Warning, "Debug Info Version", llvm::DEBUG_METADATA_VERSION);
    module.addModuleFlag(llvm::Module::Warning, "Dwarf Version", 4);
    const Location where = first_line(kernel);
    builder_.createCompileUnit(llvm::dwarf::DW_LANG_C_plus_plus, file(where.file), "kiln",
                               detail != DebugDetail::variables, "", 0);
}

Location DebugInfo::first_line(const ir::Kernel& kernel) {
    Location first;
    for (const ir::Stage& stage : kernel.stages)
        ir::walk(kernel, stage.body, [&](ir::Id id) {
            if (first.line == 0) first = kernel.location(kernel.nodes[id].loc);
        });
    return first;
}

llvm::DIFile* DebugInfo::file(std::string_view path) {
    const auto found = files_.find(path);
    if (found != files_.end()) return found->second;
    auto* made =
        builder_.createFile(path.empty() ? "kernel" : std::string(path), folder_of(path).string());
    files_.emplace(path, made);
    return made;
}

llvm::DIScope* DebugInfo::scope(llvm::DISubprogram* function, std::string_view path) {
    llvm::DIFile* const own = file(path);
    if (path.empty() || own == function->getFile()) return function;
    return builder_.createLexicalBlockFile(function, own);
}

void DebugInfo::enter(llvm::Function& function, const ir::Kernel& kernel, llvm::IRBuilder<>& b) {
    const Location where = first_line(kernel);
    auto* const type = builder_.createSubroutineType(builder_.getOrCreateTypeArray({}));
    auto* const made = builder_.createFunction(
        file(where.file), kernel.name.empty() ? "kernel" : kernel.name, "", file(where.file),
        where.line, type, where.line, llvm::DINode::FlagPrototyped,
        llvm::DISubprogram::SPFlagDefinition |
            (has_variables() ? llvm::DISubprogram::SPFlagZero
                             : llvm::DISubprogram::SPFlagOptimized));
    function.setSubprogram(made);
    b.SetCurrentDebugLocation(llvm::DILocation::get(module_.getContext(), where.line, 0, made));
}

void DebugInfo::at(const llvm::Function& function, const ir::Kernel& kernel, std::uint32_t loc,
                   llvm::IRBuilder<>& b) {
    const Location where = kernel.location(loc);
    if (where.line == 0) return;
    b.SetCurrentDebugLocation(llvm::DILocation::get(module_.getContext(), where.line, 0,
                                                    scope(function.getSubprogram(), where.file)));
}

llvm::DIType* DebugInfo::type(DType dtype, std::uint32_t length) {
    const unsigned encoding = is_bool(dtype)       ? llvm::dwarf::DW_ATE_boolean
                              : is_unsigned(dtype) ? llvm::dwarf::DW_ATE_unsigned
                              : is_integer(dtype)  ? llvm::dwarf::DW_ATE_signed
                                                   : llvm::dwarf::DW_ATE_float;
    const std::uint64_t bits = 8 * size_of(dtype);
    llvm::DIType* const one = builder_.createBasicType(name(dtype), bits, encoding);
    if (length == 1) return one;
    llvm::Metadata* const range = builder_.getOrCreateSubrange(0, length);
    return builder_.createArrayType(length * bits, 0, one, builder_.getOrCreateArray({range}));
}

std::string DebugInfo::source_line(const Location& where) {
    if (where.line == 0) return {};
    auto found = sources_.find(where.file);
    if (found == sources_.end()) {
        std::vector<std::string> lines;
        std::ifstream in(folder_of(where.file) / where.file);
        for (std::string line; std::getline(in, line);) lines.push_back(line);
        found = sources_.emplace(std::string(where.file), std::move(lines)).first;
    }
    return where.line <= found->second.size() ? found->second[where.line - 1] : std::string();
}

void DebugInfo::declare(llvm::Function& function, const Location& where, const std::string& name,
                        llvm::DIType* type, llvm::Value* place) {
    llvm::DISubprogram* const of = function.getSubprogram();
    llvm::DIScope* const inside = scope(of, where.file);
    auto* const variable =
        builder_.createAutoVariable(inside, name, file(where.file), where.line, type, true);
    variables_.push_back(
        {place, variable, llvm::DILocation::get(module_.getContext(), where.line, 0, inside)});
}

void DebugInfo::variable(llvm::Function& function, const ir::Kernel& kernel, const ir::Slot& slot,
                         std::uint32_t loc, llvm::Value* place) {
    const Location where = kernel.location(loc);
    const std::vector<std::string> names = declared(source_line(where));
    // Of several in one line each has the next name; those of a loop of its head come first.
    const unsigned number = taken_[function.getName().str() + ':' + std::to_string(where.line)]++;
    declare(function, where, number < names.size() ? names[number] : slot.name,
            type(slot.dtype, slot.length), place);
}

void DebugInfo::index(llvm::Function& function, const ir::Kernel& kernel, std::uint32_t loc,
                      llvm::Value* place) {
    const Location where = kernel.location(loc);
    const std::string line = source_line(where);
    const std::size_t head = line.find("for");
    const std::vector<std::string> names =
        declared(head == std::string::npos ? line : line.substr(head + 3));
    declare(function, where, names.empty() ? "index" : names[0], type(DType::i64, 1), place);
}

void DebugInfo::finish() {
    for (const Variable& v : variables_) {
        auto* const at = llvm::cast<llvm::AllocaInst>(v.place)->getParent()->getTerminator();
        builder_.insertDeclare(v.place, v.variable, builder_.createExpression(), v.line, at);
    }
    for (llvm::Function& f : module_) {
        llvm::DISubprogram* const of = f.getSubprogram();
        if (f.isDeclaration()) continue;
        for (llvm::BasicBlock& block : f)
            for (llvm::Instruction& i : block) {
                // Those that nobody's line made; what a function begins with, where values are read
                // when they are first needed.
                if (of == nullptr)
                    i.setDebugLoc({});
                else if (&block == &f.getEntryBlock() || !i.getDebugLoc())
                    i.setDebugLoc(llvm::DILocation::get(f.getContext(), of->getLine(), 0, of));
            }
    }
    builder_.finalize();
}

}  // namespace kiln::codegen
