// kiln embed: what kiln_kernels (jit/cmake/kiln_kernels.cmake) runs while a program is built.
#include "jit/tool/command.h"
#include "jit/tool/text_library.h"

#include <kiln/error.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

namespace kiln::tool {
namespace {

void write(const std::string& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary);
    if (!(file << text) || !file.flush())
        throw Error(ErrorKind::io, fmt::format("cannot write {}: {}", path, std::strerror(errno)));
}

/// As rules of make have it.
std::string escaped(const std::string& path) {
    std::string all;
    for (const char c : path) {
        if (c == ' ' || c == '#') all += '\\';
        if (c == '$') all += '$';
        all += c;
    }
    return all;
}

}  // namespace

Status embed(const Arguments& arguments) {
    if (arguments.words().size() != 1) throw UsageError("embed takes one file");
    if (!arguments.has("--out")) throw UsageError("embed needs --out FILE");
    const std::string out = arguments.value("--out");
    try {
        std::vector<std::string> files;
        const std::string text = text_library().embedded(arguments.words()[0], files);
        write(out, text);
        if (arguments.has("--depfile")) {
            std::string rule = escaped(out) + ":";
            for (const std::string& file : files) rule += " " + escaped(file);
            write(arguments.value("--depfile"), rule + "\n");
        }
    } catch (const Error& error) {  // with the file as the build named it
        if (error.line() == 0) throw;
        fmt::print(stderr, "{}:{}: error: {}{}\n", error.file(), error.line(), error.message(),
                   error.hint().empty() ? "" : fmt::format(" ({})", error.hint()));
        return Status::failed;
    }
    return Status::good;
}

}  // namespace kiln::tool
