// Inputs of a session: which lines belong together, and what they are.
#pragma once
#include "runtime/text.h"

#include <string>
#include <string_view>

namespace kiln::tool {

/// Whether a line is a command, and no C++ (::f(1) is that).
bool is_command(std::string_view line);

/// Whether `text` goes on in the next line: a bracket, comment or raw string is open, a line ends
/// with a backslash, or a declaration or statement has no end yet. An empty line ends the latter.
bool is_open(std::string_view text);

/// Whether the text is an expression whose value is to be shown: it ends with neither `;` nor `}`,
/// and is no directive.
bool is_expression(std::string_view text);

/// The code of an input whose lines are those of `file`, as Clang 19 takes it: in statements outside of functions
/// it does not survive lambdas, so those that have some are put into functions, `name`_1 ... Lambdas capture
/// variables of the session as if these were those of a function. `using namespace kiln;` is left out: that is so already, and
/// with it names of the session would hide kiln's no longer.
std::string code_of(std::string_view text, std::string_view file, std::string_view name);

/// An expression that stands in a function; its lambdas do so, too.
std::string expression_of(std::string_view text);

/// Where the string begins that is open at the end of a line; npos: none is.
std::size_t open_quote(std::string_view line);

/// A word that may stand in quotes, with blanks in it, and what follows it, without blanks around.
struct FileWord {
    std::string file;
    std::string_view rest;
};
/// Of the begin of the text. Errors: usage (a quote that does not end).
FileWord file_word(std::string_view text);

using detail::trimmed;

}  // namespace kiln::tool
