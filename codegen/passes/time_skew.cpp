// Several steps of a loop over time go through the arrays together, each behind the one before it:
//
//     for %t = 0 to steps {                     for %t0 = 0 to steps step U {
//       for %i = 1 to n {                         for %at = 1 to n + lags {
//         b[%i] = a[%i - 1] + a[%i + 1]             for %u = 0 to min(U, steps - %t0) {
//       }                                 ->          b[%at - 2 %u] = ...
//       for %i = 1 to n {                             a[%at - 2 %u - 1] = ...     if in range
//         a[%i] = b[%i - 1] + b[%i + 1]             }
//       }                                         }
//     }                                         }
//
// so that what a step leaves is still in the cache when the next one takes it. Loops that hold no
// others go in blocks, which stay vector code. Every element is computed as before.
//
// Iteration p of one inner loop and q of a later one (or of the same or an earlier one, a step
// later) that touch one element, one of them storing, keep their order if q comes p - q behind: the
// lag of a loop is the largest p - q to those before it, and the steps follow each other by what
// the lags leave open. Legal where, tested in this order,
//  1. the loop over time is serial with step 1, and holds loops, pure operations, and loads from
//     arrays that the loops do not store to;
//  2. those loops have step 1, bounds that time does not change, no reductions, and are serial (or
//     parallel where there are no threads);
//  3. nothing in them jumps, is atomic or allocates, and variables that they write are scalars of
//     one iteration, which writes them, unconditionally, before anything else;
//  4. any two accesses of one array, one of them a store, have a dimension in which both
//     subscripts are the index of their loop plus a constant: then p - q is known;
//  5. lags are small, and every step stores to the same elements of some array.
#include "codegen/analysis/loop_facts.h"
#include "codegen/passes/pass.h"
#include "dsl/ir/effects.h"
#include "dsl/ir/rewrite.h"
#include "dsl/ir/walk.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace kiln::codegen {
namespace {

using namespace ir;

/// Iterations of loops without inner loops that run together.
constexpr std::int64_t block = 512;
/// Steps at once: at least so many (what they touch is in the second cache), and more where that
/// fits into `first_cache` bytes.
constexpr std::int64_t least_steps = 4, most_steps = 16, first_cache = 24 * 1024;
/// Beyond this, steps are too far from each other to gain.
constexpr std::int64_t largest_lag = 8;

struct Plan {
    std::vector<Id> loops;
    std::vector<std::int64_t> lags;  // per loop
    std::int64_t step_lag = 0;       // of a step behind the one before it
    bool blocks = false;             // the loops hold no others
    /// The arrays that every step stores to, and the dimension that the loops go along.
    std::map<std::uint32_t, unsigned> arrays;
};

class Analysis {
  public:
    Analysis(const Kernel& kernel, const SlotOwners& owners, Id time, bool threads,
             Decisions& decisions)
        : k_(kernel), owners_(owners), time_(time), threads_(threads), decisions_(decisions) {}

    std::optional<Plan> run() {
        const Node& n = k_.nodes[time_];
        if (k_.parallel(n) != nullptr || !k_.is_constant(k_.operand(time_, 2), 1) ||
            (n.fast & loop_flag::remainder) != 0)
            return std::nullopt;
        inside_.insert(time_);
        for (const Id id : k_.blocks[n.aux].nodes) {
            const Effects e = effects_of(k_.nodes[id]);
            if (!e.only(effect::loads | effect::counts | effect::in_parallel)) return std::nullopt;
            if (e.any(effect::counts)) plan_.loops.push_back(id);
            if (e.any(effect::loads)) loaded_.insert(e.array);
            inside_.insert(id);
        }
        if (plan_.loops.empty()) return std::nullopt;
        std::size_t with_loops = 0;
        for (const Id loop : plan_.loops) {
            if (const char* reason = why_not(loop)) return refuse(reason);
            const auto& body = k_.blocks[k_.nodes[loop].aux].nodes;
            with_loops += std::ranges::any_of(
                body, [&](Id id) { return k_.nodes[id].kind == NodeKind::loop; });
        }
        plan_.blocks = with_loops == 0;
        if (!plan_.blocks && with_loops != plan_.loops.size()) return std::nullopt;
        const bool own_loads = std::ranges::none_of(accesses_, [&](const Access& a) {
            return a.stores && loaded_.contains(k_.nodes[a.node].aux);
        });
        if (!own_loads)
            return refuse("a step loads an element to which its loops store, between them");
        if (!find_lags()) return refuse(lags_);
        if (plan_.arrays.empty()) return refuse("no two steps store to the same elements");
        decisions_.done(DecisionKind::skewed, k_.location(k_.nodes[time_].loc),
                        fmt::format("up to {} steps at once, each {} iterations behind the one "
                                    "before it",
                                    most_steps, plan_.step_lag),
                        {{"steps", most_steps}, {"lag", plan_.step_lag}});
        return std::move(plan_);
    }

  private:
    struct Access {
        Id node;
        std::size_t loop;
        bool stores;
    };

    /// Computed before the loop over time, or without its index and what changes in it.
    bool is_fixed(Id id) const {
        if (id == time_) return false;
        const Node& n = k_.nodes[id];
        if (is_leaf(n.kind) || !inside_.contains(id)) return true;
        return n.kind != NodeKind::loop &&
               std::ranges::all_of(k_.operands_of(id), [&](Id x) { return is_fixed(x); });
    }

    /// One loop in another is any nest; steps have several, as sweeps between arrays do.
    std::nullopt_t refuse(const char* reason) const {
        if (plan_.loops.size() > 1)
            decisions_.refused(DecisionKind::skewed, k_.location(k_.nodes[time_].loc), reason);
        return std::nullopt;
    }

    /// Conditions 2 and 3.
    const char* why_not(Id loop) {
        const Node& n = k_.nodes[loop];
        if (const ParallelLoop* p = k_.parallel(n);
            p != nullptr && (threads_ || !p->reductions.empty() || !p->arrays.empty()))
            return threads_ ? "its loops run on threads" : "its loops accumulate";
        if (!k_.is_constant(k_.operand(loop, 2), 1)) return "a loop in it has a step";
        if (!is_fixed(k_.operand(loop, 0)) || !is_fixed(k_.operand(loop, 1)))
            return "the bounds of a loop in it change from step to step";
        if (is_short(k_, loop, block)) return "a loop in it is short";
        const std::size_t index =
            static_cast<std::size_t>(std::ranges::find(plan_.loops, loop) - plan_.loops.begin());
        if (!collect(n.aux, index)) return "a loop in it jumps, calls, is atomic or makes an array";
        return private_slots(k_, owners_, loop).has_value()
                   ? nullptr
                   : "a loop in it leaves a variable to its next iteration, or to others";
    }

    bool collect(Id block, std::size_t loop) {
        return all_in(k_, block, [&](Id id) {
            const Effects e = effects_of(k_.nodes[id]);
            if (e.array != none) accesses_.push_back({id, loop, e.any(effect::stores)});
            return e.only(effect::accesses | effect::branches | effect::counts);
        });
    }

    /// c where the subscript is the loop's index + c.
    std::optional<std::int64_t> offset(Id subscript, Id loop) const {
        if (subscript == loop) return 0;
        const Node& n = k_.nodes[subscript];
        if (n.kind != NodeKind::op || (n.op != Op::add && n.op != Op::sub)) return std::nullopt;
        const auto constant = [&](Id id) -> std::optional<std::int64_t> {
            if (k_.nodes[id].kind != NodeKind::constant) return std::nullopt;
            const auto c = static_cast<std::int64_t>(k_.nodes[id].imm);
            if (c > largest_lag || c < -largest_lag) return std::nullopt;
            return c;
        };
        Id index = k_.operand(subscript, 0);
        auto c = constant(k_.operand(subscript, 1));
        if (!c && n.op == Op::add) {
            index = k_.operand(subscript, 1);
            c = constant(k_.operand(subscript, 0));
        }
        if (!c) return std::nullopt;
        const auto inner = offset(index, loop);
        if (!inner) return std::nullopt;
        return *inner + (n.op == Op::add ? *c : -*c);
    }

    bool depends_on_time(Id id) {
        if (id == time_) return true;
        const auto [known, made] = on_time_.try_emplace(id, false);
        if (!made) return known->second;
        const bool depends =
            std::ranges::any_of(k_.operands_of(id), [&](Id x) { return depends_on_time(x); });
        return on_time_[id] = depends;
    }

    struct Distance {
        std::int64_t value;  // p - q
        unsigned dimension;
    };
    std::optional<Distance> distance(const Access& p, const Access& q) const {
        const std::size_t rank = k_.params[k_.nodes[p.node].aux].rank;
        for (unsigned d = 0; d < rank; ++d) {
            const auto a = offset(k_.operand(p.node, d), plan_.loops[p.loop]);
            const auto b = offset(k_.operand(q.node, d), plan_.loops[q.loop]);
            if (a && b) return Distance{*b - *a, d};
        }
        return std::nullopt;
    }

    /// Conditions 4 and 5.
    bool find_lags() {
        const std::size_t loops = plan_.loops.size();
        std::vector<std::vector<std::optional<std::int64_t>>> farthest(
            loops, std::vector<std::optional<std::int64_t>>(loops));
        for (const Access& p : accesses_)
            for (const Access& q : accesses_) {
                if (k_.nodes[p.node].aux != k_.nodes[q.node].aux || (!p.stores && !q.stores))
                    continue;
                const auto d = distance(p, q);
                if (!d) {
                    lags_ =
                        "how far steps have to be apart is not known: subscripts are not the "
                        "loop's index plus a constant";
                    return false;
                }
                auto& most = farthest[p.loop][q.loop];
                most = std::max(most.value_or(d->value), d->value);
                plan_.arrays[k_.nodes[p.node].aux] = d->dimension;
            }
        for (const Access& a : accesses_) {
            const auto subscripts = subscripts_of(k_, k_.nodes[a.node]);
            if (std::ranges::any_of(subscripts, [&](Id x) { return depends_on_time(x); }))
                plan_.arrays.erase(k_.nodes[a.node].aux);
        }
        plan_.lags.assign(loops, 0);
        for (std::size_t q = 0; q < loops; ++q)
            for (std::size_t p = 0; p < q; ++p)
                if (farthest[p][q])
                    plan_.lags[q] = std::max(plan_.lags[q], plan_.lags[p] + *farthest[p][q]);
        for (std::size_t q = 0; q < loops; ++q)
            for (std::size_t p = 0; p < loops; ++p)
                if (farthest[p][q])
                    plan_.step_lag =
                        std::max(plan_.step_lag, plan_.lags[p] - plan_.lags[q] + *farthest[p][q]);
        lags_ = "steps have to be too far apart";
        return plan_.step_lag <= largest_lag &&
               std::ranges::all_of(plan_.lags, [](std::int64_t l) { return l <= largest_lag; });
    }

    const Kernel& k_;
    const SlotOwners& owners_;
    Id time_;
    bool threads_;
    std::set<Id> inside_;             // of the body of the loop over time, its own nodes
    std::set<std::uint32_t> loaded_;  // arrays, by those nodes
    std::vector<Access> accesses_;
    std::map<Id, bool> on_time_;
    Decisions& decisions_;
    const char* lags_ = "";  // why there are none
    Plan plan_;
};

class TimeSkew : public Rewriter {
  public:
    TimeSkew(const Kernel& in, bool threads, Decisions& decisions)
        : Rewriter(in), threads_(threads) {
        const SlotOwners owners(in);
        visit_loops(in, [&](Id loop) {
            auto plan = Analysis(in, owners, loop, threads_, decisions).run();
            if (plan) plans_.emplace(loop, std::move(*plan));
            return plan.has_value();
        });
    }
    bool changes() const { return !plans_.empty(); }

  private:
    Id rewrite(Id old) override {
        const auto plan = plans_.find(old);
        return plan == plans_.end() ? clone(old) : skew(old, plan->second);
    }

    Id constant(std::int64_t c) { return out().constant_i64(c); }
    Id op(Op o, Id a, Id b) { return out().op(o, DType::i64, {a, b}); }

    /// How many steps go together, by the size of what one iteration of the loops touches.
    Id steps_at_once(const Plan& plan) {
        if (plan.blocks) return constant(most_steps);
        Id bytes = constant(0);
        for (const auto& [param, along] : plan.arrays) {
            Id size = constant(static_cast<std::int64_t>(size_of(in().params[param].dtype)));
            for (unsigned d = 0; d < in().params[param].rank; ++d)
                if (d != along) size = op(Op::mul, size, out().extent(param, d));
            bytes = op(Op::add, bytes, size);
        }
        bytes = op(Op::mul, bytes, constant(std::max<std::int64_t>(1, plan.step_lag)));
        const Id fitting = op(Op::div, constant(first_cache), bytes);  // 0 where bytes is 0
        return op(Op::minimum, op(Op::maximum, fitting, constant(least_steps)),
                  constant(most_steps));
    }

    Id skew(Id time, const Plan& plan) {
        const Id begin = mapped(in().operand(time, 0)), end = mapped(in().operand(time, 1));
        // What does not change with time, for the bounds.
        for (const Id id : in().blocks[in().node(time).aux].nodes)
            if (is_fixed(id, time)) set_mapped(id, clone(id));
        std::vector<std::pair<Id, Id>> bounds;
        Id low = none, high = none;
        for (std::size_t l = 0; l < plan.loops.size(); ++l) {
            const Id from = mapped(in().operand(plan.loops[l], 0)),
                     to = mapped(in().operand(plan.loops[l], 1));
            bounds.emplace_back(from, to);
            const Id lag = constant(plan.lags[l]);
            const Id first = op(Op::add, from, lag), last = op(Op::add, to, lag);
            low = l == 0 ? first : op(Op::minimum, low, first);
            high = l == 0 ? last : op(Op::maximum, high, last);
        }
        const Id together = steps_at_once(plan), step_lag = constant(plan.step_lag);
        const Id first_step = out().begin_loop(begin, end, together);
        const Id steps = op(Op::minimum, together, op(Op::sub, end, first_step));
        const Id last = op(Op::add, high, op(Op::mul, op(Op::sub, steps, constant(1)), step_lag));
        const Id width = constant(plan.blocks ? block : 1);
        const Id at = out().begin_loop(low, last, width);
        const Id u = out().begin_loop(constant(0), steps, constant(1));
        set_mapped(time, op(Op::add, first_step, u));
        const Id here = op(Op::sub, at, op(Op::mul, u, step_lag));
        for (const Id id : in().blocks[in().node(time).aux].nodes) {
            out().set_location_index(in().node(id).loc);
            const auto loop = std::ranges::find(plan.loops, id);
            if (loop == plan.loops.end()) {
                if (!is_fixed(id, time)) set_mapped(id, clone(id));
                continue;
            }
            const auto l = static_cast<std::size_t>(loop - plan.loops.begin());
            const Id start = op(Op::sub, here, constant(plan.lags[l]));
            const Id index = out().begin_loop(
                op(Op::maximum, bounds[l].first, start),
                op(Op::minimum, bounds[l].second, op(Op::add, start, width)), constant(1));
            set_mapped(id, index);
            clone_block(in().node(id).aux);
            out().end();
        }
        out().end();
        out().end();
        out().end();
        return first_step;
    }

    bool is_fixed(Id id, Id time) const {
        const auto& body = in().blocks[in().node(time).aux].nodes;
        if (id == time || in().node(id).kind == NodeKind::loop) return false;
        if (std::ranges::find(body, id) == body.end()) return true;
        return std::ranges::all_of(in().operands_of(id), [&](Id x) { return is_fixed(x, time); });
    }

    bool threads_;
    std::map<Id, Plan> plans_;
};

}  // namespace

ir::Kernel run_time_skew(const ir::Kernel& kernel, PassContext& context) {
    TimeSkew pass(kernel, context.options.threads, context.decisions);
    return pass.changes() ? pass.run() : kernel;
}

}  // namespace kiln::codegen
