// Refuses parallel loops whose iterations may meet in an array. Changes nothing.
//
// For every outermost parallel loop and every array that its body stores to:
//  0. an array that is made in the body is the iteration's own;
//  1. atomic and plain accesses of one array are not mixed;
//  2. no store touches, in another iteration, an element that any access touches: for each such
//     pair there is a dimension whose subscripts are never equal in two different iterations.
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
#include "codegen/passes/races.h"

#include "codegen/passes/affine.h"
#include "codegen/passes/pass.h"
#include "codegen/passes/subscript_text.h"
#include "dsl/ir/describe.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

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
    Races(const Kernel& kernel, Id loop)
        : k_(kernel), loop_(loop), forms_(kernel, loop), text_(kernel, loop, forms_) {}

    void check() {
        for (std::uint32_t p = 0; p < k_.params.size(); ++p)
            if (forms_.stores_to(p) && !forms_.is_own(p)) check_array(p);
    }

    /// Whether check would refuse nothing, and nothing is atomic.
    bool all_apart() {
        for (std::uint32_t p = 0; p < k_.params.size(); ++p) {
            if (!forms_.stores_to(p) || forms_.is_own(p)) continue;
            const std::vector<Access> accesses = accesses_of(p);
            for (const Access& s : accesses)
                for (const Access& other : accesses)
                    if (s.atomic || (s.stores && !apart(s, other))) return false;
        }
        return true;
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
            const bool atomic = n.kind == NodeKind::atomic;
            const bool everything = n.kind == NodeKind::whole || n.kind == NodeKind::assign;
            const bool stores = n.kind == NodeKind::store || n.kind == NodeKind::assign || atomic;
            if ((!stores && !everything && n.kind != NodeKind::load) || n.aux != param) continue;
            Access& a = accesses.emplace_back(Access{id, stores, atomic, {}, everything});
            for (std::size_t d = 0; !everything && d < k_.params[param].rank; ++d)
                a.subscripts.push_back(
                    forms_.subscript(k_.operand(id, d), param, static_cast<std::uint32_t>(d)));
        }
        return accesses;
    }

    void check_array(std::uint32_t param) {
        const std::vector<Access> accesses = accesses_of(param);
        for (const Access& s : accesses)
            for (const Access& other : accesses)
                if (s.atomic && !other.atomic) refuse_mixed(s, other);
        for (const Access& s : accesses) {
            if (!s.stores || s.atomic) continue;
            if (!apart(s, s)) refuse(s, s);
        }
        for (const Access& s : accesses) {
            if (!s.stores || s.atomic) continue;
            for (const Access& other : accesses)
                if (!apart(s, other)) refuse(s, other);
        }
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

    std::string line_of(Id at, Id other) const {
        const Location here = k_.location(k_.nodes[at].loc),
                       there = k_.location(k_.nodes[other].loc);
        if (at != loop_ && here.file == there.file && here.line == there.line) return "here";
        if (here.file == there.file || there.line == 0)
            return fmt::format("at line {}", there.line);
        return fmt::format("at {}:{}", there.file, there.line);
    }

    /// What an error at the access calls its array.
    std::string array(const Access& access) const {
        const Node& n = k_.nodes[access.node];
        return describe_array(k_, n.aux, k_.location(n.loc));
    }

    [[noreturn]] void refuse(const Access& store, const Access& other) const {
        const std::string name = array(store);
        std::string what = fmt::format(
            "iterations of the prange {} may touch the same element of {}: {} is written here",
            line_of(loop_, loop_), name, text_.element(store.node));
        if (other.node != store.node)
            what += fmt::format(" and {} is {} {}", text_.element(other.node),
                                other.stores ? "written" : "read", line_of(store.node, other.node));
        throw Error(ErrorKind::usage, std::move(what), k_.location(k_.nodes[store.node].loc),
                    "use atomic_add(...), a reduction, or range; or set .unsafe_races = true "
                    "where you know that they do not");
    }

    [[noreturn]] void refuse_mixed(const Access& atomic, const Access& other) const {
        throw Error(ErrorKind::usage,
                    fmt::format("iterations of the prange {} access {} atomically and not: {} is "
                                "{} here, and {} {} by an atomic operation",
                                line_of(loop_, loop_), array(other), text_.element(other.node),
                                other.stores ? "written" : "read", text_.element(atomic.node),
                                line_of(other.node, atomic.node)),
                    k_.location(k_.nodes[other.node].loc),
                    "make all accesses of the loop atomic (they give the value before), or set "
                    ".unsafe_races = true");
    }

    const Kernel& k_;
    Id loop_;
    mutable AffineForms forms_;
    SubscriptText text_;
};

void check_loops(const Kernel& kernel, Id block) {
    for (const Id id : kernel.blocks[block].nodes) {
        const Node& n = kernel.nodes[id];
        if (const ParallelLoop* p = n.kind == NodeKind::loop ? kernel.parallel(n) : nullptr) {
            if (!p->unsafe_races) Races(kernel, id).check();
            continue;
        }
        if (n.kind == NodeKind::branch || n.kind == NodeKind::loop ||
            n.kind == NodeKind::loop_while)
            check_loops(kernel, n.aux);
        if ((n.kind == NodeKind::branch || n.kind == NodeKind::loop_while) && n.aux2 != none)
            check_loops(kernel, n.aux2);
    }
}

}  // namespace

bool iterations_are_apart(const Kernel& kernel, Id loop) { return Races(kernel, loop).all_apart(); }

ir::Kernel run_races(const ir::Kernel& kernel, PassContext&) {
    for (const Stage& stage : kernel.stages) check_loops(kernel, stage.body);
    return kernel;
}

}  // namespace kiln::codegen
