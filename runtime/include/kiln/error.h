// The one exception type of kiln.
#pragma once
#include <cstdint>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace kiln {
/// What an error is about; what a program may have to tell apart.
enum class ErrorKind : std::uint8_t {
    usage,        ///< a call that does not fit what is called
    type,         ///< dtypes
    shape,        ///< extents and ranks
    bounds,       ///< indices and axes beyond an array
    unsupported,  ///< what kiln has not, here or anywhere
    device,       ///< a device, its driver or compiler
    io,           ///< files
    internal      ///< a fault of kiln's own
};
std::string_view name(ErrorKind kind);

/// A line of the user's program. `file` is empty where no line is known.
struct Location {
    std::string_view file;   ///< as the compiler knew it
    std::uint32_t line = 0;  ///< from 1 on

    Location() = default;
    constexpr Location(std::string_view file, std::uint32_t line) : file(file), line(line) {}
    /// A location views its file's name: a string that ends with the expression is refused.
    template <class String>
        requires std::is_same_v<String, std::string>
    constexpr Location(String&& file, std::uint32_t line) = delete;
    constexpr Location(const std::source_location& where)
        : file(where.file_name()), line(where.line()) {}

    /// The file without its folders, as errors and texts show it.
    constexpr std::string_view short_file() const {
        // npos + 1 is 0: a path without folders is taken whole.
        return file.substr(file.find_last_of("/\\") + 1);
    }
};

/// What kiln throws. what() has the compiler form `saxpy.cpp:12: error: TEXT (HINT)`, where the
/// file is shown by its last path component and the location is left out when unknown.
class Error : public std::runtime_error {
  public:
    Error(ErrorKind kind, std::string message, Location where = {}, std::string hint = {});

    ErrorKind kind() const noexcept { return kind_; }  ///< what it is about
    /// The text alone, without location and hint.
    const std::string& message() const noexcept { return message_; }
    /// What the user could do, or empty.
    const std::string& hint() const noexcept { return hint_; }
    /// Full path as the compiler knew it; empty where no line is known.
    const std::string& file() const noexcept { return file_; }
    std::uint32_t line() const noexcept { return line_; }

  private:
    ErrorKind kind_;
    std::uint32_t line_;
    std::string message_, hint_, file_;
};

}  // namespace kiln
