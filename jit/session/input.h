// Inputs of a session: which lines belong together, and what they are.
#pragma once
#include <string>
#include <string_view>

namespace kiln::tool {

/// Whether `text` goes on in the next line: a bracket, comment or raw string is open, a line ends
/// with a backslash, or a declaration or statement has no end yet. An empty line ends the latter.
bool is_open(std::string_view text);

/// Whether the text is an expression whose value is to be shown: it ends with neither `;` nor `}`,
/// and is no directive.
bool is_expression(std::string_view text);

/// Where the string begins that is open at the end of a line; npos: none is.
std::size_t open_quote(std::string_view line);

/// Without blanks at both ends.
std::string_view trimmed(std::string_view text);

}  // namespace kiln::tool
