#include "jit/session/commands.h"

#include "jit/session/input.h"
#include "jit/session/session.h"

#include <kiln/error.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>

#include <fmt/format.h>

namespace kiln::tool {
namespace {

/// What follows a command that takes a kernel: the kernel and, in brackets, types.
struct OfKernel {
    std::string kernel;
    std::optional<std::string> types;  ///< without the brackets
};

/// Errors: usage.
OfKernel of_kernel(std::string_view text) {
    text = trimmed(text);
    if (text.empty())
        throw Error(ErrorKind::usage, "a kernel is missing", {}, "such as :ir saxpy (f64, f64[1])");
    const std::size_t bracket = text.ends_with(')') ? text.rfind('(') : std::string_view::npos;
    if (bracket == std::string_view::npos || bracket == 0) return {std::string(text), {}};
    return {std::string(trimmed(text.substr(0, bracket))),
            std::string(text.substr(bracket + 1, text.size() - bracket - 2))};
}

/// C++ for `types`, or for those that the kernel was compiled for last.
std::string types_code(const OfKernel& of) {
    return of.types ? fmt::format("std::vector<::kiln::ArgType>{{{}}}", *of.types)
                    : fmt::format("::kiln::interactive::last_types({})", of.kernel);
}

std::string inspect_code(const OfKernel& of, std::string_view artifact) {
    return fmt::format("::kiln::interactive::handle({}).inspect(::kiln::Artifact::{}, {})",
                       of.kernel, artifact, types_code(of));
}

bool print_artifact(Session& session, std::string_view artifact, std::string_view rest) {
    return session.run_paged(
        fmt::format("std::fputs({}.c_str(), stdout);", inspect_code(of_kernel(rest), artifact)));
}

/// With the user's lines between the instructions; -s: what LLVM's model of this CPU says.
bool assembly(Session& session, std::string_view artifact, std::string_view rest) {
    rest = trimmed(rest);
    if (rest.starts_with("-s "))
        return session.run_paged(fmt::format("::kiln::interactive::print_throughput({});",
                                             inspect_code(of_kernel(rest.substr(3)), "assembly")));
    return print_artifact(session, artifact, rest);
}

bool annotate(Session& session, std::string_view, std::string_view rest) {
    const FileWord page = file_word(rest);
    if (page.rest.empty())
        throw Error(ErrorKind::usage, ":annotate takes a file and a kernel", {},
                    ":annotate page.html f (f64[1])");
    const OfKernel of = of_kernel(page.rest);
    const std::string types = of.types ? fmt::format("{{{{{}}}}}", *of.types) : "";
    return session.run_statement(
        fmt::format("::kiln::interactive::write_page({}, R\"kiln({})kiln\"{});", of.kernel,
                    page.file, of.types ? ", " + types : ""));
}

bool remarks(Session& session, std::string_view, std::string_view rest) {
    return session.run_paged(
        fmt::format("::kiln::interactive::print_remarks({});", of_kernel(rest).kernel));
}

bool signatures(Session& session, std::string_view, std::string_view rest) {
    return session.run_statement(
        fmt::format("::kiln::interactive::show , ({});", of_kernel(rest).kernel));
}

bool stats(Session& session, std::string_view, std::string_view rest) {
    return session.run_statement(
        trimmed(rest).empty()
            ? "::kiln::interactive::print(::kiln::stats());"
            : fmt::format("::kiln::interactive::print_stats({});", of_kernel(rest).kernel));
}

bool cache(Session& session, std::string_view, std::string_view) {
    return session.run_statement("::kiln::interactive::print_cache();");
}

bool time(Session& session, std::string_view, std::string_view rest) {
    if (trimmed(rest).empty()) throw Error(ErrorKind::usage, "an expression is missing");
    return session.run_statement(
        fmt::format("::kiln::interactive::time([]() -> decltype(auto) {{ return (\n#line 1 "
                    "\":time\"\n{}\n); }});",
                    trimmed(rest)));
}

// ------------------------------------------------------------------------------ :diff

/// Words, where brackets hold together what is in them.
std::vector<std::string> diff_words(std::string_view rest) {
    std::vector<std::string> words;
    for (rest = trimmed(rest); !rest.empty(); rest = trimmed(rest)) {
        const std::size_t end = rest.starts_with('(') ? rest.find(')') + 1 : rest.find(' ');
        words.emplace_back(trimmed(rest.substr(0, end)));
        rest = end == 0 || end == std::string_view::npos ? "" : rest.substr(end);
    }
    return words;
}

/// One of the two texts that are compared.
struct DiffSide {
    std::string artifact;              ///< of a stage; empty: the other's, else assembler
    std::optional<std::string> types;  ///< without the brackets
    std::string variation;             ///< C++: ".fuse = false"
};

/// Errors: usage.
DiffSide diff_side(const std::string& word) {
    if (word.starts_with('(')) return {{}, word.substr(1, word.size() - 2), {}};
    constexpr std::pair<std::string_view, std::string_view> stages[] = {
        {"ir", "ir"},        {"passes", "passes"}, {"plan", "plan"}, {"llvm", "llvm"},
        {"opt", "llvm_opt"}, {"asm", "assembly"},  {"cuda", "cuda"}, {"ptx", "ptx"}};
    for (const auto& [name, artifact] : stages)
        if (word == name) return {std::string(artifact), {}, {}};
    const std::size_t sign = word.find('=');
    const std::string option = word.substr(0, sign),
                      value = sign == std::string::npos ? "on" : word.substr(sign + 1);
    for (const std::string_view known : {"fastmath", "parallel", "checked", "fuse"})
        if (option == known && (value == "on" || value == "off"))
            return {{}, {}, fmt::format(".{} = {}", option, value == "on")};
    throw Error(
        ErrorKind::usage, fmt::format("'{}' is nothing to compare", word), {},
        "a stage (ir, passes, plan, llvm, opt, asm, cuda, ptx), types (f32[1]), or an option: "
        "fastmath, parallel, checked, fuse=off");
}

bool diff(Session& session, std::string_view, std::string_view rest) {
    const std::vector<std::string> words = diff_words(rest);
    if (words.size() != 3)
        throw Error(ErrorKind::usage, ":diff takes a kernel and two of its texts", {},
                    ":diff f ir opt, :diff f (f32[1]) (f64[1]), :diff f asm fastmath");
    DiffSide sides[] = {diff_side(words[1]), diff_side(words[2])};
    for (DiffSide& side : sides)
        if (side.artifact.empty()) {
            const std::string& other = sides[&side == &sides[0] ? 1 : 0].artifact;
            side.artifact = other.empty() ? "assembly" : other;
        }
    const auto text_code = [&](const DiffSide& side) {
        return fmt::format(
            "::kiln::interactive::handle({0}){1}.inspect(::kiln::Artifact::{2}, {3})", words[0],
            side.variation.empty() ? "" : fmt::format(".varied({{{}}})", side.variation),
            side.artifact, types_code({words[0], side.types}));
    };
    return session.run_paged(fmt::format(
        "::kiln::interactive::print_difference({}, {}, \"{}\", \"{}\", {});", text_code(sides[0]),
        text_code(sides[1]), words[1], words[2], session.has_colours()));
}

bool set(Session& session, std::string_view, std::string_view rest) {
    rest = trimmed(rest);
    const std::size_t blank = rest.find(' ');
    if (rest.substr(0, blank) != "threads" || blank == std::string_view::npos)
        throw Error(ErrorKind::usage, ":set threads N is known");
    return session.run_statement(
        fmt::format("::kiln::set_num_threads({});", trimmed(rest.substr(blank))));
}

/// All of the text, in quotes or not. Errors: usage.
std::string only_file(std::string_view command, std::string_view rest) {
    rest = trimmed(rest);
    if (!rest.starts_with('"') && !rest.empty()) return std::string(rest);
    const FileWord word = file_word(rest);
    if (!word.file.empty() && word.rest.empty()) return word.file;
    throw Error(ErrorKind::usage, fmt::format("{} takes one file", command));
}

bool load(Session& session, std::string_view, std::string_view rest) {
    return session.run_file(only_file(":load", rest));
}

bool save(Session& session, std::string_view, std::string_view rest) {
    const std::string path = only_file(":save", rest);
    std::ofstream file(path);
    if (!(file << session.transcript()))
        throw Error(ErrorKind::io,
                    fmt::format("'{}' cannot be written: {}", path, std::strerror(errno)));
    return true;
}

bool quit(Session& session, std::string_view, std::string_view) {
    session.quit();
    return true;
}

bool help(Session&, std::string_view, std::string_view);

struct Row {
    std::string_view name, words, doc;
    bool (*run)(Session&, std::string_view artifact, std::string_view rest);
    std::string_view artifact = {};
};
constexpr Row rows[] = {
    {"ir", "K [(types)]", "the kernel as traced", print_artifact, "ir"},
    {"passes", "K [(types)]", "after each pass that changed it", print_artifact, "passes"},
    {"plan", "K [(types)]", "what becomes of each loop, and why not more", print_artifact, "plan"},
    {"llvm", "K [(types)]", "LLVM IR as emitted", print_artifact, "llvm"},
    {"opt", "K [(types)]", "LLVM IR after optimisation", print_artifact, "llvm_opt"},
    {"asm", "[-s] K [(types)]",
     "assembler for this CPU between your lines, vector instructions with |; -s: what llvm-mca "
     "says",
     assembly, "assembly_lines"},
    {"cfg", "K [(types)]", "the control flow of LLVM's IR, as a graph for Graphviz", print_artifact,
     "cfg"},
    {"annotate", "FILE K [(types)]", "a page with what became of each line of it", annotate},
    {"cuda", "K [(types)]", "CUDA C++", print_artifact, "cuda"},
    {"ptx", "K [(types)]", "PTX", print_artifact, "ptx"},
    {"remarks", "K", "what was or was not done in its compiles", remarks},
    {"signatures", "K", "the types that it was compiled for", signatures},
    {"diff", "K A B",
     "two texts of it: stages (ir, llvm, opt, asm ...), (types), options (fastmath, parallel, "
     "checked, fuse=off)",
     diff},
    {"time", "EXPR", "the first call by phase, then warm calls", time},
    {"stats", "[K]", "counters, of a kernel or of all", stats},
    {"cache", "", "the disk cache, and what the session had of it", cache},
    {"set", "threads N", "how many threads parallel kernels use", set},
    {"load", "FILE", "runs the inputs of a file", load},
    {"save", "FILE", "writes the inputs that ended well", save},
    {"help", "", "this list", help},
    {"quit", "", "leaves, as Ctrl-D", quit},
};

bool help(Session&, std::string_view, std::string_view) {
    for (const Row& row : rows)
        fmt::print("  {:<22} {}\n", fmt::format(":{} {}", row.name, row.words), row.doc);
    fmt::print(
        "\nTypes are (f64, f32[1], i32[2]); without them, those that the kernel was compiled "
        "for last.\nAn expression without ; prints its value. What fails, or kills the "
        "process, leaves the session as it was.\n");
    return true;
}

}  // namespace

bool run_command(Session& session, std::string_view text) {
    const std::size_t end = text.find_first_of(" (\t");
    const std::string_view name = text.substr(0, end);
    const auto row = std::ranges::find(rows, name, &Row::name);
    try {
        if (row == std::end(rows))
            throw Error(ErrorKind::usage, fmt::format("there is no command :{}", name), {},
                        ":help tells what there is");
        return row->run(session, row->artifact,
                        end == std::string_view::npos ? "" : text.substr(end));
    } catch (const Error& error) {
        fmt::print(stderr, "{}\n", error.what());
        return false;
    }
}

std::vector<std::string> complete_command(std::string_view text) {
    std::vector<std::string> rest;
    for (const Row& row : rows)
        if (row.name.starts_with(text)) rest.emplace_back(row.name.substr(text.size()));
    return rest;
}

bool takes_a_file(std::string_view command) {
    const auto row = std::ranges::find(rows, command, &Row::name);
    return row != std::end(rows) && row->words.starts_with("FILE");
}

}  // namespace kiln::tool
