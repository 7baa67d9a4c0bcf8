// Pairs of accesses by which iterations of a loop may meet in an array, by what is known of their
// subscripts.
//
// Subscripts are sums of the iteration's number m, of invariants and of inner indices and other
// values that vary (affine.h). For c * m + r and c' * m' + r', r and r' apart from each other by a
// sum D whose bounds and divisors are known, the subscripts differ
//  - if c = c' = 0 and D cannot be 0;
//  - if c = c' and D is no multiple of c but 0: it lies between -c and c, or leaves a remainder, or
//    is farther than the loop runs;
//  - if the whole difference cannot be 0.
// Where c = c' is not 0, D tells how far apart the iterations would have to be; if no distance but
// 0 is possible in all of these dimensions, the accesses differ too: a(i, i + j) and a(i + j, i).
// For m * n + r and m' * n + r', n an invariant sum, they differ if -n < D < n, where D is bounded
// by invariants too: row * n + column with column in range(n).
#include "codegen/analysis/races.h"

#include "codegen/analysis/affine.h"
#include "dsl/ir/effects.h"

#include <algorithm>
#include <utility>

namespace kiln::codegen {
namespace {

using namespace ir;

Wide divisor_of_both(Wide a, Wide b) {
    while (b != 0) a = std::exchange(b, a % b);
    return a < 0 ? -a : a;
}

/// A sum of which only some is known: base + multiples of `divisor`, within `bounds`.
struct Unknown {
    Wide base = 0, divisor = 0;
    Interval bounds{0, 0};

    void add(Wide coefficient, const Interval& range) {
        divisor = divisor_of_both(divisor, coefficient);
        bounds = bounds + range.scaled(coefficient);
    }
    bool may_be_zero() const {
        return bounds.contains(0) && (divisor == 0 ? base == 0 : base % divisor == 0);
    }
};

class Races {
  public:
    Races(const Kernel& kernel, Id loop) : k_(kernel), forms_(kernel, loop) {}

    std::optional<Meeting> first() {
        for (std::uint32_t p = 0; p < k_.params.size(); ++p) {
            if (!forms_.stores_to(p) || forms_.is_own(p)) continue;
            if (const auto meeting = first_in(accesses_of(p))) return meeting;
        }
        return std::nullopt;
    }

    bool any_atomic() const {
        return std::ranges::any_of(forms_.body(), [&](Id id) {
            const Effects e = effects_of(k_.nodes[id]);
            return e.any(effect::atomically) && !forms_.is_own(e.array);
        });
    }

  private:
    struct Access {
        Id node;
        bool stores, atomic;
        std::vector<Affine> subscripts;
        bool everything;  // all elements
    };

    std::vector<Access> accesses_of(std::uint32_t param) {
        std::vector<Access> accesses;
        for (const Id id : forms_.body()) {
            const Node& n = k_.nodes[id];
            const Effects e = effects_of(n);
            if (!e.any(effect::loads | effect::stores) || e.array != param) continue;
            const bool everything = e.any(effect::all_elements);
            Access& a = accesses.emplace_back(
                Access{id, e.any(effect::stores), e.any(effect::atomically), {}, everything});
            for (std::size_t d = 0; !everything && d < k_.params[param].rank; ++d)
                a.subscripts.push_back(
                    forms_.subscript(k_.operand(id, d), param, static_cast<std::uint32_t>(d)));
        }
        return accesses;
    }

    std::optional<Meeting> first_in(const std::vector<Access>& accesses) const {
        for (const Access& s : accesses)
            for (const Access& other : accesses)
                if (s.atomic && !other.atomic) return Meeting{s.node, other.node, true};
        for (const Access& s : accesses)
            if (s.stores && !s.atomic && !apart(s, s)) return Meeting{s.node, s.node};
        for (const Access& s : accesses) {
            if (!s.stores || s.atomic) continue;
            for (const Access& other : accesses)
                if (!apart(s, other)) return Meeting{s.node, other.node};
        }
        return std::nullopt;
    }

    /// Whether no two different iterations touch one element by these accesses.
    bool apart(const Access& a, const Access& b) const {
        if (a.everything || b.everything) return false;
        Interval distance;  // of the iteration of b from that of a
        for (std::size_t d = 0; d < a.subscripts.size(); ++d)
            if (never_equal(a.subscripts[d], b.subscripts[d], distance)) return true;
        return distance.low > distance.high || (distance.low == 0 && distance.high == 0);
    }

    /// Whether a in one iteration and b in another one are different numbers; narrows down by how
    /// many iterations they are apart where they are equal.
    bool never_equal(const Affine& a, const Affine& b, Interval& distance) const {
        if (within_stride(a, b)) return true;
        if (forms_.is_of_multiples(a) || forms_.is_of_multiples(b)) return false;
        const Wide ca = a.coefficient(AffineForms::step), cb = b.coefficient(AffineForms::step);
        Affine invariant;  // of b - a: what is the same in both iterations
        Unknown d, varying;
        invariant.constant = b.constant - a.constant;
        const auto take = [&](const Affine& form, Wide sign) {
            for (const auto& [atom, coefficient] : form.terms) {
                if (atom == AffineForms::step) continue;
                if (forms_.invariant(atom)) {
                    Wide& sum = invariant.terms[atom];
                    sum += sign * coefficient;
                    if (sum == 0) invariant.terms.erase(atom);
                } else {
                    varying.add(sign * coefficient, forms_.range(atom));
                }
            }
        };
        take(a, -1);
        take(b, 1);
        d.base = invariant.constant;
        d.divisor = varying.divisor;
        for (const auto& [atom, coefficient] : invariant.terms)
            d.divisor = divisor_of_both(d.divisor, coefficient);
        d.bounds = forms_.range(invariant) + varying.bounds;
        if (ca != cb) {
            d.add(cb, forms_.range(AffineForms::step));
            d.add(-ca, forms_.range(AffineForms::step));
            return !d.may_be_zero();
        }
        if (ca == 0) return !d.may_be_zero();
        narrow(distance, ca, d.bounds);
        const Wide c = ca > 0 ? ca : -ca;
        if (-c < d.bounds.low && d.bounds.high < c) return true;
        if (d.base % divisor_of_both(d.divisor, c) != 0) return true;
        return is_beyond(invariant, varying, c);
    }

    /// Keeps of the distances x those for which c * x + D may be 0.
    static void narrow(Interval& distance, Wide c, const Interval& d) {
        const Interval of = d.scaled(c > 0 ? -1 : 1);  // |c| * x is in it
        const Wide by = c > 0 ? c : -c;
        if (of.low > -Interval::infinite)
            distance.low = std::max(distance.low, -((-of.low) / by - ((-of.low) % by < 0 ? 1 : 0)));
        if (of.high < Interval::infinite)
            distance.high = std::min(distance.high, of.high / by - (of.high % by < 0 ? 1 : 0));
    }

    /// Whether -n < D < n for subscripts m * n + r and m' * n + r', or m * -n + r and so on.
    bool within_stride(const Affine& a, const Affine& b) const {
        const auto sa = forms_.stride(a), sb = forms_.stride(b);
        if (!sa || !sb || sa->factor != sb->factor) return false;
        AffineForms::Least least;
        std::vector<Affine> most;  // D and -D at most
        for (const auto& [from, to] :
             {std::pair(sa->rest, sb->rest), std::pair(sb->rest, sa->rest)}) {
            auto up = forms_.most(to, least);
            const auto down = forms_.most(Affine().add(from, -1), least);
            if (!up || !down) return false;
            most.push_back(up->add(*down, 1));
        }
        for (const Wide sign : {1, -1})
            if (std::ranges::all_of(most, [&](Affine d) {
                    return forms_.range(d.add(sa->factor, -sign), least).high < 0;
                }))
                return true;
        return false;
    }

    /// Whether |D| is at least c * trip, while c * (m - m') is less.
    bool is_beyond(const Affine& invariant, const Unknown& varying, Wide c) const {
        if (!forms_.trip()) return false;
        for (const Wide sign : {1, -1}) {
            Affine rest;
            rest.add(invariant, sign).add(*forms_.trip(), -c);
            if ((forms_.range(rest) + varying.bounds.scaled(sign)).low >= 0) return true;
        }
        return false;
    }

    const Kernel& k_;
    mutable AffineForms forms_;
};

}  // namespace

std::optional<Meeting> first_meeting(const Kernel& kernel, Id loop) {
    return Races(kernel, loop).first();
}

bool iterations_are_apart(const Kernel& kernel, Id loop) {
    Races races(kernel, loop);
    return !races.any_atomic() && !races.first();
}

}  // namespace kiln::codegen
