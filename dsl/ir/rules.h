// Rules of types and places that the front ends share: what breaks one, in the words that users
// read. Operations have theirs in Builder's typed makers; these are of what is stored, subscripted,
// looped over and left. Who asks knows the line, and tells (trace: of the lambda; text: with a caret).
#pragma once
#include "dsl/ir/builder.h"

#include <optional>
#include <string>
#include <string_view>

namespace kiln::ir::rules {

/// What an error says.
struct Broken {
    ErrorKind kind;
    std::string message, hint = {};

    [[noreturn]] void raise(const Location& where) const {
        throw Error(kind, message, where, hint);
    }
};
using Verdict = std::optional<Broken>;  ///< nothing: the rule is kept
inline void keep(const Verdict& verdict, const Location& where) {
    if (verdict) verdict->raise(where);
}

/// A variable holds what is stored without narrowing.
Verdict store_to_variable(const Builder& b, Id value, DType to, std::string_view variable);
/// An element takes what is stored by conversions of one kind.
Verdict store_to_element(const Builder& b, Id value, DType to, std::string_view array);
/// What is only read is not stored to.
Verdict written(const Param& param);
/// An argument of a function of the host is of its type, or fits it.
Verdict host_argument(const Builder& b, Id value, DType to, std::size_t number,
                      std::string_view function);
/// As many subscripts as there are dimensions.
Verdict subscripts(std::size_t given, std::size_t rank, std::string_view array);
/// A subscript, a bound of a loop: integers.
Verdict subscript(DType type);
/// What is subscripted: `array` is what errors call it. Where its extent is known there is one.
struct Subscripted {
    std::string array;
    std::size_t rank = 1, dimension = 0;
    std::optional<std::uint64_t> extent = {};
    /// What the hint calls an array whose extents are not known.
    std::string_view name = "a";
};
/// Whether a subscript is none that some extents allow: a constant below 0, or not below `extent`.
bool is_outside(const Builder& b, Id subscript, std::optional<std::uint64_t> extent = {});
/// What is wrong with one that is.
Broken outside(const Builder& b, Id subscript, const Subscripted& of);
Verdict loop_bound(DType type);
/// Of a range, where it is known.
Verdict loop_step(const Builder& b, Id step);
Verdict chunk(std::int64_t iterations);
/// Integers, f32 and f64.
Verdict atomic(DType type);
/// Iterations of a parallel loop are left by no jump but to the next one. `word`: "break_()".
Verdict jump(const Builder& b, NodeKind kind, std::string_view word, std::string_view hint);

}  // namespace kiln::ir::rules
