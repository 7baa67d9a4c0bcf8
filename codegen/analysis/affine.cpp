#include "codegen/analysis/affine.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/walk.h"

#include <algorithm>

namespace kiln::codegen {

using namespace ir;

// ------------------------------------------------------------------------------ sums

Interval Interval::clamped() const {
    return {std::clamp(low, -infinite, infinite), std::clamp(high, -infinite, infinite)};
}

Interval Interval::scaled(Wide factor) const {
    if (factor == 0) return {0, 0};
    const auto times = [&](Wide bound) {
        if (bound >= infinite || bound <= -infinite)
            return (bound > 0) == (factor > 0) ? infinite : -infinite;
        // Coefficients and finite bounds stay below 2^64 each.
        return std::clamp(bound * factor, -infinite, infinite);
    };
    return factor > 0 ? Interval{times(low), times(high)} : Interval{times(high), times(low)};
}

Affine& Affine::add(const Affine& other, Wide factor) {
    constant += other.constant * factor;
    for (const auto& [atom, coefficient] : other.terms) {
        Wide& sum = terms[atom];
        sum += coefficient * factor;
        if (sum == 0) terms.erase(atom);
    }
    return *this;
}

Interval AffineForms::range(const Affine& form) const {
    Interval sum{form.constant, form.constant};
    for (const auto& [atom, coefficient] : form.terms)
        sum = sum + atoms_[atom].range.scaled(coefficient);
    return sum;
}

namespace {

Interval range_of(DType t) {
    if (!is_integer(t) || size_of(t) > 4) return {};
    const Wide count = Wide(1) << (8 * size_of(t));
    return is_unsigned(t) ? Interval{0, count - 1} : Interval{-count / 2, count / 2 - 1};
}

/// Sums beyond this are not worth the care that they would need.
constexpr Wide too_large = Wide(1) << 62;

bool small(const Affine& form) {
    const auto fits = [](Wide x) { return -too_large < x && x < too_large; };
    return fits(form.constant) &&
           std::ranges::all_of(form.terms, [&](const auto& term) { return fits(term.second); });
}

}  // namespace

// ------------------------------------------------------------------------------ the body

AffineForms::AffineForms(const Kernel& kernel, Id loop)
    : kernel_(kernel),
      loop_(loop),
      order_(kernel.nodes.size(), none),
      stored_(kernel.params.size(), false),
      own_(kernel.params.size(), false),
      written_(kernel.slots.size(), false) {
    atoms_.push_back({false, {}});
    walk(kernel, kernel.nodes[loop].aux, [&](Id id) {
        order_[id] = static_cast<std::uint32_t>(body_.size());
        body_.push_back(id);
    });
    Slots current(kernel.slots.size(), none);
    find_values(kernel.nodes[loop].aux, current);
    for (const Id id : body_) {
        const Effects e = effects_of(kernel.nodes[id]);
        if (e.any(effect::stores | effect::allocates)) stored_[e.array] = true;
        if (e.any(effect::allocates)) own_[e.array] = true;
        if (e.any(effect::writes)) written_[e.slot] = true;
    }
    // The loop's own index: begin + step * (atom 0), or atom 0 where the step is not known.
    const Id by = kernel.operand(loop, 2);
    const Affine begin = form(kernel.operand(loop, 0)), end = form(kernel.operand(loop, 1));
    // Forms of what surrounds the loop made atoms already; atom 0 is set aside for it below.
    Affine index;
    index.terms[step] = 1;
    Interval counted{0, Interval::infinite};
    if (kernel.nodes[by].kind == NodeKind::constant) {
        const Wide s = kernel.constant(by).get<std::int64_t>();
        const auto distance = farthest(kernel.operand(loop, 1), begin, s > 0);
        if (distance && s != 0)
            counted.high = std::max<Wide>(0, (*distance - 1) / (s > 0 ? s : -s));
        Affine counter;
        counter.terms[step] = 1;
        if (s != 0) set_last(counter, loop, begin, s);
        index.terms[step] = s;
        index.add(begin, 1);
        if (s == 1 || s == -1) {
            Affine trip = end;
            trip.add(begin, -1);
            if (s < 0) trip = Affine().add(trip, -1);
            trip_ = trip;
        }
    } else {
        counted = {};
    }
    atoms_[step].range = counted;
    if (index.coefficient(step) == 0) index.terms.erase(step);
    forms_[loop] = index;
}

/// `current`: per slot, the value that it has where the block begins, and then where it ends; none
/// where that is not known.
void AffineForms::find_values(Id block, Slots& current) {
    for (const Id id : kernel_.blocks[block].nodes) {
        const Node& n = kernel_.nodes[id];
        const Effects e = effects_of(n);
        if (e.any(effect::reads) && n.operand_count == 0 && current[n.aux] != none)
            value_of_[id] = current[n.aux];
        if (e.any(effect::writes) && n.operand_count == 1) current[n.aux] = kernel_.operand(id, 0);
        if (is_loop(n.kind)) {  // what an iteration writes, the next one may read
            forget_written(id, current);
            Slots inside = current;
            for (const Id b : blocks_of(n)) find_values(b, inside);
        } else {
            for (const Id b : blocks_of(n)) {
                Slots inside = current;
                find_values(b, inside);
            }
            // What an arm computes is not known behind it.
            if (!blocks_of(n).empty()) forget_written(id, current);
        }
    }
}

/// What the node and its blocks write; a parallel loop writes what it reduces into.
void AffineForms::forget_written(Id node, Slots& current) const {
    walk_node(kernel_, node, [&](Id id) {
        const Node& n = kernel_.nodes[id];
        if (n.kind == NodeKind::write) current[n.aux] = none;
        if (const ParallelLoop* p = n.kind == NodeKind::loop ? kernel_.parallel(n) : nullptr)
            for (const StageReduction& r : p->reductions) current[r.target] = none;
    });
}

// ------------------------------------------------------------------------------ forms

const Affine& AffineForms::form(Id id) {
    if (const auto found = forms_.find(id); found != forms_.end()) return found->second;
    // Long chains of sums are not worth the stack that they would need.
    constexpr int deepest = 200;
    if (depth_ >= deepest) return forms_[id] = atom(false, {});
    ++depth_;
    Affine made = compute(id);
    if (!small(made)) made = opaque(id);
    --depth_;
    return forms_[id] = std::move(made);
}

Affine AffineForms::compute(Id id) {
    const Node& n = kernel_.nodes[id];
    if (!is_integer(n.dtype)) return opaque(id);
    if (n.kind == NodeKind::constant) {
        const Scalar c = kernel_.constant(id);
        Affine form;
        form.constant = is_unsigned(n.dtype) ? Wide(c.cast(DType::u64).get<std::uint64_t>())
                                             : Wide(c.cast(DType::i64).get<std::int64_t>());
        return form;
    }
    if (n.kind == NodeKind::cast && is_integer(kernel_.nodes[kernel_.operand(id, 0)].dtype))
        return unwrapped(id, form(kernel_.operand(id, 0)));
    if (n.kind == NodeKind::op) return compute_op(id);
    if (n.kind == NodeKind::read && only_value(id) != none) return form(only_value(id));
    return n.kind == NodeKind::loop && order_[id] != none ? of_loop(id) : opaque(id);
}

Affine AffineForms::compute_op(Id id) {
    const Node& n = kernel_.nodes[id];
    const auto x = kernel_.operands_of(n);
    const auto constant = [&](std::size_t i) -> std::optional<Wide> {
        const Affine& f = form(x[i]);
        if (f.terms.empty()) return f.constant;
        return std::nullopt;
    };
    Affine sum;
    switch (n.op) {
        case Op::add:
            if (const auto element = element_of_slice(x[0], x[1])) return *element;
            return unwrapped(id, sum.add(form(x[0]), 1).add(form(x[1]), 1));
        case Op::sub: return unwrapped(id, sum.add(form(x[0]), 1).add(form(x[1]), -1));
        case Op::neg: return unwrapped(id, sum.add(form(x[0]), -1));
        case Op::mul:
            if (const auto c = constant(1)) return unwrapped(id, sum.add(form(x[0]), *c));
            if (const auto c = constant(0)) return unwrapped(id, sum.add(form(x[1]), *c));
            if (const auto made = product(form(x[0]), form(x[1]))) return unwrapped(id, *made);
            return opaque(id);
        case Op::shl:
            if (const auto c = constant(1); c && *c >= 0 && *c < 32)
                return unwrapped(id, sum.add(form(x[0]), Wide(1) << static_cast<int>(*c)));
            return opaque(id);
        default: return opaque(id);
    }
}

Affine AffineForms::unwrapped(Id id, Affine sum) {
    const DType t = kernel_.nodes[id].dtype;
    if (size_of(t) == 8 || t == DType::i32) return sum;
    const Interval wanted = range_of(t), is = range(sum);
    return wanted.low <= is.low && is.high <= wanted.high ? sum : opaque(id);
}

// ------------------------------------------------------------------------------ products

bool AffineForms::invariant(const Affine& form) const {
    return std::ranges::all_of(form.terms, [&](const auto& t) { return invariant(t.first); });
}

std::vector<std::uint32_t> AffineForms::factors_of(std::uint32_t atom) const {
    return atoms_[atom].factors.empty() ? std::vector{atom} : atoms_[atom].factors;
}

/// Of factors that are not negative; of others nothing is known.
Interval AffineForms::range_of_product(const std::vector<std::uint32_t>& factors,
                                       const Least* least) const {
    Interval all{1, 1};
    for (const std::uint32_t f : factors) {
        Interval one = atoms_[f].range;
        if (least != nullptr)
            if (const auto known = least->find(f); known != least->end())
                one.low = std::max(one.low, known->second);
        if (one.low < 0) return {};
        // Beyond 2^40 a bound is as good as none, and products stay exact.
        constexpr Wide large = Wide(1) << 40;
        if (all.low > large || one.low > large) return {0, Interval::infinite};
        all.low *= one.low;
        all.high = all.high > large || one.high > large ? Interval::infinite : all.high * one.high;
    }
    return all;
}

/// The atom that is the product of atoms of which one at most varies; none of them is a product.
std::uint32_t AffineForms::product_of(std::vector<std::uint32_t> factors) {
    if (factors.size() == 1) return factors[0];
    std::ranges::sort(factors);
    std::string key = "p";
    bool invariant = true;
    for (const std::uint32_t f : factors) {
        key += '.' + std::to_string(f);
        invariant = invariant && atoms_[f].invariant;
    }
    const std::uint32_t made =
        atom(invariant, range_of_product(factors, nullptr), key).terms.begin()->first;
    atoms_[made].factors = std::move(factors);
    return made;
}

/// The product of two sums of few terms, one of them invariant.
std::optional<Affine> AffineForms::product(const Affine& a, const Affine& b) {
    constexpr std::size_t few = 4, most_factors = 6;
    if (a.terms.size() > few || b.terms.size() > few || (!invariant(a) && !invariant(b)))
        return std::nullopt;
    Affine made;
    made.add(a, b.constant).add(b, a.constant);
    made.constant = a.constant * b.constant;
    for (const auto& [x, cx] : a.terms)
        for (const auto& [y, cy] : b.terms) {
            std::vector<std::uint32_t> factors = factors_of(x);
            for (const std::uint32_t f : factors_of(y)) factors.push_back(f);
            if (factors.size() > most_factors) return std::nullopt;
            made.add(Affine::of(product_of(std::move(factors))), cx * cy);
        }
    return small(made) ? std::optional(made) : std::nullopt;
}

std::optional<AffineForms::Stride> AffineForms::stride(const Affine& form) {
    Stride found;
    found.rest.constant = form.constant;
    for (const auto& [atom, coefficient] : form.terms) {
        std::vector<std::uint32_t> factors = factors_of(atom);
        const auto steps = std::ranges::count(factors, step);
        if (steps == 0) {
            found.rest.add(Affine::of(atom), coefficient);
            continue;
        }
        if (steps != 1) return std::nullopt;
        std::erase(factors, step);
        if (factors.empty())
            found.factor.constant += coefficient;
        else
            found.factor.add(Affine::of(product_of(std::move(factors))), coefficient);
    }
    return found;
}

/// coefficient * counter * others at most, for the atom `counter` that counts a loop.
std::optional<Affine> AffineForms::most_of(std::uint32_t counter, Wide coefficient,
                                           const std::vector<std::uint32_t>& others, Least& least,
                                           int depth) {
    const Atom a = atoms_[counter];  // a copy: more atoms may be made
    if (!a.last) {
        const Interval r = a.range.scaled(coefficient);
        if (!others.empty() || r.high >= Interval::infinite) return std::nullopt;
        Affine fixed;
        fixed.constant = r.high;
        return fixed;
    }
    const auto last = most(*a.last, least, depth + 1);
    if (!last) return std::nullopt;
    // The loop runs, so that is not negative: n - 1 >= 0 tells that n >= 1.
    if (last->terms.size() == 1 && last->terms.begin()->second == 1) {
        const auto [known, added] = least.try_emplace(last->terms.begin()->first, -last->constant);
        known->second = std::max(known->second, -last->constant);
    }
    if (range_of_product(others, &least).low < 0) return std::nullopt;
    if (coefficient < 0) return Affine{};  // the counter is not negative
    const Wide factor = coefficient % a.by == 0 ? coefficient / a.by : coefficient;
    if (others.empty()) return Affine().add(*last, factor);
    Affine bound = Affine().add(Affine::of(product_of(others)), last->constant * factor);
    for (const auto& [x, c] : last->terms) {
        std::vector<std::uint32_t> factors = factors_of(x);
        factors.insert(factors.end(), others.begin(), others.end());
        bound.add(Affine::of(product_of(std::move(factors))), c * factor);
    }
    return bound;
}

// Plain counters come first: what is known of their loops bounds the factors of the others.
std::optional<Affine> AffineForms::most(const Affine& form, Least& least, int depth) {
    constexpr int deepest = 4;
    if (depth > deepest) return std::nullopt;
    Affine bound;
    bound.constant = form.constant;
    for (const bool products : {false, true})
        for (const auto& [atom, coefficient] : form.terms) {
            std::vector<std::uint32_t> factors = factors_of(atom);
            if ((factors.size() > 1) != products) continue;
            if (atoms_[atom].invariant) {
                bound.add(Affine::of(atom), coefficient);
                continue;
            }
            const auto counter = std::ranges::find_if(
                factors, [&](std::uint32_t f) { return !atoms_[f].invariant; });
            const std::uint32_t counts = *counter;
            factors.erase(counter);
            const auto part = most_of(counts, coefficient, factors, least, depth);
            if (!part) return std::nullopt;
            bound.add(*part, 1);
        }
    return small(bound) ? std::optional(bound) : std::nullopt;
}

Interval AffineForms::range(const Affine& invariant, const Least& least) const {
    Interval sum{invariant.constant, invariant.constant};
    for (const auto& [atom, coefficient] : invariant.terms) {
        Interval one = range_of_product(factors_of(atom), &least);
        const Interval& plain = atoms_[atom].range;
        one = {std::max(one.low, plain.low), std::min(one.high, plain.high)};
        sum = sum + one.scaled(coefficient);
    }
    return sum;
}

/// Notes where the loop that an atom counts ends: by * atom <= |end - begin| - 1 where it runs.
void AffineForms::set_last(const Affine& counter, Id loop, const Affine& begin, Wide by) {
    Affine last;
    const Affine end = form(invariant_end(kernel_.operand(loop, 1), begin, by > 0));
    last.add(end, by > 0 ? 1 : -1).add(begin, by > 0 ? -1 : 1);
    last.constant -= 1;
    Atom& a = atoms_[counter.terms.begin()->first];
    a.by = by > 0 ? by : -by;
    a.last = std::move(last);
}

/// Of a loop to min(x, y) (downwards: max) that operand whose distance from `begin` is the same in
/// all iterations; `end` itself where there is none.
Id AffineForms::invariant_end(Id end, const Affine& begin, bool upwards) {
    const Node& n = kernel_.nodes[end];
    if (n.kind == NodeKind::cast && n.dtype == DType::i64 &&
        is_integer(kernel_.nodes[kernel_.operand(end, 0)].dtype))
        return invariant_end(kernel_.operand(end, 0), begin, upwards);
    if (n.kind != NodeKind::op || n.op != (upwards ? Op::minimum : Op::maximum)) return end;
    for (const Id operand : kernel_.operands_of(n)) {
        const Id found = invariant_end(operand, begin, upwards);
        if (invariant(Affine(form(found)).add(begin, -1))) return found;
    }
    return end;
}

// ------------------------------------------------------------------------------ slices
//
// a.slice({start, stop}) names the elements from cut(start) up to cut(stop), where
//
//     cut(x) = min(max(x < 0 ? x + extent : x, 0), extent)
//
// (dsl/trace/arrays.cpp). A loop over its elements counts t from 0 to max(cut(stop) - cut(start),
// 0), and element t is t + cut(start). Where the loop runs, cut(start) is less than the extent. So
// unless start or stop is negative, and counts from the end, cut(start) = start and cut(stop) <=
// stop.

namespace {

struct Matcher {
    const Kernel& k;
    bool is(Id id, Op op) const { return k.nodes[id].kind == NodeKind::op && k.nodes[id].op == op; }
    bool is(Id id, std::int64_t value) const {
        return k.nodes[id].kind == NodeKind::constant && k.nodes[id].dtype == DType::i64 &&
               k.constant(id).get<std::int64_t>() == value;
    }
    Id at(Id id, std::size_t i) const { return k.operand(id, i); }

    struct Cut {
        Id bound = none, extent = none;
    };
    /// cut(x), or the min(x, extent) that it is for a constant.
    std::optional<Cut> cut(Id id) const {
        if (!is(id, Op::minimum)) return std::nullopt;
        const Id low = at(id, 0), extent = at(id, 1);
        if (k.nodes[low].kind == NodeKind::constant) return Cut{low, extent};
        if (!is(low, Op::maximum) || !is(at(low, 1), 0)) return std::nullopt;
        const Id wrapped = at(low, 0);
        if (!is(wrapped, Op::select) || !is(at(wrapped, 0), Op::lt)) return std::nullopt;
        const Id x = at(wrapped, 2), test = at(wrapped, 0);
        if (at(test, 0) != x || !is(at(test, 1), 0)) return std::nullopt;
        return Cut{x, extent};
    }
};

}  // namespace

Id cut_bound(const Kernel& kernel, Id id) {
    const auto cut = Matcher{kernel}.cut(id);
    return cut && kernel.nodes[cut->bound].kind != NodeKind::constant ? cut->bound : none;
}

std::optional<SliceLoop> slice_loop(const Kernel& kernel, Id loop) {
    const Matcher m{kernel};
    if (kernel.nodes[loop].kind != NodeKind::loop || !m.is(m.at(loop, 0), 0) ||
        !m.is(m.at(loop, 2), 1))
        return std::nullopt;
    SliceLoop slice;
    Id most = m.at(loop, 1);
    if (m.is(most, Op::div)) {
        const Id step = m.at(most, 1);
        if (kernel.nodes[step].kind != NodeKind::constant) return std::nullopt;
        slice.step = kernel.constant(step).get<std::int64_t>();
        most = m.at(most, 0);
    }
    if (slice.step < 1 || !m.is(most, Op::maximum) || !m.is(m.at(most, 1), 0)) return std::nullopt;
    Id distance = m.at(most, 0);
    if (slice.step > 1) {
        if (!m.is(distance, Op::add) || !m.is(m.at(distance, 1), slice.step - 1))
            return std::nullopt;
        distance = m.at(distance, 0);
    }
    if (!m.is(distance, Op::sub)) return std::nullopt;
    const Id last = m.at(distance, 0);
    slice.first = m.at(distance, 1);
    const auto start = m.cut(slice.first), stop = m.cut(last);
    if (!start || (stop ? stop->extent : last) != start->extent) return std::nullopt;
    slice.start = start->bound;
    slice.stop = stop ? stop->bound : last;
    return slice;
}

// With another loop's counter too: t + cut(start) is inside of the array, t is not negative, and so
// cut(start) is less than the extent.
Affine AffineForms::subscript(Id id, std::uint32_t param, std::uint32_t dimension) {
    const Matcher m{kernel_};
    if (!m.is(id, Op::add) || element_of_slice(m.at(id, 0), m.at(id, 1))) return form(id);
    const auto cut = m.cut(m.at(id, 1));
    if (!cut) return form(id);
    const Node& extent = kernel_.nodes[cut->extent];
    const bool own =
        extent.kind == NodeKind::extent && extent.aux == param && extent.aux2 == dimension;
    if (!own || !never_negative(cut->bound) || range(form(m.at(id, 0))).low < 0) return form(id);
    return Affine(form(cut->bound)).add(form(m.at(id, 0)), 1);
}

/// Whether no bound counts from the end. Or they are m * n and (m + 1) * n, m the iteration's
/// number: if n is negative, both are from m = 1 on, and there is no element between them.
AffineForms::Bounds AffineForms::bounds_of(const SliceLoop& slice) {
    if (never_negative(slice.start) && never_negative(slice.stop)) return Bounds::not_negative;
    const auto from = stride(form(slice.start));
    if (!from || from->rest != Affine() || from->factor.terms.empty())
        return Bounds::may_be_negative;
    const Matcher m{kernel_};
    Id stop = slice.stop;
    while (m.is(stop, Op::minimum)) {
        if (never_negative(m.at(stop, 1)))
            stop = m.at(stop, 0);
        else if (never_negative(m.at(stop, 0)))
            stop = m.at(stop, 1);
        else
            return Bounds::may_be_negative;
    }
    const auto to = stride(form(stop));
    return to && to->factor == from->factor && to->rest == from->factor ? Bounds::multiples
                                                                        : Bounds::may_be_negative;
}

bool AffineForms::never_negative(Id bound) {
    const Matcher m{kernel_};
    if (m.is(bound, Op::minimum))
        return never_negative(m.at(bound, 0)) && never_negative(m.at(bound, 1));
    return range(form(bound)).low >= 0;
}

/// start + step * t for element `counter` of the slice whose cut start is `first`.
std::optional<Affine> AffineForms::element_of_slice(Id counter, Id first) {
    const Matcher m{kernel_};
    Id loop = counter;
    Wide step = 1;
    if (m.is(counter, Op::mul) && form(m.at(counter, 1)).terms.empty()) {
        loop = m.at(counter, 0);
        step = form(m.at(counter, 1)).constant;
    }
    if (kernel_.nodes[loop].kind != NodeKind::loop || order_[loop] == none) return std::nullopt;
    const auto slice = slice_loop(kernel_, loop);
    if (!slice || slice->first != first || slice->step != step ||
        bounds_of(*slice) == Bounds::may_be_negative)
        return std::nullopt;
    return Affine(form(slice->start)).add(form(loop), step);
}

// ------------------------------------------------------------------------------ loops

/// begin + step * t of an inner loop, for an atom t that counts its iterations.
Affine AffineForms::of_loop(Id id) {
    const Id by = kernel_.operand(id, 2);
    if (kernel_.nodes[by].kind != NodeKind::constant) return opaque(id);
    const Wide s = kernel_.constant(by).get<std::int64_t>();
    if (s == 0) return opaque(id);
    Affine index = form(kernel_.operand(id, 0));
    const auto distance = farthest(kernel_.operand(id, 1), index, s > 0);
    Interval counted{0, Interval::infinite};
    if (distance) counted.high = std::max<Wide>(0, (*distance - 1) / (s > 0 ? s : -s));
    const Affine counter = atom(false, counted);
    const auto slice = slice_loop(kernel_, id);
    const Bounds bounds = slice ? bounds_of(*slice) : Bounds::may_be_negative;
    if (bounds != Bounds::may_be_negative) {
        const Affine start = form(slice->start);
        Affine last = Affine(form(invariant_end(slice->stop, start, true))).add(start, -1);
        last.constant -= 1;
        Atom& a = atoms_[counter.terms.begin()->first];
        a.by = slice->step;
        if (const Wide most = range(last).high; most < Interval::infinite)
            a.range.high = std::max<Wide>(0, most / a.by);
        a.last = std::move(last);
        a.of_multiples = bounds == Bounds::multiples;
    } else {
        set_last(counter, id, index, s);
    }
    return index.add(counter, s);
}

/// The most that |end - begin| can be where the loop runs: of min(x, y) the lesser distance.
std::optional<Wide> AffineForms::farthest(Id end, const Affine& begin, bool upwards) {
    const Node& n = kernel_.nodes[end];
    if (n.kind == NodeKind::cast && n.dtype == DType::i64 &&
        is_integer(kernel_.nodes[kernel_.operand(end, 0)].dtype))
        return farthest(kernel_.operand(end, 0), begin, upwards);
    if (n.kind == NodeKind::op && n.op == (upwards ? Op::minimum : Op::maximum)) {
        const auto a = farthest(kernel_.operand(end, 0), begin, upwards);
        const auto b = farthest(kernel_.operand(end, 1), begin, upwards);
        return a && b ? std::min(*a, *b) : a ? a : b;
    }
    Affine distance = form(end);
    distance.add(begin, -1);
    const Interval d = range(distance);
    const Wide most = upwards ? d.high : -d.low;
    if (most >= Interval::infinite) return std::nullopt;
    return most;
}

Affine AffineForms::atom(bool invariant, Interval range, const std::string& key) {
    Affine form;
    if (!key.empty())
        if (const auto found = known_.find(key); found != known_.end()) {
            form.terms[found->second] = 1;
            return form;
        }
    const auto number = static_cast<std::uint32_t>(atoms_.size());
    atoms_.push_back({invariant, range});
    if (!key.empty()) known_[key] = number;
    form.terms[number] = 1;
    return form;
}

Affine AffineForms::opaque(Id id) {
    if (const auto key = invariant_key(id)) return atom(true, opaque_range(id), *key);
    return atom(false, opaque_range(id));
}

Interval AffineForms::opaque_range(Id id) {
    const Node& n = kernel_.nodes[id];
    Interval r = range_of(n.dtype);
    if (n.kind == NodeKind::extent) r.low = 0;
    if (n.kind == NodeKind::cast) {
        const Interval from = range_of(kernel_.nodes[kernel_.operand(id, 0)].dtype);
        if (from.low > r.low && from.high < r.high) r = from;
    }
    if (n.kind != NodeKind::op || n.operand_count != 2) return r;
    const Node& second = kernel_.nodes[kernel_.operand(id, 1)];
    if (second.kind != NodeKind::constant || !is_integer(second.dtype)) return r;
    const Wide c = form(kernel_.operand(id, 1)).constant;
    switch (n.op) {
        case Op::mod:
            if (c > 0) r = {0, c - 1};
            break;
        case Op::rem:
            if (c > 0) r = {is_unsigned(n.dtype) ? 0 : 1 - c, c - 1};
            break;
        case Op::bit_and:
            if (c >= 0) r = {0, c};
            break;
        default: break;
    }
    return r;
}

// ------------------------------------------------------------------------------ invariance

std::string AffineForms::key(const Affine& form) const {
    std::string text = std::to_string(static_cast<std::int64_t>(form.constant));
    for (const auto& [atom, coefficient] : form.terms)
        text += '+' + std::to_string(static_cast<std::int64_t>(coefficient)) + '*' + 'x' +
                std::to_string(atom);
    return text;
}

/// A text that is the same for nodes that have the same value in all iterations; nothing where the
/// value may vary.
std::optional<std::string> AffineForms::invariant_key(Id id) {
    const Node& n = kernel_.nodes[id];
    const bool inside = order_[id] != none;
    if (id == loop_) return std::nullopt;
    if (is_leaf(n.kind)) return '%' + std::to_string(id);
    // A variable that the body does not write holds one value, wherever it is read in the body.
    if (n.kind == NodeKind::read && inside && n.operand_count == 0 && !written_[n.aux])
        return 's' + std::to_string(n.aux);
    if (!inside) return '%' + std::to_string(id);
    const bool same_load = n.kind == NodeKind::load && !stored_[n.aux];
    if (n.kind != NodeKind::op && n.kind != NodeKind::cast && !same_load) return std::nullopt;
    std::string text =
        std::to_string(static_cast<int>(n.kind)) + '.' + std::to_string(static_cast<int>(n.op)) +
        '.' + std::to_string(static_cast<int>(n.dtype)) + '.' + std::to_string(n.aux) + '(';
    for (const Id operand : kernel_.operands_of(n)) {
        const Node& o = kernel_.nodes[operand];
        if (is_integer(o.dtype)) {
            const Affine& f = form(operand);
            if (!std::ranges::all_of(f.terms, [&](const auto& t) { return invariant(t.first); }))
                return std::nullopt;
            text += key(f) + ',';
        } else {
            const auto part = invariant_key(operand);
            if (!part) return std::nullopt;
            text += *part + ',';
        }
    }
    return text + ')';
}

}  // namespace kiln::codegen
