// Object files for other programs.
#pragma once
#include "jit/compile/backend.h"

namespace kiln::engine {

/// The object, with what it calls under the names of the runtime of exported objects. Errors: internal.
ExportedObject exported_file(std::span<const std::byte> object);

}  // namespace kiln::engine
