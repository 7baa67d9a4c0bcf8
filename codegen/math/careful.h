// Elementary functions one value at a time, slow and right: what generated code calls for the few
// arguments that its vector functions are not good enough for.
#pragma once
#include <string_view>

namespace kiln::codegen {

/// kiln_careful_<op>, or null: computed through long double and rounded once, C99's special values.
/// Functions of one operand ignore the second one.
using CarefulFunction = double (*)(double, double);
CarefulFunction careful_function(std::string_view symbol);

}  // namespace kiln::codegen
