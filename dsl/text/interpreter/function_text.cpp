#include "dsl/text/interpreter/function_text.h"

#include <clang/AST/ASTContext.h>
// GCC 12 believes that a class without definition has no source of its bases.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnonnull"
#include <clang/AST/ExternalASTSource.h>
#include <clang/AST/RecursiveASTVisitor.h>
#pragma GCC diagnostic pop
#include <clang/Lex/Lexer.h>
#include <clang/Lex/Preprocessor.h>
#include <clang/Sema/Sema.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <set>

#include <fmt/format.h>

namespace kiln::text {
namespace {

/// Whether it stands in an input, which is called "[3]".
bool is_typed(const clang::SourceManager& sources, clang::SourceLocation at) {
    const clang::PresumedLoc place = sources.getPresumedLoc(at);
    return place.isValid() && place.getFilename()[0] == '[';
}
bool is_typed(const clang::Decl* d) {
    return !d->isFromASTFile() && is_typed(d->getASTContext().getSourceManager(), d->getLocation());
}

/// The template that it was made of, or itself.
const clang::Decl* pattern_of(const clang::Decl* d) {
    if (const auto* f = llvm::dyn_cast<clang::FunctionDecl>(d)) {
        if (const clang::FunctionDecl* pattern = f->getTemplateInstantiationPattern()) d = pattern;
    } else if (const auto* c = llvm::dyn_cast<clang::CXXRecordDecl>(d)) {
        if (const clang::CXXRecordDecl* pattern = c->getTemplateInstantiationPattern()) d = pattern;
    } else if (const auto* v = llvm::dyn_cast<clang::VarDecl>(d)) {
        if (const clang::VarDecl* pattern = v->getTemplateInstantiationPattern()) d = pattern;
    }
    if (const clang::TemplateDecl* made = d->getDescribedTemplate()) d = made;
    return d;
}

/// The declaration outside of functions and classes that it is part of; null: it is part of none.
const clang::Decl* whole_of(const clang::Decl* d) {
    for (d = pattern_of(d); d != nullptr; d = pattern_of(d)) {
        const clang::DeclContext* const scope = d->getLexicalDeclContext();
        if (scope == nullptr) return nullptr;
        if (scope->isFileContext()) return d;
        d = llvm::cast<clang::Decl>(scope);
    }
    return nullptr;
}

/// Whether it has a text of its own outside of classes: what Clang declares before `template <> float f(float)`
/// has not.
bool is_written(const clang::Decl* d) {
    const auto* f = llvm::dyn_cast<clang::FunctionDecl>(d);
    return d->getLexicalDeclContext()->isFileContext() &&
           (f == nullptr || !f->isFunctionTemplateSpecialization() ||
            f->getNumTemplateParameterLists() > 0);
}

/// Gathers what a function uses, and what that does.
class Uses : public clang::RecursiveASTVisitor<Uses> {
  public:
    bool shouldVisitTemplateInstantiations() const { return true; }

    void add(const clang::Decl* d) {
        const clang::Decl* const whole = d == nullptr ? nullptr : whole_of(d);
        if (whole == nullptr || !is_typed(whole)) return;
        if (const auto* f = llvm::dyn_cast<clang::FunctionDecl>(d)) {
            if (const clang::FunctionTemplateDecl* made = f->getPrimaryTemplate()) add(made);
            // A method's stands outside of its class, perhaps.
            if (const clang::FunctionDecl* body = f->getDefinition(); body != nullptr && body != f)
                add(body);
        } else if (const auto* c = llvm::dyn_cast<clang::ClassTemplateSpecializationDecl>(d)) {
            add(c->getSpecializedTemplate());
        }
        for (const clang::Decl* one : whole->redecls())
            if (is_typed(one) && is_written(one) && all.insert(one).second)
                TraverseDecl(const_cast<clang::Decl*>(one));
    }

    bool VisitDeclRefExpr(clang::DeclRefExpr* e) {
        add(e->getDecl());
        return found(e->getFoundDecl());
    }
    bool VisitMemberExpr(clang::MemberExpr* e) { return use(e->getMemberDecl()); }
    bool VisitCXXConstructExpr(clang::CXXConstructExpr* e) { return use(e->getConstructor()); }
    bool VisitOverloadExpr(clang::OverloadExpr* e) {
        for (const clang::NamedDecl* d : e->decls()) {
            add(d->getUnderlyingDecl());
            found(d);
        }
        return true;
    }
    bool VisitConceptSpecializationExpr(clang::ConceptSpecializationExpr* e) {
        return use(e->getNamedConcept());
    }
    bool VisitTagTypeLoc(clang::TagTypeLoc l) { return use(l.getDecl()); }
    bool VisitTypedefTypeLoc(clang::TypedefTypeLoc l) { return use(l.getTypedefNameDecl()); }
    bool VisitUsingTypeLoc(clang::UsingTypeLoc l) { return found(l.getFoundDecl()); }
    bool VisitTemplateSpecializationTypeLoc(clang::TemplateSpecializationTypeLoc l) {
        return use(l.getTypePtr()->getTemplateName().getAsTemplateDecl());
    }
    bool VisitDeducedTemplateSpecializationTypeLoc(clang::DeducedTemplateSpecializationTypeLoc l) {
        return use(l.getTypePtr()->getTemplateName().getAsTemplateDecl());
    }

    std::set<const clang::Decl*> all;

  private:
    bool use(const clang::Decl* d) {
        add(d);
        return true;
    }
    /// What a name was found by: perhaps `using ns::name;`.
    bool found(const clang::NamedDecl* d) {
        if (const auto* shadow = llvm::dyn_cast<clang::UsingShadowDecl>(d))
            add(shadow->getIntroducer());
        return true;
    }
};

/// Pieces of inputs at their lines.
class Text {
  public:
    explicit Text(clang::Sema& sema)
        : sources_(sema.getSourceManager()), language_(sema.getLangOpts()) {}

    void add(const clang::Decl* d) {
        std::string before, behind = ";\n";
        for (const clang::DeclContext* scope = d->getLexicalDeclContext(); scope != nullptr;
             scope = scope->getLexicalParent())
            if (const auto* n = llvm::dyn_cast<clang::NamespaceDecl>(scope)) {
                before = fmt::format("{}namespace {} {{\n{}", n->isInline() ? "inline " : "",
                                     n->getName().str(), before);
                behind += "}\n";
            }
        // Several variables of one declaration begin at the same place; the last has all of them.
        const clang::SourceRange range =
            sources_.getExpansionRange(d->getSourceRange()).getAsRange();
        Piece& piece = pieces_[range.getBegin().getRawEncoding()];
        std::string code = placed(range, "");
        if (code.size() > piece.code.size()) piece = {before, std::move(code), behind};
    }
    void add_macro(const clang::MacroInfo& macro) {
        text_ += placed({macro.getDefinitionLoc(), macro.getDefinitionEndLoc()}, "#define ") + "\n";
    }
    void add_line(const std::string& code) { text_ += code + "\n"; }
    std::string take() {
        for (const auto& [place, piece] : pieces_)
            text_ += piece.before + piece.code + piece.behind;
        return std::move(text_);
    }

  private:
    struct Piece {
        std::string before, code, behind;
    };
    std::string placed(clang::SourceRange range, const std::string& before) const {
        const clang::PresumedLoc at = sources_.getPresumedLoc(range.getBegin());
        const llvm::StringRef code = clang::Lexer::getSourceText(
            clang::CharSourceRange::getTokenRange(range), sources_, language_);
        const std::size_t blanks = before.empty() ? at.getColumn() - 1 : 0;
        return fmt::format("#line {} \"{}\"\n{}{}{}", at.getLine(), at.getFilename(), before,
                           std::string(blanks, ' '), code.str());
    }

    const clang::SourceManager& sources_;
    const clang::LangOptions& language_;
    std::string text_;
    std::map<unsigned, Piece> pieces_;  // by their places, in the order of the inputs
};

/// `using namespace std;`, of what texts know.
void add_directives(const clang::TranslationUnitDecl* parts, Text& text) {
    constexpr std::array<std::string_view, 5> known{
        "std", "std::numbers", "std::literals", "std::literals::complex_literals", "kiln::native"};
    for (const clang::TranslationUnitDecl* part : parts->redecls())
        for (const clang::Decl* d : part->noload_decls()) {
            const auto* u = llvm::dyn_cast<clang::UsingDirectiveDecl>(d);
            if (u == nullptr || !is_typed(u)) continue;
            const std::string name = u->getNominatedNamespace()->getQualifiedNameAsString();
            if (std::ranges::find(known, name) != known.end())
                text.add_line(fmt::format("using namespace {};", name));
        }
}

/// Functions with bodies, that may have addresses.
void search(const clang::DeclContext* scope, std::vector<const clang::FunctionDecl*>& all) {
    for (const clang::Decl* d : scope->noload_decls()) {
        if (d->isFromASTFile()) continue;
        const auto* record = llvm::dyn_cast<clang::CXXRecordDecl>(d);
        if (llvm::isa<clang::NamespaceDecl>(d) || llvm::isa<clang::LinkageSpecDecl>(d))
            search(llvm::cast<clang::DeclContext>(d), all);
        else if (record != nullptr && record->isThisDeclarationADefinition() &&
                 !record->isDependentContext())
            std::ranges::copy_if(
                record->methods(), std::back_inserter(all),
                [](const clang::CXXMethodDecl* m) { return m->isStatic() && m->isDefined(); });
        else if (const auto* t = llvm::dyn_cast<clang::FunctionTemplateDecl>(d))
            std::ranges::copy_if(t->specializations(), std::back_inserter(all),
                                 [](const clang::FunctionDecl* f) { return f->isDefined(); });
        else if (const auto* f = llvm::dyn_cast<clang::FunctionDecl>(d);
                 f != nullptr && f->isThisDeclarationADefinition() && is_typed(f))
            all.push_back(f);
    }
}

/// A function of a name of its own that calls it: an overload, an instantiation, one of a class.
std::string call_of(const clang::FunctionDecl* f, const std::string& name,
                    const std::string& called) {
    const clang::PrintingPolicy words(f->getASTContext().getLangOpts());
    const auto type = [&](clang::QualType t) { return t.getCanonicalType().getAsString(words); };
    std::string params, names;
    for (const clang::ParmVarDecl* p : f->parameters()) {
        const std::string own = p->getName().empty()
                                    ? fmt::format("a{}", p->getFunctionScopeIndex())
                                    : p->getNameAsString();
        params += fmt::format("{}{} {}", params.empty() ? "" : ", ", type(p->getType()), own);
        names += fmt::format("{}{}", names.empty() ? "" : ", ", own);
    }
    return fmt::format("{} {}({}) {{ return {}({}); }}\n", type(f->getReturnType()), name, params,
                       called, names);
}

}  // namespace

std::vector<const clang::FunctionDecl*> typed_functions(const clang::TranslationUnitDecl* parts) {
    std::vector<const clang::FunctionDecl*> all;
    for (const clang::TranslationUnitDecl* part : parts->redecls()) search(part, all);
    return all;
}

Interpreter::FunctionText text_of_function(const clang::FunctionDecl* function, clang::Sema& sema) {
    Uses uses;
    uses.add(function);
    Text text(sema);
    clang::Preprocessor& preprocessor = sema.getPreprocessor();
    for (const auto& [name, state] : preprocessor.macros(false))
        if (const clang::MacroInfo* macro = preprocessor.getMacroInfo(name);
            macro != nullptr && is_typed(sema.getSourceManager(), macro->getDefinitionLoc()))
            text.add_macro(*macro);
    add_directives(sema.getASTContext().getTranslationUnitDecl(), text);
    for (const clang::Decl* d : uses.all) text.add(d);

    Interpreter::FunctionText made;
    made.input = sema.getSourceManager().getPresumedLoc(function->getLocation()).getFilename();
    llvm::raw_string_ostream name(made.name);
    function->getNameForDiagnostic(name, clang::PrintingPolicy(sema.getLangOpts()), true);
    made.function = made.name;
    made.code = text.take();
    if (function->isFunctionTemplateSpecialization() || llvm::isa<clang::CXXMethodDecl>(function) ||
        !function->getDeclContext()->lookup(function->getDeclName()).isSingleResult()) {
        made.function = "kiln_called";
        made.code += call_of(function, made.function, made.name);
    }
    return made;
}

}  // namespace kiln::text
