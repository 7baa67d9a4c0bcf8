// Kernels as text and back, and the check that a kernel is well formed.
#pragma once
#include "dsl/ir/ir.h"

namespace kiln::ir {

struct PrintOptions {
    bool locations = true;  ///< `; file.cpp:12` behind nodes, and the kernel's and slots' names
};

/// The kernel in a readable text form that parse() takes back. Values are numbered in the order in
/// which blocks list them, so equal computations print equally whatever their node ids. With
/// locations = false it is the canonical text: no names, no locations; equal for equal kernels.
std::string print(const Kernel& kernel, PrintOptions options = {});

/// Errors: usage, with the line of the text and what was expected there.
Kernel parse(std::string_view text);

/// Empty if the kernel is well formed, else what is wrong, with the node. Checks: operand counts,
/// dtypes that follow the op's rule, operands defined before use in an enclosing block, blocks
/// owned exactly once, parameter and slot numbers, access (no store to `in`), break_ and continue_
/// inside a loop, contributions inside their stage, acyclic structure, stages of the kernel's form,
/// launches whose arguments fit outlined kernels, which are well formed themselves.
std::string verify(const Kernel& kernel);

}  // namespace kiln::ir
