#include "jit/tool/run_arguments.h"

#include "jit/tool/options.h"
#include "jit/tool/types.h"

#include <charconv>
#include <complex>
#include <optional>

#include <fmt/format.h>

namespace kiln::tool {
namespace {

/// All of `word` as T; nothing where it is no number of that type.
template <class T> std::optional<T> parsed(std::string_view word) {
    if (word.starts_with('+')) word.remove_prefix(1);
    T value{};
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
    return value;
}

std::optional<Scalar> scalar_of(std::string_view word) {
    if (word == "true" || word == "false") return Scalar::of(word == "true");
    if (const auto i = parsed<std::int64_t>(word)) return Scalar::of(*i);
    if (const auto u = parsed<std::uint64_t>(word)) return Scalar::of(*u);
    if (const auto x = parsed<double>(word)) return Scalar::of(*x);
    const std::size_t comma = word.find(',');
    if (comma == std::string_view::npos) return std::nullopt;
    const auto re = parsed<double>(word.substr(0, comma)),
               im = parsed<double>(word.substr(comma + 1));
    if (!re || !im) return std::nullopt;
    return Scalar::of(std::complex<double>(*re, *im));
}

/// Whether an integer is a number of that type: 300 is no u8.
bool holds(DType to, const Scalar& value) {
    if (!is_integer(to) || !is_integer(value.dtype)) return true;
    const Scalar there = value.cast(to);
    return digits(there) == digits(value);
}

}  // namespace

RunArgument::RunArgument(std::string_view word) {
    if (word.starts_with('@')) {
        kind = Kind::input;
        from = word.substr(1);
    } else if (word.starts_with('=')) {
        kind = Kind::output;
        const std::size_t colon = word.rfind(':');
        const bool typed = colon != std::string_view::npos && word.ends_with(']');
        to = word.substr(1, typed ? colon - 1 : std::string_view::npos);
        if (typed) read_type(word.substr(colon + 1), word);
    } else if (word.starts_with('+') && word.find('=') != std::string_view::npos) {
        kind = Kind::update;
        const std::size_t equals = word.find('=');
        from = word.substr(1, equals - 1);
        to = word.substr(equals + 1);
    } else {
        read_number(word);
        return;
    }
    if ((kind != Kind::output && from.empty()) || (kind != Kind::input && to.empty()))
        throw UsageError(fmt::format("{} names no file", word));
}

void RunArgument::read_number(std::string_view word) {
    const std::size_t colon = word.find(':');
    const std::optional<DType> type =
        colon == std::string_view::npos ? std::nullopt : dtype_named(word.substr(0, colon));
    const auto value = type ? scalar_of(word.substr(colon + 1)) : scalar_of(word);
    if (!value)
        throw UsageError(
            fmt::format("{} is no argument: write a number (2.5, f32:2.5, c128:1,2), "
                        "@in.npy, =out.npy or +in.npy=out.npy",
                        word));
    if (type && (!can_cast(value->dtype, *type, Casting::same_kind) || !holds(*type, *value)) &&
        !(is_integer(*type) && is_integer(value->dtype) && holds(*type, *value)))
        throw UsageError(fmt::format("{} is no {}", word.substr(colon + 1), name(*type)));
    number = type ? value->cast(*type) : *value;
    number.weak = !type;
}

void RunArgument::read_type(std::string_view type, std::string_view word) {
    const std::size_t bracket = type.find('[');
    const std::optional<DType> named = dtype_named(type.substr(0, bracket));
    const auto wrong = [&] {
        throw UsageError(fmt::format("{} has no type like f64[100,200]", word));
    };
    if (!named || bracket == std::string_view::npos) return wrong();
    std::string_view extents = type.substr(bracket + 1, type.size() - bracket - 2);
    std::vector<std::int64_t> all;
    while (!extents.empty()) {
        const std::size_t comma = extents.find(',');
        const auto n = parsed<std::int64_t>(extents.substr(0, comma));
        if (!n || *n < 0 || all.size() == 8) return wrong();
        all.push_back(*n);
        extents = comma == std::string_view::npos ? "" : extents.substr(comma + 1);
    }
    has_type = true;
    dtype = *named;
    shape = Shape(all);
}

std::string digits(const Scalar& value) {
    switch (kind_of(value.dtype)) {
        case Kind::boolean: return value.get<bool>() ? "true" : "false";
        case Kind::signed_integer:
            return fmt::format("{}", value.cast(DType::i64).get<std::int64_t>());
        case Kind::unsigned_integer:
            return fmt::format("{}", value.cast(DType::u64).get<std::uint64_t>());
        case Kind::real:
            if (size_of(value.dtype) <= 4)
                return fmt::format("{}", value.cast(DType::f32).get<float>());
            return fmt::format("{}", value.get<double>());
        case Kind::complex: break;
    }
    const auto part = [&](auto x) { return fmt::format("{}", x); };
    if (value.dtype == DType::c64) {
        const auto z = value.get<std::complex<float>>();
        return fmt::format("({},{})", part(z.real()), part(z.imag()));
    }
    const auto z = value.get<std::complex<double>>();
    return fmt::format("({},{})", part(z.real()), part(z.imag()));
}

}  // namespace kiln::tool
