// The interpreter of LLVM 19, and the precompiled header of kiln.
#include "dsl/text/interpreter/interpreter.h"

#include "dsl/text/interpreter/function_text.h"

#include <kiln/error.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <memory>

#include <clang/AST/ASTConsumer.h>
#include <clang/AST/ExternalASTSource.h>
#include <clang/Frontend/CompilerInstance.h>
#include <clang/Frontend/FrontendActions.h>
#include <clang/Frontend/TextDiagnosticPrinter.h>
#include <clang/Interpreter/Interpreter.h>
#include <clang/Lex/PreprocessorOptions.h>
#include <clang/Sema/CodeCompleteConsumer.h>
#include <clang/Sema/ExternalSemaSource.h>
#include <clang/Sema/Lookup.h>
#include <clang/Sema/Sema.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <set>
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

/// Names that a session does not declare are kiln's. A using-directive would make them equal to the session's
/// own, whose variables are called sum and all as those of a function may be.
class NamesOfKiln final : public clang::ExternalSemaSource {
  public:
    explicit NamesOfKiln(clang::Sema& sema) : sema_(sema) {}
    bool LookupUnqualified(clang::LookupResult& result, clang::Scope*) override {
        if (result.isForRedeclaration()) return false;
        clang::ASTContext& context = sema_.getASTContext();
        for (clang::NamedDecl* d :
             context.getTranslationUnitDecl()->lookup(&context.Idents.get("kiln")))
            if (auto* kiln = llvm::dyn_cast<clang::NamespaceDecl>(d))
                return sema_.LookupQualifiedName(result, kiln, true);
        return false;
    }

  private:
    clang::Sema& sema_;
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
        own.getSema().addExternalSource(new NamesOfKiln(own.getSema()));
        functions_.emplace(own.getASTConsumer());
        if (clang::ExternalASTSource* header = own.getASTContext().getExternalSource())
            header->StartTranslationUnit(&*functions_);
    }

    bool run(const std::string& code) override {
        const clang::PartialTranslationUnit* const part = execute(code);
        if (part == nullptr) return false;
        if (!code.starts_with(std::string("void ") + statement_name)) read_ += code + "\n";
        std::string used;
        use_variables(*part->TUPart, "", used);
        return used.empty() || execute(used) != nullptr;
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
    std::optional<FunctionText> function_at(std::uintptr_t address) override {
        for (const clang::FunctionDecl* f :
             typed_functions(getASTContext().getTranslationUnitDecl())) {
            auto there = getSymbolAddress(clang::GlobalDecl(f));
            if (!there)
                llvm::consumeError(there.takeError());
            else if (there->getValue() == address)
                return text_of_function(f, getCompilerInstance()->getSema());
        }
        return std::nullopt;
    }

  private:
    /// Null: it failed, and has been told.
    const clang::PartialTranslationUnit* execute(const std::string& code) {
        auto part = Parse(code);
        if (!part) {
            const std::string text = text_of(part.takeError());
            if (text != "Parsing failed.") fmt::print(stderr, "error: {}\n", text);
            return nullptr;
        }
        if (part->TheModule) share_variables(*part->TheModule);
        if (auto error = Execute(*part)) {
            fmt::print(stderr, "error: {}\n", text_of(std::move(error)));
            return nullptr;
        }
        return &*part;
    }
    /// Statements that use variables which no other file sees: Clang makes these where they are first used, and
    /// after that.
    static void use_variables(const clang::DeclContext& context, const std::string& scope,
                              std::string& statements) {
        for (const clang::Decl* d : context.noload_decls()) {
            if (d->isFromASTFile() || d->isImplicit()) continue;
            if (const auto* n = llvm::dyn_cast<clang::NamespaceDecl>(d)) {
                use_variables(
                    *n, n->isAnonymousNamespace() ? scope : scope + n->getNameAsString() + "::",
                    statements);
                continue;
            }
            const auto* v = llvm::dyn_cast<clang::VarDecl>(d);
            if (v == nullptr || v->getIdentifier() == nullptr || v->isExternallyVisible() ||
                v->isConstexpr() || !v->isThisDeclarationADefinition())
                continue;
            const clang::CXXRecordDecl* record = v->getType()->getAsCXXRecordDecl();
            if (record != nullptr && record->isEmpty()) continue;  // a lambda without captures
            statements +=
                fmt::format("(void)__builtin_addressof(::{}{});\n", scope, v->getNameAsString());
        }
    }
    /// What is static, without a name, or of a lambda's type no other file sees: Clang defines and initialises it
    /// anew in the module of each input that uses it. All are that of the first one. (Lambdas, and what is static
    /// in them, have names that come again.)
    void share_variables(llvm::Module& module) {
        bool any_again = false;
        for (llvm::GlobalVariable& v : module.globals()) {
            if (!v.hasInternalLinkage() || v.isConstant() || v.getName().contains("$_")) continue;
            v.setLinkage(llvm::GlobalValue::ExternalLinkage);
            if (shared_.insert(v.getName().str()).second) continue;
            v.setInitializer(nullptr);
            any_again = true;
        }
        if (!any_again) return;
        for (llvm::Function& f : module) {
            if (!f.getName().starts_with("__cxx_global_var_init") || names_a_variable(f)) continue;
            f.deleteBody();
            f.setLinkage(llvm::GlobalValue::InternalLinkage);
            auto* const block = llvm::BasicBlock::Create(module.getContext(), "", &f);
            llvm::ReturnInst::Create(module.getContext(), block);
        }
    }
    /// Whether code speaks of a variable that its module defines: what initialises one does.
    static bool names_a_variable(const llvm::Function& f) {
        const auto is_one = [](const auto& self, const llvm::Value* value) -> bool {
            if (const auto* v = llvm::dyn_cast<llvm::GlobalVariable>(value))
                return !v->isDeclaration() && !v->isConstant();
            const auto* c = llvm::dyn_cast<llvm::Constant>(value);
            return c != nullptr && !llvm::isa<llvm::GlobalValue>(c) &&
                   std::ranges::any_of(c->operands(),
                                       [&](const llvm::Use& u) { return self(self, u.get()); });
        };
        for (const llvm::BasicBlock& block : f)
            for (const llvm::Instruction& i : block)
                for (const llvm::Use& u : i.operands())
                    if (is_one(is_one, u.get())) return true;
        return false;
    }
    void complete_here(const std::string& text, std::vector<std::string>& rest) const;

    const Options options_;
    std::optional<HeaderFunctions> functions_;
    std::string read_;  // the inputs that ran to their end
    std::set<std::string> shared_;
};

/// What may stand at the end of a text, from what Clang knows there.
class Completer final : public clang::CodeCompleteConsumer {
  public:
    explicit Completer(std::vector<std::string>& rest)
        : clang::CodeCompleteConsumer(options()), rest_(rest) {}

    void ProcessCodeCompleteResults(clang::Sema& sema, clang::CodeCompletionContext context,
                                    clang::CodeCompletionResult* results, unsigned count) override {
        const std::string begin = sema.getPreprocessor().getCodeCompletionFilter().str();
        using Context = clang::CodeCompletionContext;
        const bool is_qualified = context.getKind() == Context::CCC_DotMemberAccess ||
                                  context.getKind() == Context::CCC_ArrowMemberAccess ||
                                  context.getCXXScopeSpecifier().has_value();
        if (begin.empty() && !is_qualified) return;  // all names that there are
        for (unsigned i = 0; i < count; ++i) {
            const std::string name = name_of(results[i]);
            // Reserved names are for those who begin one.
            if (!name.starts_with(begin) || (name.starts_with('_') && begin.empty())) continue;
            rest_.push_back(name.substr(begin.size()));
        }
    }
    clang::CodeCompletionAllocator& getAllocator() override { return info_.getAllocator(); }
    clang::CodeCompletionTUInfo& getCodeCompletionTUInfo() override { return info_; }

  private:
    static clang::CodeCompleteOptions options() {
        clang::CodeCompleteOptions all;
        all.IncludeGlobals = true;
        return all;
    }
    static std::string name_of(const clang::CodeCompletionResult& result) {
        if (result.Kind == clang::CodeCompletionResult::RK_Keyword) return result.Keyword;
        if (result.Kind != clang::CodeCompletionResult::RK_Declaration || result.Hidden) return {};
        const auto* named = result.Declaration;
        return named->getIdentifier() == nullptr ? std::string() : named->getName().str();
    }

    std::vector<std::string>& rest_;
    clang::CodeCompletionTUInfo info_{std::make_shared<clang::GlobalCodeCompletionAllocator>()};
};

/// Reads all inputs again, with the text behind them, up to its end. Clang's completion for interpreters
/// knows neither members nor what the precompiled header declares.
void Session::complete_here(const std::string& text, std::vector<std::string>& rest) const {
    const bool has_header = !options_.header.empty() && exists(options_.header);
    const std::vector<std::string> header =
        has_header ? std::vector<std::string>{"-include-pch", options_.header}
                   : std::vector<std::string>{"-include", header_of(options_)};
    const auto compiler = make_compiler(options_, header);
    std::string all = "using namespace kiln;\n" + read_;
    const auto line =
        static_cast<unsigned>(std::ranges::count(all, '\n') + 1 + std::ranges::count(text, '\n'));
    const std::size_t last = text.rfind('\n');  // npos + 1 is 0
    const auto column = static_cast<unsigned>(text.size() - (last + 1) + 1);
    all += text;
    const std::string name = "completed";
    clang::FrontendOptions& front = compiler->getFrontendOpts();
    const auto buffer = llvm::MemoryBuffer::getMemBufferCopy(all, name);
    front.Inputs.clear();
    front.Inputs.emplace_back(name, clang::InputKind(clang::Language::CXX));
    front.CodeCompletionAt = {name, line, column};
    compiler->getPreprocessorOpts().addRemappedFile(name, buffer.get());
    compiler->getPreprocessorOpts().RetainRemappedFileBuffers = true;
    compiler->createDiagnostics(new clang::IgnoringDiagConsumer);
    compiler->setCodeCompletionConsumer(new Completer(rest));
    clang::SyntaxOnlyAction action;
    compiler->ExecuteAction(action);
}

/// In a child, so that nothing stays of what is read, whatever it does.
std::vector<std::string> Session::complete(const std::string& text) {
    int ends[2];
    if (pipe(ends) != 0) return {};
    const pid_t child = fork();
    if (child == 0) {
        const int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDERR_FILENO);
        std::vector<std::string> found;
        complete_here(text, found);
        std::string all;
        for (const std::string& name : found) all += name + "\n";
        for (std::size_t at = 0; at < all.size();) {
            const ssize_t put = write(ends[1], all.data() + at, all.size() - at);
            if (put <= 0) break;
            at += static_cast<std::size_t>(put);
        }
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
