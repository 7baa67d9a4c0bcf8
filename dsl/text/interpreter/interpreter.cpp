// The one file with Clang in it: the interpreter of LLVM 19, and the precompiled header of kiln.
#include "dsl/text/interpreter/interpreter.h"

#include <kiln/error.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <clang/AST/ASTConsumer.h>
#include <clang/AST/ExternalASTSource.h>
#include <clang/Frontend/CompilerInstance.h>
#include <clang/Frontend/FrontendActions.h>
#include <clang/Frontend/TextDiagnosticPrinter.h>
#include <clang/Interpreter/CodeCompletion.h>
#include <clang/Interpreter/Interpreter.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <sstream>

#include <fmt/format.h>

namespace kiln::text {
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
    kept = {"-std=c++20", "-O0", "-Wno-unused-value", "-Wno-pragma-once-outside-header",
            options.colours ? "-fcolor-diagnostics" : "-fno-color-diagnostics"};
    for (const std::string& folder : options.include_folders) kept.push_back("-I" + folder);
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

/// The header of sessions. Errors: io.
std::string header_of(const Interpreter::Options& options) {
    for (const std::string& folder : options.include_folders)
        if (exists(folder + "/kiln/interactive.h")) return folder + "/kiln/interactive.h";
    throw Error(ErrorKind::io, "the headers of kiln were not found", {},
                "they are in the package libkiln-dev");
}

/// Compiles the header under another name first: sessions that start at once see a whole one.
void compile_header(const Interpreter::Options& options) {
    const std::string header = header_of(options);
    const std::string draft = fmt::format("{}.{}", options.header, getpid());
    // What the headers instantiate is then in the file; else each start would do it.
    const auto compiler = make_compiler(options, {"-fpch-instantiate-templates"});
    clang::FrontendOptions& front = compiler->getFrontendOpts();
    front.Inputs.clear();
    front.Inputs.emplace_back(
        header, clang::InputKind(clang::Language::CXX, clang::InputKind::Source, false,
                                 clang::InputKind::HeaderUnit_None, true));
    front.ProgramAction = clang::frontend::GeneratePCH;
    front.OutputFile = draft;
    clang::GeneratePCHAction action;
    if (!compiler->ExecuteAction(action) || rename(draft.c_str(), options.header.c_str()) != 0) {
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

/// Prints what Clang says, without the chains of includes that all inputs would begin with.
class Diagnostics final : public clang::DiagnosticConsumer {
  public:
    Diagnostics(clang::DiagnosticOptions& options, const kiln::text::Interpreter::Options& session)
        : printer_(stream_, &options), on_error_(session.on_error) {
        stream_.enable_colors(session.colours);
    }
    void BeginSourceFile(const clang::LangOptions& language,
                         const clang::Preprocessor* preprocessor) override {
        printer_.BeginSourceFile(language, preprocessor);
    }
    void HandleDiagnostic(clang::DiagnosticsEngine::Level level,
                          const clang::Diagnostic& diagnostic) override {
        clang::DiagnosticConsumer::HandleDiagnostic(level, diagnostic);
        printer_.HandleDiagnostic(level, diagnostic);
        stream_.flush();
        std::istringstream lines(std::exchange(text_, {}));
        for (std::string line; std::getline(lines, line);)
            if (line.find("In file included from ") == std::string::npos)
                fmt::print(stderr, "{}\n", line);
        if (level >= clang::DiagnosticsEngine::Error && on_error_) on_error_();
    }

  private:
    std::string text_;
    llvm::raw_string_ostream stream_{text_};
    clang::TextDiagnosticPrinter printer_;
    std::function<void()> on_error_;
};

/// What is typed runs once, mostly: LLVM's default takes twice as long to make its code.
std::unique_ptr<llvm::orc::LLJITBuilder> quick_code() {
    auto machine = llvm::orc::JITTargetMachineBuilder::detectHost();
    if (!machine)
        throw Error(ErrorKind::internal,
                    "the host CPU is unknown to LLVM: " + text_of(machine.takeError()));
    machine->setCodeGenOptLevel(llvm::CodeGenOptLevel::None);
    machine->getOptions().EnableFastISel = true;
    auto builder = std::make_unique<llvm::orc::LLJITBuilder>();
    builder->setJITTargetMachineBuilder(std::move(*machine));
    return builder;
}

class Session final : public clang::Interpreter, public kiln::text::Interpreter {
  public:
    Session(std::unique_ptr<clang::CompilerInstance> compiler, const Options& options,
            llvm::Error& error)
        : clang::Interpreter(std::move(compiler), error, quick_code()), options_(options) {
        if (error) return;
        clang::CompilerInstance& own = *getCompilerInstance();
        auto printer = std::make_unique<Diagnostics>(own.getDiagnosticOpts(), options);
        printer->BeginSourceFile(own.getLangOpts(), &own.getPreprocessor());
        own.getDiagnostics().setClient(printer.release());
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
    std::vector<std::string> complete(const std::string& text) override;
    std::vector<std::string> variables() override {
        std::vector<std::string> names;
        for (const clang::TranslationUnitDecl* part :
             getASTContext().getTranslationUnitDecl()->redecls())
            for (const clang::Decl* d : part->noload_decls())
                if (const auto* v = llvm::dyn_cast<clang::VarDecl>(d);
                    v != nullptr && !v->isFromASTFile() && !v->isImplicit() &&
                    !v->getName().starts_with("__"))
                    names.push_back(v->getNameAsString());
        return names;
    }

  private:
    const Options options_;
    std::optional<HeaderFunctions> functions_;
};

/// Clang's completion takes a compiler of its own, which imports from this one as it goes: in a child,
/// so that nothing of that stays.
std::vector<std::string> Session::complete(const std::string& text) {
    int ends[2];
    if (pipe(ends) != 0) return {};
    const pid_t child = fork();
    if (child == 0) {
        const int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDERR_FILENO);
        std::vector<std::string> found;
        clang::ReplCodeCompleter completer;
        auto compiler = make_compiler(options_, {});
        llvm::Error error = llvm::Error::success();
        struct Plain final : clang::Interpreter {
            Plain(std::unique_ptr<clang::CompilerInstance> own, llvm::Error& e)
                : clang::Interpreter(std::move(own), e) {}
        } other(std::move(compiler), error);
        if (!error)
            completer.codeComplete(other.getCompilerInstance(), text, 1,
                                   static_cast<unsigned>(text.size() + 1), getCompilerInstance(),
                                   found);
        std::string all;
        for (const std::string& name : found)
            if (name.starts_with(completer.Prefix))
                all += name.substr(completer.Prefix.size()) + "\n";
        static_cast<void>(!write(ends[1], all.data(), all.size()));
        _exit(0);
    }
    close(ends[1]);
    std::string all;
    char part[4096];
    for (ssize_t got = 0; (got = read(ends[0], part, sizeof part)) > 0;)
        all.append(part, static_cast<std::size_t>(got));
    close(ends[0]);
    while (child > 0 && waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    std::vector<std::string> rest;
    std::istringstream lines(all);
    for (std::string line; std::getline(lines, line);) rest.push_back(line);
    std::ranges::sort(rest);
    const auto again = std::ranges::unique(rest);
    rest.erase(again.begin(), again.end());
    return rest;
}

std::unique_ptr<Session> start(const Interpreter::Options& options,
                               const std::vector<std::string>& more) {
    llvm::Error error = llvm::Error::success();
    auto session = std::make_unique<Session>(make_compiler(options, more), options, error);
    if (error)
        throw Error(ErrorKind::internal,
                    "Clang's interpreter did not start: " + text_of(std::move(error)));
    return session;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) Interpreter* kiln_make_interpreter(
    const Interpreter::Options& options) {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    if (options.header.empty()) return start(options, {"-include", header_of(options)}).release();
    if (exists(options.header)) {
        try {
            return start(options, {"-include-pch", options.header}).release();
        } catch (const Error&) {
            // Of headers that have changed since.
        }
    }
    compile_header(options);
    return start(options, {"-include-pch", options.header}).release();
}

}  // namespace kiln::text
