#include "jit/compile/checked_mode.h"

#include <kiln/error.h>

#include <cstdlib>
#include <string>
#include <string_view>

namespace kiln::engine {

bool all_checked() {
    static const bool all = [] {
        const char* const text = std::getenv("KILN_CHECKED");
        return text != nullptr && *text != '\0' && std::string_view(text) != "0";
    }();
    return all;
}

BackendTarget cpu_or_simulator() {
    static const BackendTarget target = [] {
        const char* const set = std::getenv("KILN_TARGET");
        const std::string_view text = set == nullptr ? "" : set;
        if (text.empty() || text == "cpu") return BackendTarget::cpu;
        if (text == "sim") return BackendTarget::sim;
        throw Error(ErrorKind::usage, "KILN_TARGET is '" + std::string(text) + "'", {},
                    "cpu and sim are known; arrays of a device run there by themselves");
    }();
    return target;
}

}  // namespace kiln::engine
