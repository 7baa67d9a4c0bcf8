#include "dsl/text/session.h"

#include "dsl/text/prelude.h"

#include <clang/AST/ASTConsumer.h>
#include <clang/AST/Attr.h>
#include <clang/AST/DeclCXX.h>
#include <clang/AST/Mangle.h>
#include <clang/Basic/TargetInfo.h>
#include <clang/Frontend/CompilerInstance.h>
#include <clang/Frontend/CompilerInvocation.h>
#include <clang/Lex/Lexer.h>
#include <clang/Lex/Preprocessor.h>
#include <clang/Parse/ParseAST.h>
#include <clang/Sema/Sema.h>
#include <llvm/Support/VirtualFileSystem.h>

#include <fmt/format.h>

namespace kiln::text {
namespace {

constexpr std::string_view main_file = "/kiln/text.cpp", prelude_file = "/kiln/prelude.h";
constexpr std::string_view entry_file = "call";
constexpr std::size_t max_errors = 5;

/// The line and a caret below it: "\n    return a * z;\n               ^".
std::string snippet(const clang::SourceManager& sources, clang::SourceLocation at) {
    const clang::SourceLocation place = sources.getExpansionLoc(at);
    const auto [file, offset] = sources.getDecomposedLoc(place);
    const llvm::StringRef code = sources.getBufferData(file);
    const std::size_t before = code.substr(0, offset).rfind('\n');
    const std::size_t begin = before == llvm::StringRef::npos ? 0 : before + 1;
    const std::string line = code.substr(begin, code.find('\n', begin) - begin).str();
    std::string caret;
    for (std::size_t i = 0; begin + i < offset; ++i) caret += line[i] == '\t' ? '\t' : ' ';
    return "\n" + line + "\n" + caret + "^";
}

/// Whether it stands in the text, which may say by #line where its parts are from.
bool in_text(const clang::SourceManager& sources, clang::SourceLocation at,
             const clang::PresumedLoc& place) {
    return sources.getFileID(sources.getExpansionLoc(at)) == sources.getMainFileID() &&
           place.getFilename() != entry_file;
}

}  // namespace

/// Collects what Clang says. It never throws: frames of Clang are between.
class Collected : public clang::DiagnosticConsumer {
  public:
    struct One {
        std::string message;
        std::string file;
        std::uint32_t line = 0;
        std::string snippet;
        bool note = false;
        bool here = false;  // in the text
    };
    std::vector<One> all;
    std::size_t errors = 0;

    void HandleDiagnostic(clang::DiagnosticsEngine::Level level,
                          const clang::Diagnostic& info) override {
        DiagnosticConsumer::HandleDiagnostic(level, info);
        if (level < clang::DiagnosticsEngine::Error) {
            if (level != clang::DiagnosticsEngine::Note || !after_error_) {
                after_error_ = false;
                return;
            }
        } else {
            after_error_ = ++errors <= max_errors;
        }
        if (!after_error_) return;
        One one;
        llvm::SmallString<128> text;
        info.FormatDiagnostic(text);
        one.message = text.str().str();
        one.note = level == clang::DiagnosticsEngine::Note;
        if (info.hasSourceManager() && info.getLocation().isValid()) {
            const clang::PresumedLoc place =
                info.getSourceManager().getPresumedLoc(info.getLocation());
            if (place.isValid()) {
                one.file = place.getFilename();
                one.line = place.getLine();
                one.here = in_text(info.getSourceManager(), info.getLocation(), place);
                one.snippet = snippet(info.getSourceManager(), info.getLocation());
            }
        }
        all.push_back(std::move(one));
    }

  private:
    bool after_error_ = false;
};

struct Session::Impl {
    std::string call;
    std::optional<std::string> folder;  // of a program's file
    Collected diagnostics;
    clang::CompilerInstance compiler;

    void parse(const std::string& code);
    [[noreturn]] void throw_errors(const Location& where) const;
    /// The scope that the text is in.
    const clang::DeclContext* text() const {
        if (folder) return compiler.getASTContext().getTranslationUnitDecl();
        for (const clang::Decl* d : compiler.getASTContext().getTranslationUnitDecl()->decls())
            if (const auto* n = llvm::dyn_cast<clang::NamespaceDecl>(d))
                if (n->getName() == llvm::StringRef(text_namespace)) return n;
        return nullptr;
    }
};

void Session::Impl::parse(const std::string& code) {
    auto invocation = std::make_shared<clang::CompilerInvocation>();
    const llvm::IntrusiveRefCntPtr<clang::DiagnosticIDs> ids(new clang::DiagnosticIDs);
    clang::DiagnosticsEngine early(ids, new clang::DiagnosticOptions, &diagnostics, false);
    std::vector<const char*> arguments{"-triple",
                                       "x86_64-unknown-linux-gnu",
                                       "-fsyntax-only",
                                       "-std=c++20",
                                       "-nostdsysteminc",
                                       "-nobuiltininc",
                                       "-fno-builtin",
                                       "-fcxx-exceptions",
                                       "-fexceptions",
                                       "-ftemplate-depth=128",
                                       "-fno-elide-type",
                                       "-Werror=return-type",
                                       "-include",
                                       prelude_file.data(),
                                       "-I/kiln/include",
                                       "-x",
                                       "c++"};
    if (folder) arguments.insert(arguments.end(), {"-iquote", folder->c_str()});
    arguments.push_back(main_file.data());
    clang::CompilerInvocation::CreateFromArgs(*invocation, arguments, early);
    compiler.setInvocation(invocation);
    compiler.createDiagnostics(&diagnostics, false);
    auto files = llvm::makeIntrusiveRefCnt<llvm::vfs::InMemoryFileSystem>();
    files->addFile(main_file, 0, llvm::MemoryBuffer::getMemBufferCopy(code));
    files->addFile(prelude_file, 0, llvm::MemoryBuffer::getMemBuffer(prelude(folder.has_value())));
    for (const std::string_view header : known_headers())
        files->addFile(fmt::format("/kiln/include/{}", header), 0,
                       llvm::MemoryBuffer::getMemBuffer(""));
    if (folder) {
        auto both = llvm::makeIntrusiveRefCnt<llvm::vfs::OverlayFileSystem>(
            llvm::vfs::createPhysicalFileSystem());
        both->pushOverlay(files);
        compiler.createFileManager(both);
    } else {
        compiler.createFileManager(files);
    }
    compiler.createSourceManager(compiler.getFileManager());
    compiler.createTarget();
    compiler.InitializeSourceManager(compiler.getFrontendOpts().Inputs[0]);
    compiler.createPreprocessor(clang::TU_Complete);
    clang::Preprocessor& preprocessor = compiler.getPreprocessor();
    preprocessor.getBuiltinInfo().initializeBuiltins(preprocessor.getIdentifierTable(),
                                                     compiler.getLangOpts());
    compiler.createASTContext();
    compiler.setASTConsumer(std::make_unique<clang::ASTConsumer>());
    compiler.createSema(clang::TU_Complete, nullptr);
    diagnostics.BeginSourceFile(compiler.getLangOpts(), &preprocessor);
    clang::ParseAST(compiler.getSema());
    diagnostics.EndSourceFile();
}

void Session::Impl::throw_errors(const Location& where) const {
    // Those at lines of the text are what the user can mend; what is found in the call is told as
    // that.
    std::string message;
    Location at = where;
    for (const Collected::One& one : diagnostics.all) {
        if (message.empty()) {
            if (one.here || (folder && one.line != 0)) at = Location(one.file, one.line);
            message =
                one.here || call.empty() ? one.message : fmt::format("{}: {}", call, one.message);
        } else if (one.here) {
            message += fmt::format("\n{}:{}: {}: {}", one.file, one.line,
                                   one.note ? "note" : "error", one.message);
        }
        if (one.here) message += one.snippet;
    }
    throw Error(ErrorKind::type, std::move(message), at);
}

Session::Session(const Unit& unit, const std::string& entry, const std::string& call,
                 const Location& where)
    : impl_(std::make_unique<Impl>()) {
    impl_->call = call;
    impl_->folder = unit.folder;
    const std::string text = fmt::format("#line 1 \"{}\"\n{}\n", unit.name, unit.code);
    impl_->parse(fmt::format(
        "{}#line 1 \"{}\"\n{}\n",
        unit.folder ? text : fmt::format("namespace {} {{\n{}}}\n", text_namespace, text),
        entry_file, entry));
    if (impl_->diagnostics.errors > 0) impl_->throw_errors(where);
}

Session::~Session() = default;

clang::ASTContext& Session::context() const { return impl_->compiler.getASTContext(); }

namespace {

/// The declarations of a scope, those of its unnamed and inline parts among them.
template <class F> void each_declaration(const clang::DeclContext* scope, const F& f) {
    for (const clang::Decl* d : scope->decls()) {
        if (llvm::isa<clang::LinkageSpecDecl>(d))
            each_declaration(llvm::cast<clang::DeclContext>(d), f);
        else
            f(d);
    }
}

const clang::FunctionDecl* function_of(const clang::Decl* d) {
    if (const auto* t = llvm::dyn_cast<clang::FunctionTemplateDecl>(d)) d = t->getTemplatedDecl();
    const auto* f = llvm::dyn_cast<clang::FunctionDecl>(d);
    return f != nullptr && !llvm::isa<clang::CXXMethodDecl>(f) &&
                   !llvm::isa<clang::CXXDeductionGuideDecl>(f)
               ? f
               : nullptr;
}

}  // namespace

std::string Session::full_name(const clang::FunctionDecl* f) {
    std::string name;
    llvm::raw_string_ostream out(name);
    f->getNameForDiagnostic(out, clang::PrintingPolicy(f->getASTContext().getLangOpts()), true);
    return name;
}

std::string Session::symbol(const clang::FunctionDecl* f) const {
    const std::unique_ptr<clang::MangleContext> names(context().createMangleContext());
    std::string symbol;
    llvm::raw_string_ostream out(symbol);
    if (names->shouldMangleDeclName(f))
        names->mangleName(clang::GlobalDecl(f), out);
    else
        out << f->getName();
    return symbol;
}

std::vector<std::string> Session::files() const {
    std::vector<std::string> all;
    const clang::SourceManager& sources = context().getSourceManager();
    for (auto one = sources.fileinfo_begin(); one != sources.fileinfo_end(); ++one)
        if (const llvm::StringRef name = one->first.getName(); !name.starts_with("/kiln/"))
            all.push_back(name.str());
    return all;
}

std::vector<const clang::FunctionDecl*> Session::marked() const {
    std::vector<const clang::FunctionDecl*> all;
    const auto search = [&](const auto& self, const clang::DeclContext* scope) -> void {
        each_declaration(scope, [&](const clang::Decl* d) {
            if (const auto* n = llvm::dyn_cast<clang::NamespaceDecl>(d)) return self(self, n);
            const clang::FunctionDecl* f = function_of(d);
            if (f == nullptr || !f->hasAttr<clang::AnnotateAttr>()) return;
            const clang::FunctionTemplateDecl* made = f->getDescribedFunctionTemplate();
            if (made == nullptr) {
                if (f->isThisDeclarationADefinition()) all.push_back(f);
                return;
            }
            if (made != made->getCanonicalDecl()) return;
            for (const clang::FunctionDecl* one : made->specializations())
                if (one->getTemplateSpecializationKind() ==
                    clang::TSK_ExplicitInstantiationDefinition)
                    all.push_back(one);
        });
    };
    search(search, context().getTranslationUnitDecl());
    return all;
}

std::vector<const clang::FunctionDecl*> Session::functions(const std::string& name) const {
    std::vector<const clang::FunctionDecl*> found;
    if (impl_->folder) {
        for (const clang::FunctionDecl* f : marked())
            if (full_name(f) == name) found.push_back(f);
        return found;
    }
    const auto search = [&](const auto& self, const clang::DeclContext* scope,
                            llvm::StringRef path) -> void {
        const auto [head, rest] = path.split("::");
        each_declaration(scope, [&](const clang::Decl* d) {
            if (rest.empty()) {
                const clang::FunctionDecl* f = function_of(d);
                if (f != nullptr && f->getNameAsString() == head &&
                    f->isThisDeclarationADefinition())
                    found.push_back(f);
            } else if (const auto* n = llvm::dyn_cast<clang::NamespaceDecl>(d);
                       n != nullptr && n->getName() == head) {
                self(self, n, rest);
            }
        });
    };
    search(search, impl_->text(), name);
    return found;
}

std::vector<std::string> Session::names() const {
    std::vector<std::string> all;
    each_declaration(impl_->text(), [&](const clang::Decl* d) {
        if (const clang::FunctionDecl* f = function_of(d)) {
            std::string name = f->getNameAsString();
            if (all.empty() || all.back() != name) all.push_back(std::move(name));
        }
    });
    return all;
}

const clang::FunctionDecl* Session::entry() const {
    for (const clang::Decl* d : context().getTranslationUnitDecl()->decls()) {
        const clang::FunctionDecl* f = function_of(d);
        if (f != nullptr && f->getNameAsString() == entry_name) return f;
    }
    return nullptr;
}

Location Session::location(clang::SourceLocation at) const {
    if (at.isInvalid()) return {};
    const clang::SourceManager& sources = context().getSourceManager();
    const clang::PresumedLoc place = sources.getPresumedLoc(at);
    if (place.isInvalid() || !in_text(sources, at, place)) return {};
    return Location(place.getFilename(), place.getLine());
}

bool Session::in_prelude(clang::SourceLocation at) const {
    const clang::PresumedLoc place = context().getSourceManager().getPresumedLoc(at);
    return place.isValid() && place.getFilename() == prelude_file;
}

std::string Session::words(clang::SourceRange range) const {
    const clang::SourceManager& sources = context().getSourceManager();
    return clang::Lexer::getSourceText(clang::CharSourceRange::getTokenRange(range), sources,
                                       context().getLangOpts())
        .str();
}

void Session::fail(ErrorKind kind, clang::SourceLocation at, const std::string& message,
                   const std::string& hint) const {
    const Location where = location(at);
    std::string text = hint.empty() ? message : fmt::format("{} ({})", message, hint);
    if (where.line != 0) text += snippet(context().getSourceManager(), at);
    throw Error(kind, std::move(text), where);
}

}  // namespace kiln::text
