// What the parser of the text form reads that is no word: literals, and lines of source.
#pragma once
#include <kiln/dtype.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace kiln::ir::text {

/// The bits of a constant: `-3`, `0.5`, `true`, `nan`, `nan:0x7ff8000000000001`.
std::optional<std::uint64_t> literal_bits(std::string_view digits, DType t);

struct SourcePlace {
    std::string_view file;
    std::uint32_t line = 0;
};
/// What a comment names if it is ` file.cpp:12`.
std::optional<SourcePlace> source_place(std::string_view comment);

/// The line of a position in the text, from 1 on.
std::uint32_t line_at(std::string_view text, std::size_t position);

}  // namespace kiln::ir::text
