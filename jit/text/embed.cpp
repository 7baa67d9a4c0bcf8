#include "jit/text/embed.h"

#include "jit/text/function.h"

#include <filesystem>

#include <fmt/format.h>

namespace kiln::text {
namespace {

std::vector<ArgType> types_of(const Declaration& declaration, std::uint8_t rank_of_numbers) {
    std::vector<ArgType> types;
    for (const Parameter& p : declaration.params) {
        if (p.passing == Passing::output) continue;
        const bool number = p.passing == Passing::value;
        types.push_back(
            {*p.dtype, number ? rank_of_numbers : static_cast<std::uint8_t>(p.rank.value_or(0))});
    }
    return types;
}

/// As what nothing in C++ ends early.
std::string literal(const std::string& text) { return fmt::format("R\"kiln({})kiln\"", text); }

/// The bodies of one kernel, with the flags that each operation may have.
std::string row_of(const Marked& marked, const Unit& unit, std::size_t number) {
    const auto f =
        std::make_shared<const Function>(Function{unit, marked.name, marked.declaration, {}});
    const Declaration& d = marked.declaration;
    std::string map = "nullptr", why = "nullptr";
    if (d.count(Passing::in) + d.count(Passing::inout) == 0) {
        try {
            const Ufunc kernel = element_kernel(f, "kernel", {.fastmath = true}, {});
            map = literal(kernel.inspect(Artifact::ir, types_of(d, 1)));
        } catch (const Error& error) {
            why = literal(error.message());
        }
    }
    detail::LoopFunction made = loop_function_of(f, {.fastmath = true}, {});
    const Kernel<void> kernel("kernel", std::move(made), std::source_location());
    const std::string program = literal(kernel.inspect(Artifact::ir, types_of(d, 0)));
    return fmt::format("    {{kiln_kernel_{}, \"{}\",\n{},\n{},\n{}}},\n", number, marked.name, map,
                       why, program);
}

}  // namespace

std::string embedded(const std::string& path, std::vector<std::string>& files) {
    const Source source = Source::file(path, std::source_location());
    const Unit unit{path, source.code(), std::filesystem::path(path).parent_path().string()};
    const std::vector<Marked> all = marked_functions(unit, files);
    if (all.empty())
        throw Error(ErrorKind::usage, "no function is marked with KILN_KERNEL", Location(path, 1),
                    "templates are kernels where they are instantiated: template float f(float);");
    std::string declarations, rows;
    for (std::size_t i = 0; i < all.size(); ++i) {
        declarations += fmt::format("void kiln_kernel_{}() __asm__(\"{}\");\n", i, all[i].symbol);
        rows += row_of(all[i], unit, i);
    }
    return fmt::format(
        "// Made from {} by kiln_kernels: do not edit.\n#include <kiln/native.h>\n\n"
        "namespace kiln_kernels {{\n{}namespace {{\n"
        "const kiln::detail::NativeKernel kernels[] = {{\n{}}};\n"
        "const kiln::detail::NativeKernels told(kernels, {});\n}}\n}}\n",
        path, declarations, rows, all.size());
}

}  // namespace kiln::text
