// Random programs of whole-array statements and parallel loops, fused and not, serial and on
// several threads, in checked mode, and against one operation after the other on whole arrays.
//
// A program is written twice from one seed by `Program`: into a kernel while it is traced, and on
// arrays at once. Sums and products of floats take small whole numbers, so that they are exact in
// any order and all results must be equal; in some programs they take anything, and then only the
// forms of one kernel are compared, bit for bit.
#include "tests/dice.h"
#include "tests/jit/loops/array_ways.h"
#include "tests/jit/support.h"
#include "tests/threads.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include <fmt/format.h>

using namespace kiln;
using namespace kiln::test;

namespace {

// ---------------------------------------------------------------------------------- the programs

/// An extent; `repeats`: it is 1 and known to be when the kernel is compiled.
struct Dim {
    std::int64_t n;
    bool repeats = false;
};
using Dims = std::vector<Dim>;

constexpr std::size_t result_count = 8;

/// What decides about a program besides its dice.
struct Setting {
    std::uint64_t seed = 0;
    bool exact = true;     // sums of floats are exact
    bool overlap = false;  // arguments overlap: no parallel loops
};

template <class B> class Program {
  public:
    using Val = typename B::Val;
    using Arr = typename B::Arr;
    struct Item {
        Val v;
        Dims dims;
        DType dtype;
    };
    struct Held {
        Arr a;
        Dims dims;
        DType dtype;
        bool writable;
    };

    Program(const Setting& setting, std::vector<Held> arrays, Val k)
        : setting_(setting), dice_(setting.seed), arrays_(std::move(arrays)) {
        items_.push_back({k, {}, B::dtype(k)});
        sizes_.clear();
        for (const Held& h : arrays_)
            for (const Dim& d : h.dims) sizes_.push_back(d.n);
    }

    /// Scalars that the program has computed, for the caller to store.
    std::vector<Val> run() {
        const int count = dice_.between(3, 8);
        for (int s = 0; s < count; ++s) statement(0);
        std::vector<Val> scalars;
        for (const Item& item : items_)
            if (item.dims.empty() && scalars.size() < result_count)
                scalars.push_back(B::convert(f64, item.v));
        return scalars;
    }

  private:
    /// Statements in a block whose values end with it, from dice of their own, so that the block
    /// may run any number of times.
    void block(std::uint64_t seed, int depth, std::optional<Item> item) {
        const Dice dice = dice_;
        const auto items = items_;
        const auto arrays = arrays_;
        dice_ = Dice(seed);
        if (item) items_.push_back(*item);
        const int count = dice_.between(1, 3);
        for (int s = 0; s < count; ++s) statement(depth);
        items_.clear();
        for (const Item& i : items) items_.push_back(i);
        arrays_.clear();
        for (const Held& h : arrays) arrays_.push_back(h);
        dice_ = dice;
    }

    void statement(int depth) {
        const std::size_t kind = dice_.below(20);
        if (kind < 3 && !setting_.overlap) return parallel_loop(depth);
        if (kind == 3 && depth == 0) {
            const std::uint64_t seed = dice_.bits();
            B::repeat(dice_.between(1, 3),
                      [&](const Val& i) { block(seed, 1, Item{i, {}, DType::i64}); });
            return;
        }
        if (kind == 4 && depth < 2) {
            const std::uint64_t seed = dice_.bits();
            const Item c = less(scalar(), scalar());
            B::when(c.v, [&] { block(seed, 2, std::nullopt); });
            return;
        }
        if (kind < 8) {  // a scalar
            const Held& h = arrays_[dice_.below(arrays_.size())];
            for (int s = dice_.between(1, 3); s > 0; --s)
                items_.push_back(fold_all(expression(h.dims, 2)));
            return;
        }
        if (kind < 10) {  // a value that later statements use
            const Held& h = arrays_[dice_.below(arrays_.size())];
            items_.push_back(expression(h.dims, 2));
            return;
        }
        if (kind < 12 && depth == 0) {  // a new array
            const Held& h = arrays_[dice_.below(arrays_.size())];
            const Item item = bounded(expression(h.dims, 2));
            if (item.dims.empty()) return;
            // Extents that are known to be 1 are so for what the array is made of, not for it.
            Dims dims = item.dims;
            for (Dim& d : dims) d.repeats = false;
            arrays_.push_back({B::scratch(item.v), dims, item.dtype, true});
            return;
        }
        const Held h = target();
        if (dice_.chance(55)) {
            const Item v = converted(h.dtype, bounded(expression(h.dims, 3)));
            if (dice_.chance(30))
                B::add_to(h.a, v.v);
            else
                B::assign(h.a, v.v);
            return;
        }
        Dims dims;
        const Parts parts = any_parts(h, dims);
        const Item v = converted(h.dtype, bounded(expression(dims, 3)));
        if (dice_.chance(30))
            B::add_to(h.a, parts, v.v);
        else
            B::assign(h.a, parts, v.v);
    }

    const Held& target() {
        for (;;)
            if (const Held& h = arrays_[dice_.below(arrays_.size())]; h.writable) return h;
    }

    // --- slices ---

    /// One dimension, and how much that is.
    Part any_part(std::int64_t extent, std::int64_t& count) {
        Part p{.kind = Part::Kind::range};
        p.step = std::array{1, 1, 1, 2, 3, -1, -1, -2}[dice_.below(8)];
        const auto bound = [&]() -> std::optional<std::int64_t> {
            if (dice_.chance(35)) return std::nullopt;
            return dice_.between(-static_cast<int>(std::min<std::int64_t>(extent, 4)) - 1,
                                 static_cast<int>(std::min<std::int64_t>(extent, 5)) + 1);
        };
        p.start = bound();
        p.stop = bound();
        count = zeros({extent}, DType::i8).slice(0, {p.start, p.stop, p.step}).extent(0);
        return p;
    }
    Parts any_parts(const Held& h, Dims& dims) {
        Parts parts;
        for (const Dim& d : h.dims) {
            if (d.n > 0 && dice_.chance(15)) {
                parts.push_back(index_of(d.n));
            } else if (dice_.chance(25)) {
                parts.emplace_back();
                dims.push_back({d.n});
            } else {
                std::int64_t count = 0;
                parts.push_back(any_part(d.n, count));
                dims.push_back({count});
            }
        }
        return parts;
    }
    Part index_of(std::int64_t n) {
        return {.kind = Part::Kind::index,
                .index = dice_.between(-static_cast<int>(n), static_cast<int>(n) - 1)};
    }
    /// A part of `extent` elements that has `count`; none if that is not to be had.
    std::optional<Part> part_of(std::int64_t extent, std::int64_t count) {
        if (count > extent) return std::nullopt;
        if (count == extent && dice_.chance(60))
            return dice_.chance(60) ? Part{} : Part{.kind = Part::Kind::range, .step = -1};
        for (int tries = 0; tries < 12; ++tries) {
            std::int64_t got = 0;
            const Part p = any_part(extent, got);
            if (got == count) return p;
        }
        Part p{.kind = Part::Kind::range};
        const std::int64_t first = dice_.between(0, static_cast<int>(extent - count));
        p.start = first;
        p.stop = first + count;
        // Counted from the end.
        if (dice_.chance(30) && *p.stop < extent) p.stop = *p.stop - extent;
        return p;
    }

    // --- expressions ---

    static bool fits(const Dims& dims, const Dims& wanted) {
        if (dims.size() > wanted.size()) return false;
        const std::size_t skipped = wanted.size() - dims.size();
        for (std::size_t d = 0; d < dims.size(); ++d)
            if (dims[d].n != wanted[skipped + d].n && !dims[d].repeats) return false;
        return true;
    }
    static Dims meet(const Dims& a, const Dims& b) {
        Dims result = a.size() >= b.size() ? a : b;
        const Dims& other = a.size() >= b.size() ? b : a;
        const std::size_t skipped = result.size() - other.size();
        for (std::size_t d = 0; d < other.size(); ++d)
            if (result[skipped + d].repeats) result[skipped + d] = other[d];
        return result;
    }

    Item scalar() {
        std::vector<Item> found;
        for (const Item& item : items_)
            if (item.dims.empty()) found.push_back(item);
        if (found.empty() || dice_.chance(25)) {
            static constexpr DType types[] = {f64, f32, i32, i64};
            const double v = static_cast<double>(dice_.between(-6, 6)) / 4;
            return converted(types[dice_.below(4)], made(B::constant(v), {}));
        }
        return found[dice_.below(found.size())];
    }

    /// A value that broadcasts to `wanted`.
    Item leaf(const Dims& wanted) {
        if (dice_.chance(12)) return scalar();
        if (dice_.chance(25)) {
            std::vector<Item> found;
            for (const Item& item : items_)
                if (!item.dims.empty() && item.dtype != DType::bool_ && fits(item.dims, wanted))
                    found.push_back(item);
            if (!found.empty()) return found[dice_.below(found.size())];
        }
        for (int tries = 0; tries < 6; ++tries) {
            const Held& h = arrays_[dice_.below(arrays_.size())];
            if (fits(h.dims, wanted) && dice_.chance(60)) return {B::whole(h.a), h.dims, h.dtype};
            if (auto part = matching(h, wanted)) return *part;
        }
        return scalar();
    }
    std::optional<Item> matching(const Held& h, const Dims& wanted) {
        if (h.dims.empty() || wanted.empty()) return std::nullopt;
        const std::size_t rank =
            std::min({h.dims.size(), wanted.size(), std::size_t(1) + dice_.below(wanted.size())});
        std::size_t dropped = h.dims.size() - rank;
        Parts parts;
        Dims dims;
        for (std::size_t d = 0; d < h.dims.size(); ++d) {
            const std::size_t left = h.dims.size() - d;
            if (dropped > 0 && h.dims[d].n > 0 && (left == dropped || dice_.chance(50))) {
                parts.push_back(index_of(h.dims[d].n));
                --dropped;
                continue;
            }
            if (dims.size() == rank) return std::nullopt;
            const std::int64_t n = wanted[wanted.size() - rank + dims.size()].n;
            const auto p = part_of(h.dims[d].n, n);
            if (!p) return std::nullopt;
            parts.push_back(*p);
            dims.push_back({n});
        }
        if (dims.size() != rank) return std::nullopt;
        return Item{B::part(h.a, parts), dims, h.dtype};
    }

    static Item made(Val v, Dims dims) {
        const DType t = B::dtype(v);
        return {std::move(v), std::move(dims), t};
    }
    Item less(const Item& a, const Item& b) {
        return made(B::less(a.v, b.v), meet(a.dims, b.dims));
    }
    Item converted(DType t, const Item& a) {
        return a.dtype == t ? a : made(B::convert(t, a.v), a.dims);
    }
    /// Small whole numbers, of which sums are exact.
    Item small(const Item& a, double most) {
        if (!setting_.exact) return a;
        const auto limit = [&](double v) { return B::convert(a.dtype, B::constant(v)); };
        const Val whole = is_real(a.dtype) ? B::whole_number(a.v) : a.v;
        return made(B::most(B::least(whole, limit(most)), limit(-most)), a.dims);
    }
    static bool is_empty(const Dims& dims) {
        for (const Dim& d : dims)
            if (d.n == 0) return true;
        return false;
    }

    Item fold_all(const Item& a) {
        static constexpr Reduce all[] = {Reduce::sum, Reduce::sum,     Reduce::min,
                                         Reduce::max, Reduce::product, Reduce::any};
        Reduce r = all[dice_.below(6)];
        if (is_empty(a.dims) && (r == Reduce::min || r == Reduce::max)) r = Reduce::sum;
        return fold(r, a, {}, false, {});
    }
    Item fold(Reduce r, const Item& a, std::optional<std::vector<int>> axes, bool keepdims,
              Dims dims) {
        const Item x = r == Reduce::sum       ? bounded(small(a, 50))
                       : r == Reduce::product ? small(a, 1)
                       : r == Reduce::min || r == Reduce::max
                           ? a
                           : less(a, {B::constant(0.25), {}, f64});
        return no_bool(x.dims.empty() ? x : made(B::fold(r, x.v, axes, keepdims), std::move(dims)));
    }
    Item no_bool(const Item& x) { return x.dtype == DType::bool_ ? converted(DType::i32, x) : x; }

    Item expression(const Dims& wanted, int depth) {
        if (depth == 0) return leaf(wanted);
        switch (dice_.below(17)) {
            case 0: return binary(B::add, wanted, depth);
            case 1: return binary(B::sub, wanted, depth);
            case 2: return binary(B::mul, wanted, depth);
            case 3: return divided(wanted, depth);
            case 4: return binary(B::least, wanted, depth);
            case 5: return binary(B::most, wanted, depth);
            case 6:
            case 7: {
                const Item a = expression(wanted, depth - 1), b = expression(wanted, depth - 1);
                const Item x = expression(wanted, depth - 1), y = leaf(wanted);
                const Item c = less(a, b);
                return made(B::pick(c.v, x.v, y.v), meet(meet(c.dims, x.dims), y.dims));
            }
            case 8:
                if (!setting_.exact && dice_.chance(50))
                    return unary(B::exponential, wanted, depth);
                return unary(B::magnitude, wanted, depth);
            case 9: return unary(B::negative, wanted, depth);
            case 10: return unary(B::root, wanted, depth);
            case 11: {
                static constexpr DType types[] = {f64, f32, i32, i64};
                return converted(types[dice_.below(4)], expression(wanted, depth - 1));
            }
            case 12: return reduced(wanted, depth);
            case 13: return transposed(wanted, depth);
            case 14: return outer(wanted, depth);
            case 15: return multiplied(wanted, depth);
            default: return leaf(wanted);
        }
    }
    Item divided(const Dims& wanted, int depth) {
        if (setting_.exact) return binary(B::div, wanted, depth);
        // Infinities and NaN would hide how sums round.
        const Item a = expression(wanted, depth - 1), b = expression(wanted, depth - 1);
        return bounded(
            made(B::div(a.v, B::add(B::magnitude(b.v), B::constant(1.5))), meet(a.dims, b.dims)));
    }
    Item bounded(const Item& a) {
        if (setting_.exact || !is_real(a.dtype)) return a;
        const auto limit = [&](double v) { return B::convert(a.dtype, B::constant(v)); };
        return made(B::div(a.v, B::add(B::mul(B::magnitude(a.v), limit(1e-3)), limit(1))), a.dims);
    }
    template <class F> Item binary(F f, const Dims& wanted, int depth) {
        const Item a = expression(wanted, depth - 1), b = expression(wanted, depth - 1);
        return made(f(a.v, b.v), meet(a.dims, b.dims));
    }
    template <class F> Item unary(F f, const Dims& wanted, int depth) {
        const Item a = expression(wanted, depth - 1);
        return made(f(a.v), a.dims);
    }

    /// A reduction over one axis more, or over one of the wanted ones that stays as a 1.
    Item reduced(const Dims& wanted, int depth) {
        static constexpr Reduce all[] = {Reduce::sum, Reduce::sum, Reduce::max,
                                         Reduce::min, Reduce::any, Reduce::all};
        Reduce r = all[dice_.below(6)];
        Dims from = wanted;
        const bool keepdims = !wanted.empty() && dice_.chance(30);
        std::size_t axis = 0;
        if (keepdims) {
            axis = dice_.below(wanted.size());
        } else {
            if (wanted.size() >= 3) return leaf(wanted);
            axis = dice_.below(wanted.size() + 1);
            from.insert(from.begin() + static_cast<std::ptrdiff_t>(axis), {any_size()});
        }
        const Item a = expression(from, depth - 1);
        // Of a value of lower rank, or with axes of 1, it would be another axis.
        if (a.dims.size() != from.size() || a.dtype == DType::bool_) return leaf(wanted);
        if (is_empty(a.dims) && (r == Reduce::min || r == Reduce::max)) r = Reduce::sum;
        Dims dims = a.dims;
        if (keepdims)
            dims[axis] = {1, true};
        else
            dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(axis));
        const int named = static_cast<int>(axis);
        if (r == Reduce::sum && dice_.chance(25) && !keepdims && a.dims[axis].n > 0)
            return made(B::average(small(a, 50).v, named), dims);
        return fold(r, a, std::vector{dice_.chance(30) ? named - int(from.size()) : named},
                    keepdims, dims);
    }
    std::int64_t any_size() { return sizes_[dice_.below(sizes_.size())]; }

    Item transposed(const Dims& wanted, int depth) {
        const Dims from(wanted.rbegin(), wanted.rend());
        const Item a = expression(from, depth - 1);
        if (a.dims.size() != wanted.size()) return leaf(wanted);
        return made(B::transposed(a.v), Dims(a.dims.rbegin(), a.dims.rend()));
    }
    /// A row and a column.
    Item outer(const Dims& wanted, int depth) {
        if (wanted.size() < 2) return leaf(wanted);
        const Dims column(wanted.begin(), wanted.end() - 1);
        const Item a = expression(column, depth - 1);
        if (a.dims.empty()) return a;
        Dims dims = a.dims;
        dims.push_back({1, true});
        return made(B::with_axis(a.v, static_cast<int>(a.dims.size())), dims);
    }
    Item multiplied(const Dims& wanted, int depth) {
        if (wanted.empty() || wanted.size() > 2) return leaf(wanted);
        const std::int64_t n = any_size();
        const Dims left = wanted.size() == 2 || dice_.chance(50) ? Dims{wanted[0], {n}} : Dims{{n}};
        const Dims right = wanted.size() == 2 ? Dims{{n}, wanted[1]}
                           : left.size() == 2 ? Dims{{n}}
                                              : Dims{{n}, wanted[0]};
        const Item a = small(expression(left, depth - 1), 10),
                   b = small(expression(right, depth - 1), 10);
        const auto same = [](const Dims& x, const Dims& y) {
            if (x.size() != y.size()) return false;
            for (std::size_t d = 0; d < x.size(); ++d)
                if (x[d].n != y[d].n) return false;
            return true;
        };
        if (!same(a.dims, left) || !same(b.dims, right)) return leaf(wanted);
        Dims dims = wanted;
        for (Dim& d : dims) d.repeats = false;
        return made(B::product(a.v, b.v), dims);
    }

    // --- parallel loops ---

    /// A loop over the elements of arrays of one shape, which it stores to; it reads those only
    /// where it stores, and others anywhere.
    void parallel_loop(int) {
        std::vector<std::size_t> shaped;  // arrays of the shape
        const Held like = target();
        const std::size_t rank = like.dims.size();
        if (rank > 2) return;
        for (std::size_t i = 0; i < arrays_.size(); ++i) {
            bool same = arrays_[i].dims.size() == rank;
            for (std::size_t d = 0; same && d < rank; ++d)
                same = arrays_[i].dims[d].n == like.dims[d].n;
            if (same) shaped.push_back(i);
        }
        std::vector<bool> written(arrays_.size(), false);
        std::vector<std::size_t> targets;
        for (const std::size_t i : shaped)
            if (arrays_[i].writable && dice_.chance(60)) {
                written[i] = true;
                targets.push_back(i);
            }
        const bool sums = dice_.chance(40), extremes = dice_.chance(40) && !is_empty(like.dims);
        const DType sum_type = setting_.exact ? i64 : std::array{i64, f64, f32}[dice_.below(3)];
        typename B::Total total(sum_type, B::constant(std::int64_t(3)));
        typename B::Total most(f64, B::constant(-1.0));
        PrangeOptions options;
        if (dice_.chance(25))
            options = {.schedule = static_cast<Schedule>(dice_.below(4)),
                       .chunk = static_cast<std::int64_t>(dice_.below(3) * 40)};
        const std::uint64_t seed = dice_.bits();
        const Dice dice = dice_;
        B::loop({}, like.a, rank, options, [&](const typename B::Loop& l) {
            dice_ = Dice(seed);
            std::vector<Item> pool;
            const auto operand = [&]() -> Item {
                if (!pool.empty() && dice_.chance(35)) return pool[dice_.below(pool.size())];
                if (dice_.chance(15)) return scalar();
                const std::size_t i = shaped[dice_.below(shaped.size())];
                std::vector<Way> ways(rank, Way::forwards);
                for (Way& w : ways)
                    if (!written[i] && dice_.chance(30)) w = Way::backwards;
                // Of the arrays that are stored to, values are those of before, here too.
                return {B::element(l, arrays_[i].a, ways), like.dims, arrays_[i].dtype};
            };
            const int count = dice_.between(1, 4);
            for (int s = 0; s < count; ++s) pool.push_back(operation(operand));
            for (const std::size_t t : targets) {
                std::optional<Val> condition;
                if (dice_.chance(35)) condition.emplace(less(operand(), operand()).v);
                // A scalar condition or value is one for all elements.
                if (dice_.chance(85))
                    B::store(l, arrays_[t].a, converted(arrays_[t].dtype, operand()).v, condition);
            }
            // Every iteration adds: scalars are as many as elements.
            const Item zero = zero_element(l, shaped, like, rank);
            if (sums) {
                const Item v = add(operand(), zero);
                const bool rounds = is_real(v.dtype) && sum_type == i64;
                total.accumulate(l, Reduce::sum, converted(sum_type, rounds ? small(v, 50) : v).v);
            }
            if (extremes) most.accumulate(l, Reduce::max, converted(f64, add(operand(), zero)).v);
        });
        dice_ = dice;
        if (sums) items_.push_back(made(total.get(), {}));
        if (extremes) items_.push_back(made(most.get(), {}));
    }
    Item add(const Item& a, const Item& b) { return made(B::add(a.v, b.v), meet(a.dims, b.dims)); }
    /// i32 zeros of the loop's shape.
    Item zero_element(const typename B::Loop& l, const std::vector<std::size_t>& shaped,
                      const Held& like, std::size_t rank) {
        const Val x = B::convert(
            i32, B::element(l, arrays_[shaped[0]].a, std::vector<Way>(rank, Way::forwards)));
        return made(B::sub(x, x), like.dims);
    }
    template <class F> Item operation(F operand) {
        switch (dice_.below(9)) {
            case 0: return add(operand(), operand());
            case 1: {
                const Item a = operand(), b = operand();
                return made(B::sub(a.v, b.v), meet(a.dims, b.dims));
            }
            case 2:
            case 3: {
                const Item a = operand(), b = operand();
                return made(B::mul(a.v, b.v), meet(a.dims, b.dims));
            }
            case 4: {
                const Item a = operand(), b = operand();
                return made(B::most(a.v, b.v), meet(a.dims, b.dims));
            }
            case 5: {
                const Item c = less(operand(), operand()), x = operand(), y = operand();
                return made(B::pick(c.v, x.v, y.v), meet(meet(c.dims, x.dims), y.dims));
            }
            case 6: {
                const Item a = operand();
                return made(B::root(a.v), a.dims);
            }
            case 7: {
                const Item a = operand();
                if (setting_.exact) return made(B::magnitude(a.v), a.dims);
                return made(B::exponential(a.v), a.dims);
            }
            default: return converted(f32, operand());
        }
    }

    Setting setting_;
    Dice dice_;
    std::vector<Held> arrays_;
    std::vector<Item> items_;
    std::vector<std::int64_t> sizes_;
};

// ---------------------------------------------------------------------------------- one program

constexpr std::size_t array_count = 5, first_written = 2;

struct Arguments {
    std::vector<Array> arrays;
    double k;
    Array results;

    Arguments copy() const {
        Arguments c{{}, k, results.copy()};
        for (const Array& a : arrays) c.arrays.push_back(a.copy());
        return c;
    }
};

/// `exact`: of few digits. Else every order of a sum rounds differently.
Array random_array(Dice& dice, DType t, const Shape& shape, bool exact) {
    const Array x = empty(shape, DType::f64);
    for (double& v : x.span<double>()) {
        v = static_cast<double>(dice.between(-40, 40)) / 4;
        if (!exact && is_real(t)) v *= std::exp(static_cast<double>(dice.below(7919)) / 1000);
        if (dice.chance(2)) v = v * 1e7;
        if (is_real(t) && exact && dice.chance(1)) v = std::nan("");
        if (is_real(t) && dice.chance(1)) v = -0.0;
    }
    return x.astype(t);
}

/// Arrays 2 and 3 are one memory with an offset where the setting says so.
Arguments with_overlap(Arguments a) {
    const Shape& s = a.arrays[2].shape();
    Shape larger = s;
    ++larger[0];
    const Array both = zeros(larger, a.arrays[2].dtype());
    const Array first = both.slice(0, {0, s[0], 1}), second = both.slice(0, {1, {}, 1});
    second.assign(a.arrays[3]);
    first.assign(a.arrays[2]);
    a.arrays[2] = first;
    a.arrays[3] = second;
    return a;
}

template <class B, class A>
std::vector<typename Program<B>::Held> held(const Arguments& like, const std::vector<A>& arrays) {
    std::vector<typename Program<B>::Held> result;
    for (std::size_t i = 0; i < arrays.size(); ++i) {
        Dims dims;
        for (const std::int64_t e : like.arrays[i].shape()) dims.push_back({e, e == 1});
        result.push_back({arrays[i], dims, like.arrays[i].dtype(), i >= first_written});
    }
    return result;
}

auto kernel(const Setting& setting, const Arguments& like, const JitOptions& options) {
    return jit(
        "random",
        [=](InOut a, InOut b, InOut c, InOut d, InOut e, Value k, Out results) {
            Program<Traced> program(setting, held<Traced>(like, std::vector<InOut>{a, b, c, d, e}),
                                    k);
            const auto scalars = program.run();
            for (std::size_t i = 0; i < scalars.size(); ++i)
                results(static_cast<std::int64_t>(i)) = scalars[i];
        },
        options);
}

void eager(const Setting& setting, const Arguments& like, const Arguments& a) {
    Program<Eager> program(setting, held<Eager>(like, a.arrays), Array::of(Scalar::of(a.k)));
    const auto scalars = program.run();
    for (std::size_t i = 0; i < scalars.size(); ++i)
        a.results.at<double>({static_cast<std::int64_t>(i)}) = scalars[i].item<double>();
}

/// The first element that differs, as text. NaNs are equal; `bits`: the signs of zeros count.
std::string difference(const Array& a, const Array& b, bool bits) {
    const Array x = a.astype(a.dtype() == f32 ? f64 : a.dtype(), Casting::unsafe, Order::c),
                y = b.astype(x.dtype(), Casting::unsafe, Order::c);
    for (std::int64_t i = 0; i < x.size(); ++i) {
        const std::byte *p = x.data() + i * std::int64_t(x.item_size()),
                        *q = y.data() + i * std::int64_t(x.item_size());
        if (std::memcmp(p, q, x.item_size()) == 0) continue;
        if (x.dtype() == f64) {
            double u = 0, v = 0;
            std::memcpy(&u, p, sizeof u);
            std::memcpy(&v, q, sizeof v);
            if ((std::isnan(u) && std::isnan(v)) || (!bits && u == v)) continue;
        }
        return fmt::format("element {}: {} and {}", i, test::at(a, i), test::at(b, i));
    }
    return {};
}

void check_same(const Arguments& a, const Arguments& b, bool bits, const std::string& what) {
    for (std::size_t i = 0; i <= array_count; ++i) {
        const Array &x = i < array_count ? a.arrays[i] : a.results,
                    &y = i < array_count ? b.arrays[i] : b.results;
        const std::string found = difference(x, y, bits);
        INFO(what << ": array " << i << " of " << name(x.dtype()));
        REQUIRE(found == "");
    }
}

void check(std::uint64_t seed) {
    INFO("seed " << seed << ": KILN_RANDOM_PROGRAMS=" << seed << ":1");
    Dice dice(seed * 7919 + 5);
    const Setting setting{dice.bits(), dice.chance(60), dice.chance(12)};
    const bool large = dice.chance(25);
    const std::int64_t n = large ? 900 + 300 * dice.between(0, 5) : dice.between(0, 9),
                       m = dice.chance(15) ? 1 : dice.between(1, 7), l = dice.between(1, 4);
    const Shape shapes[] = {{n}, {n}, {n}, {m}, {n, m}, {n, m}, {m, n}, {l, m}, {l, n, m}, {m, m}};
    constexpr DType types[] = {DType::f64, DType::f64, DType::f32, DType::i32, DType::i64};
    Arguments a{{}, dice.between(-8, 8) / 4.0, zeros({std::int64_t(result_count)})};
    for (std::size_t i = 0; i < array_count; ++i) {
        DType t = types[dice.below(5)];
        Shape s = shapes[dice.below(std::size(shapes))];
        if (i == 3 && (setting.overlap || dice.chance(30))) {
            s = a.arrays[2].shape();
            t = a.arrays[2].dtype();
        }
        a.arrays.push_back(random_array(dice, t, s, setting.exact));
    }
    if (setting.overlap && a.arrays[2].size() == 0) return;
    const auto fresh = [&] { return setting.overlap ? with_overlap(a.copy()) : a.copy(); };
    const auto run = [&](const auto& f, int threads) {
        const Threads scope(threads);
        const Arguments now = fresh();
        const auto& x = now.arrays;
        f(x[0], x[1], x[2], x[3], x[4], now.k, now.results);
        return now;
    };
    const auto fused = kernel(setting, a, {.parallel = true});
    const auto plain = kernel(setting, a, {.parallel = true, .fuse = false});
    const Arguments first = run(plain, 1);
    check_same(first, run(plain, 3), true, "unfused, three threads");
    check_same(first, run(fused, 1), true, "fused");
    check_same(first, run(fused, 3), true, "fused, three threads");
    if (!setting.exact) return;
    const Arguments expected = fresh();
    eager(setting, a, expected);
    check_same(first, expected, false, "kernel and single operations");
    const auto checked = kernel(setting, a, {.checked = true});
    try {
        check_same(run(checked, 1), expected, false, "checked kernel and single operations");
    } catch (const Error& error) {
        // Which is 0 elsewhere.
        REQUIRE(error.message().starts_with("integer division by zero"));
    }
}

}  // namespace

TEST_CASE("random programs of whole-array statements: fused, unfused, one operation at a time",
          "[jit][arrays][random]") {
    // KILN_RANDOM_PROGRAMS=first:count runs others; a failure prints its seed.
    std::uint64_t first = 1, count = 40;
    if (const char* range = std::getenv("KILN_RANDOM_PROGRAMS"); range != nullptr)
        std::sscanf(range, "%lu:%lu", &first, &count);
    for (std::uint64_t seed = first; seed < first + count; ++seed) check(seed);
}
