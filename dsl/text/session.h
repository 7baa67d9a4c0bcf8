// One run of Clang over a text.
#pragma once
#include "dsl/text/front_end.h"

#include <clang/AST/ASTContext.h>
#include <clang/AST/Decl.h>
#include <clang/AST/DeclTemplate.h>

#include <memory>

namespace kiln::text {

/// The typed tree of the prelude, a text and an entry that calls it. Names of the text are in a
/// namespace of their own, so that they hide those of the prelude.
class Session {
  public:
    /// `entry`: code behind the text. `call`: what the entry does, for errors that are found there.
    /// Errors: type (all that Clang finds, with lines and carets).
    Session(const Unit& unit, const std::string& entry, const std::string& call,
            const Location& where);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    clang::ASTContext& context() const;
    /// The functions and templates of this name in the text, in order; `name` may have namespaces.
    std::vector<const clang::FunctionDecl*> functions(const std::string& name) const;
    /// The names of the functions of the text.
    std::vector<std::string> names() const;
    /// Functions and explicit instantiations of a program's file that are marked.
    std::vector<const clang::FunctionDecl*> marked() const;
    /// ns::f<double>.
    static std::string full_name(const clang::FunctionDecl* f);
    /// What the linker calls it.
    std::string symbol(const clang::FunctionDecl* f) const;
    /// The files on the disk that were read.
    std::vector<std::string> files() const;
    /// The function of the entry.
    const clang::FunctionDecl* entry() const;

    /// The line of the text; none outside of it.
    Location location(clang::SourceLocation at) const;
    bool in_prelude(clang::SourceLocation at) const;
    /// The words of a part of the text.
    std::string words(clang::SourceRange range) const;
    /// An error at a place of the text, which it shows with a caret.
    [[noreturn]] void fail(ErrorKind kind, clang::SourceLocation at, const std::string& message,
                           const std::string& hint = {}) const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The namespace that the text is in, and the function behind it.
inline constexpr std::string_view text_namespace = "kiln_text", entry_name = "kiln_entry";

}  // namespace kiln::text
