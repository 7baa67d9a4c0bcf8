#include "tests/fuzz/cpp_mutator.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace kiln::test {
namespace {

using Tokens = std::vector<std::string>;
using Words = std::vector<std::string_view>;

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_blank(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

const std::vector<Words> operators{
    {"+", "-", "*", "/"}, {"<", "<=", ">", ">=", "==", "!="}, {"+=", "-=", "*=", "/=", "="},
    {"&&", "||"},         {"&", "|", "^", "%", "<<", ">>"},   {"++", "--"}};
const Words types{"double", "float", "int", "long", "bool", "auto", "unsigned"};
const Words keywords{"for",    "while",  "do",    "if",       "else",    "return",
                     "switch", "case",   "break", "continue", "default", "template",
                     "class",  "struct", "void",  "const",    "View",    "std",
                     "prange", "range",  "sqrt",  "constexpr"};

bool contains(const Words& words, std::string_view word) {
    return std::ranges::find(words, word) != words.end();
}

Tokens tokens_of(const std::string& text) {
    Tokens all;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t end = at + 1;
        if (is_word(text[at])) {
            const bool number = std::isdigit(static_cast<unsigned char>(text[at])) != 0;
            while (end < text.size() && (is_word(text[end]) || (number && text[end] == '.'))) ++end;
        } else if (is_blank(text[at])) {
            while (end < text.size() && is_blank(text[end])) ++end;
        } else {
            const std::string two = text.substr(at, 2);
            for (const Words& group : operators)
                if (two.size() == 2 && contains(group, two)) end = at + 2;
        }
        all.push_back(text.substr(at, end - at));
        at = end;
    }
    return all;
}

bool is_number(const std::string& token) {
    return std::isdigit(static_cast<unsigned char>(token[0])) != 0;
}
bool is_name(const std::string& token) {
    return is_word(token[0]) && !is_number(token) && !contains(types, token) &&
           !contains(keywords, token);
}

/// Places of tokens for which f holds.
template <class F> std::vector<std::size_t> places(const Tokens& tokens, F f) {
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < tokens.size(); ++i)
        if (f(tokens[i])) all.push_back(i);
    return all;
}

/// Statements that end with a semicolon, from behind the one before or a brace. Those in the head of a loop
/// are none.
std::vector<std::pair<std::size_t, std::size_t>> statements(const Tokens& tokens) {
    std::vector<std::pair<std::size_t, std::size_t>> all;
    std::size_t begin = 0;
    int brackets = 0, braces = 0;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const std::string& t = tokens[i];
        if (t == "(" || t == "[") ++brackets;
        if (t == ")" || t == "]") --brackets;
        if (t == "{") ++braces;
        if (t == "}") --braces;
        if (t == "{" || t == "}" || (t == ";" && brackets == 0)) {
            if (t == ";" && braces > 0) all.emplace_back(begin, i + 1);
            begin = i + 1;
        }
    }
    return all;
}

}  // namespace

void CppMutator::replace_number(Tokens& tokens) {
    static constexpr std::array<std::string_view, 9> integers{"0", "1",  "2",  "3",         "5",
                                                              "7", "31", "64", "2147483647"};
    static constexpr std::array<std::string_view, 7> fractions{"0.0", "1.0",   "0.5",  "2.5",
                                                               "3.0", "1e-30", "1e300"};
    const auto at = places(tokens, is_number);
    if (at.empty()) return;
    std::string& number = tokens[one_of(at)];
    number = number.find('.') == number.npos ? one_of(integers) : one_of(fractions);
}

void CppMutator::replace_name(Tokens& tokens) {
    const auto at = places(tokens, is_name);
    if (!at.empty()) tokens[one_of(at)] = std::string(tokens[one_of(at)]);
}

void CppMutator::replace_operator(Tokens& tokens) {
    const Words& group = one_of(operators);
    const auto at = places(tokens, [&](const std::string& t) { return contains(group, t); });
    if (!at.empty()) tokens[one_of(at)] = one_of(group);
}

void CppMutator::replace_type(Tokens& tokens) {
    const auto at = places(tokens, [](const std::string& t) { return contains(types, t); });
    if (!at.empty()) tokens[one_of(at)] = one_of(types);
}

/// x becomes an expression of x.
void CppMutator::grow_operand(Tokens& tokens) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 10> around{
        {{"(", " + 1)"},
         {"(2 * ", ")"},
         {"std::sqrt(", ")"},
         {"std::abs(", ")"},
         {"std::max(0.5, double(", "))"},
         {"(1 < 2 ? ", " : 0)"},
         {"long(", ")"},
         {"float(", ")"},
         {"(-", ")"},
         {"(1.0 / ", ")"}}};
    const auto at = places(tokens, [](const std::string& t) { return is_number(t) || is_name(t); });
    if (at.empty()) return;
    const auto& [before, after] = one_of(around);
    std::string& operand = tokens[one_of(at)];
    operand = std::string(before) + operand + std::string(after);
}

void CppMutator::wrap_statement(Tokens& tokens) {
    static constexpr std::array<std::string_view, 6> heads{" if (1 < 2) {",
                                                           " for (int w = 0; w < 3; ++w) {",
                                                           " {",
                                                           " if (false) { } else {",
                                                           " while (false) {",
                                                           " do {"};
    const auto all = statements(tokens);
    if (all.empty()) return;
    const auto [begin, end] = one_of(all);
    const std::string_view head = one_of(heads);
    tokens[begin].insert(0, head);
    tokens[end - 1] += head == " do {" ? " } while (false);" : " }";
}

/// A statement of a text is copied, or one of this text goes.
void CppMutator::move_statement(Tokens& tokens, const Tokens& from) {
    const auto own = statements(tokens), others = statements(from);
    if (own.empty()) return;
    const auto at = [&](std::size_t i) { return tokens.begin() + static_cast<std::ptrdiff_t>(i); };
    if (below(3) == 0) {
        const auto [begin, end] = one_of(own);
        tokens.erase(at(begin), at(end));
        return;
    }
    if (others.empty()) return;
    const auto [begin, end] = one_of(others);
    const Tokens copy(from.begin() + static_cast<std::ptrdiff_t>(begin),
                      from.begin() + static_cast<std::ptrdiff_t>(end));
    tokens.insert(at(one_of(own).first), copy.begin(), copy.end());
}

void CppMutator::change(Tokens& tokens, const Tokens& other) {
    switch (below(10)) {
        case 0:
        case 1: replace_number(tokens); break;
        case 2: replace_name(tokens); break;
        case 3:
        case 4: replace_operator(tokens); break;
        case 5: replace_type(tokens); break;
        case 6:
        case 7: grow_operand(tokens); break;
        case 8: wrap_statement(tokens); break;
        default: move_statement(tokens, below(4) == 0 ? other : Tokens(tokens)); break;
    }
}

void CppMutator::change(std::string& text, const std::string& other) {
    Tokens tokens = tokens_of(text);
    change(tokens, tokens_of(other));
    text.clear();
    for (const std::string& token : tokens) text += token;
}

}  // namespace kiln::test
