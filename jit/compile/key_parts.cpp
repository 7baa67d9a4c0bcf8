#include "jit/compile/key_parts.h"

#include <algorithm>

#include <fmt/format.h>

namespace kiln::engine {
namespace {

std::vector<std::string_view> split(std::string_view text, char at) {
    std::vector<std::string_view> parts;
    for (;;) {
        const std::size_t end = text.find(at);
        parts.push_back(text.substr(0, end));
        if (end == text.npos) return parts;
        text.remove_prefix(end + 1);
    }
}

/// What a part of a target's name (CpuTarget::id, target_id) tells, by itself or by its place.
std::string_view name_of(std::string_view part, std::size_t place) {
    if (part.starts_with("llvm-")) return "version of LLVM";
    if (part.starts_with("kiln-")) return "build of kiln";
    if (part == "sse2" || part == "avx2" || part == "avx512") return "vector unit";
    if (part == "lines" || part == "variables") return "debugging";
    return place == 0 ? "architecture" : place == 1 ? "CPU" : "features of the CPU";
}

std::string_view value_of(const KeyParts& parts, std::string_view name) {
    const auto at = std::ranges::find(parts.fields, name, [](const auto& f) { return f.first; });
    return at == parts.fields.end() || at->second.empty() ? "nothing" : at->second;
}

}  // namespace

KeyParts key_parts(std::string_view key) {
    KeyParts parts;
    std::vector<std::string_view> lines = split(key, '\n');
    const auto target = split(lines[0], '/');
    for (std::size_t i = 0; i < target.size(); ++i) {
        const std::string_view name = name_of(target[i], i);
        const bool has_number = name == "version of LLVM" || name == "build of kiln";
        parts.fields.emplace_back(name, has_number ? target[i].substr(5) : target[i]);
    }
    if (lines.size() < 2) return parts;
    std::string_view options = lines[1];
    if (options.starts_with(' ')) options.remove_prefix(1);
    parts.fields.emplace_back("set of options", options);
    parts.lines.assign(lines.begin() + 2, lines.end());
    return parts;
}

std::string field_differences(const KeyParts& there, const KeyParts& here) {
    std::string text;
    const auto compare = [&](std::string_view name) {
        const std::string_view a = value_of(there, name), b = value_of(here, name);
        if (a != b)
            text += fmt::format("{}the {} is {}, not {}", text.empty() ? "" : ", ", name, a, b);
    };
    for (const auto& [name, value] : here.fields) compare(name);
    for (const auto& [name, value] : there.fields)
        if (std::ranges::find(here.fields, name, [](const auto& f) { return f.first; }) ==
            here.fields.end())
            compare(name);
    return text;
}

}  // namespace kiln::engine
