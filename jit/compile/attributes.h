// What multiprocessors have for the code of kernels.
#pragma once
#include <kiln/attributes.h>

namespace kiln::engine {

/// How many warps a multiprocessor has the registers for, if each thread takes so many (1 to 255).
int warps_with(int registers);

}  // namespace kiln::engine
