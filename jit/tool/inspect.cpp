// kiln inspect: the texts of a kernel of a plugin or of C++ text.
#include "jit/session/plugin.h"
#include "jit/tool/command.h"
#include "jit/tool/text_options.h"
#include "jit/tool/types.h"

#include <kiln/annotate.h>
#include <kiln/error.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <sstream>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace kiln::tool {
namespace {

constexpr std::pair<std::string_view, Artifact> stages[] = {
#define KILN_ARTIFACT(id, maker, doc) {#id, Artifact::id},
#include <kiln/artifacts.def>
#undef KILN_ARTIFACT
    {"opt", Artifact::llvm_opt},
    {"asm", Artifact::assembly},
};

/// Errors: usage, naming those that there are.
Artifact stage_of(const std::string& name) {
    const auto stage =
        std::ranges::find(stages, name, &std::pair<std::string_view, Artifact>::first);
    if (stage != std::end(stages)) return stage->second;
    std::string all;
    for (const auto& [known, artifact] : stages)
        all += (all.empty() ? "" : ", ") + std::string(known);
    throw UsageError(fmt::format("there is no text '{}': {}", name, all));
}

/// The same text with the user's lines between. Errors: usage.
Artifact with_lines(Artifact artifact, const std::string& stage) {
    if (artifact == Artifact::assembly) return Artifact::assembly_lines;
    if (artifact == Artifact::llvm_opt) return Artifact::llvm_opt_lines;
    throw UsageError(fmt::format("--lines is of opt and asm, not of {}", stage));
}

Named kernel_of_plugin(const std::string& path, const std::string& wanted) {
    const std::vector<Named> all = load_plugin(path);
    const auto found = std::ranges::find(all, wanted, &Named::name);
    if (found != all.end() && found->inspect() != nullptr) return *found;
    std::string names;
    for (const Named& n : all)
        if (n.inspect() != nullptr) names += (names.empty() ? "" : ", ") + n.name();
    throw Error(ErrorKind::usage, fmt::format("{} exports no kernel '{}'", path, wanted), {},
                names.empty() ? "it exports no kernels" : "it exports " + names);
}

template <class K>
    requires kiln::detail::KernelHandle<K>
Named::Inspect texts_of(K kernel) {
    return [kernel = std::move(kernel)](Artifact artifact, const std::vector<ArgType>& types) {
        return kernel.inspect(artifact, types);
    };
}

Named::Inspect texts_of(const Arguments& arguments) {
    const std::string& file = arguments.words()[0];
    const std::string kernel = arguments.value("--kernel");
    if (file.ends_with(".so")) {
        for (const char* option : {"--mode", "--layout", "--fastmath", "--parallel", "--checked"})
            if (arguments.has(option))
                throw UsageError(
                    fmt::format("{} is of C++ text; what {} exports has its own", option, file));
        return kernel_of_plugin(file, kernel).inspect();
    }
    // Lines are those of the text.
    const std::source_location nowhere{};
    const text::Library& library = text_library();
    const text::Source source = library.file(file, nowhere);
    switch (mode_of(arguments, source, kernel)) {
        case text::Mode::vectorize:
            return texts_of(library.vectorize(source, kernel,
                                              kernel_options<UfuncOptions>(arguments), nowhere));
        case text::Mode::guvectorize:
            return texts_of(library.guvectorize(source, kernel, arguments.value("--layout"),
                                                kernel_options<GufuncOptions>(arguments), nowhere));
        case text::Mode::stencil:
            return texts_of(library.stencil(source, kernel,
                                            kernel_options<StencilOptions>(arguments), nowhere));
        case text::Mode::jit: break;
    }
    // Of whatever results: none are asked for.
    return texts_of(text::Kernel<void>(
        kernel,
        library.loop_function(source, kernel, kernel_options<JitOptions>(arguments), nowhere),
        nowhere));
}

}  // namespace

Status inspect(const Arguments& arguments) {
    if (arguments.words().size() != 1) throw UsageError("inspect takes one file");
    for (const char* needed : {"--kernel", "--sig"})
        if (!arguments.has(needed)) throw UsageError(fmt::format("inspect needs {}", needed));
    const std::string stage = arguments.value("--emit", "ir");
    Artifact artifact = stage_of(stage);
    if (arguments.has("--lines")) artifact = with_lines(artifact, stage);
    const std::vector<ArgType> types = types_of(arguments.value("--sig"));
    std::string text = texts_of(arguments)(artifact, types);
    if (!text.ends_with('\n')) text += '\n';
    std::fputs(text.c_str(), stdout);
    return Status::good;
}

Status annotate(const Arguments& arguments) {
    if (arguments.words().size() != 1) throw UsageError("annotate takes one file");
    for (const char* needed : {"--kernel", "--sig", "-o"})
        if (!arguments.has(needed)) throw UsageError(fmt::format("annotate needs {}", needed));
    std::vector<std::vector<ArgType>> signatures;
    std::istringstream all(arguments.value("--sig"));
    for (std::string one; std::getline(all, one, ';');) signatures.push_back(types_of(one));
    kiln::detail::write_annotated_page(arguments.value("-o"), arguments.value("--kernel"),
                                       texts_of(arguments), signatures,
                                       {.profile = arguments.value("--profile")});
    return Status::good;
}

}  // namespace kiln::tool
