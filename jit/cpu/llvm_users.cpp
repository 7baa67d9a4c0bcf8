#include "jit/cpu/llvm_users.h"

#include <llvm/Support/ErrorHandling.h>

#include <dlfcn.h>
#include <link.h>

#include <string_view>
#include <vector>

namespace kiln::engine {
namespace {

/// The entries of an object's dynamic section whose values are names.
std::vector<std::string_view> names(const link_map& object, ElfW(Sxword) tag) {
    const char* strings = nullptr;
    for (const ElfW(Dyn)* d = object.l_ld; d->d_tag != DT_NULL; ++d)
        if (d->d_tag == DT_STRTAB) strings = reinterpret_cast<const char*>(d->d_un.d_ptr);
    std::vector<std::string_view> found;
    // The kernel's own object has addresses that are not relocated, and needs nothing.
    if (strings == nullptr || reinterpret_cast<ElfW(Addr)>(strings) < object.l_addr) return found;
    for (const ElfW(Dyn)* d = object.l_ld; d->d_tag != DT_NULL; ++d)
        if (d->d_tag == tag) found.emplace_back(strings + d->d_un.d_val);
    return found;
}

const link_map* object_of(const void* address) {
    Dl_info info{};
    void* object = nullptr;
    if (dladdr1(address, &info, &object, RTLD_DL_LINKMAP) == 0) return nullptr;
    return static_cast<const link_map*>(object);
}

}  // namespace

bool others_use_llvm() {
    static const char here = 0;
    const link_map* const own = object_of(&here);
    const link_map* const llvm =
        object_of(reinterpret_cast<const void*>(&llvm::install_bad_alloc_error_handler));
    if (own == nullptr || llvm == nullptr || own == llvm) return true;
    const auto sonames = names(*llvm, DT_SONAME);
    if (sonames.empty()) return true;
    const link_map* object = own;
    while (object->l_prev != nullptr) object = object->l_prev;
    for (; object != nullptr; object = object->l_next) {
        if (object == own || object == llvm) continue;
        for (const std::string_view needed : names(*object, DT_NEEDED))
            if (needed == sonames[0]) return true;
    }
    return false;
}

}  // namespace kiln::engine
