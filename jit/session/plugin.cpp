#include "jit/session/plugin.h"

#include <kiln/error.h>

#include <dlfcn.h>

namespace kiln::tool {

std::vector<Named> load_plugin(const std::string& path) {
    const std::size_t before = exported().size();
    // A path without '/' would be looked for where libraries are.
    const std::string file = path.find('/') == std::string::npos ? "./" + path : path;
    if (dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr)
        throw Error(ErrorKind::io, std::string("the plugin cannot be opened: ") + dlerror());
    std::vector<Named> all = exported();
    all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(before));
    if (all.empty())
        throw Error(ErrorKind::usage, path + " exports nothing", {},
                    "KILN_EXPORT(kernel) in <kiln/named.h>, at namespace scope");
    return all;
}

}  // namespace kiln::tool
