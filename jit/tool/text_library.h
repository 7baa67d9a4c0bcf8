// libkiln_text, opened when a command first needs Clang.
#pragma once
#include "jit/text/library.h"

namespace kiln::tool {

/// Errors: unsupported (kiln was built without Clang, or it is missing).
const text::Library& text_library();

}  // namespace kiln::tool
