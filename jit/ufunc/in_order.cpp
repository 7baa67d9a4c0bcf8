#include "jit/ufunc/in_order.h"

#include "jit/call/signature.h"

#include <algorithm>
#include <cstdlib>

namespace kiln::detail {

namespace {

/// The function of a ufunc as a part of loop kernels.
class Step {
  public:
    explicit Step(const engine::UfuncSource& source) : source_(&source) {}

    /// f of these, in `to`.
    Value operator()(std::initializer_list<Value> arguments, DType to) const {
        engine::CallKey key(arguments.size(), Casting::same_kind, std::nullopt);
        std::size_t i = 0;
        for (const Value& x : arguments)
            key.set_input(i++, x.dtype({}), false, ir::Layout::strided);
        const engine::LoopTypes loop =
            engine::choose_loop(source_->name, source_->options.signatures, key, source_->where);
        std::vector<Value> inputs, results;
        i = 0;
        for (const Value& x : arguments) {
            const Operand operand(x, std::source_location());
            inputs.push_back(loop.inputs ? cast((*loop.inputs)[i], operand) : Value(operand));
            ++i;
        }
        source_->function(inputs, results);
        const Operand result(results.at(0), std::source_location());
        if (!loop.signature) return cast(to, result);
        return cast(to, cast(loop.signature->types[loop.signature->inputs], result));
    }

  private:
    const engine::UfuncSource* source_;  // of the state that has this
};

JitOptions options_of(const engine::UfuncSource& source) {
    JitOptions options;
    options.fastmath = source.options.fastmath;
    options.parallel = source.options.parallel;
    options.checked = source.options.checked;
    options.keep_flush_to_zero = source.options.keep_flush_to_zero;
    return options;
}

template <class F> Jit<void> loops(const engine::UfuncSource& source, const char* method, F f) {
    return jit(source.name + method, std::move(f), options_of(source), std::source_location());
}

std::int64_t reach(std::int64_t stride) { return stride < 0 ? -stride : stride; }

/// Calls f(first) for all places along the axes of `shape` other than `axis` and `other`, in C
/// order; `first` is a place with index 0 on both.
template <class F> void for_planes(const Shape& shape, int axis, int other, F&& f) {
    Shape index = Shape::filled(shape.rank(), 0);
    while (true) {
        f(index);
        int d = shape.rank() - 1;
        for (; d >= 0; --d) {
            if (d == axis || d == other) continue;
            if (++index[d] < shape[d]) break;
            index[d] = 0;
        }
        if (d < 0) return;
    }
}

/// The axis that goes with `axis` into a plane: of those not in `bits` the longest, then the one
/// with the smallest stride; -1: none.
int other_axis(const Array& x, unsigned bits) {
    int best = -1;
    for (int d = 0; d < x.rank(); ++d) {
        if ((bits >> d & 1U) != 0) continue;
        if (best < 0 || x.extent(d) > x.extent(best) ||
            (x.extent(d) == x.extent(best) && reach(x.stride(d)) < reach(x.stride(best))))
            best = d;
    }
    return best;
}

std::int64_t stride_of(const Array& a, int d) {
    return d < 0 || a.extent(d) == 1 ? 0 : a.stride(d);
}

/// The elements of `a` with this place along the axes: (extent of `other`, `count` from `from` on of
/// `axis`).
Array plane(const Array& a, const Shape& place, int axis, int other, std::int64_t from,
            std::int64_t count, Location where) {
    std::int64_t offset = from * stride_of(a, axis);
    for (int d = 0; d < a.rank(); ++d) offset += place[d] * stride_of(a, d);
    return Array::from_memory(a.data() + offset, a.dtype(),
                              {other < 0 ? 1 : a.extent(other), count},
                              {stride_of(a, other), stride_of(a, axis)}, {}, !a.read_only(), where);
}

}  // namespace

InOrder::InOrder(const engine::UfuncSource& source)
    : rows_(loops(source, ".reduce",
                  [f = Step(source)](In x, InOut out) {
                      for (Index c : prange(x.extent(0))) {
                          Var result = Value(out(c, 0));
                          for (Index i : range(x.extent(1)))
                              result = f({result, Value(x(c, i))}, out.dtype());
                          out(c, 0) = result;
                      }
                  })),
      masked_rows_(loops(source, ".reduce",
                         [f = Step(source)](In x, In mask, InOut out) {
                             for (Index c : prange(x.extent(0))) {
                                 Var result = Value(out(c, 0));
                                 for (Index i : range(x.extent(1)))
                                     if_(mask(c, i), [&] {
                                         result = f({result, Value(x(c, i))}, out.dtype());
                                     });
                                 out(c, 0) = result;
                             }
                         })),
      columns_(loops(source, ".reduce",
                     [f = Step(source)](In x, InOut out) {
                         for (Index i : range(x.extent(1)))
                             for (Index c : prange(x.extent(0)))
                                 out(c, 0) = f({Value(out(c, 0)), Value(x(c, i))}, out.dtype());
                     })),
      masked_columns_(loops(source, ".reduce",
                            [f = Step(source)](In x, In mask, InOut out) {
                                for (Index i : range(x.extent(1)))
                                    for (Index c : prange(x.extent(0)))
                                        if_(mask(c, i), [&] {
                                            out(c, 0) =
                                                f({Value(out(c, 0)), Value(x(c, i))}, out.dtype());
                                        });
                            })),
      running_rows_(loops(source, ".accumulate",
                          [f = Step(source)](In x, InOut out) {
                              for (Index c : prange(x.extent(0))) {
                                  Var result = Value(out(c, 0));
                                  for (Index i : range(1, x.extent(1))) {
                                      result = f({result, Value(x(c, i))}, out.dtype());
                                      out(c, i) = result;
                                  }
                              }
                          })),
      running_columns_(loops(source, ".accumulate",
                             [f = Step(source)](In x, InOut out) {
                                 for (Index i : range(1, x.extent(1)))
                                     for (Index c : prange(x.extent(0)))
                                         out(c, i) =
                                             f({Value(out(c, i - 1)), Value(x(c, i))}, out.dtype());
                             })),
      segments_(loops(source, ".reduceat",
                      [f = Step(source)](In x, In first, In last, Out out) {
                          for (Index c : prange(x.extent(0)))
                              for (Index s : range(first.extent(0))) {
                                  Var result = cast(out.dtype(), x(c, first(s)));
                                  for (Index i : range(first(s) + 1, last(s)))
                                      result = f({result, Value(x(c, i))}, out.dtype());
                                  out(c, s) = result;
                              }
                      })),
      scatter_elements_(loops(source, ".at",
                              [f = Step(source)](InOut target, In index, In values) {
                                  for (Index n : range(index.extent(0))) {
                                      const Value at = index(n);
                                      target(at) =
                                          f({Value(target(at)), Value(values(n))}, target.dtype());
                                  }
                              })),
      scatter_(loops(source, ".at",
                     [f = Step(source)](InOut target, In index, In values) {
                         for (Index n : range(index.extent(0))) {
                             const Value at = index(n);
                             for (Index r : range(target.extent(1)))
                                 target(at, r) =
                                     f({Value(target(at, r)), Value(values(n, r))}, target.dtype());
                         }
                     })),
      scatter_alone_(loops(source, ".at", [f = Step(source)](InOut target, In index) {
          for (Index n : range(index.extent(0))) {
              const Value at = index(n);
              for (Index r : range(target.extent(1)))
                  target(at, r) = f({Value(target(at, r))}, target.dtype());
          }
      })) {}

void InOrder::reduce(const Array& x, const Array* mask, const Array& out, unsigned bits,
                     bool skip_first, Location where) const {
    int axis = x.rank();
    while (axis-- > 0 && (bits >> axis & 1U) == 0) {
    }
    const int other = other_axis(x, bits);
    const bool columns =
        other >= 0 && x.extent(other) > 1 && reach(x.stride(other)) < reach(x.stride(axis));
    for_planes(x.shape(), axis, other, [&](const Shape& place) {
        bool first = skip_first;
        for (int d = 0; d < x.rank(); ++d)
            first = first && ((bits >> d & 1U) == 0 || place[d] == 0);
        const std::int64_t from = first ? 1 : 0, count = x.extent(axis) - from;
        const Array part = plane(x, place, axis, other, from, count, where);
        const Array to = plane(out, place, axis, other, 0, 1, where);
        if (mask == nullptr) {
            (columns ? columns_ : rows_)(part, to);
        } else {
            (columns ? masked_columns_ : masked_rows_)(
                part, plane(*mask, place, axis, other, from, count, where), to);
        }
    });
}

void InOrder::accumulate(const Array& x, const Array& out, int axis, Location where) const {
    const int other = other_axis(x, 1U << axis);
    const bool columns =
        other >= 0 && x.extent(other) > 1 && reach(x.stride(other)) < reach(x.stride(axis));
    for_planes(x.shape(), axis, other, [&](const Shape& place) {
        (columns ? running_columns_ : running_rows_)(
            plane(x, place, axis, other, 0, x.extent(axis), where),
            plane(out, place, axis, other, 0, x.extent(axis), where));
    });
}

void InOrder::segments(const Array& x, const Array& first, const Array& last, const Array& out,
                       int axis, Location where) const {
    const int other = other_axis(x, 1U << axis);
    for_planes(x.shape(), axis, other, [&](const Shape& place) {
        segments_(plane(x, place, axis, other, 0, x.extent(axis), where), first, last,
                  plane(out, place, axis, other, 0, out.extent(axis), where));
    });
}

void InOrder::scatter(const Array& target, const Array& index, const Array& values) const {
    if (target.extent(1) == 1) {
        scatter_elements_(target.index(1, 0), index, values.index(1, 0));
    } else {
        scatter_(target, index, values);
    }
}
void InOrder::scatter(const Array& target, const Array& index) const {
    scatter_alone_(target, index);
}

}  // namespace kiln::detail
