// The one file with Clang in it: the interpreter of LLVM 19, and the precompiled header of kiln.
#include "jit/tool/interpreter/interpreter.h"

#include <kiln/error.h>

#include <sys/stat.h>
#include <unistd.h>

#include <clang/AST/ASTConsumer.h>
#include <clang/AST/ExternalASTSource.h>
#include <clang/Frontend/CompilerInstance.h>
#include <clang/Frontend/FrontendActions.h>
#include <clang/Interpreter/CodeCompletion.h>
#include <clang/Interpreter/Interpreter.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>

#include <optional>

#include <fmt/format.h>

namespace kiln::tool {
namespace {

std::string text_of(llvm::Error error) {
    std::string text;
    llvm::handleAllErrors(std::move(error), [&](const llvm::ErrorInfoBase& e) {
        text += (text.empty() ? "" : "; ") + e.message();
    });
    return text;
}

/// What both the header and the inputs are compiled with.
std::vector<const char*> arguments(const Interpreter::Options& options,
                                   std::vector<std::string>& kept) {
    kept = {"-std=c++20",
            "-O0",
            "-Wno-unused-value",
            "-Wno-pragma-once-outside-header",
            options.colours ? "-fcolor-diagnostics" : "-fno-color-diagnostics",
            "-I" + options.include_folder};
    std::vector<const char*> result;
    for (const std::string& argument : kept) result.push_back(argument.c_str());
    return result;
}

std::unique_ptr<clang::CompilerInstance> make_compiler(const Interpreter::Options& options,
                                                       std::vector<std::string> more) {
    std::vector<std::string> kept;
    std::vector<const char*> all = arguments(options, kept);
    for (const std::string& argument : more) all.push_back(argument.c_str());
    clang::IncrementalCompilerBuilder builder;
    builder.SetCompilerArgs(all);
    auto compiler = builder.CreateCpp();
    if (!compiler)
        throw Error(ErrorKind::internal,
                    "Clang did not take its arguments: " + text_of(compiler.takeError()));
    return std::move(*compiler);
}

bool exists(const std::string& path) {
    struct stat status{};
    return stat(path.c_str(), &status) == 0;
}

/// Compiles the header under another name first: sessions that start at once see a whole one.
void compile_header(const Interpreter::Options& options, const std::string& header,
                    const std::string& result) {
    const std::string draft = fmt::format("{}.{}", result, getpid());
    const auto compiler = make_compiler(options, {});
    clang::FrontendOptions& front = compiler->getFrontendOpts();
    front.Inputs.clear();
    front.Inputs.emplace_back(
        header, clang::InputKind(clang::Language::CXX, clang::InputKind::Source, false,
                                 clang::InputKind::HeaderUnit_None, true));
    front.ProgramAction = clang::frontend::GeneratePCH;
    front.OutputFile = draft;
    clang::GeneratePCHAction action;
    if (!compiler->ExecuteAction(action) || rename(draft.c_str(), result.c_str()) != 0) {
        unlink(draft.c_str());
        throw Error(ErrorKind::io, "the headers of kiln could not be compiled", {},
                    "are those of the C++ library and of Clang installed?");
    }
}

/// Hands on the functions of the precompiled header, which come as they are first used. Clang's own
/// consumer takes none after the first input.
class HeaderFunctions final : public clang::ASTConsumer {
  public:
    explicit HeaderFunctions(clang::ASTConsumer& code) : code_(code) {}
    void HandleInterestingDecl(clang::DeclGroupRef group) override {
        code_.HandleTopLevelDecl(group);
    }

  private:
    clang::ASTConsumer& code_;
};

class Session final : public clang::Interpreter, public kiln::tool::Interpreter {
  public:
    Session(std::unique_ptr<clang::CompilerInstance> compiler, llvm::Error& error)
        : clang::Interpreter(std::move(compiler), error) {
        if (error) return;
        clang::CompilerInstance& own = *getCompilerInstance();
        functions_.emplace(own.getASTConsumer());
        if (clang::ExternalASTSource* header = own.getASTContext().getExternalSource())
            header->StartTranslationUnit(&*functions_);
    }

    bool run(const std::string& code) override {
        auto part = Parse(code);
        if (!part) {
            const std::string text = text_of(part.takeError());
            if (text != "Parsing failed.") fmt::print(stderr, "error: {}\n", text);
            return false;
        }
        if (auto error = Execute(*part)) {
            fmt::print(stderr, "error: {}\n", text_of(std::move(error)));
            return false;
        }
        return true;
    }
    std::vector<std::string> complete(const std::string&) override { return {}; }

  private:
    std::optional<HeaderFunctions> functions_;
};

}  // namespace

extern "C" __attribute__((visibility("default"))) Interpreter* kiln_make_interpreter(
    const Interpreter::Options& options) {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    const std::string header = options.include_folder + "/kiln/interactive.h";
    std::vector<std::string> more;
    if (options.cache_folder.empty()) {
        more = {"-include", header};
    } else {
        const std::string compiled =
            fmt::format("{}/header-{}.pch", options.cache_folder, options.fingerprint);
        if (!exists(compiled)) compile_header(options, header, compiled);
        more = {"-include-pch", compiled};
    }
    llvm::Error error = llvm::Error::success();
    auto session = std::make_unique<Session>(make_compiler(options, more), error);
    if (error)
        throw Error(ErrorKind::internal,
                    "Clang's interpreter did not start: " + text_of(std::move(error)));
    return session.release();
}

}  // namespace kiln::tool
