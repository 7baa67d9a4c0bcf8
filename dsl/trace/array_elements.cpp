// Functions of whole arrays that pick, order and place elements.
#include <kiln/array_elements.h>

#include "dsl/trace/whole.h"

#include <kiln/kernel.h>
#include <kiln/shape.h>

#include <fmt/format.h>

namespace kiln {

using dsl::for_elements;
using dsl::stored;
using dsl::temporary;
using dsl::Trace;
using dsl::Whole;
using ir::Id;
using ir::Op;

namespace {

/// The array that the value is, where it is one as a whole, else one that holds it.
std::uint32_t array_of(const Whole& a, std::string_view function) {
    const ir::Node& n = a.b.node(a.id);
    const bool is_array = n.kind == ir::NodeKind::whole && n.operand_count == 0 &&
                          a.trace.seen_rank(n.aux) == a.b.kernel().params[n.aux].rank;
    return is_array ? n.aux : stored(a, function);
}

/// Along an axis, or the elements as a row along axis 0.
Operand along_axis(const Operand& a, const std::optional<int>& axis) {
    if (axis || Whole(a).rank() == 1) return a;
    return {reshape(a, {-1}), a.where()};
}

void check_ordered(const Whole& a, std::string_view function) {
    if (!is_complex(a.b.dtype(a.id))) return;
    throw Error(ErrorKind::type, fmt::format("{} of complex numbers", function), a.where);
}

/// The value of nodes that stand at one line.
struct At {
    Trace& trace;
    std::source_location where;
    Operand operator()(Id id) const { return {trace.value(id), where}; }
    Id operator()(const Operand& x) const { return trace.use(x); }
};

/// Subscripts of an element from those along the other axes and the one along `axis`.
std::vector<Id> with(std::span<const Id> others, int axis, Id here) {
    std::vector<Id> at(others.begin(), others.end());
    at.insert(at.begin() + axis, here);
    return at;
}

}  // namespace

Value arange(Operand stop) {
    Trace& trace = dsl::trace_at(stop);
    const Id extent = trace.extents({stop}, stop.where()).front();
    const std::uint32_t result = temporary(trace, "arange", DType::i64, {&extent, 1});
    for_elements(trace, stop.where(), {&extent, 1}, [&](std::span<const Id> at, Id position) {
        trace.builder().store(result, at, position);
    });
    return trace.value(trace.whole(result));
}

Value take(Operand a, Operand indices, std::optional<int> axis) {
    const Operand along = along_axis(a, axis);
    const Whole x(along), places(indices);
    ir::Builder& b = x.b;
    if (!is_integer(b.dtype(places.id)))
        throw Error(
            ErrorKind::type,
            fmt::format("take by indices of dtype {}, not integers", name(b.dtype(places.id))),
            indices.where());
    const int at_axis = x.axis(axis.value_or(0));
    const auto first = static_cast<std::size_t>(at_axis);
    const auto picked = static_cast<std::size_t>(places.rank());
    const std::vector<Id> of_x = x.extents(), of_places = places.extents();
    std::vector<Id> extents(of_x.begin(), of_x.begin() + at_axis);
    extents.insert(extents.end(), of_places.begin(), of_places.end());
    extents.insert(extents.end(), of_x.begin() + at_axis + 1, of_x.end());
    if (extents.size() > max_rank)
        throw Error(ErrorKind::shape,
                    fmt::format("take of {} dimensions by {}", of_x.size(), picked), a.where());
    const std::uint32_t source = array_of(x, "take");
    const bool one = picked == 0;
    const std::uint32_t list = one ? 0 : array_of(places, "take");
    const std::uint32_t result = temporary(x.trace, "take", b.dtype(x.id), extents);
    for_elements(x.trace, x.where, extents, [&](std::span<const Id> at, Id) {
        const Id given = one ? places.id : b.load(list, at.subspan(first, picked));
        // Unsigned ones are never negative, whatever their bits are as i64.
        Id index = b.cast(given, DType::i64);
        if (!is_unsigned(b.dtype(places.id)))
            index = b.apply(Op::select, {b.apply(Op::lt, {index, b.constant_i64(0)}),
                                         b.apply(Op::add, {index, of_x[first]}), index});
        std::vector<Id> from(at.begin(), at.begin() + at_axis);
        from.push_back(index);
        from.insert(from.end(), at.begin() + static_cast<std::ptrdiff_t>(first + picked), at.end());
        b.store(result, at, b.load(source, from));
    });
    return x.trace.value(extents.empty() ? b.load(result, std::span<const Id>())
                                         : x.trace.whole(result));
}

Value compress(Operand mask, Operand a) {
    const Whole x(a), chosen(mask);
    ir::Builder& b = x.b;
    if (!is_bool(b.dtype(chosen.id)))
        throw Error(
            ErrorKind::type,
            fmt::format("compress by a mask of dtype {}, not bool", name(b.dtype(chosen.id))),
            mask.where(), "compare: a != 0");
    if (x.rank() != chosen.rank())
        throw Error(
            ErrorKind::shape,
            fmt::format("compress of {} dimensions by a mask of {}", x.rank(), chosen.rank()),
            mask.where());
    const std::vector<Id> extents = x.extents(), of_mask = chosen.extents();
    for (std::size_t d = 0; d < extents.size(); ++d)
        if (extents[d] != of_mask[d])
            b.check(ir::Check::shapes, b.apply(Op::eq, {extents[d], of_mask[d]}), extents, of_mask);
    const At at{x.trace, x.where};
    const std::uint32_t source = array_of(x, "compress"), flags = array_of(chosen, "compress");
    Var count(DType::i64, Operand(0, x.where));
    for_elements(x.trace, x.where, extents, [&](std::span<const Id> element, Id) {
        count += at(b.cast(b.load(flags, element), DType::i64));
    });
    const Id size = at(Operand(count, x.where));
    const std::uint32_t result = temporary(x.trace, "compress", b.dtype(x.id), {&size, 1});
    Var next(DType::i64, Operand(0, x.where));
    for_elements(x.trace, x.where, extents, [&](std::span<const Id> element, Id) {
        const std::vector<Id> place(element.begin(), element.end());
        if_(at(b.load(flags, place)), [&] {
            const Id to = at(Operand(next, x.where));
            b.store(result, {&to, 1}, b.load(source, place));
            next += Operand(1, x.where);
        });
    });
    return x.trace.value(x.trace.whole(result));
}

Value repeat(Operand a, Operand count, std::optional<int> axis) {
    const Operand along = along_axis(a, axis);
    const Whole x(along);
    ir::Builder& b = x.b;
    const int here = x.axis(axis.value_or(0));
    const Id times = x.trace.extents({count}, count.where()).front();
    std::vector<Id> extents = x.extents();
    const std::vector<Id> own = extents;
    Id& long_one = extents[static_cast<std::size_t>(here)];
    long_one = b.apply(Op::mul, {long_one, times});
    const std::uint32_t source = array_of(x, "repeat"),
                        result = temporary(x.trace, "repeat", b.dtype(x.id), extents);
    const At at{x.trace, x.where};
    for_elements(x.trace, x.where, own, [&](std::span<const Id> element, Id) {
        const std::vector<Id> from(element.begin(), element.end());
        for (Index r : range(at(times))) {
            std::vector<Id> to = from;
            Id& place = to[static_cast<std::size_t>(here)];
            place = b.apply(Op::add, {b.apply(Op::mul, {place, times}), at(Operand(r, x.where))});
            b.store(result, to, b.load(source, from));
        }
    });
    return x.trace.value(x.trace.whole(result));
}

Value stack(std::initializer_list<Operand> parts, int axis) {
    if (parts.size() == 0)
        throw Error(ErrorKind::usage, "stack of no values", {}, "give one at least");
    std::vector<Operand> widened;
    for (const Operand& part : parts) {
        const int rank = Whole(part).rank();
        widened.emplace_back(new_axis(part, axis < 0 ? axis + rank + 1 : axis), part.where());
    }
    return dsl::concatenate(widened, axis);
}

namespace {

Value position_of_extreme(const Operand& a, const std::optional<int>& axis, bool least) {
    const std::string_view function = least ? "argmin" : "argmax";
    const Operand along = along_axis(a, axis);
    const Whole x(along);
    check_ordered(x, function);
    ir::Builder& b = x.b;
    const int here = x.axis(axis.value_or(0));
    const std::vector<Id> extents = x.extents();
    std::vector<Id> kept = extents;
    kept.erase(kept.begin() + here);
    const Id length = extents[static_cast<std::size_t>(here)], zero = b.constant_i64(0);
    b.check(ir::Check::empty, b.apply(Op::ne, {length, zero}), {}, {});
    const std::uint32_t source = array_of(x, function),
                        result = temporary(x.trace, function, DType::i64, kept);
    const At at{x.trace, x.where};
    for_elements(x.trace, x.where, kept, [&](std::span<const Id> others, Id) {
        const std::vector<Id> line(others.begin(), others.end());
        Var best(b.dtype(x.id), at(b.load(source, with(line, here, zero))));
        Var position(DType::i64, Operand(0, x.where));
        for (Index i : range(Operand(1, x.where), at(length))) {
            const Operand index(i, x.where);
            const Operand value = at(b.load(source, with(line, here, at(index))));
            if (least)
                reduce_argmin(best, position, value, index);
            else
                reduce_argmax(best, position, value, index);
        }
        b.store(result, line, at(Operand(position, x.where)));
    });
    return x.trace.value(kept.empty() ? b.load(result, std::span<const Id>())
                                      : x.trace.whole(result));
}

/// Heapsort of the elements load(0), ..., load(length - 1).
template <class Load, class Store>
void sort_line(const At& at, DType dtype, Id length, const Load& load, const Store& store) {
    const auto number = [&](std::int64_t n) { return Operand(n, at.where); };
    const auto before = [&](const Operand& x, const Operand& y) {
        const Value less = x < y;
        return is_real(dtype) ? Value(less || (y != y && x == x)) : less;
    };
    // The element at `top` goes down to its place among those before `end`.
    const auto sift = [&](const Operand& top, const Operand& end) {
        Var root(DType::i64, top), child(DType::i64, 2 * top + 1);
        Var value(dtype, load(top));
        while_(child < end, [&] {
            if_(child + 1 < end, [&] {
                if_(before(load(Operand(child, at.where)), load(Operand(child + 1, at.where))),
                    [&] { child += number(1); });
            });
            const Operand larger = load(Operand(child, at.where));
            if_(before(Operand(value, at.where), larger), [&] {
                store(Operand(root, at.where), larger);
                root = child;
                child = 2 * child + 1;
            }).else_([&] { child = end; });
        });
        store(Operand(root, at.where), Operand(value, at.where));
    };
    const Operand n = at(length);
    for (Index i : range(number(0), Operand(n / 2, at.where)))
        sift(Operand(n / 2 - 1 - i, at.where), n);
    for (Index i : range(number(0), Operand(n - 1, at.where))) {
        const Operand end(n - 1 - i, at.where);
        Var last(dtype, load(end));
        store(end, load(number(0)));
        store(number(0), Operand(last, at.where));
        sift(number(0), end);
    }
}

}  // namespace

Value argmin(Operand a, std::optional<int> axis) { return position_of_extreme(a, axis, true); }
Value argmax(Operand a, std::optional<int> axis) { return position_of_extreme(a, axis, false); }

Value sort(Operand a, int axis) {
    const Whole x(a);
    check_ordered(x, "sort");
    ir::Builder& b = x.b;
    const int here = x.axis(axis);
    std::vector<Id> others = x.extents();
    const Id length = others[static_cast<std::size_t>(here)];
    others.erase(others.begin() + here);
    const std::uint32_t result = stored(x, "sort");
    const At at{x.trace, x.where};
    for_elements(x.trace, x.where, others, [&](std::span<const Id> given, Id) {
        const std::vector<Id> line(given.begin(), given.end());
        sort_line(
            at, b.dtype(x.id), length,
            [&](const Operand& i) { return at(b.load(result, with(line, here, at(i)))); },
            [&](const Operand& i, const Operand& value) {
                b.store(result, with(line, here, at(i)), at(value));
            });
    });
    return x.trace.value(x.trace.whole(result));
}

Value count_nonzero(Operand a, const FoldOptions& options) {
    return sum({a != 0, a.where()}, options);
}

}  // namespace kiln
