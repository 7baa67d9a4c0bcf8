// The signatures of generalised ufuncs: "(m,n),(n,p)->(m,p)", read by the C++ compiler where they are
// literals, else when the program runs.
#pragma once
#include <kiln/jit.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kiln::detail {

/// What is wrong with a signature, and at which character.
struct SignatureFault {
    std::size_t at;
    const char* what;
};
[[noreturn]] void wrong_signature(std::size_t character, const char* what);
/// Throws. A literal with a fault does not compile: the compiler shows this call with its arguments.
constexpr void fault_at(std::size_t character, const char* what) {
    if (what != nullptr) wrong_signature(character, what);
}

/// A signature as tables. Core dimensions are numbered as they occur: names and frozen sizes once
/// each, every computed size as a dimension of its own.
///
///     signature := operands "->" operands
///     operands  := operand ("," operand)*
///     operand   := "(" [dim ("," dim)*] ")"
///     dim       := (name | positive integer) ["?"] | sum       a sum only behind the arrow
///     sum       := product (("+" | "-") product)*
///     product   := factor (("*" | "/") factor)*                / rounds down
///     factor    := name | integer | "(" sum ")"
class CoreSignature {
  public:
    static constexpr std::size_t max_operands = max_arguments, max_rank = 8, max_dims = 16,
                                 max_steps = 64;

    struct Dim {
        std::size_t at = 0, length = 0;         ///< its text
        std::int64_t frozen = 0;                ///< a size that is written, or 0
        bool optional = false;                  ///< "?": may be missing
        bool of_input = false;                  ///< an input has it, so that its size is known
        std::size_t first_step = 0, steps = 0;  ///< of a computed size
        constexpr bool is_computed() const { return steps > 0; }
    };
    struct Operand {
        std::size_t at = 0;  ///< of its "("
        std::size_t rank = 0;
        std::array<std::uint8_t, max_rank> dims{};
    };
    /// A step of a computed size, which works on a stack: a size, a number, or an operator.
    struct Step {
        char kind = 0;  ///< 'd' dimension, 'n' number, '+' '-' '*' '/'
        std::int64_t value = 0;
    };

    /// Throws SignatureFault.
    constexpr explicit CoreSignature(std::string_view text) : text_(text) { parse(); }
    /// Whether a callable with these parameters fits. Throws SignatureFault.
    constexpr void check(const KernelParam* params, std::size_t count) const {
        if (count != operands_count())
            fault_at(count < operands_count() ? operands_[count].at : text_.size(),
                     count < operands_count()
                         ? "the callable has fewer parameters than the signature operands"
                         : "the callable has more parameters than the signature operands");
        for (std::size_t i = 0; i < count; ++i) {
            const KernelParam p = params[i];
            const std::size_t at = operands_[i].at;
            if (i >= inputs_) {
                if (p != KernelParam::out) fault_at(at, "the parameter for an output is an Out");
            } else if (p == KernelParam::out) {
                fault_at(at, "the parameter for an input is an In, InOut or Value, not an Out");
            } else if (p == KernelParam::value && operands_[i].rank != 0) {
                fault_at(at, "the parameter for an input with dimensions is an In or InOut");
            } else if (p == KernelParam::in && operands_[i].rank == 0) {
                fault_at(at, "the parameter for an input () is a Value, or an InOut");
            }
        }
    }

    constexpr std::string_view text() const { return text_; }
    constexpr std::size_t inputs() const { return inputs_; }
    constexpr std::size_t outputs() const { return outputs_; }
    constexpr std::size_t operands_count() const { return inputs_ + outputs_; }
    constexpr std::size_t dims_count() const { return dims_count_; }
    constexpr const Operand& operand(std::size_t i) const { return operands_[i]; }
    constexpr const Dim& dim(std::size_t d) const { return dims_[d]; }
    constexpr const Step& step(std::size_t s) const { return steps_[s]; }
    /// The text of a dimension: its name, size or sum.
    constexpr std::string_view name(std::size_t d) const {
        return text_.substr(dims_[d].at, dims_[d].length);
    }
    /// The same tables for a copy of the text.
    void move_text(std::string_view copy) { text_ = copy; }

  private:
    constexpr void skip() {
        while (at_ < text_.size() &&
               (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n'))
            ++at_;
    }
    constexpr char peek() {
        skip();
        return at_ < text_.size() ? text_[at_] : '\0';
    }
    constexpr bool take(char c) {
        if (peek() != c) return false;
        ++at_;
        return true;
    }
    static constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
    static constexpr bool is_letter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    }

    constexpr void parse() {
        inputs_ = parse_operands();
        if (!take('-')) fault_at(at_, "-> or a comma and another operand are expected");
        if (at_ >= text_.size() || text_[at_] != '>') fault_at(at_, "-> is expected");
        ++at_;
        outputs_ = parse_operands();
        if (peek() != '\0') fault_at(at_, "the signature goes on behind its outputs");
    }

    constexpr std::size_t parse_operands() {
        in_outputs_ = inputs_ > 0;
        std::size_t count = 0;
        do {
            const std::size_t begin = (skip(), at_);
            if (!take('(')) fault_at(begin, "an operand is expected: ( ... )");
            if (inputs_ + count == max_operands) fault_at(begin, "more than 32 operands");
            Operand& operand = operands_[inputs_ + count++];
            operand.at = begin;
            if (take(')')) continue;
            do {
                if (operand.rank == max_rank)
                    fault_at((skip(), at_), "an operand has at most 8 dimensions");
                operand.dims[operand.rank++] = static_cast<std::uint8_t>(parse_dim());
            } while (take(','));
            if (!take(')')) fault_at(at_, "a comma or ) is expected");
        } while (take(','));
        return count;
    }

    /// A name or number, or a whole sum; gives the number of the dimension.
    constexpr std::size_t parse_dim() {
        const std::size_t begin = (skip(), at_), first_step = steps_count_;
        parse_sum();
        const std::size_t end = last_end_;
        const bool computed = steps_count_ - first_step != 1 || text_[begin] == '(';
        if (computed) {
            if (!in_outputs_) fault_at(begin, "sizes are only computed behind the arrow");
            for (std::size_t s = first_step; s < steps_count_; ++s)
                if (steps_[s].kind == 'd' &&
                    !dims_[static_cast<std::size_t>(steps_[s].value)].of_input)
                    fault_at(begin, "a size is computed from a dimension of no input");
            if (peek() == '?') fault_at(at_, "? belongs to a name or number by itself");
            const std::size_t made = add_dim({.at = begin, .length = end - begin});
            dims_[made].first_step = first_step;
            dims_[made].steps = steps_count_ - first_step;
            return made;
        }
        const Step step = steps_[--steps_count_];
        const std::int64_t frozen = step.kind == 'n' ? step.value : 0;
        if (step.kind == 'n' && frozen == 0) fault_at(begin, "a frozen size is positive");
        const std::size_t mark = (skip(), at_);
        const bool optional = take('?');
        const std::size_t found =
            step.kind == 'd' ? static_cast<std::size_t>(step.value) : find(frozen, {});
        if (found < dims_count_) {
            if (seen_[found] && dims_[found].optional != optional)
                fault_at(mark, optional ? "? behind a dimension that had none before"
                                        : "? is missing: the dimension had one before");
            dims_[found].optional = optional;
            dims_[found].of_input = dims_[found].of_input || !in_outputs_;
            seen_[found] = true;
            return found;
        }
        const std::size_t made =
            add_dim({.at = begin, .length = end - begin, .frozen = frozen, .optional = optional});
        dims_[made].of_input = !in_outputs_;
        seen_[made] = true;
        return made;
    }

    constexpr std::size_t add_dim(Dim dim) {
        if (dims_count_ == max_dims) fault_at(dim.at, "more than 16 different dimensions");
        dims_[dims_count_] = dim;
        return dims_count_++;
    }
    /// The dimension of this size, or with size 0 of this name; dims_count_ if there is none.
    constexpr std::size_t find(std::int64_t frozen, std::string_view wanted) const {
        for (std::size_t d = 0; d < dims_count_; ++d) {
            if (dims_[d].is_computed() || dims_[d].frozen != frozen) continue;
            if (frozen != 0 || name(d) == wanted) return d;
        }
        return dims_count_;
    }

    constexpr void add_step(char kind, std::int64_t value) {
        if (steps_count_ == max_steps) fault_at(at_, "sizes with more than 64 operations");
        steps_[steps_count_++] = {kind, value};
    }
    constexpr void parse_sum() {
        parse_product();
        for (char c = peek(); c == '+' || (c == '-' && !arrow()); c = peek()) {
            ++at_;
            parse_product();
            add_step(c, 0);
        }
    }
    constexpr bool arrow() const { return at_ + 1 < text_.size() && text_[at_ + 1] == '>'; }
    constexpr void parse_product() {
        parse_factor();
        for (char c = peek(); c == '*' || c == '/'; c = peek()) {
            ++at_;
            parse_factor();
            add_step(c, 0);
        }
    }
    constexpr void parse_factor() {
        const char c = peek();
        const std::size_t begin = at_;
        if (c == '(') {
            if (++nesting_ > 16) fault_at(begin, "more than 16 brackets in each other");
            ++at_;
            parse_sum();
            if (!take(')')) fault_at(at_, "an operator or ) is expected");
            --nesting_;
            last_end_ = at_;
            return;
        } else if (is_digit(c)) {
            std::int64_t value = 0;
            for (; at_ < text_.size() && is_digit(text_[at_]); ++at_) {
                if (value > (std::int64_t(1) << 50)) fault_at(begin, "a size of 2^50 or more");
                value = 10 * value + (text_[at_] - '0');
            }
            if (at_ < text_.size() && is_letter(text_[at_]))
                fault_at(at_, "a dimension is a name or a positive integer");
            add_step('n', value);
        } else if (is_letter(c)) {
            while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]))) ++at_;
            const std::string_view word = text_.substr(begin, at_ - begin);
            std::size_t found = find(0, word);
            if (found == dims_count_) found = add_dim({.at = begin, .length = word.size()});
            add_step('d', static_cast<std::int64_t>(found));
        } else {
            fault_at(begin, "a dimension is a name or a positive integer");
        }
        last_end_ = at_;
    }
    std::string_view text_;
    std::size_t inputs_ = 0, outputs_ = 0, dims_count_ = 0, steps_count_ = 0;
    std::array<Operand, max_operands> operands_{};
    std::array<Dim, max_dims> dims_{};
    std::array<Step, max_steps> steps_{};
    // Of the parser.
    std::array<bool, max_dims> seen_{};
    std::size_t at_ = 0, last_end_ = 0, nesting_ = 0;
    bool in_outputs_ = false;
};

}  // namespace kiln::detail
