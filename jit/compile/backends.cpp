// Opening the libraries of the backends.
#include "jit/compile/backend.h"
#include "runtime/process.h"

#include <dlfcn.h>

#include <array>
#include <atomic>

namespace kiln::engine {

namespace {

struct Row {
    const char* name;
    const char* library;
    const char* factory;
};
constexpr Row rows[] = {
#define KILN_BACKEND(id, library, factory, doc) {#id, library, #factory},
#include <kiln/backends.def>
#undef KILN_BACKEND
};

/// The folder of the library that this code is in, with a '/' at the end; empty if unknown.
std::string own_folder() {
    Dl_info info{};
    static const char here = 0;
    if (dladdr(&here, &info) == 0 || info.dli_fname == nullptr) return {};
    const std::string path = info.dli_fname;
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? std::string() : path.substr(0, slash + 1);
}

std::string last_error() {
    const char* text = dlerror();
    return text == nullptr ? "unknown reason" : text;
}

Backend* open(const Row& row) {
    const std::string beside = own_folder() + row.library;
    std::string reasons;
    // Libraries stay open until the process ends: their code may be running in any thread.
    void* library = dlopen(beside.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        reasons = last_error();
        library = dlopen(row.library, RTLD_NOW | RTLD_LOCAL);
    }
    if (library == nullptr) {
        throw Error(
            ErrorKind::device,
            std::string("the backend ") + row.name + " could not be opened: tried " + beside +
                " (" + reasons + ") and " + row.library + " (" + last_error() + ")",
            {}, std::string(row.library) + " belongs beside libkiln, or on the loader's path");
    }
    using Factory = Backend* (*)();
    const auto factory = reinterpret_cast<Factory>(dlsym(library, row.factory));
    if (factory == nullptr) {
        throw Error(ErrorKind::device, std::string("the backend ") + row.name + " in " +
                                           row.library + " has no function " + row.factory);
    }
    return factory();
}

}  // namespace

Backend& backend(BackendTarget target) {
    // What is opened is never destroyed: kernels may run while static objects are.
    static constinit std::array<std::atomic<Backend*>, std::size(rows)> opened{};
    static constinit kiln::detail::Lazy<kiln::detail::Mutex> mutex;
    std::atomic<Backend*>& place = opened[static_cast<std::size_t>(target)];
    if (Backend* found = place.load(std::memory_order_acquire)) return *found;
    const kiln::detail::BeforeExit running(std::string("the backend ") +
                                           rows[static_cast<std::size_t>(target)].name +
                                           " cannot be opened: the program is ending");
    const std::lock_guard lock(mutex.get());
    if (Backend* found = place.load(std::memory_order_acquire)) return *found;
    Backend* made = open(rows[static_cast<std::size_t>(target)]);
    place.store(made, std::memory_order_release);
    kiln::detail::come_first_at_exit();  // before the static objects that came with it
    return *made;
}

}  // namespace kiln::engine
