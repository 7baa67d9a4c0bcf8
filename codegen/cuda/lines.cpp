#include "codegen/cuda/lines.h"

#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace kiln::codegen {

namespace {

struct Place {
    std::string_view file;
    unsigned line;
    bool operator==(const Place&) const = default;
};

/// What "    // prices.cpp:31" names.
std::optional<Place> place_of(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(' ');
    if (begin == text.npos || !text.substr(begin).starts_with("// ")) return std::nullopt;
    const std::string_view comment = text.substr(begin + 3);
    const std::size_t colon = comment.rfind(':');
    if (colon == comment.npos || comment.substr(0, colon).find(' ') != comment.npos)
        return std::nullopt;
    Place place{comment.substr(0, colon), 0};
    const char* const end = comment.data() + comment.size();
    const auto [rest, error] = std::from_chars(comment.data() + colon + 1, end, place.line);
    if (error != std::errc() || rest != end) return std::nullopt;
    return place;
}

}  // namespace

std::string cuda_with_lines(std::string_view text, std::string_view name) {
    std::string result;
    std::optional<Place> place;
    for (unsigned number = 1; !text.empty(); ++number) {
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end == text.npos ? text.size() : end + 1);
        if (const auto named = place_of(line)) {
            place = named;
            continue;
        }
        if (line.starts_with("}")) place.reset();
        // Each line of text that a line of the user's became.
        const Place at = place.value_or(Place{name, number});
        result += fmt::format("#line {} \"{}\"\n{}\n", at.line, at.file, line);
    }
    return result;
}

}  // namespace kiln::codegen
