#include "jit/compile/checked_mode.h"

#include <cstdlib>
#include <string_view>

namespace kiln::engine {

bool all_checked() {
    static const bool all = [] {
        const char* const text = std::getenv("KILN_CHECKED");
        return text != nullptr && *text != '\0' && std::string_view(text) != "0";
    }();
    return all;
}

}  // namespace kiln::engine
