// The declarations that C++ text sees without including anything.
#pragma once
#include "dsl/ir/ir.h"

#include <kiln/dsl.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kiln::text {

/// As text; the same in every call. `of_file`: what a file of a program sees, of whose names only
/// those of <cmath> are in the global namespace.
const std::string& prelude(bool of_file);
/// Standard headers that text may include: they are empty, for the prelude has what they declare.
std::span<const std::string_view> known_headers();

/// What atomic_<name> does.
struct Atomic {
    std::string_view name;
    ir::Reduction reduction;
};
std::span<const Atomic> atomics();

/// What a function that the prelude only declares stands for: an operation, or one of the functions
/// of several operations that dsl/trace has.
struct Builtin {
    enum class Kind : std::uint8_t { operation, composite };
    Kind kind = Kind::operation;
    ir::Op op = ir::Op::add;
    Value (*unary)(Operand) = nullptr;
    Value (*binary)(Operand, Operand) = nullptr;
    Value (*ternary)(Operand, Operand, Operand) = nullptr;
};
/// By the name of the function in the prelude.
std::optional<Builtin> builtin(std::string_view name);

}  // namespace kiln::text
