// Shared libraries that export kernels.
#pragma once
#include <kiln/named.h>

#include <string>
#include <vector>

namespace kiln::tool {

/// What the library exports with KILN_EXPORT; it stays open. Errors: io (it cannot be opened), usage (it
/// exports nothing).
std::vector<Named> load_plugin(const std::string& path);

}  // namespace kiln::tool
