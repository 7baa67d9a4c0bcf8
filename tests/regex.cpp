#include "tests/regex.h"

#include <regex>

namespace kiln::test {

bool is_found(const std::string& text, const std::string& pattern) {
    return std::regex_search(text, std::regex(pattern));
}

bool matches(const std::string& text, const std::string& pattern) {
    return std::regex_match(text, std::regex(pattern));
}

std::string replaced(const std::string& text, const std::string& pattern, const std::string& by) {
    return std::regex_replace(text, std::regex(pattern), by);
}

std::vector<Match> all_matches(const std::string& text, const std::string& pattern) {
    const std::regex compiled(pattern);
    std::vector<Match> all;
    for (std::sregex_iterator at(text.begin(), text.end(), compiled), last; at != last; ++at) {
        Match& match = all.emplace_back(Match{static_cast<std::size_t>(at->position()), {}});
        for (const auto& part : *at) match.parts.push_back(part.str());
    }
    return all;
}

}  // namespace kiln::test
