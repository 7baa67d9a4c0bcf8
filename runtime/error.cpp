#include <kiln/error.h>

namespace kiln {

std::string_view name(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::usage: return "usage";
        case ErrorKind::type: return "type";
        case ErrorKind::shape: return "shape";
        case ErrorKind::bounds: return "bounds";
        case ErrorKind::unsupported: return "unsupported";
        case ErrorKind::device: return "device";
        case ErrorKind::io: return "io";
        case ErrorKind::internal: return "internal";
    }
    return "unknown";
}

namespace {
std::string compiler_form(const std::string& message, const Location& where,
                          const std::string& hint) {
    std::string text;
    if (!where.file.empty()) {
        text += where.short_file();
        text += ':';
        text += std::to_string(where.line);
        text += ": ";
    }
    text += "error: ";
    text += message;
    if (!hint.empty()) text += " (" + hint + ")";
    return text;
}
}  // namespace

Error::Error(ErrorKind kind, std::string message, Location where, std::string hint)
    : std::runtime_error(compiler_form(message, where, hint)),
      kind_(kind),
      line_(where.line),
      message_(std::move(message)),
      hint_(std::move(hint)),
      file_(where.file) {}

}  // namespace kiln
