// The C header of an exported kernel.
#pragma once
#include "codegen/exported/kernel.h"

#include <kiln/error.h>

#include <string>
#include <string_view>
#include <vector>

namespace kiln::engine {

/// A parameter of the kernel as the C function has it: an array of a loop kernel is three of C's.
struct CParam {
    std::string name;
    DType dtype;
    abi::ExportedRole role;
    int rank;
    bool written;
};

struct CHeader {
    std::string symbol;
    std::string kernel;  ///< "saxpy(f32, f32[1])"
    Location where;      ///< of the kernel
    bool is_map;
    abi::ExportedCpu cpu;
    bool threads;
    std::vector<CParam> params;
    std::string note = {};  ///< what there is to say of shapes, a line or empty
};

/// C99, and C++.
std::string c_header(const CHeader& header);

/// Whether C and C++ allow it as the name of a function.
bool is_c_name(std::string_view name);

}  // namespace kiln::engine
