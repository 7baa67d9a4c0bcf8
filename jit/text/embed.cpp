#include "jit/text/embed.h"

#include "jit/text/function.h"

#include <algorithm>
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

/// The bodies of one kernel, with the flags that each operation may have.
FunctionTexts texts_of(const std::shared_ptr<const Function>& f, const std::string& name) {
    const Declaration& d = f->declaration;
    FunctionTexts made{.name = name, .map = {}, .why_no_map = {}, .program = {}, .remarks = {}};
    if (d.count(Passing::in) + d.count(Passing::inout) == 0) {
        const auto text = [&](bool checked) {
            return element_kernel(f, "kernel", {.fastmath = true, .checked = checked}, {})
                .inspect(Artifact::ir, types_of(d, 1));
        };
        try {
            made.map = {text(false), text(true)};
        } catch (const Error& error) {
            made.why_no_map = error.message();
        }
    }
    // What .parallel asks for is in the text, and decided by the kernel that this becomes a part of.
    const auto kernel = [&](bool more) {
        return Kernel<void>(
            "kernel",
            loop_function_of(f, {.fastmath = true, .parallel = true, .checked = more}, {}),
            std::source_location());
    };
    const Kernel<void> usual = kernel(false), checked = kernel(true);
    made.program = {usual.inspect(Artifact::ir, types_of(d, 0)),
                    checked.inspect(Artifact::ir, types_of(d, 0))};
    made.remarks = checked.remarks();
    return made;
}

/// As what nothing in C++ ends early.
std::string literal(const std::string& text) { return fmt::format("R\"kiln({})kiln\"", text); }

std::string row(const BodyTexts& body) {
    if (body.usual.empty()) return "{nullptr, nullptr}";
    return fmt::format("{{{}, {}}}", literal(body.usual),
                       body.checked == body.usual ? "nullptr" : literal(body.checked));
}

/// A kernel, behind what is remarked of its lines.
struct Rows {
    std::string remarks, kernel;
};
Rows rows_of(const FunctionTexts& texts, std::size_t number) {
    Rows rows;
    for (const Remark& r : texts.remarks)
        rows.remarks +=
            fmt::format("    {{{}, {}, {}}},\n", literal(r.file), r.line, literal(r.text));
    if (!rows.remarks.empty())
        rows.remarks =
            fmt::format("const kiln::detail::NativeRemark remarks_{}[] = {{\n{}    {{}},\n}};\n",
                        number, rows.remarks);
    rows.kernel = fmt::format(
        "    {{kiln_kernel_{}, {},\n{},\n{},\n{},\n{}}},\n", number, literal(texts.name),
        row(texts.map), texts.why_no_map.empty() ? "nullptr" : literal(texts.why_no_map),
        row(texts.program), rows.remarks.empty() ? "nullptr" : fmt::format("remarks_{}", number));
    return rows;
}

}  // namespace

std::string embedded(const std::string& path, std::vector<std::string>& files) {
    const Source source = Source::file(path, std::source_location());
    const Unit unit{path, source.code(), std::filesystem::path(path).parent_path().string()};
    const std::vector<Marked> all = marked_functions(unit, files);
    if (all.empty())
        throw Error(ErrorKind::usage, "no function is marked with KILN_KERNEL", Location(path, 1),
                    "templates are kernels where they are instantiated: template float f(float);");
    std::string declarations, remarks, rows;
    for (std::size_t i = 0; i < all.size(); ++i) {
        declarations += fmt::format("void kiln_kernel_{}() __asm__(\"{}\");\n", i, all[i].symbol);
        const auto f =
            std::make_shared<const Function>(Function{unit, all[i].name, all[i].declaration, {}});
        const Rows made = rows_of(texts_of(f, all[i].name), i);
        remarks += made.remarks;
        rows += made.kernel;
    }
    return fmt::format(
        "// Made from {} by kiln_kernels: do not edit.\n#include <kiln/native.h>\n\n"
        "namespace kiln_kernels {{\n{}namespace {{\n{}"
        "const kiln::detail::NativeKernel kernels[] = {{\n{}}};\n"
        "const kiln::detail::NativeKernels told(kernels, {});\n}}\n}}\n",
        path, declarations, remarks, rows, all.size());
}

FunctionTexts texts_of(const Interpreter::FunctionText& function) {
    const auto f = function_of(Source(function.code, function.input), function.function,
                               std::source_location());
    return texts_of(f, function.name);
}

}  // namespace kiln::text
