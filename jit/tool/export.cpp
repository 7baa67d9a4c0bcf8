// kiln export: a function of C++ text as an object file for other programs.
#include "jit/tool/command.h"
#include "jit/tool/text_options.h"
#include "jit/tool/types.h"

#include <kiln/export.h>

#include <array>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace kiln::tool {
namespace {

constexpr std::array<std::pair<std::string_view, CpuUnit>, 4> units{{{"host", CpuUnit::host},
                                                                     {"sse2", CpuUnit::sse2},
                                                                     {"avx2", CpuUnit::avx2},
                                                                     {"avx512", CpuUnit::avx512}}};

}  // namespace

Status export_object(const Arguments& arguments) {
    if (arguments.words().size() != 1) throw UsageError("export takes one file");
    for (const char* needed : {"--kernel", "--sig", "-o"})
        if (!arguments.has(needed)) throw UsageError(fmt::format("export needs {}", needed));
    const std::string kernel = arguments.value("--kernel"), object = arguments.value("-o");
    const std::vector<ArgType> types = types_of(arguments.value("--sig"));
    ExportOptions options{.symbol = arguments.value("--symbol", kernel),
                          .header = arguments.value("--header")};
    if (arguments.has("--cpu")) options.cpu = chosen(arguments, "--cpu", units);
    const std::source_location nowhere{};  // lines are those of the text
    const text::Library& library = text_library();
    const text::Source source = library.file(arguments.words()[0], nowhere);
    const text::Mode mode = mode_of(arguments, source, kernel);
    switch (mode) {
        case text::Mode::vectorize:
            library.vectorize(source, kernel, kernel_options<UfuncOptions>(arguments), nowhere)
                .export_object(types, object, options, nowhere);
            return Status::good;
        case text::Mode::jit:
            text::Kernel<void>(kernel,
                               library.loop_function(
                                   source, kernel, kernel_options<JitOptions>(arguments), nowhere),
                               nowhere)
                .export_object(types, object, options, nowhere);
            return Status::good;
        case text::Mode::guvectorize:
        case text::Mode::stencil: break;
    }
    throw UsageError(fmt::format("kernels of {} cannot be exported", name_of(mode)));
}

}  // namespace kiln::tool
