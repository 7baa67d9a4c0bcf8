// C++ text as a module of LLVM.
#pragma once
#include <memory>
#include <string>
#include <vector>

namespace llvm {
class LLVMContext;
class Module;
}  // namespace llvm

namespace kiln::text {

/// C++17 that stands alone: no header of the system is found.
struct ModuleText {
    std::string text;
    std::string file;     ///< what lines of code are said to be of, where no #line says otherwise
    std::string prelude;  ///< read before it
    std::string triple;   ///< of the machine
    std::vector<const char*> options;  ///< of cc1, besides
};

/// Not optimised, but with all that optimisation needs; position-independent, with lines. Warnings
/// are not looked at. Errors: internal, with what Clang says.
std::unique_ptr<llvm::Module> clang_module(const ModuleText& text, llvm::LLVMContext& context);

}  // namespace kiln::text
