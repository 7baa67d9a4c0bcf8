// Regular expressions for tests: instantiating those of the C++ library takes g++ 3 s a file, and is done in regex.cpp alone.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace kiln::test {

/// Whether the pattern matches a part of the text.
bool is_found(const std::string& text, const std::string& pattern);
/// Whether it matches the whole text.
bool matches(const std::string& text, const std::string& pattern);
/// The text with `by`, in which $1 is the first group, in the place of each part that matches.
std::string replaced(const std::string& text, const std::string& pattern, const std::string& by);

/// A part of a text that matches: the part itself, then the pattern's groups; those that took no part are empty.
struct Match {
    std::size_t position = 0;
    std::vector<std::string> parts;
};
std::vector<Match> all_matches(const std::string& text, const std::string& pattern);

}  // namespace kiln::test
