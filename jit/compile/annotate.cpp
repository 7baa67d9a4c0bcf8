#include <kiln/annotate.h>

#include "codegen/passes/kernel_plan.h"

#include <kiln/error.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

#include <fmt/format.h>

namespace kiln::detail {
namespace {

/// The page before and behind its data.
constexpr std::string_view page[] = {
#include "jit/compile/annotate_page.inc"
};

/// Texts of one specialisation.
struct Texts {
    std::string types, plan_json, ir, llvm, assembly;
};

std::string types_text(const std::vector<ArgType>& types) {
    std::string text;
    for (const ArgType& t : types)
        text += fmt::format("{}{}{}", text.empty() ? "" : ", ", name(t.dtype),
                            t.rank == 0 ? "" : fmt::format("[{}]", t.rank));
    return text;
}

/// What of a file is shown: all of it, or of a long one the lines around those that matter.
struct Source {
    std::string path;
    std::uint32_t lowest = ~std::uint32_t(0), highest = 0;
};

/// The files and lines that a plan speaks of.
std::vector<Source> sources_of(const std::vector<Texts>& signatures) {
    std::map<std::string, Source> files;
    for (const Texts& s : signatures) {
        constexpr std::string_view head = "{\"file\": \"";
        for (std::size_t at = s.plan_json.find(head); at != std::string::npos;
             at = s.plan_json.find(head, at + 1)) {
            const std::size_t begin = at + head.size(), end = s.plan_json.find('"', begin);
            const std::string path = s.plan_json.substr(begin, end - begin);
            constexpr std::string_view line = "\", \"line\": ";
            if (s.plan_json.compare(end, line.size(), line) != 0) continue;
            const auto number =
                static_cast<std::uint32_t>(std::atol(s.plan_json.c_str() + end + line.size()));
            Source& file = files.try_emplace(path, Source{path}).first->second;
            file.lowest = std::min(file.lowest, number);
            file.highest = std::max(file.highest, number);
        }
    }
    std::vector<Source> all;
    for (const auto& [path, file] : files) all.push_back(file);
    return all;
}

std::string json_of(const Source& source) {
    constexpr std::uint32_t around = 40, few = 400;
    std::ifstream in(source.path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    std::size_t first = 0, end = lines.size();
    if (lines.size() > few) {
        first = source.lowest > around ? source.lowest - around : 0;
        end = std::min<std::size_t>(end, source.highest + around);
    }
    std::string text = fmt::format("{{\"path\": {}, \"first\": {}, \"lines\": [",
                                   codegen::json_string(source.path), first + 1);
    for (std::size_t i = first; i < end; ++i)
        text += (i == first ? "" : ", ") + codegen::json_string(lines[i]);
    return text + "]}";
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// The samples of each line, by "file.cpp:12". Errors: io, usage (there are none).
std::map<std::string, std::uint64_t> samples_of(const std::string& profile) {
    std::ifstream in(profile);
    if (!in)
        throw Error(ErrorKind::io,
                    fmt::format("{} cannot be read: {}", profile, std::strerror(errno)));
    const auto is_number = [](const std::string& word) {
        return !word.empty() &&
               std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
    };
    const auto is_line = [&](const std::string& word) {
        const std::size_t colon = word.rfind(':');
        return colon != std::string::npos && colon > 0 && is_number(word.substr(colon + 1));
    };
    std::map<std::string, std::uint64_t> all;
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string before, last;
        for (std::string word; words >> word; last = word) before = last;
        if (is_line(last))
            ++all[name_of(last)];
        else if (is_line(before) && is_number(last))
            all[name_of(before)] += std::strtoull(last.c_str(), nullptr, 10);
    }
    if (all.empty())
        throw Error(ErrorKind::usage, fmt::format("{} has no samples", profile), {},
                    "KILN_PERF=1 perf record -k 1 ./program; perf inject --jit -i perf.data -o "
                    "jit.data; perf script -i jit.data -F ip,srcline > samples.txt");
    return all;
}

std::string samples_json(const AnnotateOptions& options) {
    if (options.profile.empty()) return "null";
    std::string text;
    for (const auto& [line, count] : samples_of(options.profile))
        text +=
            fmt::format("{}{}: {}", text.empty() ? "" : ", ", codegen::json_string(line), count);
    return "{" + text + "}";
}

}  // namespace

void write_annotated_page(const std::string& path, const std::string& kernel,
                          const Named::Inspect& inspect,
                          const std::vector<std::vector<ArgType>>& types,
                          const AnnotateOptions& options) {
    if (types.empty())
        throw Error(ErrorKind::usage, "a page of no argument types", {}, "such as {{f64[1]}}");
    std::vector<Texts> signatures;
    for (const auto& t : types)
        signatures.push_back({types_text(t), inspect(Artifact::plan_json, t),
                              inspect(Artifact::ir, t), inspect(Artifact::llvm_opt_lines, t),
                              inspect(Artifact::assembly_lines, t)});
    std::string data = fmt::format("{{\"kernel\": {}, \"samples\": {}, \"signatures\": [",
                                   codegen::json_string(kernel), samples_json(options));
    const auto add = [&](const Texts& s) {
        using codegen::json_string;
        data += fmt::format(
            "{{\"types\": {}, \"plan\": {}, \"ir\": {}, \"llvm\": {}, \"assembly\": {}}}",
            json_string(s.types), s.plan_json, json_string(s.ir), json_string(s.llvm),
            json_string(s.assembly));
    };
    for (const Texts& s : signatures) {
        if (&s != &signatures.front()) data += ", ";
        add(s);
    }
    data += "], \"sources\": [";
    const std::vector<Source> sources = sources_of(signatures);
    for (const Source& s : sources) data += (&s == &sources.front() ? "" : ", ") + json_of(s);
    data += "]}";
    // Nothing in it ends the element that it is in.
    for (std::size_t at = data.find("</"); at != std::string::npos; at = data.find("</", at + 2))
        data.replace(at, 2, "<\\/");
    std::ofstream out(path);
    out << page[0] << data << page[1];
    out.close();
    if (!out)
        throw Error(ErrorKind::io,
                    fmt::format("{} cannot be written: {}", path, std::strerror(errno)));
}

}  // namespace kiln::detail
