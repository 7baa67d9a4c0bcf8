// Tokens of the text form: what the parser reads characters by.
#pragma once
#include "dsl/ir/lexemes.h"
#include "dsl/ir/text_tables.h"

#include <kiln/error.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

namespace kiln::ir::text {

/// Goes through a text token by token. What it expects and does not find is Error usage, with the
/// line.
class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {}

  protected:
    [[noreturn]] void fail_at(std::size_t position, const std::string& message) const {
        throw Error(ErrorKind::usage, message, Location("<kernel text>", line_at(text_, position)));
    }
    static std::string in_quotes(std::string_view text) { return "'" + std::string(text) + "'"; }
    [[noreturn]] void fail(std::string_view expected) {
        skip_space();
        std::size_t end = at_;
        while (end < text_.size() && (is_letter(text_[end]) || is_digit(text_[end]))) ++end;
        if (end == at_ && end < text_.size()) ++end;
        const std::string found =
            at_ == text_.size() ? "the end" : in_quotes(text_.substr(at_, end - at_));
        fail_at(at_, "expected " + std::string(expected) + ", found " + found);
    }

    void skip_blanks() {
        while (at_ < text_.size() &&
               (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r'))
            ++at_;
    }
    /// Where the next token starts. Looking ahead never moves at_ over a comment, since location()
    /// reads the one behind a statement.
    std::size_t next() const {
        std::size_t i = at_;
        while (i < text_.size()) {
            const char c = text_[i];
            if (c == ';')
                i = std::min(text_.find('\n', i), text_.size());
            else if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
                ++i;
            else
                break;
        }
        return i;
    }
    void skip_space() { at_ = next(); }
    bool at(char c) const {
        const std::size_t i = next();
        return i < text_.size() && text_[i] == c;
    }
    bool accept(char c) {
        if (!at(c)) return false;
        at_ = next() + 1;
        return true;
    }
    void expect(char c) {
        if (!accept(c)) fail(in_quotes(std::string_view(&c, 1)));
    }
    /// The identifier that starts here, or empty.
    std::string_view peek_word() const {
        const std::size_t start = next();
        std::size_t end = start;
        if (end < text_.size() && is_letter(text_[end]))
            while (end < text_.size() && (is_letter(text_[end]) || is_digit(text_[end]))) ++end;
        return text_.substr(start, end - start);
    }
    /// Moves behind a word that peek_word() gave.
    void take(std::string_view word) {
        at_ = static_cast<std::size_t>(word.data() - text_.data()) + word.size();
    }
    std::string_view word(std::string_view expected) {
        const std::string_view w = peek_word();
        if (w.empty()) fail(expected);
        take(w);
        return w;
    }
    bool accept_word(std::string_view wanted) {
        const std::string_view w = peek_word();
        if (w != wanted) return false;
        take(w);
        return true;
    }
    void expect_word(std::string_view wanted) {
        if (!accept_word(wanted)) fail(in_quotes(wanted));
    }
    std::string quoted() {
        skip_space();
        std::string_view rest = text_.substr(at_);
        std::optional<std::string> result = accept_quoted(rest);
        if (!result) {
            if (!at('"')) fail(in_quotes("\""));
            fail_at(at_, "expected '\"' at the end of a name");
        }
        at_ = text_.size() - rest.size();
        return std::move(*result);
    }
    std::uint32_t number(std::string_view expected) {
        skip_space();
        std::uint32_t value = 0;
        const auto [end, error] =
            std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
        if (error != std::errc()) fail(expected);
        at_ = static_cast<std::size_t>(end - text_.data());
        return value;
    }

    // --- words of tables ---

    /// The index of the next word in the table, if it is one of its names.
    template <class Table> std::optional<std::size_t> accept_name(const Table& names) {
        const std::string_view w = peek_word();
        for (std::size_t i = 0; i < std::size(names); ++i) {
            if (w.empty() || w != name_of(names[i])) continue;
            take(w);
            return i;
        }
        return std::nullopt;
    }
    template <class Table> std::size_t expect_name(const Table& names, std::string_view what) {
        const auto i = accept_name(names);
        if (!i) fail(what);
        return *i;
    }
    static std::string_view name_of(std::string_view name) { return name; }
    template <class Row> static std::string_view name_of(const Row& row) { return row.name; }

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace kiln::ir::text
