// A program whose libkiln has no backends beside it: the first compile says what was looked for.
#include <kiln/kiln.h>

#include <cstdio>
#include <string_view>

int main() {
    const auto next = kiln::vectorize("next", [](kiln::Value x) { return x + 1; });
    for (int call = 0; call < 2; ++call) {  // each call tries again
        try {
            next(1.0);
        } catch (const kiln::Error& error) {
            const std::string_view message = error.message();
            if (error.kind() == kiln::ErrorKind::device &&
                message.starts_with("the backend cpu could not be opened: tried ") &&
                message.find("/libkiln_cpu.so (") != std::string_view::npos &&
                message.find(") and libkiln_cpu.so (") != std::string_view::npos &&
                error.hint() == "libkiln_cpu.so belongs beside libkiln, or on the loader's path")
                continue;
            std::fprintf(stderr, "%s\n", error.what());
            return 1;
        }
        std::fprintf(stderr, "there is a backend\n");
        return 2;
    }
    return 0;
}
