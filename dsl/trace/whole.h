// What functions of whole arrays that compute into arrays of their own are written with.
#pragma once
#include "dsl/trace/array_parts.h"

#include <bit>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace kiln::dsl {

using ir::Id;

/// An operand that is an array value, with the trace at its line.
struct Whole {
    Trace& trace;
    ir::Builder& b;
    std::source_location where;
    Id id;

    explicit Whole(const Operand& a)
        : trace(trace_at(a)), b(trace.builder()), where(a.where()), id(trace.use_any(a)) {}
    int rank() const { return b.node(id).rank; }
    /// Errors: shape.
    int axis(int named) const {
        const std::uint64_t bit = axes_of(b, id, {.axis = named}, where);
        return std::countr_zero(bit);
    }
    std::vector<Id> extents() const {
        std::vector<Id> all;
        for (int d = 0; d < rank(); ++d) all.push_back(extent_of(b, id, d));
        return all;
    }
};

/// The product of extents.
inline Id product(ir::Builder& b, std::span<const Id> factors) {
    Id all = b.constant_i64(1);
    for (const Id f : factors) all = all == b.constant_i64(1) ? f : b.apply(ir::Op::mul, {all, f});
    return all;
}

/// A check of shapes that holds where the two nodes are equal.
inline void check_equal(ir::Builder& b, Id x, Id y, std::vector<Id> first, std::vector<Id> second,
                        ir::ShapeRule rule) {
    if (x == y) return;
    second.push_back(b.constant_i64(static_cast<std::int64_t>(rule)));
    b.check(ir::Check::shapes, b.apply(ir::Op::eq, {x, y}), first, second);
}

/// A new array of the kernel, which this function computes into.
inline std::uint32_t temporary(Trace& trace, std::string_view function, DType dtype,
                               std::span<const Id> extents) {
    const std::uint32_t param = trace.new_array(dtype, extents.size(), function);
    trace.allocate(param, extents);
    return param;
}
/// The value in an array of the kernel, without gaps in C order.
inline std::uint32_t stored(const Whole& a, std::string_view function) {
    const std::uint32_t param = temporary(a.trace, function, a.b.dtype(a.id), a.extents());
    a.b.assign(param, a.b.cast(a.id, a.b.dtype(a.id)));
    return param;
}

/// Calls body(subscripts, position in C order) for each element of an array of these extents.
/// All of it stands at `where`.
template <class F> void for_elements(Trace& trace, std::source_location where,
                                     std::span<const Id> extents, F&& body, std::vector<Id> at = {},
                                     Id position = ir::none) {
    ir::Builder& b = trace.builder();
    if (at.size() == extents.size()) return body(at, position);
    const Id extent = extents[at.size()];
    for (Index i : range(Operand(trace.value(extent), where))) {
        at.push_back(trace.use(Operand(i, where)));
        const Id next =
            position == ir::none
                ? at.back()
                : b.apply(ir::Op::add, {b.apply(ir::Op::mul, {position, extent}), at.back()});
        for_elements(trace, where, extents, body, at, next);
        at.pop_back();
    }
}

Value concatenate(std::span<const Operand> parts, int axis);

}  // namespace kiln::dsl
