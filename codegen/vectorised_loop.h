// What LLVM's loop vectoriser says of a loop of a program.
#pragma once
#include <string>
#include <vector>

namespace kiln::codegen {

struct VectorisedLoop {
    unsigned program = 0;    ///< 0: of the kernel itself; else of its outlined kernel program - 1
    unsigned loop = 0;       ///< its place among the counted loops there, as walk() meets them
    unsigned lanes = 0;      ///< 1: it is scalar code
    unsigned registers = 0;  ///< a step
    std::string refused;     ///< why not more, in LLVM's words; may be empty
};

}  // namespace kiln::codegen
