// Functions of whole arrays that are other axes of a value, products, or arrays of their own.
#include "dsl/trace/array_parts.h"
#include "dsl/trace/whole.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln {

FoldAxes::FoldAxes(std::initializer_list<int> axes) : list_(axes) {}

using dsl::check_equal;
using dsl::for_elements;
using dsl::product;
using dsl::stored;
using dsl::temporary;
using dsl::Trace;
using dsl::Whole;
using ir::Id;
using ir::Op;

namespace {

/// The slice of an array that is [start, start + extent) along an axis; nodes as of ir.h.
std::vector<Id> part(ir::Builder& b, std::span<const Id> extents, int axis, Id start, Id extent) {
    std::vector<Id> nodes;
    for (std::size_t d = 0; d < extents.size(); ++d) {
        const bool here = static_cast<int>(d) == axis;
        nodes.insert(nodes.end(), {here ? start : b.constant_i64(0), b.constant_i64(1),
                                   here ? extent : extents[d]});
    }
    return nodes;
}

Value permuted(const Whole& a, std::span<const std::uint64_t> axes) {
    return a.trace.value(axes.size() < 2 ? a.id : a.b.permute(a.id, axes));
}

/// The sum of products over one axis of what x and y broadcast to, counted from the last.
Value sum_of_products(const Whole& a, Id x, Id y, int from_last) {
    const Id product = a.b.apply(Op::mul, {x, y});
    const auto axis = static_cast<unsigned>(a.b.node(product).rank - from_last);
    return a.trace.value(a.b.fold(ir::Reduction::sum, product, std::uint64_t(1) << axis));
}

/// The axes of an array value, with one of extent 1 put before axis `at`.
Id widened(ir::Builder& b, Id id, int at) {
    std::vector<std::uint64_t> axes;
    for (int d = 0, from = 0; d <= b.node(id).rank; ++d)
        axes.push_back(d == at ? ir::new_axis : static_cast<std::uint64_t>(from++));
    return b.permute(id, axes);
}

}  // namespace

Id dsl::extreme_of_complex(const Operand& a, Reduce extreme, std::uint64_t axes) {
    const Whole x(a);
    ir::Builder& b = x.b;
    const std::vector<Id> extents = x.extents();
    std::vector<Id> kept, reduced;
    for (std::size_t d = 0; d < extents.size(); ++d)
        ((axes >> d & 1) != 0 ? reduced : kept).push_back(extents[d]);
    b.check(ir::Check::empty, b.apply(Op::ne, {product(b, reduced), b.constant_i64(0)}), {}, {});
    const DType dtype = b.dtype(x.id);
    const std::string_view function = extreme == Reduce::min ? "min" : "max";
    const std::uint32_t source = stored(x, function),
                        result = temporary(x.trace, function, dtype, kept);
    for_elements(x.trace, x.where, kept, [&](std::span<const Id> outer, Id) {
        const auto load = [&](std::span<const Id> inner) {
            std::vector<Id> at;
            std::size_t o = 0, i = 0;
            for (std::size_t d = 0; d < extents.size(); ++d)
                at.push_back((axes >> d & 1) != 0 ? inner[i++] : outer[o++]);
            return Operand(x.trace.value(b.load(source, at)), a.where());
        };
        Var best(dtype, load(std::vector<Id>(reduced.size(), b.constant_i64(0))));
        for_elements(x.trace, x.where, reduced, [&](std::span<const Id> inner, Id) {
            kiln::reduce(best, extreme, load(inner));
        });
        b.store(result, outer, x.trace.use(Operand(best, x.where)));
    });
    return kept.empty() ? b.load(result, std::span<const Id>()) : x.trace.whole(result);
}

// ------------------------------------------------------------------------------ products

Value dot(Operand a, Operand b) {
    const Whole x(a);
    const Whole y(b);
    if (x.rank() > 2 || y.rank() > 2)
        throw Error(ErrorKind::shape,
                    fmt::format("dot of {} and {} dimensions", x.rank(), y.rank()), x.where,
                    "operands have one or two: matmul takes stacks of matrices");
    x.b.set_location(x.where);
    if (x.rank() == 0 || y.rank() == 0) return x.trace.value(x.b.apply(Op::mul, {x.id, y.id}));
    const std::vector<Id> first = x.extents(), second = y.extents();
    check_equal(x.b, first.back(), second.front(), first, second, ir::ShapeRule::dot);
    if (y.rank() == 1) return sum_of_products(x, x.id, y.id, 1);
    return sum_of_products(x, widened(x.b, x.id, x.rank()), y.id, 2);
}

Value matmul(Operand a, Operand b) {
    const Whole x(a);
    const Whole y(b);
    if (x.rank() == 0 || y.rank() == 0 || std::max(x.rank(), y.rank()) > 7)
        throw Error(ErrorKind::shape,
                    fmt::format("matmul of {} and {} dimensions", x.rank(), y.rank()), x.where,
                    "operands have one to seven");
    x.b.set_location(x.where);
    const std::vector<Id> first = x.extents(), second = y.extents();
    const Id rows = second[second.size() - std::min<std::size_t>(2, second.size())];
    check_equal(x.b, first.back(), rows, first, second, ir::ShapeRule::matmul);
    if (y.rank() == 1) return sum_of_products(x, x.id, y.id, 1);
    // (..., m, n, 1) and (..., 1, n, p); of a vector and one matrix (n, 1) and (n, p).
    const Id columns = widened(x.b, x.id, x.rank());
    const bool planes = x.rank() > 2 || (x.rank() == 2 && y.rank() > 2);
    return sum_of_products(x, columns,
                           planes && y.rank() > 2 ? widened(x.b, y.id, y.rank() - 2) : y.id, 2);
}

// ------------------------------------------------------------------------------ other axes

Value transpose(Operand a) {
    const Whole x(a);
    std::vector<std::uint64_t> axes;
    for (auto d = static_cast<std::uint64_t>(x.rank()); d-- > 0;) axes.push_back(d);
    return permuted(x, axes);
}

Value transpose(Operand a, std::initializer_list<int> axes) {
    const Whole x(a);
    std::vector<std::uint64_t> order;
    std::uint64_t seen = 0;
    for (const int axis : axes) {
        order.push_back(static_cast<std::uint64_t>(x.axis(axis)));
        seen |= std::uint64_t(1) << order.back();
    }
    if (order.size() != static_cast<std::size_t>(x.rank()) ||
        std::popcount(seen) != static_cast<int>(order.size()))
        throw Error(ErrorKind::shape,
                    fmt::format("transpose of {} dimension{} by ({})", x.rank(),
                                x.rank() == 1 ? "" : "s", fmt::join(axes, ",")),
                    x.where, "each axis is listed once");
    return permuted(x, order);
}

Value swapaxes(Operand a, int first, int second) {
    const Whole x(a);
    const auto one = static_cast<std::uint64_t>(x.axis(first)),
               other = static_cast<std::uint64_t>(x.axis(second));
    std::vector<std::uint64_t> axes;
    for (std::uint64_t d = 0; d < static_cast<std::uint64_t>(x.rank()); ++d)
        axes.push_back(d == one ? other : d == other ? one : d);
    return permuted(x, axes);
}

Value new_axis(Operand a, int axis) {
    const Whole x(a);
    const int rank = x.rank(), at = axis < 0 ? axis + rank + 1 : axis;
    if (at < 0 || at > rank || rank == 8)
        throw Error(ErrorKind::shape,
                    fmt::format("a new axis {} of an array value of {} dimension{}", axis, rank,
                                rank == 1 ? "" : "s"),
                    x.where);
    return x.trace.value(widened(x.b, x.id, at));
}

Value flip(Operand a, int axis) {
    const Whole x(a);
    ir::Builder& b = x.b;
    const int along = x.axis(axis);
    Id id = x.id;
    if (b.node(id).kind != ir::NodeKind::whole) id = x.trace.whole(stored(x, "flip"));
    const ir::Node n = b.node(id);
    std::vector<Id> nodes;
    int at = 0;
    for (std::uint32_t d = 0; d < b.kernel().params[n.aux].rank; ++d) {
        const bool whole = n.operand_count == 0;
        Id start = whole ? b.constant_i64(0) : b.kernel().operand(id, 3 * d),
           step = whole ? b.constant_i64(1) : b.kernel().operand(id, 3 * d + 1);
        const Id extent = whole ? b.extent(n.aux, d) : b.kernel().operand(id, 3 * d + 2);
        if ((n.imm >> d & 1) == 0 && at++ == along) {
            const Id last = b.apply(Op::sub, {extent, b.constant_i64(1)});
            start = b.apply(Op::add, {start, b.apply(Op::mul, {last, step})});
            step = b.constant_i64(-b.kernel().constant(step).get<std::int64_t>());
        }
        nodes.insert(nodes.end(), {start, step, extent});
    }
    return x.trace.value(b.whole(n.aux, nodes, n.imm));
}

// ------------------------------------------------------------------------------ arrays of their own

Value reshape(Operand a, std::initializer_list<Operand> extents) {
    const Whole x(a);
    ir::Builder& b = x.b;
    const std::vector<Id> from = x.extents();
    const Id size = product(b, from);
    std::vector<Id> to = x.trace.extents(extents, x.where), others;
    std::optional<std::size_t> left;
    for (std::size_t d = 0; d < to.size(); ++d) {
        if (!b.kernel().is_constant(to[d], -1)) {
            others.push_back(to[d]);
        } else if (!left) {
            left = d;
        } else {
            throw Error(ErrorKind::shape, "reshape with more than one extent of -1", x.where,
                        "one is what the others leave");
        }
    }
    if (left) {
        const Id rest = product(b, others), none = b.constant_i64(0);
        // Of no elements any extent would do.
        if (b.kernel().is_constant(rest, 0))
            throw Error(ErrorKind::shape, "reshape with an extent of -1 beside 0", x.where,
                        "any extent would do: write it");
        if (b.kernel().nodes[rest].kind != ir::NodeKind::constant) {
            std::vector<Id> shape = to;
            shape.push_back(b.constant_i64(static_cast<std::int64_t>(ir::ShapeRule::reshape)));
            b.check(ir::Check::shapes, b.apply(Op::ne, {rest, none}), from, shape);
        }
        to[*left] = b.apply(Op::div, {size, rest});
    }
    check_equal(b, size, product(b, to), from, to, ir::ShapeRule::reshape);
    // Through a row, so that no subscript is divided.
    const DType dtype = b.dtype(x.id);
    std::uint32_t row = stored(x, "reshape");
    if (from.size() != 1) {
        const std::uint32_t source =
            std::exchange(row, temporary(x.trace, "reshape", dtype, {&size, 1}));
        for_elements(x.trace, x.where, from, [&](std::span<const Id> at, Id position) {
            b.store(row, {position == ir::none ? b.constant_i64(0) : position}, b.load(source, at));
        });
    }
    if (to.size() == 1) return x.trace.value(x.trace.whole(row));
    const std::uint32_t result = temporary(x.trace, "reshape", dtype, to);
    for_elements(x.trace, x.where, to, [&](std::span<const Id> at, Id position) {
        b.store(result, at, b.load(row, {position == ir::none ? b.constant_i64(0) : position}));
    });
    return x.trace.value(to.empty() ? b.load(result, std::span<const Id>())
                                    : x.trace.whole(result));
}

Value concatenate(std::initializer_list<Operand> parts, int axis) {
    return dsl::concatenate(std::span(parts.begin(), parts.size()), axis);
}

Value dsl::concatenate(std::span<const Operand> parts, int axis) {
    if (parts.empty())
        throw Error(ErrorKind::usage, "concatenate of no values", {}, "give one at least");
    const Whole first(*parts.begin());
    ir::Builder& b = first.b;
    std::vector<Id> ids;
    for (const Operand& operand : parts) {
        ids.push_back(Whole(operand).id);
        if (b.node(ids.back()).rank != first.rank())
            throw Error(ErrorKind::shape,
                        fmt::format("concatenate of {} and {} dimensions", first.rank(),
                                    b.node(ids.back()).rank),
                        operand.where());
    }
    const int along = first.axis(axis);
    const auto at = static_cast<std::size_t>(along);
    std::vector<Id> extents = first.extents(), starts{b.constant_i64(0)};
    for (const Id id : ids) {
        std::vector<Id> own;
        for (int d = 0; d < first.rank(); ++d) own.push_back(dsl::extent_of(b, id, d));
        for (std::size_t d = 0; d < own.size(); ++d)
            if (d != at)
                check_equal(b, extents[d], own[d], extents, own, ir::ShapeRule::concatenate);
        starts.push_back(b.apply(Op::add, {starts.back(), own[at]}));
    }
    extents[at] = starts.back();
    const DType dtype = b.promote_operands(ids).dtype;
    const std::uint32_t result = temporary(first.trace, "concatenate", dtype, extents);
    for (std::size_t k = 0; k < ids.size(); ++k)
        b.assign(result, part(b, extents, along, starts[k], dsl::extent_of(b, ids[k], along)), 0,
                 b.cast(ids[k], dtype));
    return first.trace.value(first.trace.whole(result));
}

Value cumsum(Operand a, std::optional<int> axis) {
    if (!axis && Whole(a).rank() != 1) return cumsum({reshape(a, {-1}), a.where()}, 0);
    Whole x(a);
    ir::Builder& b = x.b;
    const int along = x.axis(axis.value_or(0));
    const DType t = b.dtype(x.id);
    if (is_bool(t) || is_integer(t)) x.id = b.cast(x.id, is_unsigned(t) ? DType::u64 : DType::i64);
    const std::uint32_t sums = stored(x, "cumsum");
    std::vector<Id> extents = x.extents();
    const Id one = b.constant_i64(1), length = extents[static_cast<std::size_t>(along)];
    if (along + 1 < x.rank()) {  // whole slices, one after the other
        for (Index k : range(Operand(1, x.where), Operand(x.trace.value(length), x.where))) {
            const Id here = x.trace.use(Operand(k, x.where));
            const std::uint64_t dropped = std::uint64_t(1) << along;
            const std::vector<Id> now = part(b, extents, along, here, one),
                                  before =
                                      part(b, extents, along, b.apply(Op::sub, {here, one}), one);
            b.assign(
                sums, now, dropped,
                b.apply(Op::add, {b.whole(sums, before, dropped), b.whole(sums, now, dropped)}));
        }
    } else {
        extents.pop_back();
        for_elements(x.trace, x.where, extents, [&](std::span<const Id> row, Id) {
            Var sum(b.dtype(x.id), Operand(0, x.where));
            std::vector<Id> at(row.begin(), row.end());
            for (Index k : range(Operand(x.trace.value(length), x.where))) {
                at.push_back(x.trace.use(Operand(k, x.where)));
                sum += Operand(x.trace.value(b.load(sums, at)), x.where);
                b.store(sums, at, x.trace.use(Operand(sum, x.where)));
                at.pop_back();
            }
        });
    }
    return x.trace.value(x.trace.whole(sums));
}

Value eye(Operand n, DType dtype) {
    Trace& trace = dsl::trace_at(n);
    ir::Builder& b = trace.builder();
    const Id extent = trace.extents({n}, n.where()).front();
    const Id extents[] = {extent, extent};
    const std::uint32_t result = temporary(trace, "eye", dtype, extents);
    b.assign(result, b.cast(b.constant_i64(0), dtype));
    for (Index i : range(Operand(trace.value(extent), n.where()))) {
        const Id row = trace.use(Operand(i, n.where())), at[] = {row, row};
        b.store(result, at, b.cast(b.constant_i64(1), dtype));
    }
    return trace.value(trace.whole(result));
}

}  // namespace kiln
