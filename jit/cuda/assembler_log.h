// What NVRTC's assembler says of functions.
#pragma once
#include "jit/compile/attributes.h"

#include <string>
#include <string_view>
#include <vector>

namespace kiln::engine {

/// Of the log of --ptxas-options=-v: the entry functions that it speaks of. `arch`: "sm_90".
std::vector<KernelAttributes> attributes_in(std::string_view log, const std::string& arch);

}  // namespace kiln::engine
