// The options by which commands make kernels of C++ text.
#pragma once
#include "jit/tool/command.h"
#include "jit/tool/text_library.h"

#include <kiln/fastmath.h>
#include <kiln/jit.h>

#include <string>
#include <string_view>

namespace kiln::tool {

/// The value of an option among those that it may have. Errors: UsageError, naming these.
template <class Rows>
auto chosen(const Arguments& arguments, std::string_view option, const Rows& rows) {
    const std::string value = arguments.value(option);
    std::string known;
    for (const auto& [name, what] : rows) {
        if (name == value) return what;
        known += (known.empty() ? "" : ", ") + std::string(name);
    }
    throw UsageError(value + " is no " + std::string(option) + " (there are " + known + ")");
}

/// --mode, or what --layout or the function's parameters say. Errors: UsageError (--layout of another
/// mode, or none of a generalised ufunc), and those of the text.
text::Mode mode_of(const Arguments& arguments, const text::Source& source,
                   const std::string& function);
std::string_view name_of(text::Mode mode);

/// Errors: UsageError.
Fastmath fastmath_of(const Arguments& arguments);
BackendTarget target_of(const Arguments& arguments);

template <class Options> Options kernel_options(const Arguments& arguments) {
    Options made;
    made.fastmath = fastmath_of(arguments);
    made.parallel = arguments.has("--parallel");
    made.checked = arguments.has("--checked");
    if (arguments.has("--target")) made.target = target_of(arguments);
    return made;
}

}  // namespace kiln::tool
