// The texts of parallel_diagnostics.
#pragma once
#include "jit/compile/lowered.h"

#include <string>

namespace kiln::engine {

/// Of one kernel: how many parallel loops there are; from level 1 on what became of them; of level 2 also
/// what was moved out of loops.
std::string diagnostics_text(const std::string& kernel, const PassWords& words, int level);
std::string diagnostics_json(const std::string& kernel, const PassWords& words, int level);

}  // namespace kiln::engine
