// What launches may ask for.
#pragma once
#include "jit/compile/backend.h"

#include <string>

namespace kiln::engine {

/// Errors: usage (no device has such a launch, or it is beyond `most_threads` of a block; 0: any).
void check_shape(const std::string& name, const LaunchShape& shape, unsigned most_threads,
                 Location where);

}  // namespace kiln::engine
