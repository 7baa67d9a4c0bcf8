// Options of a kernel with what a Variation changes of them.
#pragma once
#include "jit/compile/compile.h"

#include <kiln/variation.h>

namespace kiln::engine {

/// Errors: usage (.fuse, where a kernel of this kind has none).
template <class Options>
Options varied(Options options, const Variation& variation, const std::string& kernel,
               KernelKind kind) {
    options.fastmath = variation.fastmath.value_or(options.fastmath);
    options.parallel = variation.parallel.value_or(options.parallel);
    options.checked = variation.checked.value_or(options.checked);
    if constexpr (requires { options.fuse; })
        options.fuse = variation.fuse.value_or(options.fuse);
    else if (variation.fuse)
        throw Error(ErrorKind::usage,
                    kernel + " is " + std::string(name(kind)) + ", which has no .fuse");
    return options;
}

}  // namespace kiln::engine
