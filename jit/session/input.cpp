#include "jit/session/input.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace kiln::tool {
namespace {

/// What an input that ends with neither `;` nor `}` may begin with and still be no expression.
constexpr std::array<std::string_view, 26> openers{
    "auto",  "const",  "constexpr", "static",    "inline", "template", "struct", "class", "enum",
    "union", "using",  "typedef",   "namespace", "extern", "if",       "else",   "for",   "while",
    "do",    "switch", "try",       "catch",     "return", "int",      "double", "void"};

std::string_view first_word(std::string_view text) {
    const auto is_part = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
    };
    return text.substr(
        0, static_cast<std::size_t>(std::ranges::find_if_not(text, is_part) - text.begin()));
}

/// What is left at the end of a text.
struct Scan {
    int depth = 0;            ///< open brackets
    bool unfinished = false;  ///< a comment or a raw string
    char last = 0;            ///< the last character of the code, no blank and no comment
    bool backslash = false;   ///< the last line ends with one
};

class Scanner {
  public:
    explicit Scanner(std::string_view text) : text_(text) {}

    Scan run() {
        while (at_ < text_.size() && !scan_.unfinished) step();
        const std::size_t end = text_.find_last_not_of(" \t\n");
        scan_.backslash = end != std::string_view::npos && text_[end] == '\\';
        return scan_;
    }

  private:
    void step() {
        const char c = text_[at_];
        if (text_.substr(at_).starts_with("//")) return skip_to("\n", false);
        if (text_.substr(at_).starts_with("/*")) return skip_to("*/", true);
        if (c == '"' && at_ > 0 && text_[at_ - 1] == 'R') return raw_string();
        if (c == '"' || (c == '\'' && !is_digit_separator())) return quoted(c);
        if (c == '(' || c == '[' || c == '{') ++scan_.depth;
        if (c == ')' || c == ']' || c == '}') --scan_.depth;
        if (!std::isspace(static_cast<unsigned char>(c))) scan_.last = c;
        ++at_;
    }
    /// Beyond the next `end`; whether the text has to have one.
    void skip_to(std::string_view end, bool needed) {
        const std::size_t found = text_.find(end, at_ + 1);
        if (found == std::string_view::npos) {
            at_ = text_.size();
            scan_.unfinished = needed;
        } else {
            at_ = found + end.size();
        }
    }
    void raw_string() {
        const std::size_t open = text_.find('(', at_);
        if (open == std::string_view::npos) {
            at_ = text_.size();
            return;
        }
        skip_to(")" + std::string(text_.substr(at_ + 1, open - at_ - 1)) + "\"", true);
        scan_.last = '"';
    }
    /// Up to the quotation mark, or to the end of the line, where Clang will complain.
    void quoted(char mark) {
        for (++at_; at_ < text_.size() && text_[at_] != mark && text_[at_] != '\n'; ++at_)
            if (text_[at_] == '\\') ++at_;
        scan_.last = mark;
        ++at_;
    }
    bool is_digit_separator() const {
        return at_ > 0 && std::isxdigit(static_cast<unsigned char>(text_[at_ - 1])) &&
               at_ + 1 < text_.size() && std::isxdigit(static_cast<unsigned char>(text_[at_ + 1]));
    }

    std::string_view text_;
    std::size_t at_ = 0;
    Scan scan_;
};

}  // namespace

std::string_view trimmed(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t\n\r");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\n\r") - begin + 1);
}

std::size_t open_quote(std::string_view line) {
    std::size_t open = std::string_view::npos;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '\\')
            ++i;
        else if (line[i] == '"')
            open = open == std::string_view::npos ? i : std::string_view::npos;
    }
    return open;
}

bool is_open(std::string_view text) {
    const Scan scan = Scanner(text).run();
    if (scan.depth > 0 || scan.unfinished || scan.backslash) return true;
    const std::string_view inner = trimmed(text);
    if (inner.empty() || inner.starts_with('#') || scan.last == ';' || scan.last == '}')
        return false;
    if (text.ends_with("\n\n")) return false;
    if (scan.last == '=' || scan.last == ',' || scan.last == '?') return true;
    return std::ranges::find(openers, first_word(inner)) != openers.end();
}

bool is_expression(std::string_view text) {
    const Scan scan = Scanner(text).run();
    return scan.last != 0 && scan.last != ';' && scan.last != '}' &&
           !trimmed(text).starts_with('#');
}

}  // namespace kiln::tool
