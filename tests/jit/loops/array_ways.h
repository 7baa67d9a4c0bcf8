// Two ways to compute what random programs of whole-array statements do: into a kernel that is
// traced, and at once, one operation after the other. For jit/array_random_test.
#pragma once
#include <kiln/kiln.h>

#include <optional>
#include <stdexcept>
#include <vector>

namespace kiln::test {

/// What a program takes of one dimension of an array.
struct Part {
    enum class Kind : std::uint8_t { all, index, range } kind = Kind::all;
    std::int64_t index = 0;
    std::optional<std::int64_t> start = {}, stop = {};
    std::int64_t step = 1;
};
using Parts = std::vector<Part>;

/// Whether elements of a loop are taken by the loop's index or from the end.
enum class Way : std::uint8_t { forwards, backwards };

// ---------------------------------------------------------------------- the two ways to compute

/// Into the kernel that is traced.
struct Traced {
    using Val = Value;
    using Arr = InOut;
    /// The indices of the loop around; in `At`, the elements that an iteration takes.
    struct Loop {
        std::vector<Value> index, extent;
    };

    static DType dtype(const Val& v) { return v.dtype(); }
    // Strong ones, as arrays of rank 0 are.
    static Val constant(double v) { return {Scalar::of(v)}; }
    static Val constant(std::int64_t v) { return {Scalar::of(v)}; }
    static Val whole(const Arr& a) { return a; }
    static ArraySlice slice(const Arr& a, const Parts& parts) {
        std::vector<SliceArg> args;
        for (const Part& p : parts) {
            const auto bound = [](const std::optional<std::int64_t>& b) {
                return b ? SliceBound(*b) : SliceBound();
            };
            if (p.kind == Part::Kind::all)
                args.emplace_back();
            else if (p.kind == Part::Kind::index)
                args.emplace_back(p.index);
            else
                args.emplace_back(bound(p.start), bound(p.stop), p.step);
        }
        args.resize(3);
        if (parts.size() == 1) return a.slice(args[0]);
        if (parts.size() == 2) return a.slice(args[0], args[1]);
        return a.slice(args[0], args[1], args[2]);
    }
    static Val part(const Arr& a, const Parts& parts) { return slice(a, parts); }
    static void assign(const Arr& a, const Val& v) { a = v; }
    static void assign(const Arr& a, const Parts& parts, const Val& v) { slice(a, parts) = v; }
    static void add_to(const Arr& a, const Val& v) { a += v; }
    static void add_to(const Arr& a, const Parts& parts, const Val& v) { slice(a, parts) += v; }
    static Arr scratch(const Val& v) { return Arr(Scratch(v)); }

    static Val add(const Val& a, const Val& b) { return a + b; }
    static Val sub(const Val& a, const Val& b) { return a - b; }
    static Val mul(const Val& a, const Val& b) { return a * b; }
    static Val div(const Val& a, const Val& b) { return a / b; }
    static Val least(const Val& a, const Val& b) { return min(a, b); }
    static Val most(const Val& a, const Val& b) { return max(a, b); }
    static Val less(const Val& a, const Val& b) { return a < b; }
    static Val pick(const Val& c, const Val& a, const Val& b) { return select(c, a, b); }
    static Val magnitude(const Val& a) { return abs(a); }
    static Val negative(const Val& a) { return -a; }
    static Val root(const Val& a) { return sqrt(abs(a)); }
    static Val whole_number(const Val& a) { return rint(a); }
    static Val exponential(const Val& a) { return exp(a / (abs(a) + 1.0)); }
    static Val convert(DType t, const Val& a) { return cast(t, a); }
    static Val transposed(const Val& a) { return transpose(a); }
    static Val with_axis(const Val& a, int axis) { return new_axis(a, axis); }
    static Val fold(Reduce r, const Val& a, std::optional<std::vector<int>> axes, bool keepdims) {
        FoldOptions o{.keepdims = keepdims};
        if (axes && axes->size() == 1) o.axis = (*axes)[0];
        if (axes && axes->size() == 2) o.axis = {(*axes)[0], (*axes)[1]};
        switch (r) {
            case Reduce::sum: return sum(a, o);
            case Reduce::product: return prod(a, o);
            case Reduce::min: return min(a, o);
            case Reduce::max: return max(a, o);
            case Reduce::all: return all(a, o);
            case Reduce::any: return any(a, o);
            case Reduce::all_bits:
            case Reduce::any_bit:
            case Reduce::parity: break;
        }
        throw std::logic_error("not drawn");
    }
    static Val average(const Val& a, int axis) { return mean(a, {.axis = axis}); }
    static Val product(const Val& a, const Val& b) { return dot(a, b); }

    template <class F> static void repeat(int count, F body) {
        for (Index i : range(count)) body(Value(i));
    }
    template <class F> static void when(const Val& condition, F body) {
        if_(condition, [&] { body(); });
    }

    /// A parallel loop over one or two dimensions (the second one serial).
    template <class F>
    static void loop(const std::vector<std::int64_t>&, const Arr& like, std::size_t rank,
                     PrangeOptions options, F body) {
        for (Index i : prange(like.extent(0), options)) {
            if (rank == 1) {
                body(Loop{{Value(i)}, {like.extent(0)}});
            } else {
                for (Index j : range(like.extent(1)))
                    body(Loop{{Value(i), Value(j)}, {like.extent(0), like.extent(1)}});
            }
        }
    }
    static Value subscript(const Loop& l, std::size_t d, Way way) {
        return way == Way::forwards ? l.index[d] : l.extent[d] - 1 - l.index[d];
    }
    static ElementRef at(const Loop& l, const Arr& a, const std::vector<Way>& ways) {
        if (ways.size() == 1) return a(subscript(l, 0, ways[0]));
        return a(subscript(l, 0, ways[0]), subscript(l, 1, ways[1]));
    }
    static Val element(const Loop& l, const Arr& a, const std::vector<Way>& ways) {
        return at(l, a, ways);
    }
    static void store(const Loop& l, const Arr& a, const Val& v,
                      const std::optional<Val>& condition) {
        const std::vector<Way> ways(l.index.size(), Way::forwards);
        if (condition)
            if_(*condition, [&] { at(l, a, ways) = v; });
        else
            at(l, a, ways) = v;
    }

    struct Total {
        Var v;
        Total(DType t, const Val& start) : v(t, cast(t, start)) {}
        void accumulate(const Loop&, Reduce r, const Val& x) {
            if (r == Reduce::sum)
                v += x;
            else
                reduce(v, r, x);
        }
        Val get() const { return v; }
    };
};

/// One operation after the other, each on whole arrays.
struct Eager {
    using Val = Array;
    using Arr = Array;
    struct Loop {};

    template <class F> static Array call(const char* name, F f, const Array& a) {
        static const Ufunc u = vectorize(name, f);
        return u(a);
    }
    template <class F> static Array call(const char* name, F f, const Array& a, const Array& b) {
        static const Ufunc u = vectorize(name, f);
        return u(a, b);
    }

    static DType dtype(const Val& v) { return v.dtype(); }
    static Val constant(double v) { return Array::of(Scalar::of(v)); }
    static Val constant(std::int64_t v) { return Array::of(Scalar::of(v)); }
    static Val whole(const Arr& a) { return a.copy(); }
    static Array slice(Array a, const Parts& parts) {
        int d = 0;
        for (const Part& p : parts) {
            if (p.kind == Part::Kind::index) {
                a = a.index(d, p.index);
                continue;
            }
            if (p.kind == Part::Kind::range) a = a.slice(d, {p.start, p.stop, p.step});
            ++d;
        }
        return a;
    }
    static Val part(const Arr& a, const Parts& parts) { return slice(a, parts).copy(); }
    static void assign(const Arr& a, const Val& v) { a.assign(v, Casting::same_kind); }
    static void assign(const Arr& a, const Parts& parts, const Val& v) {
        assign(slice(a, parts), v);
    }
    static void add_to(const Arr& a, const Val& v) { assign(a, add(a.copy(), v)); }
    static void add_to(const Arr& a, const Parts& parts, const Val& v) {
        add_to(slice(a, parts), v);
    }
    static Arr scratch(const Val& v) { return v.copy(); }

    static Val add(const Val& a, const Val& b) {
        return call("add", [](Value x, Value y) { return x + y; }, a, b);
    }
    static Val sub(const Val& a, const Val& b) {
        return call("sub", [](Value x, Value y) { return x - y; }, a, b);
    }
    static Val mul(const Val& a, const Val& b) {
        return call("mul", [](Value x, Value y) { return x * y; }, a, b);
    }
    static Val div(const Val& a, const Val& b) {
        return call("div", [](Value x, Value y) { return x / y; }, a, b);
    }
    static Val least(const Val& a, const Val& b) {
        return call("least", [](Value x, Value y) { return min(x, y); }, a, b);
    }
    static Val most(const Val& a, const Val& b) {
        return call("most", [](Value x, Value y) { return max(x, y); }, a, b);
    }
    static Val less(const Val& a, const Val& b) {
        return call("less", [](Value x, Value y) { return x < y; }, a, b);
    }
    static Val pick(const Val& c, const Val& a, const Val& b) {
        static const Ufunc u =
            vectorize("pick", [](Value x, Value y, Value z) { return select(x, y, z); });
        return u(c, a, b);
    }
    static Val magnitude(const Val& a) {
        return call("magnitude", [](Value x) { return abs(x); }, a);
    }
    static Val negative(const Val& a) {
        return call("negative", [](Value x) { return -x; }, a);
    }
    static Val root(const Val& a) {
        return call("root", [](Value x) { return sqrt(abs(x)); }, a);
    }
    static Val whole_number(const Val& a) {
        return call("rint", [](Value x) { return rint(x); }, a);
    }
    static Val exponential(const Val& a) {
        return call("exp", [](Value x) { return exp(x / (abs(x) + 1.0)); }, a);
    }
    static Val convert(DType t, const Val& a) { return a.astype(t); }
    static Val transposed(const Val& a) { return a.transpose(); }
    static Val with_axis(const Val& a, int axis) { return a.expand_dims(axis); }
    static Val fold(Reduce r, const Val& a, std::optional<std::vector<int>> axes, bool keepdims) {
        ReduceOptions o{.keepdims = keepdims};
        if (axes && axes->size() == 1) o.axis = (*axes)[0];
        if (axes && axes->size() == 2) o.axis = {(*axes)[0], (*axes)[1]};
        switch (r) {
            case Reduce::sum: return sum(a, o);
            case Reduce::product: return prod(a, o);
            case Reduce::min: return amin(a, o);
            case Reduce::max: return amax(a, o);
            case Reduce::all: return all(a, o);
            case Reduce::any: return any(a, o);
            case Reduce::all_bits:
            case Reduce::any_bit:
            case Reduce::parity: break;
        }
        throw std::logic_error("not drawn");
    }
    static Val average(const Val& a, int axis) {
        const Array x = is_real(a.dtype()) ? a : a.astype(f64);
        const std::int64_t n = x.extent(axis < 0 ? axis + x.rank() : axis);
        return div(sum(x, {.axis = axis}),
                   Array::of(Scalar::of(static_cast<double>(n)).cast(x.dtype())));
    }
    static Val product(const Val& a, const Val& b) {
        const bool wide = b.rank() == 2;
        const Array p = mul(wide ? a.expand_dims(-1) : a, b);
        return sum(p, {.axis = wide ? -2 : -1, .dtype = p.dtype()});
    }

    template <class F> static void repeat(int count, F body) {
        for (int i = 0; i < count; ++i) body(constant(std::int64_t(i)));
    }
    template <class F> static void when(const Val& condition, F body) {
        if (condition.item().cast(DType::bool_).get<bool>()) body();
    }
    template <class F>
    static void loop(const std::vector<std::int64_t>&, const Arr&, std::size_t, PrangeOptions,
                     F body) {
        body(Loop{});
    }
    static Val element(const Loop&, Array a, const std::vector<Way>& ways) {
        for (std::size_t d = 0; d < ways.size(); ++d)
            if (ways[d] == Way::backwards) a = a.flip(static_cast<int>(d));
        return a.copy();
    }
    static void store(const Loop&, const Arr& a, const Val& v,
                      const std::optional<Val>& condition) {
        assign(a, condition ? pick(*condition, v, a.copy()) : v);
    }
    struct Total {
        Array v;
        Total(DType t, const Val& start) : v(start.astype(t)) {}
        void accumulate(const Loop&, Reduce r, const Val& x) {
            const Array part = fold(r, x, {}, false);
            v = (r == Reduce::sum   ? add(v, part)
                 : r == Reduce::min ? least(v, part)
                                    : most(v, part))
                    .astype(v.dtype());
        }
        Val get() const { return v; }
    };
};

}  // namespace kiln::test
