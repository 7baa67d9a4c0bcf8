// What the parser of the text form reads that is no word: literals, and lines of source.
#pragma once
#include <kiln/dtype.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kiln::ir::text {

/// The bits of a constant: `-3`, `0.5`, `true`, `nan`, `nan:0x7ff8000000000001`.
std::optional<std::uint64_t> literal_bits(std::string_view digits, DType t);

/// The text in quotes with which `text` begins, and behind it `text` from then on; nothing where no quotes
/// begin there or none end. A quote, a backslash and the end of a line have a backslash before them.
std::optional<std::string> accept_quoted(std::string_view& text);
/// The same as it is written.
std::string in_double_quotes(std::string_view text);

struct SourcePlace {
    std::string file;
    std::uint32_t line = 0;
};
/// What a comment names if it is ` file.cpp:12`, or ` " file.cpp":12` where a name is none that stands there as it is.
std::optional<SourcePlace> source_place(std::string_view comment);

/// Whether source_place reads back a file's name that is written as it is.
bool is_plain_file(std::string_view file);

/// The line of a position in the text, from 1 on.
std::uint32_t line_at(std::string_view text, std::size_t position);

}  // namespace kiln::ir::text
