// Whether kiln is alone in its process with LLVM.
#pragma once

namespace kiln::engine {

/// Whether the program, or a library of it that is loaded, is linked with the LLVM library that this
/// code uses: what LLVM keeps for the whole process is then that one's. Those that find LLVM by
/// dlopen alone are not seen.
bool others_use_llvm();

}  // namespace kiln::engine
