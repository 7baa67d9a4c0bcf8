// Functions that inputs declared, as texts that need nothing else of the session.
#pragma once
#include "dsl/text/interpreter/interpreter.h"

namespace clang {
class FunctionDecl;
class Sema;
class TranslationUnitDecl;
}  // namespace clang

namespace kiln::text {

/// The functions with bodies that inputs declared, instantiations of templates among them, the last
/// ones first.
std::vector<const clang::FunctionDecl*> typed_functions(const clang::TranslationUnitDecl* parts);

/// A function with all that it uses and inputs declared, each at its line.
Interpreter::FunctionText text_of_function(const clang::FunctionDecl* function, clang::Sema& sema);

}  // namespace kiln::text
