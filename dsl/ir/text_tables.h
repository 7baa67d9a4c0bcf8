// Words of the text form that the printer and the parser share.
#pragma once
#include "dsl/ir/ir.h"

#include <array>
#include <string_view>

namespace kiln::ir::text {

inline constexpr std::array<std::string_view, 6> check_names = {
    "division_by_zero", "negative_power", "out_of_bounds",
    "shapes",           "empty",          "outside_neighborhood"};
inline constexpr std::array<std::string_view, 6> form_names = {"map",     "reduce",  "scan",
                                                               "program", "threads", "combine"};
inline constexpr std::array<std::string_view, 10> argument_names = {
    "array", "local", "value", "first", "step", "whole", "place", "total", "state", "carry"};
inline constexpr std::array<std::string_view, 6> access_names = {"value", "in",    "out",
                                                                 "inout", "local", "result"};
inline constexpr std::array<std::string_view, 4> schedule_names = {"automatic", "static", "dynamic",
                                                                   "guided"};
inline constexpr std::array<std::string_view, 3> layout_names = {"strided", "unit", "uniform"};
/// The flags of Node::fast, lowest bit first.
inline constexpr std::array<std::string_view, 7> fast_names = {"nnan",     "ninf", "nsz",    "arcp",
                                                               "contract", "afn",  "reassoc"};

/// The bits of the NaN that is printed as plain `nan`: positive, quiet, no payload.
constexpr std::uint64_t default_nan(DType t) {
    switch (t) {
        case DType::f16: return 0x7e00;
        case DType::bf16: return 0x7fc0;
        case DType::f32: return 0x7fc00000;
        case DType::f64: return 0x7ff8000000000000;
        case DType::bool_:
        case DType::i8:
        case DType::i16:
        case DType::i32:
        case DType::i64:
        case DType::u8:
        case DType::u16:
        case DType::u32:
        case DType::u64:
        case DType::c64:
        case DType::c128: break;
    }
    return 0;  // no NaN, or none that is one constant
}

constexpr bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Whether `word` can stand for a parameter or slot: an identifier that is no other operand's form.
constexpr bool is_plain_name(std::string_view word) {
    if (word.empty() || !is_letter(word[0])) return false;
    for (const char c : word)
        if (!is_letter(c) && !is_digit(c)) return false;
    if (word == "extent" || word == "weak" || word == "fast") return false;
    for (const DTypeInfo& t : dtype_table)
        if (word == t.name) return false;
    bool index = word[0] == 'i' && word.size() > 1;  // i0, i1 ... are iteration indices
    for (const char c : word.substr(1)) index = index && is_digit(c);
    return !index;
}

/// What the text calls a node.
inline std::string_view kind_name(const Node& n) {
    return n.kind == NodeKind::op ? info(n.op).name : info(n.kind).word;
}

}  // namespace kiln::ir::text
