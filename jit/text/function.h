// A function of a text, as kernels hold it.
#pragma once
#include "dsl/text/front_end.h"

#include <kiln/text.h>

#include <memory>

namespace kiln::text {

/// A function of a text, shared by the copies of a kernel.
struct Function {
    Unit unit;
    std::string name;
    Declaration declaration;
    Location where;
};

/// Errors: of declaration_of; usage (the program is ending).
std::shared_ptr<const Function> function_of(const Source& source, const std::string& name,
                                            const std::source_location& where);

/// As vectorize and jit of text.h make them.
Ufunc element_kernel(const std::shared_ptr<const Function>& f, const std::string& name,
                     UfuncOptions options, std::source_location where);
detail::LoopFunction loop_function_of(const std::shared_ptr<const Function>& f, JitOptions options,
                                      const std::source_location& where);

}  // namespace kiln::text
