// What is done with texts everywhere.
#pragma once
#include <string_view>

namespace kiln::detail {

inline constexpr std::string_view blanks = " \t\n\r";

/// Without blanks at both ends.
constexpr std::string_view trimmed(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(blanks);
    if (begin == text.npos) return {};
    return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

}  // namespace kiln::detail
