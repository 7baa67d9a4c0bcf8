// kiln: the command line.
#include "jit/compile/target.h"
#include "jit/tool/command.h"

#include <kiln/error.h>

#include <algorithm>
#include <cstdio>
#include <exception>

#include <fmt/format.h>

namespace kiln::tool {
namespace {

const Option json{"--json", "", "as JSON"};

/// Of commands that look at one kernel.
std::vector<Option> kernel_options(std::vector<Option> more) {
    const std::vector<Option> kernel = {
        {"--mode", "MODE",
         "of C++ text: vectorize, guvectorize, jit, stencil; else by its parameters"},
        {"--layout", "LAYOUT", "of guvectorize: '(n),(n)->()'"},
        {"--fastmath", "[=FLAGS]", "all flags, or nnan,ninf,nsz,arcp,contract,afn,reassoc"},
        {"--parallel", "", "as the option of kernels"},
        {"--checked", "", "as the option of kernels"}};
    more.insert(more.begin(), {"--kernel", "F", "the function, or the exported name"});
    more.insert(more.end(), kernel.begin(), kernel.end());
    return more;
}

/// Of commands that call a function of C++ text.
std::vector<Option> run_options(std::vector<Option> more) {
    const std::vector<Option> run = {
        {"--kernel", "F", "the function"},
        {"--mode", "MODE", "vectorize, guvectorize, jit, stencil; else what its parameters say"},
        {"--layout", "LAYOUT", "of guvectorize, '(n),(n)->()'"},
        {"--boundary", "B", "of stencil: constant, nearest, wrap, reflect, mirror"},
        {"--fastmath", "[=FLAGS]", "all flags, or nnan,ninf,nsz,arcp,contract,afn,reassoc"},
        {"--parallel", "", "on several threads"},
        {"--checked", "", "errors where an access is outside of its array"},
        {"--target", "T", "cpu, cuda, sim"},
        {"--threads", "N", "at most so many"}};
    more.insert(more.begin(), run.begin(), run.end());
    more.push_back(json);
    return more;
}

const std::vector<Command>& commands() {
    static const std::vector<Command> all = {
        {"repl",
         "[PLUGIN.so...] [FILE...]",
         "C++ with kiln included, line by line; the default. Files are run without a prompt; what "
         "plugins export has its names there",
         {{"-k", "", "go on after errors"}},
         repl},
        {"inspect", "FILE.cpp|PLUGIN.so",
         "a text of a kernel: of a function in C++ text, or of what a plugin exports",
         kernel_options(
             {{"--sig", "TYPES", "of its arguments: 'f64, f32[1]'"},
              {"--emit", "TEXT", "ir (default), passes, plan, llvm, opt, asm, cfg, cuda, ptx ..."},
              {"--lines", "", "opt and asm with the lines of the source between"}}),
         inspect},
        {"annotate", "FILE.cpp|PLUGIN.so",
         "writes an HTML page: the source with what became of each line, beside the generated code",
         kernel_options({{"-o", "PAGE", "the file to write"},
                         {"--sig", "TYPES", "of its arguments; several lists with ; between"},
                         {"--profile", "FILE",
                          "samples, lines that end with FILE:LINE, as perf script -F ip,srcline "
                          "prints them: colours by these"}}),
         annotate},
        {"run", "FILE ARG...",
         "a function of C++ text over numbers (2.5, f32:2.5) and arrays in files: @in.npy, "
         "=out.npy "
         "(of a loop kernel with its type, =out.npy:f64[100,200]), +in.npy=out.npy",
         run_options({{"--repeat", "K", "K calls more, for the median of their times"}}), run},
        {"bench", "FILE ARG...",
         "how long warm calls of a function take, beside those of another one: the ratio with its "
         "spread. Arguments are those of kiln run; no file is written",
         run_options({{"--against", "G", "the other function; else that of the same name"},
                      {"--against-file", "FILE", "where that is; else the same file"},
                      {"--rounds", "N", "of calls of both in turn (51)"}}),
         bench},
        {"export", "FILE",
         "an object file with a C function for programs without kiln, and its header: of a "
         "function of "
         "C++ text",
         kernel_options({{"-o", "FILE.o", "the object; the header is FILE.h"},
                         {"--sig", "TYPES", "of its arguments: 'f64, f32[1]'"},
                         {"--header", "FILE", "where the header goes"},
                         {"--symbol", "NAME", "the C function; else as the kernel"},
                         {"--cpu", "UNIT", "host (default), sse2, avx2, avx512"}}),
         export_object},
        {"embed",
         "FILE",
         "C++ that tells a program of the kernels of its functions; kiln_kernels of CMake runs it",
         {{"--out", "FILE", "the C++"}, {"--depfile", "FILE", "of what it depends on, for builds"}},
         embed},
        {"doctor",
         "",
         "what kiln finds on this machine, and what mends what is missing",
         {json},
         doctor},
        {"cache",
         "ls|stats|clear|verify|bundle FILE [BUNDLE...]",
         "the disk cache of machine code",
         {json},
         cache},
    };
    return all;
}

const Option help{"--help", "", "this text"};

std::string options_text(std::vector<Option> options) {
    options.push_back(help);
    std::string text = "\nOptions:\n";
    for (const Option& o : options)
        text += fmt::format(
            "  {:<22} {}\n",
            fmt::format("{}{}{}", o.name, o.value.starts_with('[') ? "" : " ", o.value), o.doc);
    return text;
}

void print_help() {
    std::string text =
        "usage: kiln [COMMAND] [OPTION...] [WORD...]\n\n"
        "Without a command: a C++ REPL with kiln included. kiln FILE is kiln repl FILE.\n\n"
        "Commands:\n";
    for (const Command& c : commands())
        text += fmt::format("  {:<30} {}\n", fmt::format("{} {}", c.name, c.words), c.doc);
    text += options_text({{"--version", "", "the versions of kiln and of LLVM"}});
    text +=
        "\nkiln COMMAND --help tells more. Exit status: 1 for an error of a kernel, 2 of usage.\n";
    std::fputs(text.c_str(), stdout);
}

void print_help(const Command& command) {
    fmt::print("usage: kiln {} [OPTION...] {}\n\n{}.\n{}", command.name, command.words, command.doc,
               options_text(command.options));
}

Status run_words(std::vector<std::string> words) {
    if (!words.empty() && words[0] == "--help") {
        print_help();
        return Status::good;
    }
    if (!words.empty() && words[0] == "--version") {
        fmt::print("kiln {} (build {}), LLVM {}\n", KILN_VERSION, engine::build_fingerprint,
                   KILN_LLVM_VERSION);
        return Status::good;
    }
    const auto named =
        words.empty() ? commands().end() : std::ranges::find(commands(), words[0], &Command::name);
    if (named != commands().end()) words.erase(words.begin());
    const Command& command = named == commands().end() ? commands().front() : *named;
    std::vector<Option> options = command.options;
    options.push_back(help);
    const Arguments arguments(words, options);
    if (arguments.has("--help")) {
        print_help(command);
        return Status::good;
    }
    return command.run(arguments);
}

}  // namespace
}  // namespace kiln::tool

int main(int argc, char** argv) {
    using namespace kiln::tool;
    try {
        return static_cast<int>(run_words({argv + 1, argv + argc}));
    } catch (const UsageError& error) {
        fmt::print(stderr, "kiln: {}\nkiln --help tells what there is\n", error.what());
        return static_cast<int>(Status::usage);
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return static_cast<int>(Status::failed);
    }
}
