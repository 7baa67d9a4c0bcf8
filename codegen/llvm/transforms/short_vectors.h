// Quotients of vectors that fill no register raise the flags of their own elements only.
#pragma once

namespace llvm {
class Module;
}

namespace kiln::codegen {

/// Two floats lie in a register of four, the others of which LLVM leaves as they are, mostly 0:
/// 0 / 0 would raise what no element does. Such quotients are computed twice over instead. After
/// all optimisers, which would undo it.
void fill_quotients(llvm::Module& module);

}  // namespace kiln::codegen
