#include "jit/tool/types.h"

#include "jit/session/input.h"
#include "jit/tool/options.h"

#include <kiln/shape.h>

#include <charconv>
#include <complex>
#include <optional>

#include <fmt/format.h>

namespace kiln::tool {

std::optional<DType> dtype_named(std::string_view word) {
#define KILN_DTYPE(id, text, ...) \
    if (word == text) return DType::id;
#include <kiln/dtype.def>
    return std::nullopt;
}

namespace {

std::optional<ArgType> type_of(std::string_view text) {
    const std::size_t bracket = text.find('[');
    const auto dtype = dtype_named(trimmed(text.substr(0, bracket)));
    if (!dtype) return std::nullopt;
    if (bracket == std::string_view::npos) return ArgType{*dtype, 0};
    std::string_view inner = text.substr(bracket + 1);
    if (!inner.ends_with(']')) return std::nullopt;
    inner.remove_suffix(1);
    int rank = 0;
    const auto [end, error] = std::from_chars(inner.data(), inner.data() + inner.size(), rank);
    if (error != std::errc() || end != inner.data() + inner.size() || rank < 0 || rank > max_rank)
        return std::nullopt;
    return ArgType{*dtype, static_cast<std::uint8_t>(rank)};
}

}  // namespace

std::vector<ArgType> types_of(std::string_view text) {
    text = trimmed(text);
    if (text.starts_with('(') && text.ends_with(')'))
        text = trimmed(text.substr(1, text.size() - 2));
    std::vector<ArgType> types;
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        const std::string_view one = trimmed(text.substr(0, comma));
        const auto type = type_of(one);
        if (!type)
            throw UsageError(
                fmt::format("'{}' is no type; f64, f32[1] (of rank 1), i32[2] are some", one));
        types.push_back(*type);
        text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
    }
    return types;
}

}  // namespace kiln::tool
