#include "jit/tool/text_library.h"

#include "jit/session/libraries.h"

namespace kiln::tool {

const text::Library& text_library() {
    static const text::Library* const library = [] {
        const OpenLibrary opened("libkiln_text.so", "kernels of C++ text need Clang");
        return opened.function<text::GetLibrary*>(text::library_symbol)();
    }();
    return *library;
}

}  // namespace kiln::tool
