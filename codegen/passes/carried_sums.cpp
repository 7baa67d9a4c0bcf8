// Sums in while loops, and in loops inside of those that run as lanes, keep what additions round
// off: however long they are, the sum is as good as if little more than its end were rounded. Sums
// of f64 carry it along:
//
//                                          write t, -0; write lost, -0
//     while ... {                          while ... {
//       write s, s + e                       n = t + e;  z = n - t
//     }                              ->      lost = lost + ((t - (n - z)) + (e - z));  t = n
//                                          }
//                                          s = s + (abs(lost) > 0 ? t + lost : t)
//
// n = t + e and what is added to `lost` are together exactly t + e (Knuth's sum of two), and only
// the addition to t is waited for. n terms leave an error of u + n^2 u^2 times the sum of their
// magnitudes, u = 2^-53. For f32, u = 2^-24, that would be too much: lanes add what was lost to the
// next term, y = e + lost; n = t + y; lost = y - (n - t) (Kahan's sum), which leaves 2 u + n u^2.
// Scalar code, which would wait for that, sums f32 in f64. Where t is infinite or NaN nothing is
// lost, and t is the sum.
// Counted loops in scalar code sum in a variable of their own, which then is one e: they follow a
// tree (llvm/program/program_sums.cpp) or run as lanes.
//
// Legal where
//  1. the sum is one whose order is free, of a parallel loop or of a whole-array statement, and the
//     loop only adds to it (tree_sums);
//  2. each write stores the variable's value at that time plus or minus terms.
// Last, since other passes and the lanes recognise sums by their form.
#include "codegen/analysis/lane_loops.h"
#include "codegen/passes/pass.h"
#include "dsl/ir/evaluate.h"
#include "dsl/ir/rewrite.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

struct Term {
    Id value;
    bool subtracted;
};
using Terms = std::vector<Term>;

/// What each write of a slot in a loop adds to it; nothing where condition 2 does not hold.
class TermFinder {
  public:
    TermFinder(const Kernel& kernel, std::uint32_t slot) : k_(kernel), slot_(slot) {}

    std::optional<std::map<Id, Terms>> find(Id loop) {
        inside(k_.nodes[loop], {});
        if (!legal_) return std::nullopt;
        return std::move(terms_);
    }

  private:
    using Values = std::set<Id>;  // that are what the slot holds now

    bool block(Id b, Values& now) {
        bool written = false;
        for (const Id id : k_.blocks[b].nodes) {
            const Node& n = k_.nodes[id];
            if (n.kind == NodeKind::read && n.aux == slot_) now.insert(id);
            if (n.kind == NodeKind::write && n.aux == slot_) {
                terms_[id] = terms_of(k_.operand(id, 0), now);
                now = {k_.operand(id, 0)};
                written = true;
            }
            if (!inside(n, now)) continue;
            now.clear();
            written = true;
        }
        return written;
    }
    /// Whether the node's blocks write the slot; where they run again, nothing is known of it.
    bool inside(const Node& n, const Values& now) {
        bool any = false;
        for (const Id b : blocks_of(n)) {
            Values here = is_loop(n.kind) ? Values() : now;
            any = block(b, here) || any;
        }
        return any;
    }

    Terms terms_of(Id value, const Values& now) {
        Terms terms;
        while (!now.contains(value)) {
            const Node& n = k_.nodes[value];
            if (n.kind != NodeKind::op || (n.op != Op::add && n.op != Op::sub)) {
                legal_ = false;
                return {};
            }
            const bool second = !leads(k_.operand(value, 0), now);
            terms.push_back({k_.operand(value, second ? 0 : 1), n.op == Op::sub});
            value = k_.operand(value, second ? 1 : 0);
        }
        std::ranges::reverse(terms);
        return terms;
    }
    /// Whether the value is the slot's plus something; by condition 1 none is something minus it.
    bool leads(Id value, const Values& now) const {
        if (now.contains(value)) return true;
        const Node& n = k_.nodes[value];
        if (n.kind != NodeKind::op || (n.op != Op::add && n.op != Op::sub)) return false;
        return leads(k_.operand(value, 0), now) || leads(k_.operand(value, 1), now);
    }

    const Kernel& k_;
    std::uint32_t slot_;
    bool legal_ = true;
    std::map<Id, Terms> terms_;
};

class CarriedSums final : public Rewriter {
  public:
    CarriedSums(const Kernel& kernel, PassContext& context)
        : Rewriter(kernel),
          owners_(kernel),
          decisions_(context.decisions),
          lanes_possible_(context.options.noalias && !context.options.checked) {}

  private:
    /// Where a variable's sum is while a loop is cloned: in a variable to which nodes add as they
    /// are, or in one that loses nothing.
    struct Place {
        std::uint32_t sum, lost = none;
        bool carries = false;
    };

    Id rewrite(Id old) override {
        const Node& n = in().nodes[old];
        if (n.kind == NodeKind::read || n.kind == NodeKind::write) return access(old, n);
        if (!is_loop(n.kind)) return clone(old);
        return n.kind == NodeKind::loop && !in_lanes_ ? sum_apart(old) : carry(old);
    }

    /// Whether a loop in the block sums, so that it matters whether they are in lanes.
    bool sums_in_loops(Id block) const {
        return !walk(in(), block, [&](Id id) {
            if (!is_loop(in().nodes[id].kind)) return Walk::on;
            return tree_sums(in(), id).empty() ? Walk::skip : Walk::stop;
        });
    }

    Id access(Id old, const Node& n) {
        const auto found = places_.find(n.aux);
        if (found == places_.end()) return clone(old);
        const Place place = found->second;
        if (n.kind == NodeKind::read) {
            if (!place.carries) return out().read(place.sum);
            // Only what it writes uses it, and that is made anew.
            return nothing(n.dtype);
        }
        if (!place.carries) {
            out().write(place.sum, mapped(in().operand(old, 0)));
            return none;
        }
        for (const Term& term : terms_.at(old)) add(place, mapped(term.value), term.subtracted);
        return none;
    }

    Id exact(Op o, Id a, Id b) {
        const Id operands[] = {a, b};
        return out().op(o, out().dtype(a), operands, 0);
    }

    Id negative(Id e) {
        const Id operands[] = {e};
        return out().op(Op::neg, out().dtype(e), operands, 0);
    }

    void add(const Place& place, Id e, bool subtracted) {
        if (subtracted) e = negative(e);
        const Id t = out().read(place.sum);
        const DType type = out().dtype(t);
        if (place.lost == none) {  // in f64
            out().write(place.sum, exact(Op::add, t, out().convert(e, type)));
            return;
        }
        const Id lost = out().read(place.lost);
        Id n = none;
        if (type == DType::f32) {
            e = exact(Op::add, lost, e);
            n = exact(Op::add, t, e);
            const Id off = exact(Op::sub, e, exact(Op::sub, n, t));
            const Id same[] = {off, off};
            const Id chosen[] = {out().op(Op::eq, DType::bool_, same, 0), off, nothing(type)};
            out().write(place.lost, out().op(Op::select, type, chosen, 0));
        } else {
            n = exact(Op::add, t, e);
            const Id z = exact(Op::sub, n, t);
            const Id off =
                exact(Op::add, exact(Op::sub, t, exact(Op::sub, n, z)), exact(Op::sub, e, z));
            out().write(place.lost, exact(Op::add, lost, off));
        }
        out().write(place.sum, n);
    }

    /// The sum with what it has lost.
    Id whole(const Place& place, DType type) {
        const Id t = out().read(place.sum);
        if (place.lost == none) return out().convert(t, type);
        const Id lost = out().read(place.lost);
        const Id magnitude[] = {lost};
        const Id compared[] = {out().op(Op::abs, type, magnitude, 0),
                               out().constant(*identity(Reduction::sum, type))};
        const Id chosen[] = {out().op(Op::gt, DType::bool_, compared, 0), exact(Op::add, t, lost),
                             t};
        return out().op(Op::select, type, chosen, 0);
    }

    /// What a variable is called while this loop is cloned, or is by itself.
    std::uint32_t place_of(std::uint32_t slot) const {
        const auto found = places_.find(slot);
        return found == places_.end() ? slot : found->second.sum;
    }
    Id nothing(DType t) { return out().constant(neutral(Reduction::sum, t)); }
    std::uint32_t add_sum(std::string name, DType t) {
        const std::uint32_t slot = out().add_slot({std::move(name), t, 1});
        out().write(slot, nothing(t));
        return slot;
    }
    void add_to(std::uint32_t slot, Id value) {
        const Id operands[] = {out().read(slot), value};
        out().write(slot, out().op(Op::add, out().dtype(value), operands, fast::reassoc));
    }

    /// The loop, with sums that carry.
    Id carry(Id old) {
        const auto around = places_;
        std::vector<std::uint32_t> slots;
        for (const std::uint32_t s : tree_sums(in(), old)) {
            const auto known = places_.find(s);
            if (known != places_.end() && known->second.carries) continue;
            auto terms = TermFinder(in(), s).find(old);
            if (!terms) continue;
            terms_.merge(*terms);
            const DType t = in().slots[s].dtype;
            const bool wide = t == DType::f32 && !in_lanes_;
            const auto number = out().kernel().slots.size();
            Place place{add_sum(fmt::format("sum{}", number), wide ? DType::f64 : t), none, true};
            if (!wide) place.lost = add_sum(fmt::format("lost{}", number), t);
            places_[s] = place;
            slots.push_back(s);
        }
        if (!slots.empty())
            decisions_.done(DecisionKind::carried, in().location(in().nodes[old].loc),
                            "its sums go in the order of the iterations, one after the other, and "
                            "carry what each addition rounds off");
        const Id made = clone(old);
        const auto inside = std::exchange(places_, around);
        for (const std::uint32_t s : slots)
            add_to(place_of(s), whole(inside.at(s), in().slots[s].dtype));
        return made;
    }

    /// A counted loop of scalar code; within one that carries its sums are terms.
    Id sum_apart(Id old) {
        const auto around = places_;
        std::vector<std::uint32_t> slots;
        if (!places_.empty())
            for (const std::uint32_t s : tree_sums(in(), old)) {
                const auto known = places_.find(s);
                if (known == places_.end() || !known->second.carries) continue;
                places_[s] = {
                    add_sum(total_name(out().kernel().slots.size()), in().slots[s].dtype)};
                slots.push_back(s);
            }
        in_lanes_ = lanes_possible_ && sums_in_loops(in().nodes[old].aux) &&
                    find_lane_loop(in(), owners_, old).has_value();
        const Id made = clone(old);
        in_lanes_ = false;
        const auto inside = std::exchange(places_, around);
        for (const std::uint32_t s : slots) add(places_.at(s), out().read(inside.at(s).sum), false);
        return made;
    }

    const SlotOwners owners_;
    Decisions& decisions_;
    const bool lanes_possible_;
    bool in_lanes_ = false;
    std::map<std::uint32_t, Place> places_;
    std::map<Id, Terms> terms_;  // by write
};

}  // namespace

ir::Kernel run_carried_sums(const ir::Kernel& kernel, PassContext& context) {
    const bool any =
        std::ranges::any_of(kernel.slots, [](const Slot& s) { return is_real(s.dtype); });
    return any ? CarriedSums(kernel, context).run() : kernel;
}

}  // namespace kiln::codegen
