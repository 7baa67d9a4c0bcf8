#include "dsl/text/emit/clang_module.h"

#include <clang/CodeGen/CodeGenAction.h>
#include <clang/Frontend/CompilerInstance.h>
#include <clang/Frontend/CompilerInvocation.h>
#include <clang/Frontend/TextDiagnosticPrinter.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/VirtualFileSystem.h>
#include <llvm/Support/raw_ostream.h>

#include <kiln/error.h>

namespace kiln::text {

std::unique_ptr<llvm::Module> clang_module(const ModuleText& text, llvm::LLVMContext& context) {
    constexpr const char* prelude_file = "/kiln/prelude.h";
    std::string said;
    llvm::raw_string_ostream says(said);
    const llvm::IntrusiveRefCntPtr<clang::DiagnosticOptions> options(new clang::DiagnosticOptions);
    auto printer = std::make_unique<clang::TextDiagnosticPrinter>(says, options.get());
    const llvm::IntrusiveRefCntPtr<clang::DiagnosticIDs> ids(new clang::DiagnosticIDs);
    clang::DiagnosticsEngine early(ids, options, printer.get(), false);
    std::vector<const char*> arguments = {"-triple",
                                          text.triple.c_str(),
                                          "-emit-llvm-only",
                                          "-std=c++17",
                                          "-O1",
                                          "-disable-llvm-passes",
                                          "-mrelocation-model",
                                          "pic",
                                          "-pic-level",
                                          "2",
                                          "-nostdsysteminc",
                                          "-nobuiltininc",
                                          "-debug-info-kind=line-tables-only",
                                          "-w"};
    arguments.insert(arguments.end(), text.options.begin(), text.options.end());
    for (const char* last : {"-include", prelude_file, "-x", "c++", text.file.c_str()})
        arguments.push_back(last);
    auto invocation = std::make_shared<clang::CompilerInvocation>();
    clang::CompilerInvocation::CreateFromArgs(*invocation, arguments, early);
    clang::CompilerInstance compiler;
    compiler.setInvocation(invocation);
    compiler.createDiagnostics(printer.get(), false);
    compiler.setVerboseOutputStream(llvm::nulls());  // not how many errors there were
    auto files = llvm::makeIntrusiveRefCnt<llvm::vfs::InMemoryFileSystem>();
    files->addFile(text.file, 0, llvm::MemoryBuffer::getMemBuffer(text.text));
    files->addFile(prelude_file, 0, llvm::MemoryBuffer::getMemBuffer(text.prelude));
    compiler.createFileManager(files);
    clang::EmitLLVMOnlyAction action(&context);
    if (!compiler.ExecuteAction(action))
        throw Error(ErrorKind::internal, "Clang does not read this text:\n" + said);
    return action.takeModule();
}

}  // namespace kiln::text
