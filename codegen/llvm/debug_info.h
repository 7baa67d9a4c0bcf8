// Internal to codegen/llvm: what debuggers and profilers are told of a module, as DWARF. Nothing of it
// changes the code.
#pragma once
#include "codegen/llvm/emit.h"

#include <llvm/IR/DIBuilder.h>
#include <llvm/IR/IRBuilder.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::codegen {

/// Functions of kernels, the user's lines of their instructions, and, where code is made for a
/// debugger, the user's variables in memory. Lines are those of the kernel's nodes.
class DebugInfo {
  public:
    DebugInfo(llvm::Module& module, const ir::Kernel& kernel, DebugDetail detail);

    /// A function whose code is made next by `b`: it begins at the first line of the kernel.
    void enter(llvm::Function& function, const ir::Kernel& kernel, llvm::IRBuilder<>& b);
    /// What `b` makes in `function` from here on belongs to this line (Node::loc).
    void at(const llvm::Function& function, const ir::Kernel& kernel, std::uint32_t loc,
            llvm::IRBuilder<>& b);

    bool has_variables() const { return detail_ == DebugDetail::variables; }
    /// A Var, or a local array of `length` elements, at `place`: an alloca of the function. `loc`
    /// declares it, and is where its name is read: "Var s(f64, 0)", "double s = 0".
    void variable(llvm::Function& function, const ir::Kernel& kernel, const ir::Slot& slot,
                  std::uint32_t loc, llvm::Value* place);
    /// The index of the loop of line `loc`: "for (Index i : range(n))", "for (int i = 0".
    void index(llvm::Function& function, const ir::Kernel& kernel, std::uint32_t loc,
               llvm::Value* place);
    /// When all code is there.
    void finish();

  private:
    struct Variable {
        llvm::Value* place;
        llvm::DILocalVariable* variable;
        llvm::DILocation* line;
    };
    llvm::DIFile* file(std::string_view path);
    llvm::DIScope* scope(llvm::DISubprogram* function, std::string_view path);
    llvm::DIType* type(DType dtype, std::uint32_t length);
    void declare(llvm::Function& function, const Location& where, const std::string& name,
                 llvm::DIType* type, llvm::Value* place);
    /// The line of a file that can be read; else empty.
    std::string source_line(const Location& where);
    /// Where the kernel's code begins.
    static Location first_line(const ir::Kernel& kernel);

    llvm::Module& module_;
    const DebugDetail detail_;
    llvm::DIBuilder builder_;
    std::map<std::string, llvm::DIFile*, std::less<>> files_;
    std::map<std::string, std::vector<std::string>, std::less<>> sources_;
    std::map<std::string, unsigned> taken_;  // names that a line has given
    std::vector<Variable> variables_;
};

}  // namespace kiln::codegen
