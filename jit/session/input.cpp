#include "jit/session/input.h"

#include <kiln/error.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>
#include <vector>

#include <fmt/format.h>

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

    /// Declarations and statements outside of brackets: where each ends, whether it has a lambda, and where
    /// those lambdas begin that stand outside of braces.
    struct Piece {
        std::size_t end;
        bool has_lambda;
        std::vector<std::size_t> outer_lambdas;
    };
    std::vector<Piece> pieces() {
        while (at_ < text_.size()) {
            if (begins_directive())
                directive();
            else
                step();
        }
        if (pieces_.empty() || pieces_.back().end < text_.size()) end_piece(text_.size());
        return std::move(pieces_);
    }

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
        if (c == '[' && opens_lambda()) {
            has_lambda_ = true;
            if (braces_ == 0) outer_lambdas_.push_back(at_);
        }
        if (c == '{') ++braces_;
        if (c == '}') --braces_;
        if (c == '(' || c == '[' || c == '{') ++scan_.depth;
        if (c == ')' || c == ']' || c == '}') --scan_.depth;
        if (scan_.depth == 0 && (c == ';' || (c == '}' && ends_here()))) end_piece(at_ + 1);
        if (!std::isspace(static_cast<unsigned char>(c))) scan_.last = c;
        ++at_;
    }
    bool begins_directive() const {
        if (text_[at_] != '#') return false;
        const std::size_t before = text_.substr(0, at_).find_last_not_of(" \t");
        return before == std::string_view::npos || text_[before] == '\n';
    }
    /// Up to the end of its last line; brackets and semicolons in it end nothing.
    void directive() {
        do {
            at_ = std::min(text_.find('\n', at_), text_.size() - 1) + 1;
        } while (at_ < text_.size() && text_.substr(0, at_).ends_with("\\\n"));
        if (scan_.depth == 0) end_piece(at_);
    }
    void end_piece(std::size_t end) {
        pieces_.push_back({end, has_lambda_, std::exchange(outer_lambdas_, {})});
        has_lambda_ = false;
    }
    /// Whether a bracket is no subscript and no attribute.
    bool opens_lambda() const {
        const char before = scan_.last;
        return std::isalnum(static_cast<unsigned char>(before)) == 0 && before != '_' &&
               before != ')' && before != ']' && before != '[' && before != '"' &&
               !text_.substr(at_).starts_with("[[");
    }
    /// Whether what the brace closes goes no further: a name comes next, or nothing.
    bool ends_here() const {
        const std::size_t next = text_.find_first_not_of(" \t\r\n", at_ + 1);
        if (next == std::string_view::npos) return true;
        const std::string_view word = first_word(text_.substr(next));
        const std::string_view whole =
            first_word(trimmed(text_.substr(pieces_.empty() ? 0 : pieces_.back().end)));
        const bool is_type = whole == "struct" || whole == "class" || whole == "union" ||
                             whole == "enum" || whole == "typedef";
        return !word.empty() && !is_type && word != "else" && word != "while" && word != "catch";
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
    std::vector<Piece> pieces_;
    bool has_lambda_ = false;
    int braces_ = 0;
    std::vector<std::size_t> outer_lambdas_;
};

constexpr std::string_view blanks = " \t\r\n";

/// Beyond the name that a text begins with: std::vector<int>, f.
std::string_view beyond_name(std::string_view text) {
    while (true) {
        if (text.starts_with("::")) text.remove_prefix(2);
        text.remove_prefix(first_word(text).size());
        if (text.starts_with('<')) {
            int depth = 0;
            std::size_t end = 0;
            for (; end < text.size() && text[end] != ';'; ++end) {
                depth += text[end] == '<' ? 1 : text[end] == '>' ? -1 : 0;
                if (depth == 0) break;
            }
            if (depth != 0) return text;
            text.remove_prefix(end + 1);
        }
        if (!text.starts_with("::")) return text;
    }
}

/// Whether a piece declares something, as far as it has a lambda: a type and a name come first.
bool declares(std::string_view piece) {
    constexpr std::array<std::string_view, 10> flow{"if",  "else",  "for",    "while",  "do",
                                                    "try", "catch", "switch", "return", "throw"};
    constexpr std::array<std::string_view, 9> more{
        "float", "bool", "char", "long", "short", "unsigned", "signed", "decltype", "thread_local"};
    const std::string_view first = first_word(piece);
    if (std::ranges::find(flow, first) != flow.end()) return false;
    if (std::ranges::find(openers, first) != openers.end() ||
        std::ranges::find(more, first) != more.end() || piece.starts_with('#'))
        return true;
    const std::string_view rest = beyond_name(piece);
    const std::size_t name = rest.find_first_not_of(" \t\r\n&*");
    if (name == 0 || name == std::string_view::npos) return false;
    const std::string_view word = first_word(rest.substr(name));
    if (word.empty()) return false;
    const std::size_t next = rest.find_first_not_of(blanks, name + word.size());
    return next == std::string_view::npos ||
           std::string_view("=;({[,").find(rest[next]) != std::string_view::npos;
}

/// The captures of a lambda of a session: `k` as `k = k`, for what is captured may be a variable of the session,
/// which C++ captures in no other way. Such a lambda outside of all functions has no `=` and no `&`, and needs none.
std::string captures_of(std::string_view list, bool in_function) {
    std::string made;
    const auto add = [&](std::string_view item) {
        item = trimmed(item);
        const bool is_default = item == "=" || item == "&";
        if (item.empty() || (is_default && !in_function)) return;
        const std::string_view name = item.substr(item.starts_with('&') ? 1 : 0);
        const bool is_name = !is_default && item != "this" && first_word(name) == name;
        made += (made.empty() ? "" : ", ") + std::string(item);
        if (is_name) made += fmt::format(" = {}", name);
    };
    int depth = 0;
    std::size_t begin = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
        depth += list[i] == '(' || list[i] == '{' || list[i] == '[' ? 1 : 0;
        depth -= list[i] == ')' || list[i] == '}' || list[i] == ']' ? 1 : 0;
        if (list[i] != ',' || depth > 0) continue;
        add(list.substr(begin, i - begin));
        begin = i + 1;
    }
    add(list.substr(begin));
    if (made.size() < list.size()) made.resize(list.size(), ' ');  // carets stay where they are
    return made;
}

/// The text with such captures in the lambdas that begin there.
std::string with_captures(std::string_view text, const std::vector<std::size_t>& lambdas,
                          bool in_function) {
    std::string made;
    std::size_t done = 0;
    for (const std::size_t begin : lambdas) {
        int depth = 0;
        std::size_t end = begin;
        for (; end < text.size(); ++end) {
            depth += text[end] == '[' ? 1 : text[end] == ']' ? -1 : 0;
            if (depth == 0) break;
        }
        if (end == text.size()) break;
        made += text.substr(done, begin + 1 - done);
        made += captures_of(text.substr(begin + 1, end - begin - 1), in_function);
        done = end;
    }
    return made + std::string(text.substr(done));
}

}  // namespace

std::string expression_of(std::string_view text) {
    std::vector<std::size_t> lambdas;
    for (const auto& piece : Scanner(text).pieces())
        lambdas.insert(lambdas.end(), piece.outer_lambdas.begin(), piece.outer_lambdas.end());
    return with_captures(text, lambdas, true);
}

std::string code_of(std::string_view text, std::string_view file, std::string_view name) {
    std::string code;
    std::size_t begin = 0;
    unsigned number = 0;
    for (auto& [end, has_lambda, lambdas] : Scanner(text).pieces()) {
        const std::size_t start = std::min(text.find_first_not_of(blanks, begin), end);
        const std::string_view piece = text.substr(start, end - start);
        const bool in_function = has_lambda && !declares(piece);
        for (std::size_t& lambda : lambdas) lambda -= start;
        const std::string_view before = text.substr(0, start);
        const std::size_t line = before.rfind('\n') + 1;  // npos + 1 is 0
        const std::string placed =
            fmt::format("#line {} \"{}\"\n{:{}}{}\n", 1 + std::ranges::count(before, '\n'), file,
                        "", start - line, with_captures(piece, lambdas, in_function));
        begin = end;
        if (trimmed(piece).empty() || trimmed(piece) == "using namespace kiln;") continue;
        if (!in_function) {
            code += placed;
            continue;
        }
        const std::string function = fmt::format("{}_{}", name, ++number);
        code += fmt::format("void {}() {{\n{}}}\n{}();\n", function, placed, function);
    }
    return code;
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

FileWord file_word(std::string_view text) {
    text = trimmed(text);
    const bool quoted = text.starts_with('"');
    const std::size_t end = quoted ? text.find('"', 1) : text.find(' ');
    if (quoted && end == std::string_view::npos)
        throw Error(ErrorKind::usage, fmt::format("{} has no quote at its end", text));
    const std::string_view file = text.substr(quoted ? 1 : 0, quoted ? end - 1 : end);
    if (end == std::string_view::npos) return {std::string(file), {}};
    return {std::string(file), trimmed(text.substr(end + 1))};
}

bool is_command(std::string_view line) {
    line = trimmed(line);
    return line.starts_with(':') && !line.starts_with("::");
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
