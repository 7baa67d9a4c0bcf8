#include "dsl/ir/lexemes.h"

#include "dsl/ir/text_tables.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <complex>
#include <cstring>
#include <utility>

namespace kiln::ir::text {
namespace {

template <class T> std::optional<std::uint64_t> bits_of(std::string_view digits) {
    T value{};
    const char* last = digits.data() + digits.size();
    const auto [end, error] = std::from_chars(digits.data(), last, value);
    if (error != std::errc() || end != last) return std::nullopt;
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    return bits;
}

std::optional<std::uint64_t> nan_bits(std::string_view payload, DType t) {
    if (payload.empty()) return default_nan(t);
    if (!payload.starts_with(":0x")) return std::nullopt;
    std::uint64_t bits = 0;
    const char* last = payload.data() + payload.size();
    const auto [end, error] = std::from_chars(payload.data() + 3, last, bits, 16);
    if (error != std::errc() || end != last) return std::nullopt;
    if (size_of(t) < 8 && bits >> (8 * size_of(t)) != 0) return std::nullopt;
    // The exponent is all ones and the fraction is not zero.
    const int fraction = t == DType::f16 ? 10 : t == DType::bf16 ? 7 : t == DType::f32 ? 23 : 52;
    const std::uint64_t magnitude = bits & ~(std::uint64_t(1) << (8 * size_of(t) - 1));
    const std::uint64_t infinity =
        (std::uint64_t(1) << (8 * size_of(t) - 1)) - (std::uint64_t(1) << fraction);
    return magnitude > infinity ? std::optional(bits) : std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> literal_bits(std::string_view digits, DType t) {
    if (is_bool(t))
        return digits == "true"    ? std::optional(1)
               : digits == "false" ? std::optional(0)
                                   : std::nullopt;
    if (is_real(t) && digits.starts_with("nan")) return nan_bits(digits.substr(3), t);
    return visit_dtype(t, [&](auto tag) -> std::optional<std::uint64_t> {
        using T = typename decltype(tag)::type;
        if constexpr (kiln::detail::is_storage_float<T>) {
            const auto bits = bits_of<float>(digits);
            if (!bits) return std::nullopt;
            return T(std::bit_cast<float>(static_cast<std::uint32_t>(*bits))).bits;
        } else if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
            return bits_of<T>(digits);
        } else {
            return std::nullopt;  // complex constants are make_complex of two reals
        }
    });
}

std::optional<std::string> accept_quoted(std::string_view& text) {
    if (!text.starts_with('"')) return std::nullopt;
    std::string result;
    for (std::size_t i = 1; i < text.size(); ++i) {
        char c = text[i];
        if (c == '"') {
            text.remove_prefix(i + 1);
            return result;
        }
        if (c == '\\' && i + 1 < text.size()) {
            c = text[++i];
            if (c == 'n') c = '\n';
        }
        result += c;
    }
    return std::nullopt;
}

std::string in_double_quotes(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\' || c == '\n') result += '\\';
        result += c == '\n' ? 'n' : c;
    }
    return result + '"';
}

bool is_plain_file(std::string_view file) {
    return !file.empty() && file.find_first_of(" \t\"") != 0 && file.find('\n') == file.npos;
}

std::optional<SourcePlace> source_place(std::string_view comment) {
    comment.remove_prefix(std::min(comment.find_first_not_of(" \t"), comment.size()));
    while (!comment.empty() && (comment.back() == ' ' || comment.back() == '\r'))
        comment.remove_suffix(1);
    std::string_view digits = comment;
    std::optional<std::string> file = accept_quoted(digits);
    if (!file) {
        const std::size_t colon = std::min(comment.rfind(':'), comment.size());
        file.emplace(comment.substr(0, colon));
        digits.remove_prefix(colon);
        if (!is_plain_file(*file)) return std::nullopt;
    }
    if (!digits.starts_with(':')) return std::nullopt;
    std::uint32_t line = 0;
    const char* last = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data() + 1, last, line);
    if (error != std::errc() || stop != last || line == 0) return std::nullopt;
    return SourcePlace{std::move(*file), line};
}

std::uint32_t line_at(std::string_view text, std::size_t position) {
    return 1 + static_cast<std::uint32_t>(std::ranges::count(text.substr(0, position), '\n'));
}

}  // namespace kiln::ir::text
