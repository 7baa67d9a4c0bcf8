// What errors and remarks call things that have no name of their own.
#pragma once
#include "dsl/ir/ir.h"

namespace kiln::ir {

/// A variable, by its name where it has one, as in C++ text: "the variable sum (f64)"; else by the line
/// that declares it: "the Var of line 12 (f64)", "the Local of line 9
/// (f64[16])"; of another file than that of `at` "the Var of wave.cpp:12 (f64)"; of one that the
/// standard library declares "the Var that is first used at line 7". Its name where no line is
/// known. `typed` = false leaves out the type.
std::string describe_slot(const Kernel& kernel, std::uint32_t slot, const Location& at,
                          bool typed = true);
/// The line that declares a variable; none where it is not known.
Location declared_at(const Kernel& kernel, std::uint32_t slot);
/// An array: the name of an argument, or "the array made at line 5".
std::string describe_array(const Kernel& kernel, std::uint32_t param, const Location& at);
/// Whether an array has a name that the user knows.
bool has_name(const Param& param);

}  // namespace kiln::ir
