// What LLVM's loop vectoriser says of a loop of a program, and what became of its code.
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

/// Elements for a vector that lie apart from each other in memory.
struct StridedLoads {
    std::string file;  ///< the user's line that loads them
    unsigned line = 0;
    unsigned step = 0;    ///< in elements
    unsigned bytes = 0;   ///< an element
    bool joined = false;  ///< loaded as vectors and shuffled; else one by one
};

/// The loops of a kernel.
struct LoopsByLlvm {
    std::vector<VectorisedLoop> vectorised;
    std::vector<StridedLoads> strided;
};

}  // namespace kiln::codegen
