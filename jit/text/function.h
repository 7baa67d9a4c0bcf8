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

}  // namespace kiln::text
