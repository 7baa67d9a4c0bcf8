#include "jit/text/kernel_of_file.h"

#include "dsl/text/front_end.h"

#include <kiln/text.h>

#include <algorithm>

#include <fmt/format.h>

namespace kiln::text {
namespace {

std::string mode_of(const FileKernel& from, const Source& source) {
    if (!from.mode.empty()) return from.mode;
    if (!from.layout.empty()) return "guvectorize";
    const Declaration d = declaration_of({source.name(), source.code()}, from.function, {});
    if (d.count(Passing::neighbors) > 0) return "stencil";
    const bool arrays = std::ranges::any_of(d.params, [](const Parameter& p) {
        return p.passing == Passing::in || p.passing == Passing::inout;
    });
    return arrays ? "jit" : "vectorize";
}

template <class K> Named::Inspect inspection_of(K kernel) {
    return [kernel = std::move(kernel)](Artifact artifact, const std::vector<ArgType>& types) {
        return kernel.inspect(artifact, types);
    };
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void kiln_inspect_file(const FileKernel& from,
                                                                         Named::Inspect& made) {
    // Lines are those of the text.
    const std::source_location nowhere;
    const Source source = Source::file(from.file, nowhere);
    const std::string mode = mode_of(from, source);
    if (mode == "vectorize") {
        made = inspection_of(text::vectorize(
            source, from.function,
            {.fastmath = from.fastmath, .parallel = from.parallel, .checked = from.checked},
            nowhere));
    } else if (mode == "guvectorize") {
        made = inspection_of(text::guvectorize(
            source, from.function, from.layout,
            {.fastmath = from.fastmath, .parallel = from.parallel, .checked = from.checked},
            nowhere));
    } else if (mode == "stencil") {
        made = inspection_of(text::stencil(
            source, from.function,
            {.fastmath = from.fastmath, .parallel = from.parallel, .checked = from.checked},
            nowhere));
    } else if (mode == "jit") {
        // Of whatever results: none are asked for.
        made = inspection_of(Kernel<void>(
            from.function,
            detail::loop_function(
                source, from.function,
                {.fastmath = from.fastmath, .parallel = from.parallel, .checked = from.checked},
                nowhere),
            nowhere));
    } else {
        throw Error(ErrorKind::usage, fmt::format("there is no mode '{}'", mode), {},
                    "vectorize, guvectorize, jit and stencil are known");
    }
}

}  // namespace kiln::text
