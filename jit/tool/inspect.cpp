// kiln inspect: the texts of a kernel of a plugin or of C++ text.
#include "jit/session/libraries.h"
#include "jit/session/plugin.h"
#include "jit/text/kernel_of_file.h"
#include "jit/tool/command.h"
#include "jit/tool/types.h"

#include <kiln/annotate.h>
#include <kiln/error.h>
#include <kiln/text_style.h>

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
    throw UsageError(fmt::format("there is no text '{}': {}, cfg", name, all));
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

Named::Inspect texts_of(const Arguments& arguments) {
    const std::string& file = arguments.words()[0];
    const std::string kernel = arguments.value("--kernel");
    if (file.ends_with(".so")) return kernel_of_plugin(file, kernel).inspect();
    const OpenLibrary library("libkiln_text.so", "kernels of C++ text need Clang");
    Named::Inspect texts;
    library.function<text::InspectFile>("kiln_inspect_file")(
        {.file = file,
         .function = kernel,
         .mode = arguments.value("--mode"),
         .layout = arguments.value("--layout"),
         .fastmath = arguments.has("--fastmath"),
         .parallel = arguments.has("--parallel"),
         .checked = arguments.has("--checked")},
        texts);
    return texts;
}

}  // namespace

Status inspect(const Arguments& arguments) {
    if (arguments.words().size() != 1) throw UsageError("inspect takes one file");
    for (const char* needed : {"--kernel", "--sig"})
        if (!arguments.has(needed)) throw UsageError(fmt::format("inspect needs {}", needed));
    const std::string stage = arguments.value("--emit", "ir");
    const bool graph = stage == "cfg";
    const Artifact artifact = graph ? Artifact::llvm_opt : stage_of(stage);
    const std::vector<ArgType> types = types_of(arguments.value("--sig"));
    const TextsIn style(graph                      ? TextStyle::graph
                        : arguments.has("--lines") ? TextStyle::lines
                                                   : TextStyle::plain);
    std::fputs(texts_of(arguments)(artifact, types).c_str(), stdout);
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
                                       texts_of(arguments), signatures);
    return Status::good;
}

}  // namespace kiln::tool
