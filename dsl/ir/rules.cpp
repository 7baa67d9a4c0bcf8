#include "dsl/ir/rules.h"

#include <fmt/format.h>

namespace kiln::ir::rules {
namespace {

/// The C++ type that `cast<T>` needs for a dtype.
std::string_view cpp_name(DType t) {
    switch (t) {
#define KILN_DTYPE(id, name, cpp, cuda, kind, bits, compute, npy) \
    case DType::id: return #cpp;
#include <kiln/dtype.def>
#undef KILN_DTYPE
    }
    __builtin_unreachable();
}

bool fits_without_narrowing(const Builder& b, Id value, DType to) {
    const DType from = b.dtype(value);
    return (b.node(value).weak ? promote_weak(to, from) : promote(to, from)) == to;
}

}  // namespace

Verdict store_to_variable(const Builder& b, Id value, DType to, std::string_view variable) {
    if (fits_without_narrowing(b, value, to)) return {};
    return Broken{
        ErrorKind::type,
        fmt::format("cannot store {} into {} without narrowing", name(b.dtype(value)), variable),
        fmt::format("write cast<{}>(...)", cpp_name(to))};
}

Verdict store_to_element(const Builder& b, Id value, DType to, std::string_view array) {
    const DType from = b.dtype(value);
    const bool weak_fits = b.node(value).weak && promote_weak(to, from) == to;
    if (weak_fits || can_cast(from, to, Casting::same_kind)) return {};
    return Broken{ErrorKind::type,
                  fmt::format("cannot store {} into {} of type {}", name(from), array, name(to)),
                  "convert with cast<T>(...)"};
}

Verdict written(const Param& param) {
    if (param.access != Access::in) return {};
    return Broken{ErrorKind::usage, fmt::format("{} is only read", param.name),
                  "declare it as InOut"};
}

Verdict host_argument(const Builder& b, Id value, DType to, std::size_t number,
                      std::string_view function) {
    if (fits_without_narrowing(b, value, to)) return {};
    return Broken{ErrorKind::type,
                  fmt::format("argument {} of {} is {}, which does not fit {}", number, function,
                              name(b.dtype(value)), name(to)),
                  fmt::format("write cast(kiln::{}, ...)", name(to))};
}

Verdict subscripts(std::size_t given, std::size_t rank, std::string_view array) {
    if (given == rank) return {};
    return Broken{ErrorKind::shape,
                  fmt::format("{} has {} dimension{}, but {} subscript{} given", array, rank,
                              rank == 1 ? "" : "s", given, given == 1 ? " is" : "s are")};
}

Verdict subscript(DType type) {
    if (is_integer(type)) return {};
    return Broken{ErrorKind::type, fmt::format("a subscript is {}, not an integer", name(type)),
                  "write cast<std::int64_t>(...)"};
}

bool is_outside(const Builder& b, Id subscript, std::optional<std::uint64_t> extent) {
    const Node& n = b.node(subscript);
    if (n.kind != NodeKind::constant) return false;
    const Scalar c = b.kernel().constant(subscript);
    if (!is_unsigned(n.dtype) && c.cast(DType::i64).get<std::int64_t>() < 0) return true;
    return extent && c.cast(DType::u64).get<std::uint64_t>() >= *extent;
}

Broken outside(const Builder& b, Id subscript, const Subscripted& of) {
    const Scalar c = b.kernel().constant(subscript);
    const std::uint64_t word = c.cast(DType::u64).get<std::uint64_t>();
    const std::int64_t number = c.cast(DType::i64).get<std::int64_t>();
    const bool negative = !is_unsigned(b.dtype(subscript)) && number < 0;
    std::string what = fmt::format(
        "index {}{} is outside of {}", negative ? std::to_string(number) : std::to_string(word),
        of.rank == 1 ? "" : fmt::format(" of dimension {}", of.dimension), of.array);
    if (of.extent) what += fmt::format(" of {} element{}", *of.extent, *of.extent == 1 ? "" : "s");
    std::string hint;
    if (negative) hint = "negative indices do not count from the end";
    if (negative && !of.extent)
        hint += fmt::format(": write {}.extent({}) - {}", of.name, of.dimension,
                            std::to_string(number).substr(1));
    return {ErrorKind::bounds, std::move(what), std::move(hint)};
}

Verdict loop_bound(DType type) {
    if (is_integer(type)) return {};
    return Broken{ErrorKind::type, fmt::format("range takes integers, not {}", name(type)),
                  "write cast<std::int64_t>(...)"};
}

Verdict loop_step(const Builder& b, Id step) {
    if (!b.kernel().is_constant(step, 0)) return {};
    return Broken{ErrorKind::usage, "the step of a range must not be 0"};
}

Verdict chunk(std::int64_t iterations) {
    if (iterations >= 0) return {};
    return Broken{ErrorKind::usage, fmt::format("the chunk of a prange is {}", iterations),
                  "0 leaves the choice to kiln"};
}

Verdict atomic(DType type) {
    if (is_integer(type) || type == DType::f32 || type == DType::f64) return {};
    return Broken{ErrorKind::type, fmt::format("there is no atomic access to {}", name(type)),
                  "integers, f32 and f64 have it"};
}

Verdict jump(const Builder& b, NodeKind kind, std::string_view word, std::string_view hint) {
    const bool leaves = kind == NodeKind::return_  ? b.in_parallel_loop()
                        : kind == NodeKind::break_ ? b.innermost_loop_is_parallel()
                                                   : false;
    if (!leaves) return {};
    return Broken{ErrorKind::usage, fmt::format("{} would leave a prange", word),
                  std::string(hint)};
}

}  // namespace kiln::ir::rules
