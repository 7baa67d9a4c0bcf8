// Changes of C++ text that leave it C++ more often than not: by tokens, operands and statements instead of bytes.
#pragma once
#include <random>
#include <string>
#include <vector>

namespace kiln::test {

class CppMutator {
  public:
    explicit CppMutator(std::mt19937_64& random) : random_(random) {}
    /// One change. `other` is another text, statements of which may come in.
    void change(std::string& text, const std::string& other);

  private:
    using Tokens = std::vector<std::string>;  ///< blanks are tokens too: joined, they are the text
    struct Span {
        std::size_t begin, end;
    };
    std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }
    template <class C> const auto& one_of(const C& all) { return all[below(std::size(all))]; }
    void change(Tokens& tokens, const Tokens& other);
    void replace_number(Tokens& tokens);
    void replace_name(Tokens& tokens);
    void replace_operator(Tokens& tokens);
    void replace_type(Tokens& tokens);
    void grow_operand(Tokens& tokens);
    void wrap_statement(Tokens& tokens);
    void move_statement(Tokens& tokens, const Tokens& from);

    std::mt19937_64& random_;
};

}  // namespace kiln::test
