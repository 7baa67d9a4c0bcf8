#include "jit/session/libraries.h"

#include <kiln/disk_cache.h>
#include <kiln/error.h>

#include <dlfcn.h>

#include <fmt/format.h>

namespace kiln::tool {

std::string library_folder() {
    Dl_info info{};
    if (dladdr(reinterpret_cast<void*>(&disk_cache_info), &info) == 0) return {};
    const std::string path = info.dli_fname;
    return path.substr(0, path.rfind('/') + 1);
}

OpenLibrary::OpenLibrary(const std::string& name, const std::string& why, Names names)
    : handle_(dlopen((library_folder() + name).c_str(),
                     RTLD_NOW | (names == Names::own ? RTLD_LOCAL : RTLD_GLOBAL))) {
    if (handle_ == nullptr)
        throw Error(ErrorKind::unsupported, fmt::format("{}: {}", why, dlerror()), {},
                    "sudo apt-get install libclang-19-dev libclang-cpp19-dev, and build kiln with "
                    "KILN_TEXT=ON");
}

void* OpenLibrary::address(const char* name) const {
    void* const found = dlsym(handle_, name);
    if (found == nullptr)
        throw Error(ErrorKind::internal, fmt::format("{} is missing in a library of kiln", name));
    return found;
}

}  // namespace kiln::tool
