// What programs that open libkiln_text, rather than being linked with it, ask it for.
#pragma once
#include <kiln/text.h>

#include <string>
#include <vector>

namespace kiln::text {

/// What of text.h a function of a text can become.
enum class Mode : unsigned char { vectorize, guvectorize, jit, stencil };

struct Library {
    Source (*file)(const std::string& path, std::source_location where);
    /// What its parameters make of a function: a stencil of one with Neighbors, a loop kernel of one
    /// with other arrays, else an element-wise kernel. Errors: as of vectorize.
    Mode (*mode_of)(const Source& source, const std::string& function, std::source_location where);
    Ufunc (*vectorize)(const Source& source, const std::string& function, UfuncOptions options,
                       std::source_location where);
    Gufunc (*guvectorize)(const Source& source, const std::string& function,
                          const std::string& signature, GufuncOptions options,
                          std::source_location where);
    Stencil (*stencil)(const Source& source, const std::string& function, StencilOptions options,
                       std::source_location where);
    detail::LoopFunction (*loop_function)(const Source& source, const std::string& function,
                                          JitOptions options, const std::source_location& where);
    /// See embed.h.
    std::string (*embedded)(const std::string& path, std::vector<std::string>& files);
};

/// The function by which libkiln_text gives it.
using GetLibrary = const Library*();
inline constexpr const char* library_symbol = "kiln_text_library";

}  // namespace kiln::text
